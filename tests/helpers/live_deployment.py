"""A live deployment as its owner has one: key files, a config, `fundarb up --live`, and the commands.

For tests on an island (`tests/helpers/island.py`), where the exchange's names lead to the simulated one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import urllib.request
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from libs.common import subjects
from libs.common.bus import Frame
from libs.common.clock import mono_us
from libs.common.messages import AlertRaised, decode
from libs.common.messages_exec import PairStatus
from libs.common.nats_bus import NatsBus
from libs.common.runtime_file import Deployment, deployment_path, read

FUNDARB: Final = Path(sys.executable).parent / "fundarb"
NAME: Final = "savings"
SPOT, PERP, OTHER = "binance_spot", "binance_perp", "bitget_perp"
PAIR, CROSS = "SOL-USDT_binance-spot_binance-perp", "XRP-USDT_binance-perp_bitget-perp"
KEY_PARTS: Final = {"api_key": "api_key", "secret": "secret", "passphrase": "password"}
SEC_MAX: Final = 45.0


class Said(msgspec.Struct, frozen=True):
    """What a command has answered."""

    code: int | None
    out: str
    err: str

    @property
    def told(self) -> Any:
        """Its JSON."""
        return json.loads(self.out)


def write_config(folder: Path, told: dict[str, Any], **more: Any) -> Path:
    """A config for real money, and the files with the keys that the exchange has `told`."""
    exchanges = {}
    for name, venue, kind in (
        (SPOT, "binance", "spot"), (PERP, "binance", "swap"), (OTHER, "bitget", "swap"),
    ):  # fmt: skip
        files = {}
        for part, text in told["keys"][venue].items():
            path = folder / f"{venue}-{part}"
            path.write_text(f"{text}\n")
            path.chmod(0o600)
            files[f"{KEY_PARTS[part]}_file"] = path.name
        exchanges[name] = {"id": venue, "type": kind, **files}
    tree: dict[str, Any] = {
        "mode": "live",
        "deployment": NAME,
        "symbols": ["SOL/USDT", "XRP/USDT"],
        "exchanges": exchanges,
        "pairs": [
            {"symbol": "SOL/USDT", "legs": [SPOT, PERP]},
            {"symbol": "XRP/USDT", "legs": [PERP, OTHER]},
        ],
        "position": {"notional_usd": 300, "hold_days": 30},
        # nothing is opened but by hand
        "thresholds": {"daily_funding_min": 0.05, "flip_policy": "cost_aware", "forecast": "expected"},
        "execution": {"collar_bps": 50},
        "monitor": {"interval_sec": 1},
        "limits": {"max_notional_usd": 2_000, "acknowledged": True},
        "paths": {"logs": str(folder / "logs"), "archive": str(folder / "archive")},
    }
    path = folder / "live.json"
    path.write_text(json.dumps(tree | more))
    return path


class Live:
    """`fundarb up --live`, an ear on its bus, and the commands of its owner."""

    def __init__(self, folder: Path, config: Path, told: dict[str, Any]) -> None:
        self.folder, self.config = folder, config
        kept = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith("FUNDARB") and "proxy" not in key.lower()
        }
        self._env = {
            **kept,
            "FUNDARB_BUILD": "live",  # a commit may come while it starts
            "FUNDARB_DATA_DIR": str(folder / "data"),
            "FUNDARB_RUNTIME_DIR": str(folder / "run"),
        }
        self._control = f"http://127.0.0.1:{told['control_port']}"
        self._up: asyncio.subprocess.Process | None = None
        self.log = folder / "up.log"
        self.pairs: dict[str, PairStatus] = {}
        self.owners: dict[str, list[str]] = {}
        self.alerts: list[AlertRaised] = []

    # --- its life -----------------------------------------------------------------------------------

    async def start(self) -> None:
        """`fundarb up --live` in the background."""
        with self.log.open("wb") as output:
            self._up = await asyncio.create_subprocess_exec(
                FUNDARB, "up", "--live", "--config", self.config, env=self._env, cwd=self.folder,
                stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip

    async def ended(self) -> int:
        """The exit code of `up`, when it ends by itself."""
        assert self._up is not None
        async with asyncio.timeout(SEC_MAX):
            return await self._up.wait()

    async def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self._up is not None
        with contextlib.suppress(ProcessLookupError):
            self._up.terminate()
        return await self.ended()

    async def end(self) -> None:
        """Nothing of it is left."""
        if self._up is not None and self._up.returncode is None:
            await self.stop()

    @asynccontextmanager
    async def heard(self) -> AsyncIterator[None]:
        """With an ear on the deployment's bus, once there is one."""
        await self.until(lambda: self._known() is not None, what="a deployment is announced")
        known = self._known()
        assert known is not None
        bus = NatsBus(known.nats_url, name="ear", connect_timeout_sec=SEC_MAX)
        await bus.connect()
        try:
            for pattern in (subjects.ALL_PAIRS, subjects.ALL_ALERTS):
                await bus.subscribe(pattern, self._hear)
            yield
        finally:
            await bus.close()

    def _known(self) -> Deployment | None:
        return read(deployment_path(self.folder / "run", NAME), Deployment)

    def _hear(self, frame: Frame) -> None:
        if frame.subject.startswith("alert."):
            self.alerts.append(decode(frame.payload, AlertRaised))
            return
        status = decode(frame.payload, PairStatus)
        if status.owner:
            self.pairs[status.pair] = status
            if status.owner not in self.owners.setdefault(status.pair, []):
                self.owners[status.pair].append(status.owner)

    def kill(self, service: str) -> None:
        """kill -9 of one of its processes."""
        known = self._known()
        assert known is not None
        os.kill(known.pids[service], signal.SIGKILL)

    # --- its owner ------------------------------------------------------------------------------------

    async def say(self, *words: str) -> Said:
        """`fundarb ...` of this deployment."""
        process = await asyncio.create_subprocess_exec(
            FUNDARB, *words, env=self._env, cwd=self.folder, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        async with asyncio.timeout(SEC_MAX):
            out, err = await process.communicate()
        return Said(process.returncode, out.decode(), err.decode())

    async def brought(self, verb: str, pair: str, state: str) -> None:
        """`fundarb open PAIR` until it is obeyed (a start takes its time), then until the pair is there."""
        begun_us, said = mono_us(), Said(None, "", "")
        while said.code != 0:
            assert mono_us() - begun_us < SEC_MAX * 1e6, f"{said}\n{self.logs()}"
            said = await self.say(verb, pair, "--reason", "a rehearsal", "--json")
        await self.until(lambda: self.state(pair) == state, what=f"{pair} is {state}")

    def state(self, pair: str) -> str:
        """A pair's last word on itself."""
        return self.pairs[pair].state if pair in self.pairs else ""

    async def until(self, condition: Callable[[], bool], *, what: str) -> None:
        """TimeoutError says what has not happened, and everybody's last words."""
        begun_us = mono_us()
        while not condition():
            if mono_us() - begun_us > SEC_MAX * 1e6:
                raise TimeoutError(f"not within {SEC_MAX:g} s: {what}\n{self.logs()}")
            await asyncio.sleep(0.02)

    def logs(self) -> str:
        """The ends of all logs."""
        logs = [self.log, *sorted((self.folder / "data" / NAME / "logs").glob("*.log"))]
        return "\n".join(f"--- {path.name}\n{path.read_text(errors='replace')[-2_000:]}" for path in logs)

    def written(self) -> str:
        """All that its services have logged."""
        return "".join(path.read_text() for path in (self.folder / "data" / NAME / "logs").glob("*.log"))

    # --- the exchange ---------------------------------------------------------------------------------

    async def venue(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        """The simulated exchange's control endpoint."""

        def ask() -> Any:
            data = None if body is None else json.dumps(body).encode()
            asked = urllib.request.Request(self._control + path, data, method=method)  # noqa: S310 - ours
            with urllib.request.urlopen(asked, timeout=10) as answer:  # noqa: S310 - our own venue
                return json.load(answer)

        return await asyncio.to_thread(ask)
