"""Binance's market streams over `/ws` and `/stream`: book tickers, depth, mark prices, tickers."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from services.venue.books import Book
from services.venue.desk import Desk, Instant, price_text, rounded, size_text
from services.venue.frames import STEPS_PER_SEC, SUBSCRIPTIONS_MAX, Frame, due
from services.venue.instruments import Instrument, Kind
from services.venue.market import MS_PER_DAY

_DEPTH_STEPS_MAX: Final = 40  # ten seconds of missed pushes; a slower reader gets a gap, as on the real venue


class Conversation:
    """One connection. `wrapped` is the `/stream` form: {"stream": .., "data": ..} around every event."""

    protocol: Final = "binance"

    def __init__(
        self, desk: Desk, kind: Kind, *, wrapped: bool, streams: tuple[str, ...], now: Instant
    ) -> None:
        self._desk = desk
        self._kind = kind
        self._wrapped = wrapped
        self._since: dict[str, int] = dict.fromkeys(streams, now.step)

    def hear(self, text: str, now: Instant) -> list[Frame]:
        """SUBSCRIBE, UNSUBSCRIBE and LIST_SUBSCRIPTIONS; anything else is Binance's error."""
        try:
            request = msgspec.json.decode(text)
        except msgspec.DecodeError as error:
            return [_error(3, f"Invalid JSON: {error}", None)]
        if not isinstance(request, dict):
            return [_error(2, "Invalid request: an object is expected", None)]
        number = request.get("id")
        names = request.get("params", [])
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            return [_error(2, "Invalid request: params must be an array of strings", number)]
        return [self._execute(request.get("method"), names, number, now)]

    def _execute(self, method: Any, names: list[str], number: Any, now: Instant) -> Frame:
        match method:
            case "SUBSCRIBE":
                if len(self._since) + len(names) > SUBSCRIPTIONS_MAX:
                    return _error(4, f"Too many streams: {SUBSCRIPTIONS_MAX} a connection", number)
                for name in names:
                    self._since.setdefault(name, now.step)
                return _result(None, number)
            case "UNSUBSCRIBE":
                for name in names:
                    self._since.pop(name, None)
                return _result(None, number)
            case "LIST_SUBSCRIPTIONS":
                return _result(list(self._since), number)
            case _:
                return _error(2, f"Invalid request: unknown method {method!r}", number)

    def push(self, now: Instant) -> list[Frame]:
        """Events of all subscriptions that are due; unknown streams stay silent, as on the real venue."""
        frames = []
        for name, last in self._since.items():
            if last >= now.step:
                continue
            for symbol, event in self._events(name, last, now):
                body = {"stream": name, "data": event} if self._wrapped else event
                frames.append(Frame(msgspec.json.encode(body).decode(), name, symbol))
            self._since[name] = now.step
        return frames

    def _events(self, name: str, last: int, now: Instant) -> list[tuple[str, Any]]:
        """(symbol, event) for what a stream says between two steps."""
        symbol, _, channel = name.partition("@")
        if name.startswith("!"):
            return self._all_events(name, last, now)
        found = self._desk.market.find("binance", self._kind, symbol.upper(), now.market_ms)
        if found is None or not self._desk.market.trading(found, now.market_ms):
            return []
        endpoint = f"ws:{name}"
        event: dict[str, Any] | None
        match channel:
            case "bookTicker":
                event = self._book_ticker(found, now, endpoint)
            case "depth" | "depth@100ms" | "depth@500ms" | "depth@250ms":
                event = self._depth(found, last, now)
            case "markPrice@1s" | "markPrice":
                period = STEPS_PER_SEC * (1 if channel.endswith("1s") else 3)
                if self._kind != "perp" or not due(period, last, now.step):
                    return []
                event = self._mark_price(found, now, endpoint)
            case "ticker" | "miniTicker":
                if not due(STEPS_PER_SEC, last, now.step):
                    return []
                event = self._day(found, now, endpoint, full=channel == "ticker")
            case _:
                return []
        return [] if event is None else [(found.symbol, event)]

    def _all_events(self, name: str, last: int, now: Instant) -> list[tuple[str, Any]]:
        """Streams over all symbols of USD-M."""
        market = self._desk.market
        listed = [
            one
            for one in market.listed("binance", self._kind, now.market_ms)
            if market.trading(one, now.market_ms)
        ]
        endpoint = f"ws:{name}"
        if name == "!bookTicker":
            return [(one.symbol, self._book_ticker(one, now, endpoint)) for one in listed]
        if name in ("!markPrice@arr@1s", "!markPrice@arr") and self._kind == "perp":
            if not due(STEPS_PER_SEC * (1 if name.endswith("1s") else 3), last, now.step):
                return []
            rows = [self._mark_price(one, now, endpoint) for one in listed]
            return [("", [row for row in rows if row is not None])]
        if name in ("!miniTicker@arr", "!ticker@arr") and due(STEPS_PER_SEC, last, now.step):
            full = name == "!ticker@arr"
            return [("", [self._day(one, now, endpoint, full=full) for one in listed])]
        return []

    # --- events ------------------------------------------------------------------------------

    def _book_ticker(self, instrument: Instrument, now: Instant, endpoint: str) -> dict[str, Any]:
        top = self._desk.top(instrument, now, endpoint)
        quote = {
            "u": now.step,
            "s": instrument.symbol,
            "b": top.bid,
            "B": top.bid_size,
            "a": top.ask,
            "A": top.ask_size,
        }
        if self._kind == "spot":
            return quote
        return {"e": "bookTicker", **quote, "T": now.step_market_ms, "E": now.step_market_ms}

    def _mark_price(self, instrument: Instrument, now: Instant, endpoint: str) -> dict[str, Any] | None:
        funding = self._desk.funding(instrument, now, endpoint)
        if funding is None:
            return None
        index = f"{self._desk.index(instrument, now, endpoint):.8f}"
        return {
            "e": "markPriceUpdate",
            "E": now.market_ms,
            "s": instrument.symbol,
            "p": f"{self._desk.mark(instrument, now, endpoint):.8f}",
            "P": index,
            "i": index,
            "r": funding.rate,
            "T": funding.next_ms,
        }

    def _day(self, instrument: Instrument, now: Instant, endpoint: str, *, full: bool) -> dict[str, Any]:
        day = self._desk.day(instrument, now)
        turnover = self._desk.volume_usd(instrument)
        mini = {
            "e": "24hrMiniTicker",
            "E": now.market_ms,
            "s": instrument.symbol,
            "c": rounded(instrument, day.last),
            "o": rounded(instrument, day.open),
            "h": rounded(instrument, day.high),
            "l": rounded(instrument, day.low),
            "v": f"{turnover / day.last:.{instrument.quantity_decimals}f}",
            "q": f"{turnover:.2f}",
        }
        if not full:
            return mini
        top = self._desk.top(instrument, now, endpoint)
        spot_only = {
            "x": mini["o"],
            "b": top.bid,
            "B": top.bid_size,
            "a": top.ask,
            "A": top.ask_size,
        }
        return {
            **mini,
            "e": "24hrTicker",
            "p": rounded(instrument, day.last - day.open),
            "P": f"{(day.last / day.open - 1) * 100:.3f}",
            "w": rounded(instrument, (day.open + day.last) / 2),
            **(spot_only if self._kind == "spot" else {}),
            "Q": f"{instrument.min_qty:f}",
            "O": now.market_ms - MS_PER_DAY,
            "C": now.market_ms,
            "F": 1,
            "L": 1_000,
            "n": 1_000,
        }

    def _depth(self, instrument: Instrument, last: int, now: Instant) -> dict[str, Any]:
        """Everything that changed between two states of the book.

        The states are numbered by step and REST snapshots carry the same numbers, so a client that joins a
        snapshot with this stream ends at exactly this book: levels of any state in between that are no
        more are said with quantity zero.
        """
        first = max(last, now.step - _DEPTH_STEPS_MAX)
        states = [self._desk.raw_book(instrument, step) for step in range(first, now.step + 1)]
        bids = _difference(instrument, [_side(book, "bids") for book in states])
        asks = _difference(instrument, [_side(book, "asks") for book in states])
        event: dict[str, Any] = {
            "e": "depthUpdate",
            "E": now.step_market_ms,
            "s": instrument.symbol,
            "U": first + 1,
            "u": now.step,
            "b": bids,
            "a": asks,
        }
        if self._kind == "perp":
            event |= {"T": now.step_market_ms, "pu": first}
        return event


