"""USD-M orders after they were placed: asking for them, canceling, the dead man's switch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from libs.exchange.engine import commands
from libs.exchange.engine.commands import Cancel, CancelAll
from libs.exchange.engine.types import Listing, Order, TimeInForce
from services.venue import binance_usdm_errors as errors
from services.venue.binance_common import refuse
from services.venue.binance_usdm_params import (
    Parameters,
    account_of,
    instrument_filter,
    read,
    required_listing,
)
from services.venue.binance_usdm_rows import cancel_row, client_id, query_row
from services.venue.wire import Answer, Call, Refused, answer

if TYPE_CHECKING:
    from services.venue.house import House
    from services.venue.keys import Key

CANCELS_MAX: Final = 10


# --- asking -----------------------------------------------------------------------------------------------


def find(house: House, account: str, listing: Listing, wanted: Parameters) -> Order | None:
    """The order that `orderId`, else `origClientOrderId` names; of a reused client id the newest."""
    order_id, name = wanted.integer("orderId"), wanted.text("origClientOrderId")
    if order_id is None and not name:
        said = "Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!"
        raise refuse(-1102, said)
    if order_id is not None:
        found = house.engine.order(account, order_id=order_id, instrument=listing.key)
    else:
        found = house.engine.order(account, client_id=name, instrument=listing.key)
    if found is None and order_id is None:  # ids that the venue has given
        own = house.engine.orders(account, listing.key)
        found = next((one for one in reversed(own) if client_id(one) == name), None)
    hidden = found is not None and _unrecorded(found)
    return found if found is not None and found.instrument == listing.key and not hidden else None


def _unrecorded(order: Order) -> bool:
    """A FOK order that did not fill is not in the history."""
    return order.tif is TimeInForce.FOK and not order.filled and not order.is_open


def query(house: House, call: Call, key: Key) -> Answer:
    """GET /fapi/v1/order."""
    return _found(house, call, key, open_only=False)


def query_open(house: House, call: Call, key: Key) -> Answer:
    """GET /fapi/v1/openOrder."""
    return _found(house, call, key, open_only=True)


def _found(house: House, call: Call, key: Key, *, open_only: bool) -> Answer:
    wanted = read(call)
    listing = required_listing(house, wanted, call.now)
    order = find(house, account_of(house, key), listing, wanted)
    if order is None or (open_only and not order.is_open):
        raise refuse(-2013, "Order does not exist.")
    return answer(query_row(listing, order))


def open_orders(house: House, call: Call, key: Key) -> Answer:
    """GET /fapi/v1/openOrders: of one symbol or of all, oldest first."""
    wanted = read(call)
    instrument = instrument_filter(house, wanted, call.now)
    found = house.engine.open_orders(account_of(house, key), instrument)
    return answer([query_row(house.engine.listing(one.instrument), one) for one in found])


def all_orders(house: House, call: Call, key: Key) -> Answer:
    """GET /fapi/v1/allOrders: from `orderId` on, or of a time window of seven days, oldest first."""
    wanted = read(call)
    listing = required_listing(house, wanted, call.now)
    first_id, limit = wanted.integer("orderId"), wanted.limit(500, 1_000)
    start, end = wanted.window(call.now.wall_ms, days=7)
    own = [one for one in house.engine.orders(account_of(house, key), listing.key) if not _unrecorded(one)]
    if first_id is not None:
        own = [one for one in own if one.order_id >= first_id]
    chosen = [one for one in own if _within(one.created_us // 1_000, start, end)]
    from_the_front = first_id is not None or start is not None
    page = chosen[:limit] if from_the_front else chosen[-limit:]
    return answer([query_row(listing, one) for one in page])


def _within(stamp_ms: int, start: int | None, end: int | None) -> bool:
    return (start is None or stamp_ms >= start) and (end is None or stamp_ms <= end)


# --- canceling --------------------------------------------------------------------------------------------


def cancel(house: House, call: Call, key: Key) -> Answer:
    """DELETE /fapi/v1/order."""
    wanted = read(call)
    return answer(_cancel(house, call, key, required_listing(house, wanted, call.now), wanted))


def cancel_batch(house: House, call: Call, key: Key) -> Answer:
    """DELETE /fapi/v1/batchOrders: up to ten orders by id; each has its own answer or error."""
    wanted = read(call)
    listing = required_listing(house, wanted, call.now)
    rows: list[Any] = []
    for one in _ids(wanted):
        try:
            rows.append(_cancel(house, call, key, listing, one))
        except Refused as refused:
            rows.append(msgspec.Raw(refused.answer.body))
    return answer(rows)


def _ids(wanted: Parameters) -> list[Parameters]:
    """One order each; the lists' names are taken in any case (ccxt sends them in small letters)."""
    by_id = wanted.text("orderIdList") or wanted.text("orderidlist")
    by_name = wanted.text("origClientOrderIdList") or wanted.text("origclientorderidlist")
    try:
        numbers = msgspec.json.decode(by_id or "[]", type=list[int])
        names = msgspec.json.decode(by_name or "[]", type=list[str])
    except msgspec.DecodeError:
        raise refuse(-1130, "Data sent for parameter 'orderIdList' is not valid.") from None
    if not 1 <= len(numbers) + len(names) <= CANCELS_MAX:
        said = f"Invalid number of batch cancel orders. Max batch cancel orders: {CANCELS_MAX}"
        raise refuse(-4082, said)
    found = [Parameters({"orderId": str(number)}) for number in numbers]
    return found + [Parameters({"origClientOrderId": name}) for name in names]


def _cancel(house: House, call: Call, key: Key, listing: Listing, wanted: Parameters) -> dict[str, Any]:
    account = account_of(house, key)
    order = find(house, account, listing, wanted)
    if order is None:
        raise refuse(-2011, "Unknown order sent.")
    try:
        house.apply(Cancel(account=account, instrument=listing.key, order_id=order.order_id), call.now)
    except commands.Refused as refused:
        raise errors.plain(refused) from None
    after = house.engine.order(account, order_id=order.order_id, instrument=listing.key)
    return cancel_row(listing, after or order)


def cancel_all(house: House, call: Call, key: Key) -> Answer:
    """DELETE /fapi/v1/allOpenOrders of one symbol."""
    listing = required_listing(house, read(call), call.now)
    house.apply(CancelAll(account=account_of(house, key), instrument=listing.key), call.now)
    return answer({"code": 200, "msg": "The operation of cancel all open order is done."})


def countdown(house: House, call: Call, key: Key) -> Answer:
    """POST /fapi/v1/countdownCancelAll: the dead man's switch of one symbol; 0 takes it off."""
    wanted = read(call)
    listing = required_listing(house, wanted, call.now)
    wanted.required("countdownTime")
    wait_ms = wanted.integer("countdownTime") or 0
    deadline = call.now.wall_ms + wait_ms if wait_ms else None
    house.countdown(account_of(house, key), listing.key, deadline)
    return answer({"symbol": listing.symbol, "countdownTime": str(wait_ms)})


def not_offered(_house: House, call: Call, _key: Key) -> Answer:
    """Calls of the real venue that this one does not carry out: changing an order, moving isolated margin."""
    raise refuse(-5000, f"Path {call.path}, Method {call.method} is invalid", status=404)
