"""New USD-M orders, one by one or in batches.

What the answer says follows `newOrderRespType`: ACK (the default) the order as it was accepted, and so RESULT
for orders that may rest; RESULT for market, IOC and FOK orders says what became of them.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec.structs import replace

from libs.exchange.engine import commands
from libs.exchange.engine.commands import Ordered, Submit
from libs.exchange.engine.types import (
    ZERO,
    Listing,
    Order,
    OrderStatus,
    OrderType,
    PositionMode,
    PositionSide,
    Side,
    TimeInForce,
)
from services.venue import binance_usdm_errors as errors
from services.venue.binance_auth import missing
from services.venue.binance_common import refuse
from services.venue.binance_usdm_params import Parameters, account_of, read, required_listing
from services.venue.binance_usdm_rows import TIME_IN_FORCE, command_row
from services.venue.wire import Answer, Call, Refused, answer

if TYPE_CHECKING:
    from services.venue.house import House
    from services.venue.keys import Key

BATCH_MAX: Final = 5
CLIENT_ID_LENGTH_MAX: Final = 36

_CLIENT_ID: Final = re.compile(r"[.A-Z:/a-z0-9_-]{1,36}", re.ASCII)
_CLIENT_ID_LEGAL: Final = r"legal range is '^[\.A-Z\:/a-z0-9_-]{1,36}$'"
_TIME_IN_FORCE: Final = {text: tif for tif, text in TIME_IN_FORCE.items()}
_POSITION_SIDE: Final = {side.upper(): side for side in PositionSide}
_CONDITIONAL: Final = frozenset(
    {"STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"}
)
_FINAL_AT_ONCE: Final = frozenset({TimeInForce.IOC, TimeInForce.FOK})


def place(house: House, call: Call, key: Key) -> Answer:
    """POST /fapi/v1/order."""
    return answer(_place(house, call, key, read(call)))


def place_batch(house: House, call: Call, key: Key) -> Answer:
    """POST /fapi/v1/batchOrders: up to five orders, one after the other; each has its own answer or error."""
    rows: list[Any] = []
    for wanted in _batch(read(call).required("batchOrders")):
        try:
            rows.append(_place(house, call, key, wanted))
        except Refused as refused:
            rows.append(msgspec.Raw(refused.answer.body))
    return answer(rows)


def _batch(text: str) -> list[Parameters]:
    """The orders of a batch; numbers and booleans are taken as their texts."""
    try:
        found = msgspec.json.decode(text, type=list[dict[str, str | int | float | bool | None]])
    except msgspec.DecodeError:
        raise refuse(-1130, "Data sent for parameter 'batchOrders' is not valid.") from None
    if not 1 <= len(found) <= BATCH_MAX:
        raise refuse(-4082, f"Invalid number of batch place orders. Max batch place orders: {BATCH_MAX}")
    return [Parameters({name: _text(value) for name, value in one.items()}) for one in found]


def _text(value: Any) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _place(house: House, call: Call, key: Key, wanted: Parameters) -> dict[str, Any]:
    listing = required_listing(house, wanted, call.now)
    account = account_of(house, key)
    hedged = house.engine.position_mode(account) is PositionMode.HEDGE
    submit = _submit(account, listing, wanted, hedged=hedged)
    try:
        events = house.apply(submit, call.now)
    except commands.Refused as refused:
        raise errors.of_order(refused, submit, listing, house.engine.mark(listing.key)) from None
    taken = next(event.order for event in events if isinstance(event, Ordered))
    order = house.engine.order(account, order_id=taken.order_id) or taken
    if order.tif is TimeInForce.FOK and order.status is not OrderStatus.FILLED:
        raise refuse(*errors.NOT_FILLED)
    return command_row(listing, _as_answered(order, wanted.text("newOrderRespType", "ACK")))


def _as_answered(order: Order, response_type: str) -> Order:
    at_once = order.type is OrderType.MARKET or order.tif in _FINAL_AT_ONCE
    if response_type == "RESULT" and at_once:
        return order
    return replace(
        order, status=OrderStatus.OPEN, filled=ZERO, filled_quote=ZERO, updated_us=order.created_us
    )


def _submit(account: str, listing: Listing, wanted: Parameters, *, hedged: bool) -> Submit:
    """The order as the engine takes it; raises Binance's refusal of what is missing or cannot be read."""
    side, kind = _side(wanted), _type(wanted)
    if wanted.text("newOrderRespType", "ACK") not in ("ACK", "RESULT"):
        raise refuse(-1130, "Data sent for parameter 'newOrderRespType' is not valid.")
    if wanted.flag("closePosition"):
        raise refuse(-4136, f"Target strategy invalid for orderType {kind.upper()},closePosition true")
    quantity = _positive(wanted, "quantity", -4003, "Quantity less than or equal to zero.")
    price, tif = _price_and_life(wanted, kind)
    reduce_only = wanted.flag("reduceOnly")
    if hedged and reduce_only is not None:
        raise _not_required("reduceOnly")
    return Submit(
        account=account,
        instrument=listing.key,
        side=side,
        type=kind,
        quantity=quantity,
        price=price,
        tif=tif,
        client_id=_checked_id(wanted.text("newClientOrderId")),
        reduce_only=reduce_only or False,
        position_side=_position_side(wanted),
    )


def _side(wanted: Parameters) -> Side:
    text = wanted.required("side")
    if text not in ("BUY", "SELL"):
        raise refuse(-1117, "Invalid side.")
    return Side(text.lower())


def _type(wanted: Parameters) -> OrderType:
    text = wanted.required("type")
    if text in _CONDITIONAL:
        said = "Order type not supported for this endpoint. Please use the Algo Order API endpoints instead."
        raise refuse(-4120, said)
    if text not in ("LIMIT", "MARKET"):
        raise refuse(-1116, "Invalid orderType.")
    return OrderType(text.lower())


def _price_and_life(wanted: Parameters, kind: OrderType) -> tuple[Decimal | None, TimeInForce]:
    """Price and time in force: both mandatory for a limit order, neither allowed for a market order."""
    if kind is OrderType.MARKET:
        for name in ("timeInForce", "price"):
            if name in wanted:
                raise _not_required(name)
        return None, TimeInForce.IOC
    tif = _TIME_IN_FORCE.get(wanted.required("timeInForce"))
    if tif is None:
        raise refuse(-1115, "Invalid timeInForce.")
    return _positive(wanted, "price", -4001, "Price less than 0."), tif


def _positive(wanted: Parameters, name: str, code: int, text: str) -> Decimal:
    value = wanted.decimal(name)
    if value is None:
        raise missing(name)
    if value <= 0:
        raise refuse(code, text)
    return value


def _position_side(wanted: Parameters) -> PositionSide:
    side = _POSITION_SIDE.get(wanted.text("positionSide", "BOTH"))
    if side is None:
        raise refuse(-4060, "Invalid position side.")
    return side


def _not_required(name: str) -> Refused:
    return refuse(-1106, f"Parameter '{name.lower()}' sent when not required.")


def _checked_id(text: str) -> str:
    if len(text) > CLIENT_ID_LENGTH_MAX:
        said = f"Client order id length should not be more than {CLIENT_ID_LENGTH_MAX} chars"
        raise refuse(-4015, said)
    if text and not _CLIENT_ID.fullmatch(text):
        said = f"Illegal characters found in parameter 'newClientOrderId'; {_CLIENT_ID_LEGAL}."
        raise refuse(-1100, said)
    return text