def _side(book: Book, name: str) -> dict[int, int]:
    levels: tuple[tuple[int, int], ...] = getattr(book, name)
    return dict(levels)


def _difference(instrument: Instrument, states: list[dict[int, int]]) -> list[list[str]]:
    final = states[-1]
    gone = {ticks for state in states[:-1] for ticks in state if ticks not in final}
    levels = [(ticks, 0) for ticks in gone] + list(final.items())
    return [[price_text(instrument, ticks), size_text(instrument, steps)] for ticks, steps in sorted(levels)]


def _result(value: Any, number: Any) -> Frame:
    return Frame(msgspec.json.encode({"result": value, "id": number}).decode())


def _error(code: int, text: str, number: Any) -> Frame:
    return Frame(msgspec.json.encode({"error": {"code": code, "msg": text}, "id": number}).decode())


class ApiConversation:
    """The WebSocket API (`ws-api`, `ws-fapi`): time and ping; everything else belongs to an account."""

    protocol: Final = "binance"

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def hear(self, text: str, now: Instant) -> list[Frame]:
        """One request, one answer."""
        try:
            request = msgspec.json.decode(text, type=dict[str, Any])
        except msgspec.DecodeError as error:
            body = {"id": None, "status": 400, "error": {"code": -1000, "msg": f"Invalid JSON: {error}"}}
            return [Frame(msgspec.json.encode(body).decode())]
        answer: dict[str, Any] = {"id": request.get("id")}
        match request.get("method"):
            case "ping":
                answer |= {"status": 200, "result": {}}
            case "time":
                answer |= {"status": 200, "result": {"serverTime": self._desk.server_ms(now, "ws:time")}}
            case _:
                refusal = {"code": -2015, "msg": "Invalid API-key, IP, or permissions for action."}
                answer |= {"status": 401, "error": refusal}
        return [Frame(msgspec.json.encode(answer).decode())]

    def push(self, now: Instant) -> list[Frame]:  # noqa: ARG002 - nothing comes unasked here
        """Nothing."""
        return []
