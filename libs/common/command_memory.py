"""Ids of commands that an earlier life of a service has taken, read back from the audit stream.

A command with an id and without `ts_ms` could otherwise be played again over each restart.
"""

from __future__ import annotations

from typing import Final

import msgspec

from libs.common.commands import IDS_MAX
from libs.common.instant import MS_PER_DAY, MS_PER_HOUR, US_PER_MS
from libs.common.notices import AUDIT
from libs.common.store import Entry, Store

WINDOWS_MS: Final = (MS_PER_HOUR, 6 * MS_PER_HOUR, MS_PER_DAY, 7 * MS_PER_DAY)
"""How far back is read, until there are IDS_MAX: the newest count most, and a stream is read forwards."""

PAGE: Final = 500
ENTRIES_MAX: Final = 4 * IDS_MAX
"""At most so many lines are looked at: a start must not take long because somebody shouted all night."""


class _Said(msgspec.Struct, frozen=True):
    id: str | None = None


_body = msgspec.json.Decoder(_Said)


async def recent_ids(store: Store, service: str, *, wall_us: int) -> tuple[str, ...]:
    """Ids that `service` has audited within a week, oldest first. Raises `StoreUnavailable`."""
    now_ms = wall_us // US_PER_MS
    found: list[str] = []
    seen, until = 0, None
    for window_ms in WINDOWS_MS:
        after = f"{max(0, now_ms - window_ms)}-0"
        older, seen = await _between(store, service, after=after, until=until, seen=seen)
        found = older + found
        if len(found) >= IDS_MAX or seen >= ENTRIES_MAX:
            break
        until = now_ms - window_ms
    return tuple(found[-IDS_MAX:])


async def _between(
    store: Store, service: str, *, after: str, until: int | None, seen: int
) -> tuple[list[str], int]:
    """Ids later than `after`, not later than `until` (ms, None: now), and how many lines have been read."""
    found: list[str] = []
    while seen < ENTRIES_MAX:
        page = await store.read(AUDIT, after=after, count=PAGE)
        for entry in page:
            if until is not None and int(entry.id.partition("-")[0]) > until:
                return found, seen
            seen += 1
            if (one := _id_of(entry, service)) is not None:
                found.append(one)
        if len(page) < PAGE:
            break
        after = page[-1].id
    return found, seen


def _id_of(entry: Entry, service: str) -> str | None:
    """None for other services' lines, for commands without an id, and for bodies that were unreadable."""
    if entry.fields.get("service") != service.encode():
        return None
    try:
        return _body.decode(entry.fields.get("body", b"")).id
    except msgspec.DecodeError:
        return None
