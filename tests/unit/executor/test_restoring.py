"""The smaller leg of a held pair is brought back to the other one, at whatever price that is by now."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from libs.common.messages_exec import Breaker, Level
from services.executor.lane import Draft
from services.executor.model import OrderClass, Purpose, State
from services.executor.rebalancing import restoring_plan
from services.executor.steps import UNWIND_US_MAX
from services.executor.unwinding import RESTORE_EVERY
from tests.unit.executor.lender import LoanRig
from tests.unit.executor.rig import BOUNDS, PERP_KEY, SPOT_KEY, Rig
from tests.unit.executor.scripted import Act, times
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


def refused(*acts: Act) -> Rig:
    """A soft close of which spot is refused; the contract's slice is gone, and it is brought back so."""
    rig = large()
    rig.venues.shut.add(SPOT_KEY)
    rig.acts("perp", "fill", *acts)
    rig.wish("close")
    rig.until(lambda: rig.state is State.UNWINDING, 30)
    assert rig.shown == (D(50), D(-40))
    return rig


def test_a_slice_whose_own_market_trades_again_is_brought_back_while_the_excess_is_pressed_on_with() -> None:
    rig = refused(*times(3, "reject"))
    rig.until(lambda: rig.shown == (D(50), D(-50)), 30)
    rig.until(lambda: rig.state is State.ACTIVE, 5)
    added = rig.orders(Purpose.RESTORE)[-1]
    assert (added.leg, added.side, added.quantity) == (1, "sell", D(10))
    assert added.order_class is OrderClass.INCREASE
    assert rig.told("stuck") == []


def test_a_part_that_is_brought_back_is_kept_and_the_rest_is_tried_again() -> None:
    rig = refused(*times(3, "reject"), "half")
    rig.until(lambda: rig.shown == (D(50), D(-45)), 30)
    rig.until(lambda: rig.shown == (D(50), D(-50)), 60)
    rig.until(lambda: rig.state is State.ACTIVE, 5)


def test_bringing_back_is_paced_and_ends() -> None:
    rig = refused(*times(300, "reject"))
    begun = len(rig.orders(Purpose.RESTORE))
    rig.until(lambda: rig.state is State.STUCK, LADDER_SEC + 60)
    presses, tries = len(rig.orders(Purpose.UNWIND)), len(rig.orders(Purpose.RESTORE)) - begun
    assert 2 <= tries <= presses // RESTORE_EVERY + 1
    assert rig.shown == (D(50), D(-40))


def test_without_a_permit_nothing_is_brought_back_by_an_unwinding() -> None:
    rig = refused(*times(3, "reject"))
    begun = len(rig.orders(Purpose.RESTORE))
    rig.breakers = (Breaker(scope="global", level=Level.REDUCE_ONLY, reason="x"),)
    rig.beat()
    rig.run(60)
    assert len(rig.orders(Purpose.RESTORE)) == begun
    assert rig.shown == (D(50), D(-40))
    rig.venues.shut.clear()
    rig.until(lambda: rig.state is State.ACTIVE, 10)
    assert rig.shown == (D(40), D(-40))


def test_an_opening_that_failed_is_not_completed_by_its_unwinding() -> None:
    rig = Rig()
    rig.acts("perp", "half")
    rig.acts("spot", "fill", *times(300, "reject"))
    rig.wish("open", "1000")
    rig.until(lambda: rig.state is State.STUCK, LADDER_SEC + 30)
    assert rig.orders(Purpose.RESTORE) == []
    assert rig.shown == (D(10), D(-5))
