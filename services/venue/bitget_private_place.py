"""An order from Bitget's v3 wire into the engine: what is asked, what is refused, what borrows.

A MARGIN order borrows by itself ("Margin orders will automatically trigger fund borrowing",
https://www.bitget.com/api-doc/uta/trade/Place-Order; the payloads show the rest: debts in assets and in the
account stream, a repay call and no borrow call). The account keeps one balance a coin, so that what comes in
pays a debt first: a buy of a coin that is owed repays, and what is left over of a loan goes back at once.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final, Literal

import msgspec

from libs.common.subjects import Kind
from libs.exchange.engine import commands
from libs.exchange.engine.commands import Event, Ordered, Reason, Repay, Submit
from libs.exchange.engine.types import (
    ZERO,
    Listing,
    Order,
    OrderType,
    PositionMode,
    PositionSide,
    Side,
    TimeInForce,
)
from services.venue.bitget_auth import forbidden
from services.venue.bitget_common import PERPS, SPOT, refuse
from services.venue.bitget_private_errors import HOLD_MODE, Subject, refusing, said
from services.venue.bitget_private_fields import Fields
from services.venue.bitget_private_rows import MARGIN
from services.venue.desk import Instant
from services.venue.house import House
from services.venue.keys import Key, Permission

WALLET: Final = "unified"
ORDERS_MAX: Final = 400  # open ones, for contracts and for spot with margin
_CLIENT_OID: Final = re.compile(r"[.A-Z:/a-z0-9_-]{1,32}", re.ASCII)
_KINDS: Final = {SPOT: Kind.SPOT, MARGIN: Kind.SPOT, PERPS: Kind.PERP}
_PERMISSIONS: Final[dict[str, Permission]] = {SPOT: "spot", MARGIN: "margin", PERPS: "futures"}
_TIFS: Final = tuple(tif.value for tif in TimeInForce)


class Placed(msgspec.Struct, frozen=True):
    """An order that the venue took. `replaced`: older reduce-only orders gave way, and no id is told."""

    order: Order
    replaced: bool = False


def account_of(house: House, key: Key) -> str:
    """The unified account of a key's user."""
    return house.account(key.user, WALLET)


def listing_of(house: House, fields: Fields, category: str, name: str = "symbol") -> Listing:
    """The market that `symbol` names in a category; futures of other coins there are none."""
    symbol = fields.required(name).upper()
    kind = _KINDS.get(category)
    key = house.listing_key(kind, symbol, fields.call.now) if kind is not None else None
    if key is None:
        raise refuse(fields.call, "40034", f"Parameter {symbol} does not exist")
    return house.engine.listing(key)


def allowed(fields: Fields, key: Key, category: str) -> None:
    """Refuse a key that may not trade the product."""
    permission = _PERMISSIONS.get(category)
    if permission is not None and permission not in key.permissions:
        raise forbidden(fields.call)


def place(house: House, fields: Fields, key: Key) -> Placed:
    """Carry out one order of place-order or place-batch. Raises Bitget's refusals."""
    category = fields.category()
    allowed(fields, key, category)
    listing = listing_of(house, fields, category)
    submit = _submit(house, fields, key, category, listing)
    _room(house, fields, submit, listing)
    held = _held(house, submit)
    subject = Subject(
        symbol=listing.symbol,
        category=category,
        listing=listing,
        side=submit.side,
        quantity=submit.quantity,
        mode=house.engine.position_mode(submit.account),
        holds=bool(held),
    )
    older = _in_the_way(house, submit, abs(held))
    with refusing(fields.call, subject):
        order = own_order(_apply(house, fields, submit), submit)
    for one in older:
        _give_way(house, fields, one)
    net_debts(house, submit.account, fields.call.now)
    return Placed(order, replaced=bool(older))


def net_debts(house: House, account: str, now: Instant) -> None:
    """Pay debts with what is there of the same coin: an account cannot both hold and owe it."""
    for coin, balance in house.engine.balances(account).items():
        amount = min(balance.free, balance.borrowed + balance.interest)
        if amount > 0:
            house.apply(Repay(account=account, asset=coin, amount=amount), now)


