"""An account whose margin does not suffice for all coins that are owed: what it suffices for is bought and
repaid, which frees margin for more.
"""

from __future__ import annotations

from decimal import Decimal

import pytest

from libs.common.messages_exec import Breaker, Level
from libs.exchange.trading_values import OrderRequest, Outcome, Rejected, Side
from services.executor.loans import REPAY_TRIES
from services.executor.model import IntentState, Purpose, State
from services.executor.world import Key
from tests.unit.executor.lender import Lent, LoanRig
from tests.unit.executor.rig import SPOT_KEY
from tests.unit.executor.scripted import times
from tests.unit.executor.test_recalls_beside import beside, trade

D = Decimal
NOTHING = (D(0), D(0))
FLATTEN = (Breaker(scope="global", level=Level.FLATTEN, reason="x"),)


class Poor:
    """A unified account: each coin that is bought binds a part of it until it is repaid."""

    def __init__(self, rig: LoanRig, free: Decimal) -> None:
        self.rig, self.free = rig, free
        self.arrive = rig.venues.arrive
        self.refused: list[OrderRequest] = []
        rig.venues.arrive = self.checked  # type: ignore[method-assign]

    @property
    def bound(self) -> Decimal:
        """Coins that were bought and lie there."""
        return self.rig.lender.coins

    def checked(self, key: Key, request: OrderRequest) -> Outcome:
        if key == SPOT_KEY and request.side is Side.BUY and request.quantity + self.bound > self.free:
            self.refused.append(request)
            return Rejected(code="-2019", reason="funds", text="margin is insufficient")
        return self.arrive(key, request)


def opened() -> LoanRig:
    return LoanRig().reversed("500")


@pytest.mark.parametrize("free", ["3", "1.3", "0.6"])
def test_a_close_by_force_ends_though_funds_do_not_suffice_for_all_at_once(free: str) -> None:
    rig = opened()
    poor = Poor(rig, D(free))
    rig.breakers = FLATTEN
    rig.until(lambda: rig.state is State.IDLE, 150)
    assert (rig.held, rig.lender.borrowed, rig.lender.coins) == (NOTHING, D(0), D(0))
    repaid = [one for one in rig.loans if one.purpose is Purpose.REPAY]
    assert len(repaid) > 1, "in parts"
    assert 1 <= len(poor.refused) <= 4 * len(repaid)
    assert rig.told("stuck") == []


def test_where_funds_suffice_nothing_is_repaid_before_all_is_bought() -> None:
    rig = opened()
    rig.acts("spot", "none", "none")
    rig.breakers = FLATTEN
    rig.until(lambda: rig.state is State.IDLE, 60)
    assert [one.purpose for one in rig.loans] == [Purpose.BORROW, Purpose.REPAY]


@pytest.mark.parametrize(("first", "within_sec"), [("denied", 20), ("refused", 60)])
def test_a_repayment_that_failed_is_tried_again(first: Lent, within_sec: int) -> None:
    """Refused in so many words, or of unknown fate: nothing more can be bought before one has arrived."""
    rig = opened()
    Poor(rig, D(3))
    rig.lent.append(first)
    rig.breakers = FLATTEN
    rig.until(lambda: rig.state is State.IDLE, within_sec)
    assert (rig.held, rig.lender.borrowed) == (NOTHING, D(0))
    assert next(one.state for one in rig.loans if one.purpose is Purpose.REPAY) is IntentState.NOT_ACCEPTED


def test_after_three_that_failed_what_can_be_is_bought_on() -> None:
    rig = opened()
    poor = Poor(rig, D(3))
    rig.lent.extend(["denied"] * REPAY_TRIES)
    rig.breakers = FLATTEN
    rig.until(lambda: len(rig.moved) == 1 + REPAY_TRIES, 30)
    poor.free = D(100)
    rig.until(lambda: rig.held == NOTHING, 60)
    rig.run(10)
    assert rig.state is State.STUCK, "its coins are there, and cannot be repaid"
    assert "cannot be repaid" in rig.told("stuck")[0]


