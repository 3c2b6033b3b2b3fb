"""Stream protocols without sockets: subscriptions, errors, and a depth stream that joins its snapshot."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest

from services.venue import binance_ws, bitget_ws
from services.venue.desk import STEP_MS, Desk
from tests.helpers.venue_calls import WALL0_MS, Bench


def binance(desk: Desk, *streams: str, wrapped: bool = False) -> binance_ws.Conversation:
    return binance_ws.Conversation(desk, "perp", wrapped=wrapped, streams=streams, now=desk.instant(WALL0_MS))


def test_subscriptions_are_listed_and_taken_off() -> None:
    desk = Bench().desks["binance"]
    talk, now = binance(desk), desk.instant(WALL0_MS)

    def say(method: str, *params: str) -> object:
        (frame,) = talk.hear(json.dumps({"method": method, "params": params, "id": 1}), now)
        return json.loads(frame.text)["result"]

    assert say("SUBSCRIBE", "btcusdt@bookTicker", "ethusdt@bookTicker") is None
    assert say("LIST_SUBSCRIPTIONS") == ["btcusdt@bookTicker", "ethusdt@bookTicker"]
    assert say("UNSUBSCRIBE", "btcusdt@bookTicker") is None
    assert say("LIST_SUBSCRIPTIONS") == ["ethusdt@bookTicker"]
    frames = talk.push(desk.instant(WALL0_MS + STEP_MS))
    assert [frame.symbol for frame in frames] == ["ETHUSDT"]


@pytest.mark.parametrize(
    "text", ["{", "[]", "3", '{"method": "DANCE"}', '{"method": "SUBSCRIBE", "params": [1]}']
)
def test_nonsense_gets_binances_error(text: str) -> None:
    desk = Bench().desks["binance"]
    (frame,) = binance(desk).hear(text, desk.instant(WALL0_MS))
    assert json.loads(frame.text)["error"]["code"] in (2, 3)


def test_nothing_is_pushed_twice_in_a_step_and_marks_once_a_second() -> None:
    desk = Bench().desks["binance"]
    talk = binance(desk, "btcusdt@bookTicker", "btcusdt@markPrice@1s")
    counts = []
    for ms in range(0, 2_000, 125):
        counts += [json.loads(f.text)["e"] for f in talk.push(desk.instant(WALL0_MS + ms))]
    assert counts.count("bookTicker") == 7
    assert counts.count("markPriceUpdate") == 1


def test_all_market_streams_name_every_symbol() -> None:
    desk = Bench().desks["binance"]
    talk = binance(desk, "!markPrice@arr@1s")
    (frame,) = talk.push(desk.instant(WALL0_MS + 1_000))
    rows = json.loads(frame.text)
    assert len(rows) == len(desk.market.listed("binance", "perp", desk.instant(WALL0_MS).market_ms))


def test_a_depth_stream_joined_to_its_snapshot_ends_at_the_books_of_rest() -> None:
    bench = Bench(speed=2_880.0)
    desk = bench.desks["binance"]
    talk = binance(desk, "btcusdt@depth@100ms")
    url = "https://fapi.binance.com/fapi/v1/depth?symbol=BTCUSDT&limit=1000"
    events = []
    pushes = [1, 2, 5, 6, 11]  # steps at which this reader was served; the others were skipped
    snapshot_step = 4
    for step in pushes:
        (frame,) = talk.push(desk.instant(WALL0_MS + step * STEP_MS))
        events.append(json.loads(frame.text))
    assert all(later["pu"] == earlier["u"] for earlier, later in pairwise(events))

    snapshot = bench.get(url, after_ms=snapshot_step * STEP_MS)
    book = {side: dict(snapshot[side]) for side in ("bids", "asks")}
    for event in events:
        if event["u"] < snapshot["lastUpdateId"]:
            continue
        for side, changes in (("bids", event["b"]), ("asks", event["a"])):
            for price, size in changes:
                book[side][price] = size
                if float(size) == 0:
                    del book[side][price]
    final = bench.get(url, after_ms=pushes[-1] * STEP_MS)
    assert book == {side: dict(final[side]) for side in ("bids", "asks")}


def test_bitgets_increments_end_at_its_snapshot_of_rest() -> None:
    bench = Bench(speed=2_880.0)
    desk = bench.desks["bitget"]
    talk = bitget_ws.Conversation(desk)
    arg = {"instType": "usdt-futures", "topic": "books", "symbol": "ETHUSDT"}
    talk.hear(json.dumps({"op": "subscribe", "args": [arg]}), desk.instant(WALL0_MS))
    book: dict[str, dict[float, float]] = {"a": {}, "b": {}}
    actions = []
    previous = None
    for step in (0, 1, 2, 6):
        (frame,) = talk.push(desk.instant(WALL0_MS + step * STEP_MS))
        body = json.loads(frame.text)
        actions.append(body["action"])
        (data,) = body["data"]
        assert previous is None or data["pseq"] == previous
        previous = data["seq"]
        for side in ("a", "b"):
            for price, size in data[side]:
                book[side][float(price)] = float(size)
                if float(size) == 0:
                    del book[side][float(price)]
    assert actions == ["snapshot", "update", "update", "update"]
    url = "https://api.bitget.com/api/v3/market/orderbook?category=USDT-FUTURES&symbol=ETHUSDT&limit=200"
    final = bench.get(url, after_ms=6 * STEP_MS)["data"]
    assert book == {side: dict(final[side]) for side in ("a", "b")}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("hello", 30003),
        ('{"op": "dance", "args": []}', 30003),
        ('{"op": "subscribe", "args": [3]}', 30016),
        ('{"op": "subscribe", "args": [{"instType": "spot", "topic": "ticker", "symbol": "NOPE"}]}', 30001),
        (
            '{"op": "subscribe", "args": [{"instType": "spot", "topic": "gossip", "symbol": "BTCUSDT"}]}',
            30001,
        ),
    ],
)
def test_nonsense_gets_bitgets_error(text: str, code: int) -> None:
    desk = Bench().desks["bitget"]
    (frame,) = bitget_ws.Conversation(desk).hear(text, desk.instant(WALL0_MS))
    assert json.loads(frame.text)["code"] == code


def test_private_streams_refuse_any_login() -> None:
    desk = Bench().desks["binance"]
    now = desk.instant(WALL0_MS)
    request = {"id": "7", "method": "order.place", "params": {}}
    (frame,) = binance_ws.ApiConversation(desk).hear(json.dumps(request), now)
    assert (json.loads(frame.text)["status"], json.loads(frame.text)["error"]["code"]) == (401, -2015)
