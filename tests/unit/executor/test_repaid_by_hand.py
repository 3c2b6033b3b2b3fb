"""A person repays by hand what a stuck pair owes: the others that lend the coin go on."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec.structs import replace

from services.executor.lane import Lane
from services.executor.model import State
from tests.unit.executor.lender import LoanRig
from tests.unit.executor.rig import SPOT_KEY
from tests.unit.executor.test_recalls_beside import beside, hold, lend, trade

D = Decimal


def stuck_beside(rig: LoanRig, coins: str) -> Lane:
    """A stuck pair that owes 0.5, and so many coins of it are there."""
    other = beside(rig, SPOT_KEY[1])
    lend(rig, other, "0.5")
    other.state = replace(other.state, state=State.STUCK)
    rig.lender.users_coins += 1
    rig.reversed()
    rig.run(6)
    hold(rig, other, str(D(coins) - D("0.5")))
    return other


@pytest.mark.parametrize("coins", ["0", "0.5"])
@pytest.mark.parametrize("paid_with", ["his", "its"])
def test_who_repays_a_stuck_pairs_loan_by_hand_leaves_the_others_alone(coins: str, paid_with: str) -> None:
    """With coins of his own, or with those of the pair, as far as it has any."""
    rig = LoanRig()
    stuck_beside(rig, coins)
    if paid_with == "his" or coins == "0":
        rig.lender.users_coins += D("0.5")
    rig.lender.move(D("-0.5"))
    rig.run(90)
    assert (rig.state, rig.held) == (State.ACTIVE, (D(-1), D(1)))
    assert rig.told("foreign") == rig.told("recall") == []
    rig.lender.move(D("-0.2"))  # ours: the venue takes the user's coins
    rig.until(lambda: bool(rig.told("recall")), 20)


def test_what_was_repaid_by_hand_hides_no_recall_after_the_stuck_pair_was_reset() -> None:
    rig = LoanRig()
    other = stuck_beside(rig, "0")
    was = other.state
    rig.lender.users_coins += D("0.5")
    rig.lender.move(D("-0.5"))
    rig.run(10)
    empty = replace(was.legs[0], quantity=D(0), borrowed=D(0))
    other.state = replace(was, state=State.IDLE, legs=(empty, was.legs[1]))
    rig.run(10)
    rig.lender.users_coins -= D("0.5")  # it has borrowed and sold again, and is stuck again
    rig.lender.move(D("0.5"))
    other.state = was
    rig.run(10)
    rig.lender.move(D("-0.2"))
    rig.until(lambda: bool(rig.told("recall")), 20)
    assert rig.told("foreign") == []


def test_a_pair_closes_beside_a_stuck_one_whose_loan_was_repaid_by_hand() -> None:
    rig = LoanRig()
    stuck_beside(rig, "0")
    rig.lender.users_coins += D("0.5")
    rig.lender.move(D("-0.5"))
    rig.run(10)
    rig.wish("close")
    rig.until(lambda: rig.state is State.IDLE, 20)
    assert rig.lender.borrowed == 0
    assert rig.lender.coins >= 1


def test_what_was_lent_beside_a_stuck_pair_is_not_lent_anew_and_the_reason_names_it() -> None:
    rig = LoanRig()
    other = beside(rig, SPOT_KEY[1])
    lend(rig, other, "0.5")
    other.state = replace(other.state, state=State.STUCK)
    rig.run(3)
    rig.lender.move(D("-0.5"))
    rig.wish("open", direction="reverse")
    rig.run(2)
    rig.until(lambda: rig.state is State.IDLE, 60)
    assert "other is stuck with a loan of that coin, reset it" in rig.durable.reason


@pytest.mark.parametrize("moved", ["-0.7", "0", "2"])
def test_what_was_repaid_by_hand_is_told_once_and_is_no_recall_after_a_restart_either(moved: str) -> None:
    """The user's other coins come and go meanwhile."""
    rig = LoanRig()
    other = stuck_beside(rig, "0")
    rig.lender.users_coins += D("0.5")
    rig.lender.move(D("-0.5"))
    rig.run(60)
    for lent in (D("0.5"), D("-0.5")):  # he borrows as much, takes it out, and pays it back
        rig.lender.borrowed += lent
        rig.lender.users_coins -= lent
        rig.run(60)
    (text,) = rig.told("repaid")
    assert "0.5 BTC at binance that other has borrowed" in text
    rig.lender.users_coins += D(moved)
    rig.run(20)
    assert rig.durable.legs[0].others == 1 + D(moved)
    rig.restart()
    beside(rig, SPOT_KEY[1]).state = other.state
    rig.run(90)
    assert (rig.state, rig.held) == (State.ACTIVE, (D(-1), D(1)))
    assert rig.told("foreign") == rig.told("recall") == []
    assert rig.durable.legs[0].borrowed == 1


def test_a_stuck_pair_whose_loan_stands_is_not_named_as_the_reason() -> None:
    rig = LoanRig()
    stuck = beside(rig, SPOT_KEY[1])
    lend(rig, stuck, "0.5")
    stuck.state = replace(stuck.state, state=State.STUCK)
    rig.run(3)
    rig.lane.loan.blind = True  # no look tells what coins are there: another one's order is open
    trade(stuck)
    rig.wish("open", direction="reverse")
    rig.run(2)
    rig.until(lambda: rig.state is State.IDLE, 60)
    assert rig.durable.reason.endswith("could not be told before borrowing")
