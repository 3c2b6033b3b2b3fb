"""Bitget's private stream: who is let in, what is told, when, and to whom."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from services.venue.bitget_private_ws import PrivateConversation
from services.venue.frames import Frame
from tests.unit.venue.bitget_bench import BitgetBench

UTA = {"instType": "UTA"}


@pytest.fixture
def bench() -> BitgetBench:
    return BitgetBench(usdt="100000")


def subscribe(topic: str, **arg: str) -> dict[str, Any]:
    return {"op": "subscribe", "args": [{**UTA, "topic": topic, **arg}]}


def refused(bench: BitgetBench, talk: PrivateConversation, request: Any) -> int:
    """The code of the error that a request gets."""
    (frame,) = bench.hear(talk, request)
    assert frame["event"] == "error"
    code = frame["code"]
    assert isinstance(code, int)
    return code


# --- login ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"apiKey": "bg_nobody"}, 30011),
        ({"passphrase": "wrong"}, 30012),
        ({"timestamp": "soon"}, 30013),
        ({"timestamp": "1799999969"}, 30014),
        ({"sign": "wrong"}, 30015),
    ],
)
def test_a_wrong_login_is_refused_by_code(bench: BitgetBench, changed: dict[str, str], code: int) -> None:
    talk = PrivateConversation(bench.house)
    assert bench.login(talk, **changed)["code"] == code
    assert refused(bench, talk, subscribe("order")) == 30004


def test_a_login_may_be_stamped_in_seconds_or_in_ms(bench: BitgetBench) -> None:
    for stamp in ("1800000000", "1800000000000", "1799999971"):
        talk = PrivateConversation(bench.house)
        assert bench.login(talk, timestamp=stamp) == {"event": "login", "code": "0", "msg": ""}
        assert bench.login(talk)["code"] == 30005  # twice on one connection


def test_nothing_is_told_before_the_login(bench: BitgetBench) -> None:
    talk = PrivateConversation(bench.house)
    assert refused(bench, talk, subscribe("order")) == 30004
    bench.order("buy", "0.01")
    assert bench.pushed(talk) == []


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("nonsense", 30002),
        ("[]", 30002),
        ('{"op": "subscribe"}', 30016),
        ('{"op": "subscribe", "args": ["order"]}', 30016),
        ('{"op": "dance", "args": []}', 30003),
        ('{"op": "login", "args": []}', 30005),
        ('{"op": "subscribe", "args": [{"instType": "UTA", "topic": "gossip"}]}', 30001),
        ('{"op": "subscribe", "args": [{"instType": "SPOT", "topic": "order"}]}', 30001),
    ],
)
def test_what_makes_no_sense_is_an_error(bench: BitgetBench, text: str, code: int) -> None:
    talk = bench.subscribed()
    (frame,) = talk.hear(text, bench.now)
    assert json.loads(frame.text)["code"] == code


def test_a_ping_is_answered_and_too_many_messages_are_not(bench: BitgetBench) -> None:
    talk = PrivateConversation(bench.house)
    assert [talk.hear("ping", bench.now) for _ in range(10)] == [[Frame("pong")]] * 10
    assert json.loads(talk.hear("ping", bench.now)[0].text)["code"] == 30006
    bench.advance(1_000)
    assert talk.hear("ping", bench.now) == [Frame("pong")]


# --- what is told --------------------------------------------------------------------------------


def test_an_order_and_its_fills_are_told_in_order_at_once(bench: BitgetBench) -> None:
    talk = bench.subscribed("order", "fill", "fast-fill")
    ready: list[int] = []
    talk.on_ready = lambda: ready.append(1)
    ask = bench.top()[1]
    order = bench.order("buy", "0.1", clientOid="mine")
    assert ready == [1]
    frames = bench.pushed(talk)
    topics = [frame["arg"]["topic"] for frame in frames]
    assert topics == ["order", "fast-fill", "fill", "order"]
    fresh, _, fill, done = (frame["data"] for frame in frames)
    assert (fresh[0]["orderStatus"], fresh[0]["cumExecQty"]) == ("live", "0")
    assert (done[0]["orderStatus"], done[0]["cumExecQty"], done[0]["orderId"]) == ("filled", "0.1", order)
    assert (done[0]["category"], done[0]["holdSide"], done[0]["leverage"]) == ("usdt-futures", "net", "20")
    fee = f"{(ask / 10 * 6 / 10_000).normalize():f}"
    assert done[0]["feeDetail"] == fill[0]["feeDetail"] == [{"feeCoin": "USDT", "fee": fee}]
    assert (fill[0]["clientOid"], fill[0]["execPrice"], fill[0]["tradeScope"]) == ("mine", str(ask), "taker")
    assert frames[1]["data"]["execId"] == fill[0]["execId"]
    assert bench.pushed(talk) == []


def test_a_partial_fill_and_its_cancellation_are_told(bench: BitgetBench) -> None:
    talk = bench.subscribed("order")
    ask, size = bench.book()[1][0]
    bench.order("buy", str(size + 1), price=str(ask), timeInForce="ioc")
    states = [frame["data"][0]["orderStatus"] for frame in bench.pushed(talk)]
    assert states == ["live", "partially_filled", "cancelled"]


def test_the_account_is_told_on_subscription_with_every_change_and_every_five_seconds(
    bench: BitgetBench,
) -> None:
    talk = PrivateConversation(bench.house)
    bench.login(talk)
    _, first = bench.hear(talk, subscribe("account"))
    assert first["data"][0]["coin"][0] == {
        "coin": "USDT",
        "balance": "100000",
        "available": "100000",
        "equity": "100000",
        "locked": "0",
        "borrow": "0",
        "debts": "0",
        "usdValue": "100000",
    }
    bench.order("sell", "0.5", "MARGIN")
    told = bench.pushed(talk)[-1]
    assert told["arg"] == {**UTA, "topic": "account"}
    btc = next(row for row in told["data"][0]["coin"] if row["coin"] == "BTC")
    assert (btc["balance"], btc["debts"], btc["borrow"]) == ("-0.5", "0.5", "0.5")
    bench.advance(4_000)
    assert bench.pushed(talk) == []
    bench.advance(1_000)
    assert [frame["action"] for frame in bench.pushed(talk)] == ["snapshot"]


def test_coins_that_a_resting_spot_order_locks_are_told(bench: BitgetBench) -> None:
    talk = bench.subscribed("account")
    price = bench.top("spot")[0] - 100
    bench.order("buy", "0.1", "SPOT", price=str(price))
    (frame,) = bench.pushed(talk)
    assert Decimal(frame["data"][0]["coin"][0]["locked"]) == price / 10


def test_positions_are_told_whole_then_by_changes_until_they_end(bench: BitgetBench) -> None:
    bench.order("sell", "1", symbol="ETHUSDT")
    talk = PrivateConversation(bench.house)
    bench.login(talk)
    _, first = bench.hear(talk, subscribe("position"))
    assert [row["symbol"] for row in first["data"]] == ["ETHUSDT"]
    assert (first["action"], first["data"][0]["positionStatus"]) == ("snapshot", "opening")
    bench.order("buy", "0.1")
    bench.order("sell", "0.1", reduceOnly="yes")
    opened, ended = bench.pushed(talk)
    assert (opened["action"], opened["data"][0]["size"]) == ("update", "0.1")
    row = ended["data"][0]
    assert (row["symbol"], row["size"], row["positionStatus"], row["posSide"]) == (
        "BTCUSDT",
        "0",
        "ended",
        "long",
    )
    bench.order("buy", "1", symbol="ETHUSDT", reduceOnly="yes")
    assert bench.pushed(talk)[-1]["data"][0]["posSide"] == "short"


def test_funding_moves_the_position_and_the_account(bench: BitgetBench) -> None:
    bench.order("buy", "0.1")
    talk = bench.subscribed("position", "account")
    bench.settle("0.0001", "120000")
    position, account = bench.pushed(talk)
    assert position["data"][0]["totalFundingFee"] == "-1.2"
    balance = Decimal(bench.asset("USDT")["balance"])
    assert Decimal(account["data"][0]["coin"][0]["balance"]) == balance


def test_another_users_news_stay_his(bench: BitgetBench) -> None:
    stranger = bench.second_user("u2")
    talk = bench.subscribed("order", "account", "position")
    bench.house.deposit("u2", "unified", "USDT", Decimal(10_000), bench.now)
    body = {
        "category": "USDT-FUTURES",
        "symbol": "BTCUSDT",
        "side": "buy",
        "orderType": "market",
        "qty": "0.01",
    }
    bench.ok("POST", "trade/place-order", key=stranger, **body)
    assert bench.pushed(talk) == []


def test_what_is_no_longer_subscribed_is_no_longer_told(bench: BitgetBench) -> None:
    talk = bench.subscribed("order", "account")
    (gone,) = bench.hear(talk, {"op": "unsubscribe", "args": [{**UTA, "topic": "account"}]})
    assert gone == {"event": "unsubscribe", "arg": {**UTA, "topic": "account"}}
    bench.order("buy", "0.01")
    assert {frame["arg"]["topic"] for frame in bench.pushed(talk)} == {"order"}


def test_a_closed_connection_hears_nothing(bench: BitgetBench) -> None:
    talk = bench.subscribed("order")
    talk.close()
    bench.order("buy", "0.01")
    assert bench.pushed(talk) == []


def test_the_funding_wallet_is_none_of_the_streams_business(bench: BitgetBench) -> None:
    talk = bench.subscribed("account")
    bench.deposit("USDT", "10", "funding")
    assert bench.pushed(talk) == []
    bench.ok("POST", "account/transfer", fromType="spot", toType="uta", coin="USDT", amount="10")
    (frame,) = bench.pushed(talk)
    assert frame["data"][0]["coin"][0]["balance"] == "100010"
