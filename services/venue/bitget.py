"""Bitget's REST protocol, market-data half: the unified account's public `v3`, and what ccxt needs of `v2`.

The rates are Bybit's recorded ones (see `recording.SOURCE_OF`). Everything is a string on this wire but
`requestTime`; order book levels are numbers. `ts` and funding times are market time, `requestTime` and
`serverTime` wall time.
"""

from __future__ import annotations

from typing import Any, Final

from services.venue import bitget_margin, listings
from services.venue.bitget_common import (
    PERPS,
    SPOT,
    body,
    category_of,
    chosen_of,
    number_of,
    refuse,
    required,
    trimmed,
    unified,
)
from services.venue.desk import Desk, Instant, rounded
from services.venue.instruments import Instrument
from services.venue.wire import Answer, Call, Route, answer

REQUESTS_PER_SEC: Final = 20  # a second, IP and endpoint
RATE_CAP: Final = "0.02"
PAGE_DEFAULT: Final = 20
PAGE_MAX: Final = 100
DEPTH_DEFAULT: Final = 5
DEPTH_MAX: Final = 200


def maintenance(call: Call) -> Answer:
    """Said when the recording is over; ccxt makes OnMaintenance of it."""
    text = "Server upgrade, please try again later"
    return answer(body(call.now.wall_ms, None, code="40200", text=text), status=503)


def throttled(call: Call) -> Answer:
    """More than REQUESTS_PER_SEC."""
    return answer(body(call.now.wall_ms, None, code="429", text="Too Many Requests"), status=429)


_PUBLIC: Final = ("/api/v3/market/", "/api/v2/public/", "/api/v2/spot/public/", "/api/v2/spot/market/")
_PUBLIC_TOO: Final = ("/api/v2/mix/market/", "/api/v2/margin/currencies")


def unknown(call: Call) -> Answer:
    """What Bitget says to a path it does not have, to a private one without a key, and to a private one of
    the classic account, which the keys of this venue, all of unified accounts, cannot use.
    """
    public = call.path.startswith((*_PUBLIC, *_PUBLIC_TOO))
    private = call.path.startswith(("/api/v2/", "/api/v3/")) and not public
    if private and not call.headers.get("access-key"):
        found = refuse(call, "40001", "ACCESS_KEY cannot be empty")
    elif private and call.path.startswith("/api/v2/"):
        found = unified(call)
    else:
        found = refuse(call, "40404", "Request URL NOT FOUND", status=404)
    return found.answer


# --- handlers --------------------------------------------------------------------------------


def server_time(desk: Desk, call: Call) -> Answer:
    """Wall time."""
    now_ms = desk.server_ms(call.now, call.path)
    return answer(body(now_ms, {"serverTime": str(now_ms)}))


def coins(desk: Desk, call: Call) -> Answer:
    """Coins with the one chain that matters for nothing here: ccxt loads them with the markets."""
    bases = {one.base for one in desk.market.listed("bitget", "spot", call.now.market_ms)} | {"USDT"}
    rows = [
        {
            "coinId": str(i),
            "coin": base,
            "transfer": "true",
            "chains": [
                {
                    "chain": base,
                    "needTag": "false",
                    "withdrawable": "true",
                    "rechargeable": "true",
                    "withdrawFee": "0.005",
                    "extraWithdrawFee": "0",
                    "depositConfirm": "1",
                    "withdrawConfirm": "1",
                    "minDepositAmount": "0.001",
                    "minWithdrawAmount": "0.001",
                    "browserUrl": "",
                    "contractAddress": "",
                    "withdrawStep": "0",
                    "withdrawMinScale": "8",
                }
            ],
        }
        for i, base in enumerate(sorted(bases), start=1)
    ]
    return answer(body(call.now.wall_ms, rows))


def instruments(desk: Desk, call: Call) -> Answer:
    """Instruments of a category."""
    category = category_of(call)
    build = _spot_instrument if category == SPOT else _perp_instrument
    rows = [build(desk, one, call) for one in chosen_of(desk, call, category)]
    return answer(body(call.now.wall_ms, rows))


def _status(desk: Desk, instrument: Instrument, now: Instant) -> str:
    return "online" if desk.market.trading(instrument, now.market_ms) else "offline"


