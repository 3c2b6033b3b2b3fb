"""A running stack: embedded servers where no URL is given, the services as supervised processes, one watcher.

`demo` and `up` differ in what they put in here: the folder, the config, whether there is a simulated
venue.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import msgspec

from libs.common.bus import BusUnavailable
from libs.common.child import ChildFailed, ChildSpec, ChildState, python_env, service_argv
from libs.common.clock import mono_us, wall_us
from libs.common.embedded import EmbeddedError, free_port, nats_server, valkey_server
from libs.common.instant import US_PER_SEC
from libs.common.nats_bus import NatsBus
from libs.common.runtime_file import Deployment, deployment_path, read, remove, update
from libs.common.supervisor import StopSignals, Supervisor, log_path
from libs.console.output import UNREACHABLE, USAGE, UserError, is_terminal
from libs.console.watch import PATTERNS, Watch

OBSERVER_SERVICES: Final = ("feed", "signal", "recorder")
NOTIFIER_SERVICE: Final = ("notifier",)
TRADING_SERVICES: Final = (*OBSERVER_SERVICES, "risk", "executor")
SERVERS_STAGE, VENUE_STAGE, SERVICES_STAGE = 0, 1, 2
VENUE_FILE: Final = "venue.json"
VENUE_FILES: Final = (VENUE_FILE, "venue-ca.pem", "venue-leaf.pem")
HUNG_SEC: Final = 10.0
READY_SEC: Final = 60.0
PLAIN_EVERY_SEC: Final = 5.0
CHECK_EVERY_SEC: Final = 0.5
FRAMES_PER_SEC: Final = 4
CONNECT_SEC: Final = 10.0


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to run. `folder` holds the servers' data and everybody's logs, `runtime` the private files."""

    title: str
    deployment: str
    folder: Path
    runtime: Path
    env: dict[str, str]
    services: tuple[str, ...] = OBSERVER_SERVICES
    venue: bool = False
    durable: bool = False
    nats_url: str | None = None
    redis_url: str | None = None
    lock: int | None = None


