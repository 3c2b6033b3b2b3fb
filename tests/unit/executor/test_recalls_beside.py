"""What becomes of a pair's loan while another pair has the same coin at that venue."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec.structs import replace

from libs.common.subjects import kind_of
from services.executor.lane import Lane
from services.executor.model import Direction, IntentState, Purpose, State
from tests.unit.executor.build import intent
from tests.unit.executor.lender import LoanRig
from tests.unit.executor.rig import PERP_KEY, SPOT_KEY
from tests.unit.executor.scripted import STEP

D = Decimal
W_SEC = 40.0


def beside(rig: LoanRig, spot: str, quantity: str = "0") -> Lane:
    """Another pair of the same executor, which holds so many of the coins."""
    keys = ("binance", spot), ("okx", "BTC-USDT-PERP")
    lane = Lane("other", keys, (kind_of(keys[0][1]), kind_of(keys[1][1])), rig.world)
    direction: Direction = "reverse" if spot == SPOT_KEY[1] else "forward"  # never both on one instrument
    lane.state = replace(lane.state, state=State.ACTIVE, direction=direction)
    lane.loaded = lane.ready = True
    rig.actor.lanes["other"] = rig.world.lanes["other"] = lane  # type: ignore[index]
    hold(rig, lane, quantity)
    return lane


def hold(rig: LoanRig, lane: Lane, quantity: str) -> None:
    """What it holds from now on, at its venue as well."""
    first, second = lane.state.legs
    rig.lender.users_coins += D(quantity) - first.quantity
    lane.state = replace(lane.state, legs=(replace(first, quantity=D(quantity)), second))


def trade(lane: Lane) -> None:
    """An order of it is open: no look tells what coins there should be."""
    one = intent(id="other-1", leg=0, state=IntentState.WORKING)
    lane.intents[one.id] = one


def closing(rig: LoanRig, *lent: str) -> None:
    """The coins have been bought back, and the repayment has left."""
    rig.reversed()
    rig.run(6)
    rig.lent.extend(lent)  # type: ignore[arg-type]
    rig.wish("close")
    rig.until(lambda: len(rig.moved) == 2, 10)


@pytest.mark.parametrize("unknown", [True, False])
def test_a_repayment_is_not_over_before_a_look_tells_what_coins_are_there(*, unknown: bool) -> None:
    rig = LoanRig()
    other = beside(rig, SPOT_KEY[1])
    closing(rig, *["refused"] * unknown)
    trade(other)
    rig.lender.borrowed += 0 if unknown else 1  # the venue had bought before the repayment came
    rig.lender.buy_back(D(1))
    rig.run(W_SEC)
    assert rig.state is State.CLOSING
    other.intents.clear()
    rig.until(lambda: rig.state is State.IDLE, 20)
    assert list(rig.durable.taken.values()) == [D(1)]
    assert rig.lender.coins == rig.durable.legs[0].spare < STEP, "nothing that nobody knows of is held"


def test_a_repayment_that_no_look_ever_tells_of_is_over_with_a_word() -> None:
    rig = LoanRig()
    other = beside(rig, SPOT_KEY[1])
    closing(rig)
    trade(other)
    rig.until(lambda: rig.state is State.IDLE, 90)
    (text,) = rig.told("more_coins")
    assert "could not be told" in text


def test_a_recall_is_noticed_while_a_repayment_waits_for_its_coins() -> None:
    rig = LoanRig()
    other = beside(rig, SPOT_KEY[1])
    rig.reversed()
    rig.run(6)
    rig.venues.take(PERP_KEY, D("0.4"))
    rig.until(lambda: len(rig.moved) == 2, 15)
    trade(other)
    rig.lender.buy_back(D("0.3"))
    rig.until(lambda: rig.held == (D("-0.3"), D("0.3")), 15)
    assert rig.loans[-1].owed_after is None, "the repayment waits still"


def test_nothing_is_borrowed_before_a_look_has_told_what_coins_are_the_users() -> None:
    """Those that are known are of long ago, and what has come since would be taken for a sign of the loan."""
    rig = LoanRig()
    other = beside(rig, SPOT_KEY[1])
    rig.run(3)
    trade(other)
    rig.lender.users_coins += 10
    rig.lent.append("refused")
    rig.wish("open", direction="reverse")
    rig.run(5)
    assert rig.moved == []
    other.intents.clear()
    rig.until(lambda: len(rig.moved) == 1, 5)
    rig.until(lambda: rig.state is State.IDLE, W_SEC)
    assert [one.state for one in rig.loans] == [IntentState.NOT_ACCEPTED]
    assert rig.told("foreign") == []


def test_an_opening_ends_where_no_look_tells_what_coins_are_the_users() -> None:
    rig = LoanRig()
    other = beside(rig, SPOT_KEY[1])
    rig.run(3)
    trade(other)
    rig.wish("open", direction="reverse")
    rig.run(2)
    rig.until(lambda: rig.state is State.IDLE, 60)
    assert rig.moved == []
    assert "what coins are there, could not be told" in rig.durable.reason


def test_coins_that_a_pair_with_another_quote_sells_are_not_those_of_a_repayment() -> None:
    rig = LoanRig()
    other = beside(rig, "BTC-USDC", "1")
    closing(rig, "refused")
    rig.lender.buy_back(D(1))
    hold(rig, other, "0")
    rig.until(lambda: rig.state is State.IDLE, 2 * W_SEC)
    assert list(rig.durable.taken.values()) == [D(1)]
    assert rig.lender.coins == rig.durable.legs[0].spare < STEP


def test_coins_that_a_pair_with_another_quote_buys_hide_no_repayment() -> None:
    rig = LoanRig()
    other = beside(rig, "BTC-USDC")
    closing(rig, "silent")
    hold(rig, other, "1")
    rig.until(lambda: rig.state is State.IDLE, 2 * W_SEC)
    (repay,) = [one for one in rig.loans if one.purpose is Purpose.REPAY]
    assert repay.state is IntentState.DONE
    assert rig.alerts == []


# --- both with a loan ---------------------------------------------------------------------------------------


def lend(rig: LoanRig, other: Lane, amount: str) -> None:
    """The other pair has borrowed, and not sold yet."""
    first, second = other.state.legs
    rig.lender.borrowed += D(amount)
    other.state = replace(other.state, legs=(replace(first, borrowed=D(amount)), second))


def test_coins_that_a_venue_took_for_another_pairs_loan_halt_nobody_else() -> None:
    rig = LoanRig()
    other = beside(rig, SPOT_KEY[1])
    other.state = replace(other.state, state=State.UNWINDING)
    lend(rig, other, "0.5")
    rig.reversed()
    rig.run(6)
    trade(other)  # so that it cannot book what follows
    rig.lender.move(D("-0.5"))
    rig.run(90)
    assert (rig.state, rig.told("foreign")) == (State.ACTIVE, [])


@pytest.mark.parametrize(("hides", "sec"), [("away", 90), ("stuck", 90), ("orders without end", 210)])
def test_a_recall_that_another_pair_hides_is_told_in_the_end(hides: str, sec: float) -> None:
    rig = LoanRig()
    other = beside(rig, SPOT_KEY[1])
    rig.lender.users_coins += 1
    rig.reversed()
    rig.run(6)
    if hides == "away":
        other.loaded = other.ready = False
    else:
        trade(other)
        other.state = replace(other.state, state=State.STUCK if hides == "stuck" else State.ACTIVE)
    rig.lender.move(D("-0.4"))
    rig.until(lambda: bool(rig.told("foreign")), sec)


def test_a_close_beside_a_stuck_pair_with_an_unknown_order_comes_to_an_end() -> None:
    rig = LoanRig()
    other = beside(rig, SPOT_KEY[1])
    lend(rig, other, "0.5")
    other.state = replace(other.state, state=State.STUCK)
    rig.reversed()
    rig.run(6)
    trade(other)
    rig.lender.move(D("-0.5"))
    rig.wish("close")
    rig.until(lambda: rig.state in (State.IDLE, State.STUCK), 120)


def test_a_loan_of_unknown_fate_waits_for_what_a_recall_hides() -> None:
    rig = LoanRig()
    other = beside(rig, SPOT_KEY[1])
    other.state = replace(other.state, state=State.UNWINDING)
    lend(rig, other, "0.5")
    rig.run(6)
    rig.lent.append("refused")
    rig.wish("open", direction="reverse")
    rig.until(lambda: len(rig.moved) == 1, 10)
    trade(other)
    rig.lender.move(D("-0.5"))
    rig.run(90)
    assert rig.state is State.OPENING
    other.intents.clear()
    rig.until(lambda: rig.state is State.IDLE, W_SEC)
    assert [one.state for one in rig.loans] == [IntentState.NOT_ACCEPTED]
    assert (rig.orders(Purpose.OPEN), rig.told("foreign")) == ([], [])


def test_coins_that_are_missed_and_still_owed_are_somebodys_doing() -> None:
    rig = LoanRig()
    other = beside(rig, SPOT_KEY[1])
    other.state = replace(other.state, state=State.UNWINDING)
    lend(rig, other, "0.5")
    rig.reversed()
    rig.run(6)
    rig.lender.users_coins -= D("0.3")
    rig.until(lambda: rig.state is State.STUCK, 30)
    assert rig.told("foreign")


@pytest.mark.parametrize("open_", ["recall", "repayment"])
def test_nothing_is_borrowed_while_another_pairs_loan_is_yet_to_be_judged(open_: str) -> None:
    rig = LoanRig()
    other = beside(rig, SPOT_KEY[1])
    lend(rig, other, "0.5")
    repay = intent(id="other-repay", leg=0, attempt=0, purpose=Purpose.REPAY, state=IntentState.DONE)
    rig.run(3)
    if open_ == "recall":
        rig.lender.move(D("-0.5"))
    else:
        other.intents[repay.id] = repay
    rig.wish("open", direction="reverse")
    rig.run(2)
    assert rig.moved == []
    if open_ == "recall":
        other.state = replace(
            other.state, legs=(replace(other.state.legs[0], borrowed=D(0)), other.state.legs[1])
        )
    else:
        other.intents[repay.id] = replace(repay, owed_after=D("0.5"))
    rig.until(lambda: rig.state is State.ACTIVE, 10)


def test_a_debt_that_the_user_takes_up_is_not_paid_however_small() -> None:
    rig = LoanRig()
    beside(rig, SPOT_KEY[1])
    rig.reversed()
    for _ in range(3):
        rig.lender.borrowed += D("0.009")
        rig.run(8)
    rig.wish("close")
    rig.until(lambda: rig.state is State.IDLE, W_SEC)
    assert rig.lender.borrowed == D("0.027")


@pytest.mark.parametrize("attempt", [0, 1])
def test_a_repayment_that_was_refused_keeps_nobody_from_borrowing(attempt: int) -> None:
    rig = LoanRig()
    other = beside(rig, SPOT_KEY[1])
    lend(rig, other, "0.5")
    refused = intent(id="other-repay", leg=0, purpose=Purpose.REPAY, state=IntentState.NOT_ACCEPTED)
    other.intents[refused.id] = replace(refused, attempt=attempt)
    rig.run(3)
    rig.reversed()


def test_who_waits_for_another_pairs_recall_leaves_it_the_claim() -> None:
    """Or it could not book what it is waited for, with a leg alone."""
    rig = LoanRig()
    other = beside(rig, SPOT_KEY[1])
    lend(rig, other, "0.5")
    rig.run(3)
    rig.lender.move(D("-0.5"))
    rig.wish("open", direction="reverse")
    held = 0
    for _ in range(50):
        rig.run(0.1)
        held += rig.world.claims.is_others(("binance", "BTC"), "other", rig.now.mono_us)
    assert held <= 10, "no longer than the look which shows it"
    assert rig.moved == []


def test_what_an_idle_pair_has_left_owed_and_somebody_has_paid_keeps_nobody_from_borrowing() -> None:
    rig = LoanRig()
    other = beside(rig, SPOT_KEY[1])
    other.state = replace(other.state, state=State.IDLE)
    lend(rig, other, str(STEP))
    rig.lender.move(-STEP)
    rig.run(3)
    rig.reversed()


def test_a_short_position_without_a_loan_is_closed_by_force() -> None:
    """A recall amid a soft close took the user's coins: no hedge is restored for what was sold any more."""
    rig = LoanRig()
    rig.lender.users_coins += 1
    rig.reversed()
    rig.run(6)
    rig.acts("spot", "reject", "reject", "reject", "reject", "reject", "reject", "reject")
    rig.wish("close")
    rig.until(lambda: bool(rig.orders(Purpose.CLOSE)), 10)
    rig.lender.move(D(-1))
    rig.until(lambda: bool(rig.told("recall")), W_SEC)
    assert rig.state is State.CLOSING
    assert rig.durable.plan is not None
    assert rig.durable.plan.hard
    rig.until(lambda: rig.state is State.IDLE, W_SEC)
    assert rig.lender.coins >= 1, "they were bought for the user"
