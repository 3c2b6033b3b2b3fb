"""An intent and the order that goes out for it say the same."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

import pytest

from libs.exchange.trading_values import OrderType, Side, TimeInForce
from services.executor.model import Intent, IntentState, OrderClass, Purpose
from services.executor.translate import request_of

Tif = Literal["ioc", "gtc", "post_only"]


def an_intent(*, price: Decimal | None, tif: Tif = "ioc", margin: bool = False) -> Intent:
    return Intent(
        id="fa00001",
        pair="p",
        leg=0,
        purpose=Purpose.OPEN,
        order_class=OrderClass.REDUCE,
        side="sell",
        quantity=Decimal("0.10"),
        price=price,
        tif=tif,
        reduce_only=True,
        margin=margin,
        fence=1,
        attempt=1,
        state=IntentState.SENT,
        created_us=0,
    )


@pytest.mark.parametrize(
    ("tif", "sent"),
    [("ioc", TimeInForce.IOC), ("gtc", TimeInForce.GTC), ("post_only", TimeInForce.POST_ONLY)],
)
def test_a_limit_order_keeps_id_side_size_price_and_time_in_force(tif: Tif, sent: TimeInForce) -> None:
    request = request_of(an_intent(price=Decimal("99.5"), tif=tif), "BTC-USDT-PERP")
    assert (request.client_id, request.instrument) == ("fa00001", "BTC-USDT-PERP")
    assert (request.side, request.type, request.tif) == (Side.SELL, OrderType.LIMIT, sent)
    assert (str(request.quantity), request.price) == ("0.10", Decimal("99.5"))
    assert request.reduce_only
    assert not request.margin


def test_an_order_without_a_price_is_a_market_order_whatever_its_time_in_force() -> None:
    request = request_of(an_intent(price=None, tif="gtc", margin=True), "BTC-USDT")
    assert (request.type, request.tif, request.price) == (OrderType.MARKET, TimeInForce.IOC, None)
    assert request.margin
