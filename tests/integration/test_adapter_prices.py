"""Markets, quotes, books and clocks through real ccxt classes; instruments come out in base units."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from libs.common.clock import SystemClock
from libs.common.subjects import SLUG
from libs.exchange.port import VenueError
from tests.helpers.recordings import SHARED
from tests.integration.binance_markets import serve_binance
from tests.integration.loopback import loopback, opened, perp, spot

WIRE = SHARED / "wire"


async def test_binance_markets_of_both_classes_are_one_universe() -> None:
    async with loopback() as server, opened(server, "binance") as data:
        serve_binance(server)
        found = await data.load()
        assert set(found) == {
            "BTC-USDT",
            "ADA-USDT",
            "BTC-USDT-PERP",
            "1000SHIB-USDT-PERP",
            "_5e01__5b89__4eba__751f_-USDT-PERP",
            "BTC-USDT-241227",
            "LUNA-USDT-PERP",
        }
        assert all(SLUG.match(slug) for slug in found)
        btc = found["BTC-USDT-PERP"]
        assert (btc.price_tick, btc.quantity_step, btc.notional_min) == (
            Decimal("0.1"),
            Decimal("0.001"),
            Decimal(100),
        )
        assert found["BTC-USDT-241227"].expiry_ms == 1735286400000
        assert found["LUNA-USDT-PERP"].refused == "not trading"
        assert found["BTC-USDT"].shortable
        assert not found["ADA-USDT"].shortable


async def test_contracts_become_base_units() -> None:
    """OKX DOGE: 1000 DOGE a contract, a hundredth of a contract at least."""
    market = perp("DOGE", "DOGE-USDT-SWAP", size=1000.0)
    market["precision"] = {"amount": 0.01, "price": 0.00001}
    market["limits"]["amount"]["min"] = 0.01
    ticker = {
        "instId": "DOGE-USDT-SWAP",
        "bidPx": "0.1",
        "bidSz": "3",
        "askPx": "0.2",
        "askSz": "0.5",
        "ts": "1700000000000",
    }
    async with loopback() as server, opened(server, "okx", markets=[market]) as data:
        item = data.instruments["DOGE-USDT-PERP"]
        assert (item.contract_size, item.quantity_step, item.quantity_min) == (
            Decimal(1000),
            Decimal(10),
            Decimal(10),
        )
        assert str(item.price_tick) == "0.00001"
        server.serve("/api/v5/market/tickers", {"code": "0", "data": [ticker]})
        [seen] = await data.fetch_quotes(["DOGE-USDT-PERP"])
        assert (seen.bid, seen.ask, seen.bid_size, seen.ask_size) == (0.1, 0.2, 3000.0, 500.0)
        assert (seen.ts_ms, seen.source) == (1700000000000, "poll")
        book = {
            "asks": [["0.2", "2", "0", "1"]],
            "bids": [["0.1", "4", "0", "1"], ["0.09", "0", "0", "1"]],
            "ts": "1",
        }
        server.serve("/api/v5/market/books", {"code": "0", "data": [book]})
        depth = await data.fetch_book("DOGE-USDT-PERP")
        assert (depth.bids, depth.asks) == (((0.1, 4000.0),), ((0.2, 2000.0),))


async def test_quotes_of_both_binance_products_come_by_two_bulk_calls() -> None:
    row = {"symbol": "BTCUSDT", "bidPrice": "4.00", "bidQty": "431", "askPrice": "4.01", "askQty": "9"}
    async with loopback() as server, opened(server, "binance") as data:
        serve_binance(server)
        await data.load()
        server.serve("/api/v3/ticker/bookTicker", [row])
        server.serve(
            "/fapi/v1/ticker/bookTicker",
            [row | {"bidPrice": "4.02", "askPrice": "4.03", "time": 1700000000000}],
        )
        seen = {s.instrument: s for s in await data.fetch_quotes(["BTC-USDT", "BTC-USDT-PERP"])}
        assert seen["BTC-USDT"].bid == 4.0
        assert seen["BTC-USDT-PERP"].ask == 4.03
        assert server.count("bookTicker") == 2


@pytest.mark.parametrize(
    ("bid", "ask", "wanted"),
    [("NaN", "5", (None, 5.0)), (None, None, (None, None)), ("5", "4", (5.0, 4.0)), ("", "x", (None, None))],
)
async def test_a_quote_that_is_no_number_is_none_and_a_crossed_one_is_passed_on(
    bid: Any, ask: Any, wanted: tuple[Any, Any]
) -> None:
    """The feed judges; here nothing may break."""
    row = {"symbol": "BTCUSDT", "bidPrice": bid, "bidQty": "1", "askPrice": ask, "askQty": "1"}
    async with loopback() as server, opened(server, "binance", markets=[perp("BTC", "BTCUSDT")]) as data:
        server.serve("/fapi/v1/ticker/bookTicker", [row, row | {"symbol": "ETHUSDT"}])
        [seen] = await data.fetch_quotes(["BTC-USDT-PERP"])
        assert (seen.bid, seen.ask) == wanted


async def test_bitget_is_asked_by_its_unified_account_interface_only() -> None:
    future = {
        "symbol": "BTCUSDT",
        "category": "USDT-FUTURES",
        "baseCoin": "BTC",
        "quoteCoin": "USDT",
        "makerFeeRate": "0.0002",
        "takerFeeRate": "0.0006",
        "minOrderQty": "0.0001",
        "pricePrecision": "1",
        "quantityPrecision": "4",
        "type": "perpetual",
        "minOrderAmount": "5",
        "status": "online",
        "fundInterval": "8",
    }
    cash = future | {
        "category": "SPOT",
        "type": "",
        "isIsolatedBaseBorrowable": "YES",
        "maxCrossedLeverage": "3",
    }
    rows = {"USDT-FUTURES": [future], "SPOT": [cash]}
    ticker = {"symbol": "BTCUSDT", "ts": "1700000000000", "lastPrice": "5", "bid1Size": "1", "ask1Size": "1"}
    ticker |= {"markPrice": "90216"}
    prices = {"USDT-FUTURES": ("90216.3", "90216.4"), "SPOT": ("90200", "90201")}
    async with loopback() as server, opened(server, "bitget") as data:
        server.serve(
            "/api/v3/market/instruments", lambda q: {"code": "00000", "data": rows.get(q["category"], [])}
        )
        server.serve(
            "/api/v3/market/tickers",
            lambda q: {
                "code": "00000",
                "data": [
                    ticker
                    | {
                        "category": q["category"],
                        "bid1Price": prices[q["category"]][0],
                        "ask1Price": prices[q["category"]][1],
                    }
                ],
            },
        )
        found = await data.load()
        assert found["BTC-USDT-PERP"].interval_hours == 8.0
        assert found["BTC-USDT-PERP"].taker == Decimal("0.0006")
        assert found["BTC-USDT-PERP"].notional_min == Decimal(5)
        assert not found["BTC-USDT"].shortable  # borrowing is not confirmed there
        seen = {s.instrument: s for s in await data.fetch_quotes(["BTC-USDT", "BTC-USDT-PERP"])}
        assert seen["BTC-USDT"].bid == 90200.0
        assert seen["BTC-USDT-PERP"].ask == 90216.4
        assert all("/api/v3/" in path for path, _ in server.asked)


async def test_the_clock_offset_is_measured_at_the_middle_of_the_round_trip() -> None:
    clock = SystemClock()
    async with loopback() as server, opened(server, "binance", markets=[], clock=clock) as data:
        server.serve("/fapi/v1/time", lambda _: {"serverTime": clock.now().wall_us // 1000 + 90_000})
        offset_ms = await data.fetch_clock_offset_ms()
        assert abs(offset_ms - 90_000) < 1_000
        assert server.count("/fapi/v1/time") == 3
        server.serve("/fapi/v1/time", {"serverTime": None})
        with pytest.raises(VenueError, match="no time in the answer"):
            await data.fetch_clock_offset_ms()


async def test_shared_spot_and_perp_names_are_told_apart() -> None:
    """BTCUSDT is both on Binance and Bitget: each ticker lands on its own instrument."""
    async with (
        loopback() as server,
        opened(server, "bybit", markets=[perp("BTC", "BTCUSDT"), spot("BTC", "BTCUSDT")]) as data,
    ):
        row = {"symbol": "BTCUSDT", "bid1Size": "1", "ask1Size": "1"}
        extra = {"linear": {"openInterestValue": "7"}, "spot": {}}  # what ccxt tells them apart by
        prices = {"linear": "101", "spot": "100"}
        server.serve(
            "/v5/market/tickers",
            lambda q: {
                "retCode": 0,
                "result": {
                    "category": q["category"],
                    "list": [
                        row | extra[q["category"]] | {"bid1Price": prices[q["category"]], "ask1Price": "102"}
                    ],
                },
                "time": 1,
            },
        )
        seen = {s.instrument: s.bid for s in await data.fetch_quotes(["BTC-USDT", "BTC-USDT-PERP"])}
        assert seen == {"BTC-USDT": 100.0, "BTC-USDT-PERP": 101.0}


@pytest.mark.data("wire")
async def test_recorded_exchange_infos_of_binance_load() -> None:
    async with loopback() as server, opened(server, "binance") as data:
        for path, name in (("/fapi/v1/exchangeInfo", "usdm"), ("/api/v3/exchangeInfo", "spot")):
            server.serve(path, json.loads((WIRE / f"exchange_info_binance_{name}.json").read_text()))
        found = await data.load()
        assert found["BTC-USDT-PERP"].quantity_step == Decimal("0.001")
        assert found["BTC-USDT"].quantity_step == Decimal("0.00001")
        assert all(item.quantity_step for item in found.values() if item.refused is None)
