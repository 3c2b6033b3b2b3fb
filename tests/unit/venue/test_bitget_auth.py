"""Who may call Bitget: every way in which a key, a time, a passphrase or a signature can be wrong."""

from __future__ import annotations

import msgspec
import pytest

from services.venue import bitget, keys
from services.venue.bitget_auth import signed_text
from services.venue.keys import Permission
from services.venue.wire import Call
from tests.unit.venue.bitget_bench import BitgetBench, said

SETTINGS = "account/settings"


@pytest.fixture
def bench() -> BitgetBench:
    return BitgetBench(usdt="1000")


def asked(bench: BitgetBench, **headers: str) -> tuple[str, str]:
    """What the settings call hears with other headers."""
    named = {f"access-{name}": value for name, value in headers.items()}
    return said(bench.answer(bench.call("GET", SETTINGS, {}, headers=named)))


@pytest.mark.parametrize(
    ("headers", "code", "text"),
    [
        ({"key": ""}, "40001", "ACCESS_KEY cannot be empty"),
        ({"sign": ""}, "40003", "Signature cannot be empty"),
        ({"timestamp": ""}, "40005", "Invalid ACCESS_TIMESTAMP"),
        ({"timestamp": "soon"}, "40005", "Invalid ACCESS_TIMESTAMP"),
        ({"passphrase": ""}, "40011", "ACCESS_PASSPHRASE cannot be empty"),
        ({"key": "bg_nobody"}, "40006", "Invalid ACCESS_KEY"),
        ({"passphrase": "wrong"}, "40012", "apikey/password is incorrect"),
        ({"sign": "d3Jvbmc="}, "40009", "sign signature error"),
    ],
)
def test_what_is_wrong_with_a_call_is_said(
    bench: BitgetBench, headers: dict[str, str], code: str, text: str
) -> None:
    assert asked(bench, **headers) == (code, text)


@pytest.mark.parametrize("off_ms", [-30_001, 30_001])
def test_a_timestamp_outside_of_30_seconds_has_expired(bench: BitgetBench, off_ms: int) -> None:
    late = bench.call("GET", SETTINGS, {}, stamp=str(bench.wall_ms + off_ms))
    assert said(bench.answer(late)) == ("40008", "Request timestamp expired")
    edge = bench.call("GET", SETTINGS, {}, stamp=str(bench.wall_ms + off_ms - (1 if off_ms > 0 else -1)))
    assert bench.answer(edge).status == 200


def test_the_venues_skewed_clock_decides_about_timestamps(bench: BitgetBench) -> None:
    bench.fault(kind="clock_skew", venue="bitget", offset_ms=40_000)
    assert bench.refused("GET", SETTINGS) == ("40008", "Request timestamp expired")


def test_the_query_is_signed_decoded_and_sorted_by_name(bench: BitgetBench) -> None:
    call = bench.call("GET", "trade/fills", {"symbol": "BTCUSDT", "category": "SPOT"})
    shuffled = msgspec.structs.replace(call, raw_query="symbol=BTC%55SDT&category=SPOT")
    assert signed_text(shuffled, "1").endswith("GET/api/v3/trade/fills?category=SPOT&symbol=BTCUSDT")
    assert bench.answer(shuffled).status == 200


@pytest.mark.parametrize(
    "change",
    [
        {"raw_query": "category=MARGIN"},
        {"path": "/api/v3/trade/history-orders"},
        {"body": b"{}"},
    ],
)
def test_a_call_that_was_changed_on_its_way_is_not_genuine(
    bench: BitgetBench, change: dict[str, str]
) -> None:
    call = bench.call("GET", "trade/fills", {"category": "SPOT"})
    assert bench.answer(call).status == 200
    assert said(bench.answer(msgspec.structs.replace(call, **change)))[0] == "40009"


def test_a_body_that_was_changed_on_its_way_does_nothing(bench: BitgetBench) -> None:
    order = {
        "category": "USDT-FUTURES",
        "symbol": "BTCUSDT",
        "side": "buy",
        "orderType": "market",
        "qty": "0.01",
    }
    call = bench.call("POST", "trade/place-order", order)
    more = call.body.replace(b'"0.01"', b'"0.02"')
    assert more != call.body
    assert said(bench.answer(msgspec.structs.replace(call, body=more)))[0] == "40009"
    assert bench.house.engine.orders("u1:unified") == []


def test_a_genuine_key_hears_on_private_paths_of_the_classic_account_that_it_is_unified(
    bench: BitgetBench,
) -> None:
    text = "You are in Unified Account mode, and the Classic Account API is not supported at this time"
    for method, path in (
        ("POST", "/api/v2/mix/account/set-margin-mode"),
        ("GET", "/api/v2/mix/account/account"),
        ("POST", "/api/v2/margin/crossed/account/borrow"),
    ):
        call = bench.call(method, path, {})
        assert said(bench.answer(call)) == ("40085", text)
        assert said(bitget.unknown(call)) == ("40085", text)


