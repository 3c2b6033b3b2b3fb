"""Frames of other venues as documented, through ccxt.pro: sizes in base units, rates with next settlement."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any, Literal

import pytest
from aiohttp import web

from libs.exchange.port import FundingSeen, Observation, QuoteSeen
from tests.integration.loopback import loopback, opened, perp

NEXT_MS = 1_700_006_400_000
LATER_MS = NEXT_MS + 4 * 3_600_000

BYBIT_TICKER = {
    "symbol": "BTCUSDT",
    "lastPrice": "100",
    "markPrice": "100.5",
    "indexPrice": "100.4",
    "openInterestValue": "7",
    "nextFundingTime": str(NEXT_MS),
    "fundingRate": "-0.0002",
    "fundingIntervalHour": "4",
    "bid1Price": "99",
    "bid1Size": "1",
    "ask1Price": "101",
    "ask1Size": "1",
}
OKX_RATE = {
    "instId": "BTC-USDT-SWAP",
    "instType": "SWAP",
    "fundingRate": "0.0003",
    "fundingTime": str(NEXT_MS),
    "nextFundingRate": "",
    "nextFundingTime": str(LATER_MS),
    "ts": "1700000000000",
}

QUOTES: dict[str, tuple[dict[str, Any], Any]] = {
    "bybit": (
        perp("BTC", "BTCUSDT"),
        {
            "topic": "orderbook.1.BTCUSDT",
            "type": "snapshot",
            "ts": 1700000000000,
            "data": {"s": "BTCUSDT", "b": [["100", "3"]], "a": [["101", "4"]], "u": 1, "seq": 1},
        },
    ),
    "okx": (
        perp("BTC", "BTC-USDT-SWAP", size=0.01),
        {
            "arg": {"channel": "bbo-tbt", "instId": "BTC-USDT-SWAP"},
            "data": [
                {
                    "asks": [["101", "400", "0", "1"]],
                    "bids": [["100", "300", "0", "1"]],
                    "ts": "1700000000000",
                }
            ],
        },
    ),
    "gate": (
        perp("BTC", "BTC_USDT", size=0.0001),
        {
            "time": 1700000000,
            "channel": "futures.book_ticker",
            "event": "update",
            "result": {
                "t": 1700000000000,
                "u": 1,
                "s": "BTC_USDT",
                "b": "100",
                "B": 30000,
                "a": "101",
                "A": 40000,
            },
        },
    ),
}

MARKS: dict[str, tuple[dict[str, Any], Any, tuple[Any, ...]]] = {
    "bybit": (
        perp("BTC", "BTCUSDT", fundingInterval=480),
        {"topic": "tickers.BTCUSDT", "type": "snapshot", "ts": 1700000000000, "data": BYBIT_TICKER},
        (-0.0002, 4.0, 100.5),
    ),
    "okx": (
        perp("BTC", "BTC-USDT-SWAP", size=0.01),
        {"arg": {"channel": "funding-rate", "instId": "BTC-USDT-SWAP"}, "data": [OKX_RATE]},
        (0.0003, 4.0, None),
    ),
}


async def first_seen(
    venue: str, market: dict[str, Any], frame: Any, kind: Literal["quote", "mark"]
) -> Observation:
    """What the adapter makes of one frame that follows a subscription."""
    async with loopback() as server, opened(server, venue, markets=[market]) as data:

        async def on_frame(socket: web.WebSocketResponse, text: str) -> None:
            if "sub" in text:
                await socket.send_str(json.dumps(frame))

        server.on_frame = on_frame
        seen: asyncio.Queue[Observation] = asyncio.Queue()
        task = asyncio.create_task(data.stream(kind, ["BTC-USDT-PERP"], seen.put_nowait))
        try:
            return await asyncio.wait_for(seen.get(), 10)
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task


@pytest.mark.parametrize("venue", QUOTES)
async def test_best_prices_come_in_base_units(venue: str) -> None:
    market, frame = QUOTES[venue]
    seen = await first_seen(venue, market, frame, "quote")
    assert isinstance(seen, QuoteSeen)
    assert (seen.bid, seen.ask, seen.source) == (100.0, 101.0, "stream")
    assert [seen.bid_size, seen.ask_size] == pytest.approx([3.0, 4.0])
    assert seen.ts_ms == 1700000000000


@pytest.mark.parametrize("venue", MARKS)
async def test_streamed_rates_have_interval_and_next_settlement(venue: str) -> None:
    market, frame, (rate, hours, mark) = MARKS[venue]
    seen = await first_seen(venue, market, frame, "mark")
    assert isinstance(seen, FundingSeen)
    assert (seen.rate, seen.interval_hours, seen.interval_source) == (rate, hours, "rate")
    assert (seen.next_ms, seen.mark) == (NEXT_MS, mark)
