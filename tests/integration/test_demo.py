"""The main job, end to end: servers, simulated exchange, unmodified ccxt, feed, signal, recorder, watcher."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pyarrow.parquet as pq
import pytest

from libs.common import messages as m
from libs.common.bus import Frame
from libs.common.clock import mono_us
from libs.common.nats_bus import NatsBus
from libs.common.subjects import kind_of
from libs.console.demo_config import BASES, DEPLOYMENT, demo_config
from libs.console.stack import Plan, Stack, running_stack
from libs.console.verbs.demo import SPEED as DEMO_SPEED

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "services/venue/data/funding.parquet"
SOURCE_OF = {"binance": "binance", "bitget": "bybit"}  # the Bitget protocol serves Bybit's recorded series
SPEED = 2880
LISTEN_SEC = 14.0
PATIENCE_SEC = 60.0


def plan_in(folder: Path) -> Plan:
    config = folder / "config.json"
    config.write_text(demo_config(folder), encoding="utf-8")
    return Plan(
        title="test",
        deployment=DEPLOYMENT,
        folder=folder,
        runtime=folder / "runtime",
        env={
            "FUNDARB_CONFIG": str(config),
            "FUNDARB_MODE": "demo",
            "FUNDARB_METRICS_PORT": "0",
            "FUNDARB_VENUE_SPEED": str(SPEED),
        },
        venue=True,
    )


async def until(condition: Any, what: str, *, sec: float = PATIENCE_SEC, seen: Any = None) -> float:
    """Wait for a condition, answer how long it took."""
    start_us = mono_us()
    while not condition():
        waited = (mono_us() - start_us) / 1e6
        assert waited < sec, f"{what}: not within {sec:g} s; {seen() if seen else ''}"
        await asyncio.sleep(0.05)
    return (mono_us() - start_us) / 1e6


class Heard:
    """Everything that a plain client heard."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.frames: list[Frame] = []
        self.summary: dict[str, Any] = {}

    def of(self, kind: type[Any]) -> list[Any]:
        return [m.decode(f.payload, kind) for f in self.frames if m.type_of(f.subject) is kind]


@pytest.fixture(scope="module")
def heard(tmp_path_factory: pytest.TempPathFactory) -> Heard:
    folder = tmp_path_factory.mktemp("demo")

    async def listen() -> Heard:
        result = Heard(folder)
        async with running_stack(plan_in(folder)) as stack:
            client = NatsBus(stack.nats_url, name="plain")
            await client.connect()
            for family in ("md.>", "signal.>", "exec.>", "risk.>", "alert.>", "sys.>"):
                await client.subscribe(family, result.frames.append)  # ">" is more than an operator may hear
            await until(lambda: stack.watch.passed, "an opportunity")
            await asyncio.sleep(LISTEN_SEC)
            states = stack.states()
            result.summary = stack.watch.summary(wall_us=stack.started_us, services=states, extra={})
            await client.close()
        return result

    return asyncio.run(listen())


def recorded() -> dict[tuple[str, str], list[dict[str, Any]]]:
    rows: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in pq.read_table(SAMPLE).to_pylist():
        rows.setdefault((row["venue"], row["symbol"]), []).append(row)
    for series in rows.values():
        series.sort(key=lambda row: row["ts_ms"])
    return rows


def test_every_service_was_well_and_every_symbol_seen(heard: Heard) -> None:
    assert set(heard.summary["services"].values()) == {"ok"}, heard.summary["services"]
    assert heard.summary["malformed_messages"] == 0
    assert len(heard.summary["symbols"]) == len(BASES) >= 10
    assert heard.summary["venues"] == ["binance", "bitget"]
    assert heard.summary["evaluations"] > 0
    assert heard.summary["opportunities"] > 0


def test_every_payload_is_what_the_printed_schema_says(heard: Heard) -> None:
    printed = subprocess.run(
        [ROOT / ".venv/bin/fundarb", "config", "schema", "--messages"],
        check=True,
        capture_output=True,
        text=True,
    )
    document = json.loads(printed.stdout)
    families = set()
    validators: dict[str, Any] = {}
    for frame in heard.frames:
        kind = m.type_of(frame.subject)
        if frame.subject.startswith("_INBOX"):
            continue
        assert kind is not None, f"{frame.subject} is in no table"
        if kind.__name__ not in validators:
            schema = {"$ref": f"#/$defs/{kind.__name__}", "$defs": document["$defs"]}
            validators[kind.__name__] = jsonschema.Draft202012Validator(schema)
        families.add(frame.subject.split(".")[0])
        validators[kind.__name__].validate(json.loads(frame.payload))
    assert {"md", "signal", "sys"} <= families


def test_funding_on_the_bus_equals_the_recorded_rows(heard: Heard) -> None:
    rows = recorded()
    current = settled = 0
    for funding in heard.of(m.Funding):
        series = rows[SOURCE_OF[funding.venue], funding.instrument.removesuffix("-PERP").replace("-", "")]
        if funding.kind == "current":
            matches = [r for r in series if abs(r["ts_ms"] - funding.next_ms) < 1000]
            current += 1
        else:
            matches = [r for r in series if abs(r["ts_ms"] - funding.settled_ms) < 1000]
            settled += 1
        assert len(matches) == 1, funding
        assert funding.rate == pytest.approx(matches[0]["rate"], abs=1e-12)
        assert funding.interval_hours == matches[0]["interval_hours"]
    assert current > len(BASES)
    assert settled > 0


def test_a_settled_print_is_said_once(heard: Heard) -> None:
    seen: dict[tuple[str, str, int], int] = {}
    for funding in heard.of(m.Funding):
        if funding.kind == "settled":
            key = (funding.venue, funding.instrument, round(funding.settled_ms / 1000))
            seen[key] = seen.get(key, 0) + 1
    assert seen
    assert max(seen.values()) == 1


