"""Signed v3 calls of a Bitget user on a house of his own, without sockets, at chosen times."""

from __future__ import annotations

import functools
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import msgspec

from libs.common.instant import MarketClock
from libs.exchange.engine.commands import SetListing, SettleFunding
from libs.exchange.engine.types import Balance
from services.venue import bitget_auth, keys, recording
from services.venue.bitget_private_routes import PRIVATE
from services.venue.bitget_private_ws import PrivateConversation
from services.venue.desk import STEP_MS, Desk, Instant
from services.venue.faults import Board, Fault, Plan
from services.venue.frames import Frame
from services.venue.house import House
from services.venue.keys import Key
from services.venue.market import DEFAULT_START_MS, Market
from services.venue.wire import Answer, Call, Refused

WALL0_MS = 1_800_000_000_000
HOST = "api.bitget.com"
USER = "u1"
V3 = "/api/v3/"


@functools.cache
def market() -> Market:
    """The sample's market; nothing in a test changes it."""
    return Market(recording.load())


class BitgetBench:
    """A house with one user; `advance` moves the clock and pumps the house's steps."""

    def __init__(self, *, speed: float = 1.0, start_ms: int = DEFAULT_START_MS, usdt: str = "") -> None:
        self.clock = MarketClock(market0_ms=start_ms, wall0_ms=WALL0_MS, speed=speed)
        self.board = Board(Plan(seed=1), seconds=lambda: 0.0)
        self.desk = Desk("bitget", market(), self.clock, self.board)
        self.wall_ms = WALL0_MS
        self.house = House(self.desk, born=self.now, seed=7)
        self.house.open_user(USER, self.now)
        self.key = keys.make("bitget", USER, seed=7, created_ms=WALL0_MS)
        self.house.add_key(self.key)
        if usdt:
            self.deposit("USDT", usdt)

    @property
    def now(self) -> Instant:
        return self.desk.instant(self.wall_ms)

    def advance(self, ms: int) -> None:
        """Go forward, step by step."""
        end = self.wall_ms + ms
        while self.wall_ms < end:
            self.wall_ms = min(end, (self.wall_ms // STEP_MS + 1) * STEP_MS)
            self.house.step(self.now)

    def deposit(self, asset: str, amount: str, wallet: str = "unified") -> None:
        self.house.deposit(USER, wallet, asset, Decimal(amount), self.now)

    def held(self, asset: str, wallet: str = "unified") -> Balance:
        return self.house.engine.balances(f"{USER}:{wallet}").get(asset, Balance())

    def book(self, kind: str = "perp", symbol: str = "BTCUSDT") -> tuple[list[tuple[Decimal, Decimal]], ...]:
        """Bids and asks of this step."""
        instrument = self.house.instrument(f"{kind}:{symbol}")
        assert instrument is not None
        sides = self.desk.book(instrument, self.now, "/api/v3/market/orderbook", 200)
        return tuple([(Decimal(price), Decimal(size)) for price, size in side] for side in sides)

    def top(self, kind: str = "perp", symbol: str = "BTCUSDT") -> tuple[Decimal, Decimal]:
        """Best bid and ask of this step."""
        bids, asks = self.book(kind, symbol)
        return bids[0][0], asks[0][0]

    def money(self) -> dict[str, Balance]:
        """All balances of the unified account."""
        return self.house.engine.balances(f"{USER}:unified")

    def settle(self, rate: str, mark: str, later_ms: int = 1) -> None:
        """Funding of BTCUSDT at this rate and mark, settled so much after now."""
        settled_ms = self.now.market_ms + later_ms
        command = SettleFunding(
            instrument="perp:BTCUSDT", rate=Decimal(rate), mark=Decimal(mark), settled_ms=settled_ms
        )
        self.house.tell(command, self.now)

    def relist(self, key: str, **changed: Any) -> None:
        """Change a market's filters or status now; a step of the house would set them right again."""
        listing = msgspec.structs.replace(self.house.engine.listing(key), **changed)
        self.house.tell(SetListing(listing=listing), self.now)

    def fault(self, **fields: Any) -> None:
        self.board.add([Fault(**fields)])

    # --- calls ---------------------------------------------------------------------------------

    def call(
        self,
        method: str,
        path: str,
        params: Any,
        *,
        key: Key | None = None,
        stamp: str = "",
        headers: dict[str, str] | None = None,
    ) -> Call:
        """A call as ccxt builds it: GET in a sorted query, POST in JSON; plain text is signed."""
        who, stamp = key or self.key, stamp or str(self.wall_ms)
        full = path if path.startswith("/") else V3 + path
        posted = method == "POST"
        pairs = [] if posted else sorted((name, str(value)) for name, value in params.items())
        body = msgspec.json.encode(params) if posted else b""
        text = stamp + method + full + ("?" + "&".join(f"{n}={v}" for n, v in pairs) if pairs else "")
        signed = {
            "access-key": who.api_key,
            "access-sign": bitget_auth.signature_of(who.secret, text + body.decode()),
            "access-timestamp": stamp,
            "access-passphrase": who.passphrase,
        }
        return Call(
            host=HOST,
            method=method,
            path=full,
            query=dict(pairs),
            headers={**signed, **(headers or {})},
            body=body,
            now=self.now,
            raw_query=urlencode(pairs),
        )

    def second_user(self, name: str) -> Key:
        """Another user's key."""
        self.house.open_user(name, self.now)
        key = keys.make("bitget", name, seed=7)
        self.house.add_key(key)
        return key

    @staticmethod
    def plain(value: Decimal) -> str:
        """A figure as it stands on the wire."""
        return f"{value.normalize():f}"

    def sign(self, text: str) -> str:
        """The signature of a text by the user's key."""
        return bitget_auth.signature_of(self.key.secret, text)

    def answer(self, call: Call) -> Answer:
        """What the door would say: the answer of the route, or its refusal."""
        try:
            who = bitget_auth.authenticate(self.house, call)
            route = PRIVATE[call.method, call.path]
            if route.permission not in who.permissions:
                raise bitget_auth.forbidden(call)
            return route.handler(self.house, call, who)
        except Refused as refused:
            return refused.answer

    def send(self, method: str, path: str, *, key: Key | None = None, **params: Any) -> Answer:
        return self.answer(self.call(method, path, params, key=key))

    def ok(self, method: str, path: str, **params: Any) -> Any:
        """The data of a call that must succeed."""
        return self.whole(method, path, **params)["data"]

    def whole(self, method: str, path: str, **params: Any) -> Any:
        """The whole body of a call that must succeed."""
        found = self.send(method, path, **params)
        assert found.status == 200, (method, path, params, found.status, found.body)
        body = msgspec.json.decode(found.body)
        assert (body["code"], body["msg"]) == ("00000", "success")
        return body

    def listed(self, path: str, rows: list[Any]) -> Any:
        """The data of a posted list, or the code of its refusal."""
        body = msgspec.json.decode(self.answer(self.call("POST", path, rows)).body)
        return body["data"] if body["code"] == "00000" else body["code"]

    def refused(self, method: str, path: str, **params: Any) -> tuple[str, str]:
        """Code and text of a call that must be refused."""
        return said(self.send(method, path, **params))

    def order(self, side: str, qty: str, category: str = "USDT-FUTURES", **params: Any) -> str:
        """A new order's id; a market order unless there is a price."""
        return str(self.ok("POST", "trade/place-order", **fields(side, qty, category, **params))["orderId"])

    def no_order(self, side: str, qty: str, category: str = "USDT-FUTURES", **params: Any) -> tuple[str, str]:
        """Code and text of an order that must be refused."""
        return self.refused("POST", "trade/place-order", **fields(side, qty, category, **params))

    def seen(self, order_id: str) -> Any:
        """What order-info says."""
        return self.ok("GET", "trade/order-info", orderId=order_id)

    def asset(self, coin: str) -> Any:
        """A coin's row in the assets; none when nothing is held or owed."""
        rows = self.ok("GET", "account/assets")["assets"]
        return next((row for row in rows if row["coin"] == coin), None)

    def records(self, category: str, **params: Any) -> list[Any]:
        """All financial records of a category, newest first."""
        found = self.ok("GET", "account/financial-records", category=category, **params)["list"]
        assert isinstance(found, list)
        return found

    # --- streams -------------------------------------------------------------------------------

    def login(self, talk: PrivateConversation, **changed: str) -> Any:
        """What is said to a login; `changed` replaces its fields."""
        stamp = changed.get("timestamp", str(self.wall_ms // 1_000))
        said_fields = {
            "apiKey": self.key.api_key,
            "passphrase": self.key.passphrase,
            "timestamp": stamp,
            "sign": bitget_auth.signature_of(self.key.secret, f"{stamp}GET/user/verify"),
        }
        (frame,) = self.hear(talk, {"op": "login", "args": [{**said_fields, **changed}]})
        return frame

    def hear(self, talk: PrivateConversation, request: Any) -> list[Any]:
        return decoded(talk.hear(msgspec.json.encode(request).decode(), self.now))

    def subscribed(self, *topics: str) -> PrivateConversation:
        """A connection that has logged in and taken topics."""
        talk = PrivateConversation(self.house)
        assert self.login(talk) == {"event": "login", "code": "0", "msg": ""}
        for topic in topics:
            arg = {"instType": "UTA", "topic": topic}
            frames = self.hear(talk, {"op": "subscribe", "args": [arg]})
            assert frames[0] == {"event": "subscribe", "arg": arg}
        return talk

    def pushed(self, talk: PrivateConversation) -> list[Any]:
        return decoded(talk.push(self.now))


def fields(side: str, qty: str, category: str, **params: Any) -> dict[str, Any]:
    """The body of an order."""
    kind = "limit" if "price" in params else "market"
    common = {"category": category, "symbol": "BTCUSDT", "side": side, "qty": qty, "orderType": kind}
    return {**common, **params}


def said(found: Answer) -> tuple[str, str]:
    """Code and text of a refusal."""
    assert found.status >= 400, found.body
    body = msgspec.json.decode(found.body)
    assert body["data"] is None
    return body["code"], body["msg"]


def decoded(frames: list[Frame]) -> list[Any]:
    return [msgspec.json.decode(frame.text) for frame in frames]
