"""What is missing and no venue trades is written off and told: it halts no pair, and keeps none shut."""

from __future__ import annotations

from decimal import Decimal

import pytest

from libs.common.store import Transition
from services.executor.model import State
from tests.sim.timeline import run
from tests.unit.executor.asking import done
from tests.unit.executor.rig import FLAT, PERP_KEY, SPOT_KEY, Rig

DUST = Decimal("0.002")


def with_dust(leg: int = 0) -> Rig:
    """Idle after a restart, with dust in the store; the venue has it."""
    rig = Rig()
    run(rig.store.transition(Transition(hash_writes={"dust": {f"{rig.pair}|{leg}": b"0.002"}})))
    rig.venues.held[rig.keys[leg]] = DUST
    rig.restart()
    if leg == 1:  # of a contract whose smallest order is more than a step
        coarse(rig)
    rig.run(20)
    assert rig.lane.ready
    assert rig.lane.dust[leg] == DUST
    return rig


def coarse(rig: Rig) -> None:
    rig.run(0.001)  # what an instrument is like has been said
    rules = rig.world.rules[PERP_KEY]
    fields = {name: getattr(rules, name) for name in rules.__struct_fields__}
    rig.world.rules[PERP_KEY] = type(rules)(**fields | {"quantity_min": Decimal("0.01")})


@pytest.mark.parametrize("missing", ["1e-8", "0.0009", "0.02"])
def test_what_a_venue_would_not_trade_is_written_off_and_the_pair_goes_on(missing: str) -> None:
    rig = Rig().opened("1000")
    rig.run(10)
    rig.venues.held[SPOT_KEY] -= Decimal(missing)
    rig.run(60)
    assert (rig.state, rig.held) == (State.ACTIVE, (10 - Decimal(missing), Decimal(-10)))
    assert rig.held == rig.shown
    (text,) = rig.told("written_off")
    assert "binance BTC-USDT lacks" in text
    rig.wish("close")
    rig.until(lambda: rig.state is State.IDLE, 10)
    assert abs(rig.shown[0]) < rig.lane.least(0, reduces=True)
    assert (rig.shown[1], rig.lane.dust[0]) == (Decimal(0), rig.shown[0])


def test_it_obeys_a_flatten_with_a_crumb_missing() -> None:
    rig = Rig().opened("1000")
    rig.venues.held[SPOT_KEY] -= Decimal("1e-8")
    rig.run(30)
    rig.risk_on = False
    rig.run(5)
    done(rig, "flatten", pair=rig.pair, confirm=True)
    rig.until(lambda: rig.state is State.IDLE, 10)
    assert rig.shown[1] == 0


def test_each_loss_is_told_once() -> None:
    rig = Rig().opened("1000")
    for told in (1, 2):
        rig.venues.held[SPOT_KEY] -= Decimal("1e-8")
        rig.run(30)
        assert len(rig.told("written_off")) == told
    assert rig.state is State.ACTIVE


def test_what_could_be_traded_halts_as_before() -> None:
    rig = Rig().opened("1000")
    rig.venues.held[SPOT_KEY] -= Decimal("0.06")  # 6 USD: the venue takes 5
    rig.until(lambda: rig.state is State.STUCK, 30)
    assert rig.told("written_off") == []
    assert rig.held[0] == 10


def test_a_difference_of_a_contract_is_never_written_off() -> None:
    rig = Rig().opened("1000")
    coarse(rig)
    rig.venues.held[PERP_KEY] += Decimal("0.003")
    rig.until(lambda: rig.state is State.STUCK, 30)
    assert rig.held[1] == -10


def test_a_stuck_pair_that_lacks_a_crumb_can_be_reset() -> None:
    rig = Rig().opened("1000")
    rig.venues.held[PERP_KEY] += Decimal("0.5")
    rig.until(lambda: rig.state is State.STUCK, 30)
    rig.venues.held[PERP_KEY] -= Decimal("0.5")
    rig.venues.held[SPOT_KEY] -= Decimal("1e-8")
    assert done(rig, "reset", pair=rig.pair, confirm=True)["state"] == "active"
    rig.run(20)
    assert rig.held == rig.shown == (10 - Decimal("1e-8"), Decimal(-10))


@pytest.mark.parametrize("leg", [0, 1])
@pytest.mark.parametrize("restarts", [True, False])
def test_dust_that_the_user_has_traded_away_is_written_off(leg: int, *, restarts: bool) -> None:
    rig = with_dust(leg)
    rig.venues.held[rig.keys[leg]] = Decimal(0)
    if restarts:
        rig.restart()
        if leg == 1:
            coarse(rig)
    rig.run(40)
    assert (rig.lane.ready, rig.lane.blocked, rig.lane.dust) == (True, "", FLAT)
    assert len(rig.told("written_off")) == 1
    assert run(rig.store.hash_all("dust")) == {}
    rig.opened()
    rig.run(20)
    assert rig.held == rig.shown == (Decimal(1), Decimal(-1))


def test_dust_that_is_gone_when_it_is_netted_does_not_halt_what_it_was_netted_into() -> None:
    rig = with_dust()
    rig.venues.held[SPOT_KEY] = Decimal(0)
    rig.opened()
    rig.run(20)
    assert (rig.state, rig.held) == (State.ACTIVE, (Decimal("0.998"), Decimal(-1)))
    assert rig.held == rig.shown
    assert len(rig.told("written_off")) == 1


def test_what_the_venue_takes_of_an_idle_pairs_contract_is_booked() -> None:
    """Its trade explains it: it is no loss, and its money is on a line."""
    rig = with_dust(1)
    rig.venues.take(PERP_KEY, DUST)
    rig.run(40)
    assert (rig.lane.dust, rig.told("written_off")) == (FLAT, [])
    assert sum(rig.durable.taken.values()) == DUST
    assert (rig.state, rig.held, rig.durable.legs[1].quote) == (State.IDLE, FLAT, Decimal(0))
