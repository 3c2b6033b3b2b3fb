"""Executors as processes on real servers and a simulated venue of its own: started, killed, started again."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import signal
import sys
import urllib.request
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from libs.common import subjects
from libs.common.bus import Frame
from libs.common.child import python_env
from libs.common.clock import mono_us, wall_us
from libs.common.messages import AlertRaised, Intent, Message, decode, encode, type_of
from libs.common.messages_exec import AccountStatus, OrderEvent, PairStatus
from libs.common.nats_bus import NatsBus
from tests.helpers.servers import real_nats, real_valkey
from tests.helpers.venue import venue_process

READY_SEC: Final = 60.0
BINANCE, BITGET, CROSS = (
    ("binance_spot", "binance_perp"),
    ("bitget_spot", "bitget_perp"),
    ("binance_perp", "bitget_perp"),
)
NOTIONAL: Final = 1_000


OFTEN: Final = {"interval_sec": 1}
"""Cadences of a lab of few pairs; many of them would use up the venue's request weight."""


def config_of(
    pairs: dict[str, tuple[str, str]], folder: Path, deployment: str, monitor: dict[str, Any] = OFTEN
) -> str:
    """A config of these pairs: symbol -> names of its two exchanges. `monitor`: that section of it."""
    return json.dumps(
        {
            "deployment": deployment,
            "symbols": sorted(pairs),
            "exchanges": {
                f"{venue}_{leg}": {"id": venue, "type": kind}
                for venue in ("binance", "bitget")
                for leg, kind in (("spot", "spot"), ("perp", "swap"))
            },
            "pairs": [{"symbol": symbol, "legs": list(legs)} for symbol, legs in pairs.items()],
            "position": {"notional_usd": NOTIONAL, "hold_days": 30},
            "execution": {"collar_bps": 50},
            "monitor": monitor,
            "limits": {"max_notional_usd": 20_000, "max_pairs": 10},
            "paths": {"logs": str(folder / "logs"), "archive": str(folder / "archive")},
        }
    )


class Service:
    """One service process."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        self.name = name
        self.process = process
        self.log = log

    @property
    def text(self) -> str:
        """What it has logged."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    async def kill(self) -> None:
        """kill -9."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()

    async def stop(self) -> int:
        """SIGTERM, and its exit code."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(30):
            return await self.process.wait()


class Lab:
    """NATS, Valkey, a venue, feed and risk; executors as the test wants them; an ear on `exec.>`."""

    def __init__(
        self,
        folder: Path,
        bus: NatsBus,
        env: dict[str, str],
        venue: dict[str, Any],
        monitor: dict[str, Any] = OFTEN,
    ) -> None:
        self.folder, self.bus, self.env, self.venue = folder, bus, env, venue
        self._monitor = monitor
        self._control = f"http://127.0.0.1:{venue['control_port']}"
        self._services: list[Service] = []
        self._numbers = itertools.count()
        self._starting = asyncio.Semaphore(2)
        self.pairs: dict[str, PairStatus] = {}
        self.owners: dict[str, list[str]] = {}
        self.orders: list[OrderEvent] = []
        self.alerts: list[AlertRaised] = []
        self.accounts: list[AccountStatus] = []

    def hear(self, frame: Frame) -> None:
        kind = type_of(frame.subject)
        assert kind is not None, frame.subject
        message: Message = decode(frame.payload, kind)
        match message:
            case PairStatus(pair=pair, owner=owner):
                self.pairs[pair] = message
                if owner and owner not in self.owners.setdefault(pair, []):
                    self.owners[pair].append(owner)
            case OrderEvent():
                self.orders.append(message)
            case AccountStatus():
                self.accounts.append(message)
            case AlertRaised():
                self.alerts.append(message)
            case _:
                pass

    async def start(self, name: str, pairs: dict[str, tuple[str, str]], **env: str) -> Service:
        """A service with a config of these pairs, when it runs (or has ended). Two start at a time: a dozen
        processes that import at once would starve each other.
        """
        number = next(self._numbers)
        config = self.folder / f"config-{number}.json"
        config.write_text(config_of(pairs, self.folder, env.pop("deployment", "lab"), self._monitor))
        log = self.folder / f"{name}-{number}.log"
        async with self._starting:
            with log.open("wb") as output:
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-m",
                    f"services.{name}.main",
                    env={**self.env, "FUNDARB_CONFIG": str(config), **env},
                    stdout=output,
                    stderr=output,
                )
            started = Service(name, process, log)
            self._services.append(started)
            await self.until(lambda: f"{name} runs" in started.text or process.returncode is not None)
        return started

    async def end(self) -> None:
        for service in self._services:
            if service.process.returncode is None:
                await service.kill()

    # --- what is asked ----------------------------------------------------------------------------

    async def ask(self, action: Any, pair: str, *, sec: float = READY_SEC, until: str) -> None:
        """Say an intent until the pair is where it leads to: it may not be ready, and words may be lost."""
        subject = subjects.intent(pair)
        while self.state(pair) != until:
            wanted = Intent(
                pair=pair,
                action=action,
                direction="forward",
                notional_usd=str(NOTIONAL),
                reason="test",
                expires_us=wall_us() + 2_000_000,
            )
            assert self.bus.publish(subject, encode(wanted))
            sec -= 1.0
            assert sec > 0, f"{pair} is {self.pairs.get(pair)}, not {until}\n{self.logs()}"
            with contextlib.suppress(TimeoutError):
                await self.until(lambda: self.state(pair) == until, sec=1.0)

    def state(self, pair: str) -> str:
        """A pair's last state, "" while nothing was heard of it."""
        return self.pairs[pair].state if pair in self.pairs else ""

    async def until(self, condition: Callable[[], bool], *, sec: float = READY_SEC) -> float:
        """Wait for a condition; how long it took. TimeoutError with everybody's last words."""
        started_us = mono_us()
        while not condition():
            if mono_us() - started_us > sec * 1e6:
                raise TimeoutError(self.logs() if sec > 1 else "not yet")
            await asyncio.sleep(0.02)
        return (mono_us() - started_us) / 1e6

    def logs(self) -> str:
        """The ends of all logs, for a failure's text."""
        return "\n".join(f"--- {one.log.name}\n{one.text[-2_000:]}" for one in self._services)

    # --- what really happened -----------------------------------------------------------------------

    async def oracle(self) -> Any:
        """The venue's own books of everything."""
        return await asyncio.to_thread(self._get, "/oracle")

    def service(self, name: str) -> Service:
        """The first service of a name."""
        return next(one for one in self._services if one.name == name)

    def last(self, name: str) -> Service:
        """The newest service of a name."""
        return next(one for one in reversed(self._services) if one.name == name)

    async def faults(self, *faults: dict[str, Any]) -> None:
        """The venue misbehaves from now on."""
        await asyncio.to_thread(self._send, "POST", "/faults", {"faults": list(faults)})

    async def clear_faults(self) -> None:
        """It behaves again."""
        await asyncio.to_thread(self._send, "DELETE", "/faults", {})

    async def strike(self, fault: dict[str, Any]) -> None:
        """Something befalls positions, once and now."""
        told = await asyncio.to_thread(self._send, "POST", "/strike", fault)
        assert any(told["hit"].values()), f"{fault} has hit nothing"

    async def control(self, path: str, **body: Any) -> Any:
        """POST to the venue's control endpoint."""
        return await asyncio.to_thread(self._send, "POST", path, body)

    def _send(self, method: str, path: str, body: dict[str, Any]) -> Any:
        asked = urllib.request.Request(  # noqa: S310 - our own venue
            self._control + path, data=json.dumps(body).encode(), method=method
        )
        with urllib.request.urlopen(asked, timeout=10) as answer:  # noqa: S310 - our own venue
            return json.load(answer)

    def _get(self, path: str) -> Any:
        with urllib.request.urlopen(self._control + path, timeout=10) as answer:  # noqa: S310 - our own venue
            return json.load(answer)

    async def sent(self) -> dict[str, int]:
        """Client id -> how often it has reached a venue."""
        told = await self.oracle()
        return {key: count for house in told.values() for key, count in house["sent"].items()}

    async def shown(self, venue: str, instrument: str) -> Decimal:
        """What the venue shows of a leg: a position, or coins."""
        return shown_of((await self.oracle())[venue]["accounts"], instrument)


