"""Unmodified ccxt on the simulated venue: markets, funding, history, books, quotes over REST."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import ccxt.async_support
import pytest

from services.venue.market import DEFAULT_START_MS
from tests.helpers.venue import Venue, running_venue

PERP, SPOT = "BTC/USDT:USDT", "BTC/USDT"
SOURCE = {"binanceusdm": "binance", "bitget": "bybit"}


@pytest.fixture
async def venue() -> AsyncIterator[Venue]:
    async with running_venue(speed=1.0) as running:
        yield running


@pytest.mark.parametrize(("name", "count"), [("binance", 42), ("binanceusdm", 21), ("bitget", 42)])
async def test_markets_load_with_filters_and_fees(venue: Venue, name: str, count: int) -> None:
    async with venue.exchange(name) as exchange:
        markets = await exchange.load_markets()
        assert len(markets) == count
        assert all(market["active"] for market in markets.values())
        perp = markets[PERP]
        assert (perp["swap"], perp["linear"], perp["settle"], perp["contractSize"]) == (
            True,
            True,
            "USDT",
            1.0,
        )
        for market in markets.values():
            assert 0 < market["precision"]["price"] < 1
            assert 0 < market["precision"]["amount"] <= 1
            assert market["limits"]["cost"]["min"] > 0
            assert market["limits"]["amount"]["min"] > 0


@pytest.mark.parametrize("name", ["binance", "binanceusdm", "bitget"])
async def test_the_venues_clock_is_ours(venue: Venue, name: str) -> None:
    async with venue.exchange(name) as exchange:
        before = time.time_ns() // 1_000_000
        said = await exchange.fetch_time()
        assert before - 1 <= said <= time.time_ns() // 1_000_000 + 1


def current_row(venue: Venue, source: str, symbol: str) -> tuple[int, float, float]:
    """(next settlement, rate, interval) as recorded, at the venue's present market time."""
    series = venue.server.market.recording.series[source, symbol]
    i = next(i for i, stamp in enumerate(series.stamps_ms) if stamp > venue.market_ms)
    return series.stamps_ms[i], series.rates[i], series.hours[i]


async def test_binances_funding_is_the_recorded_rows(venue: Venue) -> None:
    async with venue.exchange("binanceusdm") as exchange:
        rates = await exchange.fetch_funding_rates()
        intervals = await exchange.fetch_funding_intervals()
        assert len(rates) == 21
        for symbol, rate in rates.items():
            next_ms, recorded, hours = current_row(venue, "binance", exchange.market(symbol)["id"])
            assert (rate["fundingTimestamp"], rate["fundingRate"]) == (next_ms, recorded)
            listed = intervals.get(symbol)
            assert (listed["interval"] if listed else "8h") == f"{hours:g}h"
            assert rate["markPrice"] > 0
            assert rate["indexPrice"] > 0


async def test_bitgets_funding_is_bybits_recorded_rows(venue: Venue) -> None:
    async with venue.exchange("bitget") as exchange:
        rates = await exchange.fetch_funding_rates()
        intervals = await exchange.fetch_funding_intervals()
        assert len(rates) == len(intervals) == 21
        for symbol, found in intervals.items():
            next_ms, recorded, hours = current_row(venue, "bybit", exchange.market(symbol)["id"])
            assert (found["fundingTimestamp"], found["fundingRate"]) == (next_ms, recorded)
            assert found["interval"] == f"{hours:g}h"
            assert rates[symbol]["fundingRate"] == recorded
            one = await exchange.fetch_funding_rate(symbol) if symbol == PERP else found
            assert one["fundingRate"] == recorded


@pytest.mark.parametrize("name", ["binanceusdm", "bitget"])
async def test_the_settled_history_is_the_recorded_rows(venue: Venue, name: str) -> None:
    day = 86_400_000
    async with venue.exchange(name) as exchange:
        await exchange.load_markets()
        for symbol in (PERP, "INJ/USDT:USDT", "ORDI/USDT:USDT"):
            series = venue.server.market.recording.series[SOURCE[name], exchange.market(symbol)["id"]]
            since = DEFAULT_START_MS - 10 * day
            seen = await exchange.fetch_funding_rate_history(symbol, since=since, limit=100)
            assert [(row["timestamp"], row["fundingRate"]) for row in seen] == [
                (stamp, rate)
                for stamp, rate in zip(series.stamps_ms, series.rates, strict=True)
                if since <= stamp <= DEFAULT_START_MS
            ]


