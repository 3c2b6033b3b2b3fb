"""A request for an order as ccxt has built it once, with blanks for what differs from order to order. Pure.

ccxt's `create_order` works out the same request again for each order of a shape (instrument, type, side, time
in force, flags): of several hundred lines only the id, the figures, the timestamp and the signature come out
otherwise. `cut` makes a stencil of such a request, and only of one that it can reproduce byte for byte with
the very values in it, signature included; of anything else it makes none, and ccxt goes on building.
"""

from __future__ import annotations

import base64
import hmac
import re
from typing import Final, Literal

import msgspec

Form = Literal["binance", "bitget"]
"""binance: form fields in the body, signed by a last field. bitget: JSON in the body, signed by a header."""

_PLAIN: Final = re.compile(r"[A-Za-z0-9._-]+")  # stands for itself in a form, in JSON and in a header
_STAMP: Final = re.compile(r"[0-9]{13}")  # ms
_CLIENT: Final = {"binance": "newClientOrderId", "bitget": "clientOid"}
_AMOUNT: Final = {"binance": "quantity", "bitget": "qty"}
_SIGN, _TIME = "ACCESS-SIGN", "ACCESS-TIMESTAMP"

Part = tuple[str, str]
"""Text, and the blank that follows it ("" at the end)."""


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """A request as it goes to the socket: `path` from the slash on, all headers in order, the body."""

    path: str
    headers: tuple[tuple[str, str], ...]
    body: str

    def wire(self) -> bytes:
        """As HTTP/1.1."""
        lines = "".join(f"{name}: {value}\r\n" for name, value in self.headers)
        return f"POST {self.path} HTTP/1.1\r\n{lines}\r\n{self.body}".encode()


class Blanks(msgspec.Struct, frozen=True, kw_only=True):
    """What one order fills in. `price` is empty for an order without one."""

    client_id: str
    amount: str
    price: str
    stamp: str

    @property
    def plain(self) -> bool:
        """Whether all of it stands for itself wherever it is written."""
        texts = (self.client_id, self.amount, self.stamp, *((self.price,) if self.price else ()))
        return all(_PLAIN.fullmatch(text) for text in texts)


class Stencil:
    """Fills in, signs, and gives the bytes."""

    def __init__(self, form: Form, secret: bytes, path: str, head: list[Part], body: list[Part]) -> None:
        self._form = form
        self._secret = secret
        self._path = path
        self._head = head
        self._body = body
        self._priced = any(blank == "price" for _, blank in body)

    def fill(self, blanks: Blanks, *, extra: str = "") -> bytes:
        """The whole request, `extra` header lines included; `ValueError` for a value that is missing or would
        have to be escaped.
        """
        if not blanks.plain or bool(blanks.price) is not self._priced:
            raise ValueError(f"{blanks} cannot be written as they are")
        values = {
            "client": blanks.client_id,
            "amount": blanks.amount,
            "price": blanks.price,
            "stamp": blanks.stamp,
            "extra": extra,
            "": "",
        }
        body = "".join([text + values[blank] for text, blank in self._body])
        if self._form == "binance":
            body += "&signature=" + hmac.digest(self._secret, body.encode(), "sha256").hex()
        else:
            said = f"{blanks.stamp}POST{self._path}{body}".encode()
            values["sign"] = base64.b64encode(hmac.digest(self._secret, said, "sha256")).decode()
        values["length"] = str(len(body))
        head = "".join([text + values[blank] for text, blank in self._head])
        return (head + body).encode()


def cut(
    form: Form, secret: str, seen: Seen, *, client_id: str, amount: str, price: str | None
) -> Stencil | None:
    """A stencil of a request for the order with these values, None when it is of no form known here."""
    try:
        fields = _fields(form, seen.body)
    except ValueError:
        return None
    stamp = stamp_of(form, seen)
    blanks = Blanks(client_id=client_id, amount=amount, price=price or "", stamp=stamp)
    wanted = {_CLIENT[form]: ("client", client_id), _AMOUNT[form]: ("amount", amount)}
    if price is not None:
        wanted["price"] = ("price", price)
    if form == "binance":
        wanted["timestamp"] = ("stamp", stamp)
        fields.pop("signature", None)
    known = all(fields.get(name) == value for name, (_, value) in wanted.items())
    if not known or (price is None and "price" in fields) or not _STAMP.fullmatch(stamp) or not blanks.plain:
        return None
    names = {name: blank for name, (blank, _) in wanted.items()}
    stencil = Stencil(form, secret.encode(), seen.path, _head(form, seen), _body(form, fields, names))
    return stencil if stencil.fill(blanks) == seen.wire() else None


def stamp_of(form: Form, seen: Seen) -> str:
    """The timestamp that a request was signed with, empty when there is none."""
    if form == "bitget":
        return next((value for name, value in seen.headers if name == _TIME), "")
    found = re.search(r"(?:^|&)timestamp=([0-9]+)(?:&|$)", seen.body)
    return found[1] if found else ""


def _fields(form: Form, body: str) -> dict[str, str]:
    """The body's fields as written, in order; `ValueError` for a name that comes twice or a nested value."""
    if form == "bitget":
        return msgspec.json.decode(body, type=dict[str, str])
    pairs = [part.split("=") for part in body.split("&")]
    fields: dict[str, str] = dict(pairs)  # `ValueError` for what is no pair
    if len(fields) != len(pairs) or pairs[-1][0] != "signature":
        raise ValueError("a field comes twice, or the signature is not the last one")
    return fields


def _body(form: Form, fields: dict[str, str], names: dict[str, str]) -> list[Part]:
    """Text and blanks of the body, Binance's without its signature."""
    first, between, equals, after, end = (
        ("", "&", "=", "", "") if form == "binance" else ('{"', ',"', '":"', '"', "}")
    )
    parts: list[Part] = []
    text = first
    for name, value in fields.items():
        text += f"{name}{equals}"
        if name in names:
            parts.append((text, names[name]))
            text = ""
        else:
            text += value
        text += f"{after}{between}"
    return [*parts, (text.removesuffix(between) + end, "")]


def _head(form: Form, seen: Seen) -> list[Part]:
    """Request line and headers; of their values only the length is another each time, and Bitget's two."""
    blanks = {"content-length": "length"}
    if form == "bitget":
        blanks |= {_SIGN.lower(): "sign", _TIME.lower(): "stamp"}
    parts: list[Part] = []
    text = f"POST {seen.path} HTTP/1.1\r\n"
    for name, value in seen.headers:
        blank = blanks.get(name.lower())
        text += f"{name}: "
        if blank is None:
            text += f"{value}\r\n"
        else:
            parts.append((text, blank))
            text = "\r\n"
    return [*parts, (text, "extra"), ("\r\n", "")]