def shown_of(accounts: dict[str, Any], instrument: str) -> Decimal:
    """A contract's position, or the total of a coin, over all accounts of a house."""
    base, quote = instrument.split("-")[:2]
    if instrument.endswith("-PERP"):
        held = [
            position
            for account in accounts.values()
            for figures in account["positions"]
            if (position := figures["position"])["instrument"] == f"perp:{base}{quote}"
        ]
        return sum((Decimal(str(one["quantity"])) for one in held), Decimal(0))
    return sum(
        (
            Decimal(str(account["balances"][base]["total"]))
            for account in accounts.values()
            if base in account["balances"]
        ),
        Decimal(0),
    )


@contextlib.asynccontextmanager
async def lab(
    folder: Path, pairs: dict[str, tuple[str, str]], *, monitor: dict[str, Any] = OFTEN, **venue: str
) -> AsyncIterator[Lab]:
    """Everything but the executor, ready for these pairs. `monitor`: a section of everybody's config,
    `venue`: options of the simulated exchange.
    """
    with real_nats() as nats, real_valkey() as valkey:
        await asyncio.gather(nats.ready(), valkey.ready())
        servers = {"FUNDARB_NATS_URL": nats.url, "FUNDARB_REDIS_URL": valkey.url}
        kept = {key: value for key, value in os.environ.items() if not key.startswith("FUNDARB")}
        env = python_env(
            kept,
            **servers,
            FUNDARB_BUILD="test",  # permits of another build do not count, and a commit may come meanwhile
            FUNDARB_RUNTIME_DIR=str(folder),
            FUNDARB_METRICS_PORT="0",
            FUNDARB_MODE="demo",
        )
        settings = {
            "speed": "1",
            **venue,
            "env": {**servers, "FUNDARB_METRICS_PORT": "0", "FUNDARB_MODE": "demo"},
        }
        with venue_process(folder, **settings) as told:  # type: ignore[arg-type]
            bus = NatsBus(nats.url, name="test", connect_timeout_sec=10.0)
            await bus.connect()
            made = Lab(folder, bus, env, told, monitor)
            for pattern in (subjects.ALL_EXEC, subjects.ALL_ALERTS):
                await bus.subscribe(pattern, made.hear)
            try:
                await asyncio.gather(made.start("feed", pairs), made.start("risk", pairs))
                yield made
            finally:
                await made.end()
                await bus.close()
