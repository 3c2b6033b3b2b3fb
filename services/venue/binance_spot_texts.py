"""Orders, trades and amounts as `api/v3` and `sapi/v1/margin` write them.

Keys and types are those of the recorded payloads (a test compares them), the documentation's oddities
included: canceling a margin order answers its id as text.
"""

from __future__ import annotations

import hashlib
import string
from decimal import Decimal
from typing import Any, Final

import msgspec

from libs.exchange.engine.types import Fill, Liquidity, Order, OrderStatus, OrderType, Side, TimeInForce

DIGITS: Final = 8
_US_PER_MS: Final = 1_000
STATUS: Final = {
    OrderStatus.OPEN: "NEW",
    OrderStatus.PARTIAL: "PARTIALLY_FILLED",
    OrderStatus.FILLED: "FILLED",
    OrderStatus.CANCELED: "CANCELED",
    OrderStatus.EXPIRED: "EXPIRED",
}
_TIF: Final = {TimeInForce.IOC: "IOC", TimeInForce.FOK: "FOK"}
_ALPHABET: Final = string.ascii_letters + string.digits
_ID_LENGTH: Final = 22
NO_LIST: Final = -1
_NO_STP: Final = "NONE"


def amount(value: Decimal) -> str:
    """Eight digits behind the point, or all that there are: an answer never rounds."""
    exponent = value.as_tuple().exponent
    short = isinstance(exponent, int) and exponent >= -DIGITS
    return f"{value:.{DIGITS}f}" if short else f"{value:f}"


def ms(wall_us: int) -> int:
    """Stamps of orders and trades are wall time."""
    return wall_us // _US_PER_MS


def type_of(order: Order) -> str:
    """LIMIT, MARKET or LIMIT_MAKER."""
    if order.tif is TimeInForce.POST_ONLY:
        return "LIMIT_MAKER"
    return "LIMIT" if order.type is OrderType.LIMIT else "MARKET"


def tif_of(order: Order) -> str:
    """GTC for what has no other, market orders included."""
    return "GTC" if order.type is OrderType.MARKET else _TIF.get(order.tif, "GTC")


def side_of(side: Side) -> str:
    """BUY or SELL."""
    return "BUY" if side is Side.BUY else "SELL"


def quantity_of(order: Order) -> Decimal:
    """What was ordered; a market buy by cost has ordered what the book gave for it."""
    return order.quantity or order.filled


def id_of(seed: str) -> str:
    """22 letters and digits out of any text."""
    rest = int.from_bytes(hashlib.blake2b(seed.encode(), digest_size=20).digest())
    letters = []
    for _ in range(_ID_LENGTH):
        rest, at = divmod(rest, len(_ALPHABET))
        letters.append(_ALPHABET[at])
    return "".join(letters)


def cancel_id(order: Order) -> str:
    """The id of a canceling whose sender gave none."""
    return id_of(f"cancel|{order.account}|{order.order_id}")


def client_id_of(order: Order) -> str:
    """An order's client id; the venue's own orders have one that it made up."""
    return order.client_id or id_of(f"venue|{order.account}|{order.order_id}")


def _core(order: Order, symbol: str) -> dict[str, Any]:
    return {
        "symbol": symbol,
        "clientOrderId": client_id_of(order),
        "price": amount(order.price or Decimal(0)),
        "origQty": amount(quantity_of(order)),
        "executedQty": amount(order.filled),
        "cummulativeQuoteQty": amount(order.filled_quote),
        "status": STATUS[order.status],
        "timeInForce": tif_of(order),
        "type": type_of(order),
        "side": side_of(order.side),
    }


def _row(order: Order, symbol: str) -> dict[str, Any]:
    return _core(order, symbol) | {
        "orderId": order.order_id,
        "stopPrice": amount(Decimal(0)),
        "icebergQty": amount(Decimal(0)),
        "time": ms(order.created_us),
        "updateTime": ms(order.updated_us),
        "isWorking": True,
        "selfTradePreventionMode": _NO_STP,
    }


def spot_row(order: Order, symbol: str) -> dict[str, Any]:
    """An order in answer to a query of `api/v3`."""
    return _row(order, symbol) | {
        "orderListId": NO_LIST,
        "workingTime": ms(order.created_us),
        "origQuoteOrderQty": amount(order.quote_quantity or Decimal(0)),
    }


