"""What of an order is wrong before it is sent, live or on paper: by the published filters, exactly. Pure.

Nothing is rounded: what is no multiple of a step is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from libs.common.money import EXACT, plain
from libs.common.subjects import SPOT
from libs.exchange.port import Instrument
from libs.exchange.trading_values import OrderRequest, OrderType


class Unfit(ValueError):
    """An order that cannot be sent as it is; the text says which figure is wrong."""


def check(request: OrderRequest, item: Instrument, *, shortable_here: bool) -> None:
    """Raise `Unfit` for what the venue would refuse by its published filters, or is not done here."""
    wrong = wrong_with(request, item, shortable_here=shortable_here)
    if wrong is not None:
        raise Unfit(wrong)


def wrong_with(request: OrderRequest, item: Instrument, *, shortable_here: bool) -> str | None:
    """Why an order would not be sent, None when it would. `shortable_here`: borrowed coins can be sold."""
    spot = item.kind is SPOT
    minimum, least = item.quantity_min, item.notional_min
    notional = None if request.price is None else EXACT.multiply(request.quantity, request.price)
    checks: tuple[tuple[bool, Callable[[], str]], ...] = (  # worded only when something is wrong
        (item.refused is not None, lambda: f"{item.slug}: {item.refused}"),
        (request.reduce_only and spot, lambda: "reduce-only is for contracts"),
        (request.margin and not spot, lambda: "the margin desk sells spot coins"),
        (request.margin and not shortable_here, lambda: f"{item.venue}: no borrowing of spot coins here"),
        (
            request.type is OrderType.MARKET and spot and request.side == "buy",
            lambda: "a market buy of spot counts in quote on some venues: use a limit IOC with a collar",
        ),
        (
            not _is_multiple(request.quantity, item.quantity_step),
            lambda: f"quantity {plain(request.quantity)} is no multiple of {item.quantity_step}",
        ),
        (
            request.price is not None and not _is_multiple(request.price, item.price_tick),
            lambda: f"price {request.price} is no multiple of {item.price_tick}",
        ),
        (
            minimum is not None and request.quantity < minimum,
            lambda: f"quantity {plain(request.quantity)} is below the minimum of {minimum}",
        ),
        (
            least is not None and notional is not None and notional < least and not request.reduce_only,
            lambda: f"notional {notional} is below the minimum of {least}",
        ),
    )
    return next((text() for wrong, text in checks if wrong), None)


def _is_multiple(value: Decimal, step: Decimal | None) -> bool:
    return step is None or EXACT.remainder(value, step) == 0
