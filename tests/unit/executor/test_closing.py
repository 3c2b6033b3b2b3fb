from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec.structs import replace

from libs.common.messages_exec import Breaker, Level
from services.executor.closing import BACK_OFF_US, BACK_OFF_US_MAX, SOFT_TRIES, advance, back_off_us
from services.executor.events import SendOrders
from services.executor.lane import Draft
from services.executor.model import Direction, IntentState, OrderClass, Plan, Purpose, State
from tests.unit.executor.lender import LoanRig
from tests.unit.executor.rig import FLAT, PERP_KEY, SPOT_KEY, Rig
from tests.unit.executor.scripted import Act, times

ONE = (Decimal(1), Decimal(-1))


def failing(*acts: Act) -> Rig:
    """A held pair whose perp leg does this when it is to be closed."""
    rig = Rig().opened()
    rig.acts("perp", *acts)
    return rig


def flatten(rig: Rig) -> None:
    rig.breakers = (Breaker(scope="global", level=Level.FLATTEN, reason="loss of the day"),)
    rig.beat()


def test_a_close_reduces_both_legs_to_nothing() -> None:
    rig = Rig().opened()
    rig.wish("close")
    rig.until(lambda: rig.state is State.IDLE, 5)
    assert rig.shown == FLAT == rig.held
    spot, perp = rig.orders(Purpose.CLOSE)
    assert (spot.side, spot.reduce_only) == ("sell", False)
    assert (perp.side, perp.reduce_only) == ("buy", True)
    assert {one.order_class for one in (spot, perp)} == {OrderClass.REDUCE}
    assert rig.alerts == []


def test_a_close_needs_no_permit() -> None:
    rig = Rig().opened()
    rig.risk_on = False
    rig.breakers = (Breaker(scope="global", level=Level.REDUCE_ONLY, reason="x"),)
    rig.beat()
    rig.run(5)
    rig.wish("close")
    rig.until(lambda: rig.state is State.IDLE, 5)


def test_a_soft_close_that_fails_restores_the_hedge() -> None:
    rig = failing(*times(SOFT_TRIES, "none"))
    rig.wish("close")
    rig.until(lambda: rig.moves[-1] == "closing>active", 15)
    assert rig.held == ONE == rig.shown
    assert len([one for one in rig.orders(Purpose.CLOSE) if one.leg == 1]) == SOFT_TRIES
    (restored,) = rig.orders(Purpose.RESTORE)
    assert (restored.leg, restored.side, restored.quantity) == (0, "buy", Decimal(1))
    assert restored.order_class is OrderClass.REDUCE, "it lowers the net delta: no permit is asked"
    (text,) = rig.told("close:1")
    assert "restoring the hedge" in text
    assert "BTC-USDT-PERP" in text


def test_a_hedge_is_restored_whatever_risk_says() -> None:
    rig = failing(*times(SOFT_TRIES, "none"))
    rig.wish("close")
    rig.run(0.2)
    rig.breakers = (Breaker(scope="global", level=Level.REDUCE_ONLY, reason="x"),)
    rig.beat()
    rig.risk_on = False
    rig.until(lambda: rig.moves[-1] == "closing>active", 15)
    assert rig.shown == ONE


def test_a_failed_close_waits_longer_each_time_and_trims_go_on() -> None:
    rig = failing(*times(SOFT_TRIES, "none"))
    rig.wish("close")
    rig.until(lambda: rig.moves[-1] == "closing>active", 15)
    rig.wish("close")
    rig.run(1)
    assert "the next try waits" in rig.notes[-1]
    rig.venues.take(PERP_KEY, Decimal("0.2"))  # within the back-off
    rig.until(lambda: rig.shown == (Decimal("0.8"), Decimal("-0.8")), 12)
    rig.run(BACK_OFF_US / 1e6)
    rig.wish("close")
    rig.until(lambda: rig.state is State.IDLE, 5)


def test_drift_is_trimmed_while_a_failed_close_waits() -> None:
    rig = failing(*times(SOFT_TRIES, "none"))
    rig.wish("close")
    rig.until(lambda: rig.moves[-1] == "closing>active", 15)
    rig.venues.held[PERP_KEY] += Decimal("0.2")
    legs = rig.lane.state.legs
    smaller = replace(legs[1], quantity=legs[1].quantity + Decimal("0.2"))
    rig.lane.state = replace(rig.lane.state, legs=(legs[0], smaller))
    rig.until(lambda: rig.shown == (Decimal("0.8"), Decimal("-0.8")), 3)


