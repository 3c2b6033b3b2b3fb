"""A simulated venue whose time moves only when a test says so: the same life meets the same prices, always.

async with still_venue(start_ms=..., speed=7_200.0) as (venue, time):
    ...
    time.pass_(1_000)       # a second of wall time, two hours of the market

Books are drawn from the seed plus the number of their step, steps are counted in wall time, and wall time has
to be near the real one, since clients sign with it: so the seed makes up for the day. That holds for coins
whose marks and basis are recorded (BTC, ETH); those of others are drawn from the seed alone.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

from libs.common.clock import wall_us
from libs.common.instant import MarketClock
from services.venue import customers, recording
from services.venue.desk import STEP_MS
from services.venue.market import Market
from services.venue.server import VenueServer
from tests.helpers.venue import Venue

# Ahead of the client by this much: its requests are then never from the future, however slow the machine is.
# Binance takes them with `recvWindow` 60,000, Bitget 30 s to either side.
AHEAD_MS = 20_000
WINDOW: dict[str, Any] = {"options": {"recvWindow": 60_000}}
FIRST_STEP = 1_000_000


class Time:
    """The venue's wall clock."""

    def __init__(self) -> None:
        self.wall_ms = (wall_us() // 1_000 + AHEAD_MS) // STEP_MS * STEP_MS
        self.server: VenueServer | None = None

    def pass_(self, wall_ms: int) -> None:
        """So much goes by, step by step; everything that was due has happened afterwards."""
        assert self.server is not None
        assert wall_ms % STEP_MS == 0
        for _ in range(wall_ms // STEP_MS):
            self.wall_ms += STEP_MS
            for name, house in self.server.houses.items():
                house.step(self.server.now(name))


@contextlib.asynccontextmanager
async def still_venue(*, start_ms: int, speed: float, deposits: str) -> AsyncIterator[tuple[Venue, Time]]:
    """A venue in this process at `start_ms` of its market."""
    time = Time()
    market = Market(recording.load(), seed=FIRST_STEP - time.wall_ms // STEP_MS)
    server = time.server = VenueServer(
        market,
        MarketClock(market0_ms=start_ms, wall0_ms=time.wall_ms, speed=speed),
        deposits=customers.deposits_of(deposits),
        wall_ms=lambda: time.wall_ms,
    )
    await server.start()
    try:
        yield Venue(server), time
    finally:
        await server.stop()


def decimals(text: str) -> dict[str, Decimal]:
    """`USDT 12.5, BTC -0.1` as amounts by asset."""
    pairs = (part.split() for part in text.split(",") if part.strip())
    return {asset: Decimal(amount) for asset, amount in pairs}
