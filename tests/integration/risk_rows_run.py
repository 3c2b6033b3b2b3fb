"""Runs rows one after another and beside each other in one stack; a row that fails fails its own test."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any, Final

import pytest

from libs.common.messages_exec import Level
from tests.helpers.breakers import Breakers, Seen

WANTED: Final = "FUNDARB_TEST_ROWS"
only_when_asked = pytest.mark.skipif(WANTED not in os.environ, reason="minutes of a whole stack: `make rows`")

ROW_SEC, START_SEC = 280.0, 120.0
MONITOR: Final = {"interval_sec": 4, "book_interval_sec": 60}
"""So many pairs, polled as often as in smaller labs, would use up the venue's request weight."""

Row = Callable[..., Awaitable[Any]]


class Ran:
    """What each row has seen, or how it failed."""

    def __init__(self) -> None:
        self.rows: dict[str, Seen] = {}
        self.failures: dict[str, BaseException] = {}
        self.history: list[tuple[float, str, str, tuple[str, ...]]] = []
        self.seconds = 0.0

    def seen(self, name: str) -> Seen:
        """Of one row; its failure is the test's."""
        if name in self.failures:
            raise self.failures[name]
        return self.rows[name]


class Scenario:
    """Rows of one stack; what they see is kept for their tests."""

    def __init__(self, watch: Breakers, ran: Ran) -> None:
        self._watch, self._ran = watch, ran

    async def row(self, work: Row, *names: str, **more: Any) -> Any:
        """One row, or several that one function provokes; a failure is kept for their tests."""
        seen = [self._ran.rows.setdefault(name, Seen()) for name in names or (work.__name__,)]
        try:
            async with asyncio.timeout(ROW_SEC):
                return await work(self._watch, *seen, **more)
        except Exception as failed:  # noqa: BLE001 - raised again by the row's own test
            self._ran.failures.update(dict.fromkeys(names or (work.__name__,), failed))

    async def one_by_one(self, *rows: Row) -> None:
        """Each begins when the one before has ended, or failed."""
        for work in rows:
            await self.row(work)

    async def entered(self, name: str, row: asyncio.Task[Any], *, times: int = 1) -> None:
        """Until a row has shut what it shuts, or has failed."""
        seen = self._ran.rows.setdefault(name, Seen())
        await self._watch.lab.until(lambda: row.done() or len(seen.breakers) >= times, sec=ROW_SEC)


def only(seen: Seen, scope: str, level: str, control: str, words: str) -> None:
    """The row has shut this scope for this reason, and nothing was opened in it."""
    breaker = seen.breakers[0][0]
    assert breaker.scope == scope
    assert breaker.level.rank >= Level(level).rank
    assert control in breaker.controls
    assert words in breaker.reason
    assert seen.increases == []
