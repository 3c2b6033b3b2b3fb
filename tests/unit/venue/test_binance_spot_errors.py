"""What Binance refuses on spot, margin and `sapi`: code, text, and the exception that ccxt makes of each.

ccxt chooses by the real host's name, so `handle_errors` is given the very URL that it would have called.
"""

from __future__ import annotations

import json
from typing import Any

import ccxt
import pytest

from libs.exchange.engine.commands import Reason
from services.venue import binance_spot_errors as errors
from services.venue import keys
from services.venue.binance_spot_routes import PRIVATE
from tests.unit.venue.binance_spot_bench import HOST, USER, SpotBench

ORDER, MARGIN_ORDER = "/api/v3/order", "/sapi/v1/margin/order"
TRANSFER, LOAN = "/sapi/v1/asset/transfer", "/sapi/v1/margin/borrow-repay"
BUY = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC"}
MARKET = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET"}
MAKER = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT_MAKER"}
BORROW = {"type": "BORROW", "isIsolated": "FALSE"}
REPAY = {"type": "REPAY", "isIsolated": "FALSE"}
DECIMAL = r"^([0-9]{1,20})(\.[0-9]{1,20})?$"
BALANCE = "Account has insufficient balance for requested action."

Case = tuple[str, str, dict[str, Any], int, str, type[ccxt.BaseError]]

