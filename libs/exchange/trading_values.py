"""What is asked of a venue and what it tells: the values of the exchange port's private half, without I/O.

Base units and `Decimal` throughout; instruments are slugs.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final, Literal

import msgspec

from libs.exchange.engine.types import (
    FeeRates,
    Liquidity,
    MarginMode,
    OrderType,
    PositionMode,
    PositionSide,
    Side,
    TimeInForce,
)
from libs.exchange.port import GapSeen

__all__ = [
    "CLIENT_ID",
    "FINAL_STATES",
    "IN_MARKET_TIME",
    "AccountSettings",
    "BalanceReport",
    "Cause",
    "Done",
    "FeeRates",
    "FillReport",
    "Found",
    "GapSeen",
    "KeyPermissions",
    "LedgerRecord",
    "Liquidity",
    "MarginMode",
    "NeverSent",
    "NotFound",
    "OrderReport",
    "OrderRequest",
    "OrderState",
    "OrderType",
    "Outcome",
    "PositionMode",
    "PositionReport",
    "PositionSide",
    "QueryFailed",
    "QueryOutcome",
    "RecordKind",
    "RejectReason",
    "Rejected",
    "Room",
    "Side",
    "TimeInForce",
    "TradingEvent",
    "Unknown",
    "Urgency",
    "Wallet",
]

CLIENT_ID: Final = re.compile(r"\A[a-z0-9]{1,26}\Z")
"""The only form that all venues take as it is (Hyperliquid: as `0x` + 32 hex, which is reversible)."""

Cause = Literal["order", "liquidation", "adl", "delivery"]
"""Who made a trade: an order of the account's owner, or the venue."""

OrderState = Literal["open", "partial", "filled", "canceled", "expired", "rejected"]
Wallet = Literal["spot", "margin", "futures", "unified", "funding"]
IN_MARKET_TIME: Final = frozenset({"funding", "interest"})
"""Kinds of records that are stamped in market time; everything else in wall time."""

RecordKind = Literal[
    "funding",
    "fee",
    "interest",
    "transfer",
    "realised",
    "borrow",
    "repay",
    "trade",
    "liquidation",
    "deposit",
    "withdrawal",
    "other",
]
RejectReason = Literal[
    "funds", "filter", "reduce_only", "post_only", "rate_limit", "clock", "auth", "not_tradable"
]
Urgency = Literal["poll", "increase", "reduce"]
"""Who may use how much of a venue's request budget: polls stop first, reducing orders have a reserve."""

FINAL_STATES: Final[frozenset[OrderState]] = frozenset({"filled", "canceled", "expired", "rejected"})


# --- what is asked ----------------------------------------------------------------------------------------


class OrderRequest(msgspec.Struct, frozen=True, kw_only=True):
    """An order. `quantity` in base units, `price` in quote (None only for market orders).

    `margin`: sent to the desk that sells borrowed spot coins. `reduce_only`: contracts only. Raises
    ValueError for what no venue could mean.
    """

    client_id: str
    instrument: str
    side: Side
    quantity: Decimal
    price: Decimal | None = None
    type: OrderType = OrderType.LIMIT
    tif: TimeInForce = TimeInForce.IOC
    reduce_only: bool = False
    margin: bool = False

    def __post_init__(self) -> None:
        limit = self.type is OrderType.LIMIT
        for wrong, text in (
            (CLIENT_ID.match(self.client_id) is None, "a client id is 1 to 26 of [a-z0-9]"),
            (not self.quantity.is_finite() or self.quantity <= 0, "a quantity is above 0"),
            (limit != (self.price is not None), "limit orders have a price, market orders have none"),
            (
                self.price is not None and not (self.price.is_finite() and self.price > 0),
                "a price is above 0",
            ),
            (not limit and self.tif is not TimeInForce.IOC, "a market order is IOC"),
        ):
            if wrong:
                raise ValueError(f"order {self.client_id[:40]!r}: {text}")


# --- what is told -----------------------------------------------------------------------------------------