@pytest.mark.parametrize("fate", ["moved", "refused"])
def test_nothing_is_repaid_while_the_contract_is_what_stands_alone(fate: Lent) -> None:
    """A loan of unknown fate would keep its orders back for half a minute."""
    rig = opened()
    Poor(rig, D(3))
    rig.acts("perp", *times(12, "reject"))
    rig.lent.append(fate)
    rig.breakers = FLATTEN
    rig.until(lambda: rig.shown == NOTHING or rig.shown[1] > -rig.shown[0], 60)
    loans = len(rig.moved)
    rig.until(lambda: rig.shown[1] <= -rig.shown[0], 60)
    assert len(rig.moved) == loans
    rig.until(lambda: rig.state is State.IDLE, 90)


def test_beside_another_pairs_order_parts_are_repaid_though_no_look_tells_what_coins_there_are() -> None:
    rig = LoanRig()
    other = beside(rig, SPOT_KEY[1])
    rig.reversed("500")
    rig.run(6)
    Poor(rig, D("1.3"))
    trade(other)
    rig.breakers = FLATTEN
    rig.until(lambda: rig.shown == NOTHING, 20)
    rig.until(lambda: rig.state is State.IDLE, 180)
    assert rig.lender.borrowed == 0
    assert len(rig.told("more_coins")) == 2, "at the end only"


@pytest.mark.parametrize("recalled", ["4", "5"])
def test_a_part_that_met_a_purchase_of_the_venues_waits_for_its_coins(recalled: str) -> None:
    """The venue had bought before the part came, and no look tells yet that its coins are there still."""
    rig = LoanRig()
    other = beside(rig, SPOT_KEY[1])
    rig.reversed("500")
    rig.run(6)
    Poor(rig, D(3))
    trade(other)
    rig.breakers = FLATTEN
    rig.until(lambda: len(rig.moved) == 2, 30)
    part = -rig.moved[-1].amount
    lender = rig.lender
    lender.move(part)  # not yet: what the venue has bought pays first
    lender.buy_back(D(recalled))
    lender.move(-min(part, lender.borrowed))
    rig.run(20)
    assert rig.state is not State.IDLE
    other.intents.clear()
    rig.until(lambda: rig.state is State.IDLE, 60)
    assert list(rig.durable.taken.values()) == [D(recalled)]
    assert (rig.shown, lender.borrowed, rig.lender.held[SPOT_KEY]) == (NOTHING, D(0), D(0))
    assert rig.told("more_coins") == []


def test_a_part_of_unknown_fate_that_nothing_proves_is_told() -> None:
    """As much was bought by the venue: its coins may be there, and no look tells while a leg stands alone."""
    rig = LoanRig()
    other = beside(rig, SPOT_KEY[1])
    rig.lender.users_coins += 4
    rig.reversed("500")
    rig.run(6)
    Poor(rig, D(7))
    trade(other)
    rig.lent.append("refused")
    rig.breakers = FLATTEN
    rig.until(lambda: len(rig.moved) == 2, 30)
    rig.lender.buy_back(-rig.moved[-1].amount)
    rig.until(lambda: len(rig.moved) > 2, 60)
    assert any("2.5 BTC were repaid at binance could not be told" in one for one in rig.told("more_coins"))


def test_funds_that_are_there_again_end_it() -> None:
    """Two buys later nothing is repaid before all is bought."""
    rig = opened()
    poor = Poor(rig, D(3))
    rig.breakers = FLATTEN
    rig.until(lambda: len(rig.moved) == 2, 20)
    poor.free = D(100)
    rig.until(lambda: rig.state is State.IDLE, 60)
    assert len(rig.moved) == 3


def test_what_stays_owed_amid_a_close_is_told_and_stops_nothing() -> None:
    """The user borrows between a repayment and the look that shows it: nobody can tell."""
    rig = opened()
    Poor(rig, D(3))
    rig.breakers = FLATTEN
    rig.until(lambda: len(rig.moved) == 2, 30)
    rig.lender.borrowed += 1
    rig.until(lambda: rig.state is State.IDLE, 60)
    assert (rig.held, rig.lender.borrowed) == (NOTHING, D(1))
    (text,) = rig.told("still_owed")
    assert "1.00000000 BTC are still owed at binance after" in text
