"""Markets, quotes, books and clocks through real ccxt classes; instruments come out in base units."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from libs.common.clock import SystemClock
from libs.common.subjects import SLUG
from libs.exchange.port import VenueError
from libs.exchange.quirks import VENUES
from tests.integration.loopback import Loopback, loopback, opened, perp, spot

WIRE = Path(__file__).parents[3] / "shared" / "data" / "wire"


def filters(tick: str, step: str, least: str, notional: str, kind: str) -> list[dict[str, Any]]:
    return [
        {"filterType": "PRICE_FILTER", "minPrice": tick, "maxPrice": "1000000", "tickSize": tick},
        {"filterType": "LOT_SIZE", "minQty": least, "maxQty": "1000", "stepSize": step},
        {"filterType": kind, "notional": notional, "minNotional": notional},
    ]


def usdm(symbol: str, base: str, quote: str = "USDT", **changes: Any) -> dict[str, Any]:
    row = {
        "symbol": symbol,
        "pair": symbol.partition("_")[0],
        "contractType": "PERPETUAL",
        "deliveryDate": 4133404800000,
        "onboardDate": 1569398400000,
        "status": "TRADING",
        "baseAsset": base,
        "quoteAsset": quote,
        "marginAsset": quote,
        "pricePrecision": 2,
        "quantityPrecision": 3,
        "filters": filters("0.10", "0.001", "0.001", "100", "MIN_NOTIONAL"),
    }
    return row | changes


def bspot(symbol: str, base: str, **changes: Any) -> dict[str, Any]:
    row = {
        "symbol": symbol,
        "status": "TRADING",
        "baseAsset": base,
        "baseAssetPrecision": 8,
        "quoteAsset": "USDT",
        "quotePrecision": 8,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": True,
        "permissions": ["SPOT", "MARGIN"],
        "filters": filters("0.01000000", "0.00001000", "0.00001000", "5.00000000", "NOTIONAL"),
    }
    return row | changes


USDM = [
    usdm("BTCUSDT", "BTC"),
    usdm("1000SHIBUSDT", "1000SHIB", filters=filters("0.000001", "1", "1", "5", "MIN_NOTIONAL")),
    usdm("币安人生USDT", "币安人生"),
    usdm("BTCUSDT_241227", "BTC", contractType="CURRENT_QUARTER", deliveryDate=1735286400000),
    usdm("LUNAUSDT", "LUNA", status="SETTLING"),
]


def serve_binance(server: Loopback, usdm_rows: Any = None, spot_rows: Any = None) -> None:
    server.serve("/fapi/v1/exchangeInfo", {"symbols": USDM if usdm_rows is None else usdm_rows})
    server.serve(
        "/api/v3/exchangeInfo",
        {
            "symbols": [bspot("BTCUSDT", "BTC"), bspot("ADAUSDT", "ADA", isMarginTradingAllowed=False)]
            if spot_rows is None
            else spot_rows
        },
    )


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


@pytest.mark.data
@pytest.mark.skipif(not WIRE.is_dir(), reason=f"the recorded payloads are not beside the project: {WIRE}")
async def test_recorded_exchange_infos_of_binance_load() -> None:
    async with loopback() as server, opened(server, "binance") as data:
        for path, name in (("/fapi/v1/exchangeInfo", "usdm"), ("/api/v3/exchangeInfo", "spot")):
            server.serve(path, json.loads((WIRE / f"exchange_info_binance_{name}.json").read_text()))
        found = await data.load()
        assert found["BTC-USDT-PERP"].quantity_step == Decimal("0.001")
        assert found["BTC-USDT"].quantity_step == Decimal("0.00001")
        assert all(item.quantity_step for item in found.values() if item.refused is None)
