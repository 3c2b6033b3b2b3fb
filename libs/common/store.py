"""The store as services see it: `Store`, and `MemoryStore` that behaves the same inside one process.

Redis (Valkey) is the only durable store. One `transition` is all or nothing: it checks fence and
versions, then writes every key, hash field, set member and stream entry of the change.
Keys are given without the `fundarb:{deployment}:` prefix.
"""

from __future__ import annotations

from typing import Protocol

import msgspec


class StoreUnavailable(Exception):
    """Down, full, or too slow: nothing is known to be written."""


class StoreConflict(Exception):
    """A version or fence was not the expected one; nothing was written. The text names the key."""


class Versioned(msgspec.Struct, frozen=True, kw_only=True):
    """A value and its version; versions start at 1 and rise by 1 with each write."""

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


class Transition(msgspec.Struct, frozen=True, kw_only=True):
    """One atomic change.

    - `expect`: key -> version that it must have now (0: must not exist)
    - `lease`: the fence that must still be the newest one of that lease
    - `writes`: key -> new value (version rises), None deletes
    - `hash_writes`: hash key -> field -> value, None deletes the field
    - `set_adds`: set key -> members
    - `appends`: stream -> entries
    - `once`: (set key, member): when the member is already in the set the whole transition does
      nothing and answers False (idempotent booking by venue id)
    """

    expect: dict[str, int] = {}
    lease: Lease | None = None
    writes: dict[str, bytes | None] = {}
    hash_writes: dict[str, dict[str, bytes | None]] = {}
    set_adds: dict[str, tuple[str, ...]] = {}
    appends: dict[str, tuple[dict[str, bytes], ...]] = {}
    once: tuple[str, str] | None = None


class Store(Protocol):
    """Durable state with compare-and-set, streams, leases and atomic multi-key transitions.

    Every method raises `StoreUnavailable` when the outcome is not known to be durable.
    """

    async def connect(self) -> None: ...

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

    async def keys(self, prefix: str) -> list[str]: ...

    async def hash_all(self, key: str) -> dict[str, bytes]: ...

    async def members(self, key: str) -> set[str]: ...

    async def append(self, stream: str, fields: dict[str, bytes]) -> str: ...

    async def read(self, stream: str, *, after: str = "0", count: int = 100) -> list[Entry]: ...

    async def trim(self, stream: str, *, before: str) -> int:
        """Drop entries older than id `before`, answer how many; only after a snapshot or export."""
        ...

    async def acquire(self, name: str, *, owner: str, ttl_ms: int) -> Lease | None:
        """Take a free or own lease with a new, higher fence; None when another holds it."""
        ...

    async def renew(self, lease: Lease, *, ttl_ms: int) -> Lease | None:
        """Prolong with the same fence; None when it is lost."""
        ...

    async def release(self, lease: Lease) -> None: ...

    async def store_id(self) -> str:
        """64 random bits in hex, written when the store was created: a lost store is noticed by it."""
        ...

    async def free_ratio(self) -> float:
        """Share of the memory limit that is free, 1.0 when there is no limit."""
        ...

    async def close(self) -> None: ...
