"""Signed calls of a Binance user on a house of his own, without sockets, at chosen times."""

from __future__ import annotations

import functools
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import msgspec

from libs.common.instant import MarketClock
from libs.exchange.engine.types import Balance
from services.venue import binance_auth, keys, recording
from services.venue.binance_spot_routes import PRIVATE
from services.venue.binance_spot_stream import ApiSession, signed_text
from services.venue.desk import STEP_MS, Desk, Instant
from services.venue.faults import Board, Plan
from services.venue.house import House
from services.venue.keys import Key
from services.venue.market import DEFAULT_START_MS, Market
from services.venue.wire import Answer, Call, Refused

WALL0_MS = 1_800_000_000_000
HOST = "api.binance.com"
USER = "u1"


@functools.cache
def market() -> Market:
    """The sample's market; nothing in a test changes it."""
    return Market(recording.load())


class SpotBench:
    """A house with one user; `advance` moves the clock and pumps the house's steps."""

    def __init__(self, *, speed: float = 1.0) -> None:
        self.clock = MarketClock(market0_ms=DEFAULT_START_MS, wall0_ms=WALL0_MS, speed=speed)
        self.board = Board(Plan(seed=1), seconds=lambda: 0.0)
        self.desk = Desk("binance", market(), self.clock, self.board)
        self.wall_ms = WALL0_MS
        self.house = House(self.desk, born=self.now, seed=7)
        self.house.open_user(USER, self.now)
        self.key = keys.make("binance", USER, seed=7, created_ms=WALL0_MS)
        self.house.add_key(self.key)

    @property
    def now(self) -> Instant:
        return self.desk.instant(self.wall_ms)

    def advance(self, ms: int) -> None:
        """Go forward, step by step."""
        end = self.wall_ms + ms
        while self.wall_ms < end:
            self.wall_ms = min(end, (self.wall_ms // STEP_MS + 1) * STEP_MS)
            self.house.step(self.now)

    def deposit(self, wallet: str, asset: str, amount: str) -> None:
        self.house.deposit(USER, wallet, asset, Decimal(amount), self.now)

    def held(self, wallet: str, asset: str) -> Balance:
        return self.house.engine.balances(f"{USER}:{wallet}").get(asset, Balance())

    def top(self, symbol: str = "BTCUSDT") -> tuple[Decimal, Decimal]:
        """Best bid and ask of this step."""
        bids, asks = self.book(symbol)
        return bids[0][0], asks[0][0]

    def book(self, symbol: str = "BTCUSDT") -> tuple[list[tuple[Decimal, Decimal]], ...]:
        """Bids and asks of this step."""
        instrument = self.house.instrument(f"spot:{symbol}")
        assert instrument is not None
        sides = self.desk.book(instrument, self.now, "/api/v3/depth", 5_000)
        return tuple([(Decimal(price), Decimal(size)) for price, size in side] for side in sides)

    # --- calls ---------------------------------------------------------------------------------

    def call(
        self, method: str, path: str, params: dict[str, Any], *, key: Key | None = None, signed: bool = True
    ) -> Call:
        """A call as ccxt builds it: GET and DELETE in the query, POST in a form body, signature last."""
        who = key or self.key
        text = urlencode({**({"timestamp": self.wall_ms} if signed else {}), **params})
        if signed:
            text += f"&signature={binance_auth.signature_of(who.secret, text)}"
        in_body = method == "POST"
        return Call(
            host=HOST,
            method=method,
            path=path,
            query={} if in_body else {name: str(value) for name, value in params.items()},
            headers={"x-mbx-apikey": who.api_key},
            body=text.encode() if in_body else b"",
            now=self.now,
            raw_query="" if in_body else text,
        )

    def send(
        self, method: str, path: str, *, key: Key | None = None, signed: bool = True, **params: Any
    ) -> Answer:
        """The answer of the route, or its refusal."""
        call = self.call(method, path, params, key=key, signed=signed)
        route = PRIVATE[method, path]
        try:
            who = binance_auth.authenticate(self.house, call)
            if route.permission not in who.permissions:
                raise binance_auth.forbidden()
            return route.handler(self.house, call, who)
        except Refused as refused:
            return refused.answer

    def ok(self, method: str, path: str, **params: Any) -> Any:
        """The decoded body of a call that must succeed."""
        found = self.send(method, path, **params)
        assert found.status == 200, (method, path, params, found.status, found.body)
        return msgspec.json.decode(found.body)

    def refused(self, method: str, path: str, **params: Any) -> tuple[int, str]:
        """Code and text of a call that must be refused."""
        found = self.send(method, path, **params)
        assert found.status >= 400, (method, path, params, found.body)
        body = msgspec.json.decode(found.body)
        return body["code"], body["msg"]

    def order(self, side: str, kind: str = "LIMIT", *, wallet: str = "spot", **params: Any) -> Any:
        """A new order that must be taken; GTC unless told otherwise."""
        path = "/api/v3/order" if wallet == "spot" else "/sapi/v1/margin/order"
        if kind == "LIMIT":
            params.setdefault("timeInForce", "GTC")
        params.setdefault("symbol", "BTCUSDT")
        return self.ok("POST", path, side=side, type=kind, **params)

    # --- streams -------------------------------------------------------------------------------

    def ask(self, session: ApiSession, method: str, params: dict[str, Any] | None = None) -> Any:
        """The answer to one request on a connection."""
        text = msgspec.json.encode({"id": "7", "method": method, "params": params or {}}).decode()
        frames = session.hear(text, self.now)
        assert len(frames) == 1
        return msgspec.json.decode(frames[0].text)

    def signed(self, key: Key | None = None, **params: Any) -> dict[str, Any]:
        """Parameters of a signed request on the WebSocket API."""
        who = key or self.key
        said = {"apiKey": who.api_key, "timestamp": self.wall_ms, **params}
        text = signed_text({name: str(value) for name, value in said.items()})
        return {**said, "signature": binance_auth.signature_of(who.secret, text)}

    def events(self, session: ApiSession) -> list[dict[str, Any]]:
        """What a connection pushes now, without its envelope."""
        return [msgspec.json.decode(frame.text)["event"] for frame in session.push(self.now)]
