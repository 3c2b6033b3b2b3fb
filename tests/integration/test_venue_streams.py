"""Unmodified ccxt.pro on the simulated venue's streams."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import ccxt.pro
import pytest

from services.venue.refusals import protocol_of
from tests.helpers.venue import running_venue

PERP, SPOT = "BTC/USDT:USDT", "BTC/USDT"


async def soon(work: Any) -> Any:
    return await asyncio.wait_for(work, 20)


@pytest.mark.parametrize(
    ("name", "symbols"),
    [
        ("binance", [SPOT, "ETH/USDT"]),
        ("binanceusdm", [PERP, "ETH/USDT:USDT"]),
        ("bitget", [PERP, "ETH/USDT:USDT"]),
    ],
)
async def test_quotes_stream_and_move(name: str, symbols: list[str]) -> None:
    async with running_venue(speed=2_880.0) as venue, venue.exchange(name, pro=True) as exchange:
        seen: dict[str, set[float]] = {symbol: set() for symbol in symbols}
        while min(len(bids) for bids in seen.values()) < 3:
            for symbol, quote in (await soon(exchange.watch_bids_asks(symbols))).items():
                assert 0 < quote["bid"] < quote["ask"]
                seen[symbol].add(quote["bid"])


async def test_marks_stream_with_the_rate_settling_next() -> None:
    async with running_venue(speed=2_880.0) as venue, venue.exchange("binanceusdm", pro=True) as exchange:
        found = await soon(exchange.watch_mark_price(PERP))
        series = venue.server.market.recording.series["binance", "BTCUSDT"]
        i = series.stamps_ms.index(found["info"]["T"])
        assert float(found["info"]["r"]) == series.rates[i]
        assert found["markPrice"] > 0


@pytest.mark.parametrize(("name", "symbol"), [("binance", SPOT), ("binanceusdm", PERP), ("bitget", PERP)])
async def test_order_books_stream_joined_to_their_snapshot(name: str, symbol: str) -> None:
    async with running_venue(speed=2_880.0) as venue, venue.exchange(name, pro=True) as exchange:
        tops: set[float] = set()
        while len(tops) < 4:
            book = await soon(exchange.watch_order_book(symbol))
            assert book["bids"][0][0] < book["asks"][0][0]
            assert len(book["bids"]) == 50, "levels that are no more were taken out"
            tops.add(book["bids"][0][0])


@pytest.mark.parametrize(
    ("name", "symbol"), [("binance", SPOT), ("binanceusdm", PERP), ("bitget", SPOT), ("bitget", PERP)]
)
async def test_tickers_stream(name: str, symbol: str) -> None:
    async with running_venue() as venue, venue.exchange(name, pro=True) as exchange:
        ticker = await soon(exchange.watch_ticker(symbol))
        assert ticker["symbol"] == symbol
        assert ticker["last"] > 0


async def test_unsubscribing_ends_the_stream() -> None:
    async with running_venue() as venue, venue.exchange("binanceusdm", pro=True) as exchange:
        await soon(exchange.watch_bids_asks([PERP]))
        await soon(exchange.un_watch_bids_asks([PERP]))
        url = next(url for url in exchange.clients if "fstream" in url)
        assert not exchange.clients[url].futures


async def test_combined_and_raw_urls() -> None:
    async with running_venue() as venue, venue.redirect.session() as session:
        url = "wss://fstream.binance.com/stream?streams=btcusdt@bookTicker/ethusdt@bookTicker"
        async with session.ws_connect(url) as socket:
            frame = await soon(socket.receive_json())
            assert frame["stream"] in ("btcusdt@bookTicker", "ethusdt@bookTicker")
        async with session.ws_connect("wss://stream.binance.com:9443/ws/btcusdt@bookTicker") as socket:
            assert (await soon(socket.receive_json()))["s"] == "BTCUSDT"


async def test_bitgets_text_ping_gets_its_pong() -> None:
    url = "wss://ws.bitget.com/v3/ws/public"
    async with (
        running_venue() as venue,
        venue.redirect.session() as session,
        session.ws_connect(url) as socket,
    ):
        await socket.send_str("ping")
        assert (await soon(socket.receive())).data == "pong"


@pytest.mark.parametrize("url", ["wss://stream.binance.com:9443/nope", "wss://ws.bitget.com/v2/ws/public"])
async def test_a_stream_that_does_not_exist_is_refused(url: str) -> None:
    async with running_venue() as venue, venue.redirect.session() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await session.ws_connect(url)
        assert refused.value.status == 404


@pytest.mark.parametrize(("name", "symbol"), [("binanceusdm", PERP), ("bitget", PERP)])
async def test_a_gap_is_silence_on_an_open_connection(name: str, symbol: str) -> None:
    async with running_venue(speed=2_880.0) as venue, venue.exchange(name, pro=True) as exchange:
        await soon(exchange.watch_bids_asks([symbol]))
        venue.fault(kind="ws_gap", duration_sec=60.0)
        await soon(until_silent(exchange, symbol, for_sec=1.5))
        assert not next(iter(exchange.clients.values())).closed()
        venue.clear_faults()
        await soon(exchange.watch_bids_asks([symbol]))


async def until_silent(exchange: Any, symbol: str, *, for_sec: float) -> None:
    """What was on its way arrives first; at this speed a living stream says something all the time."""
    while True:
        try:
            await asyncio.wait_for(exchange.watch_bids_asks([symbol]), for_sec)
        except TimeoutError:
            return


async def watch_until_it_breaks(exchange: Any, symbol: str) -> None:
    while True:
        await soon(exchange.watch_bids_asks([symbol]))


@pytest.mark.parametrize(("name", "symbol"), [("binanceusdm", PERP), ("bitget", PERP)])
async def test_a_cut_connection_is_a_network_error_and_comes_back(name: str, symbol: str) -> None:
    async with running_venue(speed=2_880.0) as venue, venue.exchange(name, pro=True) as exchange:
        await soon(exchange.watch_bids_asks([symbol]))
        venue.fault(
            kind="ws_disconnect", venue=protocol_of("ws.bitget.com" if name == "bitget" else ""), count=1
        )
        with pytest.raises(ccxt.pro.NetworkError):
            await watch_until_it_breaks(exchange, symbol)
        assert venue.server.board.struck == {"ws_disconnect": 1}
        assert await soon(exchange.watch_bids_asks([symbol]))
