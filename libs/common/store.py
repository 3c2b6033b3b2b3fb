"""The store as services see it: `Store`, and the rules that every implementation shares.

`RedisStore` (`redis_store.py`) keeps state in Redis or Valkey, the only durable store; `MemoryStore`
(`memory_store.py`) behaves the same inside one process. One `transition` is all or nothing: it checks
fence and versions, then writes every key, hash field, set member and stream entry of the change.
Keys are given without the `fundarb:{deployment}:` prefix.
"""

from __future__ import annotations

import re
from typing import Final, Protocol

import msgspec

from libs.common.reservation import Reservation

STORE_ID: Final = "store_id"
ENTRY_FIELDS_MAX: Final = 1_000
_OURS: Final = re.compile(rf"\A(?:_.*|lease:.*|{STORE_ID})\Z", re.DOTALL)
_ENTRY_ID: Final = re.compile(r"\A([0-9]{1,19})(?:-([0-9]{1,19}))?\Z")


class StoreUnavailable(Exception):
    """Down, full, or too slow: nothing is known to be written."""


class StoreConflict(Exception):
    """A version or fence was not the expected one; nothing was written. The text names the key."""


class Versioned(msgspec.Struct, frozen=True, kw_only=True):
    """A value and its version; versions start at 1 and rise by 1 with each write, over deletes as well."""

    value: bytes
    version: int


