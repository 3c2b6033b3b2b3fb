"""`MemoryStore` and `RedisStore` answer the same to any sequence of operations."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.common.memory_store import MemoryStore
from libs.common.redis_store import RedisStore
from libs.common.store import Entry, Lease, Store, StoreConflict, Transition
from tests.helpers.servers import real_valkey

TTL_MS = 600_000

# Few names, so that operations meet; the same names for all kinds, so that kinds clash too.
NAMES = ("a", "pair:x")
names = st.sampled_from(NAMES)
values = st.sampled_from([b"", b"1", b"\x00\xff", b"{}\r\n"])
fields = st.dictionaries(st.sampled_from(["f", "g"]), values, min_size=1)
versions = st.integers(0, 5)
# Streams and leases are named by number: which id or fence that is differs between the stores' lives.
positions = st.integers(0, 4)

transitions = st.fixed_dictionaries(
    {
        "expect": st.dictionaries(names, versions, max_size=2),
        "writes": st.dictionaries(names, st.none() | values, max_size=2),
        "hash_writes": st.dictionaries(names, st.dictionaries(names, st.none() | values), max_size=1),
        "set_adds": st.dictionaries(names, st.lists(names).map(tuple), max_size=1),
        "appends": st.dictionaries(names, st.lists(fields).map(tuple), max_size=1),
        "once": st.none() | st.tuples(names, names),
        "lease": st.none() | positions,
    }
)
operations = st.one_of(
    st.tuples(st.just("get"), names),
    st.tuples(st.just("put"), names, st.none() | values),
    st.tuples(st.just("compare_and_set"), names, values, versions),
    st.tuples(st.just("renewed"), names, values),
    st.tuples(st.just("transition"), transitions),
    st.tuples(st.just("keys"), st.sampled_from(["", "p", "pair:", "*"])),
    st.tuples(st.just("hash_all"), names),
    st.tuples(st.just("members"), names),
    st.tuples(st.just("append"), names, fields),
    st.tuples(st.just("read"), names, positions, st.integers(0, 3)),
    st.tuples(st.just("trim"), names, positions),
    st.tuples(st.just("acquire"), names, st.sampled_from(["me", "you 2"])),
    st.tuples(st.just("renew"), positions),
    st.tuples(st.just("release"), positions),
)


class Driver:
    """Runs operations on one store; answers are made comparable by replacing ids with their numbers."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.ids: dict[str, list[str]] = {}
        self.leases: list[Lease] = []
        self.versions: dict[str, set[int]] = {}

    async def run(self, operation: tuple[Any, ...]) -> object:
        try:
            return await self._run(*operation)
        except (StoreConflict, ValueError) as error:
            # Reading a key of another kind is refused in the server's own words.
            return type(error).__name__, str(error).split(":")[0]

    async def everything(self) -> object:
        """All that is readable, in comparable form."""
        found: list[object] = [await self.store.keys("")]
        for name in NAMES:
            found += [
                await self.run(("get", name)),
                await self.run(("hash_all", name)),
                await self.run(("members", name)),
                [entry.fields for entry in await self._read(name)],
            ]
        return found

    async def _run(self, name: str, *arguments: Any) -> object:  # noqa: PLR0911 - one for each operation
        match name, arguments:
            case "get", (key,):
                found = await self.store.get(key)
                if found is not None:
                    self.versions.setdefault(key, set()).add(found.version)
                return found
            case "put", (key, value):
                return self._newer(key, await self.store.put(key, value))
            case "compare_and_set", (key, value, expect):
                return self._newer(key, await self.store.compare_and_set(key, value, expect=expect))
            case "renewed", (key, value):
                return await self._renewed(key, value)
            case "transition", (parts,):
                lease = self._lease(parts["lease"]) if parts["lease"] is not None else None
                return await self.store.transition(Transition(**{**parts, "lease": lease}))
            case "append", (key, content):
                await self.store.append(key, content)
                return None
            case "read", (key, position, count):
                entries = await self.store.read(key, after=await self._id(key, position), count=count)
                return [entry.fields for entry in entries]
            case "trim", (key, position):
                return await self.store.trim(key, before=await self._id(key, position))
            case "acquire", (key, owner):
                lease = await self.store.acquire(key, owner=owner, ttl_ms=TTL_MS)
                if lease is not None:
                    self.leases.append(lease)
                return lease and (lease.name, lease.owner, lease.fence)
            case "renew", (position,):
                lease = await self.store.renew(self._lease(position), ttl_ms=TTL_MS)
                return lease and (lease.name, lease.owner, lease.fence)
            case "release", (position,):
                await self.store.release(self._lease(position))
                return None
            case _:
                return await getattr(self.store, name)(*arguments)

    def _newer(self, key: str, version: int) -> int:
        """A version is given once in the life of a key, deleted or not."""
        seen = self.versions.setdefault(key, set())
        assert version == 0 or version > max(seen, default=0)
        seen.add(version)
        return version

    async def _renewed(self, key: str, value: bytes) -> int:
        """Read, deleted and written by another: the version that was read fits no more."""
        read = await self.store.get(key)
        await self.store.put(key, None)
        version = self._newer(key, await self.store.put(key, value))
        if read is not None:
            with pytest.raises(StoreConflict):
                await self.store.compare_and_set(key, b"stale", expect=read.version)
        return version

    def _lease(self, position: int) -> Lease:
        if position < len(self.leases):
            return self.leases[position]
        return Lease(name="a", owner="me", fence=position + 1, until_mono_us=0)

    async def _id(self, stream: str, position: int) -> str:
        entries = await self._read(stream)
        return entries[position].id if position < len(entries) else "9999999999999-0" if position % 2 else "0"

    async def _read(self, stream: str) -> list[Entry]:
        try:
            return await self.store.read(stream, count=1_000)
        except StoreConflict:
            return []


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with real_valkey(durable=False) as server:
        asyncio.run(server.ready())
        yield server.url


_deployments = itertools.count(1)


@settings(
    max_examples=80,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(script=st.lists(operations, min_size=20, max_size=40))
def test_memory_and_redis_answer_the_same(url: str, script: list[tuple[Any, ...]]) -> None:
    async def compare() -> None:
        redis = RedisStore(url, deployment=f"p{next(_deployments)}")
        await redis.connect()
        try:
            ours, theirs = Driver(MemoryStore()), Driver(redis)
            for operation in script:
                assert await ours.run(operation) == await theirs.run(operation), operation
                if operation[0] == "transition":
                    assert await ours.everything() == await theirs.everything(), operation
            assert await ours.everything() == await theirs.everything()
        finally:
            await redis.close()

    asyncio.run(compare())
