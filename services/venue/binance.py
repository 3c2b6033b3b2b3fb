"""Binance's REST protocol, market-data half: which path is answered by what, at which weight, and errors.

Shapes follow Binance's documentation and recorded payloads (tests compare the keys). Stamps of market data
(`time`, `E`, `closeTime`, funding times) are market time, `serverTime` is wall time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from services.venue import binance_perp as perp
from services.venue import binance_spot as spot
from services.venue.binance_common import (
    DEPTH_DEFAULT,
    ping,
    server_time,
)
from services.venue.wire import Answer, Call, Route, answer


def maintenance() -> Answer:
    """Said when the recording is over; ccxt makes OnMaintenance of it."""
    return answer({"code": 1, "msg": "System is under maintenance."}, status=503)


def unknown(call: Call) -> Answer:
    """What Binance says to a path it does not have, or to a private one without a valid key."""
    if call.path.startswith("/sapi/") or is_private(call.path):
        if not call.headers.get("x-mbx-apikey"):
            return answer({"code": -2014, "msg": "API-key format invalid."}, status=401)
        text = "Invalid API-key, IP, or permissions for action."
        return answer({"code": -2015, "msg": text}, status=401)
    if call.path.startswith(("/fapi/", "/dapi/")):
        text = f"Path {call.path}, Method {call.method} is invalid"
        return answer({"code": -5000, "msg": text}, status=404)
    page = b"<html><body><h2>404 Not found</h2></body></html>"
    return Answer(status=404, body=page, content_type="text/html")


# The last part of each private path.
_PRIVATE_ENDINGS: Final = frozenset(
    {
        *("account", "balance", "commission", "commissionRate", "listenKey", "userDataStream"),
        *("order", "openOrder", "openOrders", "allOrders", "batchOrders", "countdownCancelAll"),
        *("myTrades", "userTrades", "income", "forceOrders", "apiTradingStatus"),
        *("leverage", "leverageBracket", "marginType", "multiAssetsMargin", "dual"),
        *("positionMargin", "positionRisk", "adlQuantile"),
    }
)


def is_private(path: str) -> bool:
    """Whether a path is an account's, and so asks for a key."""
    return path.rsplit("/", 1)[-1] in _PRIVATE_ENDINGS


_Weight = Callable[[Call], int]


def _flat(weight: int) -> _Weight:
    return lambda _call: weight


def _by_symbol(one: int, all_of_them: int) -> _Weight:
    return lambda call: one if call.query.get("symbol") else all_of_them


def _by_depth(steps: tuple[tuple[int, int], ...]) -> _Weight:
    def weight(call: Call) -> int:
        text = call.query.get("limit", "")
        limit = int(text) if text.isdigit() else DEPTH_DEFAULT
        return next((cost for most, cost in steps if limit <= most), steps[-1][1])

    return weight


# Weights as documented: https://developers.binance.com/docs (spot limits page, USD-M market data pages).
ROUTES: Final[dict[tuple[str, str], Route]] = {
    ("GET", "/api/v3/ping"): Route(ping, _flat(1)),
    ("GET", "/api/v3/time"): Route(server_time, _flat(1)),
    ("GET", "/api/v3/exchangeInfo"): Route(spot.exchange_info, _flat(20)),
    ("GET", "/api/v3/ticker/bookTicker"): Route(spot.book_ticker, _by_symbol(2, 4)),
    ("GET", "/api/v3/ticker/price"): Route(spot.price, _by_symbol(2, 4)),
    ("GET", "/api/v3/ticker/24hr"): Route(spot.day, _by_symbol(2, 80)),
    ("GET", "/api/v3/depth"): Route(spot.depth, _by_depth(((100, 5), (500, 25), (1000, 50), (5000, 250)))),
    ("GET", "/sapi/v1/system/status"): Route(spot.system_status, _flat(1)),
    ("GET", "/fapi/v1/ping"): Route(ping, _flat(1)),
    ("GET", "/fapi/v1/time"): Route(server_time, _flat(1)),
    ("GET", "/fapi/v1/exchangeInfo"): Route(perp.exchange_info, _flat(1)),
    ("GET", "/fapi/v1/premiumIndex"): Route(perp.premium_index, _by_symbol(1, 10)),
    ("GET", "/fapi/v1/fundingInfo"): Route(perp.funding_info, _flat(0)),
    ("GET", "/fapi/v1/fundingRate"): Route(perp.funding_rate, _flat(0)),
    ("GET", "/fapi/v1/ticker/bookTicker"): Route(perp.book_ticker, _by_symbol(2, 5)),
    ("GET", "/fapi/v1/ticker/24hr"): Route(perp.day, _by_symbol(1, 40)),
    ("GET", "/fapi/v1/ticker/price"): Route(perp.price, _by_symbol(1, 2)),
    ("GET", "/fapi/v2/ticker/price"): Route(perp.price, _by_symbol(1, 2)),
    ("GET", "/fapi/v1/depth"): Route(perp.depth, _by_depth(((50, 2), (100, 5), (500, 10), (1000, 20)))),
    ("GET", "/dapi/v1/time"): Route(server_time, _flat(1)),
    ("GET", "/dapi/v1/exchangeInfo"): Route(perp.no_symbols, _flat(1)),
    ("GET", "/eapi/v1/exchangeInfo"): Route(perp.no_symbols, _flat(1)),
}

# Answered in maintenance, too.
ALWAYS: Final = frozenset(
    {"/api/v3/ping", "/api/v3/time", "/fapi/v1/ping", "/fapi/v1/time", "/sapi/v1/system/status"}
)