def _submit(house: House, fields: Fields, key: Key, category: str, listing: Listing) -> Submit:
    side = Side(fields.choice("side", ("buy", "sell")))
    kind = OrderType(fields.choice("orderType", ("limit", "market")))
    quantity = fields.amount("qty")
    contract = category == PERPS
    by_cost = kind is OrderType.MARKET and side is Side.BUY and not contract
    tif = TimeInForce(fields.choice("timeInForce", _TIFS, "gtc"))
    return Submit(
        account=account_of(house, key),
        instrument=listing.key,
        side=side,
        type=kind,
        quantity=ZERO if by_cost else quantity,
        price=fields.amount("price") if kind is OrderType.LIMIT else None,
        tif=TimeInForce.IOC if kind is OrderType.MARKET else tif,
        client_id=_client_id(fields),
        reduce_only=contract and fields.choice("reduceOnly", ("yes", "no"), "no") == "yes",
        position_side=_position_side(house, fields, key) if contract else PositionSide.BOTH,
        quote_quantity=quantity if by_cost else None,
        margin=category == MARGIN,
        borrow=_borrowing(house, key, listing, side) if category == MARGIN else "none",
    )


def _client_id(fields: Fields) -> str:
    found = fields.text("clientOid")
    if found and not _CLIENT_OID.fullmatch(found):
        text = "Client_oid length is not greater than 32, and cannot be Martian characters"
        raise refuse(fields.call, "40305", text)
    return found


def _position_side(house: House, fields: Fields, key: Key) -> PositionSide:
    """As the account's hold mode wants it: a side in hedge mode, none in one-way mode."""
    hedged = house.engine.position_mode(account_of(house, key)) is PositionMode.HEDGE
    said_side = fields.text("posSide")
    if hedged is not bool(said_side):
        raise said(fields.call, HOLD_MODE)
    return PositionSide(fields.choice("posSide", ("long", "short"))) if hedged else PositionSide.BOTH


def _borrowing(house: House, key: Key, listing: Listing, side: Side) -> Literal["auto", "auto_repay"]:
    """What comes in pays its debt, if there is one; else what is missing is borrowed."""
    incoming = listing.base if side is Side.BUY else listing.quote
    balance = house.engine.balances(account_of(house, key)).get(incoming)
    owes = balance is not None and bool(balance.borrowed or balance.interest)
    return "auto_repay" if owes else "auto"


def _apply(house: House, fields: Fields, submit: Submit) -> list[Event]:
    """Submit; an order that would repay, but cannot be paid without a loan, borrows instead."""
    try:
        return house.apply(submit, fields.call.now)
    except commands.Refused as refused:
        if submit.borrow != "auto_repay" or refused.reason is not Reason.INSUFFICIENT_BALANCE:
            raise
    return house.apply(msgspec.structs.replace(submit, borrow="auto"), fields.call.now)


def _room(house: House, fields: Fields, submit: Submit, listing: Listing) -> None:
    """Refuse beyond the number of open orders that an account may have."""
    contract = listing.kind is not Kind.SPOT
    resting = house.engine.open_orders(submit.account)
    same = sum(1 for order in resting if order.instrument.startswith("spot:") is not contract)
    if same >= ORDERS_MAX:
        raise refuse(fields.call, "25211", f"Exceeds the limit of {ORDERS_MAX} maximum orders")


def _held(house: House, submit: Submit) -> Decimal:
    """The signed quantity of the position that an order is about."""
    for figures in house.engine.positions(submit.account):
        position = figures.position
        if (position.instrument, position.side) == (submit.instrument, submit.position_side):
            return position.quantity
    return ZERO


def _in_the_way(house: House, submit: Submit, held: Decimal) -> list[Order]:
    """Resting reduce-only orders of one-way mode, where they and the new one exceed the position.

    So the published behaviour: they are "automatically canceled and replaced", and the answer then has a
    null for the order id.
    """
    if not submit.reduce_only or submit.position_side is not PositionSide.BOTH:
        return []
    older = [
        order
        for order in house.engine.open_orders(submit.account, submit.instrument)
        if order.reduce_only and order.side is submit.side
    ]
    total = sum((order.remaining for order in older), submit.quantity)
    return older if total > held else []


def _give_way(house: House, fields: Fields, older: Order) -> None:
    """Cancel an older order, unless the fill of the new one has done so."""
    now = house.engine.order(older.account, order_id=older.order_id)
    if now is not None and now.is_open:
        cancel = commands.Cancel(
            account=older.account,
            instrument=older.instrument,
            order_id=older.order_id,
            reason="replaced by a newer reduce-only order",
        )
        house.apply(cancel, fields.call.now)


def own_order(events: list[Event], submit: Submit) -> Order:
    """The order that a submission made, as the last event left it: of those of the market the newest."""
    mine: Order | None = None
    for event in events:
        if not isinstance(event, Ordered):
            continue
        order = event.order
        own = (order.account, order.instrument, order.cause) == (submit.account, submit.instrument, "order")
        if own and (mine is None or order.order_id >= mine.order_id):
            mine = order
    if mine is None:
        raise LookupError(f"{submit.instrument}: the engine took an order and said nothing of it")
    return mine