def test_the_back_off_doubles_to_an_hour() -> None:
    waits = [back_off_us(n) for n in range(1, 40)]
    assert waits[:3] == [BACK_OFF_US, 2 * BACK_OFF_US, 4 * BACK_OFF_US]
    assert waits == sorted(waits)
    assert waits[-1] == BACK_OFF_US_MAX
    assert back_off_us(0) == BACK_OFF_US


def test_a_hedge_that_cannot_be_restored_is_unwound() -> None:
    rig = failing(*times(SOFT_TRIES, "none"))
    rig.acts("spot", "fill", "reject", "reject", "reject")
    rig.wish("close")
    rig.until(lambda: rig.state is State.IDLE, 30)
    assert rig.moves[-2:] == ["closing>unwinding", "unwinding>idle"]
    assert rig.shown == FLAT
    assert len(rig.told("restore")) == 1


def test_a_partly_closed_leg_is_restored_to_the_other() -> None:
    rig = failing("half", "none", "none", "none")
    rig.wish("close")
    rig.until(lambda: rig.moves[-1] == "closing>active", 15)
    assert rig.held == (Decimal("0.5"), Decimal("-0.5")) == rig.shown


def test_a_hard_close_forces_the_failing_leg() -> None:
    rig = failing(*times(6, "none"))
    flatten(rig)
    rig.until(lambda: rig.state is State.IDLE, 30)
    assert rig.shown == FLAT
    perps = [one for one in rig.orders(Purpose.CLOSE) if one.leg == 1]
    assert len(perps) == 7
    assert perps[-1].price is None
    assert rig.orders(Purpose.RESTORE) == []


def test_a_leg_that_shrinks_meanwhile_is_not_restored_beyond_the_other() -> None:
    rig = failing(*times(SOFT_TRIES, "none"))
    rig.acts("spot", "fill", "reject")
    rig.wish("close")
    rig.until(lambda: [one.state for one in rig.orders(Purpose.RESTORE)] == [IntentState.REJECTED], 15)
    rig.venues.held[PERP_KEY] += Decimal("0.6")  # ADL, between two tries
    legs = rig.lane.state.legs
    smaller = replace(legs[1], quantity=legs[1].quantity + Decimal("0.6"))
    rig.lane.state = replace(rig.lane.state, legs=(legs[0], smaller))
    rig.until(lambda: rig.state is State.ACTIVE, 15)
    assert [one.quantity for one in rig.orders(Purpose.RESTORE)] == [Decimal(1), Decimal("0.4")]
    assert rig.shown == (Decimal("0.4"), Decimal("-0.4"))


def test_a_rest_that_is_too_small_to_be_restored_does_not_cost_the_position() -> None:
    rig = failing(*times(SOFT_TRIES, "none"))
    rig.acts("spot", "fill", "reject")
    rig.wish("close")
    rig.until(lambda: [one.state for one in rig.orders(Purpose.RESTORE)] == [IntentState.REJECTED], 15)
    rig.venues.held[SPOT_KEY] = Decimal("0.98")  # as if nearly all of it had been bought
    legs = rig.lane.state.legs
    nearly = replace(legs[0], quantity=Decimal("0.98"))
    rig.lane.state = replace(rig.lane.state, legs=(nearly, legs[1]))
    rig.until(lambda: rig.moves[-1] == "closing>active", 5)
    assert rig.told("restore") == []
    assert rig.shown == (Decimal("0.98"), Decimal(-1)), "2 % apart: below the threshold of a trim"


class Grouped(Rig):
    """Notes which orders leave together or not at all."""

    def _send(self, request: SendOrders) -> None:
        self.groups.append([(one.purpose, one.leg) for one in request.intents])
        super()._send(request)

    def start(self) -> None:
        self.groups: list[list[tuple[Purpose, int]]] = []
        super().start()


def test_forced_legs_do_not_wait_for_each_other_and_others_do() -> None:
    for forced in (True, False):
        rig = Grouped().opened()
        if forced:
            flatten(rig)
        else:
            rig.wish("close")
        rig.until(lambda rig=rig: rig.state is State.IDLE, 5)  # type: ignore[misc]
        both = [(Purpose.CLOSE, 0), (Purpose.CLOSE, 1)]
        assert rig.groups[1:] == ([[both[0]], [both[1]]] if forced else [both])


def test_flatten_hardens_a_soft_close() -> None:
    rig = failing(*times(SOFT_TRIES + 3, "none"))
    rig.wish("close")
    rig.run(0.3)
    assert rig.state is State.CLOSING
    flatten(rig)
    rig.until(lambda: rig.state is State.IDLE, 30)
    assert rig.orders(Purpose.RESTORE) == []
    assert "closing>active" not in rig.moves


