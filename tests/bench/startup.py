"""How long each process takes until it says that it is well, and how much memory the whole stack needs.

The demo's stack as a user starts it: broker, store, simulated exchange, services. Memory is resident
memory of every process (shared pages count in each), after the stack has worked for a while. `stack_mb` is
what watching needs; `trading_stack_mb` counts executor and risk too.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path

import uvloop

from libs.common import messages as m
from libs.common.bus import Frame
from libs.common.clock import wall_us
from libs.common.nats_bus import NatsBus
from libs.common.subjects import ALL_HEALTH
from libs.console.demo_config import DEPLOYMENT, demo_config
from libs.console.stack import OBSERVER_SERVICES, TRADING_SERVICES, Plan, Stack, running_stack
from tests.bench.report import Figure, Result

MB_MAX = 450.0
WELL_SEC_MAX = 120.0
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
TICKS_PER_SEC = os.sysconf("SC_CLK_TCK")


def plan_in(folder: Path) -> Plan:
    """The demo's plan, in a private folder."""
    config = folder / "config.json"
    config.write_text(demo_config(folder), encoding="utf-8")
    return Plan(
        title="bench",
        deployment=DEPLOYMENT,
        folder=folder,
        runtime=folder / "runtime",
        env={"FUNDARB_CONFIG": str(config), "FUNDARB_MODE": "demo", "FUNDARB_METRICS_PORT": "0"},
        services=TRADING_SERVICES,
        venue=True,
    )


def started_sec(pid: int) -> float:
    """When a process was started, in seconds since boot."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(") ", 1)[1].split()
    return int(fields[19]) / TICKS_PER_SEC


def uptime_sec() -> float:
    return float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])


def resident_mb(pid: int) -> float:
    """Resident memory of one process, 0 when it is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    except FileNotFoundError:
        return 0.0
    return pages * PAGE_BYTES / 1e6


class Pulses:
    """First good word of each service, in seconds since its process was started."""

    def __init__(self) -> None:
        self.well_sec: dict[str, float] = {}

    def hear(self, frame: Frame) -> None:
        said = m.decode(frame.payload, m.ServiceHealth)
        if said.ok and said.service not in self.well_sec:
            age_sec = max(0.0, (wall_us() - said.wall_us) / 1e6)
            self.well_sec[said.service] = round(uptime_sec() - started_sec(said.pid) - age_sec, 3)


async def observed(stack: Stack, *, work_sec: float) -> tuple[dict[str, float], dict[str, float]]:
    """Start-up seconds of each service, and resident MB of each process after `work_sec`."""
    pulses = Pulses()
    bus = NatsBus(stack.nats_url, name="bench")
    await bus.connect()
    await bus.subscribe(ALL_HEALTH, pulses.hear)
    services = {*stack.plan.services, "venue"}
    try:
        async with asyncio.timeout(WELL_SEC_MAX):
            while services - pulses.well_sec.keys():  # noqa: ASYNC110 - other processes
                await asyncio.sleep(0.02)
        await asyncio.sleep(work_sec)
    finally:
        await bus.close()
    memory = {name: round(resident_mb(pid), 1) for name, pid in stack.supervisor.pids().items()}
    return pulses.well_sec, memory


async def measure(work_sec: float) -> tuple[float, dict[str, float], dict[str, float]]:
    """Seconds until the first opportunity passes, then what `observed` says."""
    with tempfile.TemporaryDirectory(prefix="fundarb-bench-") as name:
        begun_us = wall_us()
        async with running_stack(plan_in(Path(name))) as stack:
            async with asyncio.timeout(WELL_SEC_MAX):
                while not stack.watch.evaluations:  # noqa: ASYNC110 - other processes
                    await asyncio.sleep(0.02)
            first_sec = round((wall_us() - begun_us) / 1e6, 3)
            well, memory = await observed(stack, work_sec=work_sec)
        return first_sec, well, memory


def run(*, work_sec: int = 20) -> Result:
    """One start of the stack: it is the first one that a user waits for."""
    first_sec, well, memory = uvloop.run(measure(float(work_sec)))
    trading = set(TRADING_SERVICES) - set(OBSERVER_SERVICES)
    watching_mb = sum(mb for name, mb in memory.items() if name not in trading)
    figures = [
        Figure(name="stack_mb", value=round(watching_mb, 1), unit="MB", goal=MB_MAX),
        Figure(name="trading_stack_mb", value=round(sum(memory.values()), 1), unit="MB"),
        Figure(name="first_evaluation_sec", value=first_sec, unit="s"),
    ]
    figures += [Figure(name=f"{name}_well_sec", value=sec, unit="s") for name, sec in sorted(well.items())]
    figures += [Figure(name=f"{name}_mb", value=mb, unit="MB") for name, mb in sorted(memory.items())]
    return Result(
        bench="startup",
        note=f"the demo's {len(memory)} processes, memory after {work_sec} s of work",
        figures=tuple(figures),
    )
