"""Real processes that must not trade: half-meant live, keys that may too much or are not read, open secrets.

Each ends with exit code 2 and says in a line how to mend it; nothing was sent, and no secret is in that line.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from libs.common.child import python_env
from tests.helpers.executor import BINANCE, config_of
from tests.helpers.servers import real_nats, real_valkey
from tests.helpers.venue import venue_process

FUNDARB = Path(sys.executable).parent / "fundarb"
SECRET = "c4n4ry-5ecret-of-a-user"
KEYED = {"api_key": "k" * 16, "secret": SECRET}
DECIDED = {
    "thresholds": {"flip_policy": "cost_aware", "forecast": "expected"},
    "limits": {"max_notional_usd": 1000},
}


def live(folder: Path, *, permissions: int = 0o600, **fields: Any) -> Path:
    """A live config with keys; a field None is left out."""
    tree: dict[str, Any] = {
        "mode": "live",
        "symbols": ["BTC/USDT"],
        "exchanges": {
            "spot": {"id": "binance", "type": "spot", **KEYED},
            "perp": {"id": "binance", "type": "swap", **KEYED},
        },
        **DECIDED,
        **fields,
    }
    path = folder / "live.json"
    path.write_text(json.dumps({name: value for name, value in tree.items() if value is not None}))
    path.chmod(permissions)
    return path


def plain_env(folder: Path, **more: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("FUNDARB")}
    return python_env(
        kept, FUNDARB_DATA_DIR=str(folder / "data"), FUNDARB_RUNTIME_DIR=str(folder / "run"), **more
    )


def refused(folder: Path, *words: str, **more: str) -> str:
    """What `fundarb ...` says on stderr while it refuses with exit code 2."""
    done = subprocess.run(
        [FUNDARB, *words], cwd=folder, env=plain_env(folder, **more), capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    told = done.stdout + done.stderr
    assert done.returncode == 2, told
    assert "Traceback" not in told
    assert SECRET not in told
    assert not (folder / "data").exists(), "nothing was started"
    return done.stderr


def test_up_with_mode_live_alone(tmp_path: Path) -> None:
    said = refused(tmp_path, "up", "--config", str(live(tmp_path)))
    assert "live is the first of two acts" in said
    assert "give --live, or set FUNDARB_LIVE=1" in said


def test_up_with_the_flag_alone(tmp_path: Path) -> None:
    said = refused(tmp_path, "up", "--live", "--config", str(live(tmp_path, mode="observer")))
    assert 'write "mode": "live" in a config file' in said


def test_up_with_live_in_a_variable(tmp_path: Path) -> None:
    path = live(tmp_path, mode=None)
    said = refused(tmp_path, "up", "--live", "--config", str(path), FUNDARB__MODE="live")
    assert "live must be written in a config file, not in a variable" in said


@pytest.mark.parametrize("what", ["limits", "thresholds"])
def test_up_without_an_explicit_decision(tmp_path: Path, what: str) -> None:
    left_out: dict[str, Any] = {what: None}
    said = refused(tmp_path, "up", "--live", "--config", str(live(tmp_path, **left_out)))
    assert f"{what}." in said
    assert "must be written explicitly in live mode" in said


def test_up_without_keys(tmp_path: Path) -> None:
    bare = {name: {"id": "binance", "type": kind} for name, kind in (("spot", "spot"), ("perp", "swap"))}
    said = refused(tmp_path, "up", "--live", "--config", str(live(tmp_path, exchanges=bare)))
    assert "FUNDARB__EXCHANGES__SPOT__API_KEY_FILE" in said


def test_up_with_a_secret_in_a_file_that_others_may_read(tmp_path: Path) -> None:
    path = live(tmp_path, permissions=0o644)
    said = refused(tmp_path, "up", "--live", "--config", str(path))
    assert f"chmod 600 {path}" in said
    key = tmp_path / "key"
    key.write_text(SECRET)
    key.chmod(0o644)
    one = {"type": "spot", "id": "binance", "api_key": "k" * 16, "secret_file": "key"}
    perp = {**one, "type": "swap"}
    said = refused(
        tmp_path, "up", "--live", "--config", str(live(tmp_path, exchanges={"spot": one, "perp": perp}))
    )
    assert f"chmod 600 {key}" in said


# --- the executor, on real servers ------------------------------------------------------------------------


class Site:
    """Servers, the simulated venue, and the executor as a process of its own."""

    def __init__(self, folder: Path, env: dict[str, str], told: dict[str, Any]) -> None:
        self.folder, self.env, self.told = folder, env, told

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The venue's control endpoint."""
        url = f"http://127.0.0.1:{self.told['control_port']}{path}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, method=method)
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - our own venue
            return json.load(answer)

    def use_key(self, **rights: Any) -> dict[str, str]:
        """From now on the venue's announcement names another key of Binance."""
        key: dict[str, str] = self.ask("POST", "/keys", {"venue": "binance", "user": "u1", **rights})
        told = {**self.told, "keys": {**self.told["keys"], "binance": key}}
        (self.folder / "venue.json").write_text(json.dumps(told))
        return key

    def sent(self) -> int:
        """Orders that have reached a venue."""
        return sum(len(house["sent"]) for house in self.ask("GET", "/oracle").values())

    async def run(self, config: Path, **more: str) -> tuple[int | None, str]:
        """`fundarb run executor` until it ends; None when it runs after all (it is ended then)."""
        process = await asyncio.create_subprocess_exec(
            FUNDARB, "run", "executor", "--config", config, env={**self.env, **more},
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            return await self._ended(process)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def _ended(self, process: asyncio.subprocess.Process) -> tuple[int | None, str]:
        assert process.stderr is not None
        said = b""
        async with asyncio.timeout(60):
            while line := await process.stderr.readline():
                said += line
                if b"executor runs" in line:
                    return None, said.decode()
            return await process.wait(), said.decode()


@asynccontextmanager
async def site(folder: Path) -> AsyncIterator[Site]:
    with real_nats() as nats, real_valkey() as valkey:
        await asyncio.gather(nats.ready(), valkey.ready())
        env = plain_env(
            folder,
            FUNDARB_NATS_URL=nats.url,
            FUNDARB_REDIS_URL=valkey.url,
            FUNDARB_METRICS_PORT="0",
        ) | {"FUNDARB_RUNTIME_DIR": str(folder)}
        servers = {name: env[name] for name in ("FUNDARB_NATS_URL", "FUNDARB_REDIS_URL")}
        more = {**servers, "FUNDARB_METRICS_PORT": "0", "FUNDARB_MODE": "demo"}
        with venue_process(folder, env=more, speed="1") as told:
            yield Site(folder, env, told)


async def test_the_executor_and_its_keys(tmp_path: Path) -> None:
    async with site(tmp_path) as here:
        config = tmp_path / "demo.json"
        config.write_text(config_of({"BTC/USDT": BINANCE}, tmp_path, "modes"))
        demo = {"FUNDARB_MODE": "demo"}

        path = live(tmp_path)
        code, said = await here.run(path)
        assert code == 2
        assert "mode: live is the first of two acts" in said
        assert SECRET not in said

        strong = here.use_key(permissions=["read", "spot", "futures", "margin", "transfer", "withdraw"])
        code, said = await here.run(config, **demo)
        last = said.strip().splitlines()[-1]
        assert code == 2
        assert last.startswith("executor: binance: the API key may withdraw: switch off")
        assert "Binance > Profile > Account > API Management" in last
        assert strong["secret"] not in said
        assert strong["api_key"] not in said

        here.use_key(permissions=["read"])
        code, said = await here.run(config, **demo)
        assert code == 2
        assert "the API key may not trade: switch on" in said

        here.use_key()
        fault = {"kind": "rejection", "venue": "binance", "code": "-2015"}
        here.ask("POST", "/faults", {"faults": [{**fault, "endpoint": "/sapi/v1/account/apiRestrictions"}]})
        code, said = await here.run(config, **demo)
        assert code == 2
        assert "what the API key may do cannot be read" in said
        assert here.sent() == 0

        here.ask("DELETE", "/faults")
        code, said = await here.run(config, **demo)
        assert code is None, f"a sound key starts: {said}"
