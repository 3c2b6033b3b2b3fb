"""What of the journal nobody needs any more is let go: a store that only grows is full one day.

The books count from the journal, and their snapshot names the entry up to which they have. Only what the
snapshot that lies in the store covers may go, so that it is read there each time and never taken from
memory; a week of it stays for people. The ledger is never trimmed: it is the money's own history.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

import msgspec

from libs.common.assembly import Offer
from libs.common.instant import MS_PER_DAY, US_PER_MS, Clock
from libs.common.store import Store, StoreConflict, StoreUnavailable, entry_order
from services.executor.books import KEY
from services.executor.writing import JOURNAL

log = logging.getLogger(__name__)

KEPT_DAYS: Final = 7
EVERY_SEC: Final = 3_600.0


class Covered(msgspec.Struct, frozen=True):
    """Of the books' snapshot what matters here."""

    journal_at: str


_snapshot = msgspec.json.Decoder(Covered)


def droppable(snapshot: bytes | None, *, wall_ms: int) -> str | None:
    """The id of the first journal entry that must stay; None when all must.

    The entry that the snapshot names stays too: it costs nothing, and a reader sees where the books stand.
    `msgspec.DecodeError` for a snapshot that nobody understands.
    """
    if snapshot is None:
        return None
    covered = _snapshot.decode(snapshot).journal_at
    week_ago = f"{max(0, wall_ms - KEPT_DAYS * MS_PER_DAY)}-0"
    before = min(covered, week_ago, key=entry_order)
    return before if entry_order(before) > (0, 0) else None


class JournalPruner:
    """Once an hour, in each executor: it asks for nothing that a second one could spoil."""

    def __init__(self, store: Store, clock: Clock, *, every_sec: float = EVERY_SEC) -> None:
        self._store = store
        self._clock = clock
        self._every_sec = every_sec

    async def run(self, _offer: Offer) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(self._every_sec)
            await self.once()

    async def once(self) -> int:
        """How many entries were dropped. A store that does not answer is asked again the next time."""
        try:
            found = await self._store.get(KEY)
            wall_ms = self._clock.now().wall_us // US_PER_MS
            before = droppable(None if found is None else found.value, wall_ms=wall_ms)
            dropped = 0 if before is None else await self._store.trim(JOURNAL, before=before)
        except (StoreUnavailable, StoreConflict, msgspec.DecodeError) as error:
            log.warning("the journal was not trimmed: %s", error)
            return 0
        if dropped:
            log.info("the journal: %d entries that the books have counted were dropped", dropped)
        return dropped
