"""Binance's REST protocol, market-data half: spot `api/v3`, USD-M `fapi/v1`, and what ccxt asks besides.

Shapes follow Binance's documentation and recorded payloads (tests compare the keys). Stamps of market data
(`time`, `E`, `closeTime`, funding times) are market time, `serverTime` is wall time.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from services.venue.desk import Desk, Funding, Instant, price_text, rounded
from services.venue.instruments import Instrument
from services.venue.market import MS_PER_DAY
from services.venue.wire import Answer, Call, Refused, Route, answer, number

# Request weight a minute and IP, as exchangeInfo says.
SPOT_WEIGHT_MAX: Final = 6_000
FUTURES_WEIGHT_MAX: Final = 2_400

PERPETUAL_DELIVERY_MS: Final = 4_133_404_800_000
RATE_CAP: Final = "0.02000000"
RATE_FLOOR: Final = "-0.02000000"
INTEREST_RATE: Final = "0.00010000"
DEFAULT_INTERVAL_HOURS: Final = 8.0
HISTORY_LIMIT_DEFAULT: Final = 100
HISTORY_LIMIT_MAX: Final = 1_000
DEPTH_DEFAULT: Final = 100


def refuse(code: int, text: str, *, status: int = 400) -> Refused:
    """Binance's error body."""
    return Refused(answer({"code": code, "msg": text}, status=status))


def bad_parameter(name: str) -> Refused:
    """A parameter that cannot be read."""
    return refuse(-1130, f"Data sent for parameter '{name}' is not valid.")


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


_PRIVATE_ENDINGS: Final = frozenset(
    "account balance order openOrder openOrders allOrders batchOrders myTrades userTrades income leverage "
    "marginType positionMargin positionRisk dual leverageBracket commissionRate listenKey countdownCancelAll "
    "userDataStream commission forceOrders adlQuantile multiAssetsMargin apiTradingStatus".split()
)


def is_private(path: str) -> bool:
    """Whether a path is an account's, and so asks for a key."""
    return path.rsplit("/", 1)[-1] in _PRIVATE_ENDINGS


# --- parameters ------------------------------------------------------------------------------


def _instrument(desk: Desk, call: Call, kind: Any, symbol: str) -> Instrument:
    found = desk.market.find("binance", kind, symbol, call.now.market_ms)
    if found is None:
        raise refuse(-1121, "Invalid symbol.")
    return found


def _required(desk: Desk, call: Call, kind: Any) -> Instrument:
    symbol = call.query.get("symbol", "")
    if not symbol:
        text = "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed."
        raise refuse(-1102, text)
    return _instrument(desk, call, kind, symbol)


def _chosen(desk: Desk, call: Call, kind: Any) -> tuple[list[Instrument], bool]:
    """The instruments that `symbol` or `symbols` names (all when absent), and whether one was named."""
    if call.query.get("symbol"):
        return [_required(desk, call, kind)], True
    if call.query.get("symbols"):
        try:
            names = msgspec.json.decode(call.query["symbols"], type=list[str])
        except msgspec.DecodeError:
            raise refuse(-1100, "Illegal characters found in parameter 'symbols'.") from None
        return [_instrument(desk, call, kind, name) for name in names], False
    return desk.market.listed("binance", kind, call.now.market_ms), False


def _one_or_all(rows: list[dict[str, Any]], one: bool) -> Answer:
    return answer(rows[0] if one else rows)


# --- both markets ----------------------------------------------------------------------------


def ping(_desk: Desk, _call: Call) -> Answer:
    return answer({})


def server_time(desk: Desk, call: Call) -> Answer:
    return answer({"serverTime": desk.server_ms(call.now, call.path)})


def _rate_limits(weight_max: int) -> list[dict[str, Any]]:
    return [
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": weight_max},
        {"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": 1_200},
    ]


def _depth(desk: Desk, call: Call, kind: Any) -> dict[str, Any]:
    instrument = _required(desk, call, kind)
    limit = number(call.query, "limit", DEPTH_DEFAULT, bad_parameter)
    if limit < 1:
        raise bad_parameter("limit")
    bids, asks = desk.book(instrument, call.now, call.path, limit)
    return {"lastUpdateId": call.now.step, "bids": bids, "asks": asks}


