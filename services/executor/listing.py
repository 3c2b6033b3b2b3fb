"""Open orders of an instrument, listed once for all pairs on it, and not faster than a venue bears.

A store that has nothing of any pair makes all of them search their places at once: with 42 pairs that was
more than 20 listings in a second, Bitget's limit, and it then wanted to be left alone for most of a minute.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from libs.exchange.port import VenueError
from libs.exchange.trading import Trading
from libs.exchange.trading_values import OrderReport
from libs.exchange.urgency import reading
from services.executor.events import ListOrders
from services.executor.shared import Pace, Shared

BURST: Final = 4
EVERY_SEC: Final = 0.1
"""Half of 20 a second."""

Place = tuple[str, str, bool]
"""(venue, instrument, on the margin desk)."""


class Listing:
    """`trading_of`: venue slug -> port; raises VenueError while it is not open."""

    def __init__(self, trading_of: Callable[[str], Trading]) -> None:
        self._trading_of = trading_of
        self._shared: dict[Place, Shared[list[OrderReport]]] = {}
        self._paces: dict[str, Pace] = {}

    async def of(self, request: ListOrders) -> list[OrderReport]:
        """A listing that begins after this call; who asks while it waits for its turn gets the same one."""
        place = (request.venue, request.instrument, request.margin)
        if place not in self._shared:
            pace = self._paces.setdefault(request.venue, Pace(burst=BURST, every_sec=EVERY_SEC))
            self._shared[place] = Shared(lambda: self._read(place), pace)
        return await self._shared[place].get()

    async def _read(self, place: Place) -> list[OrderReport]:
        venue, instrument, margin = place
        try:
            with reading(urgent=True):  # the pair is not ready before its places have been searched
                return await self._trading_of(venue).open_orders(instrument, margin=margin)
        except VenueError as error:
            # Where coins cannot be borrowed there is no such desk, and nothing of ours can rest on it.
            if margin and error.error_class == "not_supported":
                return []
            raise
