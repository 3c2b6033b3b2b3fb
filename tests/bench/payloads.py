"""Synthetic answers in the raw shapes of five venues, and the markets that belong to them.

Field names and types as ccxt 4.5.90 reads them (parse_ticker, parse_bid_ask, parse_funding_rate of each
venue); numbers are strings where the venue sends strings.
"""

from __future__ import annotations

import json
from typing import Any

VENUES = ("binance", "bybit", "okx", "gate", "bitget")
NOW_MS = 1_771_520_000_000
NEXT_MS = 1_771_545_600_000
EIGHT_H_MS = 28_800_000


def bases(count: int) -> list[str]:
    """`C000`, `C001`, ..."""
    return [f"C{number:03d}" for number in range(count)]


def price(place: int) -> float:
    return round(1.0 + place * 0.731, 4)


def rate(venue: str, place: int) -> str:
    """Spread around zero, different on each venue, so that every pair has something to rank."""
    return f"{((place * 37 + len(venue) * 101) % 200 - 100) * 1e-6:.8f}"


def markets(venue: str, count: int) -> list[dict[str, Any]]:
    """Unified markets, spot and linear perpetual of each base, as `set_markets` takes them."""
    found: list[dict[str, Any]] = []
    for base in bases(count):
        spot_id, perp_id = ids(venue, base)
        shared = {
            "base": base,
            "quote": "USDT",
            "baseId": base,
            "quoteId": "USDT",
            "active": True,
            "taker": 0.0006,
            "maker": 0.0002,
            "precision": {"amount": 0.001, "price": 0.0001},
            "limits": {"amount": {"min": 0.001}, "cost": {"min": 5.0}, "price": {}, "leverage": {}},
        }
        kinds = {"margin": False, "future": False, "option": False}
        spot = {"id": spot_id, "symbol": f"{base}/USDT", "type": "spot", "spot": True, "swap": False}
        perp = {
            "id": perp_id,
            "symbol": f"{base}/USDT:USDT",
            "type": "swap",
            "spot": False,
            "swap": True,
            "contract": True,
            "linear": True,
            "inverse": False,
            "settle": "USDT",
            "settleId": "USDT",
            "contractSize": 10.0 if venue in ("okx", "gate") else 1.0,
            "info": {"fundInterval": "8", "fundingInterval": 480, "funding_interval": 28800},
        }
        found += [
            {**shared, **kinds, "contract": False, "info": {}, **spot},
            {**shared, **kinds, **perp},
        ]
    return found


def ids(venue: str, base: str) -> tuple[str, str]:
    """The venue's own names of spot and perpetual."""
    if venue == "okx":
        return f"{base}-USDT", f"{base}-USDT-SWAP"
    if venue == "gate":
        return f"{base}_USDT", f"{base}_USDT"
    return f"{base}USDT", f"{base}USDT"


def answers(venue: str, count: int) -> dict[str, str]:
    """Part of the URL -> body."""
    rows = [(place, *ids(venue, base), price(place)) for place, base in enumerate(bases(count))]
    return {part: json.dumps(body) for part, body in SHAPES[venue](venue, rows).items()}


Rows = list[tuple[int, str, str, float]]


def _binance(venue: str, rows: Rows) -> dict[str, Any]:
    def books(column: int) -> list[dict[str, Any]]:
        return [
            {
                "symbol": row[column],
                "bidPrice": f"{row[3] * 0.9999:.6f}",
                "bidQty": "431.00000000",
                "askPrice": f"{row[3] * 1.0001:.6f}",
                "askQty": "9.00000000",
                "time": NOW_MS,
            }
            for row in rows
        ]

    premium = [
        {
            "symbol": perp,
            "markPrice": f"{mid:.8f}",
            "indexPrice": f"{mid * 1.0002:.8f}",
            "estimatedSettlePrice": f"{mid:.8f}",
            "lastFundingRate": rate(venue, place),
            "interestRate": "0.00010000",
            "nextFundingTime": NEXT_MS,
            "time": NOW_MS,
        }
        for place, _, perp, mid in rows
    ]
    listed = [{"symbol": perp, "fundingIntervalHours": 4} for place, _, perp, _ in rows if place % 3 == 0]
    return {
        "/api/v3/ticker/bookTicker": books(1),
        "/fapi/v1/ticker/bookTicker": books(2),
        "/fapi/v1/premiumIndex": premium,
        "/fapi/v1/fundingInfo": listed,
    }


