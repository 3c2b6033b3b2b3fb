"""Loans that the venue takes back amid what a pair does: an order, a repayment, a restart."""

from __future__ import annotations

from decimal import Decimal

import pytest

from services.executor.lending import Debt
from services.executor.loan_fate import Fate, fate
from services.executor.model import IntentState, Purpose, State
from tests.unit.executor.build import intent
from tests.unit.executor.lender import LoanRig
from tests.unit.executor.rig import PERP_KEY, SPOT_KEY

D = Decimal
W_SEC = 40.0
"""More than an order or a loan of unknown fate may take."""


def closing(*lent: str) -> LoanRig:
    """A reverse pair whose coins have been bought back, and whose repayment has left."""
    rig = LoanRig().reversed()
    rig.run(6)
    rig.lent.extend(lent)  # type: ignore[arg-type]
    rig.wish("close")
    rig.until(lambda: len(rig.moved) == 2, 10)
    return rig


def test_coins_of_an_unknown_repayment_that_a_recall_made_needless_are_sold() -> None:
    rig = closing("refused")
    rig.lender.buy_back(D(1))  # the debt falls as if the repayment had arrived, and the coins stay
    rig.until(lambda: rig.state is State.IDLE, W_SEC)
    (repay,) = [one for one in rig.loans if one.purpose is Purpose.REPAY]
    assert repay.state is IntentState.NOT_ACCEPTED
    assert "took the loan back" in repay.reason
    assert list(rig.durable.taken.values()) == [D(1)]
    assert rig.lender.coins == rig.durable.legs[0].spare < D("0.003"), "nothing that nobody knows of is held"
    assert rig.told("foreign") == []


def test_two_purchases_beside_an_unknown_repayment_are_booked_and_sold() -> None:
    rig = closing("refused")
    rig.lender.interest = D("0.0005")  # which the first one pays
    rig.lender.buy_back(D("0.5"))
    rig.lender.buy_back(D("0.5"))
    rig.until(lambda: bool(rig.durable.taken), W_SEC)
    assert list(rig.durable.taken.values()) == [D("0.5"), D("0.5")], "at once: they are one recall"
    rig.until(lambda: rig.state is State.IDLE, W_SEC)
    assert rig.lender.coins == rig.durable.legs[0].spare < D("0.003")
    assert rig.told("foreign") == []


def test_an_unknown_repayment_of_which_a_recall_took_the_coins_is_over() -> None:
    rig = closing("refused")
    rig.lender.move(D(-1))  # debt and coins are gone: there is nothing else to know
    rig.until(lambda: rig.state is State.IDLE, 10)
    assert rig.lender.borrowed == 0 == rig.durable.legs[0].owed
    assert rig.lender.coins == rig.durable.legs[0].spare


def test_half_taken_and_half_bought_while_a_repayment_is_unknown() -> None:
    rig = closing("refused")
    rig.lender.move(D("-0.5"))
    rig.lender.buy_back(D("0.5"))
    rig.until(lambda: rig.state is State.IDLE, 2 * W_SEC)
    assert list(rig.durable.taken.values()) == [D("0.5")]
    assert rig.lender.borrowed == 0 == rig.durable.legs[0].owed
    assert rig.lender.coins == rig.durable.legs[0].spare < D("0.003")
    assert rig.told("foreign") == []


def test_a_repayment_that_met_a_recall_leaves_no_coins_behind() -> None:
    rig = closing()
    rig.lender.borrowed += 1  # the venue had bought before the repayment came, and took no more than was owed
    rig.lender.buy_back(D(1))
    rig.until(lambda: rig.state is State.IDLE, W_SEC)
    assert list(rig.durable.taken.values()) == [D(1)]
    assert rig.lender.coins == rig.durable.legs[0].spare < D("0.003")
    assert rig.told("more_coins") == []


