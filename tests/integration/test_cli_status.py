"""`fundarb status` over a real NATS server, with services that answer and services that are silent."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client import CollectorRegistry

from libs.common import messages as m
from libs.common import subjects
from libs.common.bus import Frame
from libs.common.clock import wall_us
from libs.common.metrics_http import MetricsServer, Pulse
from libs.common.nats_bus import NatsBus
from libs.common.runtime_file import Deployment, deployment_path, write
from libs.console.verbs.status import LISTEN_SEC
from libs.console.watch import SILENT_SEC
from tests.helpers.servers import RealServer, real_nats
from tests.integration.test_cli import COMMAND, ROOT, environment

PAIR, OTHER = "BTC-USDT_binance-spot_binance-perp", "ETH-USDT_binance-spot_binance-perp"
RESULT = {
    "passing": [],
    "would_hold": {},
    "refusals": {"carry_low": 2, "history_short": 1},
    "pairs": {
        OTHER: {
            "passes": False,
            "net_daily_usd": -0.5,
            "reasons": {"carry_low": "0.5 bps a day", "history_short": "2 days of history"},
        },
        PAIR: {"passes": False, "net_daily_usd": 0.25, "reasons": {"carry_low": "1.5 bps a day is below 2"}},
    },
    "problems": {"feed": "binance data is 12 s old"},
}


@pytest.fixture
def nats() -> Iterator[RealServer]:
    with real_nats() as server:
        yield server


def pulse(service: str, *, ok: bool = True) -> m.ServiceHealth:
    problems = () if ok else ("frozen",)
    return m.ServiceHealth(
        service=service,
        ok=ok,
        problems=problems,
        build="x",
        pid=1,
        uptime_sec=5,
        lag_ms=1,
        inbox_depth=0,
        wall_us=wall_us(),
    )


@asynccontextmanager
async def signal_service(
    url: str, result: dict[str, Any] | None, *, feed: bool = True
) -> AsyncIterator[None]:
    """Beats like signal (and feed), and answers `cmd.status` like signal (None: does not answer)."""
    bus = NatsBus(url, name="signal")
    await bus.connect()

    def answer(frame: Frame) -> None:
        reply = m.CommandReply(service="signal", ok=True, result=result or {})
        bus.publish(frame.reply, m.encode(reply))

    async def beat() -> None:
        while True:
            bus.publish(subjects.health("signal"), m.encode(pulse("signal")))
            if feed:
                say_as_feed()
            await asyncio.sleep(0.2)

    def say_as_feed() -> None:
        bus.publish(subjects.health("feed"), m.encode(pulse("feed", ok=False)))
        health = m.VenueHealth(
            venue="binance",
            connected=False,
            ages_sec={"quote": 12.0},
            clock_offset_ms=3.0,
            recv_us=wall_us(),
        )
        bus.publish(subjects.md_health("binance"), m.encode(health))

    if result is not None:
        await bus.subscribe(subjects.command("status"), answer)
    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        task.cancel()
        await bus.close()


async def fundarb(folder: Path, *argv: str, **env: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *COMMAND,
        *argv,
        cwd=ROOT,
        env=environment(folder) | env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0, out.decode(), err.decode()


SILENT = "silent: port 1 does not answer"


def running(folder: Path, url: str, **ports: int) -> None:
    metrics_ports = {"recorder": 1, **ports}
    known = Deployment(nats_url=url, metrics_ports=metrics_ports, started_us=wall_us() - 90_000_000)
    write(deployment_path(folder / "run", "main"), known)


async def test_why_nothing_is_happening(tmp_path: Path, nats: RealServer) -> None:
    await nats.ready()
    running(tmp_path, nats.url)
    async with signal_service(nats.url, RESULT):
        code, out, err = await fundarb(tmp_path, "status", "--json")
        _, page, _ = await fundarb(tmp_path, "status")
    assert (code, err) == (0, "")
    status = json.loads(out)
    assert status["services"] == {"feed": "frozen", "recorder": SILENT, "signal": "ok"}
    assert status["venues"]["binance"]["ages_sec"] == {"quote": 12.0}
    assert (status["pairs"], status["passing"]) == (2, [])
    assert list(status["refusals"].items()) == [("carry_low", 2), ("history_short", 1)]
    assert [near["pair"] for near in status["nearest"]] == [PAIR, OTHER]
    assert status["why"] == [
        "feed is not well: frozen",
        f"recorder is not well: {SILENT}",
        "binance is not connected",
        "binance data is 12 s old",
        "none of 2 pairs passes every rule, which is a normal answer",
        f"{PAIR}: 1.5 bps a day is below 2",
        f"{OTHER}: 0.5 bps a day; 2 days of history",
    ]
    for text in ("deployment main", "0 of 2 pairs pass", "carry low 2", PAIR, *status["why"]):
        assert text in page


async def test_what_passes_is_told(tmp_path: Path, nats: RealServer) -> None:
    await nats.ready()
    good = {"passes": True, "net_daily_usd": 1.0, "reasons": {}}
    async with signal_service(nats.url, {**RESULT, "pairs": {PAIR: good}, "problems": {}}):
        code, out, _ = await fundarb(tmp_path, "status", "--json", "--nats", nats.url)
    status = json.loads(out)
    assert code == 0
    assert status["passing"] == [PAIR]
    assert status["why"][-1] == "1 pair passes every rule; an observer writes that down and sends no order"


async def test_where_nothing_runs_the_server_of_the_variable_is_asked(
    tmp_path: Path, nats: RealServer
) -> None:
    await nats.ready()
    async with signal_service(nats.url, RESULT):
        code, out, err = await fundarb(
            tmp_path, "status", "--json", FUNDARB_NATS_URL=nats.url, FUNDARB__DEPLOYMENT="elsewhere"
        )
        gone, _, said = await fundarb(tmp_path, "status", "--deployment", "x", FUNDARB_NATS_URL=nats.url)
    assert (code, err) == (0, "")
    assert json.loads(out)["services"] == {"feed": "frozen", "signal": "ok"}
    assert json.loads(out)["deployment"] == "elsewhere"
    assert gone == 3
    assert "deployment x does not run here" in said


async def test_a_stack_where_nobody_answers(tmp_path: Path, nats: RealServer) -> None:
    await nats.ready()
    running(tmp_path, nats.url)
    async with signal_service(nats.url, None):
        code, out, _ = await fundarb(tmp_path, "status", "--json")
    status = json.loads(out)
    assert code == 0
    assert status["services"]["signal"] == "ok"
    assert "signal has not evaluated a pair yet" in status["why"][-1]


async def test_a_frozen_feed_is_silent_and_its_venues_stay(tmp_path: Path, nats: RealServer) -> None:
    """Its event loop stands; /health, which a thread of its own serves, still tells for how long."""
    await nats.ready()
    frozen = MetricsServer(registry=CollectorRegistry(), pulse=Pulse(), host="127.0.0.1", port=0)
    try:
        running(tmp_path, nats.url, feed=frozen.port)
        async with signal_service(nats.url, RESULT, feed=False):
            await asyncio.sleep(SILENT_SEC - LISTEN_SEC + 1.0)  # the command listens before it asks
            code, out, err = await fundarb(tmp_path, "status", "--json")
            _, page, _ = await fundarb(tmp_path, "status")
    finally:
        frozen.close()
    assert (code, err) == (0, "")
    status = json.loads(out)
    assert re.fullmatch(r"silent for \d+ s", status["services"]["feed"])
    assert status["services"]["signal"] == "ok"
    assert status["venues"]["binance"]["connected"] is None
    assert "binance is not heard" in status["why"]
    assert re.search(r"feed +silent for \d+ s", page)
    assert re.search(r"binance +not heard", page)


async def test_a_broker_that_is_gone_is_one_line_and_exit_3(tmp_path: Path, nats: RealServer) -> None:
    await nats.ready()
    running(tmp_path, nats.url)
    nats.kill()
    code, out, err = await fundarb(tmp_path, "status")
    assert (code, out) == (3, "")
    assert err.count("\n") == 1
    assert "deployment main does not answer" in err
    assert "@" not in err  # no credentials


async def test_watching_ends_with_ctrl_c(tmp_path: Path, nats: RealServer) -> None:
    await nats.ready()
    running(tmp_path, nats.url)
    async with signal_service(nats.url, RESULT):
        process = await asyncio.create_subprocess_exec(
            *COMMAND,
            *("status", "--watch", "--json"),
            cwd=ROOT,
            env=environment(tmp_path),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        lines = [await asyncio.wait_for(process.stdout.readline(), 60) for _ in range(2)]
        process.send_signal(signal.SIGINT)
        _, err = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0
    assert err == b""
    assert [msgspec.json.decode(line)["pairs"] for line in lines] == [2, 2]
