"""What every `Store` keeps of streams and leases, in memory and in a real server."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from libs.common.clock import mono_us
from libs.common.store import Entry, Store, StoreConflict, Transition, Versioned, entry_order
from tests.contract.store_states import TTL_MS


async def test_a_deposed_holder_hears_of_it_even_for_what_happened_once(store: Store) -> None:
    old = await store.acquire("exec", owner="a", ttl_ms=TTL_MS)
    assert old is not None
    assert await store.transition(Transition(lease=old, once=("ids", "1"), writes={"k": b"1"}))
    await store.release(old)
    new = await store.acquire("exec", owner="b", ttl_ms=TTL_MS)
    assert new is not None
    assert new.fence > old.fence
    with pytest.raises(StoreConflict, match=r"^lease:exec: fence 1 is not the newest, 2 is$"):
        await store.transition(Transition(lease=old, once=("ids", "1")))
    with pytest.raises(StoreConflict, match=r"^lease:exec"):
        await store.transition(Transition(lease=old, writes={"k": b"stale"}))
    assert await store.get("k") == Versioned(value=b"1", version=1)
    assert await store.transition(Transition(lease=new, writes={"k": b"2"}))


async def test_a_stream_is_read_in_order_and_trimmed_before_an_id(store: Store) -> None:
    assert await store.read("s") == []
    assert await store.trim("s", before="9-0") == 0
    ids = [await store.append("s", {"n": b"%d" % number}) for number in range(10)]
    assert len(set(ids)) == 10
    entries = await store.read("s")
    assert entries == [Entry(id=one, fields={"n": b"%d" % number}) for number, one in enumerate(ids)]
    assert await store.read("s", after=ids[3], count=2) == entries[4:6]
    assert await store.read("s", after=ids[-1]) == []
    assert await store.read("s", count=0) == []
    assert await store.trim("s", before=ids[4]) == 4
    assert await store.trim("s", before=ids[4]) == 0
    assert await store.read("s") == entries[4:]
    assert await store.read("s", after=ids[1]) == entries[4:]
    assert entry_order(await store.append("s", {"n": b"10"})) > entry_order(ids[-1])


async def test_a_trimmed_out_stream_goes_on_with_higher_ids(store: Store) -> None:
    first = await store.append("s", {"n": b"1"})
    later = f"{int(first.split('-')[0]) + 10_000_000}-0"
    assert await store.trim("s", before=later) == 1
    assert await store.read("s") == []
    second = await store.append("s", {"n": b"2"})
    assert entry_order(second) > entry_order(first)


@pytest.mark.parametrize(
    "bad", ["", "x", "1-", "-1", "1-2-3", "+", "$", "1 2", "99999999999999999999999", "\uff11"]
)
async def test_a_stream_id_of_the_wrong_form_is_refused(store: Store, bad: str) -> None:
    with pytest.raises(ValueError, match="no stream id"):
        await store.read("s", after=bad)
    with pytest.raises(ValueError, match="no stream id"):
        await store.trim("s", before=bad)


async def test_a_lease_has_one_holder_and_fences_only_rise(store: Store) -> None:
    asked_us = mono_us()
    mine = await store.acquire("exec", owner="me and my host", ttl_ms=TTL_MS)
    assert mine is not None
    assert (mine.name, mine.owner, mine.fence) == ("exec", "me and my host", 1)
    # Given up at 2/3 of the ttl, counted from before the question: never later than the server thinks.
    assert asked_us + TTL_MS * 667 <= mine.until_mono_us + 100_000
    assert mine.until_mono_us <= mono_us() + TTL_MS * 667
    assert await store.acquire("exec", owner="me", ttl_ms=TTL_MS) is None
    other = await store.acquire("other", owner="me", ttl_ms=TTL_MS)
    assert other is not None
    assert other.fence == 1
    again = await store.acquire("exec", owner="me and my host", ttl_ms=TTL_MS)
    assert again is not None
    assert again.fence == 2
    assert await store.renew(mine, ttl_ms=TTL_MS) is None  # its own older life
    renewed = await store.renew(again, ttl_ms=TTL_MS * 2)
    assert renewed is not None
    assert renewed.fence == 2
    assert renewed.until_mono_us > again.until_mono_us
    await store.release(mine)
    assert await store.acquire("exec", owner="thief", ttl_ms=TTL_MS) is None
    await store.release(again)
    await store.release(again)
    assert await store.renew(again, ttl_ms=TTL_MS) is None
    thief = await store.acquire("exec", owner="thief", ttl_ms=TTL_MS)
    assert thief is not None
    assert thief.fence == 3


async def test_a_fence_of_another_store_is_refused_though_its_number_fits(store: Store) -> None:
    mine = await store.acquire("exec", owner="me", ttl_ms=TTL_MS)
    assert mine is not None
    of_a_lost_store = msgspec.structs.replace(mine, owner="they")
    with pytest.raises(StoreConflict, match="another owner's"):
        await store.transition(Transition(lease=of_a_lost_store, writes={"k": b"theirs"}))
    await store.transition(Transition(lease=mine, writes={"k": b"mine"}))
    found = await store.get("k")
    assert found is not None
    assert found.value == b"mine"


async def test_an_expired_lease_is_free_and_cannot_be_renewed(store: Store) -> None:
    mine = await store.acquire("exec", owner="me", ttl_ms=50)
    assert mine is not None
    theirs = None
    async with asyncio.timeout(10):
        while theirs is None:
            await asyncio.sleep(0.02)
            theirs = await store.acquire("exec", owner="they", ttl_ms=TTL_MS)
    assert mono_us() > mine.until_mono_us  # whoever keeps to it has given up long before
    assert theirs.fence == mine.fence + 1
    assert await store.renew(mine, ttl_ms=TTL_MS) is None
    await store.release(mine)
    assert await store.renew(theirs, ttl_ms=TTL_MS) is not None


async def test_racing_for_a_lease_gives_one_holder(store: Store) -> None:
    leases = await asyncio.gather(*(store.acquire("x", owner=f"o{n}", ttl_ms=TTL_MS) for n in range(10)))
    assert sum(lease is not None for lease in leases) == 1


async def test_a_stream_with_a_bound_keeps_its_newest_and_grows_no_further(store: Store) -> None:
    ids = [await store.append("s", {"n": b"%d" % number}, most=150) for number in range(700)]
    kept = [entry.id for entry in await store.read("s", count=1_000)]
    assert kept == ids[-len(kept) :]
    assert 150 <= len(kept) <= 350  # a server drops whole blocks of a hundred
