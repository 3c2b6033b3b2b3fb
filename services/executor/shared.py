"""A reading that many ask for at once is done once: 40 pairs do not read one account 40 times.

Nor one after the other: pairs that begin in turn would each have it read anew, and a quarter of a venue's
minute (56 looks of weight 10 within 8 s on Binance) would be gone before the first order.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, Generic, TypeVar

T = TypeVar("T")

BURST: Final = 6
"""Readings that begin at once: looks around one opening or unwinding of a pair."""
EVERY_SEC: Final = 1.0
"""Between those beyond: a minute of them takes a quarter of Binance's 2,400, polls may have half."""


class Pace:
    """When the next reading may begin. Pure; seconds of any clock that does not go back."""

    def __init__(self, burst: int = BURST, every_sec: float = EVERY_SEC) -> None:
        self._lead_sec = (burst - 1) * every_sec
        self._every_sec = every_sec
        self._due_sec: float | None = None

    def wait_sec(self, now_sec: float) -> float:
        """How long the next one waits from now; it counts as begun then."""
        due_sec = now_sec if self._due_sec is None else max(self._due_sec, now_sec)
        self._due_sec = due_sec + self._every_sec
        return max(0.0, due_sec - self._lead_sec - now_sec)


class Shared(Generic[T]):
    """Who asks while a reading runs gets the next one, never the one that began before he asked."""

    def __init__(self, read: Callable[[], Awaitable[T]], pace: Pace | None = None) -> None:
        self._read = read
        self._pace = pace or Pace()
        self._running: asyncio.Task[T] | None = None
        self._next: asyncio.Task[T] | None = None

    async def get(self) -> T:
        """The result of a reading that begins after this call; raises what it raises."""
        if self._next is None:
            self._next = asyncio.get_running_loop().create_task(self._after(self._running))
        return await asyncio.shield(self._next)

    async def _after(self, before: asyncio.Task[T] | None) -> T:
        if before is not None:
            await asyncio.wait({before})
        wait_sec = self._pace.wait_sec(asyncio.get_running_loop().time())
        if wait_sec > 0:
            await asyncio.sleep(wait_sec)
        self._running, self._next = self._next, None
        return await self._read()
