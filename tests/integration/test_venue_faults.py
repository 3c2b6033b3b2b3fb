"""Each transport fault, and what unmodified ccxt makes of it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import aiohttp
import ccxt.async_support as ccxt
import pytest

from tests.helpers.venue import Venue, running_venue

PERP = "BTC/USDT:USDT"
VENUES = ("binanceusdm", "bitget")
PROTOCOL = {"binanceusdm": "binance", "bitget": "bitget"}


@pytest.fixture
async def venue() -> AsyncIterator[Venue]:
    async with running_venue() as running:
        yield running


@pytest.mark.parametrize("name", VENUES)
@pytest.mark.parametrize(
    ("kind", "errors"),
    [
        ("drop", {"binanceusdm": ccxt.ExchangeNotAvailable, "bitget": ccxt.ExchangeNotAvailable}),
        ("http_429", {"binanceusdm": ccxt.DDoSProtection, "bitget": ccxt.DDoSProtection}),
        ("http_418", {"binanceusdm": ccxt.DDoSProtection, "bitget": ccxt.ExchangeError}),
        ("http_5xx", {"binanceusdm": ccxt.OperationFailed, "bitget": ccxt.ExchangeError}),
        ("truncated", {"binanceusdm": ccxt.ExchangeError, "bitget": ccxt.ExchangeError}),
    ],
)
async def test_a_fault_reaches_ccxt_as_an_error_and_passes(
    venue: Venue, name: str, kind: str, errors: dict[str, type[Exception]]
) -> None:
    async with venue.exchange(name) as exchange:
        await exchange.load_markets()
        # aiohttp repeats a GET whose reused connection was cut, so one drop alone is never seen.
        count = 2 if kind == "drop" else 1
        venue.fault(kind=kind, venue=PROTOCOL[name], count=count)
        with pytest.raises(errors[name]):
            await exchange.fetch_order_book(PERP)
        assert venue.server.board.struck == {kind: count}
        assert (await exchange.fetch_order_book(PERP))["bids"]


@pytest.mark.parametrize("name", VENUES)
async def test_a_page_of_html_is_an_empty_book_to_ccxt(venue: Venue, name: str) -> None:
    """ccxt raises nothing: whoever reads it must take an empty book for an error."""
    async with venue.exchange(name) as exchange:
        await exchange.load_markets()
        venue.fault(kind="html_200", venue=PROTOCOL[name], count=1)
        book = await exchange.fetch_order_book(PERP)
        assert (book["bids"], book["asks"]) == ([], [])
        assert venue.server.board.struck == {"html_200": 1}


@pytest.mark.parametrize("name", VENUES)
async def test_a_late_answer_is_a_timeout_for_who_does_not_wait(venue: Venue, name: str) -> None:
    async with venue.exchange(name, timeout=1_000) as exchange:
        await exchange.load_markets()
        venue.fault(kind="delay", venue=PROTOCOL[name], delay_ms=4_000, count=1)
        with pytest.raises(ccxt.RequestTimeout):
            await exchange.fetch_order_book(PERP)


async def test_a_delay_is_as_long_as_planned(venue: Venue) -> None:
    async with venue.exchange("binanceusdm") as exchange:
        venue.fault(kind="delay", endpoint="/fapi/v1/time", delay_ms=600, count=1)
        begin = time.perf_counter()
        await exchange.fetch_time()
        assert time.perf_counter() - begin >= 0.6


async def test_a_skewed_clock_is_seen(venue: Venue) -> None:
    async with venue.exchange("bitget") as exchange:
        venue.fault(kind="clock_skew", venue="bitget", offset_ms=-90_000)
        assert await exchange.load_time_difference() == pytest.approx(90_000, abs=5_000)


async def test_nonsense_rates_come_through_to_the_client(venue: Venue) -> None:
    async with venue.exchange("binanceusdm") as exchange:
        for symbol, kind in (("BTCUSDT", "rate_null"), ("ETHUSDT", "rate_nan"), ("SOLUSDT", "rate_absurd")):
            venue.fault(kind=kind, symbol=symbol)
        rates = await exchange.fetch_funding_rates()
        assert rates[PERP]["fundingRate"] is None
        assert rates["ETH/USDT:USDT"]["fundingRate"] != rates["ETH/USDT:USDT"]["fundingRate"], "NaN"
        assert rates["SOL/USDT:USDT"]["fundingRate"] == 1.8e9
        assert rates["BNB/USDT:USDT"]["fundingRate"] is not None


async def test_the_control_endpoint_sets_and_clears_faults_and_tells_provenance(venue: Venue) -> None:
    base = f"http://127.0.0.1:{venue.server.control_port}"
    async with aiohttp.ClientSession() as session, venue.exchange("binanceusdm") as exchange:
        plan = {"faults": [{"kind": "http_429", "venue": "binance", "retry_after_sec": 7}]}
        async with session.post(f"{base}/faults", json=plan) as answer:
            assert answer.status == 200
        with pytest.raises(ccxt.DDoSProtection):
            await exchange.fetch_time()
        async with session.delete(f"{base}/faults") as answer:
            assert (await answer.json())["faults"] == []
        assert await exchange.fetch_time() > 0
        async with session.post(f"{base}/faults", data="{") as answer:
            assert answer.status == 400
            assert "fault plan" in (await answer.json())["error"]
        async with session.get(f"{base}/provenance") as answer:
            told = await answer.json()
            assert told["bitget funding"].startswith("recorded from Bybit")
            assert told["books"].startswith("synthesised")
        async with session.get(f"{base}/state") as answer:
            state = await answer.json()
            assert state["clock"]["speed"] == 1.0
            assert "BTCUSDT" in state["listed"]["bitget"]
            assert state["calls"]["fapi.binance.com/fapi/v1/time"] == 2
        async with session.get(f"{base}/state", headers={"Host": "evil.example"}) as answer:
            assert answer.status == 403
