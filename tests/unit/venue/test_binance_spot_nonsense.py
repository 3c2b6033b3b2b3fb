"""Whatever a call says, it is answered or refused in the venue's form, and no money comes or goes by it."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.venue.binance_spot_routes import PRIVATE
from services.venue.binance_spot_stream import ApiSession
from tests.unit.venue.binance_spot_bench import SpotBench

NAMES = [
    *("symbol", "side", "type", "timeInForce", "quantity", "price", "quoteOrderQty", "newClientOrderId"),
    *("newOrderRespType", "orderId", "origClientOrderId", "limit", "startTime", "endTime", "fromId"),
    *("asset", "assets", "amount", "isIsolated", "coin", "current", "size", "validity", "spotBNBBurn"),
    *("cancelRestrictions", "sideEffectType", "txId", "omitZeroBalances", "selfTradePreventionMode"),
]
VALUES = st.one_of(
    st.sampled_from(
        [
            *("BTCUSDT", "ETHUSDT", "BTC", "USDT", "NOPE", "BUY", "SELL", "LIMIT", "MARKET", "LIMIT_MAKER"),
            *("GTC", "IOC", "FOK", "ACK", "FULL", "TRUE", "FALSE", "BORROW", "REPAY", "MAIN_UMFUTURE"),
            *("UMFUTURE_MAIN", "MARGIN_MAIN", "MAIN_MARGIN", "MARGIN_BUY", "AUTO_REPAY", "AUTO_BORROW_REPAY"),
            *("0", "1", "0.001", "0.1", "100000", "121394.18", "1000000", "-1", "1e5", "NaN", "Infinity", ""),
            *("0.00000001", "99999999999999999999.99999999", "99999999999999999999", "open", "é", "1" * 30),
        ]
    ),
    st.text(max_size=8),
)
CALLS = st.lists(
    st.tuples(st.sampled_from(sorted(PRIVATE)), st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=8)),
    min_size=1,
    max_size=12,
)
# So that a good part of the calls get as far as the engine.
LIKELY: dict[str, dict[str, str]] = {
    "/api/v3/order": {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.001"},
    "/sapi/v1/margin/order": {"symbol": "BTCUSDT", "side": "SELL", "type": "MARKET", "quantity": "0.001"},
    "/sapi/v1/margin/borrow-repay": {"asset": "BTC", "type": "BORROW", "amount": "0.001"},
    "/sapi/v1/asset/transfer": {"asset": "USDT", "type": "MAIN_MARGIN", "amount": "10"},
}


def rich() -> SpotBench:
    bench = SpotBench()
    bench.deposit("spot", "USDT", "10000")
    bench.deposit("spot", "BTC", "0.5")
    bench.deposit("margin", "USDT", "10000")
    bench.order("BUY", price="100000", quantity="0.001", newClientOrderId="open")
    return bench


@settings(max_examples=150, deadline=None, derandomize=True)
@given(CALLS)
def test_no_call_breaks_the_venue(calls: list[tuple[tuple[str, str], dict[str, str]]]) -> None:
    bench = rich()
    for (method, path), said in calls:
        params: dict[str, Any] = {**LIKELY.get(path, {}), **said}
        answer = bench.send(method, path, **params)
        body = json.loads(answer.body)
        if answer.status != 200:
            assert body.keys() == {"code", "msg"}
            assert (answer.status, body["code"]) != (400, -1000), (method, path, params)
    engine = bench.house.engine
    assert set(engine.totals().values()) == {0}
    for account in engine.accounts:
        assert all(
            one.total >= 0 and 0 <= one.locked <= one.total for one in engine.balances(account).values()
        )


SAID = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=8),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=5,
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    st.sampled_from(
        [
            *("userDataStream.subscribe.signature", "userDataStream.subscribe.listenToken"),
            *("userDataStream.unsubscribe", "session.logon", "order.place", "ping"),
        ]
    ),
    st.one_of(
        SAID,
        st.dictionaries(
            st.sampled_from(["apiKey", "timestamp", "signature", "listenToken", "x"]), SAID, max_size=4
        ),
    ),
)
def test_no_request_breaks_a_connection(method: str, params: Any) -> None:
    bench = _BENCH
    session = ApiSession(bench.house)
    text = json.dumps({"id": 1, "method": method, "params": params})
    frames = session.hear(text, bench.now)
    assert len(frames) == 1
    assert json.loads(frames[0].text)["id"] == 1
    assert session.push(bench.now) == []


_BENCH = SpotBench()
