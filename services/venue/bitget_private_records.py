"""Bitget's v3 financial records out of the engine's ledger.

One record for what a fill did to one coin, its fee in a column of its own: `amount` is before the fee, `fee`
negative when it was charged, `balance` after both. Lending moves no balance here (one balance a coin, see
`bitget_private_worth`), so that loans and repayments have no record and the balances are those less debts:

    sum of amounts and fees of a coin = its balance now

Types and categories are those of https://www.bitget.com/api-doc/uta/enum; transfers stand under `OTHER`.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec

from libs.common.instant import US_PER_MS
from libs.exchange.engine.orders import is_closing
from libs.exchange.engine.types import ZERO, Entry, EntryKind, Fill, Order, PositionSide, Side
from services.venue.bitget_common import PERPS, SPOT, body
from services.venue.bitget_private_fields import Fields, page, plain
from services.venue.bitget_private_place import account_of
from services.venue.bitget_private_rows import (
    MARGIN,
    fill_category,
    is_contract,
    symbol_of,
)
from services.venue.bitget_private_worth import owed
from services.venue.house import House
from services.venue.keys import Key
from services.venue.wire import Answer, Call, answer

OTHER: Final = "OTHER"
_OF_FILLS: Final = frozenset({EntryKind.TRADE, EntryKind.PNL, EntryKind.FEE, EntryKind.DELIVERY})
_LENDING: Final = frozenset({EntryKind.BORROW, EntryKind.REPAY})
_BY_MARKET_TIME: Final = frozenset({EntryKind.FUNDING, EntryKind.INTEREST, EntryKind.DELIVERY})
_SINGLE: Final = {
    "order": {Side.BUY: "BUY_DEAL", Side.SELL: "SELL_DEAL"},
    "liquidation": {Side.BUY: "BURST_BUY_SSM", Side.SELL: "BURST_SELL_SSM"},
    "adl": {Side.BUY: "FORCE_BUY_SSM", Side.SELL: "FORCE_SELL_SSM"},
    "delivery": {Side.BUY: "DELIVERY_SHORT", Side.SELL: "DELIVERY_LONG"},
}
_CLOSING: Final = {
    "order": "CLOSE_{}",
    "liquidation": "BURST_CLOSE_{}",
    "adl": "FORCE_CLOSE_{}",
    "delivery": "DELIVERY_{}",
}
_OTHERS: Final = {
    EntryKind.INTEREST: ("INTEREST_SETTLEMENT_OUT", "INTEREST_SETTLEMENT_OUT"),
    EntryKind.FUNDING: ("CONTRACT_MAIN_SETTLE_FEE_USER_IN", "CONTRACT_MAIN_SETTLE_FEE_USER_OUT"),
    EntryKind.TRANSFER: ("TRANSFER_IN", "TRANSFER_OUT"),
    EntryKind.DEPOSIT: ("TRANSFER_IN", "TRANSFER_OUT"),
    EntryKind.WITHDRAWAL: ("TRANSFER_IN", "TRANSFER_OUT"),
    EntryKind.LIQUIDATION_FEE: ("LIQ_FEE", "LIQ_FEE"),
    EntryKind.INSURANCE: ("RISK_LIQ_USER_IN", "RISK_LIQ_USER_OUT"),
    # PnL that no fill realised: profit drawn on to pay a loss elsewhere.
    EntryKind.PNL: ("RISK_LIQ_USER_IN", "RISK_LIQ_USER_OUT"),
}


class Record(msgspec.Struct, kw_only=True):
    """One row; a fill's entries of one coin are added up in it. `number` is the last entry's."""

    number: int
    category: str
    symbol: str
    coin: str
    type: str
    stamp_ms: int
    balance: Decimal
    amount: Decimal = ZERO
    fee: Decimal = ZERO


def financial_records(house: House, call: Call, key: Key) -> Answer:
    """Records of a category, newest first."""
    fields = Fields.of(call)
    category = fields.category()
    coin, kind = fields.text("coin").upper(), fields.text("type").upper()
    symbol = fields.text("symbol").upper()
    chosen = [
        record
        for record in records_of(house, account_of(house, key))
        if record.category == category
        and coin in ("", record.coin)
        and kind in ("", record.type)
        and symbol in ("", record.symbol)
    ]
    rows = page(fields, chosen, number=lambda one: one.number, stamp=lambda one: one.stamp_ms)
    cursor = str(rows[-1].number) if rows else ""
    return answer(body(call.now.wall_ms, {"list": [_row(one) for one in rows], "cursor": cursor}))


def funding_financial_records(house: House, call: Call, key: Key) -> Answer:
    """Records of the funding wallet, which only transfers touch."""
    fields = Fields.of(call)
    coin = fields.text("coin").upper()
    entries = [
        entry
        for entry in house.engine.entries(house.account(key.user, "funding"))
        if coin in ("", entry.asset)
    ]
    rows = page(fields, entries, number=lambda one: one.entry_id, stamp=_stamp_ms)
    data = {
        "list": [
            {
                "id": str(entry.entry_id),
                "coin": entry.asset,
                "groupType": "transfer" if entry.kind is EntryKind.TRANSFER else entry.kind.value,
                "type": "transfer_in" if entry.amount > 0 else "transfer_out",
                "amount": plain(entry.amount),
                "balance": plain(entry.balance),
                "ts": str(_stamp_ms(entry)),
            }
            for entry in rows
        ],
        "cursor": str(rows[-1].entry_id) if rows else "",
    }
    return answer(body(call.now.wall_ms, data))


def records_of(house: House, account: str) -> list[Record]:
    """All records of an account, oldest first."""
    entries = house.engine.entries(account)
    fills = {str(fill.trade_id): fill for fill in house.engine.fills(account)}
    orders = {order.order_id: order for order in house.engine.orders(account)}
    made: dict[tuple[str, str], Record] = {}
    records: list[Record] = []
    for entry, balance in zip(entries, _net_balances(house, account, entries), strict=True):
        if entry.kind in _LENDING:
            continue
        fill = fills.get(entry.ref) if entry.kind in _OF_FILLS else None
        if fill is None:
            records.append(_of_entry(entry, balance))
            continue
        record = made.get((entry.ref, entry.asset))
        if record is None:
            record = made[entry.ref, entry.asset] = _of_fill(entry, fill, orders.get(fill.order_id))
            records.append(record)
        _add(record, entry, balance)
    return records


def _net_balances(house: House, account: str, entries: Sequence[Entry]) -> list[Decimal]:
    """Each entry's balance less what was owed after it, counted back from what is owed now."""
    debts = {coin: owed(balance) for coin, balance in house.engine.balances(account).items()}
    found: list[Decimal] = []
    for entry in reversed(entries):
        debt = debts.get(entry.asset, ZERO)
        found.append(entry.balance - debt)
        match entry.kind:
            case EntryKind.BORROW | EntryKind.REPAY:
                debts[entry.asset] = debt - entry.amount
            case EntryKind.INTEREST:
                debts[entry.asset] = debt - abs(entry.amount)
            case _:
                pass
    return found[::-1]


