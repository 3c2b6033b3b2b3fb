"""What is left of positions, and what a venue does with it while nobody looks."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec.structs import replace

from services.executor.events import ReadAccount
from services.executor.model import Purpose, State
from tests.unit.executor.rig import FLAT, PERP_KEY, SPOT_KEY, Rig

DUST = Decimal("0.002")


def with_dust() -> Rig:
    """Idle, with contracts below the venue's minimum that an earlier position has left."""
    rig = Rig()
    rig.lane.dust = (Decimal(0), DUST)
    rig.venues.held[PERP_KEY] = DUST
    return rig


def test_what_the_venue_took_of_dust_is_booked_before_an_order_crosses_zero() -> None:
    """Once the order has crossed it the trade would reduce nothing, and its money would be nobody's: two such
    trades that cancel never differ from what is held.
    """
    rig = with_dust()
    rig.venues.take(PERP_KEY, Decimal("0.001"))
    rig.wish("open")
    rig.until(lambda: bool(rig.durable.taken), 5)
    assert rig.sent == []
    assert sum(rig.durable.taken.values()) == Decimal("0.001") == rig.held[1] == rig.shown[1]
    rig.until(lambda: rig.state is State.ACTIVE, 5)
    assert rig.held == (Decimal(1), Decimal(-1)) == rig.shown


def test_dust_of_contracts_is_looked_at_before_the_first_order_and_that_takes_no_tick() -> None:
    rig = with_dust()
    looks = sum(isinstance(one, ReadAccount) for one in rig.requests)
    rig.wish("open")
    took = rig.until(lambda: bool(rig.sent), 5)
    assert sum(isinstance(one, ReadAccount) for one in rig.requests) > looks
    assert took < 0.25
    rig.until(lambda: rig.state is State.ACTIVE, 5)
    assert rig.held == (Decimal(1), Decimal(-1)) == rig.shown


def test_dust_that_is_not_what_the_venue_shows_halts_the_pair_before_it_trades() -> None:
    rig = with_dust()
    rig.venues.held[PERP_KEY] = Decimal("0.5")
    rig.wish("open")
    rig.until(lambda: rig.state is State.STUCK, 20)
    assert rig.sent == []
    looks = sum(isinstance(one, ReadAccount) for one in rig.requests)
    rig.run(60)
    asked = sum(isinstance(one, ReadAccount) for one in rig.requests) - looks
    assert asked <= 60 // 15 + 1, "a pair at rest is looked at with less haste"


def test_what_a_fee_has_made_too_small_to_keep_is_not_left_as_dust() -> None:
    """Of both legs the venues take a reduction still: 2 steps of a contract, and coins above the minimum."""
    rig = Rig(base_fee="0.001")
    rules = rig.world.rules[PERP_KEY]
    fields = {name: getattr(rules, name) for name in rules.__struct_fields__}
    rig.world.rules[PERP_KEY] = type(rules)(**fields | {"notional_min": Decimal(50)})
    rig.acts("perp", "half")
    rig.wish("open")
    rig.until(lambda: rig.state is State.UNWINDING, 5)
    rig.until(lambda: rig.state in (State.IDLE, State.ACTIVE), 20)
    assert rig.state is State.IDLE
    assert rig.orders(Purpose.UNWIND)
    assert rig.shown[1] == 0
    assert rig.lane.dust[1] == 0
    assert abs(rig.shown[0]) < rig.lane.least(0, reduces=True)
    assert rig.held == FLAT


@pytest.mark.parametrize("crumbs", ["0", "0.003", "0.4"])
def test_a_coarse_contract_beside_crumbs_of_a_coin_is_naked(crumbs: str) -> None:
    """Both legs differ by less than the one step that can be traded, which is worth 100 USD."""
    rig = Rig()
    rig.world.rules[PERP_KEY] = replace(rig.world.rules[PERP_KEY], step=Decimal(1))
    rig.opened()
    first, second = rig.lane.state.legs
    assert second.quantity == -1
    rig.lane.state = replace(rig.lane.state, legs=(replace(first, quantity=Decimal(crumbs)), second))
    rig.venues.held[SPOT_KEY] = Decimal(crumbs)
    rig.until(lambda: rig.state is State.IDLE, 30)
    assert rig.shown[1] == 0
    assert abs(rig.shown[0]) < rig.lane.least(0, reduces=True)