class Stack:
    """The processes of a plan. Made by `running_stack`."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.started_us = wall_us()
        self.watch = Watch(started_us=self.started_us)
        specs: list[ChildSpec] = []
        logs = plan.folder / "logs"
        self.nats_url, self.redis_url = plan.nats_url or "", plan.redis_url or ""
        self._nats_urls: dict[str, str] = {}
        self._redis_urls: dict[str, str] = {}
        try:
            if plan.nats_url is None:
                nats = nats_server(plan.folder / "nats", env=os.environ, logs=logs, master=False)
                self.nats_url, self._nats_urls = nats.url, nats.urls
                specs.append(nats.spec)
            if plan.redis_url is None:
                valkey = valkey_server(
                    plan.folder / "valkey",
                    env=os.environ,
                    logs=logs,
                    durable=plan.durable,
                    lock=plan.lock,
                    deployment=plan.deployment,
                )
                self.redis_url, self._redis_urls = valkey.url, valkey.urls
                specs.append(valkey.spec)
        except EmbeddedError as error:
            raise UserError(str(error), UNREACHABLE) from error
        if plan.venue:
            # A venue that is restarted comes back on its port, and the market's time goes on.
            again = {
                "FUNDARB_VENUE_WALL0": str(self.started_us // 1000),
                "FUNDARB_VENUE_PORT": str(free_port()),
            }
            specs.append(self._service("venue", VENUE_STAGE, **again))
        self.supervisor = Supervisor(
            [*specs, *(self._service(name, SERVICES_STAGE) for name in plan.services)]
        )
        self.bus: NatsBus | None = None

    def _service(self, name: str, stage: int, **more: str) -> ChildSpec:
        plan = self.plan
        env = python_env(
            os.environ,
            FUNDARB_NATS_URL=self._nats_urls.get(name, self.nats_url),
            FUNDARB_REDIS_URL=self._redis_urls.get(name, self.redis_url),
            FUNDARB_RUNTIME_DIR=str(plan.runtime),
            **plan.env,
            **more,
        )
        return ChildSpec(
            name=name,
            argv=service_argv(name),
            log=log_path(plan.folder / "logs", name),
            env=env,
            stage=stage,
            ready=lambda: self._answers(name),
            ready_sec=READY_SEC,
            hung_sec=HUNG_SEC,
        )

    async def _answers(self, name: str) -> bool:
        """The process has announced its port and its event loop runs: unwell is fine, frozen is not."""
        known = read(deployment_path(self.plan.runtime, self.plan.deployment), Deployment)
        pid = self.supervisor.pids().get(name)
        if known is None or pid is None or known.pids.get(name) != pid:
            return False
        if name == "venue" and not (self.plan.runtime / VENUE_FILE).exists():
            return False
        reader, writer = await asyncio.open_connection("127.0.0.1", known.metrics_ports[name])
        try:
            writer.write(b"GET /live HTTP/1.0\r\n\r\n")
            return b" 200 " in await reader.readline()
        finally:
            writer.close()

    async def start(self) -> None:
        """Servers, the simulated venue, services; `UserError` says what did not come up and why."""
        update(deployment_path(self.plan.runtime, self.plan.deployment), self._announce)
        self.bus = NatsBus(self.nats_url, name="console", connect_timeout_sec=CONNECT_SEC)
        try:
            await self.supervisor.start_stage(SERVERS_STAGE)
            await self.bus.connect()  # before the services: they would wait for an absent server in silence
            for pattern in PATTERNS:
                await self.bus.subscribe(pattern, self.watch.feed)
            for stage in (VENUE_STAGE, SERVICES_STAGE):
                await self.supervisor.start_stage(stage)
        except (ChildFailed, BusUnavailable) as error:
            raise UserError(str(error), UNREACHABLE) from error

    def _announce(self, known: Deployment) -> Deployment:
        return msgspec.structs.replace(
            known,
            nats_url=self.nats_url,
            redis_url=self.redis_url,
            pids={"console": os.getpid()},
            metrics_ports={},
            started_us=self.started_us,
        )

    async def stop(self) -> None:
        if self.bus is not None:
            with suppress(BusUnavailable):
                await self.bus.close()
        await self.supervisor.stop()
        remove(deployment_path(self.plan.runtime, self.plan.deployment))
        if self.plan.venue:
            for name in VENUE_FILES:
                (self.plan.runtime / name).unlink(missing_ok=True)

    def states(self) -> dict[str, str]:
        """Every process in a word or a sentence: the supervisor's view first, then the service's own."""
        expected = (*(("venue",) if self.plan.venue else ()), *self.plan.services)
        said = self.watch.service_states(expected, wall_us())
        kept, why = self.supervisor.states(), self.supervisor.reasons()
        return {
            name: said[name]
            if state == "ok" and name in said
            else (why[name] if state == ChildState.FAILED else state)
            for name, state in kept.items()
        }

    def check(self) -> None:
        """`UserError` when a service has refused its config or its keys: half a deployment helps nobody.

        One that refuses in a later life leaves the others to what is held, and to its owner.
        """
        if refused := self.supervisor.refusals():
            raise UserError("\n".join(refused.values()), USAGE)


class StoppedEarly(Exception):
    """Ctrl-C while the stack was still starting."""


@asynccontextmanager
async def running_stack(plan: Plan) -> AsyncIterator[Stack]:
    """Started, watched, and ended whatever happens."""
    stack = Stack(plan)
    try:
        await stack.start()
        yield stack
    finally:
        await stack.stop()


@asynccontextmanager
async def stoppable_stack(plan: Plan) -> AsyncIterator[tuple[Stack, StopSignals]]:
    """A running stack that Ctrl-C and SIGTERM end in order at any moment: `StoppedEarly` while it starts."""
    stack = Stack(plan)
    with StopSignals(stack.supervisor.kill) as stop:
        starting = asyncio.ensure_future(stack.start())
        asked = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait({starting, asked}, return_when=asyncio.FIRST_COMPLETED)
            if not starting.done():
                raise StoppedEarly
            starting.result()
            yield stack, stop
        finally:
            for task in (starting, asked):
                task.cancel()
            await asyncio.gather(starting, asked, return_exceptions=True)
            await stack.stop()


async def show(
    stack: Stack, *, notes: tuple[str, ...], duration_sec: float | None, stop: StopSignals, quiet: bool
) -> None:
    """Until Ctrl-C, or for `duration_sec` after it was ready: a live page on a terminal, else lines."""
    end_us = None if duration_sec is None else mono_us() + int(duration_sec * US_PER_SEC)
    if not quiet and is_terminal():
        await _live(stack, notes, end_us, stop)
    else:
        await _lines(stack, notes, end_us, stop)


def _left_sec(end_us: int | None, at_most_sec: float) -> float:
    return at_most_sec if end_us is None else min(at_most_sec, max(0.0, (end_us - mono_us()) / US_PER_SEC))


async def _live(stack: Stack, notes: tuple[str, ...], end_us: int | None, stop: StopSignals) -> None:
    from rich.console import Console  # noqa: PLC0415 - only a terminal pays for it
    from rich.live import Live  # noqa: PLC0415

    from libs.console.live import screen  # noqa: PLC0415

    console = Console()
    with Live(console=console, screen=True, auto_refresh=False) as page:
        while not stop.asked and (end_us is None or mono_us() < end_us):
            stack.check()
            size = console.size
            page.update(
                screen(
                    stack.watch,
                    title=stack.plan.title,
                    notes=notes,
                    states=stack.states(),
                    wall_us=wall_us(),
                    width=size.width,
                    height=size.height,
                ),
                refresh=True,
            )
            await stop.wait(timeout_sec=_left_sec(end_us, 1 / FRAMES_PER_SEC))


async def _lines(stack: Stack, notes: tuple[str, ...], end_us: int | None, stop: StopSignals) -> None:
    for line in (stack.plan.title, *notes):
        say(line)
    while not stop.asked and (end_us is None or mono_us() < end_us):
        due_us = mono_us() + int(PLAIN_EVERY_SEC * US_PER_SEC)
        while not stop.asked and mono_us() < min(due_us, end_us or due_us):
            stack.check()
            await stop.wait(timeout_sec=_left_sec(end_us, CHECK_EVERY_SEC))
        say(progress(stack))


def progress(stack: Stack) -> str:
    """One line of what is going on."""
    watch = stack.watch
    seconds = (wall_us() - stack.started_us) / US_PER_SEC
    unwell = {name: state for name, state in stack.states().items() if state != "ok"}
    trouble = (
        "  not ok: " + ", ".join(f"{name} ({state})" for name, state in unwell.items()) if unwell else ""
    )
    if not watch.ready:
        return f"{seconds:5.0f} s  waiting for the first evaluation{trouble}"
    best = watch.ranked()[0] if watch.opportunities else None
    if best is not None and best.passes and best.net_daily_usd is not None:
        shown = f"  best {best.pair} {best.net_daily_usd:+.2f} USD/day"
    else:
        shown = f"  {watch.why_nothing()}"
    counts = f"{watch.evaluations:,} evaluations  {watch.passing}/{watch.pairs} pairs pass"
    return f"{seconds:5.0f} s  {counts}{shown}{trouble}"


def say(line: str) -> None:
    """Progress goes to stderr: stdout belongs to the answer."""
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def data_folder(env: Mapping[str, str], deployment: str) -> Path:
    """The persistent folder of a deployment: FUNDARB_DATA_DIR, else the user's data folder."""
    if named := env.get("FUNDARB_DATA_DIR"):
        return Path(named) / deployment
    base = env.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "fundarb" / deployment


def copy_tree(source: Path, target: Path) -> None:
    """Keep what a temporary deployment has written."""
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)
