"""The USD-M user stream: listen keys over REST, and the connection that tells an account's events.

A connection names its listen key in the path (`/ws/KEY`) or the query (`/private/ws?listenKey=KEY`). Like the
real venue this one accepts any: who comes with an unknown key hears nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

import msgspec

from libs.exchange.engine.commands import Event
from services.venue.binance_common import refuse
from services.venue.binance_usdm_account import SETTLEMENT, asset_of
from services.venue.binance_usdm_event_rows import margin_call
from services.venue.binance_usdm_events import of_account
from services.venue.binance_usdm_params import WALLET
from services.venue.binance_usdm_positions import slots
from services.venue.frames import Frame
from services.venue.wire import Answer, Call, answer

if TYPE_CHECKING:
    from services.venue.desk import Instant
    from services.venue.house import House
    from services.venue.keys import Key

STREAM: Final = "user"
CALL_RATIO: Final = Decimal("0.8")  # of maintenance to equity at which a margin call is made
CALL_EVERY_MS: Final = 1_000
_NO_KEY: Final = (-1125, "This listenKey does not exist.")


# The key that each user opened last: the REST calls do not name it.
_OPENED: Final[WeakKeyDictionary[House, dict[str, str]]] = WeakKeyDictionary()


# --- listen keys ------------------------------------------------------------------------------------------


def open_key(house: House, call: Call, key: Key) -> Answer:
    """POST /fapi/v1/listenKey: the user's key, valid for another hour."""
    text = house.listen_keys.open(key.user, WALLET, call.now.wall_ms).text
    _OPENED.setdefault(house, {})[key.user] = text
    return answer({"listenKey": text})


def prolong_key(house: House, call: Call, key: Key) -> Answer:
    """PUT /fapi/v1/listenKey: another hour; -1125 when there is no valid key."""
    text = _OPENED.get(house, {}).get(key.user, "")
    if house.listen_keys.prolong(text, call.now.wall_ms) is None:
        raise refuse(*_NO_KEY)
    return answer({})


def close_key(house: House, _call: Call, key: Key) -> Answer:
    """DELETE /fapi/v1/listenKey: the stream ends; -1125 when there is no key."""
    text = _OPENED.get(house, {}).pop(key.user, "")
    if not house.listen_keys.close(text):
        raise refuse(*_NO_KEY)
    return answer({})


# --- the connection ---------------------------------------------------------------------------------------


class UserStream:
    """One connection. `on_ready` is called whenever something is to be pushed."""

    protocol: Final = "binance"

    def __init__(self, house: House, listen_key: str, now: Instant, *, wrapped: bool = False) -> None:
        self._house = house
        self._listen_key = listen_key
        self._wrapped = wrapped
        self._pending: list[Frame] = []
        self._called_ms = 0
        self._end: Callable[[], None] | None = None
        self._account = ""
        self.on_ready: Callable[[], None] | None = None
        found = house.listen_keys.find(listen_key, now.wall_ms)
        if found is not None and found.product == WALLET:
            self._account = house.account(found.user, WALLET)
            self._end = house.listen(found.user, self._hear_events)

    def hear(self, text: str, now: Instant) -> list[Frame]:
        """Requests are confirmed as on the market streams; there is nothing to subscribe to here."""
        del now
        try:
            request = msgspec.json.decode(text, type=dict[str, Any])
        except msgspec.DecodeError as error:
            said = {"error": {"code": 3, "msg": f"Invalid JSON: {error}"}, "id": None}
            return [Frame(_text(said))]
        result = [self._listen_key] if request.get("method") == "LIST_SUBSCRIPTIONS" else None
        return [Frame(_text({"result": result, "id": request.get("id")}))]

    def push(self, now: Instant) -> list[Frame]:
        """What has happened, a margin call when it is due, and the end of the listen key."""
        if self._end is not None:
            if self._house.listen_keys.find(self._listen_key, now.wall_ms) is None:
                over = {"e": "listenKeyExpired", "E": now.wall_ms, "listenKey": self._listen_key}
                self._say("", over)
                self.close()
            else:
                self._warn(now)
        frames, self._pending = self._pending, []
        return frames

    def close(self) -> None:
        """The connection has ended, or its key."""
        if self._end is not None:
            self._end()
            self._end = None

    def _hear_events(self, events: list[Event], now: Instant) -> None:
        for symbol, event in of_account(self._house, self._account, events, now):
            self._say(symbol, event)
        if self._pending and self.on_ready is not None:
            self.on_ready()

    def _say(self, symbol: str, event: dict[str, Any]) -> None:
        body = {"stream": self._listen_key, "data": event} if self._wrapped else event
        self._pending.append(Frame(_text(body), STREAM, symbol))

    def _warn(self, now: Instant) -> None:
        """A margin call a second at most, while maintenance has come near to what backs it."""
        if now.wall_ms - self._called_ms < CALL_EVERY_MS:
            return
        self._called_ms = now.wall_ms
        figures = self._house.engine.margin(self._account, SETTLEMENT)
        if not figures.maintenance or figures.maintenance < CALL_RATIO * figures.equity:
            return
        instruments = {one.position.instrument for one in self._house.engine.positions(self._account)}
        listings = [self._house.engine.listing(key) for key in sorted(instruments)]
        held = [one for one in slots(self._house, self._account, listings) if one.figures is not None]
        wallet = asset_of(self._house, self._account, SETTLEMENT, held).cross_wallet
        self._say("", margin_call(wallet, held, now))


def _text(body: Any) -> str:
    return msgspec.json.encode(body).decode()
