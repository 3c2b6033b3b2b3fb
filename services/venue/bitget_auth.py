"""Who calls Bitget: key, passphrase, timestamp and signature of a REST call or of a stream's login.

The signature is the base64 HMAC-SHA256 of timestamp + METHOD + path + "?" + query + body, the query decoded
and sorted by name; a login signs timestamp + "GET" + "/user/verify". Codes and texts are those of Bitget's
published tables (https://www.bitget.com/api-doc/uta/error-code/restapi).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from services.venue.bitget_common import refuse, unified
from services.venue.wire import Call, Refused

if TYPE_CHECKING:
    from services.venue.house import House
    from services.venue.keys import Key

WINDOW_MS: Final = 30_000  # a timestamp further than this from the venue's clock is refused
VERIFY: Final = "GET/user/verify"
_DIGITS_MAX: Final = 16


def authenticate(house: House, call: Call) -> Key:
    """The key of a call; raises `wire.Refused` with Bitget's answer when it is not genuine or late.

    The keys of this venue are those of unified accounts: private paths of the classic account are refused.
    """
    said = call.headers.get
    key = house.key(_header(call, "access-key", "40001", "ACCESS_KEY cannot be empty"))
    supplied = _header(call, "access-sign", "40003", "Signature cannot be empty")
    stamp = _header(call, "access-timestamp", "40005", "Invalid ACCESS_TIMESTAMP")
    _header(call, "access-passphrase", "40011", "ACCESS_PASSPHRASE cannot be empty")
    if key is None:
        raise refuse(call, "40006", "Invalid ACCESS_KEY")
    check_time(house, call, stamp)
    if not same(key.passphrase, said("access-passphrase", "")):
        raise refuse(call, "40012", "apikey/password is incorrect")
    if not same(signature_of(key.secret, signed_text(call, stamp)), supplied):
        raise refuse(call, "40009", "sign signature error")
    if call.path.startswith("/api/v2/"):
        raise unified(call)
    return key


def forbidden(call: Call) -> Refused:
    """A key without the permission that the call needs."""
    return refuse(call, "40014", "Incorrect permissions")


def check_time(house: House, call: Call, stamp: str) -> None:
    """Refuse a timestamp (ms) that is none, or outside of the window of the venue's clock."""
    sent_ms = milliseconds(stamp)
    if sent_ms is None:
        raise refuse(call, "40005", "Invalid ACCESS_TIMESTAMP")
    if abs(house.desk.server_ms(call.now, call.path) - sent_ms) > WINDOW_MS:
        raise refuse(call, "40008", "Request timestamp expired")


def milliseconds(stamp: str) -> int | None:
    """A Unix timestamp in ms; None when the text is none."""
    if stamp.isascii() and stamp.isdigit() and len(stamp) <= _DIGITS_MAX:
        return int(stamp)
    return None


def signed_text(call: Call, stamp: str) -> str:
    """What the signature of a call is made of."""
    pairs = sorted(parse_qsl(call.raw_query, keep_blank_values=True))
    query = "?" + "&".join(f"{name}={value}" for name, value in pairs) if pairs else ""
    return f"{stamp}{call.method}{call.path}{query}{call.body.decode('utf-8', 'replace')}"


def login_text(stamp: str) -> str:
    """What the signature of a stream's login is made of."""
    return stamp + VERIFY


def signature_of(secret: str, text: str) -> str:
    """The base64 signature of a text."""
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()).decode()


def same(ours: str, theirs: str) -> bool:
    """Whether two secrets are the same, in a time that does not tell where they differ."""
    return hmac.compare_digest(ours.encode(), theirs.encode())


def _header(call: Call, name: str, code: str, text: str) -> str:
    value = call.headers.get(name, "")
    if not value:
        raise refuse(call, code, text)
    return value
