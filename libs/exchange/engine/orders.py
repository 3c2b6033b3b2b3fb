"""The life of an order outside of matching: taken, resting with its coins locked, filled, ended; and found.

Every function keeps four places in step: the order itself, its market's queue, its owner's open orders and
what it locks of the wallet.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from msgspec.structs import replace

from libs.common.instant import Now
from libs.common.subjects import Kind
from libs.exchange.engine.commands import Cancel, CancelAll, Event, Ordered, Reason, Refused, Submit
from libs.exchange.engine.fees import lock_rate
from libs.exchange.engine.fills import Match
from libs.exchange.engine.ledger import put_balance
from libs.exchange.engine.state import Account, Market, State
from libs.exchange.engine.types import Listing, Order, OrderStatus, PositionSide, Side

NO_POSITION_LEFT: Final = "reduce-only and no position is left"


# --- taken, resting, filled, ended ------------------------------------------------------------------------


def register(state: State, account: Account, order: Order) -> None:
    """Keep a new order under its ids. It neither rests nor locks anything yet."""
    state.orders[order.order_id] = order
    if order.client_id:
        account.client_ids.setdefault(order.client_id, []).append(order.order_id)


def from_submit(state: State, submit: Submit, quantity: Decimal, now: Now) -> Order:
    """A new order with the next id, of so much base (clipped or computed, not always as submitted)."""
    state.last_order_id += 1
    return Order(
        order_id=state.last_order_id,
        client_id=submit.client_id,
        account=submit.account,
        instrument=submit.instrument,
        side=submit.side,
        type=submit.type,
        tif=submit.tif,
        quantity=quantity,
        price=submit.price,
        reduce_only=submit.reduce_only,
        position_side=submit.position_side,
        status=OrderStatus.OPEN,
        created_us=now.wall_us,
        updated_us=now.wall_us,
        quote_quantity=submit.quote_quantity,
        margin=submit.margin,
        repays=submit.borrow == "auto_repay",
    )


def rest(state: State, order: Order) -> None:
    """Put what remains of a limit order into its market's queue, behind what the book shows at its price."""
    if order.price is None:
        raise ValueError(f"order {order.order_id} has no price to rest at")
    market, account = state.markets[order.instrument], state.accounts[order.account]
    buying = order.side is Side.BUY
    half = market.bids if buying else market.asks
    state.orders[order.order_id] = replace(order, queue_ahead=half.size_at(order.price))
    account.open[order.order_id] = order.instrument
    if buying:
        insort(market.buys, (-order.price, order.order_id))
    else:
        insort(market.sells, (order.price, order.order_id))
    if market.listing.kind is Kind.SPOT:
        unit = lock_unit(account, order.side, order.price)
        state.units[order.order_id] = unit
        _lock(state, account, _locked_asset(market.listing, order.side), order.remaining * unit)


def lock_unit(account: Account, side: Side, price: Decimal) -> Decimal:
    """What a spot order at this price needs of the wallet per base unit: of quote for a buy, of base else."""
    if side is Side.SELL:
        return Decimal(1)
    return price * (1 + lock_rate(account.spec.fees, side))


def unlock(state: State, order: Order, quantity: Decimal) -> None:
    """Give back what a resting spot order locked for so much base: it is about to be spent, or ends."""
    unit = state.units.get(order.order_id)
    if unit is None:
        return
    account, market = state.accounts[order.account], state.markets[order.instrument]
    _lock(state, account, _locked_asset(market.listing, order.side), -(quantity * unit))


def queue(state: State, order: Order, ahead: Decimal) -> Order:
    """The order with so much ahead of it, kept. Nobody is told: a venue does not show it."""
    changed = replace(order, queue_ahead=ahead)
    state.orders[order.order_id] = changed
    return changed


def filled(state: State, order: Order, match: Match, now: Now) -> Order:
    """The order after a fill, kept; it leaves its queue when nothing remains."""
    done = order.filled + match.quantity
    changed = replace(
        order,
        filled=done,
        filled_quote=order.filled_quote + match.quote,
        status=OrderStatus.FILLED if done == order.quantity else OrderStatus.PARTIAL,
        updated_us=now.wall_us,
    )
    state.orders[order.order_id] = changed
    if changed.status is OrderStatus.FILLED:
        _retire(state, changed)
    return changed


def end(state: State, order: Order, status: OrderStatus, reason: str, now: Now) -> Ordered:
    """Cancel or expire what remains of an order, resting or not."""
    unlock(state, order, order.remaining)
    ended = replace(order, status=status, reason=reason, updated_us=now.wall_us)
    state.orders[order.order_id] = ended
    _retire(state, ended)
    return Ordered(order=ended)


