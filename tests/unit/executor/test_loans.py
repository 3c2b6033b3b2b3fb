from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from libs.common.messages_exec import Breaker, Level
from services.executor.events import MoveLoan
from services.executor.loans import REPAY_AGAIN_US
from services.executor.model import IntentState, OrderClass, Purpose, State
from services.executor.resolve import window_us
from tests.unit.executor.lender import LoanRig
from tests.unit.executor.rig import FLAT, PERP_KEY, SPOT_KEY
from tests.unit.executor.scripted import described

D = Decimal
SHORT = (D(-1), D(1))
W_SEC = window_us("binance") / 1e6


def halt(rig: LoanRig) -> None:
    rig.breakers = (Breaker(scope="global", level=Level.REDUCE_ONLY, reason="x"),)
    rig.beat()


# --- opening ----------------------------------------------------------------------------------------------


def test_coins_are_borrowed_before_they_are_sold() -> None:
    rig = LoanRig().reversed()
    (loan,) = rig.loans
    assert (loan.purpose, loan.quantity, loan.state) == (Purpose.BORROW, D(1), IntentState.DONE)
    assert loan.order_class is OrderClass.INCREASE
    assert min(one.created_us for one in rig.sent) > loan.created_us
    spot, perp = rig.orders(Purpose.OPEN)
    assert (spot.side, spot.margin, perp.side, perp.margin) == ("sell", True, "buy", False)
    assert rig.held == SHORT == rig.shown
    assert rig.durable.legs[0].borrowed == 1
    assert rig.lender.coins == 0


def test_a_loan_that_fails_ends_the_attempt_with_nothing_sent() -> None:
    rig = LoanRig()
    rig.lent.append("refused")
    rig.wish("open", direction="reverse")
    sec = rig.until(lambda: rig.moves == ["idle>opening", "opening>idle"], W_SEC + 17)
    assert sec > W_SEC, "an error proves nothing before W"
    assert rig.sent == []
    assert rig.loans[0].state is IntentState.NOT_ACCEPTED
    assert "no answer: refused" in rig.durable.reason
    assert len(rig.moved) == 1


def test_a_loan_that_the_venue_denies_ends_the_attempt_at_once() -> None:
    rig = LoanRig()
    rig.lent.append("denied")
    rig.wish("open", direction="reverse")
    sec = rig.until(lambda: rig.moves == ["idle>opening", "opening>idle"], 30)
    assert sec < W_SEC / 2
    assert rig.sent == []
    assert rig.loans[0].state is IntentState.NOT_ACCEPTED
    assert "no answer: denied" in rig.durable.reason


def test_repayments_that_the_venue_denies_are_spaced() -> None:
    rig = LoanRig().reversed()
    rig.lent.extend(["denied"] * 2)
    rig.wish("close")
    rig.until(lambda: rig.state is State.IDLE, 30)
    first, second, third = [one.created_us for one in rig.loans if one.purpose is Purpose.REPAY]
    assert min(second - first, third - second) > REPAY_AGAIN_US
    assert rig.lender.borrowed == 0


def test_a_loan_whose_answer_was_lost_is_found_in_the_balance() -> None:
    rig = LoanRig()
    rig.lent.append("silent")
    rig.wish("open", direction="reverse")
    rig.until(lambda: rig.state is State.ACTIVE, 5)
    assert len(rig.moved) == 1
    assert rig.loans[0].state is IntentState.DONE
    assert rig.durable.legs[0].borrowed == 1


@pytest.mark.parametrize("moved", [True, False])
def test_a_loan_under_way_at_a_crash_is_resolved_by_the_balance(*, moved: bool) -> None:
    rig = LoanRig()
    rig.lent.append("silent" if moved else "refused")
    rig.wish("open", direction="reverse")
    rig.until(lambda: bool(rig.moved), 5)
    rig.restart()
    rig.until(lambda: rig.state is (State.ACTIVE if moved else State.IDLE), 40)
    assert len(rig.moved) == 1, "no loan is asked for twice"
    assert rig.lender.borrowed == (1 if moved else 0) == rig.durable.legs[0].borrowed


def test_borrowing_needs_a_permit_and_repaying_does_not() -> None:
    rig = LoanRig()
    rig.wish("open", direction="reverse")
    rig.until(lambda: rig.state is State.OPENING, 1)
    halt(rig)
    rig.until(lambda: rig.state is State.IDLE, 2)
    assert rig.loans[0].state is IntentState.VOID
    assert rig.moved == []
    rig.breakers = ()
    rig.beat()
    rig.reversed()
    halt(rig)
    rig.wish("close")
    rig.until(lambda: rig.state is State.IDLE, 10)
    assert rig.lender.borrowed == 0


