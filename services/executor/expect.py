"""What funding should have come: rate and mark of each instrument as they were announced before it settled.

    expected = -quantity * mark * rate         > 0 is received; the rate that was seen 60 s before

What was expected and did not come is missing, not zero.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import Final

import msgspec

from libs.carry.pnl import EXACT, Key
from libs.common.instant import MS_PER_SEC, US_PER_SEC, Now
from libs.common.messages import Funding
from services.executor.books import Books, Due, holders, replace
from services.executor.model import ZERO
from services.executor.world import exact

BEFORE_MS: Final = 60 * MS_PER_SEC
MATCH_MS: Final = 60 * MS_PER_SEC
"""A payment's stamp may differ from the announced instant by so much."""

MISSING_US: Final = 600 * US_PER_SEC
"""Venues show a payment within minutes."""

SLOTS_KEPT: Final = 4


class Announced(msgspec.Struct, frozen=True, kw_only=True):
    """A payment to come. `rate` is of the last news at least 60 s before (else of the first), `mark` of the
    last news before it; None while no mark was seen.
    """

    rate: Decimal
    mark: Decimal | None


class Announcements:
    """Instrument -> settlement (market ms) -> what was announced; the last few of each."""

    def __init__(self) -> None:
        self._slots: dict[Key, dict[int, Announced]] = {}
        self._marks: dict[Key, Decimal] = {}

    def on_funding(self, funding: Funding) -> None:
        """A current rate; settled ones are history."""
        key, at_ms = (funding.venue, funding.instrument), funding.next_ms
        if funding.mark is not None:
            self._marks[key] = exact(funding.mark)
        if funding.kind != "current" or at_ms is None or funding.ts_ms > at_ms:
            return
        slots = self._slots.setdefault(key, {})
        known = slots.get(at_ms)
        rate = exact(funding.rate)
        if known is not None and funding.ts_ms > at_ms - BEFORE_MS:
            rate = known.rate
        slots[at_ms] = Announced(rate=rate, mark=self._marks.get(key))
        while len(slots) > SLOTS_KEPT:
            del slots[min(slots)]

    def settled(self, key: Key, *, after_ms: int, until_ms: int) -> list[tuple[int, Announced]]:
        """Announced payments whose instant lies in (after, until], oldest first."""
        slots = self._slots.get(key, {})
        return sorted((at, one) for at, one in slots.items() if after_ms < at <= until_ms)

    def rate_of(self, key: Key, at_ms: int) -> Decimal | None:
        """The rate that was announced for about this instant."""
        slots = self._slots.get(key, {})
        return next((one.rate for at, one in slots.items() if abs(at - at_ms) <= MATCH_MS), None)

    @property
    def keys(self) -> tuple[Key, ...]:
        """Instruments with announcements."""
        return tuple(self._slots)


def settle(before: Books, announced: Announcements, now: Now, *, since_ms: int) -> Books:
    """Expect what has settled by now and after `since_ms` (when this process began): it is due then."""
    after = before
    for key in announced.keys:
        name = f"{key[0]}|{key[1]}"
        last_ms = max(since_ms, after.settled_ms.get(name, 0))
        for at_ms, one in announced.settled(key, after_ms=last_ms, until_ms=now.market_ms):
            after = replace(after, settled_ms={**after.settled_ms, name: at_ms})
            held = holders(after, key, at_ms)
            if not held or one.mark is None:
                continue
            with localcontext(EXACT):
                usd = -sum(held.values(), ZERO) * one.mark * one.rate
                after = replace(after, settlements=after.settlements + 1, expected=after.expected + usd)
            if usd:
                due = Due(
                    venue=key[0], instrument=key[1], settles_ms=at_ms, expected=usd, since_us=now.wall_us
                )
                after = replace(after, due=(*after.due, due))
    return after


def matched(before: Books, venue: str, instrument: str, at_ms: int) -> Books:
    """A payment is in the venue's books: it is not due any more."""
    left = tuple(
        one
        for one in before.due
        if (one.venue, one.instrument) != (venue, instrument) or abs(one.settles_ms - at_ms) > MATCH_MS
    )
    return before if len(left) == len(before.due) else replace(before, due=left)


def overdue(before: Books, now: Now) -> tuple[Books, tuple[Due, ...]]:
    """Payments that should long have come: they are missing, and said once."""
    late = tuple(one for one in before.due if now.wall_us - one.since_us > MISSING_US)
    if not late:
        return before, ()
    left = tuple(one for one in before.due if one not in late)
    return replace(before, due=left, missing=before.missing + len(late)), late
