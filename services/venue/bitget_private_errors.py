"""What Bitget says when the engine refuses: the v3 codes and texts of its published table.

    with refusing(call, Subject(symbol="BTCUSDT", category="SPOT")):
        house.apply(command, call.now)

Sources: https://www.bitget.com/api-doc/uta/error-code/restapi and /websocket (texts), the error sample of
https://www.bitget.com/api-doc/uta/trade/Place-Order (40762), and ccxt's table of codes seen live (40774,
40786, 40808, 45110). Placeholders are filled as the real venue fills them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Final

import msgspec

from libs.exchange.engine import commands
from libs.exchange.engine.commands import Reason
from libs.exchange.engine.types import Listing, MarketStatus, PositionMode, Side
from services.venue.bitget_common import PERPS, refuse
from services.venue.bitget_private_fields import plain
from services.venue.instruments import decimals_of
from services.venue.wire import Call, Refused

NOT_FOUND: Final = ("25204", "Order does not exist")
NOTHING_TO_CANCEL: Final = ("22001", "No order to cancel")
NO_POSITION: Final = ("25227", "No position available to close")
HOLD_MODE: Final = (
    "40774",
    "The order type for unilateral position must also be the unilateral position type.",
)
UNSUPPORTED: Final = ("25002", "Unsupported operation")
UNKNOWN_COIN: Final = ("25201", "Currency does not exist")
TRANSFER_MAX: Final = ("43117", "Exceeded Max. transferable quantity")
BALANCE: Final = ("43012", "Insufficient balance")

CodeText = tuple[str, str]


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """What a command was about: as far as a text names it."""

    symbol: str = ""
    category: str = PERPS
    listing: Listing | None = None
    side: Side | None = None
    quantity: Decimal = Decimal(0)
    mode: PositionMode = PositionMode.ONE_WAY
    holds: bool = True  # whether there is a position at all


@contextmanager
def refusing(call: Call, subject: Subject) -> Iterator[None]:
    """Turn the engine's refusal into Bitget's."""
    try:
        yield
    except commands.Refused as refused:
        raise said(call, code_of(refused, subject)) from refused


def said(call: Call, found: CodeText) -> Refused:
    """Bitget's error body for a code and its text."""
    return refuse(call, *found)


def code_of(refused: commands.Refused, subject: Subject) -> CodeText:
    """The code and text for a refusal of the engine."""
    return _TEXTS[refused.reason](subject)


def _fixed(code: str, text: str) -> Callable[[Subject], CodeText]:
    return lambda _: (code, text)


def _unknown(subject: Subject) -> CodeText:
    return "40034", f"Parameter {subject.symbol} does not exist"


def _not_trading(subject: Subject) -> CodeText:
    listing = subject.listing
    if subject.category == PERPS and listing is not None and listing.status is MarketStatus.DELISTED:
        return "25104", "Contract delisted"
    return "25101", "Trading pair not open for trading"


def _tick(subject: Subject) -> CodeText:
    tick = plain(subject.listing.price_tick) if subject.listing is not None else "0"
    return "25244", f"Price should be a multiple of {tick}"


def _step(subject: Subject) -> CodeText:
    scale = decimals_of(subject.listing.quantity_step) if subject.listing is not None else 0
    value = plain(subject.quantity)
    return (
        "40808",
        f"Parameter verification exception qty checkBDScale error value={value} checkScale={scale}",
    )


def _band(subject: Subject) -> CodeText:
    band = (subject.listing.price_band if subject.listing is not None else None) or Decimal(0)
    percent = plain(band * 100)
    if subject.side is Side.BUY:
        return "25206", f"{subject.symbol} trading price cannot exceed {percent}%"
    return "25205", f"{subject.symbol} trading price cannot be below {percent}%"


def _least(subject: Subject) -> CodeText:
    least = plain(subject.listing.quantity_min) if subject.listing is not None else "0"
    return "25207", f"{subject.symbol} trading quantity cannot be less than {least} units"


def _most(subject: Subject) -> CodeText:
    most = subject.listing.quantity_max if subject.listing is not None else None
    text = f"{subject.symbol} trading quantity cannot exceed {plain(most or Decimal(0))} units"
    return "25208", text


def _notional(subject: Subject) -> CodeText:
    least = subject.listing.notional_min if subject.listing is not None else None
    return "45110", f"less than the minimum amount {plain(least or Decimal(0))} USDT"


def _reduce(subject: Subject) -> CodeText:
    if not subject.holds:
        return NO_POSITION
    if subject.mode is PositionMode.HEDGE:
        return "25225", "Insufficient available quantity in position"
    text = (
        "Reduce-only orders will only reduce your position; please cancel or modify existing orders before "
        "placing a new one"
    )
    return "25232", text


_TEXTS: Final[dict[Reason, Callable[[Subject], CodeText]]] = {
    Reason.UNKNOWN_INSTRUMENT: _unknown,
    Reason.UNKNOWN_ACCOUNT: _fixed("25005", "User does not exist"),
    Reason.NOT_TRADING: _not_trading,
    Reason.NOT_ALLOWED: lambda subject: ("25240", f"{subject.symbol} does not support this operation"),
    Reason.BAD_VALUE: _fixed("40017", "Parameter verification failed"),
    Reason.PRICE_TICK: _tick,
    Reason.PRICE_BAND: _band,
    Reason.QUANTITY_STEP: _step,
    Reason.QUANTITY_MIN: _least,
    Reason.QUANTITY_MAX: _most,
    Reason.NOTIONAL_MIN: _notional,
    Reason.INSUFFICIENT_BALANCE: _fixed("25202", "Insufficient balance"),
    Reason.INSUFFICIENT_MARGIN: _fixed("25203", "Insufficient margin"),
    Reason.POSITION_LIMIT: _fixed("40762", "The order size is greater than the max open size"),
    Reason.REDUCE_ONLY: _reduce,
    Reason.POST_ONLY: _fixed("25002", "Unsupported operation"),
    Reason.DUPLICATE_ID: _fixed("40786", "Duplicate clientOid"),
    Reason.ORDER_NOT_FOUND: _fixed(*NOT_FOUND),
    Reason.POSITION_SIDE: _fixed(*HOLD_MODE),
    Reason.LEVERAGE: _fixed("25223", "Exceeds Max. leverage"),
    Reason.ALREADY_SET: _fixed("45054", "No change in leverage"),
    Reason.HAS_POSITION: _fixed("40920", "Position or order exists, the position mode cannot be switched"),
    Reason.HAS_ORDERS: _fixed("40920", "Position or order exists, the position mode cannot be switched"),
    Reason.BORROW_LIMIT: _fixed("40762", "The order size is greater than the max open size"),
    Reason.NOTHING_BORROWED: _fixed("25217", "Exceeds maximum repayment limit"),
    Reason.MARGIN_LEVEL: _fixed(*TRANSFER_MAX),
    Reason.NO_POSITION: _fixed(*NO_POSITION),
}

_missing = set(Reason) - set(_TEXTS)
if _missing:
    raise AssertionError(f"no text of Bitget's for {sorted(_missing)}")