class OrderReport(msgspec.Struct, frozen=True, kw_only=True):
    """An order as the venue has it. `average` is the mean fill price; None while nothing is filled.

    `client_id` is ours (translated back where the venue has another form); "" for orders of others.
    """

    client_id: str
    order_id: str
    instrument: str
    side: Side
    status: OrderState
    quantity: Decimal
    filled: Decimal
    average: Decimal | None
    price: Decimal | None
    ts_ms: int
    reason: str = ""

    @property
    def is_final(self) -> bool:
        """Whether it can never fill again."""
        return self.status in FINAL_STATES


class FillReport(msgspec.Struct, frozen=True, kw_only=True):
    """One trade, idempotent by (venue, instrument, trade_id). `fee` > 0 is paid; None where not told yet.

    `client_id` None: the venue's fills do not carry it, find the order by `order_id`. `cause`: not an order
    of the account's owner but the venue's own doing, where the venue tells.
    """

    trade_id: str
    order_id: str
    client_id: str | None
    instrument: str
    side: Side
    price: Decimal
    quantity: Decimal
    fee: Decimal | None
    fee_asset: str | None
    liquidity: Liquidity | None
    ts_ms: int
    cause: Cause = "order"


class PositionReport(msgspec.Struct, frozen=True, kw_only=True):
    """An open contract position; `quantity` in base units, short < 0, also in hedge mode."""

    instrument: str
    side: PositionSide
    quantity: Decimal
    entry_price: Decimal | None
    mark: Decimal | None
    unrealised: Decimal | None
    liquidation_price: Decimal | None
    leverage: int | None = None
    margin_mode: MarginMode | None = None
    margin: Decimal | None = None  # initial margin in the settlement asset
    maintenance: Decimal | None = None


class BalanceReport(msgspec.Struct, frozen=True, kw_only=True):
    """One asset of one wallet. `total` holds borrowed coins too; owned = total - borrowed - interest."""

    wallet: Wallet
    asset: str
    total: Decimal
    free: Decimal
    borrowed: Decimal = Decimal(0)
    interest: Decimal = Decimal(0)


class LedgerRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the venue's own books, idempotent by (venue, kind, record_id). `amount` > 0 came in."""

    record_id: str
    kind: RecordKind
    asset: str
    amount: Decimal
    ts_ms: int
    instrument: str | None = None
    ref: str = ""


class AccountSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What holds for new positions in an instrument, as read back from the venue; None: it does not tell."""

    instrument: str
    margin_mode: MarginMode | None
    leverage: int | None
    position_mode: PositionMode | None


class KeyPermissions(msgspec.Struct, frozen=True, kw_only=True):
    """What an API key may do. `readable` False: the venue does not tell, and the rest is None.

    `expires_ms` (wall): when it ends, None where that is unknown or never.
    """

    readable: bool
    may_trade: bool | None = None
    may_withdraw: bool | None = None
    may_transfer: bool | None = None
    ip_bound: bool | None = None
    account_type: str = ""  # as the venue names it (unified, classic), where that matters
    expires_ms: int | None = None


class Room(msgspec.Struct, frozen=True, kw_only=True):
    """What is left of a venue's request budget, for the gate. Shares of the limit in force, 0 to 1.

    `allowed` is the verdict for the urgency that was asked for; `why` says what stands against it.
    """

    allowed: bool
    weight_used: float
    orders_used: float
    wait_sec: float = 0.0
    why: str = ""


# --- what became of an order ------------------------------------------------------------------------------


class Done(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The venue has it and says so: `report` has its id. `fills` where the answer held them."""

    report: OrderReport
    fills: tuple[FillReport, ...] = ()


class Rejected(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The venue said no in a form that is on the allow-list: the order does not exist."""

    code: str
    reason: RejectReason
    text: str


class Unknown(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """It may or may not be at the venue: nothing may replace it before it is resolved."""

    why: str


class NeverSent(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Proven: not one byte of it left. Its client id stays used."""

    why: str


Outcome = Done | Rejected | Unknown | NeverSent


class Found(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The venue knows the order."""

    report: OrderReport


class NotFound(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A clean "no such order" by the venue's own code. Once is not proof (false not-founds exist)."""

    code: str


class QueryFailed(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """No answer to go by."""

    why: str


QueryOutcome = Found | NotFound | QueryFailed


TradingEvent = OrderReport | FillReport | PositionReport | BalanceReport | GapSeen
"""What a private stream tells. After a `GapSeen`: open orders, recent fills, positions, balances by REST."""
