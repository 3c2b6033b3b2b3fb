"""Bitget's financial records: every change of a balance once, in Bitget's words, adding up to the balance."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from libs.exchange.engine.commands import Deleverage, Liquidate
from libs.exchange.engine.types import PositionSide
from tests.unit.venue.bitget_bench import BitgetBench

CATEGORIES = ("SPOT", "MARGIN", "USDT-FUTURES", "OTHER")
PERP = "perp:BTCUSDT"


@pytest.fixture
def bench() -> BitgetBench:
    return BitgetBench(usdt="100000")


def every(bench: BitgetBench) -> list[Any]:
    return [row for category in CATEGORIES for row in bench.records(category)]


def test_amounts_and_fees_add_up_to_the_balance_of_every_coin(bench: BitgetBench) -> None:
    bench.order("buy", "1000", "SPOT")
    bench.order("sell", "0.5", "MARGIN")
    bench.order("buy", "0.3")
    bench.settle("0.0001", "121000", 1)
    bench.advance(500)
    bench.order("sell", "0.4")
    bench.settle("0.0002", "121500", 2)
    bench.order("buy", "0.2", "MARGIN", price=str(bench.top("spot")[1]))
    bench.ok("POST", "account/transfer", fromType="uta", toType="spot", coin="USDT", amount="12.5")
    bench.ok("POST", "account/repay", repayableCoinList=["BTC"], paymentCoinList=["USDT"])
    rows = every(bench)
    assert len({row["id"] for row in rows}) == len(rows)
    for coin in ("BTC", "USDT"):
        mine = sorted((row for row in rows if row["coin"] == coin), key=lambda row: int(row["id"]))
        running = Decimal(0)
        for row in mine:
            running += Decimal(row["amount"]) + Decimal(row["fee"])
            assert Decimal(row["balance"]) == running, row
        assert running == Decimal(bench.asset(coin)["balance"])


def test_a_spot_buy_is_two_records_with_the_fee_in_its_column(bench: BitgetBench) -> None:
    ask = bench.top("spot")[1]
    bench.order("buy", "0.1", "SPOT", price=str(ask))
    got, given = bench.records("SPOT")
    assert (got["type"], got["coin"], got["amount"], got["fee"]) == (
        "ORDER_DEALT_IN",
        "BTC",
        "0.1",
        "-0.0001",
    )
    assert (given["type"], given["coin"], given["fee"]) == ("ORDER_DEALT_FROZEN_OUT", "USDT", "0")
    assert Decimal(given["amount"]) == -ask / 10
    assert (got["symbol"], got["balance"]) == ("BTCUSDT", "0.0999")


def test_contract_trades_show_realised_profit_and_fee(bench: BitgetBench) -> None:
    ask = bench.top()[1]
    bench.order("buy", "0.1")
    bench.advance(1_000)
    bid = bench.top()[0]
    bench.order("sell", "0.1", reduceOnly="yes")
    closed, opened = bench.records("USDT-FUTURES")
    assert (opened["type"], opened["amount"]) == ("BUY_DEAL", "0")
    assert Decimal(opened["fee"]) == -(ask / 10 * 6 / 10_000).quantize(Decimal("1e-8"))
    assert closed["type"] == "SELL_DEAL"
    assert Decimal(closed["amount"]) == (bid - ask) / 10
    assert Decimal(closed["fee"]) == -(bid / 10 * 6 / 10_000).quantize(Decimal("1e-8"))


def test_funding_is_paid_and_received_and_stamped_in_market_time(bench: BitgetBench) -> None:
    bench.order("buy", "0.1")
    bench.settle("0.0001", "120000", 1)
    bench.settle("-0.0003", "120000", 2)
    got, paid = bench.records("USDT-FUTURES", coin="USDT")[:2]
    assert (paid["type"], paid["amount"]) == ("CONTRACT_MAIN_SETTLE_FEE_USER_OUT", "-1.2")
    assert (got["type"], got["amount"], got["symbol"]) == (
        "CONTRACT_MAIN_SETTLE_FEE_USER_IN",
        "3.6",
        "BTCUSDT",
    )
    assert paid["ts"] == str(bench.now.market_ms)
    assert bench.records("USDT-FUTURES")[2]["ts"] == str(bench.wall_ms)


def test_hedge_mode_names_what_was_opened_and_closed(bench: BitgetBench) -> None:
    bench.ok("POST", "account/set-hold-mode", holdMode="hedge_mode")
    for side, position in (("buy", "long"), ("sell", "short"), ("sell", "long"), ("buy", "short")):
        bench.order(side, "0.1", posSide=position)
    types = [row["type"] for row in reversed(bench.records("USDT-FUTURES"))]
    assert types == ["OPEN_LONG", "OPEN_SHORT", "CLOSE_LONG", "CLOSE_SHORT"]


def test_forced_trades_have_names_of_their_own(bench: BitgetBench) -> None:
    bench.order("buy", "0.2")
    adl = Deleverage(
        account="u1:unified",
        instrument=PERP,
        position_side=PositionSide.BOTH,
        quantity=Decimal("0.05"),
        price=Decimal(121_000),
    )
    bench.house.tell(adl, bench.now)
    liquidate = Liquidate(account="u1:unified", instrument=PERP, position_side=PositionSide.BOTH)
    bench.house.tell(liquidate, bench.now)
    types = {row["type"] for row in bench.records("USDT-FUTURES")}
    assert {"BUY_DEAL", "FORCE_SELL_SSM", "BURST_SELL_SSM", "LIQ_FEE"} <= types
    orders = bench.ok("GET", "trade/history-orders", category="USDT-FUTURES")["list"]
    assert [row["execType"] for row in orders] == ["liquidation", "offset", "normal"]
    fills = bench.ok("GET", "trade/fills", category="USDT-FUTURES")["list"]
    assert [row["tradeSide"] for row in fills] == [
        "burst_sell_single",
        "dte_sys_adl_sell_in_single_side_mode",
        "buy_single",
    ]


def test_records_are_chosen_by_coin_type_symbol_time_and_page(bench: BitgetBench) -> None:
    bench.order("buy", "1000", "SPOT")
    bench.order("buy", "1000", "SPOT", symbol="ETHUSDT")
    assert len(bench.records("SPOT")) == 4
    assert {row["coin"] for row in bench.records("SPOT", coin="USDT")} == {"USDT"}
    assert len(bench.records("SPOT", symbol="ETHUSDT")) == 2
    assert {row["type"] for row in bench.records("SPOT", type="ORDER_DEALT_IN")} == {"ORDER_DEALT_IN"}
    assert bench.records("SPOT", startTime=str(bench.wall_ms + 1)) == []
    first = bench.ok("GET", "account/financial-records", category="SPOT", limit="3")
    rest = bench.ok("GET", "account/financial-records", category="SPOT", limit="3", cursor=first["cursor"])
    assert [len(first["list"]), len(rest["list"])] == [3, 1]
    assert bench.refused("GET", "account/financial-records")[0] == "40019"
    assert bench.records("OTHER")[0]["type"] == "TRANSFER_IN"
