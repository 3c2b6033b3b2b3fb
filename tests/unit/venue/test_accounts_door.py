"""The part of the door that asks for a key: permissions, order counts, and which faults see which calls."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest

from services.venue import binance_auth, keys
from services.venue.faults import Kind
from services.venue.keys import Key, Permission
from services.venue.wire import Answer
from tests.helpers.venue_calls import WALL0_MS, Bench

FAPI, SPOT = "https://fapi.binance.com", "https://api.binance.com"
ORDER = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.001"}


def signed(
    bench: Bench,
    url: str,
    parameters: Mapping[str, str] = MappingProxyType({}),
    *,
    method: str = "GET",
    key: Key | None = None,
    after_ms: int = 0,
) -> Answer:
    """A Binance call as a client with this key sends it."""
    owner = key or bench.keys["binance"]
    query = urlencode({**parameters, "timestamp": WALL0_MS + after_ms})
    query += "&signature=" + binance_auth.signature_of(owner.secret, query)
    headers = {"x-mbx-apikey": owner.api_key}
    return bench.call(f"{url}?{query}", method=method, headers=headers, after_ms=after_ms)


def code(answer: Answer) -> Any:
    return msgspec.json.decode(answer.body).get("code")


def key_with(bench: Bench, *permissions: Permission) -> Key:
    key = keys.make("binance", "u1", seed=1, number=9, permissions=frozenset(permissions))
    bench.houses["binance"].add_key(key)
    return key


def test_a_key_may_do_what_its_permissions_say_and_no_more() -> None:
    bench = Bench()
    reader = key_with(bench, "read")
    assert signed(bench, f"{FAPI}/fapi/v3/account", key=reader).status == 200
    for url in (f"{FAPI}/fapi/v1/order", f"{SPOT}/api/v3/order", f"{SPOT}/sapi/v1/margin/order"):
        refused = signed(bench, url, ORDER, method="POST", key=reader)
        assert (refused.status, code(refused)) == (401, -2015)
    trader = key_with(bench, "read", "futures")
    assert signed(bench, f"{FAPI}/fapi/v1/order", ORDER, method="POST", key=trader).status == 200
    assert code(signed(bench, f"{SPOT}/api/v3/order", ORDER, method="POST", key=trader)) == -2015


def test_orders_are_counted_and_too_many_are_refused_until_the_window_ends() -> None:
    bench = Bench()
    url = f"{FAPI}/fapi/v1/order"
    order = ORDER | {"quantity": "0"}  # refused by the filters, and counted all the same
    answers = [signed(bench, url, order, method="POST") for _ in range(301)]
    assert answers[299].status == 400
    assert code(answers[299]) != -1015
    last = answers[300]
    assert (last.status, code(last)) == (429, -1015)
    assert b"300 orders per TEN_SECONDS" in last.body
    later = signed(bench, url, ORDER, method="POST", after_ms=10_000)
    assert later.status == 200
    assert later.headers["x-mbx-order-count-10s"] == "1"
    assert later.headers["x-mbx-order-count-1m"] == "301"
    assert signed(bench, f"{SPOT}/api/v3/order", ORDER, method="POST").status == 200, "spot for itself"


def test_the_orders_of_one_user_do_not_count_for_another() -> None:
    bench = Bench()
    house = bench.houses["binance"]
    house.open_user("u2", bench.instant())
    other = keys.make("binance", "u2", seed=1)
    house.add_key(other)
    signed(bench, f"{FAPI}/fapi/v1/order", ORDER, method="POST")
    answer = signed(bench, f"{FAPI}/fapi/v1/order", ORDER, method="POST", key=other)
    assert code(answer) == -2019, "without money"
    refusal = signed(bench, f"{FAPI}/fapi/v1/order", ORDER, method="POST")
    assert refusal.headers["x-mbx-order-count-10s"] == "2"


def test_a_forged_order_is_neither_counted_nor_carried_out() -> None:
    bench = Bench()
    forged = msgspec.structs.replace(bench.keys["binance"], secret="another")
    answer = signed(bench, f"{FAPI}/fapi/v1/order", ORDER, method="POST", key=forged)
    assert code(answer) == -1022
    assert bench.houses["binance"].engine.orders("u1:usdm") == []
    real = signed(bench, f"{FAPI}/fapi/v1/order", ORDER, method="POST")
    assert real.headers["x-mbx-order-count-10s"] == "1"


@pytest.mark.parametrize(
    ("scope", "strikes"),
    [
        ({"method": "POST"}, True),
        ({"method": "GET"}, False),
        ({"symbol": "BTC*"}, True),
        ({"symbol": "ETHUSDT"}, False),
        ({"endpoint": "/api/*"}, False),
        ({"venue": "bitget"}, False),
    ],
)
def test_a_rejection_strikes_in_its_place_only(scope: dict[str, str], strikes: bool) -> None:  # noqa: FBT001
    bench = Bench()
    bench.fault(kind=Kind.REJECTION, code="-2019", **scope)
    answer = signed(bench, f"{FAPI}/fapi/v1/order", ORDER, method="POST")
    assert (code(answer) == -2019) is strikes
    assert bool(bench.houses["binance"].engine.orders("u1:usdm")) is not strikes


def test_a_window_of_not_found_covers_queries_by_client_id_and_ends() -> None:
    bench = Bench()
    signed(bench, f"{FAPI}/fapi/v1/order", ORDER | {"newClientOrderId": "a"}, method="POST")
    bench.fault(kind=Kind.NOT_FOUND_WINDOW, window_ms=3_000)
    query = {"symbol": "BTCUSDT", "origClientOrderId": "a"}
    early = signed(bench, f"{FAPI}/fapi/v1/order", query, after_ms=2_999)
    assert (early.status, code(early)) == (400, -2013)
    assert signed(bench, f"{FAPI}/fapi/v1/order", query, after_ms=3_000).status == 200
    absent = signed(bench, f"{FAPI}/fapi/v1/order", query | {"origClientOrderId": "never"})
    assert code(absent) == -2013
    assert bench.board.struck == {"not_found_window": 1}


def test_a_call_that_lands_late_was_signed_in_time_and_trades_at_its_landing() -> None:
    bench = Bench()
    owner = bench.keys["binance"]
    query = urlencode({**ORDER, "timestamp": WALL0_MS})
    query += "&signature=" + binance_auth.signature_of(owner.secret, query)
    call = bench.request(
        f"{FAPI}/fapi/v1/order?{query}", method="POST", headers={"x-mbx-apikey": owner.api_key}
    )
    answer = bench.door.answer(call, landing=bench.instant(30_000))
    assert answer.status == 200, answer.body
    order = bench.houses["binance"].engine.orders("u1:usdm")[0]
    assert order.created_us == (WALL0_MS + 30_000) * 1_000
