"""Binance's spot market data: `api/v3`."""

from __future__ import annotations

from typing import Any, Final

from services.venue.binance_common import (
    SPOT_WEIGHT_MAX,
    book_of,
    chosen_of,
    day_fields,
    one_or_all,
    rate_limits,
)
from services.venue.desk import Desk, Instant, rounded
from services.venue.instruments import Instrument
from services.venue.wire import Answer, Call, answer

_SPOT_ORDER_TYPES: Final = ["LIMIT", "LIMIT_MAKER", "MARKET"]  # what the venue takes


def exchange_info(desk: Desk, call: Call) -> Answer:
    """All markets with their filters."""
    chosen, _ = chosen_of(desk, call, "spot")
    return answer(
        {
            "timezone": "UTC",
            "serverTime": desk.server_ms(call.now, call.path),
            "rateLimits": rate_limits(SPOT_WEIGHT_MAX),
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
            {
                "filterType": "PERCENT_PRICE_BY_SIDE",
                "bidMultiplierUp": "5",
                "bidMultiplierDown": "0.2",
                "askMultiplierUp": "5",
                "askMultiplierDown": "0.2",
                "avgPriceMins": 5,
            },
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


def book_ticker(desk: Desk, call: Call) -> Answer:
    """Best bid and ask, of one symbol or all."""
    chosen, one = chosen_of(desk, call, "spot")
    return one_or_all([book_ticker_row(desk, i, call.now, call.path) for i in chosen], one=one)


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


def day(desk: Desk, call: Call) -> Answer:
    """24 h statistics, of one symbol or all."""
    chosen, one = chosen_of(desk, call, "spot")
    rows = []
    for instrument in chosen:
        row = day_fields(desk, instrument, call.now)
        top = desk.top(instrument, call.now, call.path)
        row |= {
            "prevClosePrice": row["openPrice"],
            "bidPrice": top.bid,
            "bidQty": top.bid_size,
            "askPrice": top.ask,
            "askQty": top.ask_size,
        }
        rows.append(row)
    return one_or_all(rows, one=one)


def price(desk: Desk, call: Call) -> Answer:
    """Last prices, of one symbol or all."""
    chosen, one = chosen_of(desk, call, "spot")
    rows = [{"symbol": i.symbol, "price": rounded(i, desk.price(i, call.now))} for i in chosen]
    return one_or_all(rows, one=one)


def depth(desk: Desk, call: Call) -> Answer:
    """The order book of one symbol."""
    return answer(book_of(desk, call, "spot"))


def system_status(desk: Desk, call: Call) -> Answer:
    """1 when the recording is over."""
    ended = desk.ended(call.now)
    return answer({"status": int(ended), "msg": "system_maintenance" if ended else "normal"})
