"""A market that refuses, while the other one trades: what is hedged stays hedged."""

from __future__ import annotations

from decimal import Decimal

import pytest

from libs.common.messages_exec import Breaker, Level
from services.executor.closing import SOFT_TRIES
from services.executor.model import Intent, OrderClass, Purpose, State
from services.executor.steps import UNWIND_US_MAX
from tests.unit.executor.rig import FLAT, PERP_KEY, SPOT_KEY, Rig
from tests.unit.executor.scripted import times
from tests.unit.executor.test_slicing import SLICE, large

D = Decimal
LADDER_SEC = UNWIND_US_MAX / 1e6


def taken(amount: str, *, halted: bool) -> Rig:
    """The venue has taken so much of the perp, and the spot market refuses to sell as much."""
    rig = large()
    if halted:
        rig.breakers = (Breaker(scope="global", level=Level.REDUCE_ONLY, reason="x"),)
        rig.beat()
    rig.venues.shut.add(SPOT_KEY)
    rig.venues.take(PERP_KEY, D(amount))
    return rig


def perps(rig: Rig) -> list[Intent]:
    """Orders of the perp after the opening."""
    return [one for one in rig.sent if one.leg == 1 and one.purpose is not Purpose.OPEN]


@pytest.mark.parametrize("amount", ["0.15", "5"])
def test_an_excess_that_cannot_be_sold_is_a_persons_and_the_hedge_stays(amount: str) -> None:
    rig = taken(amount, halted=True)
    rig.until(lambda: rig.state is State.STUCK, 2 * LADDER_SEC + 30)
    assert rig.moves[-2:] == ["active>unwinding", "unwinding>stuck"]
    assert rig.shown == (D(50), D(amount) - 50) == rig.held
    assert perps(rig) == [], "the leg that trades is not closed beside one that does not"
    assert "what is hedged stays" in rig.told("unfollowed")[0]
    assert len(rig.told("stuck")) == 1


def test_an_excess_that_cannot_be_sold_is_hedged_again_with_a_permit() -> None:
    rig = taken("5", halted=False)
    took = rig.until(lambda: rig.shown == (D(50), D(-50)), LADDER_SEC + 30)
    assert took >= LADDER_SEC, "first the other leg is tried"
    (added,) = rig.orders(Purpose.RESTORE)
    assert (added.leg, added.side, added.quantity) == (1, "sell", D(5))
    assert added.order_class is OrderClass.INCREASE
    rig.run(60)
    assert (rig.state, rig.durable.plan) == (State.ACTIVE, None)
    assert "the other leg is added to" in rig.told("unfollowed")[0]
    assert "active>unwinding" not in rig.moves


def test_a_hedge_that_is_refused_again_and_again_leaves_the_excess_to_the_ladder() -> None:
    rig = taken("5", halted=False)
    rig.acts("perp", *times(3, "none"))
    rig.until(lambda: rig.state is State.UNWINDING, LADDER_SEC + 60)
    assert len(rig.orders(Purpose.RESTORE)) == 3
    rig.venues.shut.clear()
    rig.until(lambda: rig.state is State.ACTIVE, 10)
    assert rig.shown == (D(45), D(-45))


def test_when_its_market_is_back_the_excess_goes() -> None:
    rig = taken("5", halted=True)
    rig.until(lambda: rig.state is State.UNWINDING, LADDER_SEC + 30)
    rig.venues.shut.clear()
    rig.until(lambda: rig.state is State.ACTIVE, 10)
    assert rig.shown == (D(45), D(-45))
    assert perps(rig) == []


@pytest.mark.parametrize(("shut", "left"), [(SPOT_KEY, 0), (PERP_KEY, 1)])
def test_a_shrink_of_which_one_market_refuses_costs_one_slice_at_most(
    shut: tuple[str, str], left: int
) -> None:
    rig = large()
    rig.venues.shut.add(shut)
    rig.max_ratio = {rig.pair: 0.5}
    rig.until(lambda: rig.state is State.STUCK, 2 * LADDER_SEC + 30)
    held = [abs(quantity) for quantity in rig.shown]
    assert held[left] == 50
    assert 50 - SLICE <= held[1 - left] < 50
    assert rig.orders(Purpose.RESTORE) == [], "nothing is added while less is allowed"


def test_a_shrink_that_both_markets_refuse_goes_on_where_it_was() -> None:
    rig = large()
    rig.venues.shut.update(rig.keys)
    rig.max_ratio = {rig.pair: 0.5}
    rig.until(lambda: rig.state is State.UNWINDING, LADDER_SEC + 30)
    assert rig.shown == (D(50), D(-50))
    rig.venues.shut.clear()
    rig.until(lambda: rig.state is State.ACTIVE, 30)
    assert rig.shown == (D(25), D(-25))


def test_a_hedge_that_cannot_be_restored_keeps_what_is_hedged() -> None:
    rig = large()
    rig.acts("perp", *times(SOFT_TRIES, "none"))
    rig.wish("close")
    rig.until(lambda: rig.held[0] < 50, 2)
    rig.venues.shut.add(SPOT_KEY)
    rig.until(lambda: "closing>unwinding" in rig.moves, 30)
    assert "the excess is unwound" in rig.told("restore")[0]
    rig.until(lambda: rig.state is State.ACTIVE, 10)
    assert rig.shown == (50 - SLICE, SLICE - 50)


def test_nothing_is_kept_and_one_market_refuses() -> None:
    """`keep_partial` is off: the excess goes first, then the market that refused shows whether it trades."""
    rig = Rig(keep_partial=False)
    rig.acts("perp", *times(3, "fill"), "reject")
    rig.wish("open", "5000")
    rig.until(lambda: rig.state is State.OPENING and rig.held[0] == 40, 10)
    rig.venues.shut.add(PERP_KEY)
    rig.until(lambda: rig.state is State.STUCK, LADDER_SEC + 30)
    assert rig.shown == (D(30), D(-30)), "the spot leg that trades waits for the probe"
    assert [one.filled for one in rig.orders(Purpose.UNWIND) if one.leg == 0] == [SLICE]


def test_nothing_is_kept_and_the_market_that_refused_is_back() -> None:
    rig = Rig(keep_partial=False)
    rig.acts("perp", *times(3, "fill"), "reject")
    rig.wish("open", "5000")
    rig.until(lambda: rig.state is State.IDLE and len(rig.moves) == 3, 20)
    unwound = rig.orders(Purpose.UNWIND)
    assert [one.leg for one in unwound][:4] == [0, 1, 0, 0], "excess, probe, its other leg, then both"
    assert rig.shown == FLAT
