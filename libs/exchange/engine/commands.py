"""Everything that can happen to the exchange, and everything that it says about it: plain values.

    events = engine.apply(command, now)        # or raises `Refused`, and nothing has changed

The engine's state is a fold of its commands: applying the same ones to a new engine gives the same bytes
(`Engine.snapshot`). Books and marks come in as commands too, so that nothing is read from elsewhere.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Literal

import msgspec

from libs.exchange.engine.types import (
    AccountSpec,
    Balance,
    Entry,
    FeeSchedule,
    Fill,
    Listing,
    MarginMode,
    Order,
    OrderType,
    Position,
    PositionMode,
    PositionSide,
    Side,
    TimeInForce,
)

Levels = tuple[tuple[Decimal, Decimal], ...]
"""(price, base quantity), best first."""


class Reason(StrEnum):
    """Why the exchange refuses. The wire doors translate each into the venue's own code."""

    UNKNOWN_INSTRUMENT = "unknown_instrument"
    UNKNOWN_ACCOUNT = "unknown_account"
    NOT_TRADING = "not_trading"
    NOT_ALLOWED = "not_allowed"  # this kind of account does not trade this market
    BAD_VALUE = "bad_value"  # not positive, not finite, contradictory
    PRICE_TICK = "price_tick"
    PRICE_BAND = "price_band"
    QUANTITY_STEP = "quantity_step"
    QUANTITY_MIN = "quantity_min"
    QUANTITY_MAX = "quantity_max"
    NOTIONAL_MIN = "notional_min"
    INSUFFICIENT_BALANCE = "insufficient_balance"  # spot coins, or what a transfer needs
    INSUFFICIENT_MARGIN = "insufficient_margin"
    POSITION_LIMIT = "position_limit"  # beyond the bracket of the leverage
    REDUCE_ONLY = "reduce_only"  # would not reduce
    POST_ONLY = "post_only"  # would take
    DUPLICATE_ID = "duplicate_id"
    ORDER_NOT_FOUND = "order_not_found"
    POSITION_SIDE = "position_side"  # does not fit the position mode
    LEVERAGE = "leverage"
    ALREADY_SET = "already_set"
    HAS_POSITION = "has_position"  # the mode cannot change while there is one
    HAS_ORDERS = "has_orders"
    BORROW_LIMIT = "borrow_limit"
    NOTHING_BORROWED = "nothing_borrowed"
    MARGIN_LEVEL = "margin_level"  # a transfer or repayment would leave too little
    NO_POSITION = "no_position"


class Refused(Exception):
    """The exchange says no; nothing has changed. `detail` is one line for people."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


# --- commands ---------------------------------------------------------------------------------------------


class Command(msgspec.Struct, frozen=True, kw_only=True, tag=True, tag_field="command", omit_defaults=True):
    """Something that happens to the exchange."""


class SetListing(Command, frozen=True, kw_only=True):
    """List a market, change its filters, halt or delist it (orders are canceled, positions settled)."""

    listing: Listing


class OpenAccount(Command, frozen=True, kw_only=True):
    """A new, empty account."""

    spec: AccountSpec


class SetFees(Command, frozen=True, kw_only=True):
    """Other fees for an account's future fills."""

    account: str
    fees: FeeSchedule


class Deposit(Command, frozen=True, kw_only=True):
    """Money comes in from outside."""

    account: str
    asset: str
    amount: Decimal
    ref: str = ""


class Withdraw(Command, frozen=True, kw_only=True):
    """Money leaves; refused beyond what may leave."""

    account: str
    asset: str
    amount: Decimal
    ref: str = ""


class SetBook(Command, frozen=True, kw_only=True):
    """The market's book without our own orders; resting orders fill where it trades through them.

    A `version` not above the last one changes nothing: what orders have eaten of a state does not grow back.
    """

    instrument: str
    bids: Levels
    asks: Levels
    version: int


class PublicTrade(Command, frozen=True, kw_only=True):
    """A trade of others: it eats the queue ahead of resting orders at its price, then them."""

    instrument: str
    price: Decimal
    quantity: Decimal
    taker: Side


class SetMark(Command, frozen=True, kw_only=True):
    """The mark of a contract, or the price that values a coin in margin accounts; may liquidate."""

    instrument: str
    mark: Decimal


