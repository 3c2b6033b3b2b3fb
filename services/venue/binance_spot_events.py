"""Events of a spot or cross-margin wallet as its user stream says them.

`executionReport` for each change of an order, `balanceUpdate` for money that came or went by itself, and
after them one `outboundAccountPosition` with every coin that may have changed
(https://developers.binance.com/docs/binance-spot-api-docs/user-data-stream).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from libs.exchange.engine.commands import Booked, Event, Ordered
from libs.exchange.engine.engine import Engine
from libs.exchange.engine.types import Balance, EntryKind, Fill, Liquidity, Order, OrderStatus
from services.venue.binance_spot_texts import (
    STATUS,
    amount,
    cancel_id,
    client_id_of,
    ms,
    quantity_of,
    side_of,
    tif_of,
    type_of,
)

_ZERO: Final = Decimal(0)
_BY_ITSELF: Final = frozenset({EntryKind.DEPOSIT, EntryKind.WITHDRAWAL, EntryKind.TRANSFER})
_NO_TRADE: Final = -1


def said(engine: Engine, account: str, events: list[Event], now_ms: int) -> list[tuple[str, dict[str, Any]]]:
    """(symbol, event) in the order of the stream, for what happened to one account; `now_ms` is `E`."""
    reports: list[tuple[str, dict[str, Any]]] = []
    moved: list[tuple[str, dict[str, Any]]] = []
    touched: dict[str, None] = {}
    for event in events:
        if isinstance(event, Ordered) and event.order.account == account:
            listing = engine.listing(event.order.instrument)
            reports.append((listing.symbol, report(event.order, event.fill, listing.symbol, now_ms)))
            touched |= dict.fromkeys((listing.base, listing.quote))
        elif isinstance(event, Booked) and event.entry.account == account:
            entry = event.entry
            touched[entry.asset] = None
            if entry.kind in _BY_ITSELF:
                update = {
                    "e": "balanceUpdate",
                    "E": now_ms,
                    "a": entry.asset,
                    "d": amount(entry.amount),
                    "T": ms(entry.wall_us),
                }
                moved.append(("", update))
    if not touched:
        return []
    return [*reports, *moved, ("", _position(engine, account, list(touched), now_ms))]


def _position(engine: Engine, account: str, assets: list[str], now_ms: int) -> dict[str, Any]:
    held = engine.balances(account)
    balances = [(asset, held.get(asset, Balance())) for asset in assets]
    return {
        "e": "outboundAccountPosition",
        "E": now_ms,
        "u": now_ms,
        "B": [{"a": asset, "f": amount(one.free), "l": amount(one.locked)} for asset, one in balances],
    }


def _execution(order: Order, fill: Fill | None) -> str:
    if fill is not None:
        return "TRADE"
    return "NEW" if order.is_open else STATUS[order.status]


def report(order: Order, fill: Fill | None, symbol: str, now_ms: int) -> dict[str, Any]:
    """`executionReport`. Canceled orders have the canceling's id as `c` and their own as `C`."""
    canceled = order.status is OrderStatus.CANCELED and fill is None
    stamp = ms(order.updated_us)
    event: dict[str, Any] = {
        "e": "executionReport",
        "E": now_ms,
        "s": symbol,
        "c": cancel_id(order) if canceled else client_id_of(order),
        "S": side_of(order.side),
        "o": type_of(order),
        "f": tif_of(order),
        "q": amount(quantity_of(order)),
        "p": amount(order.price or _ZERO),
        "P": amount(_ZERO),
        "F": amount(_ZERO),
        "g": -1,
        "C": client_id_of(order) if canceled else "",
        "x": _execution(order, fill),
        "X": STATUS[order.status],
        "r": "NONE",
        "i": order.order_id,
        "l": amount(fill.quantity if fill else _ZERO),
        "z": amount(order.filled),
        "L": amount(fill.price if fill else _ZERO),
        "n": amount(fill.fee) if fill else "0",
        "N": fill.fee_asset if fill else None,
        "T": stamp,
        "t": fill.trade_id if fill else _NO_TRADE,
        "I": _execution_id(order, fill),
        "w": order.is_open,
        "m": fill is not None and fill.liquidity is Liquidity.MAKER,
        "M": fill is not None,
        "O": ms(order.created_us),
        "Z": amount(order.filled_quote),
        "Y": amount(fill.quote if fill else _ZERO),
        "Q": amount(order.quote_quantity or _ZERO),
        "V": "NONE",
    }
    return event | {"W": ms(order.created_us)}


def _execution_id(order: Order, fill: Fill | None) -> int:
    """A number that no other report of the account has: even ones for trades, odd ones for orders."""
    if fill is not None:
        return 2 * fill.trade_id
    return 4 * order.order_id + (1 if order.is_open else 3)
