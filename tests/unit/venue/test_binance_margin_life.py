"""A short sale on the cross-margin wallet, from the transfer in to nothing owed, to the last digit."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from libs.common.instant import MS_PER_HOUR
from libs.exchange.engine.commands import SetMark
from services.venue.binance_spot_stream import ApiSession
from services.venue.market import DEFAULT_START_MS
from tests.unit.venue.binance_spot_bench import WALL0_MS, SpotBench

LOAN, TRANSFER = "/sapi/v1/margin/borrow-repay", "/sapi/v1/asset/transfer"
ORDER = "/sapi/v1/margin/order"
CROSS = {"isIsolated": "FALSE"}
HOUR_MS = 1_000  # of wall time, at the speed below
HOURLY = Decimal("0.00000114")  # 1 % a year / 8760, to 8 digits


@pytest.fixture
def bench() -> SpotBench:
    made = SpotBench(speed=MS_PER_HOUR / HOUR_MS)
    made.deposit("spot", "USDT", "50000")
    return made


def borrow(bench: SpotBench, amount: str, asset: str = "BTC") -> Any:
    return bench.ok("POST", LOAN, type="BORROW", asset=asset, amount=amount, **CROSS)


def repay(bench: SpotBench, amount: str, asset: str = "BTC") -> Any:
    return bench.ok("POST", LOAN, type="REPAY", asset=asset, amount=amount, **CROSS)


def user_asset(bench: SpotBench, asset: str) -> dict[str, str]:
    rows = bench.ok("GET", "/sapi/v1/margin/account")["userAssets"]
    found: dict[str, str] = next(row for row in rows if row["asset"] == asset)
    return found


def test_borrow_sell_owe_buy_back_repay(bench: SpotBench) -> None:
    moved = bench.ok("POST", TRANSFER, type="MAIN_MARGIN", asset="USDT", amount="20000")
    assert moved == {"tranId": WALL0_MS * 1_000}
    assert bench.held("spot", "USDT").total == 30_000
    assert bench.held("margin", "USDT").total == 20_000

    borrow(bench, "0.1")
    assert user_asset(bench, "BTC") == {
        "asset": "BTC",
        "borrowed": "0.10000000",
        "free": "0.10000000",
        "interest": "0.00000000",
        "locked": "0.00000000",
        "netAsset": "0.00000000",
    }
    sold = bench.order("SELL", "MARKET", quantity="0.1", wallet="margin")
    proceeds = Decimal(sold["cummulativeQuoteQty"])
    fees = sum(Decimal(one["commission"]) for one in sold["fills"])
    assert {one["commissionAsset"] for one in sold["fills"]} == {"USDT"}
    assert bench.held("margin", "USDT").total == 20_000 + proceeds - fees
    assert user_asset(bench, "BTC")["netAsset"] == "-0.10000000"

    # Market time starts within an hour: three whole hours pass their marks in three hours of it.
    bench.advance(3 * HOUR_MS)
    hours = (DEFAULT_START_MS + 3 * MS_PER_HOUR) // MS_PER_HOUR - DEFAULT_START_MS // MS_PER_HOUR
    assert hours == 3
    due = Decimal("0.00000012")  # 0.1 * 0.00000114 = 0.000000114, rounded up
    history = bench.ok("GET", "/sapi/v1/margin/interestHistory", asset="BTC")
    assert history["total"] == 3
    assert {(row["interest"], row["principal"], row["interestRate"]) for row in history["rows"]} == {
        (f"{due:f}", "0.10000000", f"{HOURLY * 24:f}")
    }
    stamps = [row["interestAccuredTime"] for row in history["rows"]]
    assert stamps == sorted(stamps, reverse=True)
    assert all(stamp % MS_PER_HOUR == 0 for stamp in stamps)
    assert user_asset(bench, "BTC")["interest"] == "0.00000036"

    # What is bought pays its fee in BTC: 0.1002 brings 0.1000998, which covers principal and interest.
    bought = bench.order("BUY", "MARKET", quantity="0.1002", wallet="margin")
    paid = Decimal(bought["cummulativeQuoteQty"])
    fee = sum(Decimal(one["commission"]) for one in bought["fills"])
    assert fee == Decimal("0.0001002")
    repay(bench, "0.10000036")
    assert user_asset(bench, "BTC") == {
        "asset": "BTC",
        "borrowed": "0.00000000",
        "free": "0.00009944",
        "interest": "0.00000000",
        "locked": "0.00000000",
        "netAsset": "0.00009944",
    }
    assert bench.held("margin", "USDT").total == 20_000 + proceeds - fees - paid
    back = bench.held("margin", "USDT").total
    bench.ok("POST", TRANSFER, type="MARGIN_MAIN", asset="USDT", amount=f"{back:.8f}")
    assert bench.held("margin", "USDT").total == 0
    assert bench.held("spot", "USDT").total == 50_000 + proceeds - fees - paid
    assert set(bench.house.engine.totals().values()) == {0}

    loans = bench.ok("GET", LOAN, type="BORROW", asset="BTC")["rows"]
    assert [(row["amount"], row["principal"], row["interest"]) for row in loans] == [
        ("0.10000000", "0.10000000", "0.00000000")
    ]
    repaid = bench.ok("GET", LOAN, type="REPAY", asset="BTC")["rows"]
    assert [(row["amount"], row["principal"], row["interest"]) for row in repaid] == [
        ("0.10000036", "0.10000000", "0.00000036")
    ]


def test_an_order_borrows_what_it_lacks_and_another_repays_out_of_what_it_buys(bench: SpotBench) -> None:
    bench.ok("POST", TRANSFER, type="MAIN_MARGIN", asset="USDT", amount="20000")
    wanted: dict[str, Any] = {"symbol": "BTCUSDT", "type": "MARKET", "quantity": "0.05"}
    sold = bench.ok("POST", ORDER, **wanted, side="SELL", sideEffectType="AUTO_BORROW_REPAY")
    assert (sold["marginBuyBorrowAmount"], sold["marginBuyBorrowAsset"]) == (0.05, "BTC")
    assert user_asset(bench, "BTC")["borrowed"] == "0.05000000"
    plain = bench.ok("POST", ORDER, **wanted, side="BUY", sideEffectType="NO_SIDE_EFFECT")
    assert "marginBuyBorrowAsset" not in plain
    assert user_asset(bench, "BTC")["borrowed"] == "0.05000000"
    # 0.05 less its fee of 0.00005 repays all but that fee out of what comes in.
    bench.ok("POST", ORDER, **wanted, side="BUY", sideEffectType="AUTO_BORROW_REPAY")
    assert user_asset(bench, "BTC")["borrowed"] == "0.00005000"
    assert bench.held("margin", "BTC").total == Decimal("0.04995")


def test_limits_and_levels_follow_from_the_marks(bench: SpotBench) -> None:
    account = bench.ok("GET", "/sapi/v1/margin/account")
    assert (account["marginLevel"], account["totalLiabilityOfBtc"]) == ("999.00000000", "0.00000000")
    bench.ok("POST", TRANSFER, type="MAIN_MARGIN", asset="USDT", amount="20000")
    most = bench.ok("GET", "/sapi/v1/margin/maxBorrowable", asset="USDT")
    # Level 1.5 or more afterwards: (20000 + x) / x >= 1.5 up to x = 40000; the account's limit is 100000.
    assert most == {"amount": "40000.00000000", "borrowLimit": "100000.00000000"}
    borrow(bench, "10000", "USDT")
    assert bench.ok("GET", "/sapi/v1/margin/account")["marginLevel"] == "3.00000000"
    # Transfers out leave a level of 2: 30000 - x >= 20000.
    assert bench.ok("GET", "/sapi/v1/margin/maxTransferable", asset="USDT") == {"amount": "10000.00000000"}
    refusal = bench.refused("POST", TRANSFER, type="MARGIN_MAIN", asset="USDT", amount="10000.00000001")
    assert refusal == (-3020, "Transfer out amount exceeds max amount.")
    bench.ok("POST", TRANSFER, type="MARGIN_MAIN", asset="USDT", amount="10000")
    mark = bench.house.engine.mark("spot:BTCUSDT")
    assert mark is not None
    account = bench.ok("GET", "/sapi/v1/margin/account")
    in_btc = Decimal(account["totalAssetOfBtc"])
    assert 0 <= 20_000 / mark - in_btc < Decimal("1e-8")
    assert Decimal(account["totalNetAssetOfBtc"]) == in_btc - Decimal(account["totalLiabilityOfBtc"])


def test_what_may_be_borrowed_is_lent_and_no_bit_more(bench: SpotBench) -> None:
    bench.ok("POST", TRANSFER, type="MAIN_MARGIN", asset="USDT", amount="20000")
    found = bench.ok("GET", "/sapi/v1/margin/maxBorrowable", asset="BTC")
    most, mark = found["amount"], bench.house.engine.mark("spot:BTCUSDT") or Decimal(0)
    assert Decimal(0) <= 100_000 / mark - Decimal(found["borrowLimit"]) < Decimal("1e-8")
    more = f"{Decimal(most) + Decimal('1e-8'):f}"
    words = (-3006, "Your borrow amount has exceed maximum borrow amount.")
    assert bench.refused("POST", LOAN, type="BORROW", asset="BTC", amount=more, **CROSS) == words
    borrow(bench, most)
    assert user_asset(bench, "BTC")["borrowed"] == most
    assert bench.ok("GET", "/sapi/v1/margin/maxBorrowable", asset="BTC")["amount"] == "0.00000000"


def test_rates_are_said_alike_everywhere(bench: SpotBench) -> None:
    hourly = Decimal(
        bench.ok("GET", "/sapi/v1/margin/next-hourly-interest-rate", assets="BTC,USDT", **CROSS)[0][
            "nextHourlyInterestRate"
        ]
    )
    assert hourly == HOURLY == bench.house.borrow_rate_hourly("BTC")
    rows = bench.ok("GET", "/sapi/v1/margin/interestRateHistory", asset="BTC", limit=3)
    assert {Decimal(row["dailyInterestRate"]) for row in rows} == {hourly * 24}
    day = 24 * MS_PER_HOUR
    newest = DEFAULT_START_MS // day * day
    assert [row["timestamp"] for row in rows] == [newest, newest - day, newest - 2 * day]
    data = bench.ok("GET", "/sapi/v1/margin/crossMarginData", coin="BTC")
    assert Decimal(data[0]["dailyInterest"]) == hourly * 24


def test_orders_of_the_two_wallets_do_not_meet(bench: SpotBench) -> None:
    bench.deposit("margin", "USDT", "20000")
    bench.order("BUY", price="100000", quantity="0.01", newClientOrderId="same")
    bench.order("BUY", price="100000", quantity="0.02", newClientOrderId="same", wallet="margin")
    assert bench.held("spot", "USDT").locked == 1_000
    assert bench.held("margin", "USDT").locked == 2_000
    spot = bench.ok("GET", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="same")
    margin = bench.ok("GET", ORDER, symbol="BTCUSDT", origClientOrderId="same")
    assert (spot["origQty"], margin["origQty"]) == ("0.01000000", "0.02000000")
    words = (-2013, "Order does not exist.")
    assert bench.refused("GET", ORDER, symbol="BTCUSDT", orderId=spot["orderId"]) == words
    assert len(bench.ok("DELETE", "/sapi/v1/margin/openOrders", symbol="BTCUSDT")) == 1
    assert len(bench.ok("GET", "/api/v3/openOrders")) == 1


def test_a_liquidation_is_told_and_recorded(bench: SpotBench) -> None:
    """What is owed is bought back at the mark by the venue; the user's own order goes first."""
    bench.ok("POST", TRANSFER, type="MAIN_MARGIN", asset="USDT", amount="3000")
    borrow(bench, "0.045")
    bench.order("SELL", "MARKET", quantity="0.045", wallet="margin")
    bench.order("BUY", price="100000", quantity="0.001", wallet="margin", newClientOrderId="mine")
    had = bench.held("margin", "USDT").total
    session = ApiSession(bench.house)
    token = bench.ok("POST", "/sapi/v1/userListenToken")["token"]
    bench.ask(session, "userDataStream.subscribe.listenToken", {"listenToken": token})
    # (3000 + 5462.7) / (0.045 * 175000) < 1.1
    bench.house.tell(SetMark(instrument="spot:BTCUSDT", mark=Decimal(175_000)), bench.now)
    gone, taken, position = bench.events(session)
    assert (gone["C"], gone["X"]) == ("mine", "CANCELED")
    assert (taken["x"], taken["S"], taken["l"], taken["L"]) == (
        "TRADE",
        "BUY",
        "0.04500000",
        "175000.00000000",
    )
    assert len(taken["c"]) == 22
    assert {"a": "BTC", "f": "0.00000000", "l": "0.00000000"} in position["B"]
    rows = bench.ok("GET", "/sapi/v1/margin/forceLiquidationRec")["rows"]
    assert [(row["orderId"], row["side"], row["avgPrice"]) for row in rows] == [
        (taken["i"], "BUY", "175000.00000000")
    ]
    assert user_asset(bench, "BTC")["borrowed"] == "0.00000000"
    assert bench.held("margin", "USDT").total == had - Decimal("0.045") * 175_000
    assert bench.ok("GET", LOAN, type="REPAY")["rows"][0]["principal"] == "0.04500000"
