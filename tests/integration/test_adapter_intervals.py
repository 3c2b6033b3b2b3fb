"""Where a funding interval comes from when the rate does not carry it, and when it changes."""

from __future__ import annotations

from typing import Any

import pytest

from libs.common.instant import MS_PER_HOUR
from libs.exchange.port import FundingSeen, VenueError
from tests.integration.funding_payloads import BINGX, BYBIT, NEXT_MS, NOW_MS, binance, clock
from tests.integration.loopback import loopback, opened, perp


async def one(server: Any, venue: str, **kwargs: Any) -> FundingSeen:
    async with opened(server, venue, clock=clock(), **kwargs) as data:
        [seen] = await data.fetch_funding(["BTC-USDT-PERP"])
        return seen


async def test_binance_symbols_that_the_interval_list_leaves_out_are_8_hours() -> None:
    async with loopback() as server:
        server.serve("/fapi/v1/premiumIndex", [binance()])
        server.serve("/fapi/v1/fundingInfo", [{"symbol": "BLZUSDT", "fundingIntervalHours": 4}])
        seen = await one(server, "binance", markets=[perp("BTC", "BTCUSDT")])
        assert (seen.interval_hours, seen.interval_source) == (8.0, "endpoint")
        assert (seen.mark, seen.index) == (45802.81129892, 45745.47701915)


async def test_a_missing_interval_is_8_hours_on_binance_only() -> None:
    """Without interval, market info and settlements there is none, and none is invented."""
    row = {key: value for key, value in BINGX.items() if key != "fundingIntervalHours"}
    async with loopback() as server:
        server.serve("/swap/v2/quote/premiumIndex", {"code": 0, "data": [row]})
        server.serve("/swap/v2/quote/fundingRate", {"code": 0, "data": []})
        seen = await one(server, "bingx", markets=[perp("BTC", "BTC-USDT")])
        assert (seen.rate, seen.interval_hours, seen.interval_source) == (0.0001, None, None)


async def test_the_last_two_settlements_tell_an_interval_that_nothing_else_does() -> None:
    row = {key: value for key, value in BINGX.items() if key != "fundingIntervalHours"}
    settled = [NEXT_MS - hours * MS_PER_HOUR + jitter for hours, jitter in ((12, 3), (8, 0), (4, 999))]
    rows = [{"symbol": "BTC-USDT", "fundingRate": "0.0001", "fundingTime": stamp} for stamp in settled]
    async with loopback() as server:
        server.serve("/swap/v2/quote/premiumIndex", {"code": 0, "data": [row]})
        server.serve("/swap/v2/quote/fundingRate", {"code": 0, "data": rows})
        async with opened(server, "bingx", clock=clock(), markets=[perp("BTC", "BTC-USDT")]) as data:
            for _ in range(2):
                [seen] = await data.fetch_funding(["BTC-USDT-PERP"])
                assert (seen.interval_hours, seen.interval_source) == (4.0, "settlements")
            assert server.count("/swap/v2/quote/fundingRate") == 1  # asked once for a settlement


async def test_a_venue_that_also_leaves_out_the_next_settlement_has_it_derived() -> None:
    row = {
        key: value for key, value in BINGX.items() if key not in ("fundingIntervalHours", "nextFundingTime")
    }
    rows = [
        {"symbol": "BTC-USDT", "fundingRate": "0.0001", "fundingTime": NEXT_MS - hours * MS_PER_HOUR + 7}
        for hours in (8, 4)
    ]
    async with loopback() as server:
        server.serve("/swap/v2/quote/premiumIndex", {"code": 0, "data": [row]})
        server.serve("/swap/v2/quote/fundingRate", {"code": 0, "data": rows})
        seen = await one(server, "bingx", markets=[perp("BTC", "BTC-USDT")])
        assert seen.next_ms == NEXT_MS


async def test_an_interval_change_on_binance_is_seen_with_the_settlement_that_brings_it() -> None:
    rows = [binance()]
    listed: list[dict[str, Any]] = []
    async with (
        loopback() as server,
        opened(server, "binance", clock=clock(), markets=[perp("BTC", "BTCUSDT")]) as data,
    ):
        server.serve("/fapi/v1/premiumIndex", lambda _: rows)
        server.serve("/fapi/v1/fundingInfo", lambda _: listed)
        for _ in range(3):
            [seen] = await data.fetch_funding(["BTC-USDT-PERP"])
            assert seen.interval_hours == 8.0
        assert server.count("/fapi/v1/fundingInfo") == 1  # cached while nothing settles

        rows[0] = binance(nextFundingTime=str(NEXT_MS + MS_PER_HOUR))
        listed.append({"symbol": "BTCUSDT", "fundingIntervalHours": 1})
        [seen] = await data.fetch_funding(["BTC-USDT-PERP"])
        assert seen.interval_hours == 1.0


async def test_a_failed_interval_refresh_prices_nothing_with_the_old_interval() -> None:
    rows = [binance()]
    async with (
        loopback() as server,
        opened(server, "binance", clock=clock(), markets=[perp("BTC", "BTCUSDT")]) as data,
    ):
        server.serve("/fapi/v1/premiumIndex", lambda _: rows)
        server.serve("/fapi/v1/fundingInfo", [])
        await data.fetch_funding(["BTC-USDT-PERP"])
        rows[0] = binance(nextFundingTime=str(NEXT_MS + MS_PER_HOUR))
        server.serve("/fapi/v1/fundingInfo", (503, "busy", {}))
        for _ in range(2):
            with pytest.raises(VenueError):
                await data.fetch_funding(["BTC-USDT-PERP"])
        server.serve("/fapi/v1/fundingInfo", [{"symbol": "BTCUSDT", "fundingIntervalHours": 1}])
        [seen] = await data.fetch_funding(["BTC-USDT-PERP"])
        assert seen.interval_hours == 1.0


async def test_bybit_without_its_own_hours_falls_back_to_the_market_and_reads_markets_again() -> None:
    """parse_funding_rate of ccxt keeps the interval of the day the markets were loaded."""
    row = {key: value for key, value in BYBIT.items() if key != "fundingIntervalHour"}
    listed = {
        "symbol": "BTCUSDT",
        "contractType": "LinearPerpetual",
        "status": "Trading",
        "baseCoin": "BTC",
        "quoteCoin": "USDT",
        "settleCoin": "USDT",
        "deliveryTime": "0",
        "priceFilter": {"tickSize": "0.10"},
        "lotSizeFilter": {"minOrderQty": "0.001", "maxOrderQty": "100", "qtyStep": "0.001"},
        "leverageFilter": {"minLeverage": "1", "maxLeverage": "100"},
        "fundingInterval": 60,
    }
    async with (
        loopback() as server,
        opened(server, "bybit", clock=clock(), markets=[perp("BTC", "BTCUSDT", fundingInterval=480)]) as data,
    ):
        rows = [row]
        server.serve(
            "/v5/market/tickers",
            lambda _: {"retCode": 0, "result": {"list": [dict(r) for r in rows]}, "time": NOW_MS},
        )
        server.serve(
            "/v5/market/instruments-info",
            lambda query: {
                "retCode": 0,
                "result": {"list": [listed] if query["category"] == "linear" else []},
            },
        )
        [seen] = await data.fetch_funding(["BTC-USDT-PERP"])
        assert (seen.interval_hours, seen.interval_source) == (8.0, "market")
        rows[0] = row | {"nextFundingTime": str(NEXT_MS + MS_PER_HOUR)}
        [seen] = await data.fetch_funding(["BTC-USDT-PERP"])
        assert (seen.interval_hours, seen.interval_source) == (1.0, "market")
