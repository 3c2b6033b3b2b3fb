"""What Binance's spot and USD-M markets share: errors, parameters, books, 24 h statistics."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from services.venue.desk import Desk, Instant, rounded
from services.venue.instruments import Instrument, Kind
from services.venue.market import MS_PER_DAY
from services.venue.wire import Answer, Call, Refused, answer, number

# Request weight a minute and IP, as exchangeInfo says.
SPOT_WEIGHT_MAX: Final = 6_000
FUTURES_WEIGHT_MAX: Final = 2_400
# The same for each path of `sapi`, as its documentation says.
SAPI_IP_WEIGHT_MAX: Final = 12_000
SAPI_ACCOUNT_WEIGHT_MAX: Final = 180_000

DEPTH_DEFAULT: Final = 100


def refuse(code: int, text: str, *, status: int = 400) -> Refused:
    """Binance's error body."""
    return Refused(answer({"code": code, "msg": text}, status=status))


def bad_parameter(name: str) -> Refused:
    """A parameter that cannot be read."""
    return refuse(-1130, f"Data sent for parameter '{name}' is not valid.")


def instrument_of(desk: Desk, call: Call, kind: Kind, symbol: str) -> Instrument:
    """The instrument of a symbol, or Binance's refusal."""
    found = desk.market.find("binance", kind, symbol, call.now.market_ms)
    if found is None:
        raise refuse(-1121, "Invalid symbol.")
    return found


def required(desk: Desk, call: Call, kind: Kind) -> Instrument:
    """The instrument that the parameter `symbol` names."""
    symbol = call.query.get("symbol", "")
    if not symbol:
        text = "Mandatory parameter 'symbol' was not sent, was empty/null, or malformed."
        raise refuse(-1102, text)
    return instrument_of(desk, call, kind, symbol)


def chosen_of(desk: Desk, call: Call, kind: Kind) -> tuple[list[Instrument], bool]:
    """The instruments that `symbol` or `symbols` names (all when absent), and whether one was named."""
    if call.query.get("symbol"):
        return [required(desk, call, kind)], True
    if call.query.get("symbols"):
        try:
            names = msgspec.json.decode(call.query["symbols"], type=list[str])
        except msgspec.DecodeError:
            raise refuse(-1100, "Illegal characters found in parameter 'symbols'.") from None
        return [instrument_of(desk, call, kind, name) for name in names], False
    return desk.market.listed("binance", kind, call.now.market_ms), False


def one_or_all(rows: list[dict[str, Any]], *, one: bool) -> Answer:
    """An object for one symbol, else an array."""
    return answer(rows[0] if one else rows)


def ping(_desk: Desk, _call: Call) -> Answer:
    """An empty object."""
    return answer({})


def server_time(desk: Desk, call: Call) -> Answer:
    """Wall time."""
    return answer({"serverTime": desk.server_ms(call.now, call.path)})


def rate_limits(weight_max: int) -> list[dict[str, Any]]:
    """The limits as exchangeInfo says them."""
    return [
        {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": weight_max},
        {"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": 1_200},
    ]


def book_of(desk: Desk, call: Call, kind: Kind) -> dict[str, Any]:
    """`lastUpdateId`, bids and asks; the id numbers the book's state (see the depth stream)."""
    instrument = required(desk, call, kind)
    limit = number(call.query, "limit", DEPTH_DEFAULT, bad_parameter)
    if limit < 1:
        raise bad_parameter("limit")
    bids, asks = desk.book(instrument, call.now, call.path, limit)
    return {"lastUpdateId": call.now.step, "bids": bids, "asks": asks}


def day_fields(desk: Desk, instrument: Instrument, now: Instant) -> dict[str, Any]:
    """The 24 h statistics that both markets have."""
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
