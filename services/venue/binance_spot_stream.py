"""A connection to `ws-api.binance.com`: user streams of the spot and the cross-margin wallet.

Spot is subscribed to by a signed request (`userDataStream.subscribe.signature`), margin with a token from
`sapi/v1/userListenToken`. A token needs no memory: it names its key, wallet and end, sealed with the secret.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any, Final

import msgspec

from libs.exchange.engine.commands import Event
from services.venue import binance_auth, binance_spot_events
from services.venue.binance_common import SPOT_WEIGHT_MAX, refuse
from services.venue.binance_spot_errors import NO_ISOLATED
from services.venue.binance_spot_errors import said as refusal
from services.venue.binance_spot_params import Form
from services.venue.binance_spot_trading import WalletName
from services.venue.binance_ws import ApiConversation
from services.venue.desk import Instant
from services.venue.frames import Frame
from services.venue.house import House
from services.venue.keys import Key
from services.venue.limits import Window
from services.venue.wire import Answer, Call, Refused, answer

VALIDITY_MAX_MS: Final = 24 * 3_600_000
_MINUTE_MS: Final = 60_000
_WEIGHT: Final = 2
_ENDPOINT: Final = "ws:user"
_BAD_TOKEN: Final = (-1209, "The listenToken is invalid or has expired.")


class Subscription(msgspec.Struct):
    """One user stream on a connection; `until_ms` (wall) is None for those that do not end."""

    number: int
    account: str
    until_ms: int | None
    end: Callable[[], None]


class Token(msgspec.Struct, frozen=True):
    """What a listen token says."""

    api_key: str
    wallet: WalletName
    until_ms: int


# --- tokens ---------------------------------------------------------------------------------------


def listen_token(house: House, call: Call, key: Key) -> Answer:
    """POST /sapi/v1/userListenToken: a ticket to the margin wallet's stream, for at most a day."""
    form = Form(call)
    if form.flag("isIsolated"):
        raise refusal(NO_ISOLATED)
    validity = form.integer("validity") or VALIDITY_MAX_MS
    until = house.desk.server_ms(call.now, call.path) + min(validity, VALIDITY_MAX_MS)
    return answer({"token": sealed(Token(key.api_key, "margin", until), key.secret), "expirationTime": until})


def sealed(token: Token, secret: str) -> str:
    """A token as text: its content and the secret's signature of it."""
    content = base64.urlsafe_b64encode(msgspec.json.encode(token)).decode()
    return f"{content}.{binance_auth.signature_of(secret, content)}"


def opened(house: House, text: str, server_ms: int) -> tuple[Key, Token]:
    """Whose token it is; refused when it is nobody's, not genuine or too old."""
    content, _, signature = text.partition(".")
    try:
        token = msgspec.json.decode(base64.urlsafe_b64decode(content), type=Token)
    except (binascii.Error, msgspec.DecodeError, UnicodeEncodeError, ValueError):
        raise refuse(*_BAD_TOKEN) from None
    key = house.key(token.api_key)
    if key is None or token.until_ms <= server_ms or not binance_auth.genuine(key.secret, content, signature):
        raise refuse(*_BAD_TOKEN)
    return key, token


def signed_text(params: dict[str, str]) -> str:
    """What a request's signature is made of: its other parameters by name, nothing encoded."""
    return "&".join(f"{name}={params[name]}" for name in sorted(params) if name != "signature")


# --- the connection -------------------------------------------------------------------------------


