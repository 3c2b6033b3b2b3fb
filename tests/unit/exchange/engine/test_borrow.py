"""Borrowed coins: limits, interest by the hour, repayment."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec.structs import replace

from libs.exchange.engine.commands import AccrueInterest, Booked, Borrow, Reason, Repay, SetListing, Submit
from libs.exchange.engine.types import EntryKind, OrderType
from tests.helpers.floor import BUY, LISTINGS, SELL, SPOT, D, Floor, fills_of, limit, seen
from tests.unit.exchange.engine.build import free_floor, line, lines, only

HOUR = 1_700_006_400_000


@pytest.fixture
def floor() -> Floor:
    floor = free_floor()
    floor.mark(SPOT, "50000")
    floor.deposit("margin", USDT="10000")
    return floor


def borrow(asset: str, amount: str, account: str = "margin") -> Borrow:
    return Borrow(account=account, asset=asset, amount=D(amount))


def repay(asset: str, amount: str, account: str = "margin") -> Repay:
    return Repay(account=account, asset=asset, amount=D(amount))


def hour(rate: str, at: int = HOUR, asset: str = "BTC") -> AccrueInterest:
    return AccrueInterest(asset=asset, hourly_rate=D(rate), hour_ms=at)


def test_the_most_that_may_be_borrowed_leaves_level_one_and_a_half(floor: Floor) -> None:
    assert floor.engine.max_borrow("margin", "USDT") == 20_000
    assert floor.engine.max_borrow("margin", "BTC") == D("0.4")
    assert floor.refused(borrow("BTC", "0.40001")) is Reason.BORROW_LIMIT
    floor.do(borrow("BTC", "0.4"))
    assert floor.engine.margin_level("margin") == D("1.5")
    assert floor.engine.max_borrow("margin", "BTC") == 0
    floor.mark(SPOT, "40000")
    assert floor.engine.max_borrow("margin", "USDT") == 4_000  # 2 * 10000 - 16000


def test_the_account_s_own_limit_holds(floor: Floor) -> None:
    floor.deposit("margin", USDT="1000000")
    assert floor.engine.max_borrow("margin", "USDT") == 100_000
    floor.do(borrow("BTC", "1"))
    assert floor.engine.max_borrow("margin", "USDT") == 50_000


def test_what_has_no_price_or_no_margin_market_is_not_lent(floor: Floor) -> None:
    assert floor.refused(borrow("DOGE", "1")) is Reason.BORROW_LIMIT
    floor.do(SetListing(listing=replace(LISTINGS[SPOT], marginable=False)))
    assert floor.refused(borrow("BTC", "0.1")) is Reason.BORROW_LIMIT


def test_borrowed_coins_are_there_and_owed(floor: Floor) -> None:
    events = floor.do(borrow("BTC", "0.1"))
    assert lines(events) == [line(EntryKind.BORROW, "0.1", "BTC")]
    balance = floor.balance("margin", "BTC")
    assert seen(balance.total, balance.borrowed, balance.interest) == (D("0.1"), D("0.1"), 0)


def test_interest_is_owed_once_an_hour_and_moves_no_coin(floor: Floor) -> None:
    floor.do(borrow("BTC", "0.4"))
    events = floor.do(hour("0.0000012"))
    assert lines(events) == [line(EntryKind.INTEREST, "-0.00000048", "BTC")]
    (booked,) = only(events, Booked)
    assert booked.entry.ref == f"BTC@{HOUR}"
    assert booked.entry.balance == D("0.4")
    assert floor.do(hour("0.0000012")) == []
    assert floor.do(hour("0.0000012", at=HOUR - 1)) == []
    floor.do(hour("0.0000012", at=HOUR + 1))  # on the principal alone
    assert floor.balance("margin", "BTC").interest == D("0.00000096")


def test_the_smallest_debt_costs_something(floor: Floor) -> None:
    floor.do(borrow("BTC", "0.0001"))
    assert lines(floor.do(hour("0.0000012"))) == [line(EntryKind.INTEREST, "-0.00000001", "BTC")]


def test_interest_is_repaid_first_and_no_more_than_is_owed(floor: Floor) -> None:
    floor.do(borrow("BTC", "0.1"))
    floor.do(hour("0.001"))  # 0.0001
    assert lines(floor.do(repay("BTC", "0.00004"))) == [line(EntryKind.REPAY, "-0.00004", "BTC")]
    balance = floor.balance("margin", "BTC")
    assert (balance.borrowed, balance.interest) == (D("0.1"), D("0.00006"))
    floor.deposit("margin", BTC="1")
    assert lines(floor.do(repay("BTC", "5"))) == [line(EntryKind.REPAY, "-0.10006", "BTC")]
    assert floor.refused(repay("BTC", "5")) is Reason.NOTHING_BORROWED
    assert floor.balance("margin", "BTC").total == D("0.9999")


def test_only_what_is_free_repays(floor: Floor) -> None:
    floor.do(borrow("BTC", "0.1"))
    floor.do(limit("margin", SPOT, SELL, "0.05", "60000"))
    assert floor.refused(repay("BTC", "0.06")) is Reason.INSUFFICIENT_BALANCE
    floor.do(repay("BTC", "0.05"))


def test_an_order_borrows_what_it_lacks_and_another_repays(floor: Floor) -> None:
    """The short side of a pair: sell borrowed coins, buy them back later."""
    floor.book(SPOT, "50000 5", "50000.01 5")
    sell = margin_order(SELL, "0.2", "auto")
    events = floor.do(sell)
    assert lines(events)[0] == line(EntryKind.BORROW, "0.2", "BTC")
    assert fills_of(events)
    assert floor.balance("margin", "USDT").total == 20_000
    floor.do(hour("0.0001"))  # 0.00002
    floor.book(SPOT, "49999 5", "50000 5")
    events = floor.do(margin_order(BUY, "0.20002", "auto_repay"))
    assert lines(events)[-1] == line(EntryKind.REPAY, "-0.20002", "BTC")
    balance = floor.balance("margin", "BTC")
    assert seen(balance.total, balance.borrowed, balance.interest) == (0, 0, 0)
    assert floor.balance("margin", "USDT").total == 9_999
    too_much = margin_order(SELL, "0.5", "auto")
    assert floor.refused(too_much) is Reason.BORROW_LIMIT


def margin_order(side: object, quantity: str, borrowing: str) -> Submit:
    return Submit(
        account="margin",
        instrument=SPOT,
        side=BUY if side is BUY else SELL,
        type=OrderType.MARKET,
        quantity=D(quantity),
        margin=True,
        borrow="auto" if borrowing == "auto" else "auto_repay",
    )


def test_interest_can_be_what_liquidates() -> None:
    floor = free_floor()
    floor.mark(SPOT, "50000")
    floor.deposit("margin", USDT="110000")
    floor.do(borrow("BTC", "2"))
    floor.book(SPOT, bids="50000 10")
    floor.do(limit("margin", SPOT, SELL, "2", "50000"))
    floor.mark(SPOT, "95000")
    assert floor.balance("margin", "BTC").borrowed == 2
    events = floor.do(hour("0.01"))
    assert [fill.cause for fill in fills_of(events)] == ["liquidation"]
    assert floor.balance("margin", "BTC").borrowed == 0


@pytest.mark.parametrize("account", ["spot", "futures"])
def test_other_accounts_do_not_borrow(floor: Floor, account: str) -> None:
    floor.deposit(account, USDT="10000")
    assert floor.refused(borrow("BTC", "0.1", account)) is Reason.NOT_ALLOWED
    assert floor.refused(repay("BTC", "0.1", account)) is Reason.NOT_ALLOWED
    assert floor.engine.max_borrow(account, "BTC") == Decimal(0)


@pytest.mark.parametrize("amount", ["0", "-1", "NaN", "Infinity", "1e16", "1e-19"])
def test_nonsense_is_refused(floor: Floor, amount: str) -> None:
    assert floor.refused(borrow("BTC", amount)) is Reason.BAD_VALUE
    assert floor.refused(repay("BTC", amount)) is Reason.BAD_VALUE


@pytest.mark.parametrize("rate", ["-0.001", "NaN", "0.5"])
def test_a_senseless_rate_is_refused(floor: Floor, rate: str) -> None:
    assert floor.refused(hour(rate)) is Reason.BAD_VALUE
