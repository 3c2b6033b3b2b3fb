"""Binance's exchange information in small: USD-M and spot rows, and a server that answers with them."""

from __future__ import annotations

from typing import Any

from tests.integration.loopback import Loopback


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