CASES: dict[str, Case] = {
    "no balance": ("POST", ORDER, {**MARKET, "quantity": "1"}, -2010, BALANCE, ccxt.InsufficientFunds),
    "no balance for a resting order": (
        *("POST", ORDER, {**BUY, "price": "100000", "quantity": "1"}),
        *(-2010, BALANCE, ccxt.InsufficientFunds),
    ),
    "nothing to sell": (
        *("POST", ORDER, {**MARKET, "side": "SELL", "quantity": "1"}),
        *(-2010, BALANCE, ccxt.InsufficientFunds),
    ),
    "post-only would take": (
        *("POST", ORDER, {**MAKER, "price": "125000", "quantity": "0.001"}),
        *(-2010, "Order would immediately match and take.", ccxt.OrderImmediatelyFillable),
    ),
    "duplicate": (
        *("POST", ORDER, {**BUY, "price": "100000", "quantity": "0.001", "newClientOrderId": "open"}),
        *(-2010, "Duplicate order sent.", ccxt.InvalidOrder),
    ),
    "tick": (
        *("POST", ORDER, {**BUY, "price": "100000.001", "quantity": "0.001"}),
        *(-1013, "Filter failure: PRICE_FILTER", ccxt.InvalidOrder),
    ),
    "step": (
        *("POST", ORDER, {**MARKET, "quantity": "0.0000101"}),
        *(-1013, "Filter failure: LOT_SIZE", ccxt.InvalidOrder),
    ),
    "below the least quantity": (
        *("POST", ORDER, {**MARKET, "quantity": "0.000001"}),
        *(-1013, "Filter failure: LOT_SIZE", ccxt.InvalidOrder),
    ),
    "more than a market order may": (
        *("POST", ORDER, {**MARKET, "quantity": "402"}),
        *(-1013, "Filter failure: MARKET_LOT_SIZE", ccxt.InvalidOrder),
    ),
    "more than a limit order may": (
        *("POST", ORDER, {**BUY, "price": "100000", "quantity": "402"}),
        *(-1013, "Filter failure: LOT_SIZE", ccxt.InvalidOrder),
    ),
    "notional": (
        *("POST", ORDER, {**BUY, "price": "100000", "quantity": "0.00005"}),
        *(-1013, "Filter failure: MIN_NOTIONAL", ccxt.BadRequest),
    ),
    "price out of its band": (
        *("POST", ORDER, {**BUY, "side": "SELL", "price": "900000", "quantity": "0.001"}),
        *(-1013, "Filter failure: PERCENT_PRICE_BY_SIDE", ccxt.InvalidOrder),
    ),
    "quantity zero": (
        *("POST", ORDER, {**MARKET, "quantity": "0"}),
        *(-1013, "Invalid quantity.", ccxt.BadRequest),
    ),
    "precision": (
        *("POST", ORDER, {**MARKET, "quantity": "0.000000001"}),
        *(-1111, "Parameter 'quantity' has too much precision.", ccxt.BadRequest),
    ),
    "letters in a number": (
        *("POST", ORDER, {**MARKET, "quantity": "1e-3"}),
        -1100,
        f"Illegal characters found in parameter 'quantity'; legal range is '{DECIMAL}'.",
        ccxt.BadRequest,
    ),
    "symbol": (
        *("POST", ORDER, {**MARKET, "symbol": "NOPEUSDT", "quantity": "1"}),
        *(-1121, "Invalid symbol.", ccxt.BadSymbol),
    ),
    "mandatory": (
        *("POST", ORDER, MARKET, -1102),
        "Mandatory parameter 'quantity' was not sent, was empty/null, or malformed.",
        ccxt.BadRequest,
    ),
    "empty": (
        *("POST", ORDER, {**MARKET, "quantity": "1", "newClientOrderId": ""}),
        *(-1105, "Parameter 'newClientOrderId' was empty.", ccxt.BadRequest),
    ),
    "not read": (
        *("POST", ORDER, {**MARKET, "quantity": "1", "reduceOnly": "true"}, -1104),
        "Not all sent parameters were read; read '6' parameter(s) but was sent '7'.",
        ccxt.BadRequest,
    ),
    "not required": (
        *("POST", ORDER, {**MARKET, "quantity": "1", "timeInForce": "GTC"}),
        *(-1106, "Parameter 'timeInForce' sent when not required.", ccxt.BadRequest),
    ),
    "time in force": (
        *("POST", ORDER, {**BUY, "timeInForce": "GTX", "price": "100000", "quantity": "1"}),
        *(-1115, "Invalid timeInForce.", ccxt.BadRequest),
    ),
    "type": ("POST", ORDER, {**MARKET, "type": "STOP"}, -1116, "Invalid orderType.", ccxt.BadRequest),
    "stop loss": (
        *("POST", ORDER, {**MARKET, "type": "STOP_LOSS", "stopPrice": "1"}),
        *(-2010, "Stop loss orders are not supported for this symbol.", ccxt.InvalidOrder),
    ),
    "side": ("POST", ORDER, {**MARKET, "side": "LONG"}, -1117, "Invalid side.", ccxt.BadRequest),
    "canceling what is not there": (
        *("DELETE", ORDER, {"symbol": "BTCUSDT", "origClientOrderId": "nobody"}),
        *(-2011, "Unknown order sent.", ccxt.OrderNotFound),
    ),
    "canceling on another market": (
        *("DELETE", ORDER, {"symbol": "ETHUSDT", "origClientOrderId": "open"}),
        *(-2011, "Unknown order sent.", ccxt.OrderNotFound),
    ),
    "canceling nothing at all": (
        *("DELETE", "/api/v3/openOrders", {"symbol": "ETHUSDT"}),
        *(-2011, "Unknown order sent.", ccxt.OrderNotFound),
    ),
    "canceling under a condition": (
        *("DELETE", ORDER, {"symbol": "BTCUSDT", "origClientOrderId": "open"}),
        *(-2011, "Order was not canceled due to cancel restrictions.", ccxt.OrderNotFound),
    ),
    "asking for what is not there": (
        *("GET", ORDER, {"symbol": "BTCUSDT", "orderId": "999"}),
        *(-2013, "Order does not exist.", ccxt.OrderNotFound),
    ),
    "asking on another market": (
        *("GET", ORDER, {"symbol": "ETHUSDT", "orderId": "OPEN"}),
        *(-2013, "Order does not exist.", ccxt.OrderNotFound),
    ),
    "asking for nothing": (
        *("GET", ORDER, {"symbol": "BTCUSDT"}, -1102),
        "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!",
        ccxt.BadRequest,
    ),
    "too long a time": (
        *("GET", "/api/v3/myTrades", {"symbol": "BTCUSDT", "startTime": "1", "endTime": "86400002"}),
        *(-1127, "More than 24 hours between startTime and endTime.", ccxt.BadRequest),
    ),
    "margin: no balance": (
        *("POST", MARGIN_ORDER, {**MARKET, "side": "SELL", "quantity": "1"}),
        *(-2010, BALANCE, ccxt.InsufficientFunds),
    ),
    "margin: borrows too much": (
        *("POST", MARGIN_ORDER, {**MARKET, "side": "SELL", "quantity": "1", "sideEffectType": "MARGIN_BUY"}),
        *(-3006, "Your borrow amount has exceed maximum borrow amount.", ccxt.BadRequest),
    ),
    "margin: isolated": (
        *("GET", "/sapi/v1/margin/openOrders", {"symbol": "BTCUSDT", "isIsolated": "TRUE"}),
        *(-11001, "Isolated margin account does not exist.", ccxt.ExchangeError),
    ),
    "borrow: too much": (
        *("POST", LOAN, {**BORROW, "asset": "BTC", "amount": "1"}),
        *(-3006, "Your borrow amount has exceed maximum borrow amount.", ccxt.BadRequest),
    ),
    "borrow: no such asset": (
        *("POST", LOAN, {**BORROW, "asset": "NOPE", "amount": "1"}),
        *(-3027, "Not a valid margin asset.", ccxt.BadSymbol),
    ),
    "borrow: nothing": (
        *("POST", LOAN, {**BORROW, "asset": "BTC", "amount": "0"}),
        *(-3013, "Borrow amount less than minimum borrow amount.", ccxt.BadRequest),
    ),
    "repay: more than is owed": (
        *("POST", LOAN, {**REPAY, "asset": "BTC", "amount": "0.02"}),
        *(-3015, "Repay amount exceeds borrow amount.", ccxt.BadRequest),
    ),
    "repay: nothing is owed": (
        *("POST", LOAN, {**REPAY, "asset": "ETH", "amount": "1"}),
        *(-3015, "Repay amount exceeds borrow amount.", ccxt.BadRequest),
    ),
    "repay: not had": (
        *("POST", LOAN, {**REPAY, "asset": "BTC", "amount": "0.01"}),
        *(-3041, "Balance is not enough", ccxt.InsufficientFunds),
    ),
    "transfer: not had": (
        *("POST", TRANSFER, {"type": "MAIN_UMFUTURE", "asset": "USDT", "amount": "1000000"}),
        *(-5013, "Asset transfer failed: insufficient balance", ccxt.InsufficientFunds),
    ),
    "transfer: back from futures": (
        *("POST", TRANSFER, {"type": "UMFUTURE_MAIN", "asset": "USDT", "amount": "1"}),
        *(-5013, "Asset transfer failed: insufficient balance", ccxt.InsufficientFunds),
    ),
    "transfer: a debt stands on it": (
        *("POST", TRANSFER, {"type": "MARGIN_MAIN", "asset": "USDT", "amount": "3000"}),
        *(-3020, "Transfer out amount exceeds max amount.", ccxt.BadRequest),
    ),
    "transfer: more than the margin wallet has": (
        *("POST", TRANSFER, {"type": "MARGIN_UMFUTURE", "asset": "ETH", "amount": "1"}),
        *(-3020, "Transfer out amount exceeds max amount.", ccxt.BadRequest),
    ),
    "transfer: no such type": (
        *("POST", TRANSFER, {"type": "MAIN_MOON", "asset": "USDT", "amount": "1"}),
        *(-3026, "Your input param is invalid.", ccxt.BadRequest),
    ),
}


