"""A market with an executor and risk beside it, said by hand."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import msgspec

from libs.common import subjects
from libs.common.config.legs import pair_specs
from libs.common.config.schema import Mode
from libs.common.effects import Effect, Publish, Received, Reply
from libs.common.instant import US_PER_SEC
from libs.common.messages import Command, Intent
from libs.common.messages_exec import AccountFees, AccountStatus, Breaker, PairLeg, PairStatus, Permit
from libs.common.permit import LEASE_US, STEADY_US
from tests.unit.signal.world import BTC, BUILD, CROSS, ETH, World, config, of

PAIRS = (BTC, ETH, CROSS)


class Trader(World):
    """A world in mode demo."""

    def __init__(self, *, speed: float = 1.0, **changes: Any) -> None:
        super().__init__(config(**({"mode": Mode.DEMO} | changes)), speed=speed)
        self.legs = {spec.id: spec.legs for spec in pair_specs(self.config)}
        self.revision = 0
        self.said: dict[str, PairStatus] = {}

    def permit(self, *breakers: Breaker, **changes: Any) -> list[Effect]:
        """A beat of risk."""
        self.revision += 1
        permit = Permit(
            risk_epoch=1, revision=self.revision, build=BUILD, wall_us=self.now.wall_us, breakers=breakers
        )
        message = msgspec.structs.replace(permit, **changes)
        return self.do(Received(subject=subjects.PERMIT, message=message))

    def status(self, pair: str, state: str = "idle", /, **changes: Any) -> PairStatus:
        """A pair as its executor says; held ones have 10 base units at 100 on each leg."""
        first, second = self.legs[pair]
        held = state not in {"idle", "opening"}
        direction = changes.pop("direction", "forward")
        sign = 1 if direction == "forward" else -1
        legs = tuple(
            PairLeg(
                venue=leg.venue,
                instrument=leg.instrument,
                kind=leg.kind,
                quantity=Decimal(10 * side * held),
                mid=100.0,
            )
            for leg, side in ((first, sign), (second, -sign))
        )
        given: dict[str, Any] = {
            "pair": pair,
            "state": state,
            "version": 1,
            "direction": direction,
            "legs": (legs[0], legs[1]),
            "notional_usd": Decimal(1_000) if state != "idle" else Decimal(0),
            "delta": Decimal(0),
            "delta_ratio": 0.0,
            "naked_usd": 0.0,
            "reason": "",
            "opened_ms": self.now.market_ms if held else None,
            "owner": "executor-1",
            "wall_us": self.now.wall_us,
        }
        return PairStatus(**(given | changes))

    def executor(self, pair: str, state: str = "idle", /, **changes: Any) -> list[Effect]:
        """The executor says a pair's state."""
        status = self.said[pair] = self.status(pair, state, **changes)
        return self.do(Received(subject=subjects.exec_pair(pair), message=status))

    def account(self, venue: str = "binance", **changes: Any) -> list[Effect]:
        """The executor says an account."""
        status = AccountStatus(venue=venue, balances=(), positions=(), wall_us=self.now.wall_us)
        message = msgspec.structs.replace(status, **changes)
        return self.do(Received(subject=subjects.exec_account(venue), message=message))

    def ask_status(self) -> dict[str, Any]:
        """What `cmd.status` answers."""
        asked = Received(subject="cmd.status", message=Command(), reply="_INBOX.1")
        (reply,) = of(Reply, self.do(asked))
        return reply.reply.result

    def passes(self, sec: float) -> None:
        """Time passes, and risk is heard, in the last seconds beat by beat."""
        beats_us = min(int(sec * US_PER_SEC), STEADY_US + LEASE_US)
        self.clock.advance(us=int(sec * US_PER_SEC) - beats_us)
        while beats_us > 0:
            self.permit()
            self.clock.advance(us=min(beats_us, US_PER_SEC // 4))
            beats_us -= US_PER_SEC // 4
        self.permit()

    def later(self, sec: float) -> None:
        """Time passes; quotes and permits go on."""
        self.passes(sec)
        self.refresh()


def fees(instrument: str, taker: float, maker: float = 0.0001) -> tuple[AccountFees, ...]:
    """The rates of one instrument."""
    return (AccountFees(instrument=instrument, taker=taker, maker=maker),)


def intents(effects: Iterable[Effect]) -> dict[str, Intent]:
    """Intents among the effects by pair; each on its own subject, at most one a pair."""
    found: dict[str, Intent] = {}
    for effect in of(Publish, effects):
        if isinstance(effect.message, Intent):
            assert effect.subject == f"signal.intent.{effect.message.pair}"
            assert effect.message.pair not in found
            found[effect.message.pair] = effect.message
    return found


def actions(effects: Iterable[Effect]) -> dict[str, str]:
    """Pair -> open or close."""
    return {pair: intent.action for pair, intent in intents(effects).items()}


def trading(trader: Trader | None = None) -> Trader:
    """Everything said once, a permit, and all pairs idle."""
    trader = trader or Trader()
    trader.start()
    trader.everything()
    trader.permit()
    for pair in PAIRS:
        trader.executor(pair)
    trader.effects.clear()
    return trader
