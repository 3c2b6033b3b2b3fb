"""A contract fill booked: position, realised PnL and fee; and the cash that a contracts account owes.

Nothing here refuses: orders are checked before they are taken, and `losses` finds what a wallet lacks.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from msgspec.structs import replace

from libs.common.instant import Now
from libs.exchange.engine.commands import Event, Ordered, Positioned
from libs.exchange.engine.fees import contract_fee, in_quote
from libs.exchange.engine.fills import Fee, Match, record_fill
from libs.exchange.engine.ledger import move
from libs.exchange.engine.losses import make_good
from libs.exchange.engine.orders import cancel_reducing, filled, register
from libs.exchange.engine.pools import leverage_of
from libs.exchange.engine.positions import apply_fill
from libs.exchange.engine.state import FEES, MARKET, Account, State
from libs.exchange.engine.types import (
    ZERO,
    EntryKind,
    Fill,
    Liquidity,
    Order,
    OrderStatus,
    OrderType,
    Position,
    PositionSide,
    Side,
    TimeInForce,
)


def fill(state: State, order: Order, match: Match, now: Now) -> list[Event]:
    """Fill so much of an order.

    Events: the order with its fill, the ledger lines of PnL and fee, the position; when what was held is
    gone, the cancellation of resting orders (this one too) that could only close it.
    """
    account, listing = state.accounts[order.account], state.markets[order.instrument].listing
    before = held(state, account, order.instrument, order.position_side)
    after, realised = apply_fill(before, order.side, match.quantity, match.price)
    fee = contract_fee(state, account, listing, match) if order.cause == "order" else Fee(listing.quote, ZERO)
    trade = record_fill(state, order, match, fee, realised, now=now)
    position = _stamped(before, after, in_quote(state, fee, listing.quote), now)
    state.put_position(position)
    events: list[Event] = [Ordered(order=filled(state, order, match, now), fill=trade)]
    events += _booked(state, now, trade)
    if position.quantity:  # a loss beyond the wallet may have drawn on its own profit
        position = held(state, account, order.instrument, order.position_side)
    events.append(Positioned(position=position, cause=order.cause))
    if not position.quantity or _flipped(before, position):
        events += cancel_reducing(state, order.account, order.instrument, order.position_side, now)
    return events


def force(
    state: State,
    now: Now,
    *,
    account_id: str,
    instrument: str,
    position_side: PositionSide,
    quantity: Decimal,
    price: Decimal,
    cause: Literal["liquidation", "adl", "delivery"],
) -> list[Event]:
    """A fill that the venue makes: closes `quantity` (> 0, at most what is held) of a position at `price`,
    without fee, by an order of the venue's own. A liquidation's fee is booked by who liquidates.
    """
    account = state.accounts[account_id]
    position = held(state, account, instrument, position_side)
    state.last_order_id += 1
    order = Order(
        order_id=state.last_order_id,
        client_id="",
        account=account_id,
        instrument=instrument,
        side=Side.SELL if position.quantity > ZERO else Side.BUY,
        type=OrderType.MARKET,
        tif=TimeInForce.IOC,
        quantity=quantity,
        price=None,
        reduce_only=True,
        position_side=position_side,
        status=OrderStatus.OPEN,
        created_us=now.wall_us,
        updated_us=now.wall_us,
        cause=cause,
    )
    register(state, account, order)
    return fill(state, order, Match(price, quantity, Liquidity.TAKER), now)


def held(state: State, account: Account, instrument: str, side: PositionSide) -> Position:
    """The account's position, or an empty one with the settings that a new one would have."""
    found = account.position(instrument, side)
    if found is not None:
        return found
    listing = state.markets[instrument].listing
    return Position(
        account=account.spec.account,
        instrument=instrument,
        side=side,
        quantity=ZERO,
        entry_price=ZERO,
        margin_mode=account.settings_of(instrument).margin_mode,
        leverage=leverage_of(account, listing),
    )


def settle_cash(
    state: State,
    now: Now,
    *,
    account_id: str,
    asset: str,
    amount: Decimal,
    kind: EntryKind,
    counterparty: str,
    instrument: str = "",
    ref: str = "",
) -> list[Event]:
    """Pay `amount` to an account (> 0) or take it from there (< 0), whatever the account has.

    What the wallet lacks is found first, wherever `losses` says; so this never fails.
    """
    if amount >= ZERO:
        return move(
            state,
            now,
            source=counterparty,
            target=account_id,
            asset=asset,
            amount=amount,
            kind=kind,
            instrument=instrument,
            ref=ref,
        )
    events = make_good(state, account_id, asset, -amount, now, instrument=instrument, ref=ref)
    return events + move(
        state,
        now,
        source=account_id,
        target=counterparty,
        asset=asset,
        amount=-amount,
        kind=kind,
        instrument=instrument,
        ref=ref,
    )


def _booked(state: State, now: Now, trade: Fill) -> list[Event]:
    quote = state.markets[trade.instrument].listing.quote
    events: list[Event] = []
    for amount, asset, kind, counterparty in (
        (trade.realised, quote, EntryKind.PNL, MARKET),
        (-trade.fee, trade.fee_asset, EntryKind.FEE, FEES),
    ):
        if amount:
            events += settle_cash(
                state,
                now,
                account_id=trade.account,
                asset=asset,
                amount=amount,
                kind=kind,
                counterparty=counterparty,
                instrument=trade.instrument,
                ref=str(trade.trade_id),
            )
    return events


def _flipped(before: Position, after: Position) -> bool:
    """Whether a one-way position went from long to short or back."""
    return bool(before.quantity and after.quantity) and (before.quantity > 0) is not (after.quantity > 0)


def _stamped(before: Position, after: Position, fee: Decimal, now: Now) -> Position:
    """With fee and times; a fill that opens (from nothing or across zero) starts them anew."""
    opens = bool(after.quantity) and (
        not before.quantity or (before.quantity > 0) is not (after.quantity > 0)
    )
    return replace(
        after,
        fees=after.fees + fee,
        opened_us=now.wall_us if opens else after.opened_us,
        updated_us=now.wall_us,
    )
