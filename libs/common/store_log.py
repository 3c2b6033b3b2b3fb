"""Stream entries that should reach the store even when it is away for a while: alerts, audit.

In order, retried, bounded. An append whose outcome was unknown is repeated, so an entry can be there
twice: an alert too many does no harm, one too few may.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from contextlib import suppress
from typing import Final

from libs.common.store import Store, StoreUnavailable

log = logging.getLogger(__name__)

WAITING_MAX: Final = 1_000
RETRY_SEC: Final = (0.2, 0.5, 1.0, 2.0)


class StoreLog:
    """Give entries with `add`; `run` carries them to the store until it is cancelled."""

    def __init__(self, store: Store, *, waiting_max: int = WAITING_MAX) -> None:
        self._store = store
        self._waiting: deque[tuple[str, dict[str, bytes]]] = deque()
        self._waiting_max = waiting_max
        self._wake = asyncio.Event()
        self._failing = False
        self.lost = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, stream: str, fields: dict[str, bytes]) -> None:
        """Queue an entry; when too many wait the oldest is given up and counted."""
        if len(self._waiting) >= self._waiting_max:
            self._waiting.popleft()
            self.lost += 1
        self._waiting.append((stream, fields))
        self._wake.set()

    def problem(self) -> str:
        """What is wrong, in words; empty when nothing is."""
        if not self._failing or not self._waiting:
            return ""
        lost = f", {self.lost} given up" if self.lost else ""
        return f"{len(self._waiting)} alerts or audit entries wait for the store{lost}"

    async def run(self) -> None:
        """Carry entries over, forever."""
        failures = 0
        while True:
            if not self._waiting:
                self._wake.clear()
                await self._wake.wait()
            entry = self._waiting[0]
            try:
                await self._store.append(*entry)
            except StoreUnavailable as error:
                if not self._failing:
                    log.warning("the store takes no entries: %s", error)
                self._failing = True
                await asyncio.sleep(RETRY_SEC[min(failures, len(RETRY_SEC) - 1)])
                failures += 1
                continue
            self._failing, failures = False, 0
            if self._waiting and self._waiting[0] is entry:  # not given up meanwhile
                self._waiting.popleft()

    async def flush(self, *, timeout_sec: float) -> None:
        """Wait until all are over, at most so long (while `run` runs)."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_sec):
                while self._waiting:  # noqa: ASYNC110 - only at the very end of a process
                    await asyncio.sleep(0.01)
