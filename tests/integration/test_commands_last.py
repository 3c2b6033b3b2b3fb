"""A halt takes effect in one beat and outlives risk, the broker and the store; a replay outlives nothing."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from libs.common import subjects
from libs.common.child import python_env
from libs.common.clock import mono_us
from libs.common.nats_bus import NatsBus
from tests.helpers.executor import BINANCE, Lab, Service
from tests.helpers.servers import RealServer, real_nats, real_valkey
from tests.integration.test_commands_hostile import PAIR, Office, office

PAIRS = {"BTC/USDT": BINANCE}
BEAT_US_MAX = 1_500_000
"""A beat is 250 ms; the rest is what a busy machine may take to write a latch and wake two processes."""


class House:
    """Risk on servers that can be killed."""

    def __init__(
        self, made: Lab, servers: tuple[RealServer, RealServer], risk: Service, desk: Office
    ) -> None:
        self.made, self.risk, self.desk = made, risk, desk
        self.nats, self.valkey = servers

    async def risk_again(self) -> None:
        """kill -9 and a new process; back when its first permit was heard."""
        epoch = self.desk.permits[-1].risk_epoch
        await self.risk.kill()
        self.risk = await self.made.start("risk", PAIRS)
        await self.desk.until(lambda: self.desk.permits[-1].risk_epoch > epoch)


@asynccontextmanager
async def house(folder: Path) -> AsyncIterator[House]:
    with real_nats() as nats, real_valkey() as valkey:
        await asyncio.gather(nats.ready(), valkey.ready())
        kept = {key: value for key, value in os.environ.items() if not key.startswith("FUNDARB")}
        env = python_env(
            kept,
            FUNDARB_NATS_URL=nats.url,
            FUNDARB_REDIS_URL=valkey.url,
            FUNDARB_BUILD="test",
            FUNDARB_RUNTIME_DIR=str(folder),
            FUNDARB_METRICS_PORT="0",
            FUNDARB__MODE="paper",  # the demo would wait for its venue's clock
        )
        bus = NatsBus(nats.url, name="test", connect_timeout_sec=10.0)
        await bus.connect()
        made = Lab(folder, bus, env, {"control_port": 0})
        await bus.subscribe(subjects.ALL_ALERTS, made.hear)
        try:
            risk = await made.start("risk", PAIRS)
            async with office(made) as desk:
                yield House(made, (nats, valkey), risk, desk)
        finally:
            await made.end()
            await bus.close()


async def test_a_plain_halt_takes_effect_in_one_beat_and_outlives_everything(tmp_path: Path) -> None:
    async with house(tmp_path) as at:
        desk = at.desk
        assert "operator_halt" not in desk.controls()
        begun_us = mono_us()
        assert at.made.bus.publish("cmd.halt", b"{}")  # what `nats pub cmd.halt {}` sends
        await desk.until(lambda: "operator_halt" in desk.controls())
        assert mono_us() - begun_us < BEAT_US_MAX
        halted = len(desk.permits) - 1
        (breaker,) = (one for one in desk.permits[-1].breakers if one.scope == "global")
        assert (breaker.level.value, breaker.latched) == ("reduce_only", True)

        await at.risk_again()

        at.valkey.kill()
        await at.valkey.start()
        await at.nats.start()
        await at.risk_again()
        assert all(
            any("operator_halt" in one.controls for one in permit.breakers)
            for permit in desk.permits[halted:]
        ), "no permit without the halt was ever heard again"

        assert (await desk.answers("resume", "risk"))["risk"].error is not None, "resume undoes no halt"
        assert "operator_halt" in desk.controls()
        epoch = desk.permits[-1].risk_epoch
        assert (await desk.answers("reset", "risk", confirm=True))["risk"].ok
        await desk.until(lambda: "operator_halt" not in desk.controls())
        assert desk.permits[-1].risk_epoch > epoch
        done = [one.fields for one in await desk.audit() if one.fields["decision"] == b"done"]
        assert [one["subject"] for one in done] == [b"cmd.halt", b"cmd.reset"]


async def test_a_replay_is_refused_over_a_restart(tmp_path: Path) -> None:
    async with house(tmp_path) as at:
        desk = at.desk
        assert (await desk.answers("pause", "risk", id="monday", pair=PAIR))["risk"].ok
        assert (await desk.answers("resume", "risk", pair=PAIR))["risk"].ok
        await at.risk_again()
        again = (await desk.answers("pause", "risk", id="monday", pair=PAIR))["risk"]
        assert again.error is not None
        assert again.error.code == "repeated"
        assert "operator_pause" not in desk.controls(f"pair:{PAIR}")
        assert (await desk.answers("pause", "risk", id="tuesday", pair=PAIR))["risk"].ok
