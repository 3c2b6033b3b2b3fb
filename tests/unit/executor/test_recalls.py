"""Loans that the venue takes back: what it bought, what it took instead, and what nobody can explain."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec.structs import replace

from libs.common.instant import US_PER_SEC
from libs.common.memory_store import MemoryStore
from services.executor.debts import RECALL_AFTER_US, unseen_interest
from services.executor.lane import Draft, Lane
from services.executor.lending import Debt
from services.executor.model import Purpose, State
from tests.unit.executor.lender import LoanRig
from tests.unit.executor.rig import PERP_KEY, SPOT_KEY

D = Decimal
SHORT = (D(-1), D(1))


def test_a_recall_that_the_venue_bought_back_is_followed() -> None:
    rig = LoanRig().reversed()
    rig.lender.buy_back(D("0.4"))
    rig.until(lambda: rig.held == (D("-0.6"), D("0.6")), 10)
    assert rig.durable.legs[0].borrowed == D("0.6")
    (followed,) = rig.orders(Purpose.FOLLOW)
    assert (followed.leg, followed.quantity) == (1, D("0.4"))
    assert rig.state is State.ACTIVE
    rig.wish("close")
    rig.until(lambda: rig.state is State.IDLE, 10)
    assert rig.lender.borrowed == 0 == rig.lender.coins


def test_a_recall_that_took_the_users_coins_ends_the_pair_and_gives_them_back() -> None:
    rig = LoanRig()
    rig.lender.users_coins = D(3)
    rig.reversed()
    rig.run(6)
    rig.lender.borrowed -= 1  # and so many coins of the wallet with it
    assert rig.lender.coins == 2
    rig.until(lambda: rig.state is State.IDLE, 30)
    assert rig.venues.held[PERP_KEY] == 0
    assert any("were recalled" in text for text in rig.told("recall"))
    assert [one.amount for one in rig.moved] == [D(1)], "nothing was owed any more"
    assert rig.lender.coins == 3


def test_coins_that_were_the_users_are_known_after_a_restart() -> None:
    rig = LoanRig()
    rig.lender.users_coins = D(3)
    rig.reversed()
    rig.run(6)
    assert rig.durable.legs[0].others == 3
    rig.lender.borrowed -= 1
    rig.restart()
    rig.until(lambda: rig.state is State.IDLE, 30)
    assert rig.told("foreign") == []
    assert rig.lender.coins == 3


def test_interest_that_was_taken_with_a_loan_is_given_back_too() -> None:
    rig = LoanRig()
    rig.lender.users_coins = D(3)
    rig.reversed()
    rig.run(6)
    rig.lender.interest = D("0.0005")
    rig.lender.move(D(-1))
    rig.lender.users_coins -= D("0.0005")
    rig.lender.held[SPOT_KEY] += D("0.0005")  # it was the user's coin that paid it
    assert (rig.lender.borrowed, rig.lender.coins) == (D("0.0005"), D(2))
    rig.until(lambda: rig.state is State.IDLE, 30)
    leg = rig.durable.legs[0]
    assert rig.lender.coins == 3 + leg.spare
    assert leg.owed == rig.lender.borrowed


def test_a_loan_that_is_gone_with_no_coin_missing_is_foreign() -> None:
    rig = LoanRig()
    rig.lender.users_coins = D(3)
    rig.reversed()
    rig.run(6)
    rig.lender.borrowed -= 1
    rig.lender.users_coins += 1  # the user has bought coins for it, and repaid it himself
    rig.until(lambda: rig.state is State.STUCK, 30)
    assert "no longer owed" in rig.told("foreign")[0]
    assert rig.orders(Purpose.CLOSE) == []


def test_a_purchase_of_more_than_the_leg_is_short_of_is_booked_whole_and_sold_again() -> None:
    rig = LoanRig().reversed()
    rig.run(6)
    rig.lent.extend(["refused"] * 2)
    rig.venues.take(PERP_KEY, D("0.4"))
    rig.until(lambda: rig.held == (D("-0.6"), D("0.6")), 10)  # 0.4 are bought back, and not repaid yet
    rig.lender.buy_back(rig.lender.borrowed)
    rig.wish("close")
    rig.until(lambda: rig.state is State.IDLE, 90)
    assert rig.told("foreign") == []
    assert rig.lender.borrowed == 0
    assert rig.lender.coins == 0 == rig.durable.legs[0].owed


def test_a_recall_of_long_ago_is_found_by_a_process_that_has_seen_nothing() -> None:
    rig = LoanRig().reversed()
    rig.run(60)
    rig.lender.buy_back(D("0.4"), ts_ms=rig.now.market_ms)
    rig.clock.advance(us=600 * US_PER_SEC)  # nobody looks for ten minutes
    rig.restart()
    rig.until(lambda: rig.held == (D("-0.6"), D("0.6")), 20)
    assert rig.state is State.ACTIVE


def test_interest_that_a_recall_has_paid_unseen_is_no_second_recall() -> None:
    rig = LoanRig().reversed()
    rig.run(6)
    rig.lender.interest = D("0.0005")
    rig.run(6)
    assert rig.durable.legs[0].interest == D("0.0005")
    rig.lender.buy_back(D("0.4"))
    rig.lender.interest = D("0.0001")  # the next hour's, seen together with the recall
    rig.until(lambda: abs(rig.held[1] - D("0.6")) < D("0.01"), 20)
    rig.run(3 * RECALL_AFTER_US / 1e6)
    assert rig.state is State.ACTIVE
    leg = rig.durable.legs[0]
    assert (leg.borrowed, leg.interest) == (rig.lender.borrowed, rig.lender.interest)


def test_a_purchase_that_has_paid_interest_unseen_is_booked_whole() -> None:
    rig = LoanRig().reversed()
    rig.run(6)
    rig.lender.interest = D("0.0005")  # an hour is over, and the venue takes the loan before anybody looks
    rig.lender.buy_back(D("0.4"))
    assert rig.lender.borrowed == D("0.6005")
    rig.until(lambda: rig.durable.taken != {}, 10)
    assert list(rig.durable.taken.values()) == [D("0.4")]
    leg = rig.durable.legs[0]
    assert (leg.quantity, leg.borrowed, leg.interest) == (D("-0.6005"), D("0.6005"), D(0))
    assert leg.coins == rig.lender.coins == 0
    rig.run(6)
    rig.wish("close")
    rig.until(lambda: rig.state is State.IDLE, 30)
    assert rig.told("foreign") == []
    assert rig.lender.borrowed == 0 == rig.durable.legs[0].owed


def test_two_recalls_before_a_look_are_one() -> None:
    rig = LoanRig().reversed()
    rig.run(6)
    rig.lender.buy_back(D("0.4"))
    rig.lender.buy_back(D("0.2"))
    rig.until(lambda: rig.held == (D("-0.4"), D("0.4")), 20)
    assert (rig.durable.legs[0].borrowed, rig.lender.borrowed) == (D("0.4"), D("0.4"))
    assert rig.state is State.ACTIVE


def test_a_second_recall_after_the_trades_were_read_makes_it_a_bigger_one() -> None:
    rig = LoanRig()
    rig.lender.users_coins = D(3)
    rig.reversed()
    rig.run(6)
    rig.lender.borrowed -= D("0.3")  # coins were taken for it
    rig.until(lambda: rig.lane.loan.searched, 10)
    rig.run(RECALL_AFTER_US / 1e6 - 0.1)  # the next look tells of both, and would conclude
    rig.lender.buy_back(rig.lender.borrowed)
    rig.until(lambda: rig.state is State.IDLE, 30)
    assert rig.told("foreign") == []
    assert list(rig.durable.taken.values()) == [D("0.7")]
    assert rig.lender.coins == 3
    assert rig.lender.borrowed == 0


@pytest.mark.parametrize("seen_sec", [0, 6])
def test_a_purchase_that_met_interest_and_coins_taken_for_its_rest_are_one_recall(
    seen_sec: int,
) -> None:
    rig = LoanRig()
    rig.lender.users_coins = D(3)
    rig.reversed()
    rig.run(6)
    rig.lender.interest = D("0.0005")
    rig.run(seen_sec)
    rig.lender.buy_back(D("0.999"))
    assert rig.lender.borrowed == D("0.0015")
    rig.lender.borrowed -= D("0.001")  # a step of the user's coins
    rig.until(lambda: rig.state is State.IDLE, 60)
    leg = rig.durable.legs[0]
    assert rig.lender.borrowed == 0 == leg.owed
    assert rig.lender.coins == 3 + leg.spare
    assert rig.told("foreign") == []


def test_less_than_a_step_that_is_owed_no_longer_keeps_no_close_waiting() -> None:
    rig = LoanRig()
    rig.lender.users_coins = D(3)
    rig.reversed()
    rig.run(6)
    rig.lender.borrowed -= D("0.0005")
    rig.lender.users_coins += D("0.0005")  # the user's: no coin has gone
    rig.until(lambda: rig.durable.legs[0].owed == D("0.9995"), 20)
    assert rig.durable.legs[0].coins == 0
    rig.wish("close")
    rig.until(lambda: rig.state is State.IDLE, 30)
    assert rig.lender.borrowed == 0 == rig.durable.legs[0].owed
    assert rig.told("foreign") == rig.told("recall") == []


def test_a_purchase_for_a_loan_of_the_users_is_not_taken_for_interest() -> None:
    rig = LoanRig().reversed()
    rig.lender.users_coins, rig.lender.borrowed = D(3), D("1.02")  # he owes 0.02 of it
    rig.run(6)
    rig.lender.buy_back(D("0.42"))
    rig.until(lambda: rig.durable.taken != {}, 10)
    assert list(rig.durable.taken.values()) == [D("0.4")]
    assert rig.durable.legs[0].borrowed == D("0.6")


@pytest.mark.parametrize(("others", "more"), [("0.5", "0.001"), ("0.6", "0")])
def test_what_may_be_another_pairs_loan_is_not_taken_for_interest(others: str, more: str) -> None:
    rig = LoanRig().reversed()
    lane, draft = rig.lane, Draft(rig.lane, rig.now)
    sharer = Lane("other", lane.keys, lane.kinds, lane.world)
    first, second = lane.state.legs
    sharer.state = replace(sharer.state, legs=(replace(first, borrowed=D(others)), second))
    lane.missing[0], lane.loan.recalled_us = D("0.4"), 1
    lane.loan.seen = Debt(borrowed=D("0.5"), interest=D(0), total=D(0), asked_us=1)  # 1 is this pair's
    assert unseen_interest(lane, draft, 0, D("0.401"), [sharer]) == D(more)
    assert draft.state.legs[0].interest == D(more)


# --- a store that was lost --------------------------------------------------------------------------------


def test_a_loan_of_a_lost_store_is_told_once_and_touched_by_nobody() -> None:
    rig = LoanRig()
    rig.lent.append("silent")
    rig.wish("open", direction="reverse")
    rig.until(lambda: bool(rig.moved), 5)
    rig.store = MemoryStore(clock=rig.clock, store_id="fedcba9876543210")
    rig.start()
    rig.run(20)
    (text,) = rig.told("unowned_debt")
    assert "1 BTC are owed at binance" in text
    assert rig.lane.state.state is State.IDLE
    assert (len(rig.moved), rig.sent) == (1, [])


def test_a_debt_is_told_once_however_often_it_is_seen() -> None:
    rig = LoanRig()
    rig.lender.borrowed = D(1)
    rig.venues.held[PERP_KEY] = D(1)  # nobody's either: the venue is asked again and again
    rig.restart()
    rig.until(lambda: rig.state is State.STUCK, 20)
    assert len(rig.told("unowned_debt")) == 1


def test_debts_beside_a_pair_that_the_store_knows_are_not_told() -> None:
    rig = LoanRig().reversed()
    rig.lender.borrowed += D("0.7")
    rig.restart()
    rig.run(20)
    assert rig.told("unowned_debt") == []


@pytest.mark.parametrize("users", ["0", "3"])
def test_a_recall_of_unsold_coins_that_buys_the_rest_is_booked_whole(users: str) -> None:
    """Between two slices: one of two borrowed coins is sold. The venue takes the other one, and buys one."""
    rig = LoanRig(slices=2, slice_interval_sec=8.0)
    rig.lender.users_coins = D(users)
    rig.wish("open", "200", direction="reverse")
    rig.run(3)
    assert (rig.state, rig.held, rig.lender.borrowed) == (State.OPENING, SHORT, D(2))
    rig.lender.move(D(-1))
    rig.lender.buy_back(D(1))
    rig.until(lambda: rig.state is State.IDLE, 90)
    assert rig.held == (D(0), D(0))
    assert rig.venues.held[PERP_KEY] == 0
    assert rig.lender.coins == D(users), "none is bought twice, and none of the user's is gone"
    assert sum(rig.durable.taken.values()) == 1
