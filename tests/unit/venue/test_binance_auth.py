"""A call is let in when ccxt's own signature says so, and refused with Binance's code when it is not."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import ccxt
import msgspec
import pytest
from msgspec.structs import replace

from services.venue import binance_auth, keys
from services.venue.faults import Fault
from services.venue.wire import Call, Refused
from tests.unit.venue.binance_usdm_bench import HOST, WALL0_MS, UsdmBench


def by_ccxt(bench: UsdmBench, method: str, path: str, params: dict[str, Any]) -> Call:
    """What an unmodified ccxt would send at the bench's time."""
    exchange = ccxt.binanceusdm({"apiKey": bench.key.api_key, "secret": bench.key.secret})
    params = {"timestamp": bench.wall_ms, **params}
    sent = exchange.sign(path, ["fapiPrivate"], method, params)
    parts = urlsplit(sent["url"])
    assert parts.hostname == HOST
    return Call(
        host=HOST,
        method=method,
        path=parts.path,
        query=dict(parse_qsl(parts.query)),
        raw_query=parts.query,
        headers={name.lower(): value for name, value in sent["headers"].items()},
        body=(sent["body"] or "").encode(),
        now=bench.now,
    )


def refusal(bench: UsdmBench, call: Call) -> tuple[int, int, str]:
    with pytest.raises(Refused) as caught:
        binance_auth.authenticate(bench.house, call)
    body = msgspec.json.decode(caught.value.answer.body)
    return caught.value.answer.status, body["code"], body["msg"]


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_what_ccxt_signs_is_let_in(method: str) -> None:
    bench = UsdmBench()
    call = by_ccxt(bench, method, "order", {"symbol": "BTCUSDT", "text": "a b/ü&c=d"})
    assert binance_auth.authenticate(bench.house, call) == bench.key
    assert binance_auth.parameters_of(call)["text"] == "a b/ü&c=d"


def test_ccxt_batches_are_let_in() -> None:
    bench = UsdmBench()
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "quantity": "1", "price": "2"}
    call = by_ccxt(bench, "POST", "batchOrders", {"batchOrders": [order, order]})
    binance_auth.authenticate(bench.house, call)
    assert len(msgspec.json.decode(binance_auth.parameters_of(call)["batchOrders"])) == 2


def test_a_signature_covers_query_and_body_together() -> None:
    bench = UsdmBench()
    query, body = f"symbol=BTCUSDT&timestamp={WALL0_MS}", "side=BUY"
    signature = binance_auth.signature_of(bench.key.secret, query + body)
    call = replace(
        bench.call("POST", "order"), raw_query=query, body=f"{body}&signature={signature.upper()}".encode()
    )
    assert binance_auth.authenticate(bench.house, call) is bench.key
    in_query = replace(call, raw_query=f"{query}&signature={signature}", body=body.encode())
    assert binance_auth.authenticate(bench.house, in_query) is bench.key
    assert binance_auth.parameters_of(in_query)["side"] == "BUY"


def test_the_query_wins_over_the_body() -> None:
    bench = UsdmBench()
    call = replace(bench.call("POST", "order", {"symbol": "ETHUSDT"}), raw_query="symbol=BTCUSDT")
    assert binance_auth.parameters_of(call)["symbol"] == "BTCUSDT"


@pytest.mark.parametrize(
    ("found", "changed"),
    [(b"quantity=1", b"quantity=9"), (b"&signature=", b"&x=1&signature="), (b"signature=", b"signature=0")],
)
def test_a_changed_request_is_not_genuine(found: bytes, changed: bytes) -> None:
    bench = UsdmBench()
    call = bench.call("POST", "order", {"symbol": "BTCUSDT", "quantity": "1"})
    assert found in call.body
    status, code, text = refusal(bench, replace(call, body=call.body.replace(found, changed)))
    assert (status, code, text) == (400, -1022, "Signature for this request is not valid.")


def test_a_signature_of_another_key_is_not_genuine() -> None:
    bench = UsdmBench()
    stranger = keys.make("binance", "u1", seed=8)
    call = bench.call("GET", "openOrders", key=stranger)
    assert refusal(bench, replace(call, headers={"x-mbx-apikey": bench.key.api_key}))[1] == -1022


@pytest.mark.parametrize(
    ("offset_ms", "window_ms", "text"),
    [
        (-5_000, None, ""),
        (-5_001, None, "Timestamp for this request is outside of the recvWindow."),
        (-60_000, 60_000, ""),
        (-101, 100, "Timestamp for this request is outside of the recvWindow."),
        (999, None, ""),
        (1_000, 60_000, "Timestamp for this request was 1000ms ahead of the server's time."),
    ],
)
def test_the_receive_window(offset_ms: int, window_ms: int | None, text: str) -> None:
    bench = UsdmBench()
    call = bench.call("GET", "openOrders", offset_ms=offset_ms, window_ms=window_ms)
    if text:
        assert refusal(bench, call) == (400, -1021, text)
    else:
        assert binance_auth.authenticate(bench.house, call) is bench.key


def test_the_venues_clock_counts_even_when_a_fault_skews_it() -> None:
    bench = UsdmBench()
    bench.house.desk.board.add([Fault(kind="clock_skew", offset_ms=20_000)])  # type: ignore[arg-type]
    assert refusal(bench, bench.call("GET", "openOrders"))[1] == -1021
    call = bench.call("GET", "openOrders", offset_ms=20_000)
    assert binance_auth.authenticate(bench.house, call) is bench.key


def test_a_window_of_more_than_a_minute_is_refused() -> None:
    bench = UsdmBench()
    call = bench.call("GET", "openOrders", window_ms=60_001)
    assert refusal(bench, call) == (400, -1131, "recvWindow must be less than 60000")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", -1102),
        ("timestamp=1", -1102),
        ("signature=abc", -1102),
        ("timestamp=&signature=abc", -1102),
        ("timestamp=soon&signature=abc", -1100),
        (f"timestamp={WALL0_MS}&recvWindow=-1&signature=abc", -1100),
    ],
)
def test_what_is_missing_or_unreadable_is_named(query: str, code: int) -> None:
    bench = UsdmBench()
    status, found, text = refusal(bench, replace(bench.call("GET", "openOrders"), raw_query=query))
    assert (status, found) == (400, code)
    assert "'timestamp'" in text or "'signature'" in text or "'recvWindow'" in text


@pytest.mark.parametrize(
    ("headers", "code", "text"),
    [
        ({}, -2014, "API-key format invalid."),
        ({"x-mbx-apikey": "not a key!"}, -2014, "API-key format invalid."),
        ({"x-mbx-apikey": "0" * 64}, -2015, "Invalid API-key, IP, or permissions for action."),
    ],
)
def test_who_is_not_known(headers: dict[str, str], code: int, text: str) -> None:
    bench = UsdmBench()
    assert refusal(bench, replace(bench.call("GET", "openOrders"), headers=headers)) == (401, code, text)


def test_a_listen_key_needs_the_key_alone() -> None:
    bench = UsdmBench()
    call = bench.call("POST", "listenKey", signed=False)
    assert call.body == b""
    assert binance_auth.authenticate(bench.house, call) is bench.key
    assert refusal(bench, replace(call, headers={}))[1] == -2014
