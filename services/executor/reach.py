"""How a venue answers: figures of the executor's newest private calls, for risk's venue errors. Pure.

more than 20 % of the last 50 failed, or p99 > 3 s: nothing is opened there (risk.md)
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec

LAST: Final = 50
P99: Final = 0.99


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """`calls` of the last 50, `failed` of those; the 99th percentile of their times (nearest rank), None
    while none has one. The venue's clock minus ours, None while it is not measured.
    """

    calls: int = 0
    failed: int = 0
    p99_ms: float | None = None
    clock_offset_ms: float | None = None


ReachOf = Callable[[str], Reach]
"""Venue -> how it answers."""


def nobody(_venue: str) -> Reach:
    """Where calls are not counted (on paper nothing is called)."""
    return Reach()


class Tally:
    """The newest calls of a venue. Pure."""

    def __init__(self) -> None:
        self._calls: deque[tuple[bool, float | None]] = deque(maxlen=LAST)

    def note(self, *, failed: bool, ms: float | None) -> None:
        """One call; `ms` None for one of several pages, whose time says nothing of a single one."""
        self._calls.append((failed, ms))

    def reach(self, clock_offset_ms: float | None = None) -> Reach:
        """As they stand."""
        times = sorted(ms for _, ms in self._calls if ms is not None)
        p99 = times[math.ceil(P99 * len(times)) - 1] if times else None
        failed = sum(failed for failed, _ in self._calls)
        return Reach(calls=len(self._calls), failed=failed, p99_ms=p99, clock_offset_ms=clock_offset_ms)