class Submit(Command, frozen=True, kw_only=True):
    """An order. `quantity` in base; a spot market buy may give `quote_quantity` instead (quantity 0).

    `borrow`: on the margin desk, borrow what is missing (`auto`), or use what comes in to repay
    (`auto_repay`).
    """

    account: str
    instrument: str
    side: Side
    type: OrderType
    quantity: Decimal
    price: Decimal | None = None
    tif: TimeInForce = TimeInForce.GTC
    client_id: str = ""
    reduce_only: bool = False
    position_side: PositionSide = PositionSide.BOTH
    quote_quantity: Decimal | None = None
    margin: bool = False
    borrow: Literal["none", "auto", "auto_repay"] = "none"


class Cancel(Command, frozen=True, kw_only=True):
    """By `order_id`, or by `client_id` (the newest order that has it). Only open orders are found."""

    account: str
    instrument: str
    order_id: int | None = None
    client_id: str = ""
    reason: str = "canceled by its owner"


class CancelAll(Command, frozen=True, kw_only=True):
    """All open orders of an account, on one instrument or on all of them."""

    account: str
    instrument: str = ""
    reason: str = "canceled by its owner"


class SetLeverage(Command, frozen=True, kw_only=True):
    """Leverage of one instrument; refused beyond the bracket of its position."""

    account: str
    instrument: str
    leverage: int


class SetMarginMode(Command, frozen=True, kw_only=True):
    """Cross or isolated; refused while there is a position or an open order."""

    account: str
    instrument: str
    mode: MarginMode


class SetPositionMode(Command, frozen=True, kw_only=True):
    """One-way or hedge for all contracts; refused while there is a position or an open order."""

    account: str
    mode: PositionMode


class SettleFunding(Command, frozen=True, kw_only=True):
    """-quantity * mark * rate to each open position; a repeated (instrument, settled_ms) changes nothing."""

    instrument: str
    rate: Decimal
    mark: Decimal
    settled_ms: int


class Deliver(Command, frozen=True, kw_only=True):
    """A dated future ends: positions close at `price`, orders are canceled, the market is delisted."""

    instrument: str
    price: Decimal


class AccrueInterest(Command, frozen=True, kw_only=True):
    """One hour of interest on what is borrowed of `asset`; a repeated (asset, hour_ms) changes nothing."""

    asset: str
    hourly_rate: Decimal
    hour_ms: int


class Borrow(Command, frozen=True, kw_only=True):
    """Coins from the lender, up to `borrow_max_usd`."""

    account: str
    asset: str
    amount: Decimal


class Repay(Command, frozen=True, kw_only=True):
    """Interest first, then principal; at most what is owed is taken."""

    account: str
    asset: str
    amount: Decimal


class Transfer(Command, frozen=True, kw_only=True):
    """Between two accounts of one user, instantly."""

    source: str
    target: str
    asset: str
    amount: Decimal
    ref: str = ""


class Deleverage(Command, frozen=True, kw_only=True):
    """ADL: the exchange closes `quantity` (> 0) of a position at `price`, without fee."""

    account: str
    instrument: str
    position_side: PositionSide
    quantity: Decimal
    price: Decimal


class Liquidate(Command, frozen=True, kw_only=True):
    """Liquidate a position now, whatever its margin says (a fault on purpose)."""

    account: str
    instrument: str
    position_side: PositionSide


# --- events -----------------------------------------------------------------------------------------------


class Event(msgspec.Struct, frozen=True, kw_only=True, tag=True, tag_field="event"):
    """What became of a command, in order. Private streams are made of these."""


class Ordered(Event, frozen=True, kw_only=True):
    """An order is new or has changed; `fill` when a trade changed it."""

    order: Order
    fill: Fill | None = None


class Booked(Event, frozen=True, kw_only=True):
    """A ledger line, with the asset's balance after it."""

    entry: Entry
    balance: Balance


class Positioned(Event, frozen=True, kw_only=True):
    """A position changed; quantity 0 when it is closed. `cause` as in `Fill`, or `funding` and `settings`."""

    position: Position
    cause: str


class Configured(Event, frozen=True, kw_only=True):
    """Leverage, margin mode or position mode of an account changed."""

    account: str
    instrument: str
    leverage: int | None = None
    margin_mode: MarginMode | None = None
    position_mode: PositionMode | None = None


class Listed(Event, frozen=True, kw_only=True):
    """A market is new, or its filters or status changed."""

    listing: Listing
