"""What of an order is wrong before it is sent: as `live.orders.check` has it for live trading."""

from __future__ import annotations

from decimal import Decimal, localcontext

from libs.common.money import PRECISION, plain
from libs.common.subjects import SPOT
from libs.exchange.paper.layout import Layout
from libs.exchange.port import Instrument
from libs.exchange.trading_values import OrderRequest, OrderType


def unfit(request: OrderRequest, item: Instrument, layout: Layout) -> str | None:
    """Why it would not be sent, None when it would."""
    spot = item.kind is SPOT
    with localcontext() as context:
        context.prec = PRECISION
        notional = None if request.price is None else request.quantity * request.price
    least, minimum = item.notional_min, item.quantity_min
    checks = (
        (item.refused is not None, f"{item.slug}: {item.refused}"),
        (item.kind in layout.refused, f"{item.slug}: {layout.refused.get(item.kind)}"),
        (request.reduce_only and spot, "reduce-only is for contracts"),
        (request.margin and not spot, "the margin desk sells spot coins"),
        (request.margin and layout.borrows is None, f"{item.venue}: no borrowing of spot coins here"),
        (
            request.type is OrderType.MARKET and spot and request.side == "buy",
            "a market buy of spot counts in quote on some venues: use a limit IOC with a collar",
        ),
        (
            _off_step(request.quantity, item.quantity_step),
            f"quantity {plain(request.quantity)} is no multiple of {item.quantity_step}",
        ),
        (
            request.price is not None and _off_step(request.price, item.price_tick),
            f"price {request.price} is no multiple of {item.price_tick}",
        ),
        (
            minimum is not None and request.quantity < minimum,
            f"quantity {plain(request.quantity)} is below the minimum of {minimum}",
        ),
        (
            least is not None and notional is not None and notional < least and not request.reduce_only,
            f"notional {notional} is below the minimum of {least}",
        ),
    )
    return next((text for wrong, text in checks if wrong), None)


def _off_step(value: Decimal, step: Decimal | None) -> bool:
    with localcontext() as context:
        context.prec = PRECISION
        return step is not None and value % step != 0