def _day_fields(desk: Desk, instrument: Instrument, now: Instant) -> dict[str, Any]:
    day = desk.day(instrument, now)
    mean = (day.open + day.last) / 2
    quote_volume = desk.volume_usd(instrument)
    return {
        "symbol": instrument.symbol,
        "priceChange": rounded(instrument, day.last - day.open),
        "priceChangePercent": f"{(day.last / day.open - 1) * 100:.3f}",
        "weightedAvgPrice": rounded(instrument, mean),
        "lastPrice": rounded(instrument, day.last),
        "lastQty": f"{instrument.min_qty:f}",
        "openPrice": rounded(instrument, day.open),
        "highPrice": rounded(instrument, day.high),
        "lowPrice": rounded(instrument, day.low),
        "volume": f"{quote_volume / mean:.{instrument.quantity_decimals}f}",
        "quoteVolume": f"{quote_volume:.2f}",
        "openTime": now.market_ms - MS_PER_DAY,
        "closeTime": now.market_ms,
        "firstId": 1,
        "lastId": 1_000,
        "count": 1_000,
    }


# --- spot ------------------------------------------------------------------------------------

_SPOT_ORDER_TYPES: Final = ["LIMIT", "LIMIT_MAKER", "MARKET", "STOP_LOSS_LIMIT", "TAKE_PROFIT_LIMIT"]


def spot_exchange_info(desk: Desk, call: Call) -> Answer:
    chosen, _ = _chosen(desk, call, "spot")
    return answer(
        {
            "timezone": "UTC",
            "serverTime": desk.server_ms(call.now, call.path),
            "rateLimits": _rate_limits(SPOT_WEIGHT_MAX),
            "exchangeFilters": [],
            "symbols": [_spot_symbol(desk, one, call.now) for one in chosen],
        }
    )


