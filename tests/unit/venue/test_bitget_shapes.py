"""Bitget's private answers and pushes have the keys and types of the exchange's documented payloads."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from services.venue import bitget
from tests.helpers.recordings import SHARED, missing
from tests.unit.venue.bitget_bench import BitgetBench

FOLDER = "wire/bitget"
pytestmark = pytest.mark.skipif(bool(missing(FOLDER)), reason=missing(FOLDER) or "there")

Ask = Callable[[BitgetBench], Any]
PERPS = {"category": "USDT-FUTURES"}

# A list whose elements the real venue shows, and we have none of: coins have no leverage of their own here.
EMPTY = {".data.coinConfigList"}


def lived() -> BitgetBench:
    """A user who has done everything once: traded in all ways, borrowed, closed, transferred, been funded."""
    bench = BitgetBench(speed=36_000.0, usdt="100000")
    bench.deposit("USDT", "1000", "funding")
    bench.order("buy", "0.1", "SPOT", price=str(bench.top("spot")[1]))
    bench.order("buy", "1000", "SPOT", clientOid="bycost")
    bench.order("sell", "0.5", "MARGIN")
    bench.order("sell", "0.2")
    bench.advance(1_000)
    bench.order("buy", "0.2", reduceOnly="yes")
    bench.order("sell", "0.2")
    bench.order("sell", "0.001", price=str(bench.top()[1] + 4000), clientOid="resting")
    bench.order("sell", "0.001", price=str(bench.top()[1] + 4000), clientOid="second")
    return bench


def body_of(name: str) -> tuple[str, str, Any]:
    """Method, path and documented answer of a payload file."""
    text = (SHARED / FOLDER / f"Endpoints/Unified/{name}.txt").read_text(encoding="utf-8")
    lines = text.splitlines()
    found = re.search(r"^[\[{]", text, re.MULTILINE)
    assert found is not None
    return lines[0].strip(), lines[1].strip(), json.loads(text[found.start() :])


def differences(documented: Any, ours: Any, path: str = "") -> list[str]:
    """Where keys or JSON types differ; each element of our lists stands against the first documented one."""
    if isinstance(documented, dict) and isinstance(ours, dict):
        found = [f"{path}.{key} is missing" for key in documented.keys() - ours.keys()]
        found += [f"{path}.{key} is ours alone" for key in ours.keys() - documented.keys()]
        for key in documented.keys() & ours.keys():
            found += differences(documented[key], ours[key], f"{path}.{key}")
        return found
    if isinstance(documented, list) and isinstance(ours, list):
        if documented and not ours and path not in EMPTY:
            return [f"{path} is empty: nothing was compared"]
        return [line for one in ours for line in differences(documented[0], one, f"{path}[0]")]
    if documented is None or type(documented) is type(ours):
        return []
    return [f"{path}: {type(ours).__name__} instead of {type(documented).__name__}"]


GETS: dict[str, Ask] = {
    "Account/GetAccountConfig": lambda b: b.whole("GET", "account/settings"),
    "Account/GetAccountInfo": lambda b: b.whole("GET", "account/info"),
    "Account/GetBalances": lambda b: b.whole("GET", "account/assets"),
    "Account/GetDeductStatus": lambda b: b.whole("GET", "account/deduct-info"),
    "Account/GetFee": lambda b: b.whole("GET", "account/fee-rate", category="SPOT", symbol="ETHUSDT"),
    "Account/GetFinancialRecords": lambda b: b.whole("GET", "account/financial-records", category="MARGIN"),
    "Account/GetFundingBalances": lambda b: b.whole("GET", "account/funding-assets"),
    "Account/GetMaxTransferable": lambda b: b.whole("GET", "account/max-transferable", coin="USDT"),
    "Account/GetPaymentAssets": lambda b: b.whole("GET", "account/payment-coins"),
    "Account/GetRepayableAssets": lambda b: b.whole("GET", "account/repayable-coins"),
    "Account/GetTransferableAssets": lambda b: b.whole(
        "GET", "account/transferable-coins", fromType="spot", toType="uta"
    ),
    "Trading/GetClosedOrders": lambda b: b.whole("GET", "trade/history-orders", category="SPOT"),
    "Trading/GetOpenOrders": lambda b: b.whole("GET", "trade/unfilled-orders"),
    "Trading/GetOrder": lambda b: b.whole("GET", "trade/order-info", clientOid="bycost"),
    "Trading/GetPositionAdlRank": lambda b: b.whole("GET", "position/adlRank"),
    "Trading/GetPositionHistory": lambda b: b.whole("GET", "position/history-position", **PERPS),
    "Trading/GetPositions": lambda b: b.whole("GET", "position/current-position", **PERPS),
    "Trading/GetUserTrades": lambda b: b.whole("GET", "trade/fills"),
}
POSTS: dict[str, Ask] = {
    "Account/Repay": lambda b: b.whole(
        "POST", "account/repay", repayableCoinList=["BTC"], paymentCoinList=["USDT"]
    ),
    "Account/SetHoldMode": lambda b: b.whole("POST", "account/set-hold-mode", holdMode="one_way_mode"),
    "Account/SetLeverage": lambda b: b.whole(
        "POST", "account/set-leverage", symbol="ETHUSDT", leverage="5", **PERPS
    ),
    "Account/Transfer": lambda b: b.whole(
        "POST", "account/transfer", fromType="spot", toType="uta", coin="USDT", amount="10"
    ),
    "Trading/CancelAllOrders": lambda b: b.whole("POST", "trade/cancel-symbol-order", **PERPS),
    "Trading/CancelOrder": lambda b: b.whole("POST", "trade/cancel-order", clientOid="resting"),
    "Trading/ClosePositions": lambda b: b.whole("POST", "trade/close-positions", **PERPS),
    "Trading/GetMaxOpenAvailable": lambda b: b.whole(
        "POST",
        "account/max-open-available",
        symbol="ETHUSDT",
        orderType="limit",
        side="buy",
        size="0.1",
        **PERPS,
    ),
    "Trading/PlaceOrder": lambda b: b.whole(
        "POST",
        "trade/place-order",
        category="SPOT",
        symbol="ETHUSDT",
        side="buy",
        orderType="market",
        qty="100",
    ),
}
PUBLIC = {
    "ExchangeData/GetMarginLoanInterestRates": (bitget.ROUTES, {"coin": "BTC"}),
    "ExchangeData/GetPositionTiers": (bitget.ROUTES, {"category": "USDT-FUTURES", "symbol": "BTCUSDT"}),
}
# Documented as a GET, but a POST in ccxt and in the exchange's own pages.
POSTED = {"Trading/GetMaxOpenAvailable"}


@pytest.fixture(scope="module")
def bench() -> BitgetBench:
    return lived()


@pytest.mark.parametrize("name", GETS)
def test_what_is_asked_is_answered_in_the_documented_shape(bench: BitgetBench, name: str) -> None:
    method, path, documented = body_of(name)
    assert method == "GET"
    assert path.startswith("/api/v3/")
    assert differences(documented, GETS[name](bench)) == []


@pytest.mark.parametrize("name", POSTS)
def test_what_is_done_is_answered_in_the_documented_shape(name: str) -> None:
    method, _, documented = body_of(name)
    assert method == "POST" or name in POSTED
    assert differences(documented, POSTS[name](lived())) == []


@pytest.mark.parametrize("name", PUBLIC)
def test_market_data_about_borrowing_has_the_documented_shape(bench: BitgetBench, name: str) -> None:
    method, path, documented = body_of(name)
    routes, query = PUBLIC[name]
    call = msgspec.structs.replace(bench.call(method, path, {}), query=query)
    ours = msgspec.json.decode(routes[method, path].handler(bench.desk, call).body)
    assert differences(documented, ours) == []


def push_of(name: str) -> Any:
    text = (SHARED / FOLDER / f"Subscriptions/Unified/{name}.txt").read_text(encoding="utf-8")
    return json.loads(text.split("\n=", 1)[1])


@pytest.mark.parametrize(
    ("name", "topic"),
    [
        ("Order", "order"),
        ("UserTrade", "fill"),
        ("FastUserTrade", "fast-fill"),
        ("Account", "account"),
        ("Position", "position"),
    ],
)
def test_pushes_have_the_documented_shape(name: str, topic: str) -> None:
    bench = BitgetBench(usdt="100000")
    talk = bench.subscribed(topic)
    bench.order("buy", "0.1")
    bench.order("sell", "0.5", "MARGIN")
    bench.order("sell", "0.1", reduceOnly="yes")
    bench.advance(6_000)
    frames = bench.pushed(talk)
    assert len(frames) >= 3
    documented = push_of(name)
    for frame in frames:
        if frame["data"]:  # no positions are left: nothing to compare
            assert differences(documented, frame) == []
