"""Who calls Binance: API key, HMAC signature, timestamp and receive window, as the real venue checks them.

A signed call carries `timestamp` and `signature`, optionally `recvWindow`, among its parameters, which may be
in the query, in a form body, or in both. The signature is the hex HMAC-SHA256 of the query and the body as
they were sent, one after the other without a sign between, the signature itself left out
(https://developers.binance.com/docs/derivatives/usds-margined-futures/general-info).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from services.venue.binance_common import refuse
from services.venue.wire import Call, Refused

if TYPE_CHECKING:
    from services.venue.house import House
    from services.venue.keys import Key

RECV_WINDOW_DEFAULT_MS: Final = 5_000
RECV_WINDOW_MAX_MS: Final = 60_000
AHEAD_MAX_MS: Final = 1_000  # a timestamp further in the future is refused, whatever the window

# What is asked with the key alone.
UNSIGNED: Final = frozenset({"/fapi/v1/listenKey", "/api/v3/userDataStream", "/sapi/v1/userListenToken"})

_KEY_FORM: Final = re.compile(r"[A-Za-z0-9]{16,128}", re.ASCII)
_SIGNATURE: Final = re.compile(r"(?:^|&)signature=[^&]*")


def authenticate(house: House, call: Call) -> Key:
    """The key of a call; raises `wire.Refused` with Binance's answer when it is not genuine or late."""
    key = key_of(house, call)
    if call.path not in UNSIGNED:
        parameters = parameters_of(call)
        supplied = _required(parameters, "signature")
        check_time(house, parameters, call)
        if not genuine(key.secret, signed_text(call), supplied):
            raise refuse(-1022, "Signature for this request is not valid.")
    return key


def key_of(house: House, call: Call) -> Key:
    """Who the header `X-MBX-APIKEY` names."""
    said = call.headers.get("x-mbx-apikey", "")
    if not _KEY_FORM.fullmatch(said):
        raise refuse(-2014, "API-key format invalid.", status=401)
    key = house.key(said)
    if key is None:
        raise forbidden()
    return key


def forbidden() -> Refused:
    """An unknown key, or one without the permission that the call needs."""
    return refuse(-2015, "Invalid API-key, IP, or permissions for action.", status=401)


def parameters_of(call: Call) -> dict[str, str]:
    """All parameters of a call: query and form body; the query wins where both have one."""
    body = dict(parse_qsl(_body(call), keep_blank_values=True))
    return body | dict(parse_qsl(call.raw_query, keep_blank_values=True))


def signed_text(call: Call) -> str:
    """What a call's signature is made of."""
    return _SIGNATURE.sub("", call.raw_query) + _SIGNATURE.sub("", _body(call))


def signature_of(secret: str, text: str) -> str:
    """The hex signature of a text."""
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest()


def genuine(secret: str, text: str, supplied: str) -> bool:
    """Whether a signature is the secret's; the case of its hex digits does not matter."""
    return hmac.compare_digest(signature_of(secret, text).encode(), supplied.lower().encode())


def check_time(house: House, parameters: dict[str, str], call: Call) -> None:
    """Refuse a timestamp outside of the receive window, by the venue's clock (which a fault may skew)."""
    check_timestamp(parameters, house.desk.server_ms(call.now, call.path))


def check_timestamp(parameters: dict[str, str], server_ms: int) -> None:
    """Refuse unless server - recvWindow <= timestamp < server + 1 s."""
    stamp = _integer("timestamp", _required(parameters, "timestamp"))
    window = _integer("recvWindow", parameters.get("recvWindow") or str(RECV_WINDOW_DEFAULT_MS))
    if window > RECV_WINDOW_MAX_MS:
        raise refuse(-1131, "recvWindow must be less than 60000")
    if stamp >= server_ms + AHEAD_MAX_MS:
        text = f"Timestamp for this request was {AHEAD_MAX_MS}ms ahead of the server's time."
        raise refuse(-1021, text)
    if server_ms - stamp > window:
        raise refuse(-1021, "Timestamp for this request is outside of the recvWindow.")


def missing(name: str) -> Refused:
    """A parameter that has to be there."""
    return refuse(-1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed.")


def _required(parameters: dict[str, str], name: str) -> str:
    value = parameters.get(name, "")
    if not value:
        raise missing(name)
    return value


def _integer(name: str, text: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= 18:
        return int(text)
    legal = "legal range is '^[0-9]{1,20}$'"
    raise refuse(-1100, f"Illegal characters found in parameter '{name}'; {legal}.")


def _body(call: Call) -> str:
    """The body as text; nothing that a form cannot be was signed."""
    return call.body.decode("utf-8", "replace")