def _of_fill(entry: Entry, fill: Fill, order: Order | None) -> Record:
    """A record of a fill, still without its amounts."""
    return Record(
        number=entry.entry_id,
        category=fill_category(fill, order),
        symbol=symbol_of(fill.instrument),
        coin=entry.asset,
        type=_fill_type(entry, fill),
        stamp_ms=_stamp_ms(entry),
        balance=entry.balance,
    )


def _add(record: Record, entry: Entry, balance: Decimal) -> None:
    if entry.kind is EntryKind.FEE:
        record.fee += entry.amount
    else:
        record.amount += entry.amount
    record.number, record.balance = entry.entry_id, balance


def _of_entry(entry: Entry, balance: Decimal) -> Record:
    """What no fill caused."""
    incoming, outgoing = _OTHERS.get(entry.kind, ("ORDER_PLF_FEE_OUT", "ORDER_PLF_FEE_OUT"))
    interest = entry.kind is EntryKind.INTEREST
    return Record(
        number=entry.entry_id,
        category=_entry_category(entry),
        symbol=symbol_of(entry.instrument),
        coin=entry.asset,
        type=incoming if entry.amount > 0 else outgoing,
        stamp_ms=_stamp_ms(entry),
        balance=balance,
        amount=-abs(entry.amount) if interest else entry.amount,
    )


def _fill_type(entry: Entry, fill: Fill) -> str:
    if not is_contract(fill.instrument):
        if entry.kind is EntryKind.FEE:
            return "ORDER_PLF_FEE_OUT"
        return "ORDER_DEALT_IN" if entry.amount > 0 else "ORDER_DEALT_FROZEN_OUT"
    if fill.position_side is PositionSide.BOTH:
        return _SINGLE[fill.cause][fill.side]
    side = fill.position_side.value.upper()
    if is_closing(fill.side, fill.position_side, reduce_only=True):
        return _CLOSING[fill.cause].format(side)
    return f"OPEN_{side}"


def _entry_category(entry: Entry) -> str:
    if entry.instrument:
        return PERPS if is_contract(entry.instrument) else SPOT
    return MARGIN if entry.kind is EntryKind.INTEREST else OTHER


def _stamp_ms(entry: Entry) -> int:
    """Settlements and interest are stamped in market time, everything else in wall time."""
    return entry.market_ms if entry.kind in _BY_MARKET_TIME else entry.wall_us // US_PER_MS


def _row(record: Record) -> dict[str, Any]:
    return {
        "category": record.category,
        "id": str(record.number),
        "symbol": record.symbol,
        "coin": record.coin,
        "type": record.type,
        "amount": plain(record.amount),
        "fee": plain(record.fee),
        "balance": plain(record.balance),
        "ts": str(record.stamp_ms),
    }
