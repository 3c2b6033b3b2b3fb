"""Every private answer and event of USD-M has the keys and types of the documented payload.

The payloads lie in the shared data set. Those of orders are of a trailing stop, so they have two fields that
the real venue sends with such orders only.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from libs.exchange.engine.commands import Liquidate
from libs.exchange.engine.types import PositionSide
from tests.helpers.recordings import SHARED
from tests.unit.venue.binance_usdm_bench import ACCOUNT, PERP, SYMBOL, UsdmBench
from tests.unit.venue.test_wire_shapes import differences

WIRE = SHARED / "wire" / "binance"
pytestmark = pytest.mark.data("wire")

TRAILING_ONLY = {"activatePrice", "priceRate"}
TRAILING_ONLY_EVENT = {"AP", "cr"}
# What ccxt has recorded live and the documentation leaves out.
MORE = {
    "Trading/PlaceMultipleOrders": {"closePosition"},
    "Trading/GetPositions": {
        *("initialMargin", "maintMargin", "positionInitialMargin", "openOrderInitialMargin"),
        *("adl", "bidNotional", "askNotional", "marginAsset"),
    },
}


def documented(name: str) -> tuple[str, str, Any]:
    """Method, path and body of an endpoint."""
    text = (WIRE / "Endpoints" / "UsdFutures" / f"{name}.txt").read_text(encoding="utf-8")
    method, path, _, body = text.split("\n", 3)
    return method.strip(), path.strip(), json.loads(body)


def event_of(name: str) -> Any:
    """A documented event, without its wrapping."""
    text = (WIRE / "Subscriptions" / "UsdFutures" / f"{name}.txt").read_text(encoding="utf-8")
    return json.loads(text.split("\n=", 1)[1])["data"]


def trimmed(name: str, body: Any, fields: set[str]) -> Any:
    """Without these fields, wherever they are."""
    if isinstance(body, dict):
        return {key: trimmed(name, value, fields) for key, value in body.items() if key not in fields}
    if isinstance(body, list):
        return [trimmed(name, value, fields) for value in body]
    return body


def busy() -> UsdmBench:
    """An account with a position, a resting order, a trade and a liquidation behind it."""
    bench = UsdmBench()
    bench.buy("0.1", "40000.0")
    forced = Liquidate(account=ACCOUNT, instrument=PERP, position_side=PositionSide.BOTH)
    bench.house.apply(forced, bench.now)
    bench.book()
    bench.buy("0.1", "40000.0")
    bench.buy("0.1", "39000.0", "GTC", newClientOrderId="rests")
    return bench


ORDER = UsdmBench.limit("BUY", "0.1", "39000.0")
BATCH = json.dumps([ORDER])
RESTING = {"symbol": SYMBOL, "origClientOrderId": "rests"}

ENDPOINTS: dict[str, dict[str, Any]] = {
    "Account/ChangeInitialLeverage": {"symbol": SYMBOL, "leverage": 21},
    "Account/GetAccountConfiguration": {},
    "Account/GetAccountInfo": {},
    "Account/GetAccountInfoV3": {},
    "Account/GetBalances": {},
    "Account/GetBnbBurnStatus": {},
    "Account/GetBrackets": {"symbol": SYMBOL},
    "Account/GetIncomeHistory": {},
    "Account/GetMultiAssetsMode": {},
    "Account/GetOrderRateLimit": {},
    "Account/GetPositionInformation": {"symbol": SYMBOL},
    "Account/GetSymbolConfiguration": {"symbol": SYMBOL},
    "Account/GetUserCommissionRate": {"symbol": SYMBOL},
    "Account/SetBnbBurnStatus": {"feeBurn": "true"},
    "Account/StartUserStream": {},
    "Trading/CancelAllOrders": {"symbol": SYMBOL},
    "Trading/CancelAllOrdersAfterTimeout": {"symbol": SYMBOL, "countdownTime": 100_000},
    "Trading/CancelMultipleOrders": {"symbol": SYMBOL, "origClientOrderIdList": '["rests"]'},
    "Trading/CancelOrder": RESTING,
    "Trading/GetForcedOrders": {},
    "Trading/GetOpenOrder": RESTING,
    "Trading/GetOpenOrders": {},
    "Trading/GetOrder": RESTING,
    "Trading/GetOrders": {"symbol": SYMBOL},
    "Trading/GetPositions": {},
    "Trading/GetUserTrades": {"symbol": SYMBOL},
    "Trading/PlaceMultipleOrders": {"batchOrders": BATCH},
    "Trading/PlaceOrder": ORDER,
}


@pytest.mark.parametrize("name", ENDPOINTS)
def test_an_answer_has_the_documented_shape(name: str) -> None:
    method, path, body = documented(name)
    ours = busy().send(method, path, **ENDPOINTS[name])
    more = MORE.get(name, set())
    expected = trimmed(name, body, TRAILING_ONLY)
    assert differences(expected, trimmed(name, ours, more)) == []
    if more:
        assert more <= ours[0].keys()


def test_settings_answer_in_the_documented_shape() -> None:
    bench = UsdmBench()
    for name, params in (
        ("Account/ChangeMarginType", {"symbol": SYMBOL, "marginType": "ISOLATED"}),
        ("Account/ModifyPositionMode", {"dualSidePosition": "true"}),
    ):
        method, path, body = documented(name)
        assert bench.send(method, path, **params) == body
    bench.stream()
    for name in ("Account/KeepAliveUserStream", "Account/StopUserStream"):
        method, path, body = documented(name)
        assert bench.send(method, path) == body


def test_adl_quantiles_have_the_documented_shape() -> None:
    _, path, body = documented("Account/GetPositionAdlQuantileEstimation")
    one_way = {row["symbol"]: row for row in body}["BTCUSDT"]
    (ours,) = busy().send("GET", path)
    assert differences(one_way, ours) == []


def _trade(bench: UsdmBench) -> None:
    bench.buy("0.1", "40000.0")


def _leverage(bench: UsdmBench) -> None:
    bench.send("POST", "leverage", symbol=SYMBOL, leverage=25)


def _thin_margin(bench: UsdmBench) -> None:
    bench.buy("4.7", "40001.0")  # maintenance 0.01 * 188000 - 300 = 1580, wallet 9906
    bench.wait(2_000)
    bench.mark(Decimal(38_250))


EVENTS: dict[str, tuple[str, Callable[[UsdmBench], None]]] = {
    "AccountUpdate": ("ACCOUNT_UPDATE", _trade),
    "OrderUpdate": ("ORDER_TRADE_UPDATE", _trade),
    "TradeUpdate": ("TRADE_LITE", _trade),
    "Leverage": ("ACCOUNT_CONFIG_UPDATE", _leverage),
    "MarginUpdate": ("MARGIN_CALL", _thin_margin),
}


@pytest.mark.parametrize("name", EVENTS)
def test_an_event_has_the_documented_shape(name: str) -> None:
    kind, happen = EVENTS[name]
    bench = UsdmBench()
    stream = bench.stream()
    happen(bench)
    ours = next(event for event in bench.heard(stream) if event["e"] == kind)
    expected = event_of(name)
    if name == "OrderUpdate":
        expected["o"] = {key: value for key, value in expected["o"].items() if key not in TRAILING_ONLY_EVENT}
    assert differences(expected, ours) == []


def test_a_listen_key_looks_like_one() -> None:
    *_, body = documented("Account/StartUserStream")
    ours = UsdmBench().send("POST", "listenKey")["listenKey"]
    assert len(ours) == len(body["listenKey"])
    assert ours.isalnum()
