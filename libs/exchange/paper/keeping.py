"""A paper account in the store: read at the start, written after each change, before the change is told.

One write carries whatever has happened since the last one, so that two legs cost one. A write whose answer
was lost is looked up before anything else is written. Whoever finds that somebody else has written
(`Deposed`) forgets what it has not written itself: nobody was told of it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from libs.common.config.schema import Costs
from libs.common.store import Lease, Store, StoreConflict, StoreUnavailable, Transition
from libs.exchange.paper.trading import NotKept
from libs.exchange.paper.venue import PaperVenue

log = logging.getLogger(__name__)

MARKS_EVERY_SEC: Final = 60.0
"""So often an account that holds something is written for the marks alone, which funding is paid at."""

RETRY_SEC: Final = 0.5


class Deposed(Exception):
    """Another process has the account now; the text names the key."""


def key_of(venue: str) -> str:
    """Where a venue's paper account lies in the store."""
    return f"paper:{venue}"


async def recall(store: Store, venue: str, *, costs: Costs) -> tuple[PaperVenue, int] | None:
    """The account as it was written, with its version. Raises `BadSnapshot` and StoreUnavailable."""
    found = await store.get(key_of(venue))
    return None if found is None else (PaperVenue.restore(found.value, costs=costs), found.version)


class Keeper:
    """See trading.Keep. `tell`: called with the count of changes that are durable now."""

    def __init__(
        self,
        paper: PaperVenue,
        *,
        store: Store,
        lease: Callable[[], Lease],
        store_id: str,
        version: int,
        patience_sec: float,
        retry_sec: float = RETRY_SEC,
    ) -> None:
        """`version` 0: it was never written in the store `store_id`, which was asked for its id before it was
        read. `lease`: the right to write it, as it is now.
        """
        self._paper = paper
        self._store = store
        self._lease = lease
        self._store_id = store_id
        self._version = version
        self._patience_sec = patience_sec
        self._retry_sec = retry_sec
        self._durable = paper.changes if version else -1
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._wake = asyncio.Event()
        self.tell: Callable[[int], None] = _nobody

    def noted(self) -> bool:
        """See trading.Keep."""
        if self._paper.changes <= self._durable:
            return True
        self._wake.set()
        return False

    async def kept(self) -> None:
        """See trading.Keep."""
        if self.noted():
            return
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((self._paper.changes, written))
        try:
            async with asyncio.timeout(self._patience_sec):
                await written
        except TimeoutError:
            raise NotKept(f"{self._paper.venue}: the paper account could not be written in time") from None

    async def run(self) -> None:
        """Write until cancelled. Raises `Deposed`."""
        while True:
            try:
                async with asyncio.timeout(MARKS_EVERY_SEC):
                    await self._wake.wait()
            except TimeoutError:
                if self._paper.holds:
                    await self.write()
            self._wake.clear()
            while self._paper.changes > self._durable:
                await self.write()

    async def write(self) -> None:
        """Write the account as it is now, however long it takes. Raises `Deposed`."""
        changes, data = self._paper.changes, self._paper.snapshot()
        while True:
            if await self._written(data):
                break
            await asyncio.sleep(self._retry_sec)
        self._durable = changes
        self.tell(changes)
        for at, future in self._waiting:
            if at <= changes and not future.done():
                future.set_result(None)
        self._waiting = [one for one in self._waiting if not one[1].done()]

    async def _written(self, data: bytes) -> bool:
        key = key_of(self._paper.venue)
        try:
            found = await self._store.get(key) if self._doubtful else None
            if found is not None and found.version == self._version + 1 and found.value == data:
                self._version, self._doubtful = found.version, False
                return True
            change = Transition(
                store_id=self._store_id,  # one that replaces a lost one begins versions and fences anew
                expect={key: self._version},
                lease=self._lease(),
                writes={key: data},
            )
            self._doubtful = True
            await self._store.transition(change)
        except StoreUnavailable as error:
            log.warning("%s: the paper account is not written yet: %s", self._paper.venue, error)
            return False
        except StoreConflict as error:
            raise Deposed(f"{key}: {error}") from error
        self._version, self._doubtful = self._version + 1, False
        return True

    _doubtful = False
    """Whether the last write may have happened."""


def _nobody(changes: int) -> None:
    del changes
