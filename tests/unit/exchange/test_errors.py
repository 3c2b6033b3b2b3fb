from __future__ import annotations

import aiohttp
import ccxt
import pytest

from libs.exchange.errors import error_class_of, one_line, retry_after_sec, venue_error
from libs.exchange.port import VenueError


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (ccxt.RateLimitExceeded("429"), "rate_limit"),
        (ccxt.DDoSProtection("418"), "rate_limit"),
        (ccxt.OnMaintenance("soon"), "maintenance"),
        (ccxt.RequestTimeout("GET"), "timeout"),
        (TimeoutError(), "timeout"),
        (ccxt.AuthenticationError("key"), "auth"),
        (ccxt.PermissionDenied("ip"), "auth"),
        (ccxt.NotSupported("x"), "not_supported"),
        (ccxt.BadSymbol("x"), "not_supported"),
        (ccxt.BadResponse("x"), "bad_payload"),
        (ccxt.NullResponse("x"), "bad_payload"),
        (ccxt.ExchangeNotAvailable("binance GET 503 busy"), "exchange"),
        (caused(ccxt.ExchangeNotAvailable("GET"), aiohttp.ServerDisconnectedError()), "network"),
        (caused(ccxt.ExchangeNotAvailable("GET"), ConnectionRefusedError()), "network"),
        (ccxt.NetworkError("closed"), "network"),
        (ccxt.ExchangeError("40786"), "exchange"),
        (OSError("no route"), "network"),
        (TypeError("NoneType"), "bad_payload"),
        (KeyError("symbol"), "bad_payload"),
        (ValueError("abc"), "bad_payload"),
        (ZeroDivisionError(), "bad_payload"),
        (RuntimeError("?"), "exchange"),
    ],
)
def test_every_error_has_its_class(error: Exception, name: str) -> None:
    assert error_class_of(error) == name
    failure = venue_error("binance", "load", error)
    assert isinstance(failure, VenueError)
    assert failure.error_class == name
    assert "\n" not in str(failure)
    assert str(failure).startswith("binance: load: ")


@pytest.mark.parametrize(
    "text",
    [
        "GET https://api.x.com/order?symbol=BTC&signature=deadbeef&apiKey=hunter2 400",
        '{"apiKey": "hunter2", "msg": "bad"}',
        "headers ACCESS-SIGN: deadbeef secret=hunter2",
        "listenKey=hunter2",
        "password: hunter2, signature: deadbeef",
    ],
)
def test_no_secret_gets_out(text: str) -> None:
    clean = one_line(text)
    assert "hunter2" not in clean
    assert "deadbeef" not in clean


def test_pages_and_paragraphs_become_a_line() -> None:
    assert one_line("503\n\n  <!DOCTYPE html><html>\n<body>much</body></html>") == "503 (an HTML page)"
    assert len(one_line("x" * 10_000)) <= 200


def test_an_error_of_ours_is_passed_on_as_it_is() -> None:
    error = VenueError("okx", "timeout", "load: late")
    assert venue_error("okx", "fetch_funding", error) is error


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "17"}, 17.0),
        ({"retry-after": "0"}, 0.0),
        ({"Retry-After": "soon"}, 60.0),
        ({}, 60.0),
        (None, 60.0),
        ({"Retry-After": "-5"}, 60.0),
    ],
)
def test_the_venues_own_hint_is_read(headers: object, seconds: float) -> None:
    assert retry_after_sec(headers) == seconds
    failure = venue_error("binance", "load", ccxt.DDoSProtection("x"), retry_after_sec=seconds)
    assert failure.retry_after_sec == seconds
    assert f"wait {seconds:g} s" in str(failure)
