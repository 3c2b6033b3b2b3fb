"""Bad answers of venues, and none: one clear VenueError each, and nothing invented."""

from __future__ import annotations

from typing import Any

import pytest

from libs.exchange.port import VenueError
from libs.exchange.quirks import VENUES
from tests.integration.binance_markets import serve_binance, usdm
from tests.integration.loopback import Loopback, loopback, opened, perp

ANSWERS: list[tuple[Any, str, str]] = [
    ((200, "<html><body>Just a moment...</body></html>", {}), "bad_payload", "an HTML page in place of JSON"),
    ((200, '{"symbols": [{"symbol": "BTCUS', {}), "bad_payload", "30 characters in place of JSON"),
    ((200, "", {}), "bad_payload", "in place of JSON"),
    ({"symbols": []}, "bad_payload", "no markets"),
    ({}, "bad_payload", "no markets"),
    ([1, 2, 3], "bad_payload", ""),
    ({"symbols": [{"symbol": "BTCUSDT", "filters": 7}]}, "bad_payload", ""),
    ((429, "slow down", {"Retry-After": "17"}), "rate_limit", "wait 17 s"),
    ((418, "banned", {"Retry-After": "120"}), "rate_limit", "wait 120 s"),
    ((429, "slow down", {}), "rate_limit", "wait 60 s"),
    ((500, "<html>oops</html>", {}), "exchange", "HTTP 500"),
    ((502, "<html><head>bad gateway</head></html>", {}), "exchange", "HTTP 502"),
    ((503, "busy", {}), "exchange", "HTTP 503"),
    ((504, "late", {}), "timeout", ""),
    ((401, "who", {}), "auth", ""),
]


@pytest.mark.parametrize(("answer", "error_class", "text"), ANSWERS)
async def test_every_bad_answer_is_a_venue_error_in_one_line(
    answer: Any, error_class: str, text: str
) -> None:
    async with loopback() as server, opened(server, "binance") as data:
        serve_binance(server)
        server.serve("/fapi/v1/exchangeInfo", answer)
        with pytest.raises(VenueError) as caught:
            await data.load()
        error = caught.value
        assert error.error_class == error_class, str(error)
        assert text in str(error)
        assert "\n" not in str(error)
        assert "<" not in str(error)
        assert len(str(error)) < 260
        if error_class == "rate_limit":
            assert error.retry_after_sec is not None


async def test_a_row_of_nonsense_among_the_markets_never_becomes_an_instrument() -> None:
    async with loopback() as server, opened(server, "binance") as data:
        serve_binance(server, usdm_rows=[usdm("BTCUSDT", "BTC"), {"symbol": "X"}])
        assert set(await data.load()) == {"BTC-USDT", "ADA-USDT", "BTC-USDT-PERP"}


async def test_nobody_there_is_network_and_nobody_answering_is_timeout() -> None:
    async with loopback() as server:
        port = server.port
    closed = Loopback()
    closed.port = port
    async with opened(closed, "binance") as data:
        with pytest.raises(VenueError) as caught:
            await data.load()
        assert caught.value.error_class == "network"
        assert str(caught.value).startswith("binance: load: cannot connect")
    async with loopback() as server, opened(server, "binance", timeout_sec=0.3) as data:
        server.delay_sec = 1.5
        with pytest.raises(VenueError) as caught:
            await data.load()
        assert caught.value.error_class == "timeout"


@pytest.mark.parametrize("venue", VENUES)
@pytest.mark.parametrize(
    "body", ["<html>hello</html>", '{"data": [{"symbol":', "null", "[]", "{}", '"x"', "7"]
)
async def test_no_venue_answers_nonsense_with_anything_but_a_venue_error(venue: str, body: str) -> None:
    quote = "USDC" if venue == "hyperliquid" else "USDT"
    market = perp("BTC", "BTC-USDT", quote=quote)
    slug = f"BTC-{quote}-PERP"
    async with loopback() as server, opened(server, venue, markets=[market]) as data:
        server.serve("", (200, body, {}))
        for call in (
            data.fetch_funding([slug]),
            data.fetch_quotes([slug]),
            data.fetch_clock_offset_ms(),
            data.load(),
        ):
            with pytest.raises(VenueError) as caught:
                await call
            assert caught.value.error_class in ("bad_payload", "exchange", "not_supported"), str(caught.value)
        try:
            book = await data.fetch_book(slug)
        except VenueError:
            pass
        else:
            assert book.bids == book.asks == ()
