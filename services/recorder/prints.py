"""Which settled prints were written already: each goes to the archive once, and again when restated. Pure.

Histories are said again every half minute; a print is 24 bytes here, a month of an hourly venue 17 KB. A
venue that restates a settled rate means the newer figure (`libs.carry.funding.settled_once`): it is
written again, and the archive replaces the former one (`libs.research.compact`).
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Hashable
from typing import Final

from libs.research.layout import FundingPrint, slot_of

KEPT: Final = 4_096
"""Per instrument: more than five months of hourly prints, which no history message repeats."""


class _Told:
    """Prints of one instrument by settlement slot, sorted."""

    __slots__ = ("hours", "rates", "slots")

    def __init__(self) -> None:
        self.slots, self.rates, self.hours = array("q"), array("d"), array("d")


class SettledSeen:
    """What was told last of each settlement, by instrument."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, str], _Told] = {}
        self._histories: dict[tuple[str, str], int] = {}

    def is_news(self, venue: str, instrument: str, row: FundingPrint) -> bool:
        """True once for each settlement, whatever its jitter, and when its rate or interval is restated."""
        told = self._told.setdefault((venue, instrument), _Told())
        slot = slot_of(row.ts_ms)
        at = bisect_left(told.slots, slot)
        if at < len(told.slots) and told.slots[at] == slot:
            if (told.rates[at], told.hours[at]) == (row.rate, row.interval_hours):
                return False
            told.rates[at], told.hours[at] = row.rate, row.interval_hours
            return True
        told.slots.insert(at, slot)
        told.rates.insert(at, row.rate)
        told.hours.insert(at, row.interval_hours)
        if len(told.slots) > KEPT:
            for column in (told.slots, told.rates, told.hours):
                del column[0]
        return True

    def is_repeat(self, venue: str, instrument: str, prints: Hashable) -> bool:
        """True when the last history of the instrument said exactly the same: most of them do."""
        key, said = (venue, instrument), hash(prints)
        if self._histories.get(key) == said:
            return True
        self._histories[key] = said
        return False
