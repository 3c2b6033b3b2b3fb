"""What `api/v3/order` and `sapi/v1/margin/order` share: reading an order, sending, finding, canceling.

A place to trade is a `Wallet`: an account of the key's user. Nothing here writes answers.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final, Literal

import msgspec

from libs.exchange.engine import commands
from libs.exchange.engine.commands import Booked, Cancel, Event, Ordered, Submit
from libs.exchange.engine.types import EntryKind, Fill, Listing, Order, OrderType, Side, TimeInForce
from services.venue.binance_common import refuse
from services.venue.binance_spot_errors import (
    INVALID_SYMBOL,
    MARKET_ORDER,
    NO_ORDER,
    ORDER,
    UNKNOWN_ORDER,
    said,
    translated,
)
from services.venue.binance_spot_params import Form, unwanted
from services.venue.binance_spot_texts import cancel_id, id_of
from services.venue.house import House
from services.venue.keys import Key
from services.venue.wire import Call

_TRIES_MAX: Final = 1_000
_DEPTH_MAX: Final = 5_000
_TIFS: Final = {"GTC": TimeInForce.GTC, "IOC": TimeInForce.IOC, "FOK": TimeInForce.FOK}
_RESPONSES: Final = frozenset({"ACK", "RESULT", "FULL"})
_NOT_HERE: Final = {
    "STOP_LOSS": "Stop loss orders are not supported for this symbol.",
    "STOP_LOSS_LIMIT": "Stop loss limit orders are not supported for this symbol.",
    "TAKE_PROFIT": "Take profit orders are not supported for this symbol.",
    "TAKE_PROFIT_LIMIT": "Take profit limit orders are not supported for this symbol.",
}

WalletName = Literal["spot", "margin"]


class Wallet(msgspec.Struct, frozen=True):
    """An account of a user, and the call that is about it."""

    house: House
    call: Call
    name: WalletName
    account: str

    @classmethod
    def of(cls, house: House, call: Call, key: Key, name: WalletName) -> Wallet:
        """The wallet of the key's user."""
        return cls(house, call, name, house.account(key.user, name))

    def apply(self, command: commands.Command, table: dict[commands.Reason, tuple[int, str]]) -> list[Event]:
        """Carry out a command, or refuse as the table says."""
        try:
            return self.house.apply(command, self.call.now)
        except commands.Refused as refusal:
            raise translated(refusal, table) from None

    def symbol(self, order_or_fill: Order | Fill) -> str:
        """The venue's symbol of what an order or trade is about."""
        return self.house.engine.listing(order_or_fill.instrument).symbol


class Placed(msgspec.Struct, frozen=True):
    """An order as the venue has taken it, the trades it made at once, and the loan it needed."""

    order: Order
    fills: list[Fill]
    borrowed: tuple[str, Decimal] | None


class _Shape(msgspec.Struct, frozen=True, kw_only=True):
    """How much of what kind of order, at which price."""

    type: OrderType
    quantity: Decimal
    tif: TimeInForce = TimeInForce.GTC
    price: Decimal | None = None
    cost: Decimal | None = None


def listing_of(house: House, call: Call, symbol: str) -> Listing:
    """The spot market of a symbol."""
    key = house.listing_key("spot", symbol, call.now)
    if key is None:
        raise said(INVALID_SYMBOL)
    return house.engine.listing(key)


def market_of(wallet: Wallet, form: Form) -> Listing:
    """The market that the parameter `symbol` names."""
    return listing_of(wallet.house, wallet.call, form.need("symbol"))


# --- new orders -----------------------------------------------------------------------------------


