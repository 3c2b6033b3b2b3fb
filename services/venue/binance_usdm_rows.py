"""Orders, trades and amounts as USD-M writes them.

Prices have the tick's digits, quantities the step's, money 8. A market order's price is 0, its time in force
GTC. Orders that the venue makes itself are known by their client id: `autoclose-` (liquidation),
`adl_autoclose`, `settlement_autoclose-` (delivery). An order whose owner gave no id has one of 22 characters.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final

from libs.exchange.engine.types import (
    ZERO,
    Fill,
    Liquidity,
    Listing,
    Order,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
)
from services.venue.instruments import decimals_of

STATUS: Final = {
    OrderStatus.OPEN: "NEW",
    OrderStatus.PARTIAL: "PARTIALLY_FILLED",
    OrderStatus.FILLED: "FILLED",
    OrderStatus.CANCELED: "CANCELED",
    OrderStatus.EXPIRED: "EXPIRED",
}
TIME_IN_FORCE: Final = {
    TimeInForce.GTC: "GTC",
    TimeInForce.IOC: "IOC",
    TimeInForce.FOK: "FOK",
    TimeInForce.POST_ONLY: "GTX",
}
_AVERAGE_DIGITS_MORE: Final = 3  # an average price has so many digits more than a price


def money(amount: Decimal) -> str:
    """An amount in the settlement asset, 8 digits."""
    return f"{amount.quantize(Decimal('1e-8'), rounding=ROUND_HALF_EVEN) + ZERO:f}"


def brief(amount: Decimal) -> str:
    """An amount as account/v3 writes it: `0` when there is none."""
    return money(amount) if amount else "0"


def price_text(listing: Listing, price: Decimal | None) -> str:
    """A price; 0 for an order without one."""
    return _at_least(price or ZERO, decimals_of(listing.price_tick))


def quantity_text(listing: Listing, quantity: Decimal) -> str:
    """A quantity in base units."""
    return _at_least(quantity, decimals_of(listing.quantity_step))


def quote_text(listing: Listing, quote: Decimal) -> str:
    """A price times a quantity, exactly."""
    return _at_least(quote, decimals_of(listing.price_tick) + decimals_of(listing.quantity_step))


def _at_least(value: Decimal, digits: int) -> str:
    """With so many digits behind the point, or all it has: a coarser filter must not round what is held."""
    return f"{value:.{max(digits, decimals_of(value))}f}"


def average_text(listing: Listing, order: Order) -> str:
    """The average price of what is filled, 0 when nothing is."""
    mean = order.filled_quote / order.filled if order.filled else ZERO
    return f"{mean:.{decimals_of(listing.price_tick) + _AVERAGE_DIGITS_MORE}f}"


def entry_text(price: Decimal) -> str:
    """An entry price with all its digits, `0.0` when there is none."""
    return f"{price.normalize():f}" if price else "0.0"


def client_id(order: Order | Fill) -> str:
    """The client id that the wire shows; a forced order's says what forced it."""
    match order.cause:
        case "liquidation":
            return f"autoclose-{_stamp_ms(order)}{order.order_id:06d}"
        case "adl":
            return "adl_autoclose"
        case "delivery":
            return f"settlement_autoclose-{_stamp_ms(order)}{order.order_id:06d}"
        case _:
            return order.client_id or f"{order.order_id:022d}"


def _stamp_ms(order: Order | Fill) -> int:
    return (order.created_us if isinstance(order, Order) else order.wall_us) // 1_000


def order_row(listing: Listing, order: Order) -> dict[str, Any]:
    """What every answer about an order has."""
    kind = "MARKET" if order.type is OrderType.MARKET else "LIMIT"
    return {
        "orderId": order.order_id,
        "symbol": listing.symbol,
        "status": STATUS[order.status],
        "clientOrderId": client_id(order),
        "price": price_text(listing, order.price),
        "avgPrice": average_text(listing, order),
        "origQty": quantity_text(listing, order.quantity),
        "executedQty": quantity_text(listing, order.filled),
        "cumQuote": quote_text(listing, order.filled_quote),
        "timeInForce": TIME_IN_FORCE[order.tif] if order.type is OrderType.LIMIT else "GTC",
        "type": kind,
        "reduceOnly": order.reduce_only,
        "closePosition": False,
        "side": order.side.upper(),
        "positionSide": order.position_side.upper(),
        "stopPrice": price_text(listing, None),
        "workingType": "CONTRACT_PRICE",
        "priceProtect": False,
        "origType": kind,
        "priceMatch": "NONE",
        "selfTradePreventionMode": "NONE",
        "goodTillDate": 0,
        "updateTime": order.updated_us // 1_000,
    }


def command_row(listing: Listing, order: Order) -> dict[str, Any]:
    """The answer to placing."""
    return {**order_row(listing, order), "cumQty": quantity_text(listing, order.filled)}


def cancel_row(listing: Listing, order: Order) -> dict[str, Any]:
    """The answer to canceling, which names no average price."""
    row = command_row(listing, order)
    del row["avgPrice"]
    return row


def query_row(listing: Listing, order: Order) -> dict[str, Any]:
    """The answer to asking."""
    return {**order_row(listing, order), "time": order.created_us // 1_000}


def trade_row(listing: Listing, fill: Fill) -> dict[str, Any]:
    """A trade of the account; its commission is what was paid, a rebate is negative."""
    return {
        "symbol": listing.symbol,
        "id": fill.trade_id,
        "orderId": fill.order_id,
        "side": fill.side.upper(),
        "price": price_text(listing, fill.price),
        "qty": quantity_text(listing, fill.quantity),
        "realizedPnl": money(fill.realised),
        "quoteQty": quote_text(listing, fill.quote),
        "commission": money(fill.fee),
        "commissionAsset": fill.fee_asset,
        "time": fill.wall_us // 1_000,
        "positionSide": fill.position_side.upper(),
        "buyer": fill.side is Side.BUY,
        "maker": fill.liquidity is Liquidity.MAKER,
    }
