"""Failures on request: what a service must survive can be had in a unit test."""

from __future__ import annotations

import pytest

from libs.common.instant import ManualClock
from libs.common.memory_store import Fault, MemoryStore
from libs.common.store import Lease, StoreUnavailable, Transition, Versioned


async def filled() -> MemoryStore:
    store = MemoryStore(clock=ManualClock())
    await store.connect()
    await store.put("k", b"1")
    await store.append("s", {"f": b"1"})
    return store


async def test_down_fails_everything_and_keeps_all() -> None:
    store = await filled()
    lease = await store.acquire("x", owner="me", ttl_ms=1_000)
    assert lease is not None
    store.down = True
    for attempt in (
        store.connect(),
        store.durability(),
        store.get("k"),
        store.put("k", b"2"),
        store.compare_and_set("k", b"2", expect=1),
        store.transition(Transition(writes={"k": b"2"})),
        store.keys(""),
        store.hash_all("h"),
        store.members("m"),
        store.append("s", {"f": b"2"}),
        store.read("s"),
        store.trim("s", before="9999999999999"),
        store.acquire("x", owner="me", ttl_ms=1),
        store.renew(lease, ttl_ms=1),
        store.release(lease),
        store.store_id(),
        store.free_ratio(),
    ):
        with pytest.raises(StoreUnavailable, match="down"):
            await attempt
    store.down = False
    assert await store.get("k") == Versioned(value=b"1", version=1)
    assert len(await store.read("s")) == 1
    assert await store.renew(lease, ttl_ms=1_000) is not None


async def test_full_refuses_what_grows_as_a_full_redis_does() -> None:
    store = await filled()
    lease = await store.acquire("x", owner="me", ttl_ms=1_000)
    assert lease is not None
    store.full = True
    for attempt in (
        store.put("k", b"2"),
        store.put("k", None),
        store.compare_and_set("k", b"2", expect=1),
        store.transition(Transition(writes={"k": b"2"})),
        store.append("s", {"f": b"2"}),
        store.acquire("y", owner="me", ttl_ms=1),
    ):
        with pytest.raises(StoreUnavailable, match="full"):
            await attempt
    assert await store.free_ratio() == 0.0
    assert await store.get("k") == Versioned(value=b"1", version=1)
    assert await store.renew(lease, ttl_ms=1_000) is not None
    assert await store.trim("s", before="9999999999999") == 1
    await store.release(lease)


async def test_an_unanswered_write_has_happened_and_a_refused_one_has_not() -> None:
    store = await filled()
    change = Transition(expect={"k": 1}, writes={"k": b"2"}, once=("ids", "1"))
    store.fault = lambda operation: Fault.REFUSED if operation == "transition" else Fault.NONE
    with pytest.raises(StoreUnavailable, match="refused"):
        await store.transition(change)
    assert await store.get("k") == Versioned(value=b"1", version=1)
    store.fault = lambda operation: Fault.UNANSWERED if operation == "transition" else Fault.NONE
    with pytest.raises(StoreUnavailable, match="not answered"):
        await store.transition(change)
    store.fault = lambda _: Fault.UNANSWERED
    with pytest.raises(StoreUnavailable, match="not answered"):
        await store.get("k")
    store.fault = None
    assert await store.get("k") == Versioned(value=b"2", version=2)
    assert await store.transition(change) is False


async def test_leases_live_on_the_given_clock() -> None:
    clock = ManualClock()
    store = MemoryStore(clock=clock)
    lease = await store.acquire("x", owner="me", ttl_ms=3_000)
    assert lease == Lease(name="x", owner="me", fence=1, until_mono_us=2_000_000)
    clock.advance(ms=2_999)
    assert await store.acquire("x", owner="you", ttl_ms=3_000) is None
    renewed = await store.renew(lease, ttl_ms=3_000)
    assert renewed == Lease(name="x", owner="me", fence=1, until_mono_us=4_999_000)
    clock.advance(ms=3_000)
    assert await store.renew(renewed, ttl_ms=3_000) is None
    theirs = await store.acquire("x", owner="you", ttl_ms=3_000)
    assert theirs is not None
    assert theirs.fence == 2


async def test_what_was_handed_out_cannot_change_what_is_kept() -> None:
    store = await filled()
    await store.transition(Transition(hash_writes={"h": {"f": b"1"}}, set_adds={"m": ("a",)}))
    (await store.hash_all("h")).clear()
    (await store.members("m")).clear()
    (await store.read("s")).clear()
    assert await store.hash_all("h") == {"f": b"1"}
    assert await store.members("m") == {"a"}
    assert len(await store.read("s")) == 1