def read_order(wallet: Wallet, form: Form) -> Submit:
    """An order from its parameters; Binance's refusal of what contradicts itself or is not had here."""
    listing = market_of(wallet, form)
    side = form.need("side")
    if side not in ("BUY", "SELL"):
        raise refuse(-1117, "Invalid side.")
    kind = form.need("type")
    if kind in _NOT_HERE:
        raise refuse(-2010, _NOT_HERE[kind])
    if kind not in ("LIMIT", "MARKET", "LIMIT_MAKER"):
        raise refuse(-1116, "Invalid orderType.")
    if form.text("selfTradePreventionMode") not in ("", "NONE"):
        raise refuse(-1013, "This symbol does not allow the specified self-trade prevention mode.")
    client_id = form.client_id("newClientOrderId") or fresh_id(wallet)
    shape = _market_shape(form) if kind == "MARKET" else _limit_shape(form, kind)
    submit = Submit(
        account=wallet.account,
        instrument=listing.key,
        side=Side.BUY if side == "BUY" else Side.SELL,
        type=shape.type,
        tif=shape.tif,
        quantity=shape.quantity,
        price=shape.price,
        quote_quantity=shape.cost,
        client_id=client_id,
        margin=wallet.name == "margin",
    )
    if submit.quote_quantity is not None and submit.side is Side.SELL:
        return _sold_for(wallet, submit, listing)
    return submit


def _positive(name: str, value: Decimal) -> Decimal:
    if value > 0:
        return value
    raise refuse(-1013, f"Invalid {name}.")


def _limit_shape(form: Form, kind: str) -> _Shape:
    if kind == "LIMIT_MAKER":
        if form.has("timeInForce"):
            raise unwanted("timeInForce")
        tif = TimeInForce.POST_ONLY
    else:
        name = form.need("timeInForce")
        if name not in _TIFS:
            raise refuse(-1115, "Invalid timeInForce.")
        tif = _TIFS[name]
    if form.has("quoteOrderQty"):
        raise unwanted("quoteOrderQty")
    return _Shape(
        type=OrderType.LIMIT,
        tif=tif,
        quantity=_positive("quantity", form.need_decimal("quantity")),
        price=_positive("price", form.need_decimal("price")),
    )


def _market_shape(form: Form) -> _Shape:
    for name in ("timeInForce", "price"):
        if form.has(name):
            raise unwanted(name)
    if not form.has("quoteOrderQty"):
        quantity = _positive("quantity", form.need_decimal("quantity"))
        return _Shape(type=OrderType.MARKET, quantity=quantity)
    if form.has("quantity"):
        raise unwanted("quantity")
    cost = _positive("quote order quantity", form.need_decimal("quoteOrderQty"))
    return _Shape(type=OrderType.MARKET, quantity=Decimal(0), cost=cost)


def _sold_for(wallet: Wallet, submit: Submit, listing: Listing) -> Submit:
    """A sell by proceeds, as the quantity that the bids of this step pay so much for, rounded down."""
    wanted = submit.quote_quantity or Decimal(0)
    instrument = wallet.house.instrument(listing.key)
    quantity = Decimal(0)
    if instrument is not None:
        bids, _ = wallet.house.desk.book(instrument, wallet.call.now, wallet.call.path, _DEPTH_MAX)
        for price, size in ((Decimal(level[0]), Decimal(level[1])) for level in bids):
            taken = min(size, wanted / price)
            quantity += taken
            wanted -= taken * price
    steps = quantity // listing.quantity_step
    return msgspec.structs.replace(submit, quantity=steps * listing.quantity_step, quote_quantity=None)


def fresh_id(wallet: Wallet) -> str:
    """A client id for who gave none, in the venue's form, not taken by an order of the account."""
    house, call = wallet.house, wallet.call
    for number in range(_TRIES_MAX):
        seed = f"{house.seed}|{wallet.account}|{call.now.wall_ms}|{call.raw_query}|{call.body!r}|{number}"
        found = id_of(seed)
        if house.engine.order(wallet.account, client_id=found) is None:
            return found
    raise refuse(-1000, "An unknown error occured while processing the request.")


