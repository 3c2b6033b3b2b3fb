"""The machine's clocks. What they are for, and all that is pure, is in `libs.common.instant`."""

from __future__ import annotations

import time

from libs.common.instant import MarketClock, Now


def wall_us() -> int:
    """UTC in microseconds."""
    return time.time_ns() // 1_000


def mono_us() -> int:
    """Microseconds that go on counting while the machine sleeps.

    `time.monotonic()` stands still in a suspended machine, and a resumed process would believe
    that its lease and permit are fresh.
    """
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000


class SystemClock:
    """The machine's clocks, with market time from `market` (replaced when `sys.clock` says so)."""

    def __init__(self, market: MarketClock | None = None) -> None:
        self.market = market or MarketClock()

    def now(self) -> Now:
        wall = wall_us()
        return Now(wall_us=wall, market_ms=self.market.at(wall), mono_us=mono_us())
