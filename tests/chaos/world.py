"""A whole deployment as processes: NATS, Valkey, the simulated venue, feed, signal, risk, executors.

Every process is kept by the project's own supervisor, with the users and grants of a deployment, and talks
to broker, store and venue over links of its own. What is killed comes back by the supervisor.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import urllib.request
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import msgspec
import redis.asyncio

from libs.common import subjects
from libs.common.bus import Frame
from libs.common.child import ChildSpec, python_env, service_argv
from libs.common.clock import mono_us, wall_us
from libs.common.embedded import nats_server, temporary_folder, valkey_server
from libs.common.messages import AlertRaised, decode
from libs.common.messages_exec import Permit
from libs.common.nats_bus import NatsBus
from libs.common.redis_store import RedisStore
from libs.common.runtime_file import Deployment, deployment_path, read, write_private
from libs.common.store import StoreUnavailable
from libs.common.supervisor import Supervisor
from libs.console.stack import HUNG_SEC, VENUE_FILE
from tests.chaos.links import Hear, Link
from tests.helpers.disk import SmallDisk
from tests.helpers.executor import BINANCE, BITGET, CROSS

DEPLOYMENT: Final = "chaos"
SPEED: Final = 120.0
"""Market seconds a wall second: a settlement of 4 hours each 2 minutes, and prices that can be followed."""

NOTIONAL_USD: Final = 300
READY_SEC: Final = 120.0
PERMITS_KEPT: Final = 400
STORE_TRIES: Final = 25
DISK_MEGABYTES: Final = 96
"""Room for the journal of some dozen cycles, of which nothing is trimmed."""

T = TypeVar("T")
SERVICES: Final = ("feed", "signal", "risk", "executor")
SECOND: Final = "executor2"
NATS, VALKEY, VENUE = "nats", "valkey", "venue"
LEGS: Final = (BINANCE, BITGET, CROSS)
BASES: Final = ("XRP", "DOGE", "SOL", "SUI")


def pairs_of(bases: Iterable[str], legs: tuple[tuple[str, str], ...] = LEGS) -> dict[str, tuple[str, str]]:
    """Symbol -> its two exchanges, every kind of pair in turn. No two pairs share an instrument."""
    return {f"{base}/USDT": legs[number % len(legs)] for number, base in enumerate(bases)}


def ids_of(pairs: dict[str, tuple[str, str]]) -> tuple[str, ...]:
    """The pairs' ids."""
    made = []
    for symbol, (first, second) in pairs.items():
        made.append(
            f"{symbol.replace('/', '-')}_{first.replace('_', '-')}_{second.replace('_', '-')}",
        )
    return tuple(made)


def config_of(pairs: dict[str, tuple[str, str]], folder: Path, **more: Any) -> str:
    """The deployment's config. `more`: sections that are to be otherwise."""
    tree: dict[str, Any] = {
        "deployment": DEPLOYMENT,
        "symbols": sorted(pairs),
        "exchanges": {
            f"{venue}_{leg}": {"id": venue, "type": kind}
            for venue in ("binance", "bitget")
            for leg, kind in (("spot", "spot"), ("perp", "swap"))
        },
        "pairs": [{"symbol": symbol, "legs": list(legs)} for symbol, legs in pairs.items()],
        "position": {"notional_usd": NOTIONAL_USD, "hold_days": 30},
        # in slices, so that a fault finds openings under way
        "execution": {"collar_bps": 50, "slices": 4, "slice_interval_sec": 0.5},
        "monitor": {"interval_sec": 1},
        "limits": {"max_notional_usd": 20_000, "max_pairs": 20},
        "paths": {"logs": str(folder / "logs"), "archive": str(folder / "archive")},
    }
    return json.dumps(tree | more)


class Ear:
    """What is heard on the bus, by a connection that no fault touches but the broker's own."""

    def __init__(self) -> None:
        self.permit: Permit | None = None
        self.permits: deque[Permit] = deque(maxlen=PERMITS_KEPT)
        self.alerts: list[AlertRaised] = []

    def hear(self, frame: Frame) -> None:
        """A permit, or an alert."""
        if frame.subject == subjects.PERMIT:
            self.permit = decode(frame.payload, Permit)
            self.permits.append(self.permit)
        else:
            self.alerts.append(decode(frame.payload, AlertRaised))

    def pages(self) -> list[AlertRaised]:
        """What would wake somebody."""
        return [one for one in self.alerts if one.level == "critical"]


