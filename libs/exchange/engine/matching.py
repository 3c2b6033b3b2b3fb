"""Which trades an order gets: out of the displayed book when it takes, by others' trades when it rests.

The book is that of the last `SetBook`; what orders have eaten of it stays eaten until a newer one comes. A
resting order fills at its own price, either because a new book shows the other side at or through it (at
most what is displayed there), or because public trades have eaten the size that was displayed ahead of it.
"""

from __future__ import annotations

from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import Final

from libs.common.instant import Now
from libs.common.subjects import Kind
from libs.exchange.engine import contracts, spot
from libs.exchange.engine.commands import Event, Levels, PublicTrade, Reason, Refused, SetBook
from libs.exchange.engine.fills import Match
from libs.exchange.engine.filters import HIGHEST, check_fine
from libs.exchange.engine.orders import end, is_closing, queue
from libs.exchange.engine.pools import asset_of, available
from libs.exchange.engine.state import Account, Half, Market, State
from libs.exchange.engine.types import (
    ZERO,
    Liquidity,
    MarginMode,
    MarketStatus,
    Order,
    OrderStatus,
    PositionSide,
    Side,
)

Limit = Decimal | None

NO_MARGIN_LEFT: Final = "the margin for it is gone"


# --- the displayed book -----------------------------------------------------------------------------------


def opposite(market: Market, side: Side) -> Half:
    """The half that an order of this side takes from."""
    return market.asks if side is Side.BUY else market.bids


def reaches(side: Side, limit: Limit, price: Decimal | None) -> bool:
    """Whether an order with this limit (None: any price) would trade at a price of the other side."""
    if price is None:
        return False
    if limit is None:
        return True
    return price <= limit if side is Side.BUY else price >= limit


def walk(half: Half, side: Side, limit: Limit, quantity: Decimal) -> list[Match]:
    """What a taker of so much base would get, best price first; less in all when the book is too thin."""
    matches, left, eaten = [], quantity, half.eaten
    for index in range(half.at, len(half.levels)):
        price, size = half.levels[index]
        if not left or not reaches(side, limit, price):
            break
        taken = min(size - eaten, left)
        eaten = ZERO
        matches.append(Match(price, taken, Liquidity.TAKER))
        left -= taken
    return matches


def walk_quote(half: Half, quote: Decimal, step: Decimal) -> list[Match]:
    """What a market buy for so much quote would get, in whole steps; the rest of the quote is not spent."""
    matches, left = [], quote
    for price, size in half.left():
        affordable = left / price // step * step
        taken = min(size, affordable)
        if taken:
            matches.append(Match(price, taken, Liquidity.TAKER))
            left -= taken * price
        if taken < size:
            break
    return matches


def eat(half: Half, quantity: Decimal) -> None:
    """Take so much from the best levels; it is there."""
    left = quantity
    while left:
        size = half.levels[half.at][1] - half.eaten
        if left < size:
            half.eaten += left
            return
        left -= size
        half.at += 1
        half.eaten = ZERO


# --- fills of resting orders ------------------------------------------------------------------------------


def fill(state: State, order: Order, match: Match, now: Now) -> list[Event]:
    """Book one match, as the order's market demands."""
    if state.markets[order.instrument].listing.kind is Kind.SPOT:
        return spot.fill(state, order, match, now)
    return contracts.fill(state, order, match, now)


def reducible(account: Account, instrument: str, side: Side, position_side: PositionSide) -> Decimal:
    """How much base an order of this side could close of what is held; 0 when it would add to it."""
    position = account.position(instrument, position_side)
    if position is None or (position.quantity > ZERO) is (side is Side.BUY):
        return ZERO
    return abs(position.quantity)


def set_book(state: State, command: SetBook, now: Now) -> list[Event]:
    """Replace the book by a newer one; resting orders that it trades through are filled."""
    market = state.market(command.instrument)
    if command.version <= market.version:
        return []
    _check_book(command)
    market.bids, market.asks = Half(command.bids), Half(command.asks)
    market.version = command.version
    if market.listing.status is not MarketStatus.TRADING:
        return []
    return _sweep(state, market.buys, market.asks, now) + _sweep(state, market.sells, market.bids, now)


