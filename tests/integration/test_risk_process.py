"""The risk process over real NATS and Valkey: permits, a halt by plain publish, and the life after it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from libs.common import subjects
from libs.common.bus import Frame
from libs.common.clock import mono_us
from libs.common.messages import Command, CommandReply, decode, encode
from libs.common.messages_exec import Breaker, Level, Permit
from tests.helpers.executor import BINANCE, Lab, lab

PAIRS = {"SOL/USDT": BINANCE}
PAIR = "SOL-USDT_binance-spot_binance-perp"


class Ear:
    """Permits and breakers as anybody hears them, with when (monotonic us)."""

    def __init__(self) -> None:
        self.permits: list[tuple[int, Permit]] = []
        self.breakers: list[Breaker] = []

    def hear(self, frame: Frame) -> None:
        if frame.subject == subjects.PERMIT:
            self.permits.append((mono_us(), decode(frame.payload, Permit)))
        else:
            self.breakers.append(decode(frame.payload, Breaker))

    @property
    def last(self) -> Permit:
        return self.permits[-1][1]

    def level(self, scope: str) -> Level:
        found = [one.level for one in self.last.breakers if one.scope == scope]
        return found[0] if found else Level.NORMAL


async def command(made: Lab, verb: str, **fields: Any) -> CommandReply:
    body = encode(Command(**fields))
    frames = await made.bus.gather(subjects.command(verb), body, timeout_sec=1.5)
    return next(one for frame in frames if (one := decode(frame.payload, CommandReply)).service == "risk")


async def test_a_halt_by_plain_publish_takes_effect_in_a_beat_and_outlives_restarts(tmp_path: Path) -> None:
    async with lab(tmp_path, PAIRS) as made:
        ear = Ear()
        await made.bus.subscribe("risk.>", ear.hear)
        await made.until(lambda: bool(ear.permits) and ear.level("global") is Level.NORMAL)
        assert ear.level(f"pair:{PAIR}") is Level.NO_OPENS, "no executor has said what is held"
        assert "blind" in next(one.reason for one in ear.last.breakers if one.scope == f"pair:{PAIR}")
        orders = [(one.risk_epoch, one.revision) for _, one in ear.permits]
        assert orders == sorted(set(orders))
        status = (await command(made, "status")).result
        assert status["breakers"][0]["controls"]
        assert "md.health.binance" in status["ages_ms"]
        first_epoch, said_us = ear.last.risk_epoch, mono_us()
        assert made.bus.publish(subjects.command("halt"), b"{}")
        await made.until(lambda: ear.level("global") is Level.REDUCE_ONLY)
        halted_us = next(
            at for at, one in ear.permits if any(two.level is Level.REDUCE_ONLY for two in one.breakers)
        )
        assert halted_us - said_us < 1_000_000, "at once, and not a beat of seconds later"
        assert ("global", Level.REDUCE_ONLY) in [(one.scope, one.level) for one in ear.breakers]

        await made.service("risk").kill()
        ear.permits.clear()
        await made.start("risk", PAIRS)
        await made.until(lambda: bool(ear.permits))
        first = ear.permits[0][1]
        assert first.risk_epoch == first_epoch + 1
        found = [one for one in first.breakers if one.scope == "global"]
        assert found[0].level is Level.REDUCE_ONLY, "the very first permit of the next life has it"
        assert found[0].latched

        reply = await command(made, "reset", confirm=True, reason="looked", actor="ann")
        assert reply.ok, reply.error
        await made.until(lambda: ear.level("global") is Level.NORMAL)
        assert ear.last.risk_epoch == first_epoch + 2