async def test_bitgets_older_pages_come_by_cursor(venue: Venue) -> None:
    async with venue.exchange("bitget") as exchange:
        pages = [
            await exchange.fetch_funding_rate_history(PERP, limit=100, params={"cursor": page})
            for page in (1, 2)
        ]
        series = venue.server.market.recording.series["bybit", "BTCUSDT"]
        past = [stamp for stamp in series.stamps_ms if stamp <= DEFAULT_START_MS]
        stamps = [row["timestamp"] for page in reversed(pages) for row in page]
        assert stamps == past[-len(stamps) :]
        assert len(stamps) == min(200, len(past))


@pytest.mark.parametrize(
    ("name", "symbol"), [("binance", SPOT), ("binanceusdm", PERP), ("bitget", SPOT), ("bitget", PERP)]
)
async def test_books_and_tickers_agree(venue: Venue, name: str, symbol: str) -> None:
    async with venue.exchange(name) as exchange:
        book = await exchange.fetch_order_book(symbol, limit=50)
        assert len(book["bids"]) == len(book["asks"]) == 50
        assert book["bids"][0][0] < book["asks"][0][0]
        assert all(price > 0 and size > 0 for price, size, *_ in (*book["bids"], *book["asks"]))
        ticker = (await exchange.fetch_tickers([symbol]))[symbol]
        assert ticker["last"] == pytest.approx(book["bids"][0][0], rel=1e-3)
        assert ticker["low"] <= ticker["last"] <= ticker["high"]


@pytest.mark.parametrize(("name", "symbols"), [("binance", [SPOT, "ETH/USDT"]), ("binanceusdm", [PERP])])
async def test_binances_best_bids_and_asks(venue: Venue, name: str, symbols: list[str]) -> None:
    async with venue.exchange(name) as exchange:
        quotes = await exchange.fetch_bids_asks(symbols)
        assert set(quotes) == set(symbols)
        for quote in quotes.values():
            assert 0 < quote["bid"] < quote["ask"]
            assert quote["bidVolume"] > 0
            assert quote["askVolume"] > 0


async def test_mark_prices_and_the_same_coin_costs_the_same_on_both_protocols(venue: Venue) -> None:
    marks: list[float] = []
    for name in ("binanceusdm", "bitget"):
        async with venue.exchange(name) as exchange:
            marks.append((await exchange.fetch_mark_price(PERP))["markPrice"])
    assert marks[0] == pytest.approx(marks[1], rel=1e-3)


@pytest.mark.parametrize(
    ("name", "error"),
    [("binance", ccxt.async_support.AuthenticationError), ("bitget", ccxt.async_support.AuthenticationError)],
)
async def test_a_private_call_with_made_up_keys_is_refused(
    venue: Venue, name: str, error: type[Exception]
) -> None:
    keys: dict[str, Any] = {"apiKey": "made", "secret": "up", "password": "too"}
    async with venue.exchange(name, **keys) as exchange:
        with pytest.raises(error):
            await exchange.fetch_balance()


async def test_the_default_binance_class_loads_spot_linear_and_an_empty_inverse(venue: Venue) -> None:
    async with venue.exchange("binance") as exchange:
        await exchange.load_markets()
        assert {market["type"] for market in exchange.markets.values()} == {"spot", "swap"}


async def test_after_the_end_of_the_recording_ccxt_sees_maintenance() -> None:
    _, end = (await _span())["binance"]
    async with running_venue(start_ms=end - 1_000, speed=100_000.0) as venue:
        for name in ("binance", "binanceusdm", "bitget"):
            async with venue.exchange(name) as exchange:
                with pytest.raises(ccxt.async_support.OnMaintenance):
                    await exchange.fetch_markets()
                assert await exchange.fetch_time() > 0


async def _span() -> dict[str, tuple[int, int]]:
    async with running_venue() as venue:
        return {name: venue.server.market.span_ms(name) for name in venue.server.desks}