def test_interest_that_is_known_and_that_a_recall_has_paid_is_counted_once() -> None:
    rig = LoanRig()
    rig.acts("spot", "reject")
    rig.lent.extend(["moved", "denied"])
    rig.wish("open", direction="reverse")
    rig.until(lambda: len(rig.moved) == 2, 10)
    rig.lender.interest = D("0.0005")  # an hour is over, and only 1 is there to be repaid
    rig.until(lambda: len(rig.moved) == 3, 10)
    assert rig.moved[-1].amount == -1
    rig.lender.borrowed += 1
    rig.lender.buy_back(D(1))
    rig.lender.borrowed = D(0)  # of the repayment no more was taken than the rest
    assert rig.lender.coins == D("0.9995")
    rig.until(lambda: rig.state is State.IDLE, W_SEC)
    leg = rig.durable.legs[0]
    assert list(rig.durable.taken.values()) == [D(1)]
    assert leg.owed == 0
    assert rig.lender.coins == leg.spare + leg.quantity, "to the last digit"


def test_coins_that_the_user_brings_in_while_a_loan_is_repaid_stay_his_and_are_told() -> None:
    rig = closing()
    rig.lender.users_coins += D(2)
    rig.until(lambda: rig.state is State.IDLE, W_SEC)
    assert "2 BTC more" in rig.told("more_coins")[0]
    assert rig.lender.coins == 2 + rig.durable.legs[0].spare
    assert rig.durable.legs[0].others == 2


def test_a_failed_opening_does_not_end_before_a_look_has_shown_that_nothing_is_owed() -> None:
    rig = LoanRig()
    rig.acts("spot", "reject")
    rig.wish("open", direction="reverse")
    rig.until(lambda: len(rig.moved) == 2, 10)
    rig.lender.borrowed += D("0.0002")  # interest that no look had shown was paid first
    rig.until(lambda: rig.state is State.IDLE, 30)
    assert rig.durable.legs[0].owed == D("0.0002") == rig.lender.borrowed


@pytest.mark.parametrize("bought", [True, False])
def test_a_recall_amid_an_unknown_order_halts_nobody(*, bought: bool) -> None:
    """Without borrowed coins the sale could not have happened: what is missed of both is the recall's."""
    rig = LoanRig()
    rig.acts("spot", "lost")
    rig.wish("open", direction="reverse")
    rig.until(lambda: rig.lender.borrowed == 1, 5)
    rig.run(2)
    rig.lender.move(D(-1))
    if bought:
        rig.lender.borrowed += 1
        rig.lender.buy_back(D(1))
    rig.until(lambda: rig.state is State.IDLE, 2 * W_SEC)
    assert rig.told("foreign") == []
    assert rig.lender.coins == rig.durable.legs[0].spare + rig.durable.legs[0].quantity < D("0.003")
    assert rig.lender.borrowed == 0 == rig.durable.legs[0].owed
    assert rig.venues.held[PERP_KEY] == 0


def test_coins_that_a_recall_took_from_a_pair_that_was_just_restarted_are_no_riddle() -> None:
    rig = LoanRig().reversed()
    rig.run(6)
    rig.wish("close")
    rig.until(lambda: rig.venues.held[SPOT_KEY] > D("-0.5"), 10)  # bought back, and not repaid
    rig.lender.move(D(-1))
    rig.restart()
    rig.until(lambda: rig.state is State.IDLE, 2 * W_SEC)
    assert rig.told("foreign") == []
    assert rig.lender.borrowed == 0 == rig.durable.legs[0].owed
    assert rig.lender.coins == rig.durable.legs[0].spare < D("0.003")


def test_a_failed_close_restores_nothing_beside_coins_that_lie_on_the_other_side_of_zero() -> None:
    """What a recall has bought too much is sold: bought against, it would be twice as much."""
    rig = closing("denied")
    rig.lender.buy_back(D(1))
    rig.acts("spot", "reject", "reject", "reject")
    rig.until(lambda: rig.state is State.IDLE, W_SEC)
    assert len(rig.told("close")) == 1
    (restored,) = rig.orders(Purpose.RESTORE)
    assert (restored.leg, restored.side, restored.quantity) == (0, "sell", D(1))
    assert rig.refused == []
    assert rig.lender.coins == rig.durable.legs[0].spare < D("0.003")