class Lease(msgspec.Struct, frozen=True, kw_only=True):
    """A held lease. `fence` only ever rises; by `until_mono_us` (2/3 ttl) the holder gives up."""

    name: str
    owner: str
    fence: int
    until_mono_us: int


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A stream entry; ids are ordered and unique within a stream."""

    id: str
    fields: dict[str, bytes]


class Durability(msgspec.Struct, frozen=True, kw_only=True):
    """Whether what a store acknowledges survives a crash (None: not known), and in words why not."""

    durable: bool | None
    text: str = ""


class Transition(msgspec.Struct, frozen=True, kw_only=True):
    """One atomic change.

    - `store_id`: the store that it is meant for, "" for any; versions begin anew in a store that replaces a
      lost one, so that one read in the old store may fit there by chance
    - `expect`: key -> version that it must have now (0: must not exist, whatever was there before)
    - `lease`: the fence that must still be the newest one of that lease
    - `writes`: key -> new value (version rises), None deletes
    - `hash_writes`: hash key -> field -> value, None deletes the field
    - `set_adds`: set key -> members
    - `appends`: stream -> entries
    - `reserve`: a share of something limited; refused as a conflict when there is no room for it
    - `once`: (set key, member): when the member is already in the set the whole transition does
      nothing and answers False (idempotent booking by venue id); else the member is added

    Checked in this order: `store_id`, lease, `once`, `expect`, `reserve`. A deposed holder learns it in any
    case; a booking repeated after an unknown outcome is recognised though its versions have moved on.
    """

    store_id: str = ""
    expect: dict[str, int] = {}
    lease: Lease | None = None
    writes: dict[str, bytes | None] = {}
    hash_writes: dict[str, dict[str, bytes | None]] = {}
    set_adds: dict[str, tuple[str, ...]] = {}
    appends: dict[str, tuple[dict[str, bytes], ...]] = {}
    once: tuple[str, str] | None = None
    reserve: Reservation | None = None


def check_key(key: str) -> None:
    """`ValueError` for an empty key, and for names that the store itself uses."""
    if not key or _OURS.match(key):
        raise ValueError(f"the key {key!r} is the store's own (empty, {STORE_ID}, lease:..., _...)")


def check_change(change: Transition) -> None:
    """`ValueError` for a transition that could stop half way: one key of two kinds, an empty entry."""
    kinds = (
        set(change.writes) | set(change.expect),
        set(change.hash_writes) | ({change.reserve.key} if change.reserve else set()),
        set(change.set_adds) | ({change.once[0]} if change.once else set()),
        set(change.appends),
    )
    seen: set[str] = set()
    for keys in kinds:
        if both := seen & keys:
            raise ValueError(f"{sorted(both)} cannot be of two kinds in one transition")
        seen |= keys
    for key in seen:
        check_key(key)
    for stream, entries in change.appends.items():
        if not all(0 < len(entry) <= ENTRY_FIELDS_MAX for entry in entries):
            raise ValueError(f"an entry of {stream} has no fields, or more than {ENTRY_FIELDS_MAX}")


def entry_order(entry_id: str) -> tuple[int, int]:
    """A stream id as (ms, sequence), to compare by; `ValueError` when it is none."""
    match = _ENTRY_ID.match(entry_id)
    if match is None:
        raise ValueError(f"{entry_id!r} is no stream id like 1700000000000-0")
    return int(match[1]), int(match[2] or 0)


def lease_until(asked_mono_us: int, ttl_ms: int) -> int:
    """When a holder must have given up: 2/3 of the time to live, counted from *before* asking."""
    return asked_mono_us + ttl_ms * 1_000 * 2 // 3


class Store(Protocol):
    """Durable state with compare-and-set, streams, leases and atomic multi-key transitions.

    Every method raises `StoreUnavailable` when the outcome is not known to be durable: after a write it
    may or may not have happened, and nothing is retried behind the caller's back. A key that holds
    another kind than the method needs is a `StoreConflict`. Deleting a key keeps the count of its
    versions, so that what was read before a delete never fits a later value; the count takes some bytes
    for each name that was ever used, so names come out of a bounded set (pairs, services).
    """

    async def connect(self) -> None:
        """Raise `StoreUnavailable` with the address (never the password) when it cannot be reached."""
        ...

    async def durability(self) -> Durability:
        """Whether what it acknowledges survives a crash. A store that does not is still a store: say it."""
        ...

    async def get(self, key: str) -> Versioned | None: ...

    async def put(self, key: str, value: bytes | None) -> int:
        """Unconditional write; answers the new version (0 after a delete)."""
        ...

    async def compare_and_set(self, key: str, value: bytes, *, expect: int) -> int:
        """Write when the version is `expect` (0: absent), answer the new one; else `StoreConflict`."""
        ...

    async def transition(self, change: Transition) -> bool:
        """All or nothing; False when `once` had already happened; `StoreConflict` on version or fence."""
        ...

    async def keys(self, prefix: str) -> list[str]:
        """Keys of values (not of hashes, sets, streams) that begin with `prefix`, sorted."""
        ...

    async def hash_all(self, key: str) -> dict[str, bytes]: ...

    async def members(self, key: str) -> set[str]: ...

    async def append(self, stream: str, fields: dict[str, bytes], *, most: int | None = None) -> str:
        """Add an entry, answer its id. `most`: the newest so many stay at least, and hardly more."""
        ...

    async def read(self, stream: str, *, after: str = "0", count: int = 100) -> list[Entry]:
        """The next `count` entries after id `after`, oldest first."""
        ...

    async def trim(self, stream: str, *, before: str) -> int:
        """Drop entries older than id `before`, answer how many.

        Of what something is counted from only after a snapshot or export.
        """
        ...

    async def acquire(self, name: str, *, owner: str, ttl_ms: int) -> Lease | None:
        """Take a free or own lease with a new, higher fence; None when another holds it."""
        ...

    async def renew(self, lease: Lease, *, ttl_ms: int) -> Lease | None:
        """Prolong with the same fence; None when it is lost."""
        ...

    async def release(self, lease: Lease) -> None:
        """Let others have it at once; fine when it was lost before."""
        ...

    async def store_id(self) -> str:
        """64 random bits in hex, written when the store was created: a lost store is noticed by it."""
        ...

    async def free_ratio(self) -> float:
        """The least share that is free of its memory limit and, where that is known, of its disk; 1.0 without
        either, 0.0 when it could not write its journal.
        """
        ...

    async def close(self) -> None: ...