def _spot_symbol(desk: Desk, instrument: Instrument, now: Instant) -> dict[str, Any]:
    tick, step = f"{instrument.tick:.8f}", f"{instrument.step:.8f}"
    return {
        "symbol": instrument.symbol,
        "status": "TRADING" if desk.market.trading(instrument, now.market_ms) else "BREAK",
        "baseAsset": instrument.base,
        "baseAssetPrecision": 8,
        "quoteAsset": "USDT",
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": _SPOT_ORDER_TYPES,
        "icebergAllowed": True,
        "ocoAllowed": True,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": False,
        "cancelReplaceAllowed": False,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": True,
        "filters": [
            {
                "filterType": "PRICE_FILTER",
                "minPrice": tick,
                "maxPrice": "1000000.00000000",
                "tickSize": tick,
            },
            {"filterType": "PERCENT_PRICE", "multiplierUp": "5", "multiplierDown": "0.2", "avgPriceMins": 5},
            {
                "filterType": "LOT_SIZE",
                "minQty": f"{instrument.min_qty:.8f}",
                "maxQty": f"{instrument.max_qty:.8f}",
                "stepSize": step,
            },
            {
                "filterType": "MIN_NOTIONAL",
                "minNotional": f"{instrument.min_notional:.8f}",
                "applyToMarket": True,
                "avgPriceMins": 5,
            },
            {"filterType": "ICEBERG_PARTS", "limit": 10},
            {
                "filterType": "MARKET_LOT_SIZE",
                "minQty": "0.00000000",
                "maxQty": f"{instrument.max_qty:.8f}",
                "stepSize": "0.00000000",
            },
            {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
            {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 5},
        ],
        "permissions": ["SPOT", "MARGIN"],
        "defaultSelfTradePreventionMode": "NONE",
        "allowedSelfTradePreventionModes": ["NONE"],
    }


def spot_book_ticker(desk: Desk, call: Call) -> Answer:
    chosen, one = _chosen(desk, call, "spot")
    return _one_or_all([book_ticker_row(desk, i, call.now, call.path) for i in chosen], one)


def book_ticker_row(desk: Desk, instrument: Instrument, now: Instant, endpoint: str) -> dict[str, Any]:
    """The spot row; USD-M adds its update id and time."""
    top = desk.top(instrument, now, endpoint)
    return {
        "symbol": instrument.symbol,
        "bidPrice": top.bid,
        "bidQty": top.bid_size,
        "askPrice": top.ask,
        "askQty": top.ask_size,
    }


def spot_day(desk: Desk, call: Call) -> Answer:
    chosen, one = _chosen(desk, call, "spot")
    rows = []
    for instrument in chosen:
        row = _day_fields(desk, instrument, call.now)
        top = desk.top(instrument, call.now, call.path)
        row |= {
            "prevClosePrice": row["openPrice"],
            "bidPrice": top.bid,
            "bidQty": top.bid_size,
            "askPrice": top.ask,
            "askQty": top.ask_size,
        }
        rows.append(row)
    return _one_or_all(rows, one)


def spot_price(desk: Desk, call: Call) -> Answer:
    chosen, one = _chosen(desk, call, "spot")
    rows = [
        {"symbol": i.symbol, "price": rounded(i, desk.market.price(i, call.now.market_ms))} for i in chosen
    ]
    return _one_or_all(rows, one)


def spot_depth(desk: Desk, call: Call) -> Answer:
    return answer(_depth(desk, call, "spot"))


def system_status(desk: Desk, call: Call) -> Answer:
    ended = desk.ended(call.now)
    return answer({"status": int(ended), "msg": "system_maintenance" if ended else "normal"})


# --- USD-M futures ---------------------------------------------------------------------------


def perp_exchange_info(desk: Desk, call: Call) -> Answer:
    return answer(
        {
            "timezone": "UTC",
            "serverTime": desk.server_ms(call.now, call.path),
            "futuresType": "U_MARGINED",
            "rateLimits": _rate_limits(FUTURES_WEIGHT_MAX),
            "exchangeFilters": [],
            "assets": [{"asset": "USDT", "marginAvailable": True, "autoAssetExchange": "-10000"}],
            "symbols": [
                _perp_symbol(desk, one, call.now)
                for one in desk.market.listed("binance", "perp", call.now.market_ms)
            ],
        }
    )


def _perp_symbol(desk: Desk, instrument: Instrument, now: Instant) -> dict[str, Any]:
    quantity = {
        "stepSize": f"{instrument.step:f}",
        "maxQty": f"{instrument.max_qty:f}",
        "minQty": f"{instrument.min_qty:f}",
    }
    return {
        "symbol": instrument.symbol,
        "pair": instrument.symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": PERPETUAL_DELIVERY_MS,
        "onboardDate": instrument.listed_ms,
        "status": "TRADING" if desk.market.trading(instrument, now.market_ms) else "SETTLING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": instrument.base,
        "quoteAsset": "USDT",
        "marginAsset": "USDT",
        "pricePrecision": instrument.price_decimals,
        "quantityPrecision": instrument.quantity_decimals,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": [],
        "settlePlan": 0,
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012000",
        "marketTakeBound": "0.30",
        "filters": [
            {
                "minPrice": f"{instrument.tick:f}",
                "maxPrice": "1000000",
                "filterType": "PRICE_FILTER",
                "tickSize": f"{instrument.tick:f}",
            },
            quantity | {"filterType": "LOT_SIZE"},
            quantity | {"filterType": "MARKET_LOT_SIZE"},
            {"limit": 200, "filterType": "MAX_NUM_ORDERS"},
            {"limit": 10, "filterType": "MAX_NUM_ALGO_ORDERS"},
            {"notional": f"{instrument.min_notional:f}", "filterType": "MIN_NOTIONAL"},
            {
                "multiplierDown": "0.8500",
                "multiplierUp": "1.1500",
                "multiplierDecimal": "4",
                "filterType": "PERCENT_PRICE",
            },
        ],
        "orderTypes": [
            "LIMIT",
            "MARKET",
            "STOP",
            "STOP_MARKET",
            "TAKE_PROFIT",
            "TAKE_PROFIT_MARKET",
            "TRAILING_STOP_MARKET",
        ],
        "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
    }


def premium_index(desk: Desk, call: Call) -> Answer:
    chosen, one = _chosen(desk, call, "perp")
    return _one_or_all([_premium_row(desk, i, call) for i in chosen], one)


def _premium_row(desk: Desk, instrument: Instrument, call: Call) -> dict[str, Any]:
    """A delisted perpetual keeps its row, with empty rates and no next time, as on the real venue."""
    funding = desk.funding(instrument, call.now, call.path)
    index = desk.index(instrument, call.now, call.path)
    return {
        "symbol": instrument.symbol,
        "markPrice": f"{desk.mark(instrument, call.now, call.path):.8f}",
        "indexPrice": f"{index:.8f}",
        "estimatedSettlePrice": f"{index:.8f}",
        "lastFundingRate": funding.rate if funding is not None else "",
        "interestRate": INTEREST_RATE if funding is not None else "",
        "nextFundingTime": funding.next_ms if funding is not None else 0,
        "time": call.now.market_ms,
    }


def funding_info(desk: Desk, call: Call) -> Answer:
    """Only symbols with another interval than 8 h are listed, as on the real venue."""
    rows = []
    for instrument in desk.market.listed("binance", "perp", call.now.market_ms):
        funding = desk.funding(instrument, call.now, call.path)
        if funding is not None and funding.interval_hours != DEFAULT_INTERVAL_HOURS:
            rows.append(_funding_info_row(instrument, funding))
    return answer(rows)


def _funding_info_row(instrument: Instrument, funding: Funding) -> dict[str, Any]:
    return {
        "symbol": instrument.symbol,
        "adjustedFundingRateCap": RATE_CAP,
        "adjustedFundingRateFloor": RATE_FLOOR,
        "fundingIntervalHours": int(funding.interval_hours),
        "disclaimer": False,
    }


def funding_rate(desk: Desk, call: Call) -> Answer:
    """Settled rates, oldest first: from startTime on, or the latest when none is given."""
    start = number(call.query, "startTime", 0, bad_parameter)
    end = number(call.query, "endTime", call.now.market_ms, bad_parameter)
    limit = number(call.query, "limit", HISTORY_LIMIT_DEFAULT, bad_parameter)
    if limit < 1:
        raise bad_parameter("limit")
    limit = min(limit, HISTORY_LIMIT_MAX)
    chosen, _ = _chosen(desk, call, "perp")
    rows = [
        {
            "symbol": instrument.symbol,
            "fundingTime": settled.settled_ms,
            "fundingRate": f"{settled.rate:.8f}",
            "markPrice": f"{settled.mark:.8f}",
        }
        for instrument in chosen
        for settled in desk.settled(instrument, call.now, since_ms=start, until_ms=end)
    ]
    rows.sort(key=lambda row: row["fundingTime"])
    return answer(rows[:limit] if call.query.get("startTime") else rows[-limit:])


def perp_book_ticker(desk: Desk, call: Call) -> Answer:
    chosen, one = _chosen(desk, call, "perp")
    rows = [
        {"lastUpdateId": call.now.step}
        | book_ticker_row(desk, i, call.now, call.path)
        | {"time": call.now.step_market_ms}
        for i in chosen
    ]
    return _one_or_all(rows, one)


def perp_day(desk: Desk, call: Call) -> Answer:
    chosen, one = _chosen(desk, call, "perp")
    return _one_or_all([_day_fields(desk, i, call.now) for i in chosen], one)


def perp_price(desk: Desk, call: Call) -> Answer:
    chosen, one = _chosen(desk, call, "perp")
    rows = [
        {
            "symbol": i.symbol,
            "price": price_text(i, round(desk.market.price(i, call.now.market_ms) / float(i.tick))),
            "time": call.now.market_ms,
        }
        for i in chosen
    ]
    return _one_or_all(rows, one)


def perp_depth(desk: Desk, call: Call) -> Answer:
    book = _depth(desk, call, "perp")
    stamps = {"E": call.now.step_market_ms, "T": call.now.step_market_ms}
    return answer(
        {"lastUpdateId": book["lastUpdateId"], **stamps, "bids": book["bids"], "asks": book["asks"]}
    )


def no_symbols(desk: Desk, call: Call) -> Answer:
    """COIN-M and option markets: the venue has none, and says so in their own shape."""
    return answer(
        {
            "timezone": "UTC",
            "serverTime": desk.server_ms(call.now, call.path),
            "rateLimits": _rate_limits(FUTURES_WEIGHT_MAX),
            "exchangeFilters": [],
            "symbols": [],
        }
    )


# --- the table -------------------------------------------------------------------------------


def _flat(weight: int) -> Any:
    return lambda _call: weight


def _by_symbol(one: int, all_of_them: int) -> Any:
    return lambda call: one if call.query.get("symbol") else all_of_them


def _by_depth(steps: tuple[tuple[int, int], ...]) -> Any:
    def weight(call: Call) -> int:
        text = call.query.get("limit", "")
        limit = int(text) if text.isdigit() else DEPTH_DEFAULT
        return next((cost for most, cost in steps if limit <= most), steps[-1][1])

    return weight


# Weights as documented: https://developers.binance.com/docs (spot limits page, USD-M market data pages).
ROUTES: Final[dict[tuple[str, str], Route]] = {
    ("GET", "/api/v3/ping"): Route(ping, _flat(1)),
    ("GET", "/api/v3/time"): Route(server_time, _flat(1)),
    ("GET", "/api/v3/exchangeInfo"): Route(spot_exchange_info, _flat(20)),
    ("GET", "/api/v3/ticker/bookTicker"): Route(spot_book_ticker, _by_symbol(2, 4)),
    ("GET", "/api/v3/ticker/price"): Route(spot_price, _by_symbol(2, 4)),
    ("GET", "/api/v3/ticker/24hr"): Route(spot_day, _by_symbol(2, 80)),
    ("GET", "/api/v3/depth"): Route(spot_depth, _by_depth(((100, 5), (500, 25), (1000, 50), (5000, 250)))),
    ("GET", "/sapi/v1/system/status"): Route(system_status, _flat(1)),
    ("GET", "/fapi/v1/ping"): Route(ping, _flat(1)),
    ("GET", "/fapi/v1/time"): Route(server_time, _flat(1)),
    ("GET", "/fapi/v1/exchangeInfo"): Route(perp_exchange_info, _flat(1)),
    ("GET", "/fapi/v1/premiumIndex"): Route(premium_index, _by_symbol(1, 10)),
    ("GET", "/fapi/v1/fundingInfo"): Route(funding_info, _flat(0)),
    ("GET", "/fapi/v1/fundingRate"): Route(funding_rate, _flat(0)),
    ("GET", "/fapi/v1/ticker/bookTicker"): Route(perp_book_ticker, _by_symbol(2, 5)),
    ("GET", "/fapi/v1/ticker/24hr"): Route(perp_day, _by_symbol(1, 40)),
    ("GET", "/fapi/v1/ticker/price"): Route(perp_price, _by_symbol(1, 2)),
    ("GET", "/fapi/v2/ticker/price"): Route(perp_price, _by_symbol(1, 2)),
    ("GET", "/fapi/v1/depth"): Route(perp_depth, _by_depth(((50, 2), (100, 5), (500, 10), (1000, 20)))),
    ("GET", "/dapi/v1/time"): Route(server_time, _flat(1)),
    ("GET", "/dapi/v1/exchangeInfo"): Route(no_symbols, _flat(1)),
    ("GET", "/eapi/v1/exchangeInfo"): Route(no_symbols, _flat(1)),
}

# Answered in maintenance, too.
ALWAYS: Final = frozenset(
    {"/api/v3/ping", "/api/v3/time", "/fapi/v1/ping", "/fapi/v1/time", "/sapi/v1/system/status"}
)
