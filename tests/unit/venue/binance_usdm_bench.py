"""USD-M's private calls without sockets: signed as a client signs them, on books that the test sets.

The tests trade TSTUSDT, and TSTUSDT_241227 as a dated future: contracts that no recording knows, so that
books and marks are the test's own. Market time stands still; wall time goes on as the test says.
"""

from __future__ import annotations

import hashlib
import hmac
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlencode

import msgspec

from libs.common.instant import MarketClock
from libs.common.subjects import Kind
from libs.exchange.engine.commands import Event, SetBook, SetListing, SetMark
from libs.exchange.engine.types import Listing, Tier
from services.venue import binance_auth, keys, recording
from services.venue.binance_usdm_routes import PRIVATE
from services.venue.binance_usdm_stream import UserStream
from services.venue.desk import STEP_MS, Desk, Instant
from services.venue.faults import Board, Plan
from services.venue.house import House
from services.venue.keys import Key
from services.venue.market import DEFAULT_START_MS, Market
from services.venue.wire import Call, Refused

WALL0_MS = 1_800_000_000_000
HOST = "fapi.binance.com"
SYMBOL = "TSTUSDT"
PERP = f"perp:{SYMBOL}"
DATED = f"{SYMBOL}_241227"
FUTURE = f"future:{DATED}"
USER = "u1"
ACCOUNT = "u1:usdm"
MARK = Decimal(40_000)
EXPIRY_MS = 1_735_286_400_000  # 2024-12-27 08:00 UTC

Level = tuple[str, str]


TIERS = (
    Tier(notional_max=Decimal(50_000), leverage_max=125, maintenance_ratio=Decimal("0.004")),
    Tier(
        notional_max=Decimal(600_000),
        leverage_max=50,
        maintenance_ratio=Decimal("0.01"),
        maintenance_amount=Decimal(300),
    ),
    Tier(
        notional_max=Decimal(3_000_000),
        leverage_max=10,
        maintenance_ratio=Decimal("0.05"),
        maintenance_amount=Decimal(24_300),
    ),
)


def listing(kind: Kind, symbol: str, **more: Any) -> Listing:
    """A contract of the tests."""
    return Listing(
        key=f"{kind}:{symbol}",
        symbol=symbol,
        kind=kind,
        base="TST",
        quote="USDT",
        price_tick=Decimal("0.1"),
        quantity_step=Decimal("0.001"),
        quantity_min=Decimal("0.001"),
        quantity_max=Decimal(100),
        market_quantity_max=Decimal(50),
        notional_min=Decimal(5),
        price_band=Decimal("0.15"),
        tiers=TIERS,
        liquidation_fee=Decimal("0.012"),
        **more,
    )


