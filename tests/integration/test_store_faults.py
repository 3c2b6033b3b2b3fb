"""A real store killed, frozen, full and restarted: what was acknowledged stays, and nothing is done twice."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import pytest

from libs.common.redis_store import TRANSITION, RedisStore, address_of, unfit
from libs.common.store import Lease, StoreConflict, StoreUnavailable, Transition
from tests.helpers.proxy import proxied
from tests.helpers.servers import RealServer, real_valkey

TTL_MS = 60_000
END = "9999999999999-0"


@pytest.fixture
async def server() -> AsyncIterator[RealServer]:
    with real_valkey() as valkey:
        yield await valkey.ready()


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
    async with connected(server.url, timeout_sec=0.5) as store:
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
        for lose in (proxy.fall_silent_down, proxy.cut_on_answer):
            await direct.put("n", None)
            await direct.trim("ledger", before=END)
            async with connected(proxy.url, timeout_sec=0.5) as store:
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
                assert kept.version == 1
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
        assert 0.5 < await store.free_ratio() < 1.0
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


async def test_a_lost_store_is_noticed_by_its_id(server: RealServer) -> None:
    async with connected(server.url) as store:
        identity = await store.store_id()
        await store._execute("FLUSHALL")
        assert await store.store_id() != identity


async def test_a_replica_refuses_to_be_written(server: RealServer) -> None:
    async with connected(server.url) as store:
        await store.put("k", b"1")
        await store._execute("REPLICAOF", "127.0.0.1", 1)
        for attempt in (
            store.put("k", b"2"),
            store.append("s", {"f": b""}),
            store.acquire("x", owner="me", ttl_ms=TTL_MS),
        ):
            with pytest.raises(StoreUnavailable, match=r"(?i)readonly|read only|MASTERDOWN"):
                await attempt


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
        assert await store.compare_and_set("pair:x", b"new", expect=0) == 1


async def test_deployments_do_not_see_each_other(server: RealServer) -> None:
    async with connected(server.url) as store:
        other = RedisStore(server.url, deployment="fault")
        await other.connect()
        await store.put("k", b"1")
        assert await other.keys("") == []
        assert await other.get("k") is None
        assert await other.store_id() != await store.store_id()
        await other.close()


async def test_connecting_waits_for_a_slow_start(server: RealServer) -> None:
    server.kill()
    store = RedisStore(server.url, deployment="faults", connect_timeout_sec=30)
    connecting = asyncio.ensure_future(store.connect())
    await asyncio.sleep(0.3)
    assert not connecting.done()
    await server.start()
    await connecting
    await store.close()


@pytest.fixture
def dumb_port() -> Iterator[int]:
    """Accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


async def test_a_missing_or_dumb_server_is_one_clear_error_without_the_password(dumb_port: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        absent_port = closed.getsockname()[1]
    for port in (absent_port, dumb_port):
        url = f"redis://:hunter2@127.0.0.1:{port}/0"
        store = RedisStore(url, deployment="faults", timeout_sec=0.2, connect_timeout_sec=0.5)
        with pytest.raises(
            StoreUnavailable, match=rf"^the store at 127\.0\.0\.1:{port} cannot be reached"
        ) as caught:
            await asyncio.wait_for(store.connect(), 20)
        assert "hunter2" not in str(caught.value)
        await everything_fails(store)
        await store.close()


async def test_a_wrong_password_is_told_at_once(server: RealServer) -> None:
    url = f"redis://:hunter2@127.0.0.1:{urlsplit(server.url).port}/0"
    store = RedisStore(url, deployment="faults", connect_timeout_sec=120)
    with pytest.raises(StoreUnavailable, match=r"(?i)password") as caught:
        await asyncio.wait_for(store.connect(), 30)
    assert "hunter2" not in str(caught.value)
    await store.close()


async def test_a_store_that_throws_keys_away_is_refused() -> None:
    with real_valkey(lambda config: config.replace("noeviction", "allkeys-lru")) as server:
        await server.ready()
        store = RedisStore(server.url, deployment="faults")
        with pytest.raises(StoreUnavailable, match=r"allkeys-lru.*noeviction"):
            await store.connect()
        await store.close()


@pytest.mark.parametrize(
    ("info", "words"),
    [
        ({"redis_version": "7.2.4", "maxmemory": 0, "maxmemory_policy": "allkeys-lru"}, ""),
        (
            {
                "redis_version": "7.2.4",
                "valkey_version": "9.1.0",
                "maxmemory": 9,
                "maxmemory_policy": "noeviction",
            },
            "",
        ),
        ({"redis_version": "6.2.14"}, "version 6.2.14"),
        ({"redis_version": "7.0.0", "cluster_enabled": 1}, "cluster"),
        ({"redis_version": "7.0.0", "maxmemory": 9, "maxmemory_policy": "volatile-ttl"}, "volatile-ttl"),
        ({}, "version 0"),
    ],
)
def test_which_servers_fit(info: dict[str, object], words: str) -> None:
    assert (words in unfit(info)) if words else (unfit(info) == "")


def test_addresses_hide_credentials() -> None:
    assert address_of("redis://me:hunter2@host:1/0") == "host:1"
    assert address_of("rediss://:hunter2@host") == "host:6379"
    assert address_of("unix://:hunter2@/run/valkey.sock?db=0") == "/run/valkey.sock"
    for bad in ("", "host:6379", "http://host", "redis://"):
        with pytest.raises(ValueError, match="looks like"):
            address_of(bad)
