"""Bitget's order desk: how orders of each kind are taken, filled, found, canceled."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from libs.exchange.engine.commands import PublicTrade
from libs.exchange.engine.types import Side
from tests.unit.venue.bitget_bench import BitgetBench

PERPS = {"category": "USDT-FUTURES"}


@pytest.fixture
def bench() -> BitgetBench:
    return BitgetBench(usdt="100000")


def far(bench: BitgetBench, away: int = 100, kind: str = "perp") -> str:
    """A price below the market, where a buy rests."""
    return str(bench.top(kind)[0] - away)


def test_a_spot_market_buy_spends_quote_and_pays_its_fee_in_base(bench: BitgetBench) -> None:
    ask = bench.top("spot")[1]
    seen = bench.seen(bench.order("buy", "1000", "SPOT"))
    quantity = Decimal(1000) / ask // Decimal("0.000001") * Decimal("0.000001")
    fee = (quantity * Decimal("0.001")).quantize(Decimal("1e-8"))
    assert (seen["amount"], seen["qty"], seen["price"]) == ("1000", "0", "0")
    assert Decimal(seen["cumExecQty"]) == quantity
    assert Decimal(seen["cumExecValue"]) == quantity * ask
    assert abs(Decimal(seen["feeDetail"][0]["fee"]) - fee) <= Decimal("1e-8")
    assert seen["feeDetail"][0]["feeCoin"] == "BTC"
    held = bench.held("BTC").total
    assert held == quantity - Decimal(seen["feeDetail"][0]["fee"])
    assert bench.held("USDT").total == Decimal(100_000) - quantity * ask


def test_futures_and_spot_sells_count_in_base(bench: BitgetBench) -> None:
    bench.deposit("BTC", "1")
    assert bench.seen(bench.order("sell", "0.1", "SPOT"))["cumExecQty"] == "0.1"
    assert bench.seen(bench.order("buy", "0.1"))["cumExecQty"] == "0.1"


def test_a_limit_order_rests_until_it_is_canceled(bench: BitgetBench) -> None:
    price = far(bench)
    order = bench.order("buy", "0.01", price=price, clientOid="mine")
    seen = bench.seen(order)
    assert (seen["orderStatus"], seen["price"], seen["timeInForce"]) == ("live", price, "gtc")
    assert seen["feeDetail"] == [{"feeCoin": None, "fee": None}]
    assert bench.ok("POST", "trade/cancel-order", orderId=order) == {"orderId": order, "clientOid": "mine"}
    seen = bench.seen(order)
    assert (seen["orderStatus"], seen["cancelReason"]) == ("cancelled", "normal_cancel")
    assert bench.refused("POST", "trade/cancel-order", orderId=order) == ("25204", "Order does not exist")


def test_what_an_ioc_order_does_not_get_is_canceled(bench: BitgetBench) -> None:
    ask, size = bench.book()[1][0]
    more = str(size + Decimal("0.01"))
    seen = bench.seen(bench.order("buy", more, price=str(ask), timeInForce="ioc"))
    assert (seen["orderStatus"], seen["cancelReason"]) == ("cancelled", "ioc_not_full_cancel")
    assert Decimal(seen["cumExecQty"]) == size
    assert Decimal(seen["cumExecValue"]) == size * ask


def test_fok_is_all_or_nothing(bench: BitgetBench) -> None:
    ask, size = bench.book()[1][0]
    seen = bench.seen(bench.order("buy", str(size + 1), price=str(ask), timeInForce="fok"))
    assert (seen["orderStatus"], seen["cancelReason"]) == ("cancelled", "fok_not_full_cancel")
    assert seen["cumExecQty"] == "0"


def test_post_only_that_would_take_is_taken_and_canceled(bench: BitgetBench) -> None:
    order = bench.order("buy", "0.01", price=str(bench.top()[1]), timeInForce="post_only", clientOid="po")
    seen = bench.seen(order)
    assert (seen["orderStatus"], seen["cancelReason"]) == ("cancelled", "post_only_fill_cancel")
    assert (seen["cumExecQty"], seen["timeInForce"]) == ("0", "post_only")
    rests = bench.order("buy", "0.01", price=far(bench), timeInForce="post_only")
    assert bench.seen(rests)["orderStatus"] == "live"


def test_others_trades_fill_a_resting_order_in_parts_as_a_maker(bench: BitgetBench) -> None:
    bid = bench.top()[0]
    price = bid + Decimal("0.1")  # alone at its price
    order = bench.order("buy", "0.5", price=str(price))
    trade = PublicTrade(instrument="perp:BTCUSDT", price=price, quantity=Decimal("0.2"), taker=Side.SELL)
    bench.house.tell(trade, bench.now)
    seen = bench.seen(order)
    assert (seen["orderStatus"], seen["cumExecQty"]) == ("partially_filled", "0.2")
    assert seen["feeDetail"] == [{"feeCoin": "USDT", "fee": bench.plain(price * Decimal("0.2") * 2 / 10_000)}]
    bench.house.tell(trade, bench.now)
    bench.house.tell(trade, bench.now)
    seen = bench.seen(order)
    assert (seen["orderStatus"], seen["cumExecQty"], seen["avgPrice"]) == ("filled", "0.5", str(price))
    fills = bench.ok("GET", "trade/fills", orderId=order)["list"]
    assert [(one["execQty"], one["tradeScope"]) for one in fills] == [
        ("0.1", "maker"),
        ("0.2", "maker"),
        ("0.2", "maker"),
    ]


# --- found ---------------------------------------------------------------------------------------


def test_an_order_is_found_by_the_clients_id_and_the_venues_id_takes_priority(bench: BitgetBench) -> None:
    one = bench.order("buy", "0.01", clientOid="one")
    two = bench.order("buy", "0.02", clientOid="two")
    assert bench.ok("GET", "trade/order-info", clientOid="one")["orderId"] == one
    both = bench.ok("GET", "trade/order-info", clientOid="one", orderId=two)
    assert (both["clientOid"], both["qty"]) == ("two", "0.02")


def test_an_order_without_a_clients_id_gets_one_from_the_venue(bench: BitgetBench) -> None:
    ids = bench.ok(
        "POST", "trade/place-order", symbol="BTCUSDT", side="buy", orderType="market", qty="0.01", **PERPS
    )
    assert bench.ok("GET", "trade/order-info", clientOid=ids["clientOid"])["orderId"] == ids["orderId"]


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"orderId": "999"}, "25204"),
        ({"clientOid": "nobody"}, "25204"),
        ({"clientOid": "999"}, "25204"),
        ({"orderId": "abc"}, "40020"),
        ({}, "40019"),
    ],
)
def test_what_is_not_there_is_not_found(bench: BitgetBench, params: dict[str, str], code: str) -> None:
    bench.order("buy", "0.01", clientOid="named")
    assert bench.refused("GET", "trade/order-info", **params)[0] == code
    assert bench.refused("POST", "trade/cancel-order", **params)[0] == code


def test_another_users_order_is_not_found(bench: BitgetBench) -> None:
    stranger = bench.second_user("u2")
    mine = bench.order("buy", "0.01", price=far(bench), clientOid="mine")
    for params in ({"orderId": mine}, {"clientOid": "mine"}):
        assert bench.refused("GET", "trade/order-info", key=stranger, **params)[0] == "25204"
        assert bench.refused("POST", "trade/cancel-order", key=stranger, **params)[0] == "25204"
    assert bench.seen(mine)["orderStatus"] == "live"


def test_open_and_closed_orders_are_listed_by_category_and_symbol_newest_first(bench: BitgetBench) -> None:
    spot = bench.order("buy", "0.001", "SPOT", price=far(bench, kind="spot"))
    margin = bench.order("buy", "0.001", "MARGIN", price=far(bench, kind="spot"))
    perp = bench.order("buy", "0.001", price=far(bench))
    done = bench.order("buy", "0.001")

    def listed(path: str, **params: Any) -> list[str]:
        return [row["orderId"] for row in bench.ok("GET", path, **params)["list"]]

    assert listed("trade/unfilled-orders") == [perp, margin, spot]
    assert listed("trade/unfilled-orders", category="MARGIN") == [margin]
    assert listed("trade/unfilled-orders", category="SPOT", symbol="BTCUSDT") == [spot]
    assert listed("trade/unfilled-orders", category="SPOT", symbol="ETHUSDT") == []
    assert listed("trade/history-orders", **PERPS) == [done]
    assert listed("trade/history-orders", category="SPOT") == []
    assert bench.refused("GET", "trade/history-orders")[0] == "40019"
    assert bench.refused("GET", "trade/unfilled-orders", category="SPOT", symbol="NOPE")[0] == "40034"


def test_fills_come_in_pages_and_the_end_is_told_by_nulls(bench: BitgetBench) -> None:
    for _ in range(5):
        bench.order("buy", "0.001")
    first = bench.ok("GET", "trade/fills", limit="3", **PERPS)
    second = bench.ok("GET", "trade/fills", limit="3", cursor=first["cursor"], **PERPS)
    third = bench.ok("GET", "trade/fills", limit="3", cursor=second["cursor"], **PERPS)
    ids = [row["execId"] for row in first["list"] + second["list"]]
    assert ids == sorted(ids, key=int, reverse=True)
    assert len(set(ids)) == 5
    assert third == {"list": None, "cursor": None}


def test_a_time_range_is_at_most_30_days_and_holds_both_ends(bench: BitgetBench) -> None:
    order = bench.order("buy", "0.001")
    at = bench.wall_ms
    for since, until, count in ((at, at, 1), (at + 1, at + 9, 0), (at - 9, at - 1, 0)):
        found = bench.ok("GET", "trade/history-orders", startTime=str(since), endTime=str(until), **PERPS)
        assert [row["orderId"] for row in found["list"]] == [order] * count
    wide = {"startTime": str(at - 30 * 86_400_000 - 1), "endTime": str(at)}
    text = "startTime and endTime interval cannot be greater than 30 days"
    assert bench.refused("GET", "trade/fills", **wide) == ("00001", text)
    for name, value in (("limit", "101"), ("limit", "0"), ("cursor", "-1"), ("startTime", "x")):
        assert bench.refused("GET", "trade/fills", **{name: value})[0] == "40017"


# --- several at once -----------------------------------------------------------------------------


def test_a_batch_is_taken_order_by_order(bench: BitgetBench) -> None:
    def one(qty: str, oid: str) -> dict[str, str]:
        return {
            "symbol": "BTCUSDT",
            "side": "buy",
            "orderType": "market",
            "qty": qty,
            "clientOid": oid,
            **PERPS,
        }

    rows = bench.listed("trade/place-batch", [one("0.01", "a"), one("40", "b"), one("0.02", "c")])
    assert [row["clientOid"] for row in rows] == ["a", "b", "c"]
    assert rows[0]["orderId"] is not None
    assert rows[2]["orderId"] is not None
    assert (rows[1]["orderId"], rows[1]["code"]) == (None, "25203")
    assert len(bench.ok("GET", "trade/fills")["list"]) == 2
    assert bench.listed("trade/place-batch", [one("0.01", "d")] * 21) == "40306"
    assert bench.listed("trade/place-batch", []) == "40017"
    assert bench.listed("trade/place-batch", [1]) == "40017"


def test_a_batch_of_cancellations_may_succeed_in_part(bench: BitgetBench) -> None:
    order = bench.order("buy", "0.01", price=far(bench), clientOid="there")
    rows = bench.listed(
        "trade/cancel-batch",
        [
            {"symbol": "BTCUSDT", "orderId": order, **PERPS},
            {"symbol": "BTCUSDT", "clientOid": "gone", **PERPS},
        ],
    )
    assert rows[0] == {"orderId": order, "clientOid": "there"}
    assert (rows[1]["clientOid"], rows[1]["code"], rows[1]["msg"]) == (
        "gone",
        "25204",
        "Order does not exist",
    )


def test_all_orders_of_a_symbol_are_canceled_and_others_stay(bench: BitgetBench) -> None:
    mine = [bench.order("buy", "0.01", price=far(bench, away)) for away in (100, 200)]
    spot = bench.order("buy", "0.001", "SPOT", price=far(bench, kind="spot"))
    rows = bench.ok("POST", "trade/cancel-symbol-order", symbol="BTCUSDT", **PERPS)["list"]
    assert {row["orderId"] for row in rows} == set(mine)
    assert bench.seen(spot)["orderStatus"] == "live"
    again = bench.refused("POST", "trade/cancel-symbol-order", symbol="BTCUSDT", **PERPS)
    assert again == ("22001", "No order to cancel")


def test_the_dead_mans_switch_cancels_everything_unless_it_is_wound_up_again(bench: BitgetBench) -> None:
    perp = bench.order("buy", "0.01", price=far(bench, 3000))
    assert bench.ok("POST", "trade/countdown-cancel-all", countdown="5") == "success"
    bench.advance(4_000)
    bench.ok("POST", "trade/countdown-cancel-all", countdown="5")
    bench.advance(4_500)
    assert bench.seen(perp)["orderStatus"] == "live"
    bench.advance(1_000)
    assert bench.seen(perp)["orderStatus"] == "cancelled"
    other = bench.order("buy", "0.01", price=far(bench, 3000))
    bench.ok("POST", "trade/countdown-cancel-all", countdown="5")
    bench.ok("POST", "trade/countdown-cancel-all", countdown="0")
    bench.advance(8_000)
    assert bench.seen(other)["orderStatus"] == "live"
    for wrong in ("4", "61", "x"):
        assert bench.refused("POST", "trade/countdown-cancel-all", countdown=wrong)[0] == "40017"
    assert bench.refused("POST", "trade/countdown-cancel-all")[0] == "40019"
