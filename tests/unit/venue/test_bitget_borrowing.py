"""A MARGIN order borrows what it lacks and repays with what comes in; the coin's balance shows the debt."""

from __future__ import annotations

from decimal import Decimal

import pytest

from libs.exchange.engine.commands import AccrueInterest
from tests.unit.venue.bitget_bench import BitgetBench


@pytest.fixture
def bench() -> BitgetBench:
    return BitgetBench(usdt="100000")


def test_a_margin_sell_borrows_the_coin_and_a_margin_buy_repays_it(bench: BitgetBench) -> None:
    bid = bench.top("spot")[0]
    seen = bench.seen(bench.order("sell", "0.5", "MARGIN"))
    assert (seen["category"], seen["cumExecQty"], seen["avgPrice"]) == (
        "MARGIN",
        "0.5",
        f"{bid.normalize():f}",
    )
    coin = bench.asset("BTC")
    assert (coin["balance"], coin["debt"], coin["available"], coin["equity"]) == ("-0.5", "0.5", "0", "-0.5")
    proceeds = Decimal("0.5") * bid
    fee = proceeds / 1000
    assert Decimal(bench.asset("USDT")["balance"]) == 100_000 + proceeds - fee
    bench.order("buy", "0.501", "MARGIN", price=str(bench.top("spot")[1]))
    assert bench.held("BTC").borrowed == 0
    assert bench.asset("BTC")["debt"] == "0"
    assert Decimal(bench.asset("BTC")["balance"]) == Decimal("0.501") * Decimal("0.999") - Decimal("0.5")


def test_a_spot_order_never_borrows(bench: BitgetBench) -> None:
    assert bench.no_order("sell", "0.1", "SPOT") == ("25202", "Insufficient balance")
    assert bench.held("BTC").borrowed == 0


def test_only_what_is_missing_is_borrowed(bench: BitgetBench) -> None:
    bench.deposit("BTC", "0.2")
    bench.order("sell", "0.5", "MARGIN")
    assert bench.held("BTC").borrowed == Decimal("0.3")
    assert bench.asset("BTC")["balance"] == "-0.3"


def test_a_resting_margin_order_owes_nothing_until_it_trades_and_nothing_when_it_is_canceled(
    bench: BitgetBench,
) -> None:
    price = str(bench.top("spot")[1] + 2000)
    order = bench.order("sell", "0.5", "MARGIN", price=price)
    coin = bench.asset("BTC")
    assert (coin["balance"], coin["debt"], coin["locked"]) == ("0", "0", "0.5")
    bench.ok("POST", "trade/cancel-order", orderId=order)
    assert bench.asset("BTC") is None
    assert bench.held("BTC").borrowed == 0


def test_a_margin_buy_beyond_the_quote_borrows_quote(bench: BitgetBench) -> None:
    bench.order("buy", "130000", "MARGIN")
    assert bench.held("USDT").borrowed > 29_000
    usdt = bench.asset("USDT")  # what was borrowed in vain has gone back
    assert Decimal(usdt["debt"]) == -Decimal(usdt["balance"]) == bench.held("USDT").borrowed
    assert bench.held("USDT").total == 0
    assert usdt["available"] == "0"
    bench.order("sell", "0.5", "MARGIN")
    assert bench.held("USDT").borrowed == 0


def test_a_buy_that_would_repay_a_debt_but_lacks_the_quote_borrows_quote() -> None:
    bench = BitgetBench(usdt="20000")
    bench.deposit("ETH", "50")
    bench.order("sell", "0.1", "MARGIN")
    bench.order("buy", "0.35", "MARGIN", price=str(bench.top("spot")[1]))
    assert bench.held("USDT").borrowed > 0
    assert bench.seen("2")["cumExecQty"] == "0.35"


def test_a_coin_that_is_owed_and_comes_in_by_a_spot_buy_or_a_transfer_pays_the_debt(
    bench: BitgetBench,
) -> None:
    bench.order("sell", "0.5", "MARGIN")
    bench.order("buy", "0.2", "SPOT", price=str(bench.top("spot")[1]))
    left = Decimal("0.5") - Decimal("0.2") * Decimal("0.999")
    assert Decimal(bench.asset("BTC")["debt"]) == left == -Decimal(bench.asset("BTC")["balance"])
    bench.deposit("BTC", "1", "funding")
    bench.ok("POST", "account/transfer", fromType="spot", toType="uta", coin="BTC", amount="1")
    assert bench.asset("BTC")["debt"] == "0"
    assert Decimal(bench.asset("BTC")["balance"]) == 1 - left