def test_flatten_hardens_a_restoration() -> None:
    rig = failing(*times(SOFT_TRIES, "none"))
    rig.acts("spot", "fill", "none", "none")
    rig.wish("close")
    rig.until(lambda: len(rig.orders(Purpose.RESTORE)) == 1, 15)
    flatten(rig)
    rig.until(lambda: rig.state is State.IDLE, 30)
    assert rig.shown == FLAT


def test_a_hard_close_that_nothing_helps_calls_a_person() -> None:
    rig = failing(*times(60, "reject"))
    flatten(rig)
    rig.until(lambda: rig.state is State.STUCK, 240)
    assert len(rig.told("stuck")) == 1


def test_a_close_in_doubt_sends_nothing_more() -> None:
    rig = failing("lost")
    rig.wish("close")
    rig.run(10)
    assert len(rig.orders(Purpose.CLOSE)) == 2
    rig.until(lambda: rig.state in (State.IDLE, State.ACTIVE), 30)
    assert rig.held == rig.shown


@pytest.mark.parametrize("coins", ["0", "7"])
def test_only_our_own_coins_are_sold(coins: str) -> None:
    rig = Rig(base_fee="0.001")
    rig.venues.users_coins = Decimal(coins)
    rig.opened()
    own = rig.held[0]
    rig.wish("close")
    rig.until(lambda: rig.state is State.IDLE, 5)
    sold = sum((one.filled for one in rig.orders(Purpose.CLOSE) if one.leg == 0), Decimal(0))
    assert sold <= own
    assert rig.venues.held[SPOT_KEY] == own - sold == rig.lane.dust[0] < Decimal("0.01")


@pytest.mark.parametrize("fee", ["0", "0.001"])
def test_bought_back_coins_are_sold_again_when_the_contract_does_not_trade(fee: str) -> None:
    """Bought for a fee, too, they are a little more than was short: the leg is restored on its own side."""
    rig = LoanRig(base_fee=fee, slices=2, slice_interval_sec=0.1)
    rig.acts("spot", "fill", "none")  # the coins' market is tried first in the close
    rig.wish("open", "200", direction="reverse")
    rig.until(lambda: rig.state is State.ACTIVE, 10)
    rig.run(3)
    rig.venues.shut.add(PERP_KEY)
    rig.wish("close")
    rig.until(lambda: rig.moves[-1] == "closing>active", 20)
    (restored,) = rig.orders(Purpose.RESTORE)
    assert (restored.leg, restored.side, restored.state) == (0, "sell", IntentState.DONE)
    assert rig.shown[1] == 1
    assert abs(rig.held[0] + 1) < Decimal("0.003")
    rig.venues.shut.clear()
    rig.run(BACK_OFF_US / 1e6)
    rig.wish("close")
    rig.until(lambda: rig.state is State.IDLE, 20)
    assert rig.lender.borrowed == 0


def test_a_pair_that_is_not_held_cannot_be_closed() -> None:
    rig = Rig()
    rig.wish("close")
    rig.run(1)
    assert "not closed: the pair is idle" in rig.notes[-1]


@pytest.mark.parametrize(
    ("direction", "held", "expected"),
    [
        ("forward", ("-1", "0"), (0, "buy", "1")),
        ("reverse", ("1", "0"), (0, "sell", "1")),
        ("reverse", ("0", "-1"), (1, "buy", "1")),
        ("forward", ("0", "1"), (1, "sell", "1")),
    ],
)
def test_what_a_failed_close_has_on_the_other_side_of_zero_is_brought_back(
    direction: Direction, held: tuple[str, str], expected: tuple[int, str, str]
) -> None:
    """An order that was given up has filled late: sold again, it would be twice as much, of the user's."""
    rig = Rig().opened()
    lane = rig.lane
    first, second = lane.state.legs
    legs = replace(first, quantity=Decimal(held[0])), replace(second, quantity=Decimal(held[1]))
    plan = Plan(goals=(Decimal(0), Decimal(0)), purpose=Purpose.RESTORE, reason="carry")
    lane.state = replace(lane.state, direction=direction, state=State.CLOSING, legs=legs, plan=plan)
    draft = Draft(lane, rig.now)
    advance(lane, draft)
    (sent,) = draft.sends
    assert (sent.leg, sent.side, sent.quantity) == (expected[0], expected[1], Decimal(expected[2]))
    assert sent.purpose is Purpose.RESTORE
