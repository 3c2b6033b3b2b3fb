"""Connections that are open when an order comes, and a clock that the venue believes.

aiohttp keeps an idle connection for 15 s by default (ours: longer, `factory`), a venue for about a minute.
Two calls at once keep two connections of a host in use, so that two legs at one venue need not wait for a
handshake. Their answers carry the venue's time: the offset that signing uses is measured by the round trip's
midpoint, where ccxt's own `load_time_difference` takes a slow answer's whole delay for a wrong clock.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

from libs.common.clock import mono_us, wall_us
from libs.common.instant import US_PER_MS, US_PER_SEC
from libs.exchange.client import all_of
from libs.exchange.live.places import Place, Places
from libs.exchange.port import VenueError
from libs.exchange.units import float_of

log = logging.getLogger(__name__)

EVERY_SEC: Final = 8.0
CONNECTIONS: Final = 2
ROUND_TRIP_SEC_MAX: Final = 1.0
"""A slower answer says too little about the time in between."""


class Warmth:
    """Keeps all places of an account warm. `offset_ms`: venue clock minus ours, None while unknown."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self.offset_ms: float | None = None

    async def run(self) -> None:
        """Until cancelled. A venue that does not answer is told once, and asked again."""
        silent = False
        while True:
            try:
                await self.measure()
                silent = False
            except VenueError as error:
                if not silent:
                    log.warning("%s: connections are not kept warm: %s", self._places.venue, error)
                silent = True
            await asyncio.sleep(EVERY_SEC)

    async def measure(self) -> None:
        """Ask every host for its time, twice at once; raises `VenueError`. What could not be measured is not
        told as if it stood: a clock that was off would be off for ever.
        """
        try:
            offsets = await all_of(self._measure_place(place) for place in self._places.all)
        except VenueError:
            self.offset_ms = None
            raise
        known = [offset for offset in offsets if offset is not None]
        self.offset_ms = max(known, key=abs, default=None)

    async def _measure_place(self, place: Place) -> float | None:
        samples = await all_of(
            self._sample(place, dict(params)) for params in place.desk.warm_params for _ in range(CONNECTIONS)
        )
        round_trip_us, offset_ms = min(samples)
        if round_trip_us > ROUND_TRIP_SEC_MAX * US_PER_SEC:
            return None
        for client in (place.trade, place.poll):
            options = client.exchange.options
            if "timeDifference" in options:  # what nonce() takes off the local clock
                options["timeDifference"] = round(-offset_ms)
        return offset_ms

    async def _sample(self, place: Place, params: dict[str, Any]) -> tuple[int, float]:
        """Round trip in us, and the venue's clock minus ours in ms."""
        wall, started_us = wall_us(), mono_us()
        method = getattr(place.trade.exchange, place.desk.warm)
        answer = await place.trade.call("keep_warm", method(params))
        round_trip_us = mono_us() - started_us
        server_ms = float_of(answer)
        if server_ms is None:
            raise VenueError(self._places.venue, "bad_payload", "keep_warm: no time in the answer")
        return round_trip_us, server_ms - (wall + round_trip_us / 2) / US_PER_MS
