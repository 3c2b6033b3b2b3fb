"""Which orders are written from a stencil, and which go ccxt's own way: what is not known goes that way.

A shape of orders is rehearsed once, before the first of them where that can be foreseen: ccxt builds an order
of it, nothing is sent, and what it has built becomes a stencil (`stencil`, `flight`). After each order ccxt
builds the very same one again to read its answer; a shape that does not agree then is never used again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

import aiohttp
import msgspec

from libs.common.subjects import SPOT
from libs.exchange.errors import describe
from libs.exchange.live.flight import Flight, Order, OrderSession, Route, fits, rehearse
from libs.exchange.live.held import Counted, Read
from libs.exchange.live.orders import Arguments, arguments_of
from libs.exchange.live.places import Place
from libs.exchange.live.record import TradingRecord
from libs.exchange.live.stencil import Blanks, Form, Seen, Stencil, cut, stamp_of
from libs.exchange.live.wire import Call
from libs.exchange.port import Instrument
from libs.exchange.trading_values import NeverSent, OrderRequest, OrderType, Side, TimeInForce
from libs.exchange.units import decimal_of

log = logging.getLogger(__name__)

FORMS: Final[dict[str, Form]] = {"binance": "binance", "binanceusdm": "binance", "bitget": "bitget"}
"""ccxt classes whose requests are known: Binance's spot, margin and USD-M, Bitget's unified account."""

_TICK_SIZE: Final = 4  # ccxt.TICK_SIZE
_NOBODY: Final = "fa0000rehearsal"

Shape = tuple[str, str, str, str, bool, bool, bool]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How orders of a shape are written. `exact`: ccxt rounds by the steps that they are checked by here."""

    shape: Shape
    form: Form
    stencil: Stencil
    route: Route
    exact: bool


def shape_of(request: OrderRequest, *, hedged: bool) -> Shape:
    """All of a request that is no figure and no id."""
    return (
        request.instrument,
        request.type.value,
        request.side.value,
        request.tif.value,
        request.reduce_only,
        request.margin,
        hedged,
    )


def order_by(place: Place, arguments: Arguments, *, whole: bool = False) -> Order:
    """A call of ccxt's `create_order`. `whole`: the amount as a number (see `TradingRecord`)."""
    exchange, amount = place.trade.exchange, int(arguments.amount) if whole else arguments.amount

    def order() -> Any:
        return exchange.create_order(
            arguments.symbol, arguments.type, arguments.side, amount, arguments.price, arguments.params
        )

    return order