def instant(wall_ms: int) -> Instant:
    """A wall time at which market time still stands at the start of the recording."""
    return Instant(wall_ms, DEFAULT_START_MS, wall_ms // STEP_MS, DEFAULT_START_MS)


class UsdmBench:
    """A house with one user, his key and 10,000 USDT in the futures wallet; TSTUSDT is at 40,000."""

    def __init__(self, *, deposit: str = "10000", market: Market | None = None) -> None:
        self.wall_ms = WALL0_MS
        self.seconds = 0.0
        market = market or Market(recording.load())
        clock = MarketClock(market0_ms=DEFAULT_START_MS, wall0_ms=WALL0_MS, speed=1.0)
        board = Board(Plan(seed=1), seconds=lambda: self.seconds)
        self.house = House(Desk("binance", market, clock, board), born=self.now)
        self.house.open_user(USER, self.now)
        self.key = keys.make("binance", USER, seed=7)
        self.house.add_key(self.key)
        if deposit != "0":
            self.house.deposit(USER, "usdm", "USDT", Decimal(deposit), self.now)
        self._version = 0
        self.house.tell(SetListing(listing=listing(Kind.PERP, SYMBOL)), self.now)
        self.house.tell(SetListing(listing=listing(Kind.FUTURE, DATED, expiry_ms=EXPIRY_MS)), self.now)
        self.book()
        self.book(instrument=FUTURE)

    @property
    def now(self) -> Instant:
        return instant(self.wall_ms)

    def wait(self, ms: int) -> None:
        self.wall_ms += ms

    # --- the market --------------------------------------------------------------------------

    def book(
        self,
        bids: tuple[Level, ...] = (("39999.9", "1"), ("39999.0", "5")),
        asks: tuple[Level, ...] = (("40000.0", "1"), ("40001.0", "5")),
        *,
        mark: Decimal = MARK,
        instrument: str = PERP,
    ) -> list[Event]:
        """Set a contract's mark and book."""
        self._version += 1
        sides = [tuple((Decimal(price), Decimal(size)) for price, size in half) for half in (bids, asks)]
        command = SetBook(instrument=instrument, bids=sides[0], asks=sides[1], version=self._version)
        return self.mark(mark, instrument) + self.house.tell(command, self.now)

    def mark(self, mark: Decimal, instrument: str = PERP) -> list[Event]:
        """Set a contract's mark."""
        return self.house.tell(SetMark(instrument=instrument, mark=mark), self.now)

    # --- calls -------------------------------------------------------------------------------

    def call(
        self,
        method: str,
        path: str,
        params: dict[str, Any] | None = None,
        *,
        key: Key | None = None,
        signed: bool = True,
        window_ms: int | None = None,
        offset_ms: int = 0,
    ) -> Call:
        """A call as ccxt would send it: parameters in the query of GET and DELETE, else in the body."""
        key = key or self.key
        known: dict[str, Any] = dict(params or {})
        if signed:
            known["timestamp"] = self.wall_ms + offset_ms
            if window_ms is not None:
                known["recvWindow"] = window_ms
        text = urlencode(known)
        if signed:
            digest = hmac.new(key.secret.encode(), text.encode(), hashlib.sha256).hexdigest()
            text += f"&signature={digest}"
        in_query = method in ("GET", "DELETE")
        return Call(
            host=HOST,
            method=method,
            path=path if path.startswith("/") else f"/fapi/v1/{path}",
            query=dict(parse_qsl(text)) if in_query else {},
            raw_query=text if in_query else "",
            headers={"x-mbx-apikey": key.api_key},
            body=b"" if in_query else text.encode(),
            now=self.now,
        )

    def answer(self, call: Call) -> tuple[int, Any]:
        """Status and decoded body of a call, through authentication and handler."""
        route = PRIVATE[call.method, call.path]
        try:
            key = binance_auth.authenticate(self.house, call)
            found = route.handler(self.house, call, key)
        except Refused as refused:
            found = refused.answer
        return found.status, msgspec.json.decode(found.body)

    def send(self, method: str, path: str, **params: Any) -> Any:
        """The body of a call that must succeed."""
        status, body = self.answer(self.call(method, path, params))
        assert status == 200, (method, path, status, body)
        return body

    def refused(self, method: str, path: str, **params: Any) -> tuple[int, str]:
        """Code and text of a call that must be refused."""
        status, body = self.answer(self.call(method, path, params))
        assert status >= 400, (method, path, body)
        return body["code"], body["msg"]

    # --- orders ------------------------------------------------------------------------------

    @staticmethod
    def limit(side: str, quantity: str, price: str, tif: str = "GTC", **more: Any) -> dict[str, Any]:
        """Parameters of a limit order on TSTUSDT."""
        order = {"symbol": SYMBOL, "side": side, "type": "LIMIT", "timeInForce": tif}
        return {**order, "quantity": quantity, "price": price, "newOrderRespType": "RESULT", **more}

    def buy(self, quantity: str, price: str, tif: str = "IOC", **more: Any) -> Any:
        """Buy TSTUSDT; the answer."""
        return self.send("POST", "order", **self.limit("BUY", quantity, price, tif, **more))

    def sell(self, quantity: str, price: str, tif: str = "IOC", **more: Any) -> Any:
        """Sell TSTUSDT; the answer."""
        return self.send("POST", "order", **self.limit("SELL", quantity, price, tif, **more))

    def stream(self) -> UserStream:
        """A user stream of the account."""
        key = self.send("POST", "listenKey")["listenKey"]
        return UserStream(self.house, key, self.now)

    def heard(self, stream: UserStream) -> list[Any]:
        """What a stream has said since it was last asked."""
        return [msgspec.json.decode(frame.text) for frame in stream.push(self.now)]
