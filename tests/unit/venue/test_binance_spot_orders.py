"""Orders of `api/v3`: what they get, cost, lock and are called, figure by figure."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal

import pytest

from tests.unit.venue.binance_spot_bench import USER, WALL0_MS, SpotBench

ORDER = "/api/v3/order"
FEE = Decimal("0.001")


@pytest.fixture
def bench() -> SpotBench:
    made = SpotBench()
    made.deposit("spot", "USDT", "100000")
    return made


def test_a_market_buy_walks_the_book_and_pays_its_fee_in_base(bench: SpotBench) -> None:
    _, asks = bench.book()
    # The sample's book at this step: 1.95874 at 121394.18, so that one price fills it all.
    assert asks[0] == (Decimal("121394.18"), Decimal("1.95874"))
    said = bench.order("BUY", "MARKET", quantity="0.5", newClientOrderId="mine")
    assert said["status"] == "FILLED"
    assert said["origQty"] == said["executedQty"] == "0.50000000"
    assert said["cummulativeQuoteQty"] == "60697.09000000"
    assert said["price"] == "0.00000000"
    assert said["clientOrderId"] == "mine"
    assert said["transactTime"] == said["workingTime"] == WALL0_MS
    assert [
        (one["price"], one["qty"], one["commission"], one["commissionAsset"]) for one in said["fills"]
    ] == [("121394.18000000", "0.50000000", "0.00050000", "BTC")]
    assert bench.held("spot", "BTC").total == Decimal("0.4995")
    assert bench.held("spot", "USDT").total == Decimal("39302.91")


def test_a_sell_walks_several_levels_and_pays_each_fee_in_quote(bench: SpotBench) -> None:
    bench.deposit("spot", "BTC", "1")
    bids, _ = bench.book()
    said = bench.order("SELL", "MARKET", quantity="0.04300")
    # 0.03770 at 121394.16, 0.00260 at .15, the last 0.00270 at .14 (of 0.00293); fees are cut to 8 digits.
    assert [level for level, _ in bids[:3]] == [Decimal(f"121394.{cents}") for cents in (16, 15, 14)]
    assert [(one["price"], one["qty"], one["commission"]) for one in said["fills"]] == [
        ("121394.16000000", "0.03770000", "4.57655983"),
        ("121394.15000000", "0.00260000", "0.31562479"),
        ("121394.14000000", "0.00270000", "0.32776417"),
    ]
    quote = Decimal("4576.559832") + Decimal("315.62479") + Decimal("327.764178")
    assert Decimal(said["cummulativeQuoteQty"]) == quote
    fees = Decimal("4.57655983") + Decimal("0.31562479") + Decimal("0.32776417")
    assert bench.held("spot", "USDT").total == 100_000 + quote - fees
    assert bench.held("spot", "BTC").total == Decimal("0.957")


def test_a_buy_by_cost_takes_whole_steps_for_at_most_that_much(bench: SpotBench) -> None:
    said = bench.order("BUY", "MARKET", quoteOrderQty="1000")
    # 1000 / 121394.18 = 0.0082376..., in steps of 0.00001.
    assert said["executedQty"] == "0.00823000"
    assert said["status"] == "FILLED"
    assert said["cummulativeQuoteQty"] == "999.07410140"
    row = bench.ok("GET", ORDER, symbol="BTCUSDT", orderId=said["orderId"])
    assert row["origQuoteOrderQty"] == "1000.00000000"


def test_a_sell_by_proceeds_gives_the_quantity_that_pays_so_much(bench: SpotBench) -> None:
    bench.deposit("spot", "BTC", "1")
    said = bench.order("SELL", "MARKET", quoteOrderQty="2000")
    # 2000 / 121394.16 = 0.016475..., in steps of 0.00001.
    assert said["executedQty"] == "0.01647000"


def test_a_resting_order_locks_its_cost_and_a_cancel_frees_it(bench: SpotBench) -> None:
    said = bench.order("BUY", price="100000.00", quantity="0.25", newClientOrderId="rests")
    assert (said["status"], said["fills"], said["executedQty"]) == ("NEW", [], "0.00000000")
    assert bench.held("spot", "USDT").locked == 25_000
    assert bench.held("spot", "USDT").free == 75_000
    account = {one["asset"]: one for one in bench.ok("GET", "/api/v3/account")["balances"]}
    assert account["USDT"] == {"asset": "USDT", "free": "75000.00000000", "locked": "25000.00000000"}
    assert account["ETH"] == {"asset": "ETH", "free": "0.00000000", "locked": "0.00000000"}
    bench.advance(40)
    gone = bench.ok("DELETE", ORDER, symbol="BTCUSDT", origClientOrderId="rests", newClientOrderId="off")
    assert (gone["status"], gone["origClientOrderId"], gone["clientOrderId"]) == ("CANCELED", "rests", "off")
    assert gone["transactTime"] == WALL0_MS + 40
    assert bench.held("spot", "USDT").locked == 0
    row = bench.ok("GET", ORDER, symbol="BTCUSDT", origClientOrderId="rests")
    assert (row["status"], row["time"], row["updateTime"]) == ("CANCELED", WALL0_MS, WALL0_MS + 40)
    assert bench.ok("GET", "/api/v3/openOrders") == []


def test_times_in_force(bench: SpotBench) -> None:
    bid, ask = bench.top()
    thin = bench.book()[1][0][1]
    more = f"{thin + 1:f}"
    bench.deposit("spot", "USDT", "500000")
    killed = bench.order("BUY", price=f"{ask}", quantity=more, timeInForce="FOK")
    assert (killed["status"], killed["executedQty"], killed["timeInForce"]) == (
        "EXPIRED",
        "0.00000000",
        "FOK",
    )
    part = bench.order("BUY", price=f"{ask}", quantity=more, timeInForce="IOC")
    assert (part["status"], Decimal(part["executedQty"])) == ("EXPIRED", thin)
    maker = bench.order("BUY", "LIMIT_MAKER", price=f"{bid}", quantity="0.01", newOrderRespType="RESULT")
    assert (maker["type"], maker["timeInForce"], maker["status"]) == ("LIMIT_MAKER", "GTC", "NEW")


def test_the_answer_is_as_long_as_was_asked_for(bench: SpotBench) -> None:
    wanted = {"symbol": "BTCUSDT", "side": "BUY", "quantity": "0.001"}
    ack = bench.ok("POST", ORDER, **wanted, type="MARKET", newOrderRespType="ACK")
    assert ack.keys() == {"symbol", "orderId", "orderListId", "clientOrderId", "transactTime"}
    result = bench.ok("POST", ORDER, **wanted, type="MARKET", newOrderRespType="RESULT")
    full = bench.ok("POST", ORDER, **wanted, type="MARKET")
    assert full.keys() - result.keys() == {"fills"}
    bid, _ = bench.top()
    maker = bench.ok("POST", ORDER, **wanted, type="LIMIT_MAKER", price=f"{bid}")
    assert maker.keys() == ack.keys()
    assert len({one["clientOrderId"] for one in (ack, result, full, maker)}) == 4
    assert all(len(one["clientOrderId"]) == 22 for one in (ack, result, full, maker))


def test_a_client_id_is_unique_among_open_orders_only(bench: SpotBench) -> None:
    for _ in range(2):
        bench.order("BUY", "MARKET", quantity="0.001", newClientOrderId="again")
    bench.order("BUY", price="100000.00", quantity="0.001", newClientOrderId="again")
    wanted = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.001"}
    assert bench.refused("POST", ORDER, **wanted, newClientOrderId="again") == (
        -2010,
        "Duplicate order sent.",
    )
    newest = bench.ok("GET", ORDER, symbol="BTCUSDT", origClientOrderId="again")
    assert newest["status"] == "NEW"
    assert len(bench.ok("GET", "/api/v3/allOrders", symbol="BTCUSDT")) == 3


def test_fees_are_paid_in_bnb_when_that_is_switched_on(bench: SpotBench) -> None:
    bench.deposit("spot", "BNB", "1")
    assert bench.ok("POST", "/sapi/v1/bnbBurn", spotBNBBurn="true")["spotBNBBurn"] is True
    said = bench.order("BUY", "MARKET", quantity="0.01")
    bnb = bench.house.engine.mark("spot:BNBUSDT")
    assert bnb is not None
    cost = Decimal(said["cummulativeQuoteQty"])
    due = (cost * FEE * Decimal("0.75") / bnb).quantize(Decimal("1e-8"), rounding=ROUND_DOWN)
    assert [(one["commission"], one["commissionAsset"]) for one in said["fills"]] == [(f"{due:.8f}", "BNB")]
    assert bench.held("spot", "BTC").total == Decimal("0.01")
    assert bench.held("spot", "BNB").total == 1 - due
    assert bench.ok("GET", "/api/v3/account/commission", symbol="BTCUSDT")["discount"]["enabledForAccount"]
    assert bench.ok("POST", "/sapi/v1/bnbBurn", spotBNBBurn="false")["spotBNBBurn"] is False
    again = bench.order("BUY", "MARKET", quantity="0.01")
    assert {one["commissionAsset"] for one in again["fills"]} == {"BTC"}


def test_orders_and_trades_are_paged(bench: SpotBench) -> None:
    for number in range(5):
        bench.order("BUY", "MARKET", quantity="0.001", newClientOrderId=f"n{number}")
        bench.advance(1_000)
    bench.order("BUY", "MARKET", symbol="ETHUSDT", quantity="0.1")
    orders = bench.ok("GET", "/api/v3/allOrders", symbol="BTCUSDT")
    assert [one["clientOrderId"] for one in orders] == [f"n{number}" for number in range(5)]
    ids = [one["orderId"] for one in orders]

    def named(**params: object) -> list[str]:
        rows = bench.ok("GET", "/api/v3/allOrders", symbol="BTCUSDT", **params)
        return [one["clientOrderId"] for one in rows]

    assert named(limit=2) == ["n3", "n4"]
    assert named(orderId=ids[1], limit=2) == ["n1", "n2"]
    assert named(startTime=WALL0_MS + 2_000) == ["n2", "n3", "n4"]
    assert named(startTime=WALL0_MS + 1_000, endTime=WALL0_MS + 3_000) == ["n1", "n2", "n3"]
    trades = bench.ok("GET", "/api/v3/myTrades", symbol="BTCUSDT")
    assert [one["orderId"] for one in trades] == ids
    assert all(one["isBuyer"] and not one["isMaker"] for one in trades)
    one = bench.ok("GET", "/api/v3/myTrades", symbol="BTCUSDT", orderId=ids[2])
    assert [row["orderId"] for row in one] == [ids[2]]
    later = bench.ok("GET", "/api/v3/myTrades", symbol="BTCUSDT", fromId=trades[3]["id"])
    assert [row["id"] for row in later] == [trades[3]["id"], trades[4]["id"]]


def test_a_resting_order_is_filled_as_maker_by_what_trades_through_it(bench: SpotBench) -> None:
    """The market comes to the order: at its own price, in parts of what the book shows there."""
    _, ask = bench.top()
    bench.order("BUY", price=f"{ask - Decimal('0.01')}", quantity="0.05", newClientOrderId="waits")
    row: dict[str, str] = {}
    for _ in range(40):
        row = bench.ok("GET", ORDER, symbol="BTCUSDT", origClientOrderId="waits")
        if row["status"] == "FILLED":
            break
        bench.advance(250)
    assert row["status"] == "FILLED"
    trades = bench.ok("GET", "/api/v3/myTrades", symbol="BTCUSDT")
    assert all(one["isMaker"] and one["price"] == row["price"] for one in trades)
    assert sum(Decimal(one["qty"]) for one in trades) == Decimal("0.05")
    assert len(trades) > 1
    paid = sum(Decimal(one["commission"]) for one in trades)
    assert bench.held("spot", "BTC").total == Decimal("0.05") - paid
    assert bench.held("spot", "USDT").locked == 0


def test_counts_of_orders_and_money_conserved(bench: SpotBench) -> None:
    for _ in range(3):
        bench.order("BUY", "MARKET", quantity="0.001")
    counts = [row["count"] for row in bench.ok("GET", "/api/v3/rateLimit/order")]
    assert counts == [3, 3]
    bench.advance(10_000)
    assert [row["count"] for row in bench.ok("GET", "/api/v3/rateLimit/order")] == [0, 3]
    assert set(bench.house.engine.totals().values()) == {0}
    assert len(bench.house.engine.fills(f"{USER}:spot")) == 3