# --- one look -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("owed", "gone", "theirs", "expected"),
    [
        ("6", "0", "0", Fate.MOVED),
        ("6", None, "0", Fate.MOVED),
        ("5", "0", "5", Fate.STILL),
        ("5", None, "0", Fate.STILL),
        ("5", "-1", "0", Fate.OTHERWISE),  # the user has brought in as many, or it was lent and bought back
        ("5", "-1", "5", Fate.OTHERWISE),
        ("4.5", "-1", "0", Fate.OTHERWISE),
        ("4.5", "-1", "1.4", Fate.OTHERWISE),  # more was taken back than another pair owes
        ("4.5", "-1", "1.5", Fate.MOVED),  # another pair's loan was recalled
        ("4.5", "-0.6", "5", Fate.OTHERWISE),
        ("4.5", "-0.1", "5", Fate.OTHERWISE),  # a part of them was taken: nobody's, if it counts as not lent
        ("5", "-0.1", "5", Fate.OTHERWISE),
        ("5.5", "0", "5", Fate.OTHERWISE),
        ("5.5", None, "5", Fate.OTHERWISE),
        ("4.5", "0", "5", Fate.STILL),
        ("4.5", "0.5", "5", Fate.STILL),  # ... with coins
        ("4.5", "0", "0.4", Fate.OTHERWISE),  # the user has paid, or was recalled
        ("4.5", None, "5", Fate.UNCLEAR),
        ("4.5", None, "0.4", Fate.OTHERWISE),
        ("6.01", "-1.01", "0", Fate.MOVED),  # interest that a payment has made principal
        ("6.5", "-1.5", "0", Fate.OTHERWISE),  # the user has borrowed as well, or alone
    ],
)
def test_fates_of_a_loan(owed: str, gone: str | None, theirs: str, expected: Fate) -> None:
    loan = intent(purpose=Purpose.BORROW, quantity=D(1), owed_before=D(5))
    debt = Debt(borrowed=D(owed), interest=D(0), total=D(0), asked_us=1)
    assert fate(loan, debt, None if gone is None else D(gone), D(theirs)) is expected


def test_coins_that_the_user_brings_in_are_no_loan_however_many_they_are() -> None:
    rig = LoanRig()
    rig.run(3)
    rig.lent.append("refused")
    rig.wish("open", direction="reverse")
    rig.until(lambda: len(rig.moved) == 1, 10)
    rig.lender.users_coins += rig.moved[0].amount
    rig.until(lambda: rig.state is State.STUCK, W_SEC)
    assert rig.orders(Purpose.OPEN) == []
    assert rig.lender.coins == 1


@pytest.mark.parametrize(
    ("owed", "gone", "ours", "expected"),
    [
        ("4", "1", "5", Fate.MOVED),
        ("4.001", "1", "5", Fate.MOVED),  # an hour's interest came in between
        ("4", "0", "5", Fate.RECALLED),
        ("4", "0.5", "5", Fate.RECALLED),
        ("4.002", "0.998", "5", Fate.RECALLED),  # twice a part was taken: what is left is owed, and is there
        ("4", "0.5", "1", Fate.OTHERWISE),  # beside a debt of the user's: he has brought in some, it may be
        ("4", "-2", "1", Fate.OTHERWISE),
        ("4", "0", "1", Fate.OTHERWISE),  # as many as were repaid
        ("4.5", "0.5", "1", Fate.OTHERWISE),
        ("4", None, "5", Fate.UNCLEAR),
        ("5", "0", "5", Fate.STILL),
        ("5.001", None, "5", Fate.STILL),
    ],
)
def test_fates_of_a_repayment(owed: str, gone: str | None, ours: str, expected: Fate) -> None:
    loan = intent(purpose=Purpose.REPAY, quantity=D(1), owed_before=D(5))
    debt = Debt(borrowed=D(owed), interest=D(0), total=D(0), asked_us=1)
    assert fate(loan, debt, None if gone is None else D(gone), D(ours)) is expected


@pytest.mark.parametrize("brought", [1, 2])
def test_a_debt_of_the_users_is_not_repaid_for_coins_that_he_brings_in(brought: int) -> None:
    """A repayment that has arrived and is unknown seems not to have, and his debt hides it."""
    rig = LoanRig()
    rig.lender.borrowed += 3
    rig.reversed()
    rig.run(6)
    rig.lent.append("silent")
    rig.wish("close")
    rig.until(lambda: len(rig.moved) == 2, 10)
    rig.lender.users_coins += brought
    rig.until(lambda: rig.state is State.STUCK, W_SEC)
    assert rig.lender.borrowed == 3
    (text,) = rig.told("foreign")
    assert "a repayment of 1 is unknown, and 1 less are owed" in text
