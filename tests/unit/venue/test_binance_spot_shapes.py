"""Private answers of `api/v3` and `sapi` have the keys and types of the exchange's documented payloads."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from services.venue.binance_spot_stream import ApiSession
from tests.helpers.recordings import SHARED, missing
from tests.unit.venue.binance_spot_bench import SpotBench

FOLDER = "wire/binance"
pytestmark = pytest.mark.skipif(bool(missing(FOLDER)), reason=missing(FOLDER) or "there")

TRADING = "Endpoints/Spot/Trading"
ACCOUNT = "Endpoints/Spot/Account"
DATA = "Endpoints/Spot/ExchangeData"
USER = "Subscriptions/Spot/Account"

# Only isolated margin, which is not had here, and the last of several tiers fill these.
ABSENT = {"isolatedSymbol", "maxUsdValue"}


def lived() -> SpotBench:
    """A user who has done everything once: traded, borrowed, owed interest, repaid, transferred."""
    bench = SpotBench(speed=3_600.0)
    bench.deposit("spot", "USDT", "100000")
    bench.deposit("margin", "USDT", "20000")
    bench.order("BUY", "MARKET", quantity="0.1")
    bid, ask = bench.top()
    bench.order("SELL", price=f"{ask * 2:.2f}", quantity="0.01", newClientOrderId="resting")
    bench.order("SELL", price=f"{ask * 2:.2f}", quantity="0.01", newClientOrderId="second")
    bench.ok(
        "POST", "/sapi/v1/margin/borrow-repay", asset="BTC", amount="0.05", type="BORROW", isIsolated="FALSE"
    )
    bench.order("SELL", "MARKET", quantity="0.05", wallet="margin")
    for name in ("resting", "second"):
        bench.order("BUY", price=f"{bid / 2:.2f}", quantity="0.01", wallet="margin", newClientOrderId=name)
    bench.ok("POST", "/sapi/v1/asset/transfer", type="MAIN_UMFUTURE", asset="USDT", amount="10")
    bench.advance(1_500)
    bench.order("BUY", "MARKET", quantity="0.02", wallet="margin")
    bench.ok(
        "POST", "/sapi/v1/margin/borrow-repay", asset="BTC", amount="0.01", type="REPAY", isIsolated="FALSE"
    )
    return bench


def body_of(name: str) -> tuple[str, str, Any]:
    """Method, path and documented answer of a payload file."""
    text = (SHARED / FOLDER / f"{name}.txt").read_text(encoding="utf-8")
    lines = text.splitlines()
    found = re.search(r"^\s*[\[{]", text, re.MULTILINE)
    assert found is not None
    return lines[0].strip(), lines[1].strip(), json.loads(text[found.start() :])


def differences(documented: Any, ours: Any, path: str = "") -> list[str]:
    """Where keys or JSON types differ; of arrays the first elements are compared."""
    if isinstance(documented, dict) and isinstance(ours, dict):
        found = [f"{path}.{key} is missing" for key in documented.keys() - ours.keys() - ABSENT]
        found += [f"{path}.{key} is ours alone" for key in ours.keys() - documented.keys()]
        for key in documented.keys() & ours.keys():
            found += differences(documented[key], ours[key], f"{path}.{key}")
        return found
    if isinstance(documented, list) and isinstance(ours, list):
        if not documented:
            return []
        return differences(documented[0], ours[0], f"{path}[0]") if ours else [f"{path} is empty"]
    if type(documented) is type(ours) or {type(documented), type(ours)} == {int, float}:
        return []
    return [f"{path}: {type(ours).__name__} instead of {type(documented).__name__}"]


PAIR = {"symbol": "BTCUSDT"}
CASES: dict[str, dict[str, Any]] = {
    f"{TRADING}/PlaceOrder": {**PAIR, "side": "BUY", "type": "MARKET", "quantity": "0.01"},
    f"{TRADING}/PlaceTestOrder": {
        **PAIR,
        "side": "BUY",
        "type": "MARKET",
        "quantity": "0.01",
        "computeCommissionRates": "true",
    },
    f"{TRADING}/GetOrder": {**PAIR, "origClientOrderId": "resting"},
    f"{TRADING}/GetOrders": PAIR,
    f"{TRADING}/GetOpenOrders": PAIR,
    f"{TRADING}/GetUserTrades": PAIR,
    f"{TRADING}/CancelOrder": {**PAIR, "origClientOrderId": "resting"},
    f"{TRADING}/CancelAllOrders": PAIR,
    f"{TRADING}/PlaceMarginOrder": {
        **PAIR,
        "side": "SELL",
        "type": "MARKET",
        "quantity": "0.06",
        "sideEffectType": "MARGIN_BUY",
    },
    f"{TRADING}/GetMarginOrder": {**PAIR, "origClientOrderId": "resting"},
    f"{TRADING}/GetMarginOrders": PAIR,
    f"{TRADING}/GetOpenMarginOrders": PAIR,
    f"{TRADING}/GetMarginUserTrades": PAIR,
    f"{TRADING}/CancelMarginOrder": {**PAIR, "origClientOrderId": "resting"},
    f"{TRADING}/CancelAllMarginOrders": PAIR,
    f"{ACCOUNT}/GetAPIKeyPermissions": {},
    f"{ACCOUNT}/GetAccountInfo": {},
    f"{ACCOUNT}/GetAccountStatus": {},
    f"{ACCOUNT}/GetTradingStatus": {},
    f"{ACCOUNT}/GetBalances": {},
    f"{ACCOUNT}/GetUserAssets": {},
    f"{ACCOUNT}/GetBnbBurnStatus": {},
    f"{ACCOUNT}/SetBnbBurnStatus": {"spotBNBBurn": "false"},
    f"{ACCOUNT}/GetCommissionRates": PAIR,
    f"{ACCOUNT}/GetTradeFee": {},
    f"{ACCOUNT}/Transfer": {"type": "MAIN_MARGIN", "asset": "USDT", "amount": "1"},
    f"{ACCOUNT}/GetTransfers": {"type": "MAIN_UMFUTURE"},
    f"{ACCOUNT}/GetOrderRateLimitStatus": {},
    f"{ACCOUNT}/GetMarginOrderRateLimitStatus": {},
    f"{ACCOUNT}/GetMarginAccountInfo": {},
    f"{ACCOUNT}/GetMarginLevelInformation": {},
    f"{ACCOUNT}/GetMarginMaxBorrowAmount": {"asset": "BTC"},
    f"{ACCOUNT}/GetMarginMaxTransferAmount": {"asset": "USDT"},
    f"{ACCOUNT}/MarginBorrow": {"asset": "BTC", "amount": "0.001", "type": "BORROW", "isIsolated": "FALSE"},
    f"{ACCOUNT}/MarginRepay": {"asset": "BTC", "amount": "0.001", "type": "REPAY", "isIsolated": "FALSE"},
    f"{ACCOUNT}/GetMarginLoans": {"type": "BORROW"},
    f"{ACCOUNT}/GetMarginRepays": {"type": "REPAY"},
    f"{ACCOUNT}/GetMarginInterestHistory": {},
    f"{ACCOUNT}/GetMarginInterestRateHistory": {"asset": "BTC"},
    f"{ACCOUNT}/GetInterestMarginData": {"coin": "BTC"},
    f"{DATA}/GetMarginAssets": {},
    f"{DATA}/GetMarginSymbols": {},
    f"{DATA}/GetMarginPriceIndex": PAIR,
    f"{DATA}/GetCrossMarginCollateralRatio": {},
    f"{DATA}/GetFutureHourlyInterestRate": {"assets": "BTC,ETH", "isIsolated": "FALSE"},
}


@pytest.fixture
def bench() -> SpotBench:
    return lived()


@pytest.mark.parametrize("name", CASES)
def test_answer_has_the_documented_shape(name: str, bench: SpotBench) -> None:
    method, path, documented = body_of(name)
    assert differences(documented, bench.ok(method, path, **CASES[name])) == []


def test_a_test_order_changes_nothing(bench: SpotBench) -> None:
    before = bench.house.engine.snapshot()
    wanted = {**PAIR, "side": "BUY", "type": "MARKET", "quantity": "0.01"}
    assert bench.ok("POST", "/api/v3/order/test", **wanted) == {}
    assert bench.house.engine.snapshot() == before


def test_the_wallets_that_are_empty_answer_empty_arrays(bench: SpotBench) -> None:
    assert bench.ok("POST", "/sapi/v1/asset/get-funding-asset") == []
    assert bench.ok("GET", "/sapi/v1/margin/isolated/allPairs") == []
    assert bench.ok("GET", "/sapi/v1/margin/forceLiquidationRec") == {"rows": [], "total": 0}


def _order(bench: SpotBench) -> None:
    bid, _ = bench.top()
    bench.order("BUY", price=f"{bid / 2:.2f}", quantity="0.01")


def _transfer(bench: SpotBench) -> None:
    bench.ok("POST", "/sapi/v1/asset/transfer", type="MAIN_UMFUTURE", asset="USDT", amount="1")


STREAMS: dict[str, tuple[str, Callable[[SpotBench], None]]] = {
    f"{USER}/Order": ("executionReport", _order),
    f"{USER}/AccountPosition": ("outboundAccountPosition", _order),
    f"{USER}/Balance": ("balanceUpdate", _transfer),
}


@pytest.mark.parametrize("name", STREAMS)
def test_stream_event_has_the_documented_shape(name: str, bench: SpotBench) -> None:
    text = (SHARED / FOLDER / f"{name}.txt").read_text(encoding="utf-8")
    documented = json.loads(text.split("\n=", 1)[1])
    answer = json.loads(re.sub(r"\|1\|", '"1"', text.split("\n< ", 1)[1].split("\n=", 1)[0]))
    kind, work = STREAMS[name]
    session = ApiSession(bench.house)
    found = bench.ask(session, "userDataStream.subscribe.signature", bench.signed())
    assert differences(answer, found) == []
    work(bench)
    pushed = [json.loads(frame.text) for frame in session.push(bench.now)]
    ours = next(one for one in pushed if one["event"]["e"] == kind)
    assert differences(documented, ours) == []