def _bybit(venue: str, rows: Rows) -> dict[str, Any]:
    def ticker(name: str, mid: float) -> dict[str, Any]:
        return {
            "symbol": name,
            "bid1Price": f"{mid * 0.9999:.6f}",
            "bid1Size": "0.5",
            "ask1Price": f"{mid * 1.0001:.6f}",
            "ask1Size": "1.25",
            "lastPrice": f"{mid:.6f}",
            "prevPrice24h": f"{mid * 0.98:.6f}",
            "price24hPcnt": "0.0204",
            "highPrice24h": f"{mid * 1.03:.6f}",
            "lowPrice24h": f"{mid * 0.97:.6f}",
            "turnover24h": "12345678.9",
            "volume24h": "2345678.9",
        }

    def linear(place: int, name: str, mid: float) -> dict[str, Any]:
        return {
            **ticker(name, mid),
            "indexPrice": f"{mid * 1.0002:.6f}",
            "markPrice": f"{mid:.6f}",
            "openInterest": "100000",
            "openInterestValue": "1000000",
            "fundingRate": rate(venue, place),
            "nextFundingTime": str(NEXT_MS),
            "fundingIntervalHour": "8",
        }

    def body(category: str, entries: list[dict[str, Any]]) -> dict[str, Any]:
        result = {"category": category, "list": entries}
        return {"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": NOW_MS}

    return {
        "category=spot": body("spot", [ticker(spot, mid) for _, spot, _, mid in rows]),
        "category=linear": body("linear", [linear(place, perp, mid) for place, _, perp, mid in rows]),
    }


def _okx(venue: str, rows: Rows) -> dict[str, Any]:
    def ticker(kind: str, name: str, mid: float) -> dict[str, Any]:
        return {
            "instType": kind,
            "instId": name,
            "last": f"{mid:.6f}",
            "lastSz": "1",
            "askPx": f"{mid * 1.0001:.6f}",
            "askSz": "11",
            "bidPx": f"{mid * 0.9999:.6f}",
            "bidSz": "5",
            "open24h": f"{mid * 0.98:.6f}",
            "high24h": f"{mid * 1.03:.6f}",
            "low24h": f"{mid * 0.97:.6f}",
            "volCcy24h": "2222",
            "vol24h": "2222",
            "ts": str(NOW_MS),
            "sodUtc0": f"{mid:.6f}",
            "sodUtc8": f"{mid:.6f}",
        }

    def funding(place: int, name: str) -> dict[str, Any]:
        return {
            "instType": "SWAP",
            "instId": name,
            "method": "current_period",
            "formulaType": "noRate",
            "fundingRate": rate(venue, place),
            "fundingTime": str(NEXT_MS),
            "nextFundingRate": "",
            "nextFundingTime": str(NEXT_MS + EIGHT_H_MS),
            "minFundingRate": "-0.015",
            "maxFundingRate": "0.015",
            "settState": "settled",
            "settFundingRate": "0.0001",
            "premium": "0.0001",
            "ts": str(NOW_MS),
            "prevFundingTime": str(NEXT_MS - EIGHT_H_MS),
        }

    def body(data: list[dict[str, Any]]) -> dict[str, Any]:
        return {"code": "0", "msg": "", "data": data}

    return {
        "instType=SPOT": body([ticker("SPOT", spot, mid) for _, spot, _, mid in rows]),
        "instType=SWAP": body([ticker("SWAP", perp, mid) for _, _, perp, mid in rows]),
        "public/funding-rate": body([funding(place, perp) for place, _, perp, _ in rows]),
    }


