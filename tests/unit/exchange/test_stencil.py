"""Stencils of orders: cut only of what they reproduce to the byte, filled only with what can be written."""

from __future__ import annotations

import base64
import hmac
import json
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

import ccxt
import msgspec
import pytest
from ccxt.base.decimal_to_precision import decimal_to_precision
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.money import plain
from libs.exchange.live.stencil import Blanks, Seen, Stencil, cut, stamp_of

SECRET = "s" * 32
STAMP = "1795366892450"
FIELDS = {
    "timestamp": STAMP,
    "symbol": "BTCUSDT",
    "side": "BUY",
    "newClientOrderId": "fa01",
    "type": "LIMIT",
    "quantity": "0.01",
    "price": "98000.1",
    "timeInForce": "IOC",
    "recvWindow": "10000",
}
JSON = {"category": "SPOT", "qty": "0.01", "side": "buy", "clientOid": "fa01", "price": "98000.1"}
PATH = "/api/v3/trade/place-order"


def binance(fields: dict[str, str] = FIELDS, *, secret: str = SECRET, body: str = "") -> Seen:
    said = body or urlencode(fields)
    said += "&signature=" + hmac.digest(secret.encode(), said.encode(), "sha256").hex()
    headers = (("Host", "api.binance.com"), ("X-MBX-APIKEY", "k"), ("Content-Length", str(len(said))))
    return Seen(path="/api/v3/order", headers=headers, body=said)


def bitget(fields: dict[str, Any] = JSON, *, secret: str = SECRET, spaced: bool = False) -> Seen:
    body = json.dumps(fields) if spaced else json.dumps(fields, separators=(",", ":"))
    sign = base64.b64encode(hmac.digest(secret.encode(), f"{STAMP}POST{PATH}{body}".encode(), "sha256"))
    headers = (("Host", "api.bitget.com"), ("ACCESS-SIGN", sign.decode()), ("ACCESS-TIMESTAMP", STAMP))
    return Seen(path=PATH, headers=(*headers, ("Content-Length", str(len(body)))), body=body)


def cut_of(seen: Seen, **fields: Any) -> Stencil | None:
    form = "bitget" if seen.path == PATH else "binance"
    said = {"client_id": "fa01", "amount": "0.01", "price": "98000.1", **fields}
    return cut(form, SECRET, seen, **said)  # type: ignore[arg-type]


OTHER = Blanks(client_id="fa02abc", amount="12.5", price="7", stamp="1795366892999")


@pytest.mark.parametrize("made", [binance, bitget])
def test_filled_in_it_is_the_request_that_would_have_been_built(made: Any) -> None:
    stencil = cut_of(made())
    assert stencil is not None
    if made is binance:
        other = {
            **FIELDS,
            "timestamp": OTHER.stamp,
            "newClientOrderId": "fa02abc",
            "quantity": "12.5",
            "price": "7",
        }
        assert stencil.fill(OTHER) == binance(other).wire()
        return
    wire = stencil.fill(msgspec.structs.replace(OTHER, stamp=STAMP))
    assert wire == bitget({**JSON, "qty": "12.5", "clientOid": "fa02abc", "price": "7"}).wire()


def test_more_headers_come_after_the_others() -> None:
    stencil = cut_of(binance())
    assert stencil is not None
    wire = stencil.fill(OTHER, extra="Cookie: a=1\r\n")
    assert b"\r\nCookie: a=1\r\n\r\ntimestamp=" in wire
    assert wire.replace(b"Cookie: a=1\r\n", b"") == stencil.fill(OTHER)


@pytest.mark.parametrize(
    "seen",
    [
        binance(secret="another"),
        bitget(secret="another"),
        binance({**FIELDS, "quantity": "0.010"}),
        binance({**FIELDS, "price": "98000.10"}),
        binance({**FIELDS, "newClientOrderId": "fa09"}),
        binance({name: value for name, value in FIELDS.items() if name != "timestamp"}),
        binance({**FIELDS, "timestamp": "17953668924"}),
        binance(body=urlencode(FIELDS) + "&quantity=0.01"),
        binance(body=urlencode(FIELDS) + "&odd"),
        bitget({**JSON, "qty": 0.01}),
        bitget({**JSON, "more": {"stopLoss": "1"}}),
        bitget({**JSON, "symbol": 'a"b'}),
        bitget(spaced=True),
    ],
)
def test_of_what_is_not_known_there_is_no_stencil(seen: Seen) -> None:
    assert cut_of(seen) is None


def test_a_price_where_none_was_meant_or_the_other_way_round_is_refused() -> None:
    assert cut_of(binance(), price=None) is None
    unpriced = {name: value for name, value in FIELDS.items() if name != "price"}
    assert cut_of(binance(unpriced)) is None
    market = cut_of(binance(unpriced), price=None)
    priced = cut_of(binance())
    assert market is not None
    assert priced is not None
    with pytest.raises(ValueError, match="as they are"):
        market.fill(OTHER)
    with pytest.raises(ValueError, match="as they are"):
        priced.fill(msgspec.structs.replace(OTHER, price=""))


@pytest.mark.parametrize("bad", ["", "a&b=c", "1,5", 'x"', "a b", "é", "a\r\nX: y"])
def test_what_would_have_to_be_escaped_is_refused(bad: str) -> None:
    stencil = cut_of(binance())
    assert stencil is not None
    for name in ("client_id", "amount", "stamp"):
        with pytest.raises(ValueError, match="as they are"):
            stencil.fill(msgspec.structs.replace(OTHER, **{name: bad}))


def test_the_stamp_is_found_where_each_form_has_it() -> None:
    assert stamp_of("binance", binance()) == STAMP
    assert stamp_of("bitget", bitget()) == STAMP
    assert stamp_of("binance", bitget()) == stamp_of("bitget", binance()) == ""


@settings(derandomize=True, max_examples=300, deadline=None)
@given(
    places=st.integers(min_value=0, max_value=8),
    coarse=st.sampled_from([1, 2, 5, 10, 100]),
    count=st.integers(min_value=1, max_value=10**9),
)
def test_multiples_of_a_step_are_written_as_ccxt_writes_them(places: int, coarse: int, count: int) -> None:
    step = Decimal(coarse).scaleb(-places)
    text = plain(step * count)
    for rounding in (ccxt.TRUNCATE, ccxt.ROUND):
        assert decimal_to_precision(text, rounding, plain(step), ccxt.TICK_SIZE) == text
