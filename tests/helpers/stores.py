"""A RedisStore for tests, and what every method must say when its server is away."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from libs.common.redis_store import RedisStore
from libs.common.store import Lease, StoreUnavailable, Transition

TTL_MS = 60_000


@asynccontextmanager
async def connected(url: str, *, timeout_sec: float = 2.0) -> AsyncIterator[RedisStore]:
    store = RedisStore(url, deployment="faults", timeout_sec=timeout_sec)
    await store.connect()
    try:
        yield store
    finally:
        await store.close()


async def everything_fails(store: RedisStore) -> None:
    """Each method says `StoreUnavailable`, without the password."""
    lease = Lease(name="x", owner="me", fence=1, until_mono_us=0)
    for attempt in (
        store.durability(),
        store.get("k"),
        store.put("k", b""),
        store.compare_and_set("k", b"", expect=0),
        store.transition(Transition(writes={"k": b""})),
        store.keys(""),
        store.hash_all("k"),
        store.members("k"),
        store.append("k", {"f": b""}),
        store.read("k"),
        store.trim("k", before="1-0"),
        store.acquire("x", owner="me", ttl_ms=1_000),
        store.renew(lease, ttl_ms=1_000),
        store.release(lease),
        store.store_id(),
        store.free_ratio(),
    ):
        with pytest.raises(StoreUnavailable, match="the store at ") as caught:
            await attempt
        assert "hunter2" not in str(caught.value)
