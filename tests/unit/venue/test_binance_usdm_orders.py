"""USD-M orders: what placing, asking and canceling answer."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from libs.exchange.engine.commands import PublicTrade
from libs.exchange.engine.types import Side
from tests.unit.venue.binance_usdm_bench import DATED, FUTURE, PERP, SYMBOL, UsdmBench


def test_an_ioc_order_that_walks_the_book_says_what_it_got() -> None:
    bench = UsdmBench()
    got = bench.buy("1.5", "40001.0", newClientOrderId="an-id-of-ours")
    assert (got["status"], got["executedQty"], got["cumQty"]) == ("FILLED", "1.500", "1.500")
    assert (got["cumQuote"], got["avgPrice"]) == ("60000.5000", "40000.3333")
    assert (got["price"], got["timeInForce"], got["clientOrderId"]) == ("40001.0", "IOC", "an-id-of-ours")


def test_an_ioc_order_keeps_what_it_got_and_the_rest_expires() -> None:
    bench = UsdmBench()
    got = bench.buy("1.5", "40000.0")
    assert (got["status"], got["origQty"], got["executedQty"]) == ("EXPIRED", "1.500", "1.000")
    assert bench.send("GET", "openOrders") == []


def test_a_market_order_has_no_price() -> None:
    bench = UsdmBench()
    order = {"symbol": SYMBOL, "side": "SELL", "type": "MARKET", "quantity": "0.5"}
    got = bench.send("POST", "order", **order, newOrderRespType="RESULT")
    assert (got["status"], got["type"], got["price"], got["timeInForce"]) == (
        "FILLED",
        "MARKET",
        "0.0",
        "GTC",
    )
    assert got["avgPrice"] == "39999.9000"


@pytest.mark.parametrize(("tif", "response"), [("IOC", "ACK"), ("GTC", "ACK"), ("GTC", "RESULT")])
def test_an_answer_of_acceptance_says_nothing_of_fills(tif: str, response: str) -> None:
    bench = UsdmBench()
    got = bench.buy("1", "40000.0", tif, newOrderRespType=response)
    assert (got["status"], got["executedQty"], got["cumQuote"]) == ("NEW", "0.000", "0.0000")
    assert bench.send("GET", "order", symbol=SYMBOL, orderId=got["orderId"])["status"] == "FILLED"


def test_a_resting_order_fills_by_the_trades_of_others_and_is_then_canceled() -> None:
    bench = UsdmBench()
    got = bench.buy("0.4", "39999.9", "GTX")
    bench.wait(1_500)
    trade = PublicTrade(instrument=PERP, price=Decimal("39999.9"), quantity=Decimal("1.1"), taker=Side.SELL)
    bench.house.tell(trade, bench.now)
    (open_,) = bench.send("GET", "openOrders", symbol=SYMBOL)
    assert (open_["status"], open_["executedQty"]) == ("PARTIALLY_FILLED", "0.100")
    assert (open_["time"], open_["updateTime"]) == (bench.wall_ms - 1_500, bench.wall_ms)
    ended = bench.send("DELETE", "order", symbol=SYMBOL, orderId=got["orderId"])
    assert (ended["status"], ended["executedQty"], ended["cumQuote"]) == ("CANCELED", "0.100", "3999.9900")
    assert bench.refused("DELETE", "order", symbol=SYMBOL, orderId=got["orderId"])[0] == -2011
    (trade_row,) = bench.send("GET", "userTrades", symbol=SYMBOL)
    assert (trade_row["maker"], trade_row["commission"]) == (True, "0.79999800")


def test_a_client_id_may_be_used_again_once_its_order_has_ended() -> None:
    bench = UsdmBench()
    first = bench.buy("0.1", "39000.0", "GTC", newClientOrderId="same")
    again = bench.limit("BUY", "0.1", "39000.0", newClientOrderId="same")
    assert bench.refused("POST", "order", **again) == (-4116, "ClientOrderId is duplicated.")
    bench.send("DELETE", "order", symbol=SYMBOL, origClientOrderId="same")
    second = bench.send("POST", "order", **again)
    assert second["orderId"] > first["orderId"]
    found = bench.send("GET", "order", symbol=SYMBOL, origClientOrderId="same")
    assert found["orderId"] == second["orderId"]


def test_an_order_without_a_client_id_gets_one_by_which_it_is_found() -> None:
    bench = UsdmBench()
    name = bench.buy("0.1", "39000.0", "GTC")["clientOrderId"]
    assert len(name) == 22
    assert bench.send("GET", "openOrder", symbol=SYMBOL, origClientOrderId=name)["clientOrderId"] == name


def test_a_batch_answers_for_each_order() -> None:
    bench = UsdmBench()
    orders = [bench.limit("BUY", "0.1", "39000.0"), bench.limit("SELL", "0.1", "41000.0", reduceOnly=True)]
    bought, refused = bench.send("POST", "batchOrders", batchOrders=json.dumps(orders))
    assert bought["status"] == "NEW"
    assert refused == {"code": -2022, "msg": "ReduceOnly Order is rejected."}
    many = json.dumps(orders[:1] * 6)
    assert bench.refused("POST", "batchOrders", batchOrders=many)[0] == -4082
    assert bench.refused("POST", "batchOrders", batchOrders="{")[0] == -1130
    ids = f"[{bought['orderId']},99]"
    canceled, unknown = bench.send("DELETE", "batchOrders", symbol=SYMBOL, orderIdList=ids)
    assert canceled["status"] == "CANCELED"
    assert unknown == {"code": -2011, "msg": "Unknown order sent."}


def test_all_open_orders_of_a_symbol_are_canceled() -> None:
    bench = UsdmBench()
    for price in ("39000.0", "39001.0"):
        bench.buy("0.1", price, "GTC")
    bench.send("POST", "order", **(bench.limit("BUY", "0.1", "39000.0") | {"symbol": DATED}))
    done = bench.send("DELETE", "allOpenOrders", symbol=SYMBOL)
    assert done == {"code": 200, "msg": "The operation of cancel all open order is done."}
    (left,) = bench.send("GET", "openOrders")
    assert left["symbol"] == DATED


def test_the_dead_mans_switch_cancels_at_its_time_unless_it_is_taken_off() -> None:
    bench = UsdmBench()
    bench.buy("0.1", "39000.0", "GTC")
    said = bench.send("POST", "countdownCancelAll", symbol=SYMBOL, countdownTime=3_000)
    assert said == {"symbol": SYMBOL, "countdownTime": "3000"}
    bench.send("POST", "countdownCancelAll", symbol=SYMBOL, countdownTime=0)
    bench.wait(10_000)
    bench.house.catch_up(bench.now)
    assert len(bench.send("GET", "openOrders")) == 1
    bench.send("POST", "countdownCancelAll", symbol=SYMBOL, countdownTime=3_000)
    bench.wait(2_999)
    bench.house.catch_up(bench.now)
    assert len(bench.send("GET", "openOrders")) == 1
    bench.wait(1)
    bench.house.catch_up(bench.now)
    assert bench.send("GET", "openOrders") == []


def test_all_orders_in_pages() -> None:
    bench = UsdmBench()
    made = []
    for number in range(5):
        made.append(bench.buy("0.1", f"3900{number}.0", "GTC")["orderId"])
        bench.wait(1_000)
    start = bench.wall_ms - 4_000

    def asked(**params: Any) -> list[int]:
        return [row["orderId"] for row in bench.send("GET", "allOrders", symbol=SYMBOL, **params)]

    assert asked() == made
    assert asked(limit=2) == made[3:]
    assert asked(orderId=made[1], limit=2) == made[1:3]
    assert asked(startTime=start) == made[1:]
    assert asked(startTime=start, limit=2) == made[1:3]
    assert asked(startTime=start, endTime=start + 1_000) == made[1:3]
    assert bench.refused("GET", "allOrders", symbol=SYMBOL, startTime=2, endTime=1)[0] == -1023
    assert bench.refused("GET", "allOrders", symbol=SYMBOL, startTime=1, endTime=10**9)[0] == -4166


def test_a_dated_future_goes_the_same_way() -> None:
    bench = UsdmBench()
    order = bench.limit("BUY", "1", "40000.0", "IOC") | {"symbol": DATED}
    assert bench.send("POST", "order", **order)["status"] == "FILLED"
    (row,) = bench.send("GET", "/fapi/v3/positionRisk")
    assert (row["symbol"], row["positionAmt"]) == (DATED, "1.000")
    assert bench.house.engine.positions("u1:usdm")[0].position.instrument == FUTURE
    assert bench.send("GET", "order", symbol=DATED, orderId=1)["symbol"] == DATED
    assert bench.refused("GET", "order", symbol=SYMBOL, orderId=1)[0] == -2013
