"""From the engine's values to the port's. Pure; nothing is computed but means.

Orders, fills and what a customer moves himself bear wall time; funding, interest and delivery the market's.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from typing import Final

from libs.common.instant import US_PER_MS
from libs.common.money import PRECISION
from libs.exchange.engine.commands import Reason, Refused
from libs.exchange.engine.engine import Engine
from libs.exchange.engine.state import USD
from libs.exchange.engine.types import (
    AccountKind,
    Balance,
    Entry,
    EntryKind,
    Fill,
    Order,
    PositionFigures,
)
from libs.exchange.paper.layout import KINDS
from libs.exchange.paper.listings import slug_of
from libs.exchange.trading_values import (
    BalanceReport,
    FillReport,
    LedgerRecord,
    OrderReport,
    PositionReport,
    RecordKind,
    Rejected,
    RejectReason,
    Unknown,
    Wallet,
)

FUNDING_REF: Final = "funding "
"""How the reference of a cash movement begins that is a funding payment."""

_REASONS: Final[dict[Reason, RejectReason]] = {
    Reason.UNKNOWN_INSTRUMENT: "not_tradable",
    Reason.NOT_TRADING: "not_tradable",
    Reason.NOT_ALLOWED: "not_tradable",
    Reason.INSUFFICIENT_BALANCE: "funds",
    Reason.INSUFFICIENT_MARGIN: "funds",
    Reason.BORROW_LIMIT: "funds",
    Reason.MARGIN_LEVEL: "funds",
    Reason.REDUCE_ONLY: "reduce_only",
    Reason.POST_ONLY: "post_only",
}
"""Everything else is a filter."""

_KINDS: Final[dict[EntryKind, RecordKind]] = {
    EntryKind.TRADE: "trade",
    EntryKind.PNL: "realised",
    EntryKind.FEE: "fee",
    EntryKind.FUNDING: "funding",
    EntryKind.INTEREST: "interest",
    EntryKind.BORROW: "borrow",
    EntryKind.REPAY: "repay",
    EntryKind.TRANSFER: "transfer",
    EntryKind.DEPOSIT: "deposit",
    EntryKind.WITHDRAWAL: "withdrawal",
    EntryKind.LIQUIDATION_FEE: "liquidation",
    EntryKind.INSURANCE: "liquidation",
    EntryKind.DELIVERY: "realised",
}
_IN_MARKET_TIME: Final = frozenset({"funding", "interest"})


def refusal(error: Refused) -> Rejected | Unknown:
    """What a refusal proves. An id that is taken belongs to an order that did arrive: which one, only a
    query tells, as with every real venue.
    """
    if error.reason is Reason.DUPLICATE_ID:
        return Unknown(why=f"duplicate: {error.detail}")
    reason = _REASONS.get(error.reason, "filter")
    return Rejected(code=str(error.reason), reason=reason, text=error.detail)


def order_report(order: Order) -> OrderReport:
    """An order. The mean price has the digits of a quotient."""
    with localcontext() as context:
        context.prec = PRECISION
        average = order.filled_quote / order.filled if order.filled else None
    return OrderReport(
        client_id=order.client_id,
        order_id=str(order.order_id),
        instrument=slug_of(order.instrument),
        side=order.side,
        status=order.status.value,
        quantity=order.quantity,
        filled=order.filled,
        average=average,
        price=order.price,
        ts_ms=order.updated_us // US_PER_MS,
        reason=order.reason,
    )


def fill_report(fill: Fill) -> FillReport:
    """A trade; orders that the venue made itself (liquidation, delivery) have no client id."""
    return FillReport(
        trade_id=str(fill.trade_id),
        order_id=str(fill.order_id),
        client_id=fill.client_id or None,
        instrument=slug_of(fill.instrument),
        side=fill.side,
        price=fill.price,
        quantity=fill.quantity,
        fee=fill.fee,
        fee_asset=fill.fee_asset,
        liquidity=fill.liquidity,
        ts_ms=fill.wall_us // US_PER_MS,
    )


def position_report(figures: PositionFigures) -> PositionReport:
    """An open position at the current mark."""
    position = figures.position
    return PositionReport(
        instrument=slug_of(position.instrument),
        side=position.side,
        quantity=position.quantity,
        entry_price=position.entry_price,
        mark=figures.mark,
        unrealised=figures.unrealised,
        liquidation_price=figures.liquidation_price,
        leverage=position.leverage,
        margin_mode=position.margin_mode,
        margin=figures.initial,
        maintenance=figures.maintenance,
    )


def balance_report(engine: Engine, wallet: Wallet, asset: str) -> BalanceReport:
    """One asset. `free` is what a new order may use: of a contracts wallet what is no margin, of a unified
    wallet's settlement coin the smaller of what is not locked and what is no margin.
    """
    kind = KINDS[wallet]
    balance = engine.balances(wallet).get(asset, Balance())
    free = balance.free
    if kind is AccountKind.FUTURES or (kind is AccountKind.UNIFIED and asset == USD):
        free = min(free, engine.margin(wallet, asset).available)
    return BalanceReport(
        wallet=wallet,
        asset=asset,
        total=balance.total,
        free=max(free, Decimal(0)),
        borrowed=balance.borrowed,
        interest=balance.interest,
    )


def record_of(entry: Entry) -> LedgerRecord:
    """A line of an account's ledger."""
    kind, instrument = _KINDS[entry.kind], entry.instrument
    if entry.ref.startswith(FUNDING_REF):
        kind, instrument = "funding", entry.ref.removeprefix(FUNDING_REF).partition("@")[0]
    market = kind in _IN_MARKET_TIME or entry.kind is EntryKind.DELIVERY
    return LedgerRecord(
        record_id=str(entry.entry_id),
        kind=kind,
        asset=entry.asset,
        amount=entry.amount,
        ts_ms=entry.market_ms if market else entry.wall_us // US_PER_MS,
        instrument=slug_of(instrument) or None,
        ref=entry.ref,
    )