@pytest.fixture(scope="module")
def bench() -> SpotBench:
    """Refusals change nothing: one house serves them all."""
    made = SpotBench()
    made.deposit("spot", "USDT", "1000")
    made.deposit("spot", "BTC", "0.01")
    made.deposit("margin", "USDT", "3000")
    made.ok("POST", LOAN, asset="BTC", amount="0.01", **BORROW)
    made.order("SELL", "MARKET", quantity="0.01", wallet="margin")
    made.order("BUY", price="100000", quantity="0.001", newClientOrderId="open")
    return made


@pytest.mark.parametrize("name", CASES)
def test_refusals(name: str, bench: SpotBench) -> None:
    method, path, params, code, text, exception = CASES[name]
    sent = dict(params)
    if name == "canceling under a condition":
        sent["cancelRestrictions"] = "ONLY_PARTIALLY_FILLED"
    if sent.get("orderId") == "OPEN":
        sent["orderId"] = bench.ok("GET", ORDER, symbol="BTCUSDT", origClientOrderId="open")["orderId"]
    before = bench.house.engine.snapshot()
    answer = bench.send(method, path, **sent)
    assert (json.loads(answer.body)["code"], json.loads(answer.body)["msg"]) == (code, text)
    assert answer.status == 400
    assert bench.house.engine.snapshot() == before
    assert made_by_ccxt(answer.status, method, path, answer.body.decode()) is exception