class World:
    """Made by `running_world`. `links`: (process, server) -> the link between them."""

    def __init__(
        self,
        folder: Path,
        pairs: dict[str, tuple[str, str]],
        config: str,
        *,
        seed: int,
        disk: SmallDisk | None = None,
    ) -> None:
        """`disk`: what the store has its data on, where that may be filled."""
        self.disk = disk
        self.folder, self.pairs, self.ids = folder, pairs, ids_of(pairs)
        self.links: dict[tuple[str, str], Link] = {}
        self.ear = Ear()
        self._seed = seed
        self._config = folder / "config.json"
        self._config.write_text(config)
        self._logs = folder / "logs"
        self.nats = nats_server(folder / NATS, env=os.environ, logs=self._logs, master=False)
        # with a user without bounds, who fills the store
        self.valkey = valkey_server(folder / VALKEY, env=os.environ, logs=self._logs, durable=True)
        self.supervisor = Supervisor([self.nats.spec, self.valkey.spec])
        self.bus = NatsBus(self.nats.url, name="operator", connect_timeout_sec=10.0)
        self.store = RedisStore(self.valkey.urls["operator"], deployment=DEPLOYMENT, connect_timeout_sec=10.0)
        self.master: Any = redis.asyncio.from_url(self.valkey.url)
        self._control = ""
        self._read: dict[str, tuple[list[dict[str, bytes]], str]] = {}

    # --- life ---------------------------------------------------------------------------------------

    async def start(self, services: tuple[str, ...], hears: Mapping[tuple[str, str], Hear]) -> None:
        """Servers, the venue, the links, the services."""
        await self.supervisor.start()
        await self.bus.connect()
        await self.store.connect()
        for pattern in (subjects.PERMIT, subjects.ALL_ALERTS):
            await self.bus.subscribe(pattern, self.ear.hear)
        await self.supervisor.add(self._spec(VENUE, self.nats.urls[VENUE], self.valkey.urls[VENUE]))
        told = json.loads((self._runtime(VENUE) / VENUE_FILE).read_text(encoding="utf-8"))
        self._control = f"http://127.0.0.1:{told['control_port']}"
        specs = []
        for name in services:
            urls = []
            user = service_of(name)
            for server, url in ((NATS, self.nats.urls[user]), (VALKEY, self.valkey.urls[user])):
                link = await self._link(name, server, urlsplit(url).port or 0, hears)
                urls.append(url.replace(f":{urlsplit(url).port}", f":{link.port}"))
            link = await self._link(name, VENUE, told["port"], hears)
            announced = json.dumps(told | {"port": link.port}).encode()
            self._runtime(name).mkdir(parents=True, exist_ok=True)
            write_private(self._runtime(name) / VENUE_FILE, announced)
            specs.append(self._spec(name, *urls))
        await asyncio.gather(*(self.supervisor.add(spec) for spec in specs))

    async def _link(self, name: str, server: str, port: int, hears: Mapping[tuple[str, str], Hear]) -> Link:
        link = self.links[name, server] = Link(port, hear=hears.get((name, server)))
        await link.open()
        return link

    def _runtime(self, name: str) -> Path:
        return self.folder / "run" / name

    def _spec(self, name: str, nats_url: str, redis_url: str) -> ChildSpec:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("FUNDARB")}
        env = python_env(
            kept,
            FUNDARB_NATS_URL=nats_url,
            FUNDARB_REDIS_URL=redis_url,
            FUNDARB_CONFIG=str(self._config),
            FUNDARB_BUILD="chaos",  # a commit may come while it runs
            FUNDARB_RUNTIME_DIR=str(self._runtime(name)),
            FUNDARB_METRICS_PORT="0",
            FUNDARB_MODE="demo",
        )
        if name == VENUE:
            env |= {"FUNDARB_VENUE_SPEED": f"{SPEED}", "FUNDARB_VENUE_SEED": str(self._seed)}
        return ChildSpec(
            name=name,
            argv=service_argv(service_of(name)),
            log=self._logs / f"{name}.log",
            env=env,
            ready=lambda: self._lives(name),
            ready_sec=READY_SEC,
            hung_sec=HUNG_SEC,
        )

    async def _lives(self, name: str) -> bool:
        """Its event loop runs, as `libs.console.stack` asks it."""
        known = read(deployment_path(self._runtime(name), DEPLOYMENT), Deployment)
        service = service_of(name)
        if known is None or known.pids.get(service) != self.supervisor.pids().get(name):
            return False
        if name == VENUE and not (self._runtime(VENUE) / VENUE_FILE).exists():
            return False
        reader, writer = await asyncio.open_connection("127.0.0.1", known.metrics_ports[service])
        try:
            writer.write(b"GET /live HTTP/1.0\r\n\r\n")
            return b" 200 " in await reader.readline()
        finally:
            writer.close()

    async def stop(self) -> None:
        """End all that was started here."""
        for name in self.supervisor.pids():
            self.signal(name, signal.SIGCONT)
        for link in self.links.values():
            link.heal()
        await self.master.aclose()
        await self.store.close()
        await self.bus.close()
        await self.supervisor.stop()
        await asyncio.gather(*(link.close() for link in self.links.values()))

    # --- what is done to it --------------------------------------------------------------------------

    def signal(self, name: str, number: signal.Signals) -> None:
        """To one of our own processes."""
        pid = self.supervisor.pids().get(name)
        if pid is not None:
            os.kill(pid, number)

    async def ok(self, name: str) -> None:
        """Until a process that was killed lives again."""
        await until(lambda: self.supervisor.states()[name] == "ok", sec=READY_SEC, what=f"{name} is back")

    # --- what it says ----------------------------------------------------------------------------------

    async def control(self, path: str, *, method: str = "GET", body: dict[str, Any] | None = None) -> Any:
        """The venue's own books and faults, past every link."""
        return await asyncio.to_thread(self._controlled, path, method, body)

    def _controlled(self, path: str, method: str, body: dict[str, Any] | None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        asked = urllib.request.Request(self._control + path, data=data, method=method)  # noqa: S310 - our own
        with urllib.request.urlopen(asked, timeout=20) as answer:  # noqa: S310 - our own venue
            return msgspec.json.decode(answer.read())

    async def stream(self, name: str) -> list[dict[str, bytes]]:
        """All entries of a stream of the store."""
        found, after = self._read.get(name, ([], "0"))
        while page := await self._asked(partial(self.store.read, name, after=after, count=1_000)):
            found += [one.fields for one in page]
            after = page[-1].id
        self._read[name] = (found, after)
        return found

    async def value(self, key: str) -> bytes | None:
        """What the store has under a key."""
        found = await self._asked(partial(self.store.get, key))
        return None if found is None else found.value

    @staticmethod
    async def _asked(ask: Callable[[], Awaitable[T]]) -> T:
        """Connections of ours ended with the store's last life, each tells it once."""
        for _ in range(STORE_TRIES):
            try:
                return await ask()
            except StoreUnavailable:
                await asyncio.sleep(0.2)
        return await ask()

    def tails(self, chars: int = 1_500) -> str:
        """The ends of all logs, for a failure's text."""
        logs = sorted(self._logs.glob("*.log"))
        return "\n".join(f"--- {path.name}\n{path.read_text(errors='replace')[-chars:]}" for path in logs)


def service_of(name: str) -> str:
    """`executor2` is an executor."""
    return name.rstrip("2")


async def until(condition: Callable[[], bool], *, sec: float, what: str) -> float:
    """Wait for a condition; how long that took. TimeoutError says what did not happen."""
    begun_us = mono_us()
    while not condition():
        if mono_us() - begun_us > sec * 1e6:
            raise TimeoutError(f"not within {sec:g} s: {what}")
        await asyncio.sleep(0.02)
    return (mono_us() - begun_us) / 1e6


def now_ms() -> int:
    """Wall time, as commands are stamped."""
    return wall_us() // 1_000


@asynccontextmanager
async def running_world(
    pairs: dict[str, tuple[str, str]],
    *,
    seed: int = 0,
    services: tuple[str, ...] = SERVICES,
    hears: Mapping[tuple[str, str], Hear] | None = None,
    small_disk: bool = False,
    **config: Any,
) -> AsyncIterator[World]:
    """Started, and ended whatever happens; its folder is gone with it."""
    with temporary_folder("fundarb-chaos-") as folder:
        disk = SmallDisk(folder / VALKEY, megabytes=DISK_MEGABYTES) if small_disk else None
        world = World(folder, pairs, config_of(pairs, folder, **config), seed=seed, disk=disk)
        try:
            await world.start(services, hears or {})
            yield world
        finally:
            await world.stop()
            if disk is not None:
                disk.unmount()