def response_type(form: Form) -> str:
    """ACK, RESULT or FULL; market and limit orders answer FULL unless told otherwise, others ACK."""
    found = form.text("newOrderRespType") or ("ACK" if form.text("type") == "LIMIT_MAKER" else "FULL")
    if found not in _RESPONSES:
        raise refuse(-1130, "Data sent for parameter 'newOrderRespType' is not valid.")
    return found


def place(wallet: Wallet, submit: Submit) -> Placed:
    """Send an order to the engine."""
    events = wallet.apply(submit, MARKET_ORDER if submit.type is OrderType.MARKET else ORDER)
    mine = [
        event
        for event in events
        if isinstance(event, Ordered)
        and (event.order.account, event.order.client_id) == (submit.account, submit.client_id)
    ]
    order_id = mine[-1].order.order_id
    loans = [
        event.entry
        for event in events
        if isinstance(event, Booked)
        and event.entry.kind is EntryKind.BORROW
        and event.entry.account == submit.account
    ]
    return Placed(
        order=mine[-1].order,
        fills=[one.fill for one in mine if one.fill is not None and one.order.order_id == order_id],
        borrowed=(loans[0].asset, sum((loan.amount for loan in loans), Decimal(0))) if loans else None,
    )


# --- orders that are there ------------------------------------------------------------------------


def find(wallet: Wallet, form: Form) -> Order:
    """The order that `orderId` or `origClientOrderId` names."""
    listing = market_of(wallet, form)
    order_id, client_id = _which(form)
    form.done()
    engine = wallet.house.engine
    found = engine.order(wallet.account, order_id=order_id, client_id=client_id, instrument=listing.key)
    if found is None:
        raise said(NO_ORDER)
    return found


def _which(form: Form) -> tuple[int | None, str]:
    order_id, client_id = form.integer("orderId"), form.text("origClientOrderId")
    if order_id is None and not client_id:
        text = "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!"
        raise refuse(-1102, text)
    return order_id, "" if order_id is not None else client_id


def cancel(wallet: Wallet, form: Form) -> tuple[Order, str]:
    """Cancel one order; with it the id of the canceling."""
    listing = market_of(wallet, form)
    order_id, client_id = _which(form)
    wanted = form.text("cancelRestrictions")
    new_id = form.client_id("newClientOrderId")
    form.done()
    command = Cancel(account=wallet.account, instrument=listing.key, order_id=order_id, client_id=client_id)
    if wanted:
        _restrict(wallet, listing, command, wanted)
    order = _canceled(wallet.apply(command, ORDER))[0]
    return order, new_id or cancel_id(order)


def _restrict(wallet: Wallet, listing: Listing, command: Cancel, wanted: str) -> None:
    """Cancel only orders in one state: -2011 for others."""
    if wanted not in ("ONLY_NEW", "ONLY_PARTIALLY_FILLED"):
        text = "Invalid cancelRestrictions. Has to be either ONLY_NEW or ONLY_PARTIALLY_FILLED."
        raise refuse(-1145, text)
    order = wallet.house.engine.order(
        wallet.account,
        order_id=command.order_id,
        client_id=command.client_id,
        instrument=listing.key,
    )
    if order is not None and order.is_open and bool(order.filled) is (wanted == "ONLY_NEW"):
        raise refuse(-2011, "Order was not canceled due to cancel restrictions.")


def cancel_all(wallet: Wallet, form: Form) -> list[tuple[Order, str]]:
    """Cancel all orders of a market; Binance refuses when there is none."""
    listing = market_of(wallet, form)
    form.flag("isIsolated")
    form.done()
    if not wallet.house.engine.open_orders(wallet.account, listing.key):
        raise said(UNKNOWN_ORDER)
    command = commands.CancelAll(account=wallet.account, instrument=listing.key)
    return [(order, cancel_id(order)) for order in _canceled(wallet.apply(command, ORDER))]


def _canceled(events: list[Event]) -> list[Order]:
    return [event.order for event in events if isinstance(event, Ordered) and not event.order.is_open]
