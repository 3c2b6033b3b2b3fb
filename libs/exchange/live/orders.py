"""From a request in base units to the arguments of ccxt's `create_order`, exactly or not at all. Pure.

Nothing is rounded here: what is no multiple of a step, below a minimum, or would come out of ccxt's
formatting as another figure is refused before it is signed.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

import msgspec

from libs.common.money import EXACT, plain
from libs.common.subjects import SPOT
from libs.exchange.fit import Unfit
from libs.exchange.live.record import TradingRecord
from libs.exchange.port import Instrument
from libs.exchange.trading_values import OrderRequest, OrderType, TimeInForce

ZERO: Final = Decimal(0)
_TIF: Final = {TimeInForce.GTC: "GTC", TimeInForce.IOC: "IOC", TimeInForce.FOK: "FOK"}


class Arguments(msgspec.Struct, frozen=True, kw_only=True):
    """What `create_order` gets. `amount` is in the venue's units (contracts), both figures as text."""

    symbol: str
    type: str
    side: str
    amount: str
    price: str | None
    params: dict[str, Any]


def contracts_of(quantity: Decimal, item: Instrument) -> Decimal:
    """Base units as the venue's amount; `Unfit` when it has no exact form.

    >>> from libs.common.subjects import Kind
    >>> doge = Instrument(venue="okx", slug="DOGE-USDT-PERP", symbol="DOGE/USDT:USDT", venue_symbol="D",
    ...     base="DOGE", quote="USDT", settle="USDT", kind=Kind.PERP, contract_size=Decimal(1000))
    >>> contracts_of(Decimal(2500), doge)
    Decimal('2.5')
    """
    found = EXACT.divide(quantity, item.contract_size)
    if EXACT.multiply(found, item.contract_size) != quantity:
        raise Unfit(f"{plain(quantity)} {item.base} is no number of contracts of {plain(item.contract_size)}")
    return found


def base_units(amount: Decimal, item: Instrument) -> Decimal:
    """The venue's amount in base units."""
    return EXACT.multiply(amount, item.contract_size)


def arguments_of(
    request: OrderRequest, item: Instrument, record: TradingRecord, *, venue_id: str, hedged: bool
) -> Arguments:
    """The call, in ccxt's unified parameters. In hedge mode `hedged` lets ccxt find the position side."""
    limit = request.type is OrderType.LIMIT
    params: dict[str, Any] = {"clientOrderId": venue_id}
    if limit and request.tif is TimeInForce.POST_ONLY:
        params["postOnly"] = True
    elif limit:
        params["timeInForce"] = _TIF[request.tif]
    if item.kind is not SPOT:
        params |= {"reduceOnly": True} if request.reduce_only else {}
        params |= {"hedged": True} if hedged else {}
    elif request.margin and record.margin is not None:
        params |= record.margin
    return Arguments(
        symbol=item.symbol,
        type=request.type.value,
        side=request.side.value,
        amount=plain(contracts_of(request.quantity, item)),
        price=None if request.price is None else plain(request.price),
        params=params,
    )


def assert_unchanged(arguments: Arguments, exchange: Any, request: OrderRequest, item: Instrument) -> None:
    """Raise `Unfit` when ccxt would send another figure than ours, or another notional than was asked for.

    `amount_to_precision` truncates silently; what it makes of our text must be our figure.
    """
    sent = Decimal(exchange.amount_to_precision(arguments.symbol, arguments.amount))
    if sent != Decimal(arguments.amount):
        raise Unfit(f"ccxt would send {sent} for {arguments.amount}")
    if arguments.price is None or request.price is None:
        return
    price = Decimal(exchange.price_to_precision(arguments.symbol, arguments.price))
    if price != request.price:
        raise Unfit(f"ccxt would send price {price} for {arguments.price}")
    if EXACT.multiply(base_units(sent, item), price) != EXACT.multiply(request.quantity, request.price):
        raise Unfit("the notional of what would be sent is not that of the order")
