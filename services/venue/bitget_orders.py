"""Bitget's v3 order desk: place, look up, list, cancel, close; fills; the dead man's switch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from libs.common.instant import MS_PER_SEC, US_PER_MS
from libs.exchange.engine.commands import Cancel, Submit
from libs.exchange.engine.types import (
    Fill,
    Order,
    OrderType,
    PositionFigures,
    PositionSide,
    Side,
    TimeInForce,
)
from services.venue.bitget_common import PERPS, body
from services.venue.bitget_private_errors import (
    NO_POSITION,
    NOT_FOUND,
    NOTHING_TO_CANCEL,
    CodeText,
    Subject,
    refusing,
    said,
)
from services.venue.bitget_private_fields import Fields, page, posted
from services.venue.bitget_private_place import (
    account_of,
    allowed,
    listing_of,
    net_debts,
    own_order,
    place,
)
from services.venue.bitget_private_rows import (
    category_of_order,
    client_oid,
    fill_category,
    fill_row,
    history_row,
    info_row,
    symbol_of,
    unfilled_row,
)
from services.venue.house import House
from services.venue.keys import Key
from services.venue.wire import Answer, Call, Refused, answer

BATCH_MAX: Final = 20
COUNTDOWN_SEC: Final = (5, 60)


# --- placed --------------------------------------------------------------------------------------


def place_order(house: House, call: Call, key: Key) -> Answer:
    """One order; what became of it the client has to ask."""
    placed = place(house, Fields.of(call), key)
    return answer(body(call.now.wall_ms, _ids(placed.order, told=not placed.replaced)))


def place_batch(house: House, call: Call, key: Key) -> Answer:
    """Up to 20 orders, one after the other; each is taken or refused for itself."""
    rows: list[dict[str, Any]] = []
    for fields in _batch(call):
        try:
            placed = place(house, fields, key)
        except Refused as refused:
            code, text = _said(refused)
            rows.append({"clientOid": fields.text("clientOid"), "orderId": None, "code": code, "msg": text})
        else:
            rows.append(_ids(placed.order, told=not placed.replaced))
    return answer(body(call.now.wall_ms, rows))


def _ids(order: Order, *, told: bool = True) -> dict[str, Any]:
    return {"clientOid": client_oid(order), "orderId": str(order.order_id) if told else None}


def _batch(call: Call) -> list[Fields]:
    values = posted(call)
    whole = Fields(call, {})
    if not isinstance(values, list) or not values or not all(isinstance(one, dict) for one in values):
        raise whole.wrong("orderList")
    if len(values) > BATCH_MAX:
        raise said(call, ("40306", f"Batch processing orders can only process up to {BATCH_MAX}"))
    return [Fields(call, one) for one in values]


def _said(refused: Refused) -> CodeText:
    error = Fields.decoded(refused.answer.body)
    return str(error["code"]), str(error["msg"])


# --- looked up -----------------------------------------------------------------------------------


def order_info(house: House, call: Call, key: Key) -> Answer:
    """One order by `orderId`, else by `clientOid`, open or closed."""
    order = _named(house, Fields.of(call), key)
    if order is None:
        raise said(call, NOT_FOUND)
    return answer(body(call.now.wall_ms, info_row(order, _fills_of(house, order))))


def unfilled_orders(house: House, call: Call, key: Key) -> Answer:
    """Open orders, newest first."""
    fields = Fields.of(call)
    orders = house.engine.open_orders(account_of(house, key))
    return _order_page(house, call, fields, _matching(house, fields, orders), unfilled_row)


def history_orders(house: House, call: Call, key: Key) -> Answer:
    """Closed orders of a category, newest first."""
    fields = Fields.of(call)
    fields.category()
    orders = [order for order in house.engine.orders(account_of(house, key)) if not order.is_open]
    return _order_page(house, call, fields, _matching(house, fields, orders), history_row)


def fills(house: House, call: Call, key: Key) -> Answer:
    """Fills, newest first. A page without any is told by nulls, as the real venue does."""
    fields = Fields.of(call)
    account, order_id = account_of(house, key), fields.whole("orderId", 0)
    category, symbol = fields.text("category").upper(), fields.text("symbol").upper()
    orders = {order.order_id: order for order in house.engine.orders(account)}
    chosen = [
        fill
        for fill in house.engine.fills(account)
        if order_id in (0, fill.order_id)
        and symbol in ("", symbol_of(fill.instrument))
        and category in ("", fill_category(fill, orders.get(fill.order_id)))
    ]
    rows = page(
        fields, chosen, number=lambda fill: fill.trade_id, stamp=lambda fill: fill.wall_us // US_PER_MS
    )
    data: dict[str, Any] = {"list": None, "cursor": None}
    if rows:
        listed = [fill_row(fill, orders.get(fill.order_id)) for fill in rows]
        data = {"list": listed, "cursor": str(rows[-1].trade_id)}
    return answer(body(call.now.wall_ms, data))


def _named(house: House, fields: Fields, key: Key) -> Order | None:
    """The order that a call names; an id that the venue gave in place of a client's is one, too."""
    account = account_of(house, key)
    order_id, client_id = fields.text("orderId"), fields.text("clientOid")
    if not order_id and not client_id:
        raise fields.empty("orderId")
    if not order_id:
        found = house.engine.order(account, client_id=client_id)
        if found is not None or not client_id.isdigit():
            return found
        return _by_number(house, account, client_id, anonymous=True)
    if not (order_id.isascii() and order_id.isdigit()):
        raise said(fields.call, ("40020", "Parameter orderId error"))
    return _by_number(house, account, order_id, anonymous=False)


