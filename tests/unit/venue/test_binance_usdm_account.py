"""The USD-M wallet's figures, against a table computed by hand, in one-way, hedge and isolated mode."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from libs.exchange.engine.commands import Deliver, Liquidate, SettleFunding, Transfer
from libs.exchange.engine.types import PositionSide
from services.venue.market import DEFAULT_START_MS
from tests.unit.venue.binance_usdm_bench import ACCOUNT, DATED, FUTURE, PERP, SYMBOL, UsdmBench


def settle(bench: UsdmBench, rate: str, mark: str, settled_ms: int = DEFAULT_START_MS) -> None:
    command = SettleFunding(instrument=PERP, rate=Decimal(rate), mark=Decimal(mark), settled_ms=settled_ms)
    bench.house.tell(command, bench.now, market_ms=settled_ms)


def wallet(bench: UsdmBench) -> str:
    (row,) = bench.send("GET", "/fapi/v3/balance")
    assert row["asset"] == "USDT"
    return str(row["balance"])


def test_a_short_from_opening_to_closing_agrees_to_the_last_digit() -> None:
    bench = UsdmBench()
    bench.sell("1.5", "39999.0")  # 1 at 39999.9 and 0.5 at 39999.0; 59999.4 in all
    # 10000 - 0.05 % of 59999.4
    assert wallet(bench) == "9970.00030000"
    settle(bench, "0.0001", "40000")  # a short receives 1.5 * 40000 * 0.01 %
    assert wallet(bench) == "9976.00030000"
    bench.wait(1_000)
    bench.book(asks=(("39900.0", "1"), ("39910.0", "5")), bids=(("39899.9", "1"),), mark=Decimal(39_905))
    bench.buy("0.5", "39900.0", reduceOnly="true")
    # A third of the cost, 19999.8, less 0.5 * 39900; the fee is 0.05 % of 19950.
    assert wallet(bench) == "10015.82530000"
    bench.buy("1", "39910.0", reduceOnly="true")  # 0.5 at 39900.0, 0.5 at 39910.0
    # 39999.6 - 39905 = 94.6; fees 9.975 and 9.9775
    assert wallet(bench) == "10090.47280000"
    assert bench.send("GET", "/fapi/v3/positionRisk") == []
    rows = bench.send("GET", "income", limit=1000)
    booked = [(row["incomeType"], row["income"]) for row in rows if row["incomeType"] != "FUNDING_FEE"]
    assert booked == [
        ("TRANSFER", "10000.00000000"),
        ("COMMISSION", "-19.99995000"),
        ("COMMISSION", "-9.99975000"),
        ("REALIZED_PNL", "49.80000000"),
        ("COMMISSION", "-9.97500000"),
        ("REALIZED_PNL", "49.80000000"),
        ("COMMISSION", "-9.97500000"),
        ("REALIZED_PNL", "44.80000000"),
        ("COMMISSION", "-9.97750000"),
    ]
    assert sum((Decimal(row["income"]) for row in rows), Decimal(0)) == Decimal(wallet(bench))
    trades = bench.send("GET", "userTrades", symbol=SYMBOL)
    assert [row["realizedPnl"] for row in trades][2:] == ["49.80000000", "49.80000000", "44.80000000"]
    assert {row["tradeId"] for row in rows} == {"", *(row["id"] for row in trades)}


def test_the_figures_of_an_open_position() -> None:
    bench = UsdmBench()
    bench.buy("1", "40000.0")  # fee 20
    bench.buy("0.5", "39990.0", "GTC")
    bench.mark(Decimal(40_100))
    account = bench.send("GET", "/fapi/v3/account")
    assert account["totalWalletBalance"] == "9980.00000000"
    assert account["totalUnrealizedProfit"] == "100.00000000"
    assert account["totalMarginBalance"] == "10080.00000000"
    assert account["totalPositionInitialMargin"] == "2005.00000000"  # 40100 / 20
    assert account["totalOpenOrderInitialMargin"] == "999.75000000"  # 19995 / 20
    assert account["totalMaintMargin"] == "160.40000000"  # 40100 * 0.4 %
    assert account["availableBalance"] == "7075.25000000"
    (row,) = account["positions"]
    assert (row["positionAmt"], row["notional"]) == ("1.000", "40100.00000000")
    assert (row["initialMargin"], row["maintMargin"]) == ("3004.75000000", "160.40000000")
    (risk,) = bench.send("GET", "/fapi/v3/positionRisk", symbol=SYMBOL)
    assert (risk["entryPrice"], risk["breakEvenPrice"]) == ("40000", "40020")
    assert (risk["bidNotional"], risk["askNotional"]) == ("19995.00000000", "0")
    assert risk["openOrderInitialMargin"] == "999.75000000"
    # wallet 9980 + (p - 40000) = 0.4 % of p
    assert Decimal(risk["liquidationPrice"]).quantize(Decimal("0.01")) == Decimal("30140.56")


def test_v2_lists_contracts_without_a_position_and_v3_does_not() -> None:
    bench = UsdmBench()
    assert bench.send("GET", "/fapi/v3/positionRisk") == []
    assert bench.send("GET", "/fapi/v3/account")["positions"] == []
    (row,) = bench.send("GET", "/fapi/v2/positionRisk", symbol=SYMBOL)
    assert (row["positionAmt"], row["entryPrice"], row["leverage"]) == ("0.000", "0.0", "20")
    symbols = {row["symbol"] for row in bench.send("GET", "/fapi/v2/account")["positions"]}
    assert symbols > {SYMBOL, "BTCUSDT"}


def test_hedge_mode_holds_both_sides() -> None:
    bench = UsdmBench()
    bench.send("POST", "positionSide/dual", dualSidePosition="true")
    assert bench.send("GET", "positionSide/dual") == {"dualSidePosition": True}
    bench.buy("1", "40000.0", positionSide="LONG")
    bench.sell("0.5", "39999.9", positionSide="SHORT")

    def held() -> dict[str, Any]:
        rows = bench.send("GET", "/fapi/v3/positionRisk", symbol=SYMBOL)
        return {row["positionSide"]: row["positionAmt"] for row in rows}

    assert held() == {"LONG": "1.000", "SHORT": "-0.500"}
    assert bench.send("GET", "adlQuantile", symbol=SYMBOL)[0]["adlQuantile"].keys() == {
        "LONG",
        "SHORT",
        "HEDGE",
    }
    closing = bench.limit("SELL", "1", "39000.0", "IOC", positionSide="LONG")
    assert bench.send("POST", "order", **closing)["status"] == "FILLED"
    assert held() == {"SHORT": "-0.500"}
    assert bench.refused("POST", "order", **closing)[0] == -2022


def test_an_isolated_position_has_its_own_margin() -> None:
    bench = UsdmBench()
    bench.send("POST", "leverage", symbol=SYMBOL, leverage=10)
    bench.send("POST", "marginType", symbol=SYMBOL, marginType="ISOLATED")
    (config,) = bench.send("GET", "symbolConfig", symbol=SYMBOL)
    assert (config["marginType"], config["leverage"]) == ("ISOLATED", 10)
    bench.buy("0.5", "40000.0")  # fee 10, margin 2000
    bench.mark(Decimal(40_100))
    (risk,) = bench.send("GET", "/fapi/v3/positionRisk")
    assert (risk["isolatedWallet"], risk["isolatedMargin"]) == ("2000.00000000", "2050.00000000")
    assert risk["marginType"] == "isolated"
    (row,) = bench.send("GET", "/fapi/v2/balance")
    assert (row["balance"], row["crossWalletBalance"]) == ("9990.00000000", "7990.00000000")
    assert (row["crossUnPnl"], row["availableBalance"]) == ("0.00000000", "7990.00000000")
    assert row["maxWithdrawAmount"] == "7990.00000000"


def test_funding_is_stamped_with_its_market_time() -> None:
    bench = UsdmBench()
    bench.buy("1", "40000.0")
    for number in range(3):
        settle(bench, "0.0001", "40000", DEFAULT_START_MS + number * 8 * 3_600_000)

    def asked(**params: Any) -> list[int]:
        rows = bench.send("GET", "income", incomeType="FUNDING_FEE", symbol=SYMBOL, **params)
        assert {row["income"] for row in rows} <= {"-4.00000000"}
        return [(row["time"] - DEFAULT_START_MS) // 3_600_000 for row in rows]

    assert asked() == [0, 8, 16]
    assert asked(limit=2) == [8, 16]
    since = DEFAULT_START_MS + 1
    assert asked(startTime=since) == [8, 16]
    assert asked(startTime=since, endTime=since + 8 * 3_600_000) == [8]
    assert asked(startTime=0, limit=2) == [0, 8]
    assert asked(startTime=0, limit=2, page=2) == [16]
    assert bench.refused("GET", "income", startTime=2, endTime=1)[0] == -1023


def test_transfers_are_income_and_what_margin_needs_stays() -> None:
    bench = UsdmBench()
    out = Transfer(source=ACCOUNT, target="u1:spot", asset="USDT", amount=Decimal("100.5"))
    bench.house.apply(out, bench.now)
    rows = bench.send("GET", "income", incomeType="TRANSFER")
    assert [row["income"] for row in rows] == ["10000.00000000", "-100.50000000"]
    assert wallet(bench) == "9899.50000000"


def test_trades_are_found_by_order_time_and_id() -> None:
    bench = UsdmBench()
    first = bench.buy("1.5", "40001.0")["orderId"]
    bench.wait(60_000)
    bench.book()
    bench.sell("1", "39999.9")

    def asked(**params: Any) -> list[int]:
        return [row["id"] for row in bench.send("GET", "userTrades", symbol=SYMBOL, **params)]

    assert asked() == [1, 2, 3]
    assert asked(orderId=first) == [1, 2]
    assert asked(fromId=2, limit=1) == [2]
    assert asked(startTime=bench.wall_ms) == [3]
    assert asked(endTime=bench.wall_ms - 1) == [1, 2]
    assert asked(limit=1) == [3]
    assert bench.refused("GET", "userTrades", symbol=SYMBOL, fromId=1, startTime=1)[0] == -1128


def test_a_liquidation_is_a_forced_order() -> None:
    bench = UsdmBench()
    bench.buy("1", "40000.0")
    command = Liquidate(account=ACCOUNT, instrument=PERP, position_side=PositionSide.BOTH)
    bench.house.apply(command, bench.now)
    (row,) = bench.send("GET", "forceOrders", symbol=SYMBOL)
    assert (row["side"], row["executedQty"], row["reduceOnly"]) == ("SELL", "1.000", True)
    assert row["clientOrderId"].startswith("autoclose-")
    by_id = bench.send("GET", "order", symbol=SYMBOL, origClientOrderId=row["clientOrderId"])
    assert by_id["orderId"] == row["orderId"]
    assert bench.send("GET", "forceOrders", autoCloseType="ADL") == []
    kinds = [one["incomeType"] for one in bench.send("GET", "income")]
    assert kinds[-1] == "INSURANCE_CLEAR"


def test_a_delivery_settles_at_its_price() -> None:
    bench = UsdmBench()
    order = bench.limit("BUY", "1", "40000.0", "IOC") | {"symbol": DATED}
    bench.send("POST", "order", **order)
    bench.house.tell(Deliver(instrument=FUTURE, price=Decimal(40_100)), bench.now)
    last = bench.send("GET", "income")[-1]
    assert (last["incomeType"], last["income"]) == ("DELIVERED_SETTELMENT", "100.00000000")
    assert bench.send("GET", "income", incomeType="REALIZED_PNL") == []
    assert bench.send("GET", "/fapi/v3/positionRisk") == []
    done = bench.send("GET", "allOrders", symbol=DATED)[-1]
    assert done["clientOrderId"].startswith("settlement_autoclose-")
    assert wallet(bench) == "10080.00000000"


def test_fees_can_be_paid_in_bnb_and_rates_are_told() -> None:
    bench = UsdmBench()
    rates = bench.send("GET", "commissionRate", symbol=SYMBOL)
    assert (rates["makerCommissionRate"], rates["takerCommissionRate"]) == ("0.0002", "0.0005")
    assert bench.send("GET", "feeBurn") == {"feeBurn": False}
    assert bench.send("POST", "feeBurn", feeBurn="true") == {"code": 200, "msg": "success"}
    assert bench.send("GET", "feeBurn") == {"feeBurn": True}


def test_only_single_asset_mode_is_offered() -> None:
    bench = UsdmBench()
    assert bench.send("GET", "multiAssetsMargin") == {"multiAssetsMargin": False}
    assert bench.refused("POST", "multiAssetsMargin", multiAssetsMargin="false")[0] == -4171
    assert bench.refused("POST", "multiAssetsMargin", multiAssetsMargin="true")[0] == -4402
