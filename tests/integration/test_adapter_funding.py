"""Funding of each of the ten venues: real ccxt classes over documented payloads, one row of quirks each."""

from __future__ import annotations

from typing import Any

import pytest

from libs.common.instant import MS_PER_HOUR
from libs.exchange.port import VenueError
from libs.exchange.quirks import VENUES
from tests.integration.funding_payloads import (
    BINGX,
    BITGET,
    BYBIT,
    GATE,
    HTX,
    KUCOIN,
    MEXC,
    NEXT_MS,
    NOW_MS,
    OKX,
    binance,
    clock,
)
from tests.integration.loopback import loopback, opened, perp, spot

# venue: market, {path: answer}, expected (rate, hours, source, next settlement)
ROWS: dict[str, tuple[dict[str, Any], dict[str, Any], tuple[Any, ...]]] = {
    "binance": (
        perp("BTC", "BTCUSDT"),
        {
            "/fapi/v1/premiumIndex": [binance()],
            "/fapi/v1/fundingInfo": [{"symbol": "BTCUSDT", "fundingIntervalHours": 4}],
        },
        (0.00063521, 4.0, "endpoint", NEXT_MS),
    ),
    "bitget": (
        perp("BTC", "BTCUSDT", fundInterval="8"),
        {"/api/v3/market/current-fund-rate": {"code": "00000", "msg": "success", "data": [BITGET]}},
        (-0.000024, 4.0, "endpoint", NEXT_MS),
    ),
    "bybit": (
        perp("BTC", "BTCUSDT", fundingInterval="480"),
        {
            "/v5/market/tickers": {
                "retCode": 0,
                "result": {"category": "linear", "list": [BYBIT]},
                "time": NOW_MS,
            }
        },
        (0.0001, 2.0, "rate", NEXT_MS),
    ),
    "okx": (
        perp("BTC", "BTC-USDT-SWAP", size=0.01),
        {"/api/v5/public/funding-rate": {"code": "0", "msg": "", "data": [OKX]}},
        (0.00027815, 2.0, "rate", NEXT_MS),
    ),
    "gate": (
        perp("BTC", "BTC_USDT", size=0.0001),
        {"/futures/usdt/contracts": [GATE]},
        (0.002053, 2.0, "rate", NEXT_MS),
    ),
    "kucoin": (
        perp("BTC", "XBTUSDTM", size=0.001),
        {"/market/funding-rate": {"code": "200000", "data": [KUCOIN]}},
        (-0.000004, 2.0, "rate", NEXT_MS),
    ),
    "htx": (
        perp("BTC", "BTC-USDT", size=0.001),
        {"/v5/market/funding_rate": {"code": 200, "message": "Success", "data": [HTX], "ts": NOW_MS}},
        (0.000083024939363172, 2.0, "rate", NEXT_MS),
    ),
    "mexc": (
        perp("BTC", "BTC_USDT", size=0.0001),
        {"/contract/funding_rate/BTC_USDT": {"success": True, "code": 0, "data": MEXC}},
        (0.000014, 4.0, "rate", NEXT_MS),
    ),
    "bingx": (
        perp("BTC", "BTC-USDT"),
        {"/swap/v2/quote/premiumIndex": {"code": 0, "msg": "", "data": [BINGX]}},
        (0.0001, 1.0, "rate", NEXT_MS),
    ),
    "hyperliquid": (
        perp("BTC", "0", quote="USDC"),
        {
            "/info": [
                {"universe": [{"name": "BTC", "szDecimals": 5}]},
                [{"funding": "0.0000125", "markPx": "37000"}],
            ]
        },
        (0.0000125, 1.0, "rate", None),
    ),
}


def test_every_venue_of_the_table_has_its_row() -> None:
    assert set(ROWS) == set(VENUES)


@pytest.mark.parametrize("venue", VENUES)
async def test_rate_interval_and_next_settlement_are_the_ones_that_settle_next(venue: str) -> None:
    market, answers, (rate, hours, source, next_ms) = ROWS[venue]
    slug = f"BTC-{market['quote']}-PERP"
    async with loopback() as server, opened(server, venue, clock=clock(), markets=[market]) as data:
        for path, answer in answers.items():
            server.serve(path, answer)
        [seen] = await data.fetch_funding([slug])
        assert (seen.rate, seen.interval_hours, seen.interval_source) == (rate, hours, source), server.asked
        if next_ms is not None:
            assert seen.next_ms == next_ms
        else:  # Hyperliquid: the next full hour of the local clock
            assert seen.next_ms is not None
            assert seen.next_ms % MS_PER_HOUR == 0
        assert seen.recv_us == NOW_MS * 1000


@pytest.mark.parametrize("rate", [None, "NaN", "", "abc", "Infinity"])
async def test_a_rate_that_is_no_number_becomes_none_and_disturbs_no_other(rate: object) -> None:
    async with loopback() as server:
        server.serve("/fapi/v1/premiumIndex", [binance(rate), binance("0.0002", symbol="ETHUSDT")])
        server.serve("/fapi/v1/fundingInfo", [])
        markets = [perp("BTC", "BTCUSDT"), perp("ETH", "ETHUSDT")]
        async with opened(server, "binance", clock=clock(), markets=markets) as data:
            seen = {s.instrument: s for s in await data.fetch_funding(["BTC-USDT-PERP", "ETH-USDT-PERP"])}
        assert seen["BTC-USDT-PERP"].rate is None
        assert seen["ETH-USDT-PERP"].rate == 0.0002


async def test_a_symbol_that_the_answer_lacks_is_seen_without_rate() -> None:
    async with loopback() as server:
        server.serve("/fapi/v1/premiumIndex", [binance()])
        server.serve("/fapi/v1/fundingInfo", [])
        markets = [perp("BTC", "BTCUSDT"), perp("ETH", "ETHUSDT")]
        async with opened(server, "binance", clock=clock(), markets=markets) as data:
            seen = {s.instrument: s for s in await data.fetch_funding(["BTC-USDT-PERP", "ETH-USDT-PERP"])}
        assert seen["ETH-USDT-PERP"].rate is None


async def test_spot_has_no_funding_and_unknown_names_are_told() -> None:
    async with loopback() as server, opened(server, "binance", markets=[spot("BTC", "BTCUSDT")]) as data:
        assert await data.fetch_funding(["BTC-USDT"]) == []
        with pytest.raises(VenueError, match="no instrument XYZ-USDT-PERP"):
            await data.fetch_funding(["XYZ-USDT-PERP"])
        with pytest.raises(VenueError, match="pays no funding"):
            await data.fetch_settled("BTC-USDT", since_ms=0, until_ms=1)


async def test_the_mark_of_the_last_ticker_completes_a_rate_without_one() -> None:
    ticker = {
        "symbol": "BTCUSDT",
        "ts": str(NOW_MS),
        "bid1Price": "100",
        "ask1Price": "101",
        "bid1Size": "1",
        "ask1Size": "2",
    }
    async with (
        loopback() as server,
        opened(server, "bitget", clock=clock(), markets=[perp("BTC", "BTCUSDT")]) as data,
    ):
        server.serve("/api/v3/market/current-fund-rate", {"code": "00000", "data": [BITGET]})
        server.serve(
            "/api/v3/market/tickers",
            {
                "code": "00000",
                "data": [ticker | {"markPrice": "100.4", "indexPrice": "100.3", "lastPrice": "100"}],
            },
        )
        await data.fetch_quotes(["BTC-USDT-PERP"])
        [seen] = await data.fetch_funding(["BTC-USDT-PERP"])
        assert (seen.mark, seen.index) == (100.4, 100.3)
