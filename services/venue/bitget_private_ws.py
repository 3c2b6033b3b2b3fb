"""Bitget's v3 private stream: login, then the topics order, fill, fast-fill, account and position.

Orders and fills are told as they happen. Account and position are told on subscription, with every change,
and every five seconds (https://www.bitget.com/api-doc/uta/changelog, August 2025). A position's change is an
`update` of that position; everything else is a `snapshot`, as published.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from libs.exchange.engine.commands import Booked, Event, Ordered, Positioned
from libs.exchange.engine.types import Fill, Order
from services.venue.bitget_auth import WINDOW_MS, login_text, milliseconds, same, signature_of
from services.venue.bitget_positions import stream_row, stream_rows
from services.venue.bitget_private_fields import figure, plain
from services.venue.bitget_private_place import WALLET
from services.venue.bitget_private_rows import fast_fill, is_contract, stream_fill, stream_order, symbol_of
from services.venue.bitget_private_worth import worth_of
from services.venue.desk import Instant
from services.venue.frames import Frame
from services.venue.house import House
from services.venue.keys import Key
from services.venue.limits import Window

PERIOD_MS: Final = 5_000
MESSAGES_PER_SEC: Final = 10
TOPICS: Final = ("order", "fill", "fast-fill", "account", "position")
_REPEATED: Final = ("account", "position")
_SECONDS_DIGITS: Final = 10
_ENDPOINT: Final = "ws:login"

Code = tuple[int, str]
ILLEGAL: Final[Code] = (30002, "Illegal request")
NO_LOGIN: Final[Code] = (30004, "User not logged in / User must be logged in")
LOGIN_FAILED: Final[Code] = (30005, "Login failed, please log in")
TOO_MANY: Final[Code] = (30006, "Request too many")
WRONG_KEY: Final[Code] = (30011, "Invalid ACCESS_KEY")
WRONG_PASSPHRASE: Final[Code] = (30012, "Invalid ACCESS_PASSPHRASE")
WRONG_STAMP: Final[Code] = (30013, "Invalid ACCESS_TIMESTAMP")
EXPIRED: Final[Code] = (30014, "Request timestamp expired")
WRONG_SIGN: Final[Code] = (30015, "Invalid sign")
WRONG_PARAM: Final[Code] = (30016, "Param error")


class PrivateConversation:
    """One connection to `/v3/ws/private`.

    `on_ready` is called when frames came up between two pushes; `push` gives them.
    """

    protocol: Final = "bitget"

    def __init__(self, house: House) -> None:
        self._house = house
        self._key: Key | None = None
        self._end: Callable[[], None] | None = None
        self._topics: dict[str, dict[str, Any]] = {}
        self._told_ms: dict[str, int] = {}
        self._messages = Window(limit=MESSAGES_PER_SEC, length_ms=1_000)
        self.pending: list[Frame] = []
        self.on_ready: Callable[[], None] | None = None

    def close(self) -> None:
        """Hear nothing more of the user's events."""
        if self._end is not None:
            self._end()
            self._end = None

    # --- what the client says ----------------------------------------------------------------

    def hear(self, text: str, now: Instant) -> list[Frame]:
        """`ping`, login, subscribe, unsubscribe; anything else is Bitget's error."""
        if not self._messages.spend(1, now.wall_ms):
            return [error(TOO_MANY)]
        if text == "ping":
            return [Frame("pong")]
        try:
            request = msgspec.json.decode(text, type=dict[str, Any])
        except msgspec.DecodeError:
            return [error(ILLEGAL)]
        return self._asked(request.get("op"), request.get("args"), now)

    def _asked(self, operation: Any, arguments: Any, now: Instant) -> list[Frame]:
        if not isinstance(arguments, list) or not all(isinstance(one, dict) for one in arguments):
            return [error(WRONG_PARAM)]
        match operation:
            case "login":
                return [self._login(arguments, now)]
            case "subscribe":
                return [frame for arg in arguments for frame in self._subscribe(arg, now)]
            case "unsubscribe":
                return [self._unsubscribe(arg) for arg in arguments]
            case _:
                return [error((30003, f"Invalid op: {operation}"))]

    def _login(self, arguments: list[dict[str, Any]], now: Instant) -> Frame:
        if self._key is not None or len(arguments) != 1:
            return error(LOGIN_FAILED)
        texts = {name: str(value) for name, value in arguments[0].items()}
        found = self._genuine(texts, now)
        if not isinstance(found, Key):
            return error(found)
        self._key = found
        self._end = self._house.listen(found.user, self._happened)
        return _frame({"event": "login", "code": "0", "msg": ""})

    def _genuine(self, texts: dict[str, str], now: Instant) -> Key | Code:
        """The key that logs in, or what is wrong with the login."""
        key = self._house.key(texts.get("apiKey", ""))
        if key is None:
            return WRONG_KEY
        stamp = texts.get("timestamp", "")
        sent = milliseconds(stamp)
        if sent is None:
            return WRONG_STAMP
        sent_ms = sent * 1_000 if len(stamp) <= _SECONDS_DIGITS else sent  # clients send seconds
        if abs(self._house.desk.server_ms(now, _ENDPOINT) - sent_ms) > WINDOW_MS:
            return EXPIRED
        if not same(key.passphrase, texts.get("passphrase", "")):
            return WRONG_PASSPHRASE
        if not same(signature_of(key.secret, login_text(stamp)), texts.get("sign", "")):
            return WRONG_SIGN
        return key

    def _subscribe(self, arg: dict[str, Any], now: Instant) -> list[Frame]:
        topic = str(arg.get("topic", ""))
        if self._key is None:
            return [error(NO_LOGIN)]
        if topic not in TOPICS or str(arg.get("instType", "")).upper() != "UTA":
            return [error((30001, f"instType:{arg.get('instType')},topic:{topic} doesn't exist"))]
        self._topics[topic] = arg
        confirmed = _frame({"event": "subscribe", "arg": arg})
        return [confirmed, self._whole(topic, now)] if topic in _REPEATED else [confirmed]

    def _unsubscribe(self, arg: dict[str, Any]) -> Frame:
        self._topics.pop(str(arg.get("topic", "")), None)
        return _frame({"event": "unsubscribe", "arg": arg})

    # --- what the venue says -----------------------------------------------------------------

    def push(self, now: Instant) -> list[Frame]:
        """What has come up since the last push, and what is due by the clock."""
        frames, self.pending = self.pending, []
        for topic in _REPEATED:
            if topic in self._topics and now.wall_ms - self._told_ms[topic] >= PERIOD_MS:
                frames.append(self._whole(topic, now))
        return frames

    def _happened(self, events: list[Event], now: Instant) -> None:
        """The user's events as frames, at once."""
        mine = [event for event in events if _account(event) == self._account]
        before = len(self.pending)
        for event in mine:
            if isinstance(event, Ordered):
                self._ordered(event.order, event.fill, now)
        if "position" in self._topics:
            for event in mine:
                if isinstance(event, Positioned):
                    row = stream_row(self._house, event.position)
                    self._say("position", [row], now, action="update", symbol=row["symbol"])
        if "account" in self._topics and any(_moves_money(event) for event in mine):
            self.pending.append(self._whole("account", now))
        if len(self.pending) > before and self.on_ready is not None:
            self.on_ready()

    @property
    def _account(self) -> str:
        return "" if self._key is None else self._house.account(self._key.user, WALLET)

    def _ordered(self, order: Order, fill: Fill | None, now: Instant) -> None:
        symbol = symbol_of(order.instrument)
        if fill is not None:
            if "fast-fill" in self._topics:
                self._say("fast-fill", fast_fill(fill, order), now, symbol=symbol)
            if "fill" in self._topics:
                self._say("fill", [stream_fill(fill, order)], now, symbol=symbol)
        if "order" in self._topics:
            engine = self._house.engine
            leverage = (
                engine.leverage(order.account, order.instrument) if is_contract(order.instrument) else 0
            )
            fills = [
                one
                for one in engine.fills(order.account, order.instrument)
                if one.order_id == order.order_id and (fill is None or one.trade_id <= fill.trade_id)
            ]
            self._say("order", [stream_order(order, fills, leverage)], now, symbol=symbol)

    def _whole(self, topic: str, now: Instant) -> Frame:
        """The account or all positions as they stand."""
        self._told_ms[topic] = now.wall_ms
        if topic == "position":
            return self._topic_frame(topic, stream_rows(self._house, self._account), now)
        return self._topic_frame(topic, [_account_row(self._house, self._account, now)], now)

    def _say(self, topic: str, data: Any, now: Instant, *, action: str = "snapshot", symbol: str) -> None:
        self.pending.append(self._topic_frame(topic, data, now, action=action, symbol=symbol))

    def _topic_frame(
        self, topic: str, data: Any, now: Instant, *, action: str = "snapshot", symbol: str = ""
    ) -> Frame:
        said = {"action": action, "arg": self._topics[topic], "data": data, "ts": now.wall_ms}
        return _frame(said, stream=topic, symbol=symbol)