def cancel(state: State, command: Cancel, now: Now) -> list[Event]:
    """Cancel one open order; refused when there is none of that id."""
    account = state.account(command.account)
    state.market(command.instrument)
    if command.order_id is not None:
        order = state.orders.get(command.order_id)
    else:
        order = by_client_id(state, account, command.client_id, command.instrument)
    if order is None or order.account != command.account or order.instrument != command.instrument:
        raise Refused(Reason.ORDER_NOT_FOUND, f"no order {command.order_id or command.client_id!r}")
    if not order.is_open:
        raise Refused(Reason.ORDER_NOT_FOUND, f"order {order.order_id} is {order.status}")
    return [end(state, order, OrderStatus.CANCELED, command.reason, now)]


def cancel_every(state: State, command: CancelAll, now: Now) -> list[Event]:
    """Cancel all open orders of an account, on one instrument or on all; none is fine, too."""
    state.account(command.account)
    if command.instrument:
        state.market(command.instrument)
    return cancel_all(state, command.account, command.instrument, command.reason, now)


def end_all(state: State, orders: Iterable[Order], reason: str, now: Now) -> list[Event]:
    """Cancel several orders."""
    return [end(state, order, OrderStatus.CANCELED, reason, now) for order in orders]


def cancel_all(state: State, account_id: str, instrument: str, reason: str, now: Now) -> list[Event]:
    """Cancel an account's open orders, on one instrument or ("") on all."""
    account = state.accounts[account_id]
    return end_all(state, state.open_orders(account, instrument), reason, now)


def cancel_market(state: State, market: Market, reason: str, now: Now) -> list[Event]:
    """Cancel every order of a market, oldest first."""
    ids = sorted(order_id for _, order_id in (*market.buys, *market.sells))
    return end_all(state, [state.orders[order_id] for order_id in ids], reason, now)


def cancel_reducing(
    state: State, account_id: str, instrument: str, side: PositionSide, now: Now
) -> list[Event]:
    """Cancel the resting orders that could only have closed a position that is gone; an order that is being
    matched right now does not rest and is left to whoever matches it.
    """
    account = state.accounts[account_id]
    stale = [
        order
        for order in state.open_orders(account, instrument)
        if order.position_side is side and is_closing(order.side, side, reduce_only=order.reduce_only)
    ]
    return end_all(state, stale, NO_POSITION_LEFT, now)


def is_closing(side: Side, position_side: PositionSide, *, reduce_only: bool) -> bool:
    """Whether an order may only shrink a position: by its flag, in hedge mode by its direction."""
    match position_side:
        case PositionSide.BOTH:
            return reduce_only
        case PositionSide.LONG:
            return side is Side.SELL
        case PositionSide.SHORT:
            return side is Side.BUY


# --- found ------------------------------------------------------------------------------------------------


def by_client_id(state: State, account: Account, client_id: str, instrument: str) -> Order | None:
    """The newest order that has a client id, on one instrument or ("") on any."""
    for order_id in reversed(account.client_ids.get(client_id, [])):
        order = state.orders.get(order_id)
        if order is not None and instrument in ("", order.instrument):
            return order
    return None


# --- the places kept in step ------------------------------------------------------------------------------


def _locked_asset(listing: Listing, side: Side) -> str:
    return listing.quote if side is Side.BUY else listing.base


def _lock(state: State, account: Account, asset: str, amount: Decimal) -> None:
    balance = account.balance(asset)
    put_balance(state, account.spec.account, asset, replace(balance, locked=balance.locked + amount))


def _retire(state: State, order: Order) -> None:
    """Out of the queue and the open orders, into the history."""
    account = state.accounts[order.account]
    if account.open.pop(order.order_id, None) is not None:
        state.units.pop(order.order_id, None)
        market = state.markets[order.instrument]
        if order.price is None:
            raise ValueError(f"order {order.order_id} rested without a price")
        queue, key = (market.buys, -order.price) if order.side is Side.BUY else (market.sells, order.price)
        del queue[bisect_left(queue, (key, order.order_id))]
    account.closed.append(order.order_id)
    most = state.rules.history_max
    if len(account.closed) > most + most // 4 + 16:
        _forget(state, account, len(account.closed) - most)


def _forget(state: State, account: Account, count: int) -> None:
    """Drop the oldest closed orders. Where ids are unique for ever, what they were called is kept."""
    for order_id in account.closed[:count]:
        order = state.orders.pop(order_id)
        if order.client_id and state.rules.unique_ids == "open":
            ids = account.client_ids[order.client_id]
            ids.remove(order_id)
            if not ids:
                del account.client_ids[order.client_id]
    del account.closed[:count]
