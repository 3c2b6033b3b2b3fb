"""Bitget's v3 public streams: ticker and books topics, and the text ping."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from services.venue import bitget
from services.venue.desk import Desk, Instant, price_text, size_text
from services.venue.frames import SUBSCRIPTIONS_MAX, Frame
from services.venue.instruments import Instrument, Kind

_KINDS: Final[dict[str, Kind]] = {"spot": "spot", "usdt-futures": "perp"}
_DEPTHS: Final = {"books1": 1, "books5": 5, "books15": 15, "books50": 50}
_STEPS_MAX: Final = 40


class _Topic(msgspec.Struct):
    """One subscription: the client's own `arg` is echoed with every push."""

    arg: dict[str, Any]
    instrument: Instrument
    topic: str
    last_step: int
    told: bool = False


class Conversation:
    """One connection to `/v3/ws/public`."""

    protocol: Final = "bitget"

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._topics: dict[bytes, _Topic] = {}

    def hear(self, text: str, now: Instant) -> list[Frame]:
        """`ping`, subscribe and unsubscribe; anything else is Bitget's error."""
        if text == "ping":
            return [Frame("pong")]
        try:
            request = msgspec.json.decode(text, type=dict[str, Any])
        except msgspec.DecodeError:
            return [_error(30003, "Invalid request")]
        arguments = request.get("args")
        operation = request.get("op")
        if operation not in ("subscribe", "unsubscribe") or not isinstance(arguments, list):
            return [_error(30003, f"Invalid op: {operation}")]
        frames = []
        for arg in arguments:
            if not isinstance(arg, dict):
                frames.append(_error(30016, "Param error"))
            elif operation == "subscribe":
                frames.append(self._subscribe(arg, now))
            else:
                self._topics.pop(msgspec.json.encode(arg, order="sorted"), None)
                frames.append(_event("unsubscribe", arg))
        return frames

    def _subscribe(self, arg: dict[str, Any], now: Instant) -> Frame:
        topic = str(arg.get("topic", ""))
        kind = _KINDS.get(str(arg.get("instType", "")).lower())
        symbol = str(arg.get("symbol", "")).upper()
        found = self._desk.market.find("bitget", kind, symbol, now.market_ms) if kind is not None else None
        if found is None or (topic not in _DEPTHS and topic not in ("ticker", "books")):
            where = f"instType:{arg.get('instType')},topic:{topic},symbol:{symbol}"
            return _error(30001, f"{where} doesn't exist")
        if len(self._topics) >= SUBSCRIPTIONS_MAX:
            return _error(30007, "request over limit")
        key = msgspec.json.encode(arg, order="sorted")
        self._topics[key] = _Topic(arg=arg, instrument=found, topic=topic, last_step=now.step - 1)
        return _event("subscribe", arg)

    def push(self, now: Instant) -> list[Frame]:
        """Every topic once a step."""
        frames = []
        for topic in self._topics.values():
            if topic.last_step >= now.step or not self._desk.market.trading(topic.instrument, now.market_ms):
                continue
            action, data = self._data(topic, now)
            body = {"action": action, "arg": topic.arg, "data": [data], "ts": now.step_market_ms}
            name = f"{topic.topic}:{topic.instrument.symbol}"
            frames.append(Frame(msgspec.json.encode(body).decode(), name, topic.instrument.symbol))
            topic.last_step, topic.told = now.step, True
        return frames

    def _data(self, topic: _Topic, now: Instant) -> tuple[str, dict[str, Any]]:
        endpoint = f"ws:{topic.topic}"
        if topic.topic == "ticker":
            return "snapshot", bitget.ticker_fields(self._desk, topic.instrument, now, endpoint)
        if topic.topic == "books":
            return self._increment(topic, now)
        depth = _DEPTHS[topic.topic]
        bids, asks = self._desk.book(topic.instrument, now, endpoint, depth)
        return "snapshot", _book(asks, bids, depth, 0, now)

    def _increment(self, topic: _Topic, now: Instant) -> tuple[str, dict[str, Any]]:
        """The whole book first, then what changed since the step before."""
        instrument = topic.instrument
        if not topic.told:
            bids, asks = self._desk.book(instrument, now, "ws:books", bitget.DEPTH_MAX)
            return "snapshot", _book(asks, bids, bitget.DEPTH_MAX, 0, now)
        first = max(topic.last_step, now.step - _STEPS_MAX)
        before, after = self._desk.raw_book(instrument, first), self._desk.raw_book(instrument, now.step)
        bids = _changes(instrument, before.bids, after.bids)[::-1]
        asks = _changes(instrument, before.asks, after.asks)
        return "update", _book(asks, bids, bitget.DEPTH_MAX, topic.last_step, now)


def _changes(
    instrument: Instrument, before: tuple[tuple[int, int], ...], after: tuple[tuple[int, int], ...]
) -> list[list[str]]:
    final = dict(after)
    levels = [(ticks, 0) for ticks, _ in before if ticks not in final] + list(final.items())
    return [[price_text(instrument, ticks), size_text(instrument, steps)] for ticks, steps in sorted(levels)]


def _book(asks: Any, bids: Any, depth: int, previous: int, now: Instant) -> dict[str, Any]:
    return {
        "a": asks,
        "b": bids,
        "pseq": previous,
        "seq": now.step,
        "maxDepth": str(depth),
        "ts": str(now.step_market_ms),
    }


def _event(name: str, arg: dict[str, Any]) -> Frame:
    return Frame(msgspec.json.encode({"event": name, "arg": arg}).decode())


def _error(code: int, text: str) -> Frame:
    return Frame(msgspec.json.encode({"event": "error", "code": code, "msg": text}).decode())
