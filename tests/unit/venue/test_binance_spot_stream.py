"""User streams over the WebSocket API: who may hear them, and what they say of orders and balances."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest

from services.venue import keys
from services.venue.binance_spot_stream import ApiSession
from tests.unit.venue.binance_spot_bench import USER, WALL0_MS, SpotBench

SIGNED, TOKEN = "userDataStream.subscribe.signature", "userDataStream.subscribe.listenToken"
DAY_MS = 86_400_000


@pytest.fixture
def bench() -> SpotBench:
    made = SpotBench()
    made.deposit("spot", "USDT", "100000")
    made.deposit("margin", "USDT", "20000")
    return made


def on_spot(bench: SpotBench) -> ApiSession:
    session = ApiSession(bench.house)
    assert bench.ask(session, SIGNED, bench.signed())["result"] == {"subscriptionId": 0}
    return session


def test_a_taker_s_order_is_new_then_trades_then_the_balances_follow(bench: SpotBench) -> None:
    session = on_spot(bench)
    said = bench.order("BUY", "MARKET", quantity="0.5", newClientOrderId="mine")
    new, trade, position = bench.events(session)
    assert [one["e"] for one in (new, trade, position)] == [
        *("executionReport", "executionReport", "outboundAccountPosition")
    ]
    assert (new["x"], new["X"], new["z"], new["t"], new["w"]) == ("NEW", "NEW", "0.00000000", -1, True)
    assert (trade["x"], trade["X"], trade["c"], trade["C"]) == ("TRADE", "FILLED", "mine", "")
    assert (trade["l"], trade["L"], trade["Y"]) == ("0.50000000", "121394.18000000", "60697.09000000")
    assert (trade["n"], trade["N"], trade["m"]) == ("0.00050000", "BTC", False)
    assert (trade["i"], trade["t"]) == (said["orderId"], said["fills"][0]["tradeId"])
    assert trade["T"] == trade["E"] == trade["O"] == WALL0_MS
    assert position["B"] == [
        {"a": "BTC", "f": "0.49950000", "l": "0.00000000"},
        {"a": "USDT", "f": "39302.91000000", "l": "0.00000000"},
    ]
    assert bench.events(session) == []


def test_each_trade_of_an_order_is_told_with_what_has_come_together(bench: SpotBench) -> None:
    bench.deposit("spot", "BTC", "1")
    session = on_spot(bench)
    bench.order("SELL", "MARKET", quantity="0.04300")
    _, *trades, _ = bench.events(session)
    assert [(one["l"], one["z"], one["L"], one["X"]) for one in trades] == [
        ("0.03770000", "0.03770000", "121394.16000000", "PARTIALLY_FILLED"),
        ("0.00260000", "0.04030000", "121394.15000000", "PARTIALLY_FILLED"),
        ("0.00270000", "0.04300000", "121394.14000000", "FILLED"),
    ]
    assert len({one["t"] for one in trades}) == len({one["I"] for one in trades}) == 3
    assert [one["N"] for one in trades] == ["USDT"] * 3


def test_a_cancel_says_both_ids_and_what_is_free_again(bench: SpotBench) -> None:
    session = on_spot(bench)
    bench.order("BUY", price="100000", quantity="0.1", newClientOrderId="mine")
    new, locked = bench.events(session)
    assert new["x"] == "NEW"
    assert {"a": "USDT", "f": "90000.00000000", "l": "10000.00000000"} in locked["B"]
    bench.ok("DELETE", "/api/v3/order", symbol="BTCUSDT", origClientOrderId="mine")
    gone, free = bench.events(session)
    assert (gone["x"], gone["X"], gone["C"], gone["w"]) == ("CANCELED", "CANCELED", "mine", False)
    assert gone["c"] not in ("", "mine")
    assert {"a": "USDT", "f": "100000.00000000", "l": "0.00000000"} in free["B"]
    assert len({one["I"] for one in (new, gone)}) == 2


def test_transfers_are_balance_updates(bench: SpotBench) -> None:
    session = on_spot(bench)
    bench.ok("POST", "/sapi/v1/asset/transfer", type="MAIN_UMFUTURE", asset="USDT", amount="7.5")
    update, position = bench.events(session)
    assert (update["e"], update["a"], update["d"]) == ("balanceUpdate", "USDT", "-7.50000000")
    assert position["B"] == [{"a": "USDT", "f": "99992.50000000", "l": "0.00000000"}]


def test_the_margin_stream_is_heard_with_a_token_and_knows_only_its_wallet(bench: SpotBench) -> None:
    session = on_spot(bench)
    ticket = bench.ok("POST", "/sapi/v1/userListenToken")
    assert ticket["expirationTime"] == WALL0_MS + DAY_MS
    result = bench.ask(session, TOKEN, {"listenToken": ticket["token"]})["result"]
    assert result == {"subscriptionId": 1, "expirationTime": WALL0_MS + DAY_MS}
    bench.order("BUY", price="100000", quantity="0.1", wallet="margin", newClientOrderId="on-margin")
    pushed = [msgspec.json.decode(frame.text) for frame in session.push(bench.now)]
    assert {one["subscriptionId"] for one in pushed} == {1}
    assert pushed[0]["event"]["c"] == "on-margin"
    bench.ok("POST", "/sapi/v1/asset/transfer", type="MARGIN_MAIN", asset="USDT", amount="1")
    pushed = [msgspec.json.decode(frame.text) for frame in session.push(bench.now)]
    updates = [(one["subscriptionId"], one["event"]["d"]) for one in pushed if "d" in one["event"]]
    assert sorted(updates) == [(0, "1.00000000"), (1, "-1.00000000")]


def test_a_margin_stream_ends_with_its_token_unless_it_is_renewed(bench: SpotBench) -> None:
    session = ApiSession(bench.house)
    first = bench.ok("POST", "/sapi/v1/userListenToken", validity=1_000)
    bench.ask(session, TOKEN, {"listenToken": first["token"]})
    bench.wall_ms += 900
    second = bench.ok("POST", "/sapi/v1/userListenToken", validity=1_000)
    assert bench.ask(session, TOKEN, {"listenToken": second["token"]})["result"]["subscriptionId"] == 0
    bench.wall_ms += 900
    assert bench.events(session) == []
    bench.wall_ms += 100
    assert [one["e"] for one in bench.events(session)] == ["eventStreamTerminated"]
    bench.order("BUY", price="100000", quantity="0.1", wallet="margin")
    assert bench.events(session) == []
    late = bench.ask(session, TOKEN, {"listenToken": second["token"]})
    assert late["error"]["code"] == -1209


def test_nobody_else_hears(bench: SpotBench) -> None:
    bench.house.open_user("u2", bench.now)
    other = keys.make("binance", "u2", seed=7)
    bench.house.add_key(other)
    session = ApiSession(bench.house)
    bench.ask(session, SIGNED, bench.signed(other))
    bench.order("BUY", "MARKET", quantity="0.1")
    assert bench.events(session) == []


def code_of(bench: SpotBench, method: str, params: dict[str, Any]) -> tuple[int, int]:
    answer = bench.ask(ApiSession(bench.house), method, params)
    return answer["status"], answer["error"]["code"]


def test_subscriptions_are_refused_like_calls(bench: SpotBench) -> None:
    assert code_of(bench, SIGNED, {"apiKey": "nobody's"}) == (401, -2015)
    assert code_of(bench, SIGNED, {**bench.signed(), "recvWindow": 1}) == (400, -1022)
    assert code_of(bench, SIGNED, bench.signed(timestamp=bench.wall_ms - 10_000)) == (400, -1021)
    assert code_of(bench, SIGNED, {"apiKey": bench.key.api_key, "timestamp": bench.wall_ms}) == (400, -1102)
    blind = keys.make("binance", USER, seed=7, number=1, permissions=frozenset({"spot"}))
    bench.house.add_key(blind)
    assert code_of(bench, SIGNED, bench.signed(blind)) == (401, -2015)
    assert code_of(bench, "session.logon", bench.signed()) == (400, -4056)
    # What is not about accounts is answered as on a connection without one.
    assert bench.ask(ApiSession(bench.house), "ping")["result"] == {}
    assert code_of(bench, "order.place", {}) == (401, -2015)


@pytest.mark.parametrize("text", ["", "nonsense", "bm9uc2Vuc2U=.00", "é.00", "e30=.00"])
def test_false_tokens(bench: SpotBench, text: str) -> None:
    wanted = -1102 if not text else -1209
    assert code_of(bench, TOKEN, {"listenToken": text}) == (400, wanted)


def test_a_token_cannot_be_made_to_last(bench: SpotBench) -> None:
    token = bench.ok("POST", "/sapi/v1/userListenToken", validity=1_000)["token"]
    content, _, seal = token.partition(".")
    said = msgspec.json.decode(base64.urlsafe_b64decode(content))
    said["until_ms"] += DAY_MS
    longer = base64.urlsafe_b64encode(msgspec.json.encode(said)).decode()
    assert code_of(bench, TOKEN, {"listenToken": f"{longer}.{seal}"}) == (400, -1209)


def test_the_server_is_woken_and_a_closed_connection_is_not_kept(bench: SpotBench) -> None:
    session = on_spot(bench)
    woken: list[int] = []
    session.on_ready = lambda: woken.append(len(session.pending))
    bench.order("BUY", "MARKET", quantity="0.1")
    assert woken == [3]
    session.close()
    bench.order("BUY", "MARKET", quantity="0.1")
    assert woken == [3]
    assert len(session.pending) == 3


def test_unsubscribing(bench: SpotBench) -> None:
    session = on_spot(bench)
    assert bench.ask(session, "userDataStream.unsubscribe", {"subscriptionId": 5})["result"] == {}
    bench.order("BUY", "MARKET", quantity="0.1")
    assert len(bench.events(session)) == 3
    assert bench.ask(session, "userDataStream.unsubscribe")["status"] == 200
    bench.order("BUY", "MARKET", quantity="0.1")
    assert bench.events(session) == []
