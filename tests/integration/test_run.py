"""The life of a real service process on real servers: waits, health, restarts, an orderly end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from libs.common import subjects
from libs.common.bus import Frame
from libs.common.child import ChildSpec, python_env
from libs.common.clock import mono_us, wall_us
from libs.common.embedded import running_servers
from libs.common.instant import MarketClock
from libs.common.messages import ClockState, ServiceHealth, VenueHealth, Want, decode, encode
from libs.common.nats_bus import NatsBus
from libs.common.redis_store import RedisStore
from libs.common.runtime_file import Deployment, deployment_path, read
from libs.common.supervisor import Supervisor
from tests.helpers import echo_service
from tests.helpers.servers import eventually, freeze

ROOT = Path(__file__).parents[2]
ECHO = (sys.executable, str(Path(echo_service.__file__)))
RSS_BYTES_MAX = 64 * 1024 * 1024


class Rig:
    """Servers, a service under them, and what is heard on the bus."""

    def __init__(self, folder: Path, nats_url: str, redis_url: str, supervisor: Supervisor) -> None:
        self.folder = folder
        self.supervisor = supervisor
        self.bus = NatsBus(nats_url, name="test")
        self.store = RedisStore(redis_url, deployment="main")
        self.env = {
            "FUNDARB_NATS_URL": nats_url,
            "FUNDARB_REDIS_URL": redis_url,
            "FUNDARB_METRICS_PORT": "0",
            "FUNDARB_RUNTIME_DIR": str(folder / "run"),
        }
        self.counts: list[VenueHealth] = []
        self.healths: list[ServiceHealth] = []
        self.last: list[VenueHealth] = []

    def hear(self, frame: Frame) -> None:
        if frame.subject == "md.health.echo":
            self.counts.append(decode(frame.payload, VenueHealth))
        elif frame.subject == "md.health.last":
            self.last.append(decode(frame.payload, VenueHealth))
        elif frame.subject == "sys.health.echo":
            self.healths.append(decode(frame.payload, ServiceHealth))

    def spec(self, *arguments: str, restart: bool = True, **env: str) -> ChildSpec:
        return ChildSpec(
            name="echo",
            argv=(*ECHO, *arguments),
            log=self.folder / "echo.log",
            env=python_env(os.environ, **(self.env | env)),
            stage=1,
            restart=restart,
        )

    @property
    def log(self) -> str:
        return (self.folder / "echo.log").read_text()

    def announced(self) -> bool:
        known = read(deployment_path(self.folder / "run", "main"), Deployment)
        return known is not None and known.pids.get("echo") == self.supervisor.pids().get("echo")

    async def get(self, path: str) -> tuple[int, Any]:
        known = read(deployment_path(self.folder / "run", "main"), Deployment)
        assert known is not None
        url = f"http://127.0.0.1:{known.metrics_ports['echo']}{path}"
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=3)) as session,
            session.get(url) as got,
        ):
            return got.status, await got.text()

    async def health(self) -> tuple[int, dict[str, Any]]:
        status, text = await self.get("/health")
        said: dict[str, Any] = json.loads(text)
        return status, said

    async def ended(self, how: str) -> None:
        """A service that is not restarted is over, and this is how."""
        await eventually(lambda: self.supervisor.states()["echo"] == "failed")
        assert self.supervisor.reasons()["echo"] == f"echo ended: {how}"

    async def problem_seen(self, text: str, *, within_sec: float = 15) -> None:
        async with asyncio.timeout(within_sec):
            while text not in " ".join((await self.health())[1]["problems"]):  # noqa: ASYNC110
                await asyncio.sleep(0.1)

    async def well(self, *, within_sec: float = 15) -> None:
        async with asyncio.timeout(within_sec):
            while (await self.health())[0] != 200:  # noqa: ASYNC110
                await asyncio.sleep(0.1)

    async def counting(self, *, within_sec: float = 10) -> None:
        self.counts.clear()
        await eventually(lambda: len(self.counts) >= 3, within_sec=within_sec)


@asynccontextmanager
async def rig(folder: Path, *, durable: bool = True) -> AsyncIterator[Rig]:
    async with running_servers(durable=durable) as (nats_url, redis_url, supervisor):
        made = Rig(folder, nats_url, redis_url, supervisor)
        await made.bus.connect()
        await made.store.connect()
        await made.bus.subscribe(">", made.hear)
        try:
            yield made
        finally:
            await made.bus.close()
            await made.store.close()


async def test_in_a_demo_no_service_reaches_out_of_this_machine(tmp_path: Path) -> None:
    async with rig(tmp_path) as r:
        clock = ClockState(market0_ms=1, wall0_ms=1, speed=1.0)
        saying = asyncio.create_task(said_again_and_again(r.bus, subjects.CLOCK, encode(clock)))
        try:
            await r.supervisor.add(r.spec("outside", FUNDARB_MODE="demo"))
            await eventually(lambda: "ConnectionRefusedByGuard" in r.log)
        finally:
            saying.cancel()
    assert "192.0.2.1" in r.log
    assert "nothing was sent" in r.log


async def test_a_store_that_forgets_is_told_and_an_observer_is_well_all_the_same(tmp_path: Path) -> None:
    async with rig(tmp_path, durable=False) as r:
        await r.supervisor.add(r.spec())
        await r.counting()
        await eventually(lambda: any(health.ok and health.lag_ms for health in r.healths))
    assert r.log.count("set appendonly yes") == 1


async def test_with_money_a_store_that_forgets_is_a_problem(tmp_path: Path) -> None:
    async with rig(tmp_path, durable=False) as r:
        await r.supervisor.add(r.spec(FUNDARB__MODE="paper"))
        await r.counting()
        await eventually(lambda: any(not health.ok and health.lag_ms for health in r.healths))
        status, health = await r.health()
    assert status == 503
    assert [problem for problem in health["problems"] if "appendonly no" in problem]
    assert r.log.count("set appendonly yes") == 1


async def test_a_demo_keeps_nothing_and_says_nothing_of_it(tmp_path: Path) -> None:
    async with rig(tmp_path, durable=False) as r:
        clock = ClockState(market0_ms=1, wall0_ms=1, speed=1.0)
        saying = asyncio.create_task(said_again_and_again(r.bus, subjects.CLOCK, encode(clock)))
        try:
            await r.supervisor.add(r.spec(FUNDARB_MODE="demo"))
            await r.counting()
            await eventually(lambda: any(health.ok for health in r.healths))
        finally:
            saying.cancel()
    assert "appendonly" not in r.log


async def said_again_and_again(bus: NatsBus, subject: str, payload: bytes) -> None:
    while True:
        bus.publish(subject, payload)
        await asyncio.sleep(0.2)


async def test_a_service_says_why_it_cannot_start(tmp_path: Path) -> None:
    async with rig(tmp_path) as r:
        await r.supervisor.add(r.spec("assemble"))
        await eventually(lambda: r.supervisor.states()["echo"] == "failed")  # exit 2: no use to try again
        assert r.log.rstrip().endswith("echo: no exchange is configured; add one to `exchanges`")


async def test_a_life_from_first_health_to_last_words(tmp_path: Path) -> None:
    async with rig(tmp_path) as r:
        await r.supervisor.add(r.spec(restart=False))
        await r.counting()
        await eventually(lambda: any(health.ok for health in r.healths))
        assert r.announced()
        status, health = await r.health()
        assert (status, health["pid"]) == (200, r.supervisor.pids()["echo"])
        assert health["build"].startswith("0.")
        status, page = await r.get("/metrics")
        assert 'fundarb_events_total{deployment="main",event="TimerFired",service="echo"}' in page
        resident = next(line for line in page.splitlines() if line.startswith("fundarb_resident_bytes"))
        assert float(resident.rsplit(" ", 1)[1]) < RSS_BYTES_MAX
        os.kill(r.supervisor.pids()["echo"], signal.SIGTERM)
        await eventually(lambda: bool(r.last))
        kept = await r.store.get("last")
        assert kept is not None
        assert kept.value == b"bye"
        await eventually(lambda: r.healths[-1].problems == ("stopped",))
        await r.ended("exit code 0")
        assert "the secret url is redis://fundarb:***@127.0.0.1" in r.log
        assert r.env["FUNDARB_REDIS_URL"] not in r.log


async def test_a_killed_service_counts_again_within_ten_seconds(tmp_path: Path) -> None:
    async with rig(tmp_path) as r:
        await r.supervisor.add(r.spec())
        await r.counting()
        os.kill(r.supervisor.pids()["echo"], signal.SIGKILL)
        await eventually(lambda: r.supervisor.restarts()["echo"] == 1)
        await r.counting(within_sec=10)


async def test_a_killed_broker_is_told_and_survived(tmp_path: Path) -> None:
    async with rig(tmp_path) as r:
        await r.supervisor.add(r.spec())
        await r.counting()
        pid = r.supervisor.pids()["nats"]
        os.kill(pid, signal.SIGKILL)
        await r.counting(within_sec=10)
        await r.well()
        assert r.supervisor.restarts() == {"nats": 1, "valkey": 0, "echo": 0}
        assert "lost NATS" in r.log


async def test_a_frozen_store_is_told_in_health_and_nothing_passes_the_barrier(tmp_path: Path) -> None:
    async with rig(tmp_path) as r:
        await r.supervisor.add(r.spec())
        await r.counting()
        pid = r.supervisor.pids()["valkey"]
        os.kill(pid, signal.SIGSTOP)
        try:
            await r.problem_seen("store: not reachable")
            await asyncio.sleep(0.5)
            r.counts.clear()
            await asyncio.sleep(1)
            assert r.counts == [], "said although it was not durable"
            assert (await r.get("/live"))[0] == 200
        finally:
            os.kill(pid, signal.SIGCONT)
        await r.counting(within_sec=20)
        await r.well()


async def test_a_service_waits_for_a_store_that_is_not_there_yet_and_says_so(tmp_path: Path) -> None:
    async with rig(tmp_path) as r:
        await r.supervisor.add(r.spec(restart=False, FUNDARB_REDIS_URL="redis://:pw@127.0.0.1:1/0"))
        await eventually(r.announced)
        await r.problem_seen("waiting for the store")
        await eventually(lambda: any("waiting for the store" in h.problems for h in r.healths), within_sec=10)
        os.kill(r.supervisor.pids()["echo"], signal.SIGTERM)
        await r.ended("exit code 0")


async def test_a_frozen_service_is_seen_by_the_age_of_its_health(tmp_path: Path) -> None:
    async with rig(tmp_path) as r:
        await r.supervisor.add(r.spec())
        await eventually(lambda: len(r.healths) >= 2)
        pid = r.supervisor.pids()["echo"]
        freeze(pid)
        try:
            await r.bus.flush()  # what it had said is here now
            heard = len(r.healths)
            await asyncio.sleep(2.5)
            assert len(r.healths) == heard
            assert wall_us() - r.healths[-1].wall_us > 2_000_000
        finally:
            os.kill(pid, signal.SIGCONT)
        await eventually(lambda: len(r.healths) > heard)


async def test_an_actor_that_keeps_raising_ends_with_exit_1_and_is_restarted(tmp_path: Path) -> None:
    async with rig(tmp_path) as r:
        await r.supervisor.add(r.spec("fault"))
        await r.counting()
        for _ in range(3):
            r.bus.publish("sys.want.echo", encode(Want(service="x")))
        await eventually(lambda: r.supervisor.restarts()["echo"] == 1)
        assert "Traceback" in r.log
        entries = await r.store.read("alerts")
        assert {json.loads(entry.fields["json"])["key"] for entry in entries} == {"echo:fault", "echo:ended"}
        await r.counting()


@pytest.mark.parametrize("speed", [2880.0])
async def test_in_the_demo_market_time_comes_from_the_bus(tmp_path: Path, speed: float) -> None:
    market = MarketClock(market0_ms=1_600_000_000_000, wall0_ms=wall_us() // 1000, speed=speed)
    async with rig(tmp_path) as r:
        await r.supervisor.add(r.spec(FUNDARB_MODE="demo"))
        await eventually(r.announced)
        await r.problem_seen("waiting for the market's clock")
        assert r.counts == []
        said = ClockState(market0_ms=market.market0_ms, wall0_ms=market.wall0_ms, speed=speed)

        async def tell() -> None:
            while True:
                r.bus.publish("sys.clock", encode(said))
                await asyncio.sleep(0.2)

        telling = asyncio.create_task(tell())
        await r.counting()
        telling.cancel()
        seen = r.counts[-1]
        assert seen.ages_sec["market_ms"] == market.at(seen.recv_us)


async def test_a_second_signal_ends_a_draining_service_at_once(tmp_path: Path) -> None:
    async with rig(tmp_path) as r:
        await r.supervisor.add(r.spec(restart=False))
        await r.counting()
        store, pid = r.supervisor.pids()["valkey"], r.supervisor.pids()["echo"]
        freeze(store)  # the last words cannot become durable: draining takes its 5 s
        try:
            os.kill(pid, signal.SIGTERM)
            await eventually(lambda: "the secret url" in r.log)  # it drains
            asked_us = mono_us()
            os.kill(pid, signal.SIGTERM)
            await r.ended("exit code 1")
            assert mono_us() - asked_us < 4_000_000
        finally:
            os.kill(store, signal.SIGCONT)