class ApiSession:
    """One connection. `on_ready` is called when something is to be pushed before the next step."""

    protocol: Final = "binance"

    def __init__(self, house: House) -> None:
        self._house = house
        self._public = ApiConversation(house.desk)
        self._window = Window(limit=SPOT_WEIGHT_MAX, length_ms=_MINUTE_MS)
        self._subscriptions: list[Subscription] = []
        self._numbers = 0
        self.pending: list[Frame] = []
        self.on_ready: Callable[[], None] | None = None

    def hear(self, text: str, now: Instant) -> list[Frame]:
        """One request, one answer; what is not about accounts is answered as before."""
        try:
            request = msgspec.json.decode(text, type=dict[str, Any])
        except msgspec.DecodeError:
            return self._public.hear(text, now)
        work = {
            "userDataStream.subscribe.signature": self._by_signature,
            "userDataStream.subscribe.listenToken": self._by_token,
            "userDataStream.unsubscribe": self._unsubscribe,
            "session.logon": self._logon,
        }.get(str(request.get("method")))
        if work is None:
            return self._public.hear(text, now)
        self._window.spend(_WEIGHT, now.wall_ms)
        try:
            body: dict[str, Any] = {"status": 200, "result": work(_texts(request.get("params")), now)}
        except Refused as refused:
            error = msgspec.json.decode(refused.answer.body)
            body = {"status": refused.answer.status, "error": error}
        return [_frame({"id": request.get("id"), **body, "rateLimits": self._limits()})]

    def push(self, now: Instant) -> list[Frame]:
        """What has happened since the last push, and the end of subscriptions that ran out."""
        for one in [one for one in self._subscriptions if one.until_ms is not None]:
            if one.until_ms is not None and one.until_ms <= now.wall_ms:
                self._forget(one)
                over = {"e": "eventStreamTerminated", "E": now.wall_ms}
                self.pending.append(self._event(one.number, "", over))
        frames, self.pending = self.pending, []
        return frames

    def close(self) -> None:
        """The connection is gone: nobody listens any more."""
        for one in list(self._subscriptions):
            self._forget(one)

    def _limits(self) -> list[dict[str, Any]]:
        return [
            {
                "rateLimitType": "REQUEST_WEIGHT",
                "interval": "MINUTE",
                "intervalNum": 1,
                "limit": self._window.limit,
                "count": self._window.used,
            }
        ]

    # --- requests ------------------------------------------------------------------------------

    def _identified(self, params: dict[str, str], now: Instant) -> Key:
        key = self._house.key(params.get("apiKey", ""))
        if key is None:
            raise binance_auth.forbidden()
        binance_auth.check_timestamp(params, self._house.desk.server_ms(now, _ENDPOINT))
        signature = params.get("signature", "")
        if not signature:
            raise binance_auth.missing("signature")
        if not binance_auth.genuine(key.secret, signed_text(params), signature):
            raise refuse(-1022, "Signature for this request is not valid.")
        return key

    def _by_signature(self, params: dict[str, str], now: Instant) -> dict[str, Any]:
        key = self._identified(params, now)
        if "read" not in key.permissions:
            raise binance_auth.forbidden()
        return {"subscriptionId": self._subscribe(key.user, "spot", None).number}

    def _by_token(self, params: dict[str, str], now: Instant) -> dict[str, Any]:
        text = params.get("listenToken", "")
        if not text:
            raise binance_auth.missing("listenToken")
        key, token = opened(self._house, text, self._house.desk.server_ms(now, _ENDPOINT))
        made = self._subscribe(key.user, token.wallet, token.until_ms)
        return {"subscriptionId": made.number, "expirationTime": token.until_ms}

    def _unsubscribe(self, params: dict[str, str], _now: Instant) -> dict[str, Any]:
        wanted = params.get("subscriptionId")
        for one in list(self._subscriptions):
            if wanted in (None, str(one.number)):
                self._forget(one)
        return {}

    def _logon(self, params: dict[str, str], now: Instant) -> dict[str, Any]:
        """Only Ed25519 keys may log on, and the keys here are HMAC ones."""
        self._identified(params, now)
        raise refuse(-4056, "HMAC_SHA256 API key is not supported.")

    # --- subscriptions ---------------------------------------------------------------------------

    def _subscribe(self, user: str, wallet: WalletName, until_ms: int | None) -> Subscription:
        """A new stream; the same account again only prolongs the one that there is."""
        account = self._house.account(user, wallet)
        for one in self._subscriptions:
            if one.account == account:
                one.until_ms = until_ms
                return one
        number, self._numbers = self._numbers, self._numbers + 1

        def hear(events: list[Event], now: Instant) -> None:
            said = binance_spot_events.said(self._house.engine, account, events, now.wall_ms)
            self.pending += [self._event(number, symbol, event) for symbol, event in said]
            if said and self.on_ready is not None:
                self.on_ready()

        made = Subscription(number, account, until_ms, self._house.listen(user, hear))
        self._subscriptions.append(made)
        return made

    def _forget(self, one: Subscription) -> None:
        one.end()
        self._subscriptions.remove(one)

    def _event(self, number: int, symbol: str, event: dict[str, Any]) -> Frame:
        return _frame({"subscriptionId": number, "event": event}, symbol)


def _frame(body: dict[str, Any], symbol: str = "") -> Frame:
    return Frame(msgspec.json.encode(body).decode(), "user", symbol)


def _texts(params: Any) -> dict[str, str]:
    """Parameters as the texts that are signed; what is no plain value counts as not sent."""
    if not isinstance(params, dict):
        return {}
    texts = {}
    for name, value in params.items():
        if isinstance(value, bool):
            texts[str(name)] = "true" if value else "false"
        elif isinstance(value, (str, int)):
            texts[str(name)] = str(value)
    return texts
