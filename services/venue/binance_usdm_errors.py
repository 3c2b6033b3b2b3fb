"""What USD-M says when the exchange refuses: the engine's reasons in Binance's codes and texts.

Codes and texts: https://developers.binance.com/docs/derivatives/usds-margined-futures/error-code. Where the
text met in the wild differs from the documented one (-4003, -4164), it is the one met.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from libs.exchange.engine import commands
from libs.exchange.engine.commands import Reason, Submit
from libs.exchange.engine.types import Listing, MarketStatus
from services.venue.binance_common import refuse
from services.venue.instruments import decimals_of
from services.venue.wire import Refused

_UNRECORDED: Final = " The order will not be recorded in the order history"
PRECISION: Final = (-1111, "Precision is over the maximum defined for this asset.")

# What needs no figure of the order or its market.
_PLAIN: Final[dict[Reason, tuple[int, str]]] = {
    Reason.UNKNOWN_INSTRUMENT: (-1121, "Invalid symbol."),
    Reason.UNKNOWN_ACCOUNT: (-2015, "Invalid API-key, IP, or permissions for action."),
    Reason.NOT_ALLOWED: (-4140, "Invalid symbol status for opening position."),
    Reason.BAD_VALUE: (-4003, "Quantity less than or equal to zero."),
    Reason.QUANTITY_MIN: (-4004, "Quantity less than min quantity."),
    Reason.QUANTITY_MAX: (-4005, "Quantity greater than max quantity."),
    Reason.INSUFFICIENT_BALANCE: (-2018, "Balance is insufficient."),
    Reason.INSUFFICIENT_MARGIN: (-2019, "Margin is insufficient."),
    Reason.POSITION_LIMIT: (-2027, "Exceeded the maximum allowable position at current leverage."),
    Reason.REDUCE_ONLY: (-2022, "ReduceOnly Order is rejected."),
    Reason.POST_ONLY: (
        -5022,
        "Due to the order could not be executed as maker, the Post Only order will be rejected."
        + _UNRECORDED,
    ),
    Reason.DUPLICATE_ID: (-4116, "ClientOrderId is duplicated."),
    Reason.POSITION_SIDE: (-4061, "Order's position side does not match user's setting."),
    Reason.NO_POSITION: (-2022, "ReduceOnly Order is rejected."),
    Reason.MARGIN_LEVEL: (-2019, "Margin is insufficient."),
    Reason.BORROW_LIMIT: (-2019, "Margin is insufficient."),
    Reason.NOTHING_BORROWED: (-2019, "Margin is insufficient."),
    Reason.ORDER_NOT_FOUND: (-2011, "Unknown order sent."),
}

NOT_FILLED: Final = (
    -5021,
    f"Due to the order could not be filled immediately, the FOK order has been rejected.{_UNRECORDED}",
)


def of_order(refused: commands.Refused, submit: Submit, listing: Listing, mark: Decimal | None) -> Refused:
    """Binance's answer to an order that the engine refused."""
    match refused.reason:
        case Reason.PRICE_TICK:
            price = submit.price or Decimal(0)
            over = decimals_of(price) > decimals_of(listing.price_tick)
            code, text = PRECISION if over else (-4014, "Price not increased by tick size.")
        case Reason.QUANTITY_STEP:
            over = decimals_of(submit.quantity) > decimals_of(listing.quantity_step)
            code, text = PRECISION if over else (-4023, "Quantity not increased by step size.")
        case Reason.NOTIONAL_MIN:
            least = listing.notional_min or Decimal(0)
            text = f"Order's notional must be no smaller than {least:f} (unless you choose reduce only)"
            code = -4164
        case Reason.PRICE_BAND:
            code, text = _band(submit, listing, mark)
        case Reason.NOT_TRADING:
            code, text = _closed(listing)
        case _:
            return plain(refused)
    return refuse(code, text)


def plain(refused: commands.Refused) -> Refused:
    """Binance's answer to anything else that the engine refused."""
    code, text = _PLAIN[refused.reason]
    return refuse(code, text, status=401 if code == -2015 else 400)


def _closed(listing: Listing) -> tuple[int, str]:
    if listing.status is MarketStatus.HALTED:
        return -4140, "Invalid symbol status for opening position."
    return -4108, "Symbol is on delivering or delivered or settling or closed or pre-trading."


def _band(submit: Submit, listing: Listing, mark: Decimal | None) -> tuple[int, str]:
    """PERCENT_PRICE: of a limit price the bound is named, for a market order the book's price is at fault."""
    if submit.price is None or mark is None or listing.price_band is None:
        return -4131, "The counterparty's best price does not meet the PERCENT_PRICE filter limit."
    digits = decimals_of(listing.price_tick)
    if submit.price > mark:
        return -4016, f"Limit price can't be higher than {mark * (1 + listing.price_band):.{digits}f}."
    return -4024, f"Limit price can't be lower than {mark * (1 - listing.price_band):.{digits}f}."