def _spot_instrument(desk: Desk, instrument: Instrument, call: Call) -> dict[str, Any]:
    return {
        "symbol": instrument.symbol,
        "category": SPOT,
        "baseCoin": instrument.base,
        "quoteCoin": "USDT",
        "buyLimitPriceRatio": "0.05",
        "sellLimitPriceRatio": "0.05",
        "minOrderQty": f"{instrument.min_qty:f}",
        "maxOrderQty": "0",
        "pricePrecision": str(instrument.price_decimals),
        "quantityPrecision": str(instrument.quantity_decimals),
        "quotePrecision": "8",
        "minOrderAmount": f"{instrument.min_notional:f}",
        "maxSymbolOrderNum": "400",
        "maxProductOrderNum": "400",
        "status": _status(desk, instrument, call.now),
        "maintainTime": "",
        "areaSymbol": "no",
        "maxPositionNum": "200",
        "isReality": "no",
        "launchTime": str(instrument.listed_ms),
    }


def _perp_instrument(desk: Desk, instrument: Instrument, call: Call) -> dict[str, Any]:
    funding = desk.funding(instrument, call.now, call.path)
    return {
        "symbol": instrument.symbol,
        "category": PERPS,
        "baseCoin": instrument.base,
        "quoteCoin": "USDT",
        "isRwa": "NO",
        "buyLimitPriceRatio": "0.05",
        "sellLimitPriceRatio": "0.05",
        "feeRateUpRatio": "0.005",
        "makerFeeRate": "0.0002",
        "takerFeeRate": "0.0006",
        "openCostUpRatio": "0.01",
        "minOrderQty": f"{instrument.min_qty:f}",
        "maxOrderQty": f"{instrument.max_qty:f}",
        "pricePrecision": str(instrument.price_decimals),
        "quantityPrecision": str(instrument.quantity_decimals),
        "quotePrecision": "",
        "priceMultiplier": f"{instrument.tick:f}",
        "quantityMultiplier": f"{instrument.step:f}",
        "type": "perpetual",
        "minOrderAmount": f"{instrument.min_notional:f}",
        "maxSymbolOrderNum": "",
        "maxProductOrderNum": "400",
        "maxPositionNum": "200",
        "status": _status(desk, instrument, call.now),
        "offTime": "-1",
        "limitOpenTime": "-1",
        "deliveryTime": "",
        "deliveryStartTime": "",
        "deliveryPeriod": "",
        "launchTime": str(instrument.listed_ms),
        "fundInterval": f"{funding.interval_hours:g}" if funding is not None else "",
        "minLeverage": "1",
        "maxLeverage": str(listings.tiers_of("bitget", instrument.base)[0].leverage_max),
        "maintainTime": "",
        "symbolType": "crypto",
        "maxMarketOrderQty": f"{instrument.max_qty:f}",
    }


def ticker_fields(desk: Desk, instrument: Instrument, now: Instant, endpoint: str) -> dict[str, Any]:
    """What REST and stream tickers have in common."""
    top = desk.top(instrument, now, endpoint)
    day = desk.day(instrument, now)
    turnover = desk.volume_usd(instrument)
    return {
        "lastPrice": rounded(instrument, day.last),
        "openPrice24h": rounded(instrument, day.open),
        "highPrice24h": rounded(instrument, day.high),
        "lowPrice24h": rounded(instrument, day.low),
        "ask1Price": top.ask,
        "bid1Price": top.bid,
        "bid1Size": top.bid_size,
        "ask1Size": top.ask_size,
        "price24hPcnt": f"{day.last / day.open - 1:.5f}",
        "volume24h": f"{turnover / day.last:.4f}",
        "turnover24h": f"{turnover:.4f}",
    }


def tickers(desk: Desk, call: Call) -> Answer:
    """24 h statistics with best bid and ask; futures add mark, index and the rate settling next."""
    category = category_of(call)
    rows = []
    for one in chosen_of(desk, call, category):
        row = {
            "category": category,
            "symbol": one.symbol,
            "ts": str(call.now.step_market_ms),
            **ticker_fields(desk, one, call.now, call.path),
        }
        if category != SPOT:
            funding = desk.funding(one, call.now, call.path)
            rate = funding.rate if funding is not None else ""
            row |= {
                "indexPrice": f"{desk.index(one, call.now, call.path):.10f}",
                "markPrice": rounded(one, desk.mark(one, call.now, call.path)),
                "fundingRate": trimmed(rate) if rate is not None else None,
                "openInterest": f"{desk.volume_usd(one) / 2 / desk.day(one, call.now).last:.4f}",
                "deliveryStartTime": "",
                "deliveryTime": "",
                "deliveryStatus": "",
            }
        rows.append(row)
    return answer(body(call.now.wall_ms, rows))


