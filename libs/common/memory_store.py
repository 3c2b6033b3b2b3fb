"""`MemoryStore`: the store inside one process, with failures on request.

store = MemoryStore(clock=clock)
store.down = True                      # nothing works: StoreUnavailable
store.full = True                      # what needs room is refused, like a full Redis
store.fault = lambda op: Fault.UNANSWERED if op == "transition" else Fault.NONE
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Final, TypeVar, cast

import msgspec

from libs.common.clock import SystemClock
from libs.common.instant import US_PER_MS, Clock
from libs.common.reservation import Reservation, over
from libs.common.store import (
    STORE_ID,
    Durability,
    Entry,
    Lease,
    StoreConflict,
    StoreUnavailable,
    Transition,
    Versioned,
    check_change,
    check_key,
    entry_order,
    lease_until,
)

_Hash = dict[str, bytes]
_Set = set[str]
_Stream = list[Entry]
_Kept = Versioned | _Hash | _Set | _Stream
_NAMES: Final[dict[type, str]] = {Versioned: "string", dict: "hash", set: "set", list: "stream"}

R = TypeVar("R")
K = TypeVar("K", Versioned, _Hash, _Set, _Stream)


class Fault(StrEnum):
    """What happens to an operation: nothing, it is not done, or it is done and the answer is lost."""

    NONE = "none"
    REFUSED = "refused"
    UNANSWERED = "unanswered"


class _Held(msgspec.Struct, frozen=True, kw_only=True):
    owner: str
    fence: int
    until_us: int


class MemoryStore:
    """Same contract as `RedisStore`, on the clock it is given."""

    def __init__(self, *, clock: Clock | None = None, store_id: str = "00000000feedbee5") -> None:
        self.clock = clock or SystemClock()
        self.down = False
        self.full = False
        self.fault: Callable[[str], Fault] | None = None
        self.lasting = Durability(durable=True)
        self._id = store_id
        self._kept: dict[str, _Kept] = {}
        self._versions: dict[str, int] = {}
        self._last_ids: dict[str, tuple[int, int]] = {}
        self._held: dict[str, _Held] = {}
        self._fences: dict[str, int] = {}
        self._owners: dict[str, str] = {}

    async def connect(self) -> None:
        self._reads("connect")

    async def durability(self) -> Durability:
        self._reads("durability")
        return self.lasting

    async def get(self, key: str) -> Versioned | None:
        check_key(key)
        self._reads("get")
        return self._find(key, Versioned)

    async def put(self, key: str, value: bytes | None) -> int:
        check_key(key)
        lost = self._enter("put", grows=True)
        self._find(key, Versioned)
        return self._leave("put", self._write(key, value), lost=lost)

    async def compare_and_set(self, key: str, value: bytes, *, expect: int) -> int:
        check_key(key)
        lost = self._enter("compare_and_set", grows=True)
        self._expect(key, expect)
        return self._leave("compare_and_set", self._write(key, value), lost=lost)

    async def transition(self, change: Transition) -> bool:
        check_change(change)
        lost = self._enter("transition", grows=True)
        return self._leave("transition", self._transition(change), lost=lost)

    async def keys(self, prefix: str) -> list[str]:
        self._reads("keys")
        return sorted(
            key for key, kept in self._kept.items() if isinstance(kept, Versioned) and key.startswith(prefix)
        )

    async def hash_all(self, key: str) -> dict[str, bytes]:
        check_key(key)
        self._reads("hash_all")
        return dict(self._find(key, dict) or {})

    async def members(self, key: str) -> set[str]:
        check_key(key)
        self._reads("members")
        return set(self._find(key, set) or ())

    async def append(self, stream: str, fields: dict[str, bytes], *, most: int | None = None) -> str:
        check_change(Transition(appends={stream: (fields,)}))
        lost = self._enter("append", grows=True)
        self._find(stream, list)
        added = self._append(stream, fields)
        if most is not None:
            entries = self._find(stream, list) or []
            entries[:] = entries[-most:]
        return self._leave("append", added, lost=lost)

    async def read(self, stream: str, *, after: str = "0", count: int = 100) -> list[Entry]:
        check_key(stream)
        start = entry_order(after)
        self._reads("read")
        if count <= 0:
            return []
        return [e for e in self._find(stream, list) or () if entry_order(e.id) > start][:count]

    async def trim(self, stream: str, *, before: str) -> int:
        check_key(stream)
        limit = entry_order(before)
        lost = self._enter("trim")
        entries = self._find(stream, list) or []
        kept = [entry for entry in entries if entry_order(entry.id) >= limit]
        dropped = len(entries) - len(kept)
        entries[:] = kept
        return self._leave("trim", dropped, lost=lost)

    async def acquire(self, name: str, *, owner: str, ttl_ms: int) -> Lease | None:
        lost = self._enter("acquire", grows=True)
        now_us = self.clock.now().mono_us
        held = self._holder(name)
        if held is not None and held.owner != owner:
            return None
        fence = self._fences[name] = self._fences.get(name, 0) + 1
        self._owners[name] = owner
        self._held[name] = _Held(owner=owner, fence=fence, until_us=now_us + ttl_ms * US_PER_MS)
        lease = Lease(name=name, owner=owner, fence=fence, until_mono_us=lease_until(now_us, ttl_ms))
        return self._leave("acquire", lease, lost=lost)

    async def renew(self, lease: Lease, *, ttl_ms: int) -> Lease | None:
        lost = self._enter("renew")
        now_us = self.clock.now().mono_us
        held = self._holder(lease.name)
        if held is None or (held.owner, held.fence) != (lease.owner, lease.fence):
            return None
        self._held[lease.name] = msgspec.structs.replace(held, until_us=now_us + ttl_ms * US_PER_MS)
        renewed = msgspec.structs.replace(lease, until_mono_us=lease_until(now_us, ttl_ms))
        return self._leave("renew", renewed, lost=lost)

    async def release(self, lease: Lease) -> None:
        lost = self._enter("release")
        held = self._holder(lease.name)
        if held is not None and (held.owner, held.fence) == (lease.owner, lease.fence):
            del self._held[lease.name]
        self._leave("release", None, lost=lost)

    async def store_id(self) -> str:
        self._reads("store_id")
        return self._id

    async def free_ratio(self) -> float:
        self._reads("free_ratio")
        return 0.0 if self.full else 1.0

    async def close(self) -> None:
        """Nothing to give back; what was kept stays for the next one who is handed this store."""

    def _reads(self, operation: str) -> None:
        self._leave(operation, None, lost=self._enter(operation))

    def _enter(self, operation: str, *, grows: bool = False) -> bool:
        """Fail as asked before anything happens; answer whether the answer will be lost."""
        if self.down:
            raise StoreUnavailable("the memory store is down")
        if grows and self.full:
            raise StoreUnavailable("the memory store is full")
        fault = self.fault(operation) if self.fault is not None else Fault.NONE
        if fault is Fault.REFUSED:
            raise StoreUnavailable(f"{operation} was refused")
        return fault is Fault.UNANSWERED

    def _leave(self, operation: str, result: R, *, lost: bool) -> R:
        if lost:
            raise StoreUnavailable(f"{operation} was not answered")
        return result

    def _find(self, key: str, kind: type[K]) -> K | None:
        kept = self._kept.get(key)
        if kept is not None and not isinstance(kept, kind):
            raise StoreConflict(f"{key}: holds a {_NAMES[type(kept)]}, no {_NAMES[kind]}")
        return kept

    def _expect(self, key: str, version: int) -> None:
        kept = self._find(key, Versioned)
        found = kept.version if kept is not None else 0
        if found != version:
            raise StoreConflict(f"{key}: expected version {version}, found {found}")

    def _write(self, key: str, value: bytes | None) -> int:
        if value is None:
            self._kept.pop(key, None)
            return 0
        version = self._versions[key] = self._versions.get(key, 0) + 1  # goes on after a delete
        self._kept[key] = Versioned(value=bytes(value), version=version)
        return version

    def _append(self, stream: str, fields: dict[str, bytes]) -> str:
        order = (self.clock.now().wall_us // US_PER_MS, 0)
        last = self._last_ids.get(stream, (0, 0))
        if order <= last:
            order = (last[0], last[1] + 1)
        self._last_ids[stream] = order
        entry = Entry(
            id=f"{order[0]}-{order[1]}", fields={key: bytes(value) for key, value in fields.items()}
        )
        cast("_Stream", self._kept.setdefault(stream, [])).append(entry)
        return entry.id

    def _transition(self, change: Transition) -> bool:
        if change.store_id not in ("", self._id):
            raise StoreConflict(f"{STORE_ID}: meant for {change.store_id}, this store is {self._id}")
        if change.lease is not None:
            self._check_lease(change.lease)
        if change.once is not None and change.once[1] in (self._find(change.once[0], set) or ()):
            return False
        for key, version in change.expect.items():
            self._expect(key, version)
        self._check_reserve(change.reserve)
        for key in change.writes:
            self._find(key, Versioned)
        # What adds nothing touches nothing, of whatever kind the key is.
        for key in (key for key, fields in change.hash_writes.items() if fields):
            self._find(key, dict)
        for key in (key for key, members in change.set_adds.items() if members):
            self._find(key, set)
        for key in (key for key, entries in change.appends.items() if entries):
            self._find(key, list)
        self._apply(change)
        return True

    def _check_lease(self, lease: Lease) -> None:
        newest = self._fences.get(lease.name)
        if newest != lease.fence:
            raise StoreConflict(
                f"lease:{lease.name}: fence {lease.fence} is not the newest, {newest or 'none'} is"
            )
        if self._owners.get(lease.name) != lease.owner:
            raise StoreConflict(
                f"lease:{lease.name}: fence {lease.fence} is another owner's:"
                " the store is not the one that gave it"
            )

    def _check_reserve(self, wish: Reservation | None) -> None:
        if wish is not None and (why := over(wish, self._find(wish.key, dict) or {})):
            raise StoreConflict(f"{wish.key}: {why}")

    def _apply(self, change: Transition) -> None:
        """All checks have passed: nothing below can fail."""
        for key, value in change.writes.items():
            self._write(key, value)
        if (wish := change.reserve) is not None:
            self._kept[wish.key] = {**(self._find(wish.key, dict) or {}), wish.field: wish.value}
        for key, fields in change.hash_writes.items():
            self._write_fields(key, fields)
        adds = [(key, member) for key, members in change.set_adds.items() for member in members]
        for key, member in adds if change.once is None else [*adds, change.once]:
            cast("_Set", self._kept.setdefault(key, set())).add(member)
        for stream, entries in change.appends.items():
            for entry in entries:
                self._append(stream, entry)

    def _write_fields(self, key: str, fields: dict[str, bytes | None]) -> None:
        if not fields:
            return
        kept = dict(self._find(key, dict) or {})
        for field, value in fields.items():
            if value is None:
                kept.pop(field, None)
            else:
                kept[field] = bytes(value)
        if kept:
            self._kept[key] = kept
        else:
            self._kept.pop(key, None)

    def _holder(self, name: str) -> _Held | None:
        held = self._held.get(name)
        return held if held is not None and held.until_us > self.clock.now().mono_us else None