def test_a_venue_that_does_not_lend_is_named() -> None:
    rig = LoanRig()
    info = msgspec.structs.replace(described(SPOT_KEY, D(0)), shortable=False)
    rig.hear(info, "md.instrument")
    rig.run(1)
    rig.wish("open", direction="reverse")
    rig.run(2)
    assert rig.moves == []
    assert any("binance lends no BTC" in note for note in rig.notes)


def test_an_opening_of_which_nothing_fills_repays() -> None:
    rig = LoanRig()
    rig.acts("spot", "reject")
    rig.acts("perp", "none")
    rig.wish("open", direction="reverse")
    rig.until(lambda: rig.moves == ["idle>opening", "opening>idle"], 10)
    assert [one.purpose for one in rig.loans] == [Purpose.BORROW, Purpose.REPAY]
    assert rig.lender.borrowed == 0
    assert rig.durable.legs[0].owed == 0
    assert rig.shown == FLAT


@pytest.mark.parametrize("style", ["concurrent", "sequential", "maker_first"])
def test_borrowed_coins_are_sold_before_the_contract_is_bought(style: str) -> None:
    rig = LoanRig(style=style)
    rig.venues.books[PERP_KEY].size = D(1)  # the thin leg would go first without a loan
    rig.run(1)
    rig.acts("spot", "silent")
    rig.wish("open", direction="reverse")
    rig.until(lambda: len(rig.sent) == 1, 5)
    rig.run(0.5)
    assert [one.leg for one in rig.sent] == [0], "nothing is bought while the sale is unknown"
    rig.until(lambda: rig.state is State.ACTIVE, 40)
    assert [one.leg for one in rig.sent] == [0, 1]
    assert rig.held == SHORT == rig.shown


def test_a_sale_of_borrowed_coins_that_is_refused_leaves_no_leg_alone() -> None:
    rig = LoanRig()
    rig.acts("spot", "reject")
    rig.wish("open", direction="reverse")
    rig.until(lambda: rig.moves == ["idle>opening", "opening>idle"], 10)
    assert [one.leg for one in rig.sent] == [0]
    assert rig.lender.borrowed == 0


def test_the_contract_is_sized_to_what_was_sold() -> None:
    rig = LoanRig()
    rig.acts("spot", "half")
    rig.reversed()
    assert [(one.leg, one.quantity) for one in rig.orders(Purpose.OPEN)] == [(0, D(1)), (1, D("0.500"))]


def test_coins_that_are_posted_are_sold_as_a_maker_also_when_they_are_borrowed() -> None:
    rig = LoanRig(style="maker_first")
    rig.world._saves = {SPOT_KEY: D("0.001"), PERP_KEY: D(0)}
    rig.wish("open", direction="reverse")
    rig.until(lambda: len(rig.venues.resting()) == 1, 5)
    rig.run(0.05)
    assert [(one.leg, one.tif) for one in rig.sent] == [(0, "post_only")]
    rig.fill_resting("1")
    rig.until(lambda: rig.state is State.ACTIVE, 5)
    assert [(one.leg, one.tif) for one in rig.sent] == [(0, "post_only"), (1, "ioc")]


def test_what_a_kept_part_does_not_need_is_repaid() -> None:
    rig = LoanRig()
    rig.acts("spot", "half")
    rig.reversed()
    rig.until(lambda: rig.lender.borrowed == D("0.5"), 5)
    rig.run(10)
    assert rig.state is State.ACTIVE
    assert rig.durable.legs[0].borrowed == D("0.5")
    assert len(rig.moved) == 2


# --- closing ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("base_fee", "interest"), [("0", "0"), ("0", "0.0004"), ("0.001", "0.0004")])
def test_a_close_sells_the_contract_then_covers_debt_interest_and_fee(base_fee: str, interest: str) -> None:
    rig = LoanRig(base_fee=base_fee).reversed()
    rig.lender.interest = D(interest)
    rig.run(7)
    assert rig.durable.legs[0].owed == 1 + D(interest)
    rig.wish("close")
    rig.until(lambda: rig.state is State.IDLE, 10)
    perp, spot = rig.orders(Purpose.CLOSE)
    assert (perp.leg, perp.reduce_only, spot.leg, spot.side) == (1, True, 0, "buy")
    assert spot.created_us > perp.created_us
    assert rig.lender.borrowed == rig.lender.interest == 0
    leg = rig.durable.legs[0]
    assert leg.owed == 0 == leg.quantity
    assert 0 <= leg.spare < D("0.003")
    assert rig.lender.coins == leg.spare, "coins that are left are remembered"
    assert rig.alerts == []