def order_book(desk: Desk, call: Call) -> Answer:
    """The order book of one symbol."""
    instrument = required(desk, call, category_of(call))
    depth = min(number_of(call, "limit", DEPTH_DEFAULT), DEPTH_MAX)
    bids, asks = desk.book(instrument, call.now, call.path, depth)
    data = {
        "a": [[float(price), float(size)] for price, size in asks],
        "b": [[float(price), float(size)] for price, size in bids],
        "ts": str(call.now.step_market_ms),
    }
    return answer(body(call.now.wall_ms, data))


def current_fund_rate(desk: Desk, call: Call) -> Answer:
    """One symbol's, or all: ccxt's `fetch_funding_intervals` names a category and no symbol."""
    rows = []
    for one in chosen_of(desk, call, call.query.get("category", PERPS).upper()):
        funding = desk.funding(one, call.now, call.path)
        if funding is not None:
            rows.append(
                {
                    "symbol": one.symbol,
                    "fundingRate": trimmed(funding.rate) if funding.rate is not None else None,
                    "fundingRateInterval": f"{funding.interval_hours:g}",
                    "nextUpdate": str(funding.next_ms),
                    "minFundingRate": f"-{RATE_CAP}",
                    "maxFundingRate": RATE_CAP,
                }
            )
    return answer(body(call.now.wall_ms, rows))


def history_fund_rate(desk: Desk, call: Call) -> Answer:
    """Settled rates, newest first, in pages: `cursor` is the page's number from 1, at most 100 rows each."""
    instrument = required(desk, call, category_of(call))
    limit = min(number_of(call, "limit", PAGE_DEFAULT), PAGE_MAX)
    page = number_of(call, "cursor", 1)
    settled = desk.settled(instrument, call.now, since_ms=0, until_ms=call.now.market_ms)[::-1]
    rows = [
        {
            "symbol": instrument.symbol,
            "fundingRate": trimmed(f"{one.rate:.8f}"),
            "fundingRateTimestamp": str(one.settled_ms),
        }
        for one in settled[(page - 1) * limit : page * limit]
    ]
    return answer(body(call.now.wall_ms, {"resultList": rows}))


def symbol_price(desk: Desk, call: Call) -> Answer:
    """`v2`, but ccxt's `fetch_mark_price` has no other."""
    if call.query.get("productType", "").upper() != PERPS:
        raise refuse(call, "40017", "Parameter productType is error")
    one = required(desk, call, PERPS)
    row = {
        "symbol": one.symbol,
        "price": rounded(one, desk.day(one, call.now).last),
        "indexPrice": rounded(one, desk.index(one, call.now, call.path)),
        "markPrice": rounded(one, desk.mark(one, call.now, call.path)),
        "ts": str(call.now.market_ms),
    }
    return answer(body(call.now.wall_ms, [row]))


def _one(_call: Call) -> int:
    return 1


ROUTES: Final[dict[tuple[str, str], Route]] = {
    ("GET", "/api/v2/public/time"): Route(server_time, _one),
    ("GET", "/api/v2/spot/public/coins"): Route(coins, _one),
    ("GET", "/api/v2/mix/market/symbol-price"): Route(symbol_price, _one),
    ("GET", "/api/v3/market/instruments"): Route(instruments, _one),
    ("GET", "/api/v3/market/tickers"): Route(tickers, _one),
    ("GET", "/api/v3/market/orderbook"): Route(order_book, _one),
    ("GET", "/api/v3/market/current-fund-rate"): Route(current_fund_rate, _one),
    ("GET", "/api/v3/market/history-fund-rate"): Route(history_fund_rate, _one),
    ("GET", "/api/v3/market/margin-loans"): Route(bitget_margin.margin_loans, _one),
    ("GET", "/api/v3/market/position-tier"): Route(bitget_margin.position_tier, _one),
}

# Answered in maintenance, too.
ALWAYS: Final = frozenset({"/api/v2/public/time"})
