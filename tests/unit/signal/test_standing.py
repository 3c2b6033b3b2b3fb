"""Whose word about a pair counts: its leader's, and of two words the newer one."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from libs.common.config.legs import pair_specs
from libs.common.config.schema import Config, Exchange
from libs.common.instant import US_PER_SEC, ManualClock
from libs.common.messages_exec import PairLeg, PairStatus
from services.signal.standing import Standing

CONFIG = Config(
    symbols=("BTC/USDT",),
    exchanges={
        "spot": Exchange(id="binance", type="spot"),
        "perp": Exchange(id="binanceusdm", type="swap"),
    },
)
(SPEC,) = pair_specs(CONFIG)
AN_HOUR_US = 3_600 * US_PER_SEC


class Ear:
    """Signal's standing, a clock, and executors that speak by theirs."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.standing = Standing((SPEC,), build="b1")

    def hear(self, *, owner: str = "e1", off_us: int = 0, **said: Any) -> str:
        legs = [
            PairLeg(venue=leg.venue, instrument=leg.instrument, kind=leg.kind, quantity=Decimal(0))
            for leg in SPEC.legs
        ]
        now = self.clock.now()
        values: dict[str, Any] = {"state": "active", "wall_us": now.wall_us + off_us, **said}
        status = PairStatus(
            pair=SPEC.id,
            version=1,
            direction="forward",
            legs=(legs[0], legs[1]),
            notional_usd=Decimal(100),
            delta=Decimal(0),
            delta_ratio=0.0,
            naked_usd=0.0,
            reason="",
            owner=owner,
            **values,
        )
        return self.standing.apply(status, now)

    def silence(self) -> str:
        return self.standing.silence(SPEC.id, self.clock.now())


def test_a_clock_that_is_set_back_makes_no_executor_silent() -> None:
    ear = Ear()
    assert ear.hear() == SPEC.id
    ear.clock.set_wall(by_us=-AN_HOUR_US)
    for _ in range(12):
        ear.clock.advance(sec=5.0)
        ear.hear()
        assert ear.silence() == ""
    assert ear.standing.hands_off(SPEC.id, ear.clock.now()) == "", "its close may be asked for"


def test_one_that_led_it_before_has_no_word_while_the_new_leader_speaks() -> None:
    ear = Ear()
    ear.hear(owner="e2")
    assert ear.hear(owner="e1", off_us=-1, state="stuck") == ""
    assert ear.standing.pairs[SPEC.id].state == "active"


def test_a_new_leader_whose_clock_is_behind_is_heard_once_the_former_is_silent() -> None:
    ear = Ear()
    ear.hear(owner="e1")
    ear.clock.advance(sec=9.9)
    assert ear.hear(owner="e2", off_us=-AN_HOUR_US) == ""
    ear.clock.advance(sec=0.1)
    assert ear.hear(owner="e2", off_us=-AN_HOUR_US) == SPEC.id
    assert ear.silence() == ""


def test_one_that_does_not_lead_it_has_none_at_all() -> None:
    ear = Ear()
    assert ear.hear(owner="") == ""
    assert "no executor has said anything" in ear.silence()