def public_trade(state: State, command: PublicTrade, now: Now) -> list[Event]:
    """Fill resting orders that this trade reached, best price first, oldest first.

    One at the trade's price waits until what was displayed ahead of it has traded; one at a better price has
    been traded through, so nothing is ahead of it any more. Our own orders share the trade's size.
    """
    market = state.market(command.instrument)
    check_fine(command.price, "price")
    check_fine(command.quantity, "quantity")
    if market.listing.status is not MarketStatus.TRADING:
        return []
    resting, side = (market.buys, Side.BUY) if command.taker is Side.SELL else (market.sells, Side.SELL)
    events: list[Event] = []
    left = command.quantity
    for _, order_id in tuple(resting):
        order = state.orders[order_id]
        if not left or not reaches(side, order.price, command.price):
            break
        if not order.is_open:
            continue  # an earlier fill of this trade closed the position that it would have reduced
        if _lacks_margin(state, order):
            events.append(end(state, order, OrderStatus.CANCELED, NO_MARGIN_LEFT, now))
            continue
        ahead = min(order.queue_ahead, left) if order.price == command.price else order.queue_ahead
        if ahead:
            order = queue(state, order, order.queue_ahead - ahead)
        there = left - ahead if order.price == command.price else left
        quantity = min(_fillable(state, order), there)
        if quantity:
            events += _make(state, order, quantity, now)
            left -= quantity
    return events


def _sweep(state: State, resting: list[tuple[Decimal, int]], half: Half, now: Now) -> list[Event]:
    """Fill the resting orders of one side that the other side's book has come to, at their own prices."""
    events: list[Event] = []
    while resting:
        order = state.orders[resting[0][1]]
        shown = sum((match.quantity for match in walk(half, order.side, order.price, order.remaining)), ZERO)
        quantity = min(shown, _fillable(state, order))
        if not quantity:
            break
        if _lacks_margin(state, order):
            events.append(end(state, order, OrderStatus.CANCELED, NO_MARGIN_LEFT, now))
            continue
        eat(half, quantity)
        events += _make(state, order, quantity, now)
    return events


def _make(state: State, order: Order, quantity: Decimal, now: Now) -> list[Event]:
    if order.price is None:
        raise ValueError(f"order {order.order_id} rests without a price")
    return fill(state, order, Match(order.price, quantity, Liquidity.MAKER), now)


def _lacks_margin(state: State, order: Order) -> bool:
    """Whether an order would set margin aside for an isolated position that losses elsewhere have used up:
    its fill would leave those losses to the insurance fund.
    """
    account, listing = state.accounts[order.account], state.markets[order.instrument].listing
    closes = is_closing(order.side, order.position_side, reduce_only=order.reduce_only)
    if listing.kind is Kind.SPOT or closes:
        return False
    position = contracts.held(state, account, order.instrument, order.position_side)
    if position.margin_mode is not MarginMode.ISOLATED:
        return False
    return available(state, account, asset_of(account, listing)) < ZERO


def _fillable(state: State, order: Order) -> Decimal:
    """What remains, for an order that may only reduce at most what is held."""
    if not is_closing(order.side, order.position_side, reduce_only=order.reduce_only):
        return order.remaining
    account = state.accounts[order.account]
    return min(order.remaining, reducible(account, order.instrument, order.side, order.position_side))


# --- books from outside -----------------------------------------------------------------------------------

# 33 digits: below 1e15 with at most 18 decimals, so that price x size adds up in the ledger without rounding.
_PLAIN: Final = Context(prec=33, traps=[Inexact, InvalidOperation])


def _check_book(command: SetBook) -> None:
    """Refused: prices out of order or crossed, numbers not above zero, NaN, digits without end."""
    bids, asks = command.bids, command.asks
    try:
        plain = _is_plain(bids, falling=True) and _is_plain(asks, falling=False)
        crossed = bool(plain and bids and asks and bids[0][0] >= asks[0][0])
    except (Inexact, InvalidOperation):
        plain = crossed = False
    if crossed or not plain:
        what = "crosses" if crossed else "is out of order, or holds no plain numbers"
        raise Refused(Reason.BAD_VALUE, f"the book of {command.instrument} {what}")


def _is_plain(levels: Levels, *, falling: bool) -> bool:
    """Every number enters one exact sum, which is the cheapest look at all their digits."""
    total, last = ZERO, None
    for price, size in levels:
        if size <= ZERO or (last is not None and (price >= last if falling else price <= last)):
            return False
        total = _PLAIN.add(_PLAIN.add(total, price), size)
        last = price
    return not levels or (min(levels[0][0], levels[-1][0]) > ZERO and total < HIGHEST)
