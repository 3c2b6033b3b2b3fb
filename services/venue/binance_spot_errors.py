"""What the engine refuses, in Binance's codes and texts for spot and cross margin.

Sources: https://developers.binance.com/docs/binance-spot-api-docs/errors and
https://developers.binance.com/docs/margin_trading/error-code. Clients tell refusals apart by these texts.
"""

from __future__ import annotations

from typing import Final

from libs.exchange.engine import commands
from libs.exchange.engine.commands import Reason
from services.venue.binance_common import refuse
from services.venue.wire import Refused

Said = tuple[int, str]

INVALID_SYMBOL: Final[Said] = (-1121, "Invalid symbol.")
INSUFFICIENT: Final[Said] = (-2010, "Account has insufficient balance for requested action.")
BORROW_MAX: Final[Said] = (-3006, "Your borrow amount has exceed maximum borrow amount.")
NO_SUCH_ASSET: Final[Said] = (-3027, "Not a valid margin asset.")
NO_SUCH_PAIR: Final[Said] = (-3028, "Not a valid margin pair.")
REPAY_MAX: Final[Said] = (-3015, "Repay amount exceeds borrow amount.")
NOT_ENOUGH: Final[Said] = (-3041, "Balance is not enough")
TRANSFER_OUT_MAX: Final[Said] = (-3020, "Transfer out amount exceeds max amount.")
TRANSFER_INSUFFICIENT: Final[Said] = (-5013, "Asset transfer failed: insufficient balance")
NO_ISOLATED: Final[Said] = (-11001, "Isolated margin account does not exist.")
BAD_INPUT: Final[Said] = (-3026, "Your input param is invalid.")
UNKNOWN_ORDER: Final[Said] = (-2011, "Unknown order sent.")
NO_ORDER: Final[Said] = (-2013, "Order does not exist.")

_UNKNOWN: Final[Said] = (-1000, "An unknown error occured while processing the request.")
_MARGIN_LEVEL: Final[Said] = (-3023, "You can't transfer out/place order under current margin level.")


def _filter(name: str) -> Said:
    return (-1013, f"Filter failure: {name}")


ORDER: Final[dict[Reason, Said]] = {
    Reason.UNKNOWN_INSTRUMENT: INVALID_SYMBOL,
    Reason.NOT_TRADING: (-1013, "Market is closed."),
    Reason.NOT_ALLOWED: (-2010, "This symbol is not permitted for this account."),
    Reason.BAD_VALUE: (-1013, "Invalid quantity."),
    Reason.PRICE_TICK: _filter("PRICE_FILTER"),
    Reason.PRICE_BAND: _filter("PERCENT_PRICE_BY_SIDE"),
    Reason.QUANTITY_STEP: _filter("LOT_SIZE"),
    Reason.QUANTITY_MIN: _filter("LOT_SIZE"),
    Reason.QUANTITY_MAX: _filter("LOT_SIZE"),
    # As exchangeInfo names the filter here.
    Reason.NOTIONAL_MIN: _filter("MIN_NOTIONAL"),
    Reason.INSUFFICIENT_BALANCE: INSUFFICIENT,
    Reason.INSUFFICIENT_MARGIN: INSUFFICIENT,
    Reason.POST_ONLY: (-2010, "Order would immediately match and take."),
    Reason.DUPLICATE_ID: (-2010, "Duplicate order sent."),
    Reason.BORROW_LIMIT: BORROW_MAX,
    Reason.MARGIN_LEVEL: _MARGIN_LEVEL,
    Reason.ORDER_NOT_FOUND: UNKNOWN_ORDER,
}
# What a market order cannot be: its size has a filter of its own.
MARKET_ORDER: Final = ORDER | {Reason.QUANTITY_MAX: _filter("MARKET_LOT_SIZE")}

BORROW: Final[dict[Reason, Said]] = {
    Reason.UNKNOWN_INSTRUMENT: NO_SUCH_ASSET,
    Reason.NOT_ALLOWED: NO_SUCH_ASSET,
    Reason.BORROW_LIMIT: BORROW_MAX,
    Reason.MARGIN_LEVEL: BORROW_MAX,
    Reason.INSUFFICIENT_MARGIN: BORROW_MAX,
    Reason.BAD_VALUE: (-3013, "Borrow amount less than minimum borrow amount."),
}
REPAY: Final[dict[Reason, Said]] = {
    Reason.UNKNOWN_INSTRUMENT: NO_SUCH_ASSET,
    Reason.NOT_ALLOWED: NO_SUCH_ASSET,
    Reason.NOTHING_BORROWED: REPAY_MAX,
    Reason.INSUFFICIENT_BALANCE: NOT_ENOUGH,
    Reason.BAD_VALUE: (-3016, "Repay amount less than minimum repay amount."),
}
TRANSFER: Final[dict[Reason, Said]] = {
    Reason.INSUFFICIENT_BALANCE: TRANSFER_INSUFFICIENT,
    Reason.INSUFFICIENT_MARGIN: TRANSFER_INSUFFICIENT,
    Reason.MARGIN_LEVEL: TRANSFER_OUT_MAX,
    Reason.NOT_ALLOWED: (-3017, "This asset are not allowed to transfer into margin account currently."),
    Reason.BAD_VALUE: BAD_INPUT,
    Reason.UNKNOWN_ACCOUNT: (-5011, "future account not exists."),
}
MARGIN_OUT: Final = TRANSFER | {
    Reason.INSUFFICIENT_BALANCE: TRANSFER_OUT_MAX,
    Reason.INSUFFICIENT_MARGIN: TRANSFER_OUT_MAX,
}


def said(words: Said) -> Refused:
    """The answer of a code and its text."""
    return refuse(*words)


def translated(refusal: commands.Refused, table: dict[Reason, Said]) -> Refused:
    """The engine's refusal as Binance's; a reason that cannot occur there is its unknown error."""
    return said(table.get(refusal.reason, _UNKNOWN))
