"""A stuck pair obeys nobody but a reset; that it does not is told to whoever demands it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from libs.common.messages_exec import Breaker, Level
from services.executor.model import State
from services.executor.steps import UNWIND_US_MAX
from tests.unit.executor.asking import done, refused
from tests.unit.executor.rig import FLAT, SPOT_KEY, Rig

ENOUGH = Breaker(scope="global", level=Level.FLATTEN, reason="by hand (ann): enough")


def stuck() -> Rig:
    """Long a coin and short less than that: the excess could not be sold."""
    rig = Rig().opened()
    rig.breakers = (Breaker(scope="global", level=Level.REDUCE_ONLY, reason="x"),)
    rig.venues.shut.add(SPOT_KEY)
    rig.venues.take(rig.keys[1], Decimal("0.4"))
    rig.until(lambda: rig.state is State.STUCK, 2 * UNWIND_US_MAX / 1e6 + 30)
    rig.run(5)
    assert rig.told("disobeys") == []
    return rig


def test_a_flatten_that_a_stuck_pair_does_not_obey_is_told_once_and_sends_nothing() -> None:
    rig = stuck()
    sent = len(rig.sent)
    rig.breakers = (ENOUGH,)
    rig.run(60)
    (text,) = rig.told("disobeys")
    assert "does not obey: flatten of global: by hand (ann): enough" in text
    assert "long 0.4 (about 40 USD) of binance BTC-USDT" in text
    assert f"`fundarb reset --pair {rig.pair} --yes`" in text
    assert (len(rig.sent), rig.state) == (sent, State.STUCK)


def test_it_is_closed_when_a_person_has_reset_it() -> None:
    rig = stuck()
    rig.breakers = (ENOUGH,)
    rig.run(2)
    rig.venues.shut.clear()
    done(rig, "reset", pair=rig.pair, confirm=True)
    rig.until(lambda: rig.state is State.IDLE, 30)
    assert rig.shown == FLAT


def test_another_demand_is_told_again_and_a_shrink_too() -> None:
    rig = stuck()
    rig.breakers = (ENOUGH,)
    rig.run(2)
    rig.breakers = ()
    rig.run(2)
    rig.max_ratio = {rig.pair: 0.25}
    rig.run(2)
    assert len(rig.told("disobeys")) == 2
    assert "25% of its size" in rig.told("disobeys")[1]


def test_a_stuck_pair_that_holds_nothing_has_nothing_to_obey_with() -> None:
    rig = Rig()
    rig.venues.held[rig.keys[1]] += Decimal("0.5")
    rig.until(lambda: rig.state is State.STUCK, 30)
    rig.breakers = (ENOUGH,)
    rig.run(5)
    assert rig.told("disobeys") == []


@pytest.mark.parametrize("breakers", [(), (ENOUGH,)])
def test_while_risk_is_away_the_person_is_answered(breakers: tuple[Breaker, ...]) -> None:
    rig = stuck()
    rig.breakers = breakers
    rig.run(1)
    rig.risk_on = False
    rig.run(3)
    code, text = refused(rig, "flatten", confirm=True)
    assert (code, "Reset it first" in text) == ("stuck", True)


@pytest.mark.parametrize("command", ["close", "flatten"])
def test_what_a_person_has_demanded_is_done_after_his_reset(command: str) -> None:
    rig = Rig().opened("1000")
    rig.venues.shut |= set(rig.keys)
    if command == "close":
        done(rig, "close", pair=rig.pair, hard=True, actor="ann")
    else:
        rig.risk_on = False
        rig.run(5)
        done(rig, "flatten", confirm=True, actor="ann")
    rig.until(lambda: rig.state is State.STUCK, UNWIND_US_MAX / 1e6 + 60)
    rig.run(20)
    (text,) = rig.told("disobeys")
    assert "What is demanded still is done then" in text
    rig.venues.shut.clear()
    assert "by hand (ann)" in str(done(rig, "reset", pair=rig.pair, confirm=True)["then"])
    rig.until(lambda: rig.state is State.IDLE, 30)
    assert rig.shown == FLAT
