"""A spot fill booked: both legs against the market, then the fee."""

from __future__ import annotations

from decimal import Decimal

from libs.common.instant import Now
from libs.exchange.engine.borrow import auto_repay
from libs.exchange.engine.commands import Event, Ordered
from libs.exchange.engine.fees import spot_fee
from libs.exchange.engine.fills import Fee, Match, record_fill
from libs.exchange.engine.ledger import move
from libs.exchange.engine.orders import filled, unlock
from libs.exchange.engine.state import FEES, MARKET, State
from libs.exchange.engine.types import ZERO, EntryKind, Order, Side


def fill(state: State, order: Order, match: Match, now: Now) -> list[Event]:
    """Fill so much of an order. What it locked for this quantity is freed, then spent.

    Events: the order with its fill, the ledger lines (what was given, what was got, the fee), and for an
    order that repays debts the repayment out of what it got.
    """
    account, listing = state.accounts[order.account], state.markets[order.instrument].listing
    unlock(state, order, match.quantity)
    ref = str(state.last_trade_id + 1)
    given, got = (listing.quote, match.quote), (listing.base, match.quantity)
    if order.side is Side.SELL:
        given, got = got, given
    booked = _give(state, order, *given, target=MARKET, ref=ref, now=now)
    booked += _get(state, order, *got, source=MARKET, ref=ref, now=now)
    fee = spot_fee(state, account, listing, order.side, match)
    if fee.amount > ZERO:
        booked += _give(state, order, fee.asset, fee.amount, target=FEES, ref=ref, now=now)
    else:
        booked += _get(state, order, fee.asset, -fee.amount, source=FEES, ref=ref, now=now)
    trade = record_fill(state, order, match, fee, ZERO, now=now)
    events: list[Event] = [Ordered(order=filled(state, order, match, now), fill=trade), *booked]
    if order.repays:
        events += _repaid(state, order, got, fee, now)
    return events


def _give(
    state: State, order: Order, asset: str, amount: Decimal, *, target: str, ref: str, now: Now
) -> list[Event]:
    return move(
        state,
        now,
        source=order.account,
        target=target,
        asset=asset,
        amount=amount,
        kind=EntryKind.FEE if target == FEES else EntryKind.TRADE,
        instrument=order.instrument,
        ref=ref,
    )


def _get(
    state: State, order: Order, asset: str, amount: Decimal, *, source: str, ref: str, now: Now
) -> list[Event]:
    return move(
        state,
        now,
        source=source,
        target=order.account,
        asset=asset,
        amount=amount,
        kind=EntryKind.FEE if source == FEES else EntryKind.TRADE,
        instrument=order.instrument,
        ref=ref,
    )


def _repaid(state: State, order: Order, got: tuple[str, Decimal], fee: Fee, now: Now) -> list[Event]:
    """What the fill brought in, less a fee paid in it, goes to what is owed of it."""
    asset, amount = got
    received = amount - (fee.amount if fee.asset == asset else ZERO)
    return auto_repay(state, order.account, asset, received, now)