def made_by_ccxt(status: int, method: str, path: str, body: str) -> type[BaseException]:
    """The class of what unmodified ccxt raises for an answer of the real host."""
    exchange = ccxt.binance()
    url = f"https://{HOST}{path}"
    with pytest.raises(ccxt.BaseError) as caught:
        exchange.handle_errors(status, "Bad Request", url, method, {}, body, json.loads(body), {}, None)
    return caught.type


def test_keys_signatures_and_times(bench: SpotBench) -> None:
    def code(**params: Any) -> tuple[int, int]:
        answer = bench.send("GET", "/api/v3/account", **params)
        return answer.status, json.loads(answer.body)["code"]

    stranger = keys.make("binance", USER, seed=99)
    assert code(key=stranger) == (401, -2015)
    assert code(signed=False) == (400, -1102)
    assert code(timestamp=bench.wall_ms - 5_001) == (400, -1021)
    assert code(timestamp=bench.wall_ms + 1_000) == (400, -1021)
    assert code(recvWindow=60_001) == (400, -1131)
    forged = keys.Key(user=USER, api_key=bench.key.api_key, secret="not it")
    assert code(key=forged) == (400, -1022)
    blind = keys.make("binance", USER, seed=7, number=1, permissions=frozenset({"spot"}))
    bench.house.add_key(blind)
    assert code(key=blind) == (401, -2015)


def test_a_key_without_margin_borrows_neither_by_call_nor_by_order(bench: SpotBench) -> None:
    key = keys.make("binance", USER, seed=7, number=2, permissions=frozenset({"read", "spot"}))
    bench.house.add_key(key)
    words = (-2015, "Invalid API-key, IP, or permissions for action.")
    wanted: dict[str, Any] = {**MARKET, "side": "SELL", "quantity": "0.001"}
    assert bench.refused("POST", LOAN, key=key, asset="BTC", amount="0.001", **BORROW) == words
    assert bench.refused("POST", MARGIN_ORDER, key=key, **wanted, sideEffectType="MARGIN_BUY") == words
    assert bench.refused("POST", TRANSFER, key=key, type="MAIN_MARGIN", asset="USDT", amount="1") == words


def test_a_key_that_only_reads_neither_trades_nor_cancels(bench: SpotBench) -> None:
    key = keys.make("binance", USER, seed=7, number=3, permissions=frozenset({"read"}))
    bench.house.add_key(key)
    words = (-2015, "Invalid API-key, IP, or permissions for action.")
    for path in (ORDER, MARGIN_ORDER):
        assert bench.refused("POST", path, key=key, **MARKET, quantity="0.001") == words
        assert bench.refused("DELETE", path, key=key, symbol="BTCUSDT", origClientOrderId="open") == words
    for path in ("/api/v3/openOrders", "/sapi/v1/margin/openOrders"):
        assert bench.refused("DELETE", path, key=key, symbol="BTCUSDT") == words
    assert bench.refused("POST", "/sapi/v1/bnbBurn", key=key, spotBNBBurn="true") == words


def test_every_call_that_changes_something_needs_more_than_reading() -> None:
    """But for the stream's ticket and for lists that Binance has under POST."""
    reading = {"/sapi/v1/userListenToken", "/sapi/v3/asset/getUserAsset", "/sapi/v1/asset/get-funding-asset"}
    for (method, path), route in PRIVATE.items():
        assert (route.permission == "read") is (method == "GET" or path in reading), (method, path)
        assert route.orders == int((method, path) in {("POST", ORDER), ("POST", MARGIN_ORDER)})


def test_every_reason_of_an_order_has_its_words() -> None:
    """What a contract alone can be refused for does not come up here."""
    of_contracts = {
        *(Reason.UNKNOWN_ACCOUNT, Reason.POSITION_LIMIT, Reason.REDUCE_ONLY, Reason.POSITION_SIDE),
        *(Reason.LEVERAGE, Reason.ALREADY_SET, Reason.HAS_POSITION, Reason.HAS_ORDERS),
        *(Reason.NOTHING_BORROWED, Reason.NO_POSITION),
    }
    assert set(Reason) - of_contracts == errors.ORDER.keys()