def _by_number(house: House, account: str, text: str, *, anonymous: bool) -> Order | None:
    found = house.engine.order(account, order_id=int(text[:18]))
    return None if found is None or (anonymous and found.client_id) else found


def _fills_of(house: House, order: Order) -> list[Fill]:
    return [
        fill
        for fill in house.engine.fills(order.account, order.instrument)
        if fill.order_id == order.order_id
    ]


def _matching(house: House, fields: Fields, orders: Iterable[Order]) -> list[Order]:
    """Those of the category and symbol asked for."""
    category = fields.text("category").upper()
    if category:
        fields.category()
    symbol = fields.text("symbol").upper()
    if symbol and category:
        listing_of(house, fields, category)
    return [
        order
        for order in orders
        if category in ("", category_of_order(order)) and symbol in ("", symbol_of(order.instrument))
    ]


def _order_page(
    house: House,
    call: Call,
    fields: Fields,
    orders: Sequence[Order],
    build: Callable[[Order, Sequence[Fill]], dict[str, Any]],
) -> Answer:
    rows = page(
        fields,
        orders,
        number=lambda order: order.order_id,
        stamp=lambda order: order.created_us // US_PER_MS,
    )
    listed = [build(order, _fills_of(house, order)) for order in rows]
    cursor = str(rows[-1].order_id) if rows else ""
    return answer(body(call.now.wall_ms, {"list": listed, "cursor": cursor}))


# --- canceled ------------------------------------------------------------------------------------


def cancel_order(house: House, call: Call, key: Key) -> Answer:
    """One open order; of a closed one it says that there is none."""
    return answer(body(call.now.wall_ms, _ids(_cancel(house, Fields.of(call), key))))


def cancel_batch(house: House, call: Call, key: Key) -> Answer:
    """Up to 20 orders, each canceled or refused for itself."""
    rows: list[dict[str, Any]] = []
    for fields in _batch(call):
        try:
            rows.append(_ids(_cancel(house, fields, key)))
        except Refused as refused:
            code, text = _said(refused)
            named = {"orderId": fields.text("orderId"), "clientOid": fields.text("clientOid")}
            rows.append({**named, "code": code, "msg": text})
    return answer(body(call.now.wall_ms, rows))


def cancel_symbol_order(house: House, call: Call, key: Key) -> Answer:
    """All open orders of a category, or of one symbol of it."""
    fields = Fields.of(call)
    category = fields.category()
    allowed(fields, key, category)
    orders = _matching(house, fields, house.engine.open_orders(account_of(house, key)))
    if not orders:
        raise said(call, NOTHING_TO_CANCEL)
    for order in orders:
        _end(house, call, order)
    rows = [{**_ids(order), "code": "00000", "msg": "success"} for order in orders]
    return answer(body(call.now.wall_ms, {"list": rows}))


def _cancel(house: House, fields: Fields, key: Key) -> Order:
    order = _named(house, fields, key)
    if order is None:
        raise said(fields.call, NOT_FOUND)
    allowed(fields, key, category_of_order(order))
    _end(house, fields.call, order)
    return order


def _end(house: House, call: Call, order: Order) -> None:
    cancel = Cancel(account=order.account, instrument=order.instrument, order_id=order.order_id)
    with refusing(call, Subject(symbol=symbol_of(order.instrument))):
        house.apply(cancel, call.now)
    net_debts(house, order.account, call.now)


def countdown_cancel_all(house: House, call: Call, key: Key) -> Answer:
    """All orders of the account go when no further call comes within so many seconds; 0 calls it off."""
    fields = Fields.of(call)
    fields.required("countdown")
    seconds = fields.whole("countdown", 0)
    least, most = COUNTDOWN_SEC
    if seconds and not least <= seconds <= most:
        raise fields.wrong("countdown")
    deadline = call.now.wall_ms + seconds * MS_PER_SEC if seconds else None
    house.countdown(account_of(house, key), "", deadline)
    return answer(body(call.now.wall_ms, "success"))


# --- closed --------------------------------------------------------------------------------------


def close_positions(house: House, call: Call, key: Key) -> Answer:
    """Market orders for all positions of a category, or of one symbol or side of it."""
    fields = Fields.of(call)
    category = fields.category()
    allowed(fields, key, category)
    symbol = listing_of(house, fields, category).symbol if fields.text("symbol") else ""
    side = fields.choice("posSide", ("long", "short")) if fields.text("posSide") else ""
    chosen = [
        figures
        for figures in house.engine.positions(account_of(house, key))
        if category == PERPS
        and symbol in ("", symbol_of(figures.position.instrument))
        and side in ("", "long" if figures.position.quantity > 0 else "short")
    ]
    if not chosen:
        raise said(call, NO_POSITION)
    rows = [{**_ids(_close(house, call, one)), "code": "00000", "msg": "success"} for one in chosen]
    return answer(body(call.now.wall_ms, {"list": rows}))


def _close(house: House, call: Call, figures: PositionFigures) -> Order:
    position = figures.position
    submit = Submit(
        account=position.account,
        instrument=position.instrument,
        side=Side.SELL if position.quantity > 0 else Side.BUY,
        type=OrderType.MARKET,
        tif=TimeInForce.IOC,
        quantity=abs(position.quantity),
        reduce_only=position.side is PositionSide.BOTH,
        position_side=position.side,
    )
    with refusing(call, Subject(symbol=symbol_of(position.instrument))):
        return own_order(house.apply(submit, call.now), submit)