def test_unknown_paths_say_so_and_private_ones_ask_for_a_key_first(bench: BitgetBench) -> None:
    def unknown(path: str, *, keyed: bool) -> tuple[int, str]:
        call = bench.call("GET", path, {}, headers={} if keyed else {"access-key": ""})
        found = bitget.unknown(call)
        return found.status, said(found)[0]

    assert unknown("/api/v3/account/nothing", keyed=True) == (404, "40404")
    assert unknown("/api/v3/account/nothing", keyed=False) == (400, "40001")
    assert unknown("/api/v3/market/nothing", keyed=False) == (404, "40404")
    assert unknown("/nothing", keyed=False) == (404, "40404")


ORDERS = {
    "SPOT": {"side": "buy", "orderType": "market", "qty": "10"},
    "MARGIN": {"side": "buy", "orderType": "market", "qty": "10"},
    "USDT-FUTURES": {"side": "buy", "orderType": "market", "qty": "0.001"},
}


@pytest.mark.parametrize(
    ("lacking", "path", "params"),
    [
        *(("spot", "trade/place-order", {"category": "SPOT"} | ORDERS["SPOT"]),),
        *(("margin", "trade/place-order", {"category": "MARGIN"} | ORDERS["MARGIN"]),),
        *(("futures", "trade/place-order", {"category": "USDT-FUTURES"} | ORDERS["USDT-FUTURES"]),),
        ("futures", "account/set-leverage", {"category": "USDT-FUTURES", "leverage": "3"}),
        ("futures", "account/set-hold-mode", {"holdMode": "hedge_mode"}),
        (
            "transfer",
            "account/transfer",
            {"fromType": "uta", "toType": "spot", "coin": "USDT", "amount": "1"},
        ),
        ("margin", "account/repay", {"repayableCoinList": ["BTC"], "paymentCoinList": ["USDT"]}),
        ("futures", "trade/close-positions", {"category": "USDT-FUTURES"}),
        ("spot", "trade/cancel-symbol-order", {"category": "SPOT"}),
    ],
)
def test_a_key_does_only_what_it_may(
    bench: BitgetBench, lacking: Permission, path: str, params: dict[str, str]
) -> None:
    few = keys.make("bitget", "u1", seed=7, number=1, permissions=keys.TRADING - {lacking})
    bench.house.add_key(few)
    params = {"symbol": "BTCUSDT", **params}
    before = bench.house.engine.snapshot()
    assert bench.refused("POST", path, key=few, **params) == ("40014", "Incorrect permissions")
    assert bench.house.engine.snapshot() == before


def test_a_reading_key_reads_and_cancels_nothing(bench: BitgetBench) -> None:
    resting = bench.order("buy", "0.001", price=str(bench.top()[0] - 100))
    reader = keys.make("bitget", "u1", seed=7, number=1, permissions=frozenset({"read"}))
    bench.house.add_key(reader)
    assert bench.ok("GET", "trade/order-info", key=reader, orderId=resting)["orderStatus"] == "live"
    assert bench.refused("POST", "trade/cancel-order", key=reader, orderId=resting)[0] == "40014"
    info = bench.ok("GET", "account/info", key=reader)
    assert (info["permType"], info["permissions"]) == ("read-only", ["uta_mgt", "uta_trade"])


@pytest.mark.parametrize(
    ("permissions", "told"),
    [
        (keys.TRADING, ["uta_mgt", "uta_trade"]),
        (keys.ALL, ["uta_mgt", "uta_trade", "withdraw"]),
        (frozenset({"read", "spot"}), ["uta_trade"]),
    ],
)
def test_the_account_says_what_a_key_may(
    bench: BitgetBench, permissions: frozenset[Permission], told: list[str]
) -> None:
    one = keys.make("bitget", "u1", seed=7, number=2, permissions=permissions, ip_bound=False)
    bench.house.add_key(one)
    info = bench.ok("GET", "account/info", key=one)
    assert (info["permissions"], info["permType"], info["ips"]) == (told, "read-and-write", "")
    assert bench.ok("GET", "account/info")["ips"] == "127.0.0.1"


def test_bodies_that_are_no_objects_are_refused(bench: BitgetBench) -> None:
    def posted(body: bytes) -> Call:
        call = bench.call("POST", "trade/place-order", {})
        stamp = str(bench.wall_ms)
        text = f"{stamp}POST/api/v3/trade/place-order{body.decode()}"
        signed = bench.call("POST", "trade/place-order", {}, headers={"access-sign": bench.sign(text)})
        return msgspec.structs.replace(call, body=body, headers=signed.headers)

    for body in (b"", b"[]", b"nonsense", b'{"a":', b"[" * 5_000):
        assert said(bench.answer(posted(body)))[0] == "40017"
