"""A real store killed, frozen, full and restarted: what was acknowledged stays, and nothing is done twice."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator

import pytest

from libs.common.redis_scripts import TRANSITION
from libs.common.redis_store import RedisStore
from libs.common.store import StoreConflict, StoreUnavailable, Transition
from tests.helpers.proxy import proxied
from tests.helpers.servers import RealServer, real_valkey
from tests.helpers.stores import TTL_MS, connected, everything_fails

END = "9999999999999-0"


@pytest.fixture
async def server() -> AsyncIterator[RealServer]:
    with real_valkey() as valkey:
        yield await valkey.ready()


async def test_what_was_acknowledged_survives_kill_9(server: RealServer) -> None:
    """AOF with `always`: four writers at full speed, and the server dies in the middle."""
    acknowledged: dict[str, int] = {}

    async def write(store: RedisStore, key: str) -> None:
        for version in itertools.count():
            change = Transition(
                expect={key: version},
                writes={key: b"%d" % (version + 1)},
                appends={"journal": ({"key": key.encode(), "version": b"%d" % (version + 1)},)},
                once=("ids", f"{key}-{version + 1}"),
            )
            try:
                assert await store.transition(change)
            except StoreUnavailable:
                return
            acknowledged[key] = version + 1

    async with connected(server.url) as store:
        # A killed process loses nothing that it wrote; that it waits for the disk shows in its settings only.
        assert await store._execute("CONFIG", "GET", "appendfsync") == {b"appendfsync": b"always"}
        identity = await store.store_id()
        writers = [asyncio.ensure_future(write(store, f"pair:{number}")) for number in range(4)]
        async with asyncio.timeout(30):
            while sum(acknowledged.values()) < 200:  # noqa: ASYNC110 - four tasks count
                await asyncio.sleep(0.01)
        server.kill()
        await asyncio.wait_for(asyncio.gather(*writers), 30)
        await server.start()
        assert await store.store_id() == identity
        journal = [entry.fields for entry in await store.read("journal", count=1_000_000)]
        ids = await store.members("ids")
        for key, version in acknowledged.items():
            kept = await store.get(key)
            assert kept is not None
            # One more may have been written, its answer lost; never less, never a gap, never twice.
            assert kept.version in (version, version + 1)
            assert kept.value == b"%d" % kept.version
            versions = [int(fields["version"]) for fields in journal if fields["key"] == key.encode()]
            assert versions == list(range(1, kept.version + 1))
            assert {f"{key}-{number}" for number in versions} <= ids
        # The scripts are gone with the old process; the next change brings them again.
        assert await store.put("after", b"1") == 1


async def test_a_dead_server_is_unavailable_in_every_method_and_comes_back(server: RealServer) -> None:
    async with connected(server.url) as store:
        await store.put("k", b"1")
        server.kill()
        await everything_fails(store)
        await server.start()
        assert await store.put("k", b"2") == 2


async def test_a_frozen_server_is_unavailable_in_time(server: RealServer) -> None:
    async with connected(server.url, timeout_sec=1.5) as store:
        await store.put("k", b"1")
        server.freeze()
        try:
            async with asyncio.timeout(10):
                with pytest.raises(StoreUnavailable):
                    await store.get("k")
        finally:
            server.thaw()
        assert (await store.put("k", b"2")) >= 2


async def test_a_write_whose_answer_is_lost_is_not_repeated(server: RealServer) -> None:
    """redis-py retries ten times by default, and would book ten times."""
    async with proxied(server.url) as proxy, connected(server.url) as direct:
        for times, lose in enumerate((proxy.fall_silent_down, proxy.cut_on_answer), start=1):
            await direct.put("n", None)
            await direct.trim("ledger", before=END)
            async with connected(proxy.url, timeout_sec=1.0) as store:
                for change in (
                    store.transition(Transition(writes={"n": b"1"}, appends={"ledger": ({"usd": b"1"},)})),
                    store.append("ledger", {"usd": b"2"}),
                ):
                    await store.get("n")  # the connection is there
                    lose()
                    with pytest.raises(StoreUnavailable):
                        await change
                await asyncio.sleep(0.5)
                # Both happened, their answers were lost, and neither happened again.
                kept = await direct.get("n")
                assert kept is not None
                assert kept.version == times  # versions go on over the delete
                assert [entry.fields for entry in await direct.read("ledger")] == [
                    {"usd": b"1"},
                    {"usd": b"2"},
                ]


async def test_a_full_store_refuses_whole_changes_and_still_reads_renews_and_trims(
    server: RealServer,
) -> None:
    async with connected(server.url) as store:
        lease = await store.acquire("exec", owner="me", ttl_ms=TTL_MS)
        assert lease is not None
        identity = await store.store_id()
        await store.put("pair:a", b"before")
        for number in range(400):
            await store.append("journal", {"n": b"%d" % number, "x": b"x" * 10_000})
        assert 0.0 < await store.free_ratio() < 1.0  # of memory, or of the disk when that is scarcer
        await store._execute("CONFIG", "SET", "maxmemory", "4mb")
        assert await store.free_ratio() == 0.0
        entries = len(await store.read("journal", count=100_000))
        with pytest.raises(StoreUnavailable, match="maxmemory"):
            await store.transition(
                Transition(
                    lease=lease,
                    expect={"pair:a": 1},
                    writes={"pair:a": b"after", "pair:b": b"new"},
                    hash_writes={"h": {"f": b"1"}},
                    set_adds={"s": ("m",)},
                    appends={"journal": ({"n": b"last"},)},
                    once=("ids", "1"),
                )
            )
        for attempt in (
            store.put("pair:a", b"after"),
            store.compare_and_set("pair:a", b"after", expect=1),
            store.acquire("other", owner="me", ttl_ms=TTL_MS),
            # A delete is allowed to a full server, and a script that begins with one could stop after it.
            store.transition(Transition(writes={"pair:a": None, "pair:b": b"new"})),
        ):
            with pytest.raises(StoreUnavailable, match="maxmemory"):
                await attempt
        kept = await store.get("pair:a")
        assert kept is not None
        assert (kept.value, kept.version) == (b"before", 1)
        assert await store.keys("") == ["pair:a"]
        assert await store.hash_all("h") == {}
        assert await store.members("s") == await store.members("ids") == set()
        last = await store.read("journal", count=100_000)
        assert len(last) == entries
        # What a full store must still do: keep the one who trades, know itself, make room.
        assert await store.renew(lease, ttl_ms=TTL_MS) is not None
        assert await store.store_id() == identity
        assert await store.trim("journal", before=last[-1].id) == entries - 1
        assert await store.put("pair:a", b"after") == 2
        await store.release(lease)


async def test_a_change_is_atomic_also_for_those_who_read_meanwhile(server: RealServer) -> None:
    async with connected(server.url) as writer, connected(server.url) as reader:
        done = False

        async def write() -> None:
            nonlocal done
            for number in range(300):
                await writer.transition(Transition(writes={"k": b"%d" % (number + 1)}))
            done = True

        writing = asyncio.ensure_future(write())
        seen = 0
        while not done:
            kept = await reader.get("k")
            if kept is not None:
                assert kept.value == b"%d" % kept.version
                seen += 1
        await writing
        assert seen > 0


async def test_a_server_that_forgot_our_scripts_gets_them_again(server: RealServer) -> None:
    async with connected(server.url) as store:
        assert await store.put("k", b"1") == 1
        await store._execute("SCRIPT", "FLUSH")
        assert await store._execute("SCRIPT", "EXISTS", TRANSITION.sha) == [False]
        assert await store.put("k", b"2") == 2
        lease = await store.acquire("x", owner="me", ttl_ms=TTL_MS)
        assert lease is not None
        await store._execute("SCRIPT", "FLUSH")
        assert await store.renew(lease, ttl_ms=TTL_MS) is not None
        await store._execute("SCRIPT", "FLUSH")
        await store.release(lease)


async def test_values_written_by_hand_are_respected(server: RealServer) -> None:
    async with connected(server.url) as store:
        await store._execute("SET", "fundarb:faults:pair:x", b"by hand")
        kept = await store.get("pair:x")
        assert kept is not None
        assert (kept.value, kept.version) == (b"by hand", 1)
        with pytest.raises(StoreConflict):
            await store.compare_and_set("pair:x", b"", expect=0)
        assert await store.compare_and_set("pair:x", b"ours", expect=1) == 2
        await store._execute("DEL", "fundarb:faults:pair:x")
        assert await store.get("pair:x") is None
        assert await store.compare_and_set("pair:x", b"new", expect=0) == 3
        await store._execute("SET", "fundarb:faults:pair:y", b"by hand")
        await store.put("pair:y", None)
        assert await store.put("pair:y", b"ours") == 2  # not the version 1 that readers saw before