def by_hand(
    opportunity: m.Opportunity, rows: dict[tuple[str, str], list[dict[str, Any]]]
) -> tuple[float, float]:
    """Carry a day and net USD a day from the Parquet rows and the fees, without the project's formulas."""

    def daily(leg: m.LegFigures) -> float:
        if kind_of(leg.instrument).value == "spot":
            return 0.0
        series = rows[SOURCE_OF[leg.venue], leg.instrument.removesuffix("-PERP").replace("-", "")]
        row = next(r for r in series if abs(r["ts_ms"] - (leg.next_ms or 0)) < 1000)
        return float(row["rate"]) * 24 / float(row["interval_hours"])

    carry = daily(opportunity.short) - daily(opportunity.long)
    borrow = 0.0001 if kind_of(opportunity.short.instrument).value == "spot" else 0.0
    four_fills = 4 * (0.0005 + 0.0005)  # taker fee and 5 bps of slippage, each
    return carry, (carry - borrow) * 1000 - four_fills * 1000 / 30


def test_three_opportunities_by_hand(heard: Heard) -> None:
    rows = recorded()
    passing = {item.pair: item for item in heard.of(m.Opportunity) if item.passes}
    assert len(passing) >= 3, f"only {sorted(passing)} passed"
    for item in list(passing.values())[:3]:
        carry, net = by_hand(item, rows)
        assert item.daily == pytest.approx(carry, abs=1e-9), item
        assert item.net_daily_usd == pytest.approx(net, abs=1e-4), item


def test_every_refusal_is_named(heard: Heard) -> None:
    refused = [item for item in heard.of(m.Opportunity) if not item.passes]
    assert refused
    assert all(item.refusals and set(item.refusals) <= set(item.reasons) for item in refused)
    assert all(not item.refusals for item in heard.of(m.Opportunity) if item.passes)


def test_the_recorder_wrote_what_was_seen(heard: Heard) -> None:
    with (heard.folder / "logs/funding_opportunities.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["pair"] for row in rows} >= heard_pairs(heard)
    assert (heard.folder / "logs/observer.log").stat().st_size > 0
    series = list((heard.folder / "archive/kind=funding").glob("venue=*/symbol=*.parquet"))
    assert len(series) == 2 * len(BASES)


def heard_pairs(heard: Heard) -> set[str]:
    return {item.pair for item in heard.of(m.Opportunity) if item.passes}


@contextlib.contextmanager
def demo_process(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("FUNDARB")}
    process = subprocess.Popen(
        [ROOT / ".venv/bin/fundarb", "demo", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def children_of(pid: int) -> set[int]:
    listed = subprocess.run(
        ["ps", "-e", "-o", "pid=,ppid="], check=True, capture_output=True, text=True
    ).stdout
    pairs = [tuple(map(int, line.split())) for line in listed.splitlines()]
    return {child for child, parent in pairs if parent == pid}


def test_the_command_ends_with_its_summary() -> None:
    with demo_process("--duration", "12", "--json") as process:
        out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    summary = json.loads(out)
    wanted = {
        "seconds", "market_seconds", "evaluations", "opportunities", "pairs_opened", "pairs_closed", "orders",
        "unwinds", "funding_expected_usd", "funding_received_usd", "pnl", "equity_start_usd",
        "equity_end_usd",
        "equity_residual_usd", "naked_usd_seconds", "refusals", "services",
    }  # fmt: skip
    assert wanted <= summary.keys()
    assert summary["evaluations"] > 0
    assert summary["opportunities"] > 0
    assert summary["market_seconds"] > 12 * DEMO_SPEED / 2
    assert "synthesised" in err
    assert "Traceback" not in err


def test_ctrl_c_ends_it_without_a_leftover() -> None:
    with demo_process() as process:
        deadline = time.perf_counter() + PATIENCE_SEC
        while len(children_of(process.pid)) < 6 and time.perf_counter() < deadline:
            time.sleep(0.2)
        children = children_of(process.pid)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    assert len(children) >= 6
    assert not [pid for pid in children if Path(f"/proc/{pid}").exists()]


# After an outage of the venue itself the feed backs off and observes it clean for 10 s first.
RESUMES_SEC = {"feed": 10, "signal": 10, "nats": 10, "valkey": 10, "venue": 25}


@pytest.mark.parametrize("victim", RESUMES_SEC)
async def test_kill_9_of_a_process_is_survived(victim: str, tmp_path: Path) -> None:
    async with running_stack(plan_in(tmp_path)) as stack:
        await until(lambda: stack.watch.evaluation is not None and stack.watch.passed, "evaluations")
        await kill_and_watch(stack, victim)


async def kill_and_watch(stack: Stack, victim: str) -> None:
    pid = stack.supervisor.pids()[victim]
    os.kill(pid, signal.SIGKILL)
    await until(lambda: stack.supervisor.restarts()[victim] == 1, "the restart", sec=5)
    assert stack.watch.evaluation is not None
    killed_ms = stack.watch.evaluation.market_ms

    said = set()

    def resumed() -> bool:
        said.add(stack.states()[victim])
        evaluation = stack.watch.evaluation
        return evaluation is not None and evaluation.market_ms > killed_ms and evaluation.passing > 0

    took = await until(resumed, "evaluations with passing pairs", sec=40)
    assert took < RESUMES_SEC[victim], f"evaluations resumed only after {took:.1f} s"
    assert said != {"ok"}, f"nobody said that {victim} was away"
    await until(lambda: set(stack.states().values()) == {"ok"}, "all well again", sec=30, seen=stack.states)
    assert msgspec.to_builtins(stack.watch.evaluation)["pairs"] == 3 * len(BASES)
