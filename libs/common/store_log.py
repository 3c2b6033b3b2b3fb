"""Stream entries that should reach the store even when it is away for a while: alerts, audit.

In order, retried, bounded, and so are the streams: where no notifier runs nothing else drops what nobody
needs any more, and a full store would stop trading. An append whose outcome was unknown is repeated, so an
entry can be there twice: an alert too many does no harm, one too few may. An entry that the store refuses
for another reason (its stream is a key of another kind, a fault in the program) would stop all that come
after it: it is set aside with a loud line that holds all of it, and health tells of it until the process
ends.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import msgspec

from libs.common.instant import MS_PER_DAY
from libs.common.log import fields
from libs.common.notices import ALERTS, AUDIT
from libs.common.redact import REDACTOR
from libs.common.store import Store, StoreConflict, StoreUnavailable

log = logging.getLogger(__name__)

WAITING_MAX: Final = 1_000
Then = Callable[[bool], None]
"""Told once what has become of an entry: whether the store has it. Must not raise."""

RETRY_SEC: Final = (0.2, 0.5, 1.0, 2.0)
TRIM_EVERY_MS: Final = 3_600_000


class Keep(msgspec.Struct, frozen=True, kw_only=True):
    """What stays of a stream: the newest `entries` at most, of them those of the last `days`."""

    days: int
    entries: int


KEEP: Final = {
    ALERTS: Keep(days=30, entries=100_000),
    AUDIT: Keep(days=90, entries=1_000_000),
}
"""By the store's own clock, which stamps the entries. What is longer away than this is in the logs."""


class StoreLog:
    """Give entries with `add`; `run` carries them to the store until it is cancelled."""

    def __init__(self, store: Store, *, waiting_max: int = WAITING_MAX) -> None:
        self._store = store
        self._waiting: deque[tuple[str, dict[str, bytes], Then | None]] = deque()
        self._waiting_max = waiting_max
        self._wake = asyncio.Event()
        self._failing = False
        self._aside = 0
        self._trimmed_ms: dict[str, int] = {}
        self._aside_why = ""

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def failing(self) -> bool:
        """The store did not take the last one that was tried."""
        return self._failing

    def add(self, stream: str, content: dict[str, bytes], then: Then | None = None) -> None:
        """Queue an entry; when too many wait the oldest is set aside."""
        if len(self._waiting) >= self._waiting_max:
            self._set_aside(self._waiting.popleft(), "too many wait for the store")
        self._waiting.append((stream, content, then))
        self._wake.set()

    def problem(self) -> str:
        """What is wrong, in words; empty when nothing is."""
        problems = []
        if self._failing and self._waiting:
            problems.append(f"{len(self._waiting)} alerts or audit entries wait for the store")
        if self._aside:
            why = f"the last: {self._aside_why}"
            problems.append(f"{self._aside} alerts or audit entries are in the log only ({why})")
        return "; ".join(problems)

    async def run(self) -> None:
        """Carry entries over, forever."""
        failures = 0
        while True:
            if not self._waiting:
                self._wake.clear()
                await self._wake.wait()
            entry = self._waiting[0]
            stream, content, then = entry
            keep = KEEP.get(stream)
            added = ""
            try:
                added = await self._store.append(stream, content, most=None if keep is None else keep.entries)
            except StoreUnavailable as error:
                if not self._failing:
                    log.warning("the store takes no entries: %s", error)
                self._failing = True
                await asyncio.sleep(RETRY_SEC[min(failures, len(RETRY_SEC) - 1)])
                failures += 1
                continue
            except Exception as error:  # noqa: BLE001 - this task must go on, whatever it was
                self._set_aside(entry, f"{type(error).__name__}: {error}", error)
            self._failing, failures = False, 0
            if self._waiting and self._waiting[0] is entry:  # not given up meanwhile
                self._waiting.popleft()
            if added and then is not None:
                then(True)
            if added and keep is not None:
                await self._trim(stream, keep, added)

    async def _trim(self, stream: str, keep: Keep, newest: str) -> None:
        """Let go what is too old, once an hour; a store that does not answer is asked again in an hour."""
        now_ms = int(newest.partition("-")[0])
        if now_ms - self._trimmed_ms.get(stream, -TRIM_EVERY_MS) < TRIM_EVERY_MS:
            return
        self._trimmed_ms[stream] = now_ms
        try:
            dropped = await self._store.trim(stream, before=f"{max(0, now_ms - keep.days * MS_PER_DAY)}-0")
        except (StoreUnavailable, StoreConflict) as error:
            log.warning("%s was not trimmed: %s", stream, error)
            return
        if dropped:
            log.info("%s: %d entries older than %d days were dropped", stream, dropped, keep.days)

    def _set_aside(
        self, entry: tuple[str, dict[str, bytes], Then | None], why: str, error: Exception | None = None
    ) -> None:
        self._aside += 1
        self._aside_why = REDACTOR.text(why)
        stream, content, then = entry
        readable = {name: value.decode(errors="replace") for name, value in content.items()}
        named = fields(stream=stream, entry=readable)
        log.error(
            "not in the store, only here: an entry of %s (%s)", stream, why, exc_info=error, extra=named
        )
        if then is not None:
            then(False)

    async def flush(self, *, timeout_sec: float) -> None:
        """Wait until all are over, at most so long (while `run` runs)."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_sec):
                while self._waiting:  # noqa: ASYNC110 - only at the very end of a process
                    await asyncio.sleep(0.01)
