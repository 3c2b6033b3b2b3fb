"""What the notifier reads from the store."""

from __future__ import annotations

import logging

import msgspec

from libs.common.messages import AlertRaised, BadMessage, decode
from libs.common.notices import ALERTS
from libs.common.store import Entry, Store
from services.notifier.model import ITEMS_KEY, POSITION_KEY, Item, Position
from services.notifier.work import Entries, Kept, LoadState, ReadAlerts, TrimAlerts

log = logging.getLogger(__name__)


class Keeping:
    """Handlers of requests; each raises `StoreUnavailable` when the store is away."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def load(self, _request: LoadState) -> Kept:
        """Position and items; what cannot be read is said and left out."""
        store_id = await self._store.store_id()  # first: should it be lost from here on, nothing fits
        found = await self._store.get(POSITION_KEY)
        fields = await self._store.hash_all(ITEMS_KEY)
        position = msgspec.json.decode(found.value, type=Position) if found is not None else None
        items = []
        for one, raw in fields.items():
            try:
                items.append(msgspec.json.decode(raw, type=Item))
            except msgspec.DecodeError as error:
                log.error("item %s in the store cannot be read (%s): %r", one, error, raw)  # noqa: TRY400
        version = found.version if found is not None else 0
        return Kept(position=position, version=version, store_id=store_id, items=tuple(items))

    async def read(self, request: ReadAlerts) -> Entries:
        """The next alerts."""
        entries = await self._store.read(ALERTS, after=request.after, count=request.count)
        return Entries(alerts=tuple((entry.id, _alert(entry)) for entry in entries))

    async def trim(self, request: TrimAlerts) -> int:
        """How many entries were dropped."""
        return await self._store.trim(ALERTS, before=request.before)


def _alert(entry: Entry) -> AlertRaised | None:
    try:
        return decode(entry.fields.get("json", b""), AlertRaised)
    except BadMessage as error:
        log.error("alert %s cannot be read (%s): %r", entry.id, error, entry.fields)  # noqa: TRY400
        return None
