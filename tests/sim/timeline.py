"""Virtual time: a clock that moves from one scheduled thing to the next, in a repeatable order."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from libs.common.instant import MarketClock, Now

WALL0_US = 1_760_040_000_000_000

Work = Callable[[], None]
T = TypeVar("T")


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never waits (MemoryStore's)."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    raise AssertionError("a memory store does not wait")


class Timeline:
    """What happens when. Two things of one instant happen in the order in which they were scheduled."""

    def __init__(self, *, speed: float = 1.0) -> None:
        self._now_us = 0
        self._heap: list[tuple[int, int, Work]] = []
        self._order = itertools.count()
        self.market = MarketClock(market0_ms=WALL0_US // 1000, wall0_ms=WALL0_US // 1000, speed=speed)
        self.steps = 0
        self._seen = Now(wall_us=WALL0_US, market_ms=self.market.at(WALL0_US), mono_us=0)

    def now(self) -> Now:
        """The three times; wall and monotonic move together here."""
        if self._seen.mono_us != self._now_us:
            wall_us = WALL0_US + self._now_us
            self._seen = Now(wall_us=wall_us, market_ms=self.market.at(wall_us), mono_us=self._now_us)
        return self._seen

    def after(self, us: int, work: Work) -> None:
        """Do `work` in `us` of virtual time."""
        heapq.heappush(self._heap, (self._now_us + max(0, us), next(self._order), work))

    def step(self) -> bool:
        """The next scheduled thing; False when there is none."""
        if not self._heap:
            return False
        at_us, _, work = heapq.heappop(self._heap)
        self._now_us = max(self._now_us, at_us)
        self.steps += 1
        work()
        return True

    def until(self, end_us: int) -> bool:
        """One step, unless the next thing is after `end_us`; False when there is none before it."""
        if not self._heap or self._heap[0][0] > end_us:
            self._now_us = max(self._now_us, end_us)
            return False
        return self.step()
