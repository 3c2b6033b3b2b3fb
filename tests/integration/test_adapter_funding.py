"""Funding of each of the ten venues: real ccxt classes over documented payloads, one row of quirks each."""

from __future__ import annotations

from typing import Any

import pytest

from libs.common.instant import MS_PER_HOUR, ManualClock, MarketClock
from libs.exchange.port import FundingSeen, VenueError
from libs.exchange.quirks import VENUES
from tests.integration.loopback import loopback, opened, perp, spot

NOW_MS = 1_700_000_000_000  # 2023-11-14 22:13:20 UTC
NEXT_MS = 1_700_006_400_000  # 2023-11-15 00:00
LATER_MS = NEXT_MS + 2 * MS_PER_HOUR


def clock() -> ManualClock:
    return ManualClock(wall_us=NOW_MS * 1000, market=MarketClock())


def binance(rate: Any = "0.00063521", **row: Any) -> dict[str, Any]:
    return {
        "symbol": "BTCUSDT",
        "markPrice": "45802.81129892",
        "indexPrice": "45745.47701915",
        "lastFundingRate": rate,
        "nextFundingTime": str(NEXT_MS),
        "time": str(NOW_MS),
    } | row


OKX = {
    "instId": "BTC-USDT-SWAP",
    "instType": "SWAP",
    "fundingRate": "0.00027815",
    "fundingTime": str(NEXT_MS),
    "nextFundingRate": "0.9",
    "nextFundingTime": str(LATER_MS),
}
GATE = {
    "name": "BTC_USDT",
    "type": "direct",
    "quanto_multiplier": "0.0001",
    "mark_price": "37985.6",
    "index_price": "37954.92",
    "funding_rate_indicative": "0.9",
    "funding_interval": 7200,
    "funding_rate": "0.002053",
    "funding_next_apply": NEXT_MS // 1000,
}
KUCOIN = {
    "symbol": "XBTUSDTM",
    "nextFundingRate": "-0.000004",
    "fundingTime": NEXT_MS,
    "currentGranularity": 7_200_000,
    "newGranularity": 28_800_000,
    "newGranularityStartTime": NEXT_MS + 40 * MS_PER_HOUR,
}
HTX = {
    "contract_code": "BTC-USDT",
    "funding_rate": "0.000083024939363172",
    "funding_time": str(NEXT_MS),
    "next_funding_time": str(LATER_MS),
    "estimated_rate": "0.9",
}
MEXC = {
    "symbol": "BTC_USDT",
    "fundingRate": 0.000014,
    "collectCycle": 4,
    "nextSettleTime": NEXT_MS,
    "timestamp": NOW_MS,
}
BINGX = {
    "symbol": "BTC-USDT",
    "markPrice": "16884.5",
    "indexPrice": "16886.9",
    "lastFundingRate": "0.0001",
    "nextFundingTime": NEXT_MS,
    "fundingIntervalHours": 1,
    "updateTime": NOW_MS,
}
BITGET = {
    "symbol": "BTCUSDT",
    "fundingRate": "-0.000024",
    "fundingRateInterval": "4",
    "nextUpdate": str(NEXT_MS),
    "minFundingRate": "-0.003",
    "maxFundingRate": "0.003",
}
BYBIT = {
    "symbol": "BTCUSDT",
    "markPrice": "19255.00",
    "indexPrice": "19260.68",
    "fundingRate": "0.0001",
    "nextFundingTime": str(NEXT_MS),
    "fundingIntervalHour": "2",
}

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
