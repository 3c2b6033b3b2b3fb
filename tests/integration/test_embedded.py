"""The embedded servers, for real: passwords, durability, same address after a crash, one owner a folder."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from libs.common.bus import BusUnavailable
from libs.common.embedded import (
    EmbeddedError,
    folder_lock,
    nats_answers,
    nats_server,
    running_servers,
    temporary_folder,
    valkey_answers,
    valkey_server,
)
from libs.common.nats_bus import NatsBus
from libs.common.redis_store import RedisStore
from libs.common.store import StoreUnavailable
from libs.common.supervisor import Supervisor
from tests.helpers.processes import alive, within
from tests.helpers.servers import eventually


async def test_both_servers_answer_and_only_to_those_who_know_the_password() -> None:
    async with running_servers() as (nats_url, redis_url, _):
        assert await nats_answers(nats_url)
        assert await valkey_answers(redis_url)
        for wrong in (nats_url.replace("fundarb:", "fundarb:x"), nats_url.replace("fundarb:", "other:")):
            assert not await nats_answers(wrong)
            with pytest.raises(BusUnavailable):
                await NatsBus(wrong, name="stranger", connect_timeout_sec=1).connect()
        assert not await valkey_answers(redis_url.replace("fundarb:", "fundarb:x"))
        with pytest.raises(StoreUnavailable):
            await RedisStore(
                redis_url.replace("fundarb:", "fundarb:x"), deployment="d", connect_timeout_sec=1
            ).connect()


def listening() -> list[tuple[str, str]]:
    """(address, port) in hex of every TCP listener of this machine."""
    lines = (Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()).splitlines()
    address, state = 1, 3
    sockets = [line.split()[address].split(":") for line in lines if line.split()[state] == "0A"]
    return [(host, port) for host, port in sockets]


async def test_servers_listen_on_loopback_only() -> None:
    async with running_servers() as (nats_url, redis_url, _):
        ports = {f"{int(url.rsplit(':', 1)[1].split('/')[0]):04X}" for url in (nats_url, redis_url)}
        assert [address for address, port in listening() if port in ports] == ["0100007F", "0100007F"]


async def test_a_killed_store_comes_back_at_the_same_address_with_everything_that_was_answered(
    tmp_path: Path,
) -> None:
    async with running_servers(folder=tmp_path, durable=True) as (_, redis_url, supervisor):
        store = RedisStore(redis_url, deployment="d")
        await store.connect()
        for number in range(50):
            await store.put(f"k{number}", b"v")
        await store.close()
        pid = supervisor.pids()["valkey"]
        os.kill(pid, signal.SIGKILL)
        await eventually(
            lambda: (
                supervisor.states()["valkey"] == "ok" and supervisor.pids().get("valkey") not in (None, pid)
            )
        )
        store = RedisStore(redis_url, deployment="d")
        await store.connect()
        assert len(await store.keys("k")) == 50
        await store.close()


async def test_a_durable_folder_keeps_its_data_from_one_run_to_the_next(tmp_path: Path) -> None:
    ids = set()
    for _ in range(2):
        async with running_servers(folder=tmp_path, durable=True) as (_, redis_url, _):
            store = RedisStore(redis_url, deployment="d")
            await store.connect()
            ids.add(await store.store_id())
            await store.close()
    assert len(ids) == 1


async def test_a_demo_keeps_nothing() -> None:
    ids = set()
    for _ in range(2):
        async with running_servers() as (_, redis_url, _):
            store = RedisStore(redis_url, deployment="d")
            await store.connect()
            ids.add(await store.store_id())
            await store.close()
    assert len(ids) == 2


async def test_a_killed_broker_comes_back_and_its_clients_with_it() -> None:
    async with running_servers() as (nats_url, _, supervisor):
        bus = NatsBus(nats_url, name="t")
        await bus.connect()
        heard: list[bytes] = []
        await bus.subscribe("md.health.x", lambda frame: heard.append(frame.payload))
        os.kill(supervisor.pids()["nats"], signal.SIGKILL)
        await eventually(lambda: not bus.connected)
        await eventually(lambda: bus.connected)

        async def said_until_heard() -> None:
            while not heard:
                bus.publish("md.health.x", b"again")
                await asyncio.sleep(0.05)

        await asyncio.wait_for(said_until_heard(), 10)
        await bus.close()


async def test_the_folder_stays_locked_as_long_as_its_server_lives(tmp_path: Path) -> None:
    """Its supervisor may be killed: in the moment after, another must not open the same files."""
    folder = tmp_path / "data"
    with folder_lock(folder) as lock:
        server = valkey_server(folder, env=os.environ, durable=True, lock=lock)
        supervisor = Supervisor([server.spec])
        await supervisor.start()
    # Our own hold is gone, as after a kill of ours; the server still has it.
    with pytest.raises(EmbeddedError, match="already runs"), folder_lock(folder):
        pass
    await supervisor.stop()
    with folder_lock(folder):
        pass


def test_a_lock_goes_with_a_killed_holder(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from libs.common.embedded import folder_lock\n"
        "with folder_lock(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(EmbeddedError, match=f"process {holder.pid}"), folder_lock(tmp_path):
        pass
    holder.kill()
    holder.communicate()
    with folder_lock(tmp_path):
        pass


def test_a_temporary_folder_is_private_and_goes_with_its_user() -> None:
    with temporary_folder("fundarb-test-") as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        (folder / "x").write_text("x")
    assert not folder.exists()


def test_a_temporary_folder_goes_even_when_its_user_is_killed() -> None:
    code = (
        "import time; from libs.common.embedded import temporary_folder\n"
        "with temporary_folder('fundarb-test-') as folder: print(folder, flush=True); time.sleep(60)"
    )
    user = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert user.stdout is not None
    folder = Path(user.stdout.readline().decode().strip())
    assert folder.is_dir()
    user.kill()
    user.communicate()
    assert within(10, lambda: not folder.exists())


async def test_a_frozen_server_is_replaced(tmp_path: Path) -> None:
    """SIGSTOP: its connections stay open and nothing answers; the supervisor's own ping finds out."""
    server = nats_server(tmp_path, env=os.environ)
    async with Supervisor([server.spec]) as supervisor:
        pid = supervisor.pids()["nats"]
        os.kill(pid, signal.SIGSTOP)
        await eventually(lambda: not alive(pid), within_sec=20)
        # dead, but not yet seen to be: until then it still counts as the server that was "ok"
        await eventually(lambda: supervisor.pids().get("nats") not in (None, pid), within_sec=10)
        await eventually(lambda: supervisor.states()["nats"] == "ok", within_sec=10)
        assert await nats_answers(server.url)