def margin_row(order: Order, symbol: str) -> dict[str, Any]:
    """An order in answer to a query of `sapi/v1/margin`."""
    return _row(order, symbol) | {"isIsolated": False}


def spot_ack(order: Order, symbol: str) -> dict[str, Any]:
    """The shortest answer to a new order."""
    return {
        "symbol": symbol,
        "orderId": order.order_id,
        "orderListId": NO_LIST,
        "clientOrderId": client_id_of(order),
        "transactTime": ms(order.updated_us),
    }


def spot_placed(order: Order, symbol: str) -> dict[str, Any]:
    """The answer RESULT to a new order; FULL adds `fills`."""
    return _core(order, symbol) | {
        "orderId": order.order_id,
        "orderListId": NO_LIST,
        "transactTime": ms(order.updated_us),
        "workingTime": ms(order.created_us),
        "selfTradePreventionMode": _NO_STP,
    }


def margin_ack(order: Order, symbol: str) -> dict[str, Any]:
    """The shortest answer to a new margin order."""
    return {
        "symbol": symbol,
        "orderId": order.order_id,
        "clientOrderId": client_id_of(order),
        "isIsolated": False,
        "transactTime": ms(order.updated_us),
    }


def margin_placed(
    order: Order, symbol: str, *, borrowed: tuple[str, Decimal] | None = None
) -> dict[str, Any]:
    """The answer RESULT to a new margin order, with what it made the account borrow (asset, amount)."""
    said = _core(order, symbol) | {
        "orderId": order.order_id,
        "transactTime": ms(order.updated_us),
        "isIsolated": False,
        "selfTradePreventionMode": _NO_STP,
    }
    if borrowed is not None:
        # A JSON number on the wire; written digit by digit, no float in between.
        said["marginBuyBorrowAmount"] = msgspec.Raw(f"{borrowed[1]:f}".encode())
        said["marginBuyBorrowAsset"] = borrowed[0]
    return said


def part(fill: Fill, *, margin: bool) -> dict[str, Any]:
    """One of the `fills` of a new order."""
    said: dict[str, Any] = {
        "price": amount(fill.price),
        "qty": amount(fill.quantity),
        "commission": amount(fill.fee),
        "commissionAsset": fill.fee_asset,
    }
    return said if margin else said | {"tradeId": fill.trade_id}


def spot_canceled(order: Order, symbol: str, cancel_id: str) -> dict[str, Any]:
    """A canceled order: its own id is the original one, the answer's is the request's."""
    return _core(order, symbol) | {
        "origClientOrderId": client_id_of(order),
        "orderId": order.order_id,
        "orderListId": NO_LIST,
        "clientOrderId": cancel_id,
        "transactTime": ms(order.updated_us),
        "selfTradePreventionMode": _NO_STP,
    }


def margin_canceled(order: Order, symbol: str, cancel_id: str) -> dict[str, Any]:
    """A canceled margin order."""
    return _core(order, symbol) | {
        "isIsolated": False,
        "origClientOrderId": client_id_of(order),
        "orderId": str(order.order_id),
        "clientOrderId": cancel_id,
    }


def margin_canceled_of_many(order: Order, symbol: str, cancel_id: str) -> dict[str, Any]:
    """One of all margin orders that were canceled together."""
    return margin_canceled(order, symbol, cancel_id) | {
        "orderId": order.order_id,
        "orderListId": NO_LIST,
        "selfTradePreventionMode": _NO_STP,
    }


def _trade(fill: Fill, symbol: str) -> dict[str, Any]:
    return {
        "symbol": symbol,
        "id": fill.trade_id,
        "orderId": fill.order_id,
        "price": amount(fill.price),
        "qty": amount(fill.quantity),
        "commission": amount(fill.fee),
        "commissionAsset": fill.fee_asset,
        "time": ms(fill.wall_us),
        "isBuyer": fill.side is Side.BUY,
        "isMaker": fill.liquidity is Liquidity.MAKER,
        "isBestMatch": True,
    }


def spot_trade(fill: Fill, symbol: str) -> dict[str, Any]:
    """A row of `api/v3/myTrades`."""
    return _trade(fill, symbol) | {"orderListId": NO_LIST, "quoteQty": amount(fill.quote)}


def margin_trade(fill: Fill, symbol: str) -> dict[str, Any]:
    """A row of `sapi/v1/margin/myTrades`."""
    return _trade(fill, symbol) | {"isIsolated": False}
