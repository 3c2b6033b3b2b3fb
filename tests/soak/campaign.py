"""A run: the demo's whole stack, an operator who trades without end, a look at it all each two seconds."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from libs.common import subjects
from libs.common.bus import Frame
from libs.common.clock import mono_us
from libs.common.embedded import temporary_folder
from libs.common.messages import AlertRaised, decode
from libs.common.runtime_file import private_dir
from libs.console.demo_config import DEPLOYMENT, demo_config
from libs.console.settling import settle
from libs.console.stack import TRADING_SERVICES, Plan, Stack, running_stack
from libs.console.verbs.demo import DEPOSITS, START
from tests.soak.curves import Curves
from tests.soak.judge import Facts, Heard, reasons
from tests.soak.load import Operator
from tests.soak.sampling import Sampler

SPEED: Final = 720.0
"""Market seconds a wall second: half the demo's, a day in two minutes, a settlement each 20 to 40 s."""

LOOK_EVERY_SEC: Final = 2.0
TELL_EVERY_SEC: Final = 15.0
COMMAND_EVERY_SEC: Final = 0.5
"""Besides the second in which answers are gathered."""

FIRST_PAIR_SEC: Final = 90.0
POLL_SEC: Final = 0.2
SETTLE_SEC: Final = 90.0
"""What is under way ends and all accounts are compared: an order of unknown fate alone takes 45 s."""

PAIRS_MAX: Final = 12


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """What came of it. `answers`: the operator's commands by what was answered."""

    curves: Curves
    facts: Facts
    answers: dict[str, int]
    seconds: float
    reasons: list[str]


def plan_of(folder: Path, *, seed: int) -> Plan:
    """As `fundarb demo` has it, with more pairs at once and every write on disk."""
    tree = json.loads(demo_config(folder))
    tree["limits"] = {"max_notional_usd": 60_000, "max_pairs": PAIRS_MAX}
    config = folder / "config.json"
    config.write_text(json.dumps(tree), encoding="utf-8")
    return Plan(
        title="soak",
        deployment=DEPLOYMENT,
        folder=folder,
        runtime=private_dir(folder / "runtime"),
        env={
            "FUNDARB_CONFIG": str(config),
            "FUNDARB_MODE": "demo",
            "FUNDARB_BUILD": "soak",  # a commit may come while it runs
            "FUNDARB_METRICS_PORT": "0",
            "FUNDARB_VENUE_SPEED": f"{SPEED:g}",
            "FUNDARB_VENUE_START": START,
            "FUNDARB_VENUE_DEPOSITS": DEPOSITS,
            "FUNDARB_VENUE_SEED": str(seed),
        },
        services=TRADING_SERVICES,
        venue=True,
        durable=True,
    )


async def soak(*, seconds: float, seed: int, say: Callable[[str], None]) -> Run:
    """Start, load, look, settle, judge. `UserError` says what did not come up."""
    with temporary_folder("fundarb-soak-") as folder:
        async with running_stack(plan_of(folder, seed=seed)) as stack:
            return await _Soak(stack, seconds=seconds, seed=seed, say=say).run()


class _Soak:
    def __init__(self, stack: Stack, *, seconds: float, seed: int, say: Callable[[str], None]) -> None:
        assert stack.bus is not None
        self._stack, self._bus = stack, stack.bus
        self._seconds, self._say = seconds, say
        self._alerts: list[Heard] = []
        self._curves = Curves()
        self._sampler = Sampler(stack)
        self._operator = Operator(stack.bus, stack.watch.trades, seed=seed, every_sec=COMMAND_EVERY_SEC)
        self._begun_us = mono_us()

    async def run(self) -> Run:
        await self._bus.subscribe(subjects.ALL_ALERTS, self._hear)
        await self._pairs_are_told()
        operator = asyncio.create_task(self._operator.run())
        self._begun_us = mono_us()
        try:
            await self._look_on(operator)
        finally:
            operator.cancel()
            with suppress(asyncio.CancelledError):
                await operator
        unwell = {name: state for name, state in self._stack.supervisor.states().items() if state != "ok"}
        self._say("openings pause, and the books are compared ...")
        await settle(self._stack, at_most_sec=SETTLE_SEC)
        self._curves.add(self._sec(), await self._sampler.look())
        await self._sampler.close()
        facts = self._facts(unwell)
        return Run(
            curves=self._curves,
            facts=facts,
            answers=dict(self._operator.answers),
            seconds=self._seconds,
            reasons=reasons(self._curves, facts),
        )

    def _hear(self, frame: Frame) -> None:
        alert = decode(frame.payload, AlertRaised)
        self._alerts.append(Heard(level=alert.level.value, key=alert.key, text=alert.text))

    def _sec(self) -> float:
        return (mono_us() - self._begun_us) / 1e6

    async def _pairs_are_told(self) -> None:
        """Without one the load would begin beside services that still start; the verdict says it then."""
        for _ in range(int(FIRST_PAIR_SEC / POLL_SEC)):
            if self._stack.watch.trades.pairs:
                return
            await asyncio.sleep(POLL_SEC)

    async def _look_on(self, operator: asyncio.Task[None]) -> None:
        told_sec = 0.0
        while (now_sec := self._sec()) < self._seconds:
            if operator.done():
                operator.result()
            self._curves.add(now_sec, await self._sampler.look())
            if now_sec - told_sec >= TELL_EVERY_SEC:
                told_sec = now_sec
                self._say(line_of(self._curves))
            await asyncio.sleep(max(0.0, now_sec + LOOK_EVERY_SEC - self._sec()))

    def _facts(self, unwell: dict[str, str]) -> Facts:
        watch = self._stack.watch
        books = watch.trades.books
        return Facts(
            restarts=self._stack.supervisor.restarts(),
            unwell=unwell,
            states={pair: one.state for pair, one in watch.trades.pairs.items()},
            alerts=self._alerts,
            tracebacks=self._sampler.logs.tracebacks,
            residual_usd=None if books is None or books.residual_usd is None else float(books.residual_usd),
            settlements_missing=books.settlements_missing if books else 0,
            malformed=sum(watch.bad.values()),
        )


def line_of(curves: Curves) -> str:
    """Progress in a line: what was traded, and each process's memory."""
    memory = " ".join(f"{who} {curve.values[-1]:.0f}" for who, curve in curves.of("rss_mb").items())
    return (
        f"{curves.until_sec:5.0f} s  {curves.last('traded/orders'):.0f} orders, "
        f"{curves.last('pairs/active'):.0f} pairs held, MB: {memory}, store {curves.last('store/mb'):.1f}"
    )
