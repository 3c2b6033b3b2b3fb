"""The events of USD-M's user stream, each with the fields that the real ones have."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from libs.exchange.engine.types import (
    ZERO,
    Fill,
    Liquidity,
    Listing,
    MarginMode,
    Order,
    OrderStatus,
    OrderType,
    Position,
)
from services.venue.binance_usdm_positions import Slot, break_even
from services.venue.binance_usdm_rows import (
    STATUS,
    TIME_IN_FORCE,
    average_text,
    client_id,
    entry_text,
    money,
    price_text,
    quantity_text,
)

if TYPE_CHECKING:
    from services.venue.desk import Instant
    from services.venue.house import House

Said = tuple[str, dict[str, Any]]
"""(symbol, event)"""

_EXECUTION: Final = {
    OrderStatus.OPEN: "NEW",
    OrderStatus.PARTIAL: "NEW",
    OrderStatus.FILLED: "TRADE",
    OrderStatus.CANCELED: "CANCELED",
    OrderStatus.EXPIRED: "EXPIRED",
}


def order_event(house: House, order: Order, fill: Fill | None, now: Instant) -> Said:
    """ORDER_TRADE_UPDATE: an order as it stands after `fill`, or without one."""
    listing = house.engine.listing(order.instrument)
    kind = _kind(order)
    stamp_ms = order.updated_us // 1_000
    bids, asks = _interest(house, order)
    body = {
        "s": listing.symbol,
        "c": client_id(order),
        "S": order.side.upper(),
        "o": kind,
        "f": TIME_IN_FORCE[order.tif] if order.type is OrderType.LIMIT else "GTC",
        "q": quantity_text(listing, order.quantity),
        "p": price_text(listing, order.price),
        "ap": average_text(listing, order),
        "sp": "0",
        "x": _execution(order, fill),
        "X": STATUS[order.status],
        "i": order.order_id,
        "l": quantity_text(listing, fill.quantity if fill is not None else ZERO),
        "z": quantity_text(listing, order.filled),
        "L": price_text(listing, fill.price if fill is not None else None),
        "N": fill.fee_asset if fill is not None else listing.quote,
        "n": money(fill.fee) if fill is not None else "0",
        "T": stamp_ms,
        "t": fill.trade_id if fill is not None else 0,
        "b": money(bids),
        "a": money(asks),
        "m": fill is not None and fill.liquidity is Liquidity.MAKER,
        "R": order.reduce_only,
        "wt": "CONTRACT_PRICE",
        "ot": kind,
        "ps": order.position_side.upper(),
        "cp": False,
        "pP": False,
        "si": 0,
        "ss": 0,
        "rp": money(fill.realised) if fill is not None else "0",
        "V": "NONE",
        "pm": "NONE",
        "gtd": 0,
    }
    return listing.symbol, {"e": "ORDER_TRADE_UPDATE", "E": now.wall_ms, "T": stamp_ms, "o": body}


def _kind(order: Order) -> str:
    if order.cause == "liquidation":
        return "LIQUIDATION"
    return "MARKET" if order.type is OrderType.MARKET else "LIMIT"


def _execution(order: Order, fill: Fill | None) -> str:
    if fill is None:
        return _EXECUTION[order.status]
    return "TRADE" if fill.cause == "order" else "CALCULATED"


def _interest(house: House, order: Order) -> tuple[Decimal, Decimal]:
    """Notionals of the account's open buys and sells of the contract."""
    found = {"buy": ZERO, "sell": ZERO}
    for one in house.engine.open_orders(order.account, order.instrument):
        if one.price is not None:
            found[one.side] += one.remaining * one.price
    return found["buy"], found["sell"]


def trade_lite(house: House, fill: Fill, order: Order, now: Instant) -> list[Said]:
    """TRADE_LITE, of the owner's own trades only."""
    if fill.cause != "order":
        return []
    listing = house.engine.listing(fill.instrument)
    event = {
        "e": "TRADE_LITE",
        "E": now.wall_ms,
        "T": fill.wall_us // 1_000,
        "s": listing.symbol,
        "q": quantity_text(listing, order.quantity),
        "p": price_text(listing, order.price),
        "m": fill.liquidity is Liquidity.MAKER,
        "c": client_id(fill),
        "S": fill.side.upper(),
        "L": price_text(listing, fill.price),
        "l": quantity_text(listing, fill.quantity),
        "t": fill.trade_id,
        "i": fill.order_id,
    }
    return [(listing.symbol, event)]


def position_row(house: House, position: Position) -> dict[str, Any]:
    """A position in an ACCOUNT_UPDATE; `cr` is what it has realised since it was opened, before fees."""
    listing = house.engine.listing(position.instrument)
    mark = house.engine.mark(position.instrument)
    unrealised = ZERO if mark is None else position.quantity * mark - position.cost
    return {
        "s": listing.symbol,
        "pa": quantity_text(listing, position.quantity),
        "ep": entry_text(position.entry_price),
        "bep": entry_text(break_even(position)) if position.quantity else "0",
        "cr": money(position.realised),
        "up": money(unrealised),
        "mt": "isolated" if position.margin_mode is MarginMode.ISOLATED else "cross",
        "iw": money(position.isolated_margin),
        "ps": position.side.upper(),
    }


def empty_row(listing: Listing, mode: MarginMode) -> dict[str, Any]:
    """The contract whose margin type changed: it can have neither position nor orders then."""
    return {
        "s": listing.symbol,
        "pa": quantity_text(listing, ZERO),
        "ep": "0.0",
        "bep": "0",
        "cr": money(ZERO),
        "up": money(ZERO),
        "mt": "isolated" if mode is MarginMode.ISOLATED else "cross",
        "iw": money(ZERO),
        "ps": "BOTH",
    }


def margin_call(cross_wallet: Decimal, positions: list[Slot], now: Instant) -> dict[str, Any]:
    """MARGIN_CALL: cross positions that are near their liquidation."""
    rows = [
        {
            "s": one.listing.symbol,
            "ps": one.side.upper(),
            "pa": quantity_text(one.listing, one.position.quantity if one.position is not None else ZERO),
            "mt": "CROSSED" if one.mode is MarginMode.CROSS else "ISOLATED",
            "iw": money(one.isolated_wallet),
            "mp": money(one.mark),
            "up": money(one.unrealised),
            "mm": money(one.maintenance),
        }
        for one in positions
    ]
    return {"e": "MARGIN_CALL", "E": now.wall_ms, "cw": money(cross_wallet), "p": rows}
