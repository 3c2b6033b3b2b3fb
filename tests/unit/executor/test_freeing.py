"""An account whose margin does not suffice for all coins that are owed: what it suffices for is bought and
repaid, which frees margin for more.
"""

from __future__ import annotations

from decimal import Decimal

import pytest

from libs.common.messages_exec import Breaker, Level
from libs.exchange.trading_values import OrderRequest, Outcome, Rejected, Side
from services.executor.model import IntentState, Purpose, State
from services.executor.world import Key
from tests.unit.executor.lender import LoanRig
from tests.unit.executor.rig import SPOT_KEY

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


def test_a_repayment_that_is_refused_keeps_nothing_from_being_bought() -> None:
    rig = opened()
    poor = Poor(rig, D(3))
    rig.lent.append("denied")
    rig.breakers = FLATTEN
    rig.until(lambda: any(one.state is IntentState.NOT_ACCEPTED for one in rig.loans), 30)
    poor.free = D(100)
    rig.until(lambda: rig.state is State.IDLE, 60)
    assert (rig.held, rig.lender.borrowed) == (NOTHING, D(0))


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