def _gate(venue: str, rows: Rows) -> dict[str, Any]:
    spot = [
        {
            "currency_pair": name,
            "last": f"{mid:.6f}",
            "lowest_ask": f"{mid * 1.0001:.6f}",
            "lowest_size": "12.5",
            "highest_bid": f"{mid * 0.9999:.6f}",
            "highest_size": "7.5",
            "change_percentage": "1.2",
            "base_volume": "1000",
            "quote_volume": "10000",
            "high_24h": f"{mid * 1.03:.6f}",
            "low_24h": f"{mid * 0.97:.6f}",
        }
        for _, name, _, mid in rows
    ]
    perp = [
        {
            "contract": name,
            "last": f"{mid:.6f}",
            "change_percentage": "1.2",
            "total_size": "1000",
            "volume_24h": "1000",
            "volume_24h_base": "1000",
            "volume_24h_quote": "1000",
            "volume_24h_settle": "1000",
            "mark_price": f"{mid:.6f}",
            "funding_rate": rate(venue, place),
            "funding_rate_indicative": rate(venue, place),
            "index_price": f"{mid * 1.0002:.6f}",
            "highest_bid": f"{mid * 0.9999:.6f}",
            "highest_size": "700",
            "lowest_ask": f"{mid * 1.0001:.6f}",
            "lowest_size": "120",
        }
        for place, _, name, mid in rows
    ]
    contracts = [
        {
            "name": name,
            "type": "direct",
            "quanto_multiplier": "10",
            "mark_price": f"{mid:.6f}",
            "index_price": f"{mid * 1.0002:.6f}",
            "last_price": f"{mid:.6f}",
            "funding_rate": rate(venue, place),
            "funding_rate_indicative": rate(venue, place),
            "funding_interval": 28_800,
            "funding_next_apply": NEXT_MS // 1_000,
            "interest_rate": "0.0003",
        }
        for place, _, name, mid in rows
    ]
    return {"/spot/tickers": spot, "/futures/usdt/tickers": perp, "/futures/usdt/contracts": contracts}


def _bitget(venue: str, rows: Rows) -> dict[str, Any]:
    def ticker(category: str, name: str, mid: float) -> dict[str, Any]:
        return {
            "category": category,
            "symbol": name,
            "ts": str(NOW_MS),
            "lastPrice": f"{mid:.6f}",
            "openPrice24h": f"{mid * 0.98:.6f}",
            "highPrice24h": f"{mid * 1.03:.6f}",
            "lowPrice24h": f"{mid * 0.97:.6f}",
            "ask1Price": f"{mid * 1.0001:.6f}",
            "bid1Price": f"{mid * 0.9999:.6f}",
            "bid1Size": "21.45",
            "ask1Size": "5.5",
            "price24hPcnt": "0.02",
            "volume24h": "2222",
            "turnover24h": "22222",
            "indexPrice": f"{mid * 1.0002:.6f}",
            "markPrice": f"{mid:.6f}",
            "fundingRate": "0.0001",
        }

    def funding(place: int, name: str) -> dict[str, Any]:
        return {
            "symbol": name,
            "fundingRate": rate(venue, place),
            "fundingRateInterval": "8",
            "nextUpdate": str(NEXT_MS),
            "minFundingRate": "-0.003",
            "maxFundingRate": "0.003",
        }

    def body(data: list[dict[str, Any]]) -> dict[str, Any]:
        return {"code": "00000", "msg": "success", "requestTime": NOW_MS, "data": data}

    return {
        "current-fund-rate": body([funding(place, perp) for place, _, perp, _ in rows]),
        "category=SPOT": body([ticker("SPOT", spot, mid) for _, spot, _, mid in rows]),
        "category=USDT-FUTURES": body([ticker("USDT-FUTURES", perp, mid) for _, _, perp, mid in rows]),
    }


SHAPES = {"binance": _binance, "bybit": _bybit, "okx": _okx, "gate": _gate, "bitget": _bitget}
