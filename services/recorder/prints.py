"""Which settled prints were written already: each goes to the archive exactly once. Pure.

Histories are said again every half minute; a stamp is eight bytes here, a month of an hourly venue 6 KB.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from typing import Final

from libs.research.layout import slot_of

KEPT: Final = 4_096
"""Per instrument: more than five months of hourly prints, which no history message repeats."""


class SettledSeen:
    """Settlement slots by instrument, sorted."""

    def __init__(self) -> None:
        self._slots: dict[tuple[str, str], array[int]] = {}
        self._last_told: dict[tuple[str, str], tuple[int, int, int]] = {}

    def is_new(self, venue: str, instrument: str, settled_ms: int) -> bool:
        """True exactly once for each settlement, whatever its jitter."""
        slots = self._slots.setdefault((venue, instrument), array("q"))
        slot = slot_of(settled_ms)
        at = bisect_left(slots, slot)
        if at < len(slots) and slots[at] == slot:
            return False
        slots.insert(at, slot)
        if len(slots) > KEPT:
            del slots[: len(slots) - KEPT]
        return True

    def is_repeat(self, venue: str, instrument: str, told: tuple[int, int, int]) -> bool:
        """True when a history with the same (count, first, last) was handled before: most of them are."""
        key = (venue, instrument)
        if self._last_told.get(key) == told:
            return True
        self._last_told[key] = told
        return False
