"""Orders and fills as they stand on Bitget's v3 wire, REST and stream.

Three shapes of an order (order-info, unfilled-orders, history-orders) differ in a few keys, as the payloads
do. A fee is positive when it is paid. One-way orders name their side of trade `buy_single` or `sell_single`;
in hedge mode it is `open` or `close`, as in the published payloads.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

from libs.common.subjects import Kind
from libs.exchange.engine.orders import NO_POSITION_LEFT, is_closing
from libs.exchange.engine.submission import WOULD_TAKE
from libs.exchange.engine.types import (
    ZERO,
    Fill,
    Liquidity,
    Order,
    OrderStatus,
    OrderType,
    PositionSide,
    Side,
    TimeInForce,
)
from services.venue.bitget_common import PERPS, SPOT
from services.venue.bitget_private_fields import figure, ms_text, plain, ratio

MARGIN: Final = "MARGIN"

_STATUS: Final = {
    OrderStatus.OPEN: "live",
    OrderStatus.PARTIAL: "partially_filled",
    OrderStatus.FILLED: "filled",
    OrderStatus.CANCELED: "cancelled",
    OrderStatus.EXPIRED: "cancelled",
}
_EXEC_TYPES: Final = {
    "order": "normal",
    "liquidation": "liquidation",
    "adl": "offset",
    "delivery": "delivery",
}
_PRESETS: Final = dict.fromkeys(
    (
        "takeProfit",
        "stopLoss",
        "tpTriggerBy",
        "slTriggerBy",
        "tpOrderType",
        "slOrderType",
        "tpLimitPrice",
        "slLimitPrice",
    ),
    "",
)
_CANCEL_REASONS: Final = {
    WOULD_TAKE: "post_only_fill_cancel",
    NO_POSITION_LEFT: "back_contract_cancel",
}
# Of trades that the venue makes: the beginning of `tradeSide`.
_FORCED: Final = {"liquidation": "burst_", "adl": "dte_sys_adl_", "delivery": "delivery_"}


def symbol_of(instrument: str) -> str:
    """`perp:BTCUSDT` is BTCUSDT."""
    return instrument.partition(":")[2]


def is_contract(instrument: str) -> bool:
    """Whether an engine key names a contract."""
    return instrument.partition(":")[0] != Kind.SPOT


def category_of_order(order: Order) -> str:
    """The product under which an order was sent."""
    if is_contract(order.instrument):
        return PERPS
    return MARGIN if order.margin else SPOT


def client_oid(order: Order) -> str:
    """The client's id, or the one that the venue gave: the order's own."""
    return order.client_id or str(order.order_id)


def hold_mode(side: PositionSide) -> str:
    """In which mode a position of that side lives."""
    return "one_way_mode" if side is PositionSide.BOTH else "hedge_mode"


def _hold_side(instrument: str, side: PositionSide) -> str:
    """`long`, `short`, in one-way mode `net` (what the stream's documentation calls it); none of a coin."""
    if not is_contract(instrument):
        return ""
    return "net" if side is PositionSide.BOTH else side.value


def trade_side(side: Side, position_side: PositionSide, cause: str, *, contract: bool) -> str:
    """`open` and `close` in hedge mode, `buy_single` and `sell_single` in one-way mode."""
    if not contract:
        return "open"
    closing = is_closing(side, position_side, reduce_only=True)
    if cause == "order":
        if position_side is PositionSide.BOTH:
            return f"{side}_single"
        return "close" if closing else "open"
    if position_side is PositionSide.BOTH:
        tail = f"{side}_in_single_side_mode" if cause == "adl" else f"{side}_single"
        return _FORCED[cause] + tail
    return f"{_FORCED[cause]}close_{position_side}"


def cancel_reason(order: Order) -> str:
    """Why an order ended without having been filled, in Bitget's words."""
    if order.status is OrderStatus.EXPIRED:
        return "fok_not_full_cancel" if order.tif is TimeInForce.FOK else "ioc_not_full_cancel"
    if order.status is not OrderStatus.CANCELED:
        return ""
    if "liquidat" in order.reason:
        return "burst_cancel"
    return _CANCEL_REASONS.get(order.reason, "normal_cancel")


def fees_of(fills: Sequence[Fill]) -> list[tuple[str, Decimal]]:
    """(coin, sum) of an order's fees."""
    sums: dict[str, Decimal] = {}
    for fill in fills:
        sums[fill.fee_asset] = sums.get(fill.fee_asset, ZERO) + fill.fee
    return list(sums.items())


def fee_detail(fees: Sequence[tuple[str, Decimal]]) -> list[dict[str, Any]]:
    """Nulls for an order without fills, as the payloads have them."""
    if not fees:
        return [{"feeCoin": None, "fee": None}]
    return [{"feeCoin": coin, "fee": plain(fee)} for coin, fee in fees]


def _quantities(order: Order) -> dict[str, str]:
    by_cost = order.quote_quantity is not None
    return {
        "price": plain(order.price) if order.price is not None else "0",
        "qty": "0" if by_cost else plain(order.quantity),
        "amount": plain(order.quote_quantity) if order.quote_quantity is not None else "0",
        "cumExecQty": plain(order.filled),
        "cumExecValue": plain(order.filled_quote),
        "avgPrice": figure(ratio(order.filled_quote, order.filled)),
    }


def _tif(order: Order) -> str:
    return "gtc" if order.type is OrderType.MARKET else order.tif.value


def unfilled_row(order: Order, fills: Sequence[Fill]) -> dict[str, Any]:
    """An order of unfilled-orders."""
    contract = is_contract(order.instrument)
    return {
        "orderId": str(order.order_id),
        "clientOid": client_oid(order),
        "category": category_of_order(order),
        "symbol": symbol_of(order.instrument),
        "orderType": order.type.value,
        "side": order.side.value,
        **_quantities(order),
        "timeInForce": _tif(order),
        "orderStatus": _STATUS[order.status],
        "posSide": _hold_side(order.instrument, order.position_side),
        "holdMode": hold_mode(order.position_side) if contract else "",
        "delegateType": "normal",
        "reduceOnly": "YES" if order.reduce_only else "NO",
        "marginMode": "crossed",
        "stpMode": "none",
        **_PRESETS,
        "feeDetail": fee_detail(fees_of(fills)),
        "createdTime": ms_text(order.created_us),
        "updatedTime": ms_text(order.updated_us),
    }


def history_row(order: Order, fills: Sequence[Fill]) -> dict[str, Any]:
    """An order of history-orders."""
    ended = {"cancelReason": cancel_reason(order), "execType": _EXEC_TYPES[order.cause]}
    return unfilled_row(order, fills) | ended


def info_row(order: Order, fills: Sequence[Fill]) -> dict[str, Any]:
    """The order of order-info, which alone has no `delegateType` and tells the side of trade."""
    row = history_row(order, fills)
    del row["delegateType"]
    contract = is_contract(order.instrument)
    row["tradeSide"] = trade_side(order.side, order.position_side, order.cause, contract=contract)
    return row


def fill_row(fill: Fill, order: Order | None) -> dict[str, Any]:
    """A fill of trade/fills; `order` None when the venue has forgotten it."""
    contract = is_contract(fill.instrument)
    return {
        "execId": str(fill.trade_id),
        "execLinkId": str(fill.trade_id),
        "orderId": str(fill.order_id),
        "clientOid": fill.client_id or str(fill.order_id),
        "category": fill_category(fill, order),
        "symbol": symbol_of(fill.instrument),
        "orderType": order.type.value if order is not None else "limit",
        "side": fill.side.value,
        "execPrice": plain(fill.price),
        "execQty": plain(fill.quantity),
        "execValue": plain(fill.quote),
        "tradeScope": "maker" if fill.liquidity is Liquidity.MAKER else "taker",
        "tradeSide": trade_side(fill.side, fill.position_side, fill.cause, contract=contract),
        "feeDetail": [{"feeCoin": fill.fee_asset, "fee": plain(fill.fee)}],
        "createdTime": ms_text(fill.wall_us),
        "updatedTime": ms_text(fill.wall_us),
        "execPnl": plain(fill.realised),
        "isRPI": "no",
    }


def fill_category(fill: Fill, order: Order | None) -> str:
    """The product of a fill; spot when its order is forgotten."""
    if order is not None:
        return category_of_order(order)
    return PERPS if is_contract(fill.instrument) else SPOT


def stream_order(order: Order, fills: Sequence[Fill], leverage: int) -> dict[str, Any]:
    """An order of the stream: lower-case words, an empty price for market orders."""
    contract = is_contract(order.instrument)
    return {
        "category": category_of_order(order).lower(),
        "symbol": symbol_of(order.instrument),
        "orderId": str(order.order_id),
        "clientOid": client_oid(order),
        **_quantities(order),
        "price": plain(order.price) if order.price is not None else "",
        "holdMode": hold_mode(order.position_side) if contract else "",
        "holdSide": _hold_side(order.instrument, order.position_side),
        "delegateType": "normal",
        "tradeSide": trade_side(order.side, order.position_side, order.cause, contract=contract),
        "orderType": order.type.value,
        "timeInForce": _tif(order),
        "side": order.side.value,
        "marginMode": "crossed",
        "marginCoin": "USDT" if contract else "",
        "reduceOnly": "yes" if order.reduce_only else "no",
        "totalProfit": plain(sum((fill.realised for fill in fills), ZERO)),
        "orderStatus": _STATUS[order.status],
        "cancelReason": cancel_reason(order),
        "leverage": str(leverage) if contract else "",
        "feeDetail": fee_detail(fees_of(fills)),
        "createdTime": ms_text(order.created_us),
        "updatedTime": ms_text(order.updated_us),
        "stpMode": "none",
    }


def stream_fill(fill: Fill, order: Order) -> dict[str, Any]:
    """A fill of the stream's `fill` topic."""
    row = fill_row(fill, order)
    stamp = row.pop("createdTime")
    row["category"] = row["category"].lower()
    return row | {"execTime": stamp, "holdSide": _hold_side(fill.instrument, fill.position_side)}


_FAST: Final = (
    "symbol",
    "updatedTime",
    "side",
    "orderId",
    "execTime",
    "tradeScope",
    "execId",
    "execPrice",
    "holdSide",
    "category",
    "execQty",
    "clientOid",
)


def fast_fill(fill: Fill, order: Order) -> dict[str, Any]:
    """A fill of the stream's `fast-fill` topic: less of it."""
    row = stream_fill(fill, order)
    return {name: row[name] for name in _FAST}
