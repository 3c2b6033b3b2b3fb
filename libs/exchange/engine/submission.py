"""An order comes in: checked to the end, then taken, matched against the book, and the rest put to rest.

Nothing changes before the last check has passed. What the order will get out of the book is known by then,
since nothing else can happen in between.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from msgspec.structs import replace

from libs.common.instant import Now
from libs.common.subjects import Kind
from libs.exchange.engine.borrow import auto_borrow
from libs.exchange.engine.commands import Event, Ordered, Reason, Refused, Submit
from libs.exchange.engine.fees import lock_rate
from libs.exchange.engine.fills import Match
from libs.exchange.engine.filters import check_submit, reference
from libs.exchange.engine.margin import check_order
from libs.exchange.engine.matching import eat, fill, opposite, reaches, reducible, walk, walk_quote
from libs.exchange.engine.orders import (
    end,
    from_submit,
    is_closing,
    lock_unit,
    register,
    rest,
)
from libs.exchange.engine.state import Account, Market, State
from libs.exchange.engine.types import (
    ZERO,
    AccountKind,
    Order,
    OrderStatus,
    OrderType,
    Side,
    TimeInForce,
)

WOULD_TAKE: Final = "post-only and it would have taken"
NOT_ALL: Final = "fill-or-kill and the book had less"
REST_EXPIRED: Final = "the book had no more for it"


def submit(state: State, command: Submit, now: Now) -> list[Event]:
    """Take an order. Events: the order as taken, each fill with its ledger lines, and how it ended if it did
    (a resting rest ends nothing).
    """
    account, market = state.account(command.account), state.market(command.instrument)
    check_submit(state, account, market, command)
    command = _clipped(account, market, command)
    crossing = reaches(command.side, command.price, opposite(market, command.side).best())
    if command.tif is TimeInForce.POST_ONLY and crossing and state.rules.post_only == "refuse":
        raise Refused(Reason.POST_ONLY, f"{command.side} at {command.price} would take")
    matches = _matches(market, command)
    events = _fund(state, account, market, command, matches, now=now)
    quantity = command.quantity if command.quote_quantity is None else _total(matches)
    order = from_submit(state, command, quantity, now)
    register(state, account, order)
    events.append(Ordered(order=order))
    if command.tif is TimeInForce.POST_ONLY and crossing:
        return [*events, end(state, order, OrderStatus.CANCELED, WOULD_TAKE, now)]
    for match in matches:
        eat(opposite(market, command.side), match.quantity)
        events += fill(state, state.orders[order.order_id], match, now)
    return events + _settle_rest(state, state.orders[order.order_id], now)


def _clipped(account: Account, market: Market, command: Submit) -> Submit:
    """An order that may only reduce, cut to what is held; refused when it would not reduce at all.

    In hedge mode an order against its position side only ever closes, flagged or not; one with it never does.
    """
    if market.listing.kind is Kind.SPOT:
        return command
    if not is_closing(command.side, command.position_side, reduce_only=command.reduce_only):
        if command.reduce_only:
            raise Refused(Reason.REDUCE_ONLY, f"{command.side} opens a {command.position_side} position")
        return command
    most = reducible(account, command.instrument, command.side, command.position_side)
    if not most:
        raise Refused(Reason.REDUCE_ONLY, f"{command.side} finds nothing of {command.instrument} to reduce")
    return replace(command, quantity=min(command.quantity, most), reduce_only=True)


def _matches(market: Market, command: Submit) -> list[Match]:
    """What it takes at once."""
    half = opposite(market, command.side)
    if command.tif is TimeInForce.POST_ONLY:
        return []
    if command.quote_quantity is not None:
        return walk_quote(half, command.quote_quantity, market.listing.quantity_step)
    matches = walk(half, command.side, command.price, command.quantity)
    if command.tif is TimeInForce.FOK and _total(matches) < command.quantity:
        return []
    return matches


def _total(matches: list[Match]) -> Decimal:
    return sum((match.quantity for match in matches), ZERO)


# --- what it costs ----------------------------------------------------------------------------------------


def _fund(
    state: State, account: Account, market: Market, command: Submit, matches: list[Match], *, now: Now
) -> list[Event]:
    """Refused when the account cannot pay for the order; borrows what is missing where it says so."""
    worst = command.price or (matches[-1].price if matches else reference(market))
    if worst is None:
        return []  # a market order in a market without any price: it will get nothing and needs nothing
    spot = market.listing.kind is Kind.SPOT
    if not spot or account.spec.kind is AccountKind.UNIFIED:
        check_order(state, command.account, command, worst)
    if not spot:
        return []
    asset, needed = _spot_need(account, market, command, matches)
    missing = needed - account.balance(asset).free
    if missing <= ZERO:
        return []
    if command.borrow != "auto":
        free = account.balance(asset).free
        raise Refused(Reason.INSUFFICIENT_BALANCE, f"needs {needed} {asset}, {free} is free")
    return auto_borrow(state, command.account, asset, missing, now)


def _spot_need(
    account: Account, market: Market, command: Submit, matches: list[Match]
) -> tuple[str, Decimal]:
    """Asset and amount that an order can cost at most, its fee included where that is paid in quote."""
    if command.side is Side.SELL:
        return market.listing.base, command.quantity
    if command.price is not None:
        return market.listing.quote, command.quantity * lock_unit(account, command.side, command.price)
    cost = command.quote_quantity
    if cost is None:
        cost = sum((match.quote for match in matches), ZERO)
    return market.listing.quote, cost * (1 + lock_rate(account.spec.fees, command.side))


# --- what becomes of the rest -----------------------------------------------------------------------------


def _settle_rest(state: State, order: Order, now: Now) -> list[Event]:
    """Rest or expire. A clipped order that found its whole position has nothing left, so it never rests."""
    if order.status is OrderStatus.FILLED:
        return []
    if order.type is OrderType.MARKET or order.tif in (TimeInForce.IOC, TimeInForce.FOK):
        reason = NOT_ALL if order.tif is TimeInForce.FOK else REST_EXPIRED
        return [end(state, order, OrderStatus.EXPIRED, reason, now)]
    rest(state, order)
    return []
