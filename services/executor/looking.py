"""Looks at accounts, one for all who ask at once. Nothing is decided here.

A pair that asks for a new look waits for it: it draws on the reserve of what reduces. Looks by the clock (the
books', and those of pairs that are content with one of these) do not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from libs.common.instant import Clock
from libs.exchange.trading import Trading
from libs.exchange.urgency import reading
from services.executor.books_work import LANE
from services.executor.events import AccountSeen, ReadAccount
from services.executor.shared import Pace, Shared


class Looking:
    """`trading_of`: venue slug -> port; raises VenueError while it is not open."""

    def __init__(self, trading_of: Callable[[str], Trading], clock: Clock) -> None:
        self._trading_of = trading_of
        self._clock = clock
        self._kept: dict[str, AccountSeen] = {}  # venue -> its newest look
        self._shared: dict[tuple[str, bool], Shared[AccountSeen]] = {}
        self._paces: dict[str, Pace] = {}

    async def of(self, request: ReadAccount) -> AccountSeen:
        """Positions and balances, read after `asked_mono_us`; shared by who asks at once with one urgency."""
        venue, kept = request.venue, self._kept.get(request.venue)
        if kept is not None and request.since_us is not None and kept.asked_mono_us >= request.since_us:
            return kept
        which = (venue, request.since_us is None and request.pair != LANE)
        if which not in self._shared:
            pace = self._paces.setdefault(venue, Pace())
            self._shared[which] = Shared(lambda: self._look(*which), pace)
        seen = self._kept[venue] = await self._shared[which].get()
        return seen

    async def _look(self, venue: str, urgent: bool) -> AccountSeen:  # noqa: FBT001 - half of a name
        trading = self._trading_of(venue)
        asked_us = self._clock.now().mono_us
        with reading(urgent=urgent):
            positions, balances = await asyncio.gather(trading.positions(), trading.balances())
        return AccountSeen(
            venue=venue,
            positions=tuple(positions),
            balances=tuple(balances),
            asked_mono_us=asked_us,
        )
