"""Between the executor's intents and the exchange port's requests."""

from __future__ import annotations

from libs.exchange.trading_values import OrderRequest, OrderType, Side, TimeInForce
from services.executor.model import Intent

_TIF = {"ioc": TimeInForce.IOC, "gtc": TimeInForce.GTC, "post_only": TimeInForce.POST_ONLY}


def request_of(intent: Intent, instrument: str) -> OrderRequest:
    """The order that an intent stands for."""
    market = intent.price is None
    return OrderRequest(
        client_id=intent.id,
        instrument=instrument,
        side=Side(intent.side),
        quantity=intent.quantity,
        price=intent.price,
        type=OrderType.MARKET if market else OrderType.LIMIT,
        tif=TimeInForce.IOC if market else _TIF[intent.tif],
        reduce_only=intent.reduce_only,
        margin=intent.margin,
    )