class Plans:
    """The plans of one account."""

    def __init__(self, venue: str, record: TradingRecord) -> None:
        self._venue = venue
        self._record = record
        self._known: dict[Shape, Plan | None] = {}

    async def of(
        self, request: OrderRequest, item: Instrument, place: Place, arguments: Arguments, *, hedged: bool
    ) -> Plan | None:
        """The plan of an order, rehearsed now when it is the first of its shape; None: ccxt's own way."""
        shape = shape_of(request, hedged=hedged)
        if shape not in self._known:
            self._known[shape] = await self._rehearsed(shape, item, place, arguments)
        return self._known[shape]

    async def foresee(self, item: Instrument, place: Place, *, hedged: bool) -> None:
        """Rehearse what is likely to be ordered in an instrument, off the path of any order."""
        for request in _likely(item, borrows=self._record.margin is not None):
            arguments = arguments_of(request, item, self._record, venue_id=_NOBODY, hedged=hedged)
            await self.of(request, item, place, arguments, hedged=hedged)
            await asyncio.sleep(0)  # others have their turn

    async def _rehearsed(
        self, shape: Shape, item: Instrument, place: Place, arguments: Arguments
    ) -> Plan | None:
        exchange, form = place.trade.exchange, FORMS.get(place.spec.ccxt_id)
        if form is None or not fits() or not isinstance(exchange.session, OrderSession):
            return None
        marker = str(arguments.params["clientOrderId"])
        route = await rehearse(exchange.session, order_by(place, arguments), marker)
        if route is None:
            return None
        stencil = cut(
            form,
            exchange.secret,
            route.seen,
            client_id=marker,
            amount=arguments.amount,
            price=arguments.price,
        )
        if stencil is None:
            log.info("%s: orders like %s are left to ccxt", self._venue, shape)
            return None
        exact = _rounds_alike(exchange, item)
        return Plan(shape=shape, form=form, stencil=stencil, route=route, exact=exact)

    def known(self, request: OrderRequest, *, hedged: bool) -> Plan | None:
        """The plan of an order whose shape was rehearsed before, as far as there is one."""
        return self._known.get(shape_of(request, hedged=hedged))

    async def prepare(
        self, plan: Plan, request: OrderRequest, place: Place, arguments: Arguments, *, read: Read
    ) -> Flight | NeverSent:
        """Take a connection, fill in, sign."""
        try:
            connection = await plan.route.connect()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            return NeverSent(why=f"could not connect: {describe(error)}")
        return self._flight(plan, request, place, arguments, connection, read=read)

    def at_once(
        self, plan: Plan, request: OrderRequest, place: Place, arguments: Arguments, *, read: Read
    ) -> Flight | None:
        """The same on a connection that is open and idle; None when there is none."""
        connection = plan.route.idle()
        if connection is None:
            return None
        return self._flight(plan, request, place, arguments, connection, read=read)

    def _flight(
        self,
        plan: Plan,
        request: OrderRequest,
        place: Place,
        arguments: Arguments,
        connection: aiohttp.connector.Connection,
        *,
        read: Read,
    ) -> Flight:
        blanks = Blanks(
            client_id=str(arguments.params["clientOrderId"]),
            amount=arguments.amount,
            price=arguments.price or "",
            stamp=str(place.trade.exchange.nonce()),
        )
        try:
            wire = plan.stencil.fill(blanks, extra=plan.route.cookies())
        except BaseException:
            connection.release()
            raise

        def compare(seen: Seen | None) -> None:
            self._compare(plan, blanks, seen)

        return Flight(
            self._venue,
            request,
            Call(blanks.client_id),
            wire,
            route=plan.route,
            connection=connection,
            order=order_by(place, arguments),
            read=read,
            compare=compare,
        )

    def _compare(self, plan: Plan, blanks: Blanks, seen: Seen | None) -> None:
        """What ccxt would have sent must be what was sent, but for the timestamp that it signed."""
        if seen is not None and (stamp := stamp_of(plan.form, seen)):
            again = plan.stencil.fill(msgspec.structs.replace(blanks, stamp=stamp))
            if again == seen.wire():
                return
        self._known[plan.shape] = None
        log.error(
            "%s: ccxt builds orders like %s in another way than before; they are left to it",
            self._venue,
            plan.shape,
        )


class Ready(Counted):
    """A flight that counts against the venue's order limits, and can be dropped without a wait."""

    def __init__(self, flight: Flight, place: Place) -> None:
        super().__init__(flight, place)
        self._flight = flight

    @property
    def alive(self) -> bool:
        """Whether its connection still stands."""
        return self._flight.alive

    def drop(self, why: str) -> NeverSent:
        """`abandon` without a wait."""
        return self._flight.drop(why)


def _rounds_alike(exchange: Any, item: Instrument) -> bool:
    precision = exchange.market(item.symbol)["precision"]
    amount, price = decimal_of(precision.get("amount")), decimal_of(precision.get("price"))
    if exchange.precisionMode != _TICK_SIZE or amount is None or price is None:
        return False
    return amount * item.contract_size == item.quantity_step and price == item.price_tick


def _likely(item: Instrument, *, borrows: bool) -> Iterator[OrderRequest]:
    """Orders of the shapes that a pair sends: both sides, reduce-only for contracts, borrowed for spot."""
    step, tick = item.quantity_step, item.price_tick
    if step is None or tick is None or item.refused is not None:
        return
    flags = (False, True) if item.kind is not SPOT or (borrows and item.shortable) else (False,)
    for side in Side:
        for flag in flags:
            said: dict[str, Any] = {"margin": flag} if item.kind is SPOT else {"reduce_only": flag}
            for tif in (TimeInForce.IOC, TimeInForce.POST_ONLY):
                yield _sample(item, side, step, price=tick, tif=tif, **said)
            if item.kind is not SPOT or side is Side.SELL:
                yield _sample(item, side, step, type=OrderType.MARKET, price=None, **said)


def _sample(item: Instrument, side: Side, quantity: Decimal, **said: Any) -> OrderRequest:
    return OrderRequest(client_id=_NOBODY, instrument=item.slug, side=side, quantity=quantity, **said)
