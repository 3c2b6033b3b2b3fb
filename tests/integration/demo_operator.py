"""An operator beside a running demo: waits for a reverse pair, closes it by hand, and asks the venue then."""

from __future__ import annotations

import asyncio
import json
import subprocess
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from libs.common.bus import Frame
from libs.common.messages import decode
from libs.common.messages_exec import PairStatus
from libs.common.nats_bus import NatsBus
from libs.common.runtime_file import Deployment
from libs.common.subjects import ALL_PAIRS
from libs.console.demo_config import DEPLOYMENT
from libs.exchange.redirect import VENUE_FILE
from tests.helpers.servers import eventually

FUNDARB = Path(__file__).parents[2] / ".venv/bin/fundarb"
UP_SEC, ACTIVE_SEC, CLOSED_SEC = 60.0, 150.0, 60.0
"""Bounds for a machine that has much else to do; none of them is reached on an idle one."""


class ByHand(msgspec.Struct, kw_only=True):
    """What came of it. `debts`: coins owed at the venue while the pair was open, and when it was idle."""

    active: PairStatus
    answers: list[dict[str, Any]]
    idle: PairStatus
    debts_before: dict[str, str]
    debts_after: dict[str, str]

    @property
    def coin(self) -> str:
        """What was borrowed."""
        return self.active.pair.partition("-")[0]


async def close_a_reverse_pair(runtime: Path, env: Mapping[str, str]) -> ByHand:
    """`runtime`: the folder with the demo's link. Raises `TimeoutError` when no such pair comes or goes."""
    await eventually(lambda: _link(runtime) is not None, within_sec=UP_SEC)
    link = _link(runtime)
    assert link is not None
    known = msgspec.json.decode(link.read_bytes(), type=Deployment)
    folder = link.resolve().parent
    bus = NatsBus(known.nats_url, name="operator", connect_timeout_sec=UP_SEC)
    heard: dict[str, PairStatus] = {}

    def hear(frame: Frame) -> None:
        status = decode(frame.payload, PairStatus)
        if status.owner:
            heard[status.pair] = status

    await bus.connect()
    try:
        await bus.subscribe(ALL_PAIRS, hear)
        await eventually(lambda: bool(_owing(heard)), within_sec=ACTIVE_SEC)
        active = _owing(heard)[0]
        before = _debts(folder)
        answers = [await _said(env, link.stem, *words) for words in _words(active.pair)]
        await eventually(lambda: heard[active.pair].state == "idle", within_sec=CLOSED_SEC)
        return ByHand(
            active=active,
            answers=answers,
            idle=heard[active.pair],
            debts_before=before,
            debts_after=_debts(folder),
        )
    finally:
        await bus.close()


def _words(pair: str) -> tuple[tuple[str, ...], ...]:
    """Paused first, so that the rules do not open it again before anybody has looked."""
    reason = ("--reason", "I want it back", "--json")
    return ("pause", "--pair", pair, *reason), ("close", pair, *reason)


async def _said(env: Mapping[str, str], deployment: str, *words: str) -> dict[str, Any]:
    def run() -> subprocess.CompletedProcess[str]:
        argv = [str(FUNDARB), *words, "--deployment", deployment]
        return subprocess.run(argv, check=False, capture_output=True, text=True, env=dict(env), timeout=60)

    done = await asyncio.to_thread(run)
    assert done.returncode == 0, done.stdout + done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _link(runtime: Path) -> Path | None:
    found = [one for one in runtime.glob(f"{DEPLOYMENT}-*.json") if one.exists()]
    return found[0] if found else None


def _owing(heard: Mapping[str, PairStatus]) -> list[PairStatus]:
    return [
        one
        for one in heard.values()
        if one.state == "active" and one.direction == "reverse" and any(leg.borrowed > 0 for leg in one.legs)
    ]


def _debts(folder: Path) -> dict[str, str]:
    """Coin -> what is owed with its interest at the venue of the borrowed legs, by the venue's own word."""
    port = json.loads((folder / VENUE_FILE).read_text(encoding="utf-8"))["control_port"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/oracle", timeout=10) as answer:
        told = json.load(answer)
    owed: dict[str, str] = {}
    for house in told.values():
        for account in house["accounts"].values():
            for coin, one in account["balances"].items():
                if float(one["borrowed"]) or float(one["interest"]):
                    owed[coin] = f"{one['borrowed']} + {one['interest']}"
    return owed
