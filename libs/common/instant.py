"""Three times, never mixed.

*wall* stamps what travels between processes, *market* decides about funding and holding,
*monotonic* measures timeouts, leases and ages. Pure code gets all three as one `Now`.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

US_PER_MS = 1_000
US_PER_SEC = 1_000_000
MS_PER_SEC = 1_000
MS_PER_HOUR = 3_600_000
MS_PER_DAY = 24 * MS_PER_HOUR
HOURS_PER_DAY = 24


class Now(msgspec.Struct, frozen=True, kw_only=True):
    """One instant in the three times: `wall_us` (UTC), `market_ms` (UTC, scaled in the demo), `mono_us`."""

    wall_us: int
    market_ms: int
    mono_us: int


class MarketClock(msgspec.Struct, frozen=True, kw_only=True):
    """market = market0 + (wall - wall0) * speed. Outside the demo and the backtest it is wall time."""

    market0_ms: int = 0
    wall0_ms: int = 0
    speed: float = 1.0

    def at(self, wall_us: int) -> int:
        """Market time in ms at a wall time in us."""
        elapsed_us = wall_us - self.wall0_ms * US_PER_MS
        if self.speed == 1.0:  # exact: no float on the way
            return self.market0_ms + elapsed_us // US_PER_MS
        return self.market0_ms + int(elapsed_us * self.speed) // US_PER_MS


class Clock(Protocol):
    """What the shell asks for the time; `SystemClock` live, `ManualClock` in tests and simulation."""

    def now(self) -> Now: ...


class ManualClock:
    """A clock that moves only when told to."""

    def __init__(self, *, wall_us: int = 1_700_000_000_000_000, market: MarketClock | None = None) -> None:
        self.market = market or MarketClock()
        self._wall_us = wall_us
        self._mono_us = 0

    def now(self) -> Now:
        return Now(wall_us=self._wall_us, market_ms=self.market.at(self._wall_us), mono_us=self._mono_us)

    def advance(self, *, us: int = 0, ms: int = 0, sec: float = 0.0) -> Now:
        """Move forward and answer the new instant."""
        step_us = us + ms * US_PER_MS + int(sec * US_PER_SEC)
        if step_us < 0:
            raise ValueError(f"a clock goes forward, not {step_us} us")
        self._wall_us += step_us
        self._mono_us += step_us
        return self.now()

    def set_wall(self, *, by_us: int) -> None:
        """Somebody sets the clock: wall time jumps, monotonic time does not notice."""
        self._wall_us += by_us