def test_interest_makes_the_debt_grow_by_the_hour(bench: BitgetBench) -> None:
    bench.order("sell", "0.5", "MARGIN")
    rate = bench.house.borrow_rate_hourly("BTC")
    hour = bench.now.market_ms // 3_600_000 * 3_600_000
    for k in (1, 2):
        accrue = AccrueInterest(asset="BTC", hourly_rate=rate, hour_ms=hour + k * 3_600_000)
        bench.house.tell(accrue, bench.now)
    due = (Decimal("0.5") * rate).quantize(Decimal("1e-8"))
    assert Decimal(bench.asset("BTC")["debt"]) == Decimal("0.5") + 2 * due
    rows = bench.records("MARGIN", type="INTEREST_SETTLEMENT_OUT")
    assert [Decimal(row["amount"]) for row in rows] == [-due, -due]
    assert [Decimal(row["balance"]) for row in rows] == [-Decimal("0.5") - 2 * due, -Decimal("0.5") - due]


def test_a_debt_is_repaid_with_the_coin_itself_or_by_way_of_the_market(bench: BitgetBench) -> None:
    bench.order("sell", "0.5", "MARGIN")
    assert bench.refused("POST", "account/repay", repayableCoinList=["BTC"], paymentCoinList=["BTC"]) == (
        "43012",
        "Insufficient balance",
    )
    bench.deposit("BTC", "0.2")
    paid = bench.ok("POST", "account/repay", repayableCoinList=["BTC"], paymentCoinList=["BTC"])
    assert paid == {"result": "YES", "repayAmount": "0.2"}
    assert bench.held("BTC").borrowed == Decimal("0.3")
    paid = bench.ok("POST", "account/repay", repayableCoinList=["BTC"], paymentCoinList=["USDT"])
    assert paid == {"result": "YES", "repayAmount": "0.3"}
    assert bench.asset("BTC")["debt"] == "0"
    again = bench.ok("POST", "account/repay", repayableCoinList=["BTC"], paymentCoinList=["USDT"])
    assert again == {"result": "NO", "repayAmount": "0"}


def test_a_debt_in_quote_is_repaid_by_selling_a_coin(bench: BitgetBench) -> None:
    bench.order("buy", "120000", "MARGIN")
    assert bench.held("USDT").borrowed > 19_000
    owed = bench.asset("USDT")["debt"]
    paid = bench.ok("POST", "account/repay", repayableCoinList=["USDT"], paymentCoinList=["BTC"])
    assert Decimal(paid["repayAmount"]) == Decimal(owed)
    assert bench.asset("USDT")["debt"] == "0"


@pytest.mark.parametrize(
    ("debts", "means", "code"),
    [
        ([], ["USDT"], "40019"),
        (["BTC"], None, "40019"),
        (["BTC", "ETH"], ["USDT"], "40017"),
        ("BTC", ["USDT"], "40017"),
        ([1], ["USDT"], "40017"),
        (["BTC"], ["ETH"], "25002"),
    ],
)
def test_repayment_takes_one_coin_for_one(
    bench: BitgetBench, debts: object, means: object, code: str
) -> None:
    bench.order("sell", "0.1", "MARGIN")
    params = {"repayableCoinList": debts, "paymentCoinList": means}
    assert bench.refused("POST", "account/repay", **params)[0] == code


def test_what_is_owed_and_what_it_may_be_paid_with_is_listed(bench: BitgetBench) -> None:
    bench.order("sell", "0.5", "MARGIN")
    mark = bench.house.engine.mark("spot:BTCUSDT")
    assert mark is not None
    owed = bench.ok("GET", "account/repayable-coins")["repayableCoinList"]
    amount = (mark / 2).quantize(Decimal("1e-8"))
    assert [(row["coin"], row["size"]) for row in owed] == [("BTC", "0.5")]
    assert abs(Decimal(owed[0]["amount"]) - amount) <= Decimal("1e-8")
    means = bench.ok("GET", "account/payment-coins")["paymentCoinList"]
    assert [(row["coin"], row["size"]) for row in means] == [("USDT", bench.asset("USDT")["balance"])]
