"""Binance's USD-M futures market data: `fapi/v1`."""

from __future__ import annotations

from typing import Any, Final

from services.venue.binance_common import (
    FUTURES_WEIGHT_MAX,
    bad_parameter,
    book_of,
    chosen_of,
    day_fields,
    one_or_all,
    rate_limits,
)
from services.venue.binance_spot import book_ticker_row
from services.venue.desk import Desk, Funding, Instant, price_text
from services.venue.instruments import Instrument
from services.venue.wire import Answer, Call, answer, number

PERPETUAL_DELIVERY_MS: Final = 4_133_404_800_000
RATE_CAP: Final = "0.02000000"
RATE_FLOOR: Final = "-0.02000000"
INTEREST_RATE: Final = "0.00010000"
DEFAULT_INTERVAL_HOURS: Final = 8.0
HISTORY_LIMIT_DEFAULT: Final = 100
HISTORY_LIMIT_MAX: Final = 1_000


def exchange_info(desk: Desk, call: Call) -> Answer:
    """All markets with their filters."""
    return answer(
        {
            "timezone": "UTC",
            "serverTime": desk.server_ms(call.now, call.path),
            "futuresType": "U_MARGINED",
            "rateLimits": rate_limits(FUTURES_WEIGHT_MAX),
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
    """Mark, index, the rate settling next and when, of one symbol or all."""
    chosen, one = chosen_of(desk, call, "perp")
    return one_or_all([_premium_row(desk, i, call) for i in chosen], one=one)


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
    chosen, _ = chosen_of(desk, call, "perp")
    rows: list[dict[str, Any]] = [
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


def book_ticker(desk: Desk, call: Call) -> Answer:
    """Best bid and ask, of one symbol or all."""
    chosen, one = chosen_of(desk, call, "perp")
    rows = [
        {"lastUpdateId": call.now.step}
        | book_ticker_row(desk, i, call.now, call.path)
        | {"time": call.now.step_market_ms}
        for i in chosen
    ]
    return one_or_all(rows, one=one)


def day(desk: Desk, call: Call) -> Answer:
    """24 h statistics, of one symbol or all."""
    chosen, one = chosen_of(desk, call, "perp")
    return one_or_all([day_fields(desk, i, call.now) for i in chosen], one=one)


def price(desk: Desk, call: Call) -> Answer:
    """Last prices, of one symbol or all."""
    chosen, one = chosen_of(desk, call, "perp")
    rows = [
        {
            "symbol": i.symbol,
            "price": price_text(i, round(desk.price(i, call.now) / float(i.tick))),
            "time": call.now.market_ms,
        }
        for i in chosen
    ]
    return one_or_all(rows, one=one)


def depth(desk: Desk, call: Call) -> Answer:
    """The order book of one symbol."""
    book = book_of(desk, call, "perp")
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
            "rateLimits": rate_limits(FUTURES_WEIGHT_MAX),
            "exchangeFilters": [],
            "symbols": [],
        }
    )