def _account_row(house: House, account: str, now: Instant) -> dict[str, Any]:
    worth = worth_of(house, account, now)
    return {
        "unrealisedPnL": figure(worth.margin.unrealised),
        "totalEquity": figure(worth.equity),
        "positionMgnRatio": figure(worth.margin_ratio),
        "mmr": figure(worth.margin.maintenance),
        "effEquity": figure(worth.margin.equity),
        "imr": figure(worth.margin.initial),
        "mgnRatio": figure(worth.margin_ratio),
        "coin": [
            {
                "debts": plain(coin.debt),
                "balance": plain(coin.balance),
                "available": figure(coin.available),
                "borrow": plain(coin.borrowed),
                "locked": plain(coin.locked),
                "equity": figure(coin.equity),
                "coin": coin.coin,
                "usdValue": figure(coin.usd),
            }
            for coin in worth.coins
        ],
    }


def _account(event: Event) -> str:
    match event:
        case Ordered(order=order):
            return order.account
        case Booked(entry=entry):
            return entry.account
        case Positioned(position=position):
            return position.account
        case _:
            return ""


def _moves_money(event: Event) -> bool:
    """Ledger lines, and spot orders, which lock coins."""
    if isinstance(event, Ordered):
        return not is_contract(event.order.instrument)
    return isinstance(event, Booked)


def error(code: Code) -> Frame:
    """Bitget's error."""
    return _frame({"event": "error", "code": code[0], "msg": code[1]})


def _frame(said: dict[str, Any], *, stream: str = "", symbol: str = "") -> Frame:
    return Frame(msgspec.json.encode(said).decode(), stream, symbol)