def test_a_repayment_whose_answer_was_lost_is_not_repeated() -> None:
    rig = LoanRig().reversed()
    rig.lent.append("silent")
    rig.wish("close")
    rig.until(lambda: rig.state is State.IDLE, 10)
    assert [one.amount for one in rig.moved] == [D(1), D(-1)]
    assert rig.lender.borrowed == 0


def test_a_repayment_that_was_lost_is_tried_again_and_a_person_is_called_at_last() -> None:
    rig = LoanRig().reversed()
    rig.lent.extend(["refused"] * 3)
    rig.wish("close")
    rig.until(lambda: rig.state is State.STUCK, 120)
    assert len(rig.moved) == 4
    (text,) = rig.told("stuck")
    assert "1 BTC cannot be repaid" in text


def test_a_pair_is_not_idle_before_a_look_has_shown_that_nothing_is_owed() -> None:
    rig = LoanRig().reversed()
    rig.wish("close")
    rig.until(lambda: len(rig.moved) == 2, 10)
    rig.lender.borrowed += D("0.2")  # the repayment was not what it said
    rig.until(lambda: rig.state is State.STUCK, 10)
    assert "0.2" in rig.told("stuck")[0]
    assert "still owed" in rig.told("stuck")[0]


def test_interest_that_came_meanwhile_is_paid_from_what_is_left_or_said() -> None:
    rig = LoanRig().reversed()
    rig.wish("close")
    rig.until(lambda: len(rig.moved) == 2, 10)
    rig.lender.borrowed += D("0.0002")  # interest is paid first, so that as much principal is left
    rig.until(lambda: rig.state is State.IDLE, 10)
    leg = rig.durable.legs[0]
    assert leg.owed == D("0.0002") == rig.lender.borrowed + rig.lender.interest
    assert "0.0002" in rig.told("residue")[0]
    rig.reversed()
    rig.run(6)
    rig.wish("close")
    rig.until(lambda: rig.state is State.IDLE, 10)
    assert rig.lender.borrowed + rig.lender.interest == 0 == rig.durable.legs[0].owed


def test_a_crash_at_any_moment_of_a_close_leaves_no_debt() -> None:
    for step_ms in range(0, 400, 12):
        rig = LoanRig().reversed()
        rig.wish("close")
        rig.run(step_ms / 1_000)
        rig.restart()
        rig.run(4)
        if rig.state is State.ACTIVE:  # the wish itself was lost
            rig.wish("close")
        rig.until(lambda rig=rig: rig.state is State.IDLE, 60)  # type: ignore[misc]
        assert rig.lender.borrowed == 0
        assert rig.shown == FLAT
        assert sum(one.amount for one in rig.moved) == 0


# --- what is the user's -----------------------------------------------------------------------------------


def test_the_users_own_coins_and_debts_are_never_touched() -> None:
    rig = LoanRig()
    rig.lender.users_coins, rig.lender.borrowed = D(3), D(7)
    rig.reversed()
    rig.lender.interest = D("0.008")
    rig.run(20)
    assert rig.state is State.ACTIVE
    assert rig.durable.legs[0].interest == D("0.001"), "an eighth of the debt is ours"
    rig.wish("close")
    rig.until(lambda: rig.state is State.IDLE, 10)
    assert rig.lender.borrowed + rig.lender.interest == D("7.007")
    assert rig.lender.coins == 10 + rig.durable.legs[0].spare


def test_interest_alone_makes_nobody_foreign() -> None:
    rig = LoanRig().reversed()
    for _ in range(20):
        rig.lender.interest += D("0.0001")
        rig.run(3)
    rig.run(6)
    assert rig.state is State.ACTIVE
    assert rig.durable.legs[0].interest == D("0.002")
    assert rig.held[0] == D("-1.002")


def test_coins_that_vanish_from_under_a_loan_halt_the_pair() -> None:
    rig = LoanRig().reversed()
    rig.lender.held[SPOT_KEY] -= D("0.5")
    rig.until(lambda: rig.state is State.STUCK, 30)


def test_an_unknown_loan_beside_somebodys_own_is_foreign() -> None:
    rig = LoanRig()
    rig.lent.append("refused")
    rig.wish("open", direction="reverse")
    rig.until(lambda: bool(rig.moved), 5)
    rig.lender.borrowed += D("0.3")
    rig.until(lambda: rig.state is State.STUCK, 40)
    assert "0.3" in rig.told("foreign")[0]
    assert rig.sent == []


def test_loans_carry_their_gate_with_them() -> None:
    rig = LoanRig().reversed()
    (request,) = [one for one in rig.requests if isinstance(one, MoveLoan)]
    assert request.intent.id == request.id
    assert request.intent.fence == rig.lane.fence
    assert request.legs == rig.keys
