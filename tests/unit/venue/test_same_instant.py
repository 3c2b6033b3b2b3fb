"""Within a step of the books all a venue says is of one price instant: spot, perp, mark, streams and REST."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest

from services.venue import binance_ws, bitget_ws
from services.venue.desk import STEP_MS
from services.venue.frames import Frame, in_turn
from services.venue.instruments import Kind, Protocol
from tests.helpers.venue_calls import WALL0_MS, Bench

SPEED = 2_880.0
CRASH_MS = (
    1_760_130_000_000  # 2025-10-10 21:00 UTC: a step of 12 market minutes moves prices by tenths of a percent
)
SYMBOLS = ("INJUSDT", "BTCUSDT", "APTUSDT")


def crash() -> Bench:
    return Bench(start_ms=CRASH_MS, speed=SPEED)


def recorded(bench: Bench, protocol: Protocol, kind: Kind, symbol: str, step: int) -> tuple[float, float]:
    """(price, tick) at the beginning of a step."""
    now = bench.desks[protocol].step_instant(step)
    found = bench.market.find(protocol, kind, symbol, now.market_ms)
    assert found is not None
    return bench.market.price(found, now.step_market_ms), float(found.tick)


def test_the_recording_moves_so_much_that_a_mixture_would_show() -> None:
    bench = crash()
    first = WALL0_MS // STEP_MS
    moves = [
        abs(recorded(bench, "binance", "perp", "INJUSDT", step + 1)[0] / before - 1)
        for step in range(first, first + 4)
        for before in [recorded(bench, "binance", "perp", "INJUSDT", step)[0]]
    ]
    assert min(moves) > 0.002


def test_marks_and_quotes_of_rest_stand_still_within_a_step() -> None:
    bench = crash()
    url = "https://fapi.binance.com/fapi/v1"
    for begin_ms in (0, STEP_MS, 7 * STEP_MS):
        offsets = (begin_ms, begin_ms + 90, begin_ms + STEP_MS - 1)
        marks = [bench.get(f"{url}/premiumIndex?symbol=INJUSDT", after_ms=at) for at in offsets]
        assert len({(mark["markPrice"], mark["indexPrice"]) for mark in marks}) == 1
        price, tick = recorded(bench, "binance", "perp", "INJUSDT", (WALL0_MS + begin_ms) // STEP_MS)
        assert float(marks[0]["markPrice"]) == pytest.approx(price, abs=1e-6)
        quote = bench.get(f"{url}/ticker/bookTicker?symbol=INJUSDT", after_ms=offsets[1])
        assert (float(quote["bidPrice"]) + float(quote["askPrice"])) / 2 == pytest.approx(price, abs=tick)
        last = bench.get(f"{url}/ticker/price?symbol=INJUSDT", after_ms=offsets[2])
        assert float(last["price"]) == pytest.approx(price, abs=tick)


def test_bitgets_marks_stand_still_within_a_step_and_are_binances() -> None:
    bench = crash()
    url = "https://api.bitget.com/api/v3/market/tickers?category=USDT-FUTURES&symbol=INJUSDT"
    rows = [bench.get(url, after_ms=at)["data"][0] for at in (10, 120, STEP_MS - 1)]
    assert len({(row["markPrice"], row["indexPrice"], row["lastPrice"]) for row in rows}) == 1
    price, tick = recorded(bench, "binance", "perp", "INJUSDT", WALL0_MS // STEP_MS)
    assert float(rows[0]["markPrice"]) == pytest.approx(price, abs=tick)


def mids(frames: list[Frame]) -> dict[str, float]:
    """symbol -> mid of the quotes among frames."""
    found: dict[str, float] = {}
    for frame in frames:
        body: dict[str, Any] = json.loads(frame.text)
        if "b" in body:
            found[frame.symbol] = (float(body["b"]) + float(body["a"])) / 2
        else:
            (data,) = body["data"]
            found[frame.symbol] = (float(data["bid1Price"]) + float(data["ask1Price"])) / 2
    return found


def talks(bench: Bench) -> dict[tuple[Protocol, Kind], binance_ws.Conversation | bitget_ws.Conversation]:
    """All four markets' quote streams, subscribed in orders of their own."""
    now = bench.desks["binance"].instant(WALL0_MS)
    found: dict[tuple[Protocol, Kind], binance_ws.Conversation | bitget_ws.Conversation] = {}
    kinds: tuple[Kind, ...] = ("spot", "perp")
    for kind in kinds:
        names = SYMBOLS if kind == "spot" else SYMBOLS[::-1]
        streams = tuple(f"{name.lower()}@bookTicker" for name in names)
        found["binance", kind] = binance_ws.Conversation(
            bench.desks["binance"], kind, wrapped=False, streams=streams, now=now
        )
        talk = found["bitget", kind] = bitget_ws.Conversation(bench.desks["bitget"])
        place = "spot" if kind == "spot" else "usdt-futures"
        args = [{"instType": place, "topic": "ticker", "symbol": name} for name in names]
        talk.hear(json.dumps({"op": "subscribe", "args": args}), now)
    return found


def test_the_basis_of_what_streams_push_in_a_step_is_the_recorded_one() -> None:
    bench = crash()
    streams = talks(bench)
    for step_after in range(1, 60):  # half a day of market time
        # Each connection is served at another moment of the step.
        seen = {
            key: mids(talk.push(bench.desks[key[0]].instant(WALL0_MS + step_after * STEP_MS + 60 * place)))
            for place, (key, talk) in enumerate(streams.items())
        }
        step = WALL0_MS // STEP_MS + step_after
        for symbol in SYMBOLS:
            for protocol in ("binance", "bitget"):
                spot, spot_tick = recorded(bench, protocol, "spot", symbol, step)
                perp, perp_tick = recorded(bench, protocol, "perp", symbol, step)
                basis = seen[protocol, "perp"][symbol] / seen[protocol, "spot"][symbol] - 1
                assert basis == pytest.approx(perp / spot - 1, abs=(spot_tick + perp_tick) / spot)
            ours, theirs = seen["binance", "perp"][symbol], seen["bitget", "perp"][symbol]
            _, tick = recorded(bench, "bitget", "perp", symbol, step)
            assert ours == pytest.approx(theirs, abs=2 * tick)


def test_a_symbol_has_its_turn_at_one_moment_on_all_connections() -> None:
    ranks = {"AUSDT": 0, "BUSDT": 1, "CUSDT": 2, "DUSDT": 3}
    one = [Frame("1", "s", "CUSDT"), Frame("2", "s", "AUSDT"), Frame("3", "all", "")]
    other = [Frame("4", "s", "DUSDT"), Frame("5", "s", "AUSDT"), Frame("6", "s", "CUSDT")]
    firsts = set()
    for step in range(8):
        here = {frame.symbol: wait for wait, frame in in_turn(one, step, ranks)}
        there = {frame.symbol: wait for wait, frame in in_turn(other, step, ranks)}
        assert here["AUSDT"] == there["AUSDT"]
        assert here["CUSDT"] == there["CUSDT"]
        assert here[""] == 0.0
        waits = [wait for wait, _ in in_turn(other, step, ranks)]
        assert all(0 <= before < after < STEP_MS for before, after in pairwise(waits))
        firsts.add(in_turn(other, step, ranks)[0][1].symbol)
    assert firsts == {"AUSDT", "CUSDT", "DUSDT"}  # a reader that keeps only the first sees all in turn
