"""The smaller leg of a held pair is brought back to the other one, at whatever price that is by now."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from services.executor.lane import Draft
from services.executor.model import OrderClass, Purpose, State
from services.executor.rebalancing import restoring_plan
from services.executor.steps import UNWIND_US_MAX
from tests.unit.executor.lender import LoanRig
from tests.unit.executor.rig import BOUNDS, PERP_KEY, SPOT_KEY, Rig
from tests.unit.executor.test_slicing import large

D = Decimal
LADDER_SEC = UNWIND_US_MAX / 1e6


def rises(rig: Rig, factor: Decimal) -> None:
    """Prices are so many times what they were."""
    for book in rig.venues.books.values():
        book.bid, book.ask = round(book.bid * factor, 1), round(book.ask * factor, 1)
    rig.run(2)


@pytest.mark.parametrize("factor", ["1", "1.0005", "1.01", "1.1", "2", "7"])
@pytest.mark.parametrize("amount", ["5", "40"])
def test_a_hedge_is_restored_whatever_the_price_has_come_to(factor: str, amount: str) -> None:
    """Through the gate: no order may be worth more than 1.1 times the configured notional."""
    rig = large()
    rig.bounds = replace(BOUNDS, leg_notional_max=D(5_500))
    rises(rig, D(factor))
    rig.venues.shut.add(SPOT_KEY)
    rig.venues.take(PERP_KEY, D(amount))
    rig.until(lambda: rig.shown == (D(50), D(-50)), LADDER_SEC + 60)
    rig.run(5)
    assert (rig.state, rig.durable.plan) == (State.ACTIVE, None)
    assert "active>unwinding" not in rig.moves
    assert rig.refused == []
    added = rig.orders(Purpose.RESTORE)
    assert sum(one.quantity for one in added) == D(amount)
    assert {one.order_class for one in added} == {OrderClass.INCREASE}


def test_a_reverse_pair_whose_contract_was_taken_after_a_rise_is_hedged_again() -> None:
    rig = LoanRig()
    rig.wish("open", "5000", direction="reverse")
    rig.until(lambda: rig.state is State.ACTIVE, 60)
    rises(rig, D("1.01"))
    rig.venues.shut.add(SPOT_KEY)
    rig.venues.take(PERP_KEY, D(5))
    rig.until(lambda: rig.shown == (D(-50), D(50)), LADDER_SEC + 60)
    assert "active>unwinding" not in rig.moves


RIG = large()

quantities = st.decimals(D("0.1"), D(80), places=3)


@settings(derandomize=True, max_examples=200, deadline=None)
@given(factor=st.decimals(D(1), D(1000), places=4), long=quantities, short=quantities)
def test_a_leg_that_is_restored_has_what_the_other_one_has(
    factor: Decimal, long: Decimal, short: Decimal
) -> None:
    for key in RIG.keys:
        seen = RIG.world.quotes[key]
        RIG.world.quotes[key] = replace(seen, bid=D(100) * factor, ask=D(101) * factor)
    try:
        draft = Draft(RIG.lane, RIG.now)
        legs = [replace(one, quantity=q) for one, q in zip(draft.state.legs, (long, -short), strict=True)]
        draft.set(legs=tuple(legs))
        plan = restoring_plan(draft, "x")
    finally:
        RIG.say_quotes()
    small, other = min(long, short), max(long, short)
    if (other - small) * D("100.5") * factor < D("5.1"):
        return  # less than the venue takes
    assert plan is not None, "no rise of the price forbids it"
    assert plan.goals == (other, -other)
