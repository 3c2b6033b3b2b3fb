"""Which servers a store accepts, how it connects, and what it says when it cannot."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit

import pytest

from libs.common.redis_fit import durability_of, unfit
from libs.common.redis_store import RedisStore, address_of
from libs.common.store import StoreUnavailable
from tests.helpers.servers import RealServer, real_valkey
from tests.helpers.stores import TTL_MS, connected, everything_fails


@pytest.fixture
async def server() -> AsyncIterator[RealServer]:
    with real_valkey() as valkey:
        yield await valkey.ready()


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
        ({"redis_version": "unstable"}, "version unstable"),
    ],
)
def test_which_servers_fit(info: dict[str, object], words: str) -> None:
    assert (words in unfit(info)) if words else (unfit(info) == "")


@pytest.mark.parametrize(
    ("journal", "durable", "words"),
    [
        ("appendonly yes\nappendfsync always", True, ""),
        ("appendonly yes\nappendfsync everysec", False, r"appendfsync everysec.* set appendfsync always"),
        ("appendonly no", False, r"appendonly no.* set appendonly yes and appendfsync always"),
    ],
)
async def test_a_store_says_whether_it_keeps_what_it_acknowledges(
    journal: str, *, durable: bool, words: str
) -> None:
    with real_valkey(lambda config: config.replace("appendonly yes\nappendfsync always", journal)) as server:
        await server.ready()
        async with connected(server.url) as store:
            found = await store.durability()
            assert found.durable is durable
            assert re.search(words, found.text) if words else found.text == ""


async def test_who_may_not_read_the_settings_says_that_it_does_not_know(server: RealServer) -> None:
    """An ACL user without admin commands, as every service should have."""
    async with connected(server.url) as store:
        await store._execute("ACL", "SETUSER", "svc", "on", ">hunter2", "~*", "&*", "+@all", "-config")
    url = f"redis://svc:hunter2@127.0.0.1:{urlsplit(server.url).port}/0"
    async with connected(url) as store:
        found = await store.durability()
        assert found.durable is None
        assert "CONFIG GET" in found.text
        assert "hunter2" not in found.text


async def test_durability_of_a_store_that_is_away_is_no_answer(server: RealServer) -> None:
    async with connected(server.url, timeout_sec=0.5) as store:
        server.kill()
        with pytest.raises(StoreUnavailable):
            await store.durability()


@pytest.mark.parametrize(
    ("info", "fsync", "durable"),
    [
        ({"aof_enabled": 1}, "always", True),
        ({"aof_enabled": 1}, "no", False),
        ({"aof_enabled": 1}, None, None),
        ({"aof_enabled": 0}, "always", False),
        ({"aof_enabled": 0}, None, False),
        ({}, "always", None),
        ({}, None, None),
    ],
)
def test_what_a_server_says_decides(
    info: dict[str, object], fsync: str | None, *, durable: bool | None
) -> None:
    found = durability_of(info, fsync)
    assert found.durable is durable
    assert (found.text == "") is (durable is True)


def test_addresses_hide_credentials() -> None:
    assert address_of("redis://me:hunter2@host:1/0") == "host:1"
    assert address_of("rediss://:hunter2@host") == "host:6379"
    assert address_of("unix://:hunter2@/run/valkey.sock?db=0") == "/run/valkey.sock"
    for bad in ("", "host:6379", "http://host", "redis://"):
        with pytest.raises(ValueError, match="looks like"):
            address_of(bad)
