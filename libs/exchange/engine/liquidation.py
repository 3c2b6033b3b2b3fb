"""What happens when margin does not suffice, or when the venue closes a position for other reasons.

The rule, close to Binance's: margin at or below maintenance -> the orders of the pool are canceled -> its
positions are taken over at the mark (to the tick, as every trade), winners first -> a fee (the listing's
`liquidation_fee` of the notional, at most what is left) goes to the insurance fund -> what is missing comes
from it, so that no wallet is below zero. All at once: no partial liquidation by tiers.

- An isolated position stands for itself: its loss ends with its margin, the fund pays what is beyond.
- A UNIFIED account sells coins at the mark, the largest holding first, when USDT does not cover the losses;
  debts are repaid when they alone are still too much.
- A MARGIN account whose level is at or below 1.1 has all its debts repaid out of its coins.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Literal

from libs.common.instant import Now
from libs.common.subjects import Kind
from libs.exchange.engine import contracts
from libs.exchange.engine.coins import raise_usd, repay_all
from libs.exchange.engine.collateral import LIQUIDATION_LEVEL, ONE, assets_usd, in_debt, liabilities_usd
from libs.exchange.engine.commands import Deleverage, Event, Liquidate, Reason, Refused
from libs.exchange.engine.ledger import money, move
from libs.exchange.engine.margin import set_aside
from libs.exchange.engine.orders import cancel_all, end_all
from libs.exchange.engine.pools import asset_of, mark_of, pool_of, unrealised
from libs.exchange.engine.positions import apply_fill
from libs.exchange.engine.state import INSURANCE, USD, Account, State
from libs.exchange.engine.tiers import maintenance
from libs.exchange.engine.transfers import check_amount
from libs.exchange.engine.types import (
    ZERO,
    AccountKind,
    EntryKind,
    Listing,
    MarginMode,
    Position,
    PositionSide,
    Side,
)

Cause = Literal["liquidation", "adl", "delivery"]
REASON = "margin does not suffice any more: liquidation"


def after_change(state: State, account_id: str, now: Now) -> list[Event]:
    """Liquidate what is due at the current marks; nothing for an account that stands well."""
    account = state.accounts[account_id]
    match account.spec.kind:
        case AccountKind.SPOT:
            return []
        case AccountKind.MARGIN:
            return _margin_call(state, account, now)
        case AccountKind.FUTURES | AccountKind.UNIFIED:
            events = _isolated(state, account, now) if account.positions else []
            for asset in _pools(state, account):
                events += _cross(state, account, asset, now)
            return events


def deleverage(state: State, command: Deleverage, now: Now) -> list[Event]:
    """ADL: part of a position is closed at a given price, without any fee; orders stay.

    Refused: UNKNOWN_ACCOUNT, UNKNOWN_INSTRUMENT, NO_POSITION, BAD_VALUE (more than is held).
    """
    position = _held(state, command.account, command.instrument, command.position_side)
    check_amount(command.quantity)
    check_amount(command.price)
    if command.quantity > abs(position.quantity):
        raise Refused(Reason.BAD_VALUE, f"{abs(position.quantity):f} are held, not {command.quantity:f}")
    return close(state, position, command.quantity, command.price, cause="adl", now=now)


def liquidate(state: State, command: Liquidate, now: Now) -> list[Event]:
    """Take a position over at the mark, whatever its margin says; its instrument's orders are canceled.

    Refused: UNKNOWN_ACCOUNT, UNKNOWN_INSTRUMENT, NO_POSITION.
    """
    position = _held(state, command.account, command.instrument, command.position_side)
    account = state.accounts[command.account]
    events = cancel_all(state, command.account, command.instrument, REASON, now)
    if account.spec.kind is AccountKind.UNIFIED:
        events += _cash(state, account, [position], now)
    events += _take_over(state, account, [position], now)
    return events + after_change(state, command.account, now)


def close(
    state: State, position: Position, quantity: Decimal, price: Decimal, *, cause: Cause, now: Now
) -> list[Event]:
    """A fill by the venue, at the tick next to `price`. An isolated position pays no more than what it had
    set aside for this part.
    """
    price = on_tick(state.markets[position.instrument].listing, price)
    events: list[Event] = []
    if position.margin_mode is MarginMode.ISOLATED:
        side = Side.SELL if position.quantity > 0 else Side.BUY
        after, realised = apply_fill(position, side, quantity, price)
        beyond = -(realised + position.isolated_margin - after.isolated_margin)
        if beyond > 0:
            asset = state.markets[position.instrument].listing.quote
            events += _insure(state, state.accounts[position.account], asset, beyond, now)
    events += contracts.force(
        state,
        now,
        account_id=position.account,
        instrument=position.instrument,
        position_side=position.side,
        quantity=quantity,
        price=price,
        cause=cause,
    )
    return events


def _margin_call(state: State, account: Account, now: Now) -> list[Event]:
    if not in_debt(account):
        return []
    liabilities = liabilities_usd(state, account)
    if assets_usd(state, account) > LIQUIDATION_LEVEL * liabilities:
        return []
    events = cancel_all(state, account.spec.account, "", REASON, now)
    return events + repay_all(state, account, now)


def _pools(state: State, account: Account) -> list[str]:
    """The assets whose pools hold positions or debts."""
    if account.spec.kind is AccountKind.UNIFIED:
        return [USD] if account.positions or in_debt(account) else []
    return list(dict.fromkeys(state.markets[key].listing.quote for key in account.positions))


def _isolated(state: State, account: Account, now: Now) -> list[Event]:
    events: list[Event] = []
    for position in [
        one
        for sides in account.positions.values()
        for one in sides.values()
        if one.margin_mode is MarginMode.ISOLATED
    ]:
        market = state.markets[position.instrument]
        mark = mark_of(market, position)
        needed = maintenance(market.listing, abs(position.quantity) * mark)
        if position.isolated_margin + unrealised(position, mark) > needed:
            continue
        events += cancel_all(state, account.spec.account, position.instrument, REASON, now)
        events += _take_over(state, account, [position], now)
    return events


def _cross(state: State, account: Account, asset: str, now: Now) -> list[Event]:
    pool, unified = pool_of(state, account, asset), account.spec.kind is AccountKind.UNIFIED
    if pool.equity > pool.maintenance:
        return []
    positions = [
        position
        for key, sides in account.positions.items()
        if asset_of(account, state.markets[key].listing) == asset
        for position in sides.values()
        if unified or position.margin_mode is MarginMode.CROSS
    ]
    if not positions and pool.equity >= 0 and not pool.debts:
        return []
    events = _cancel_pool(state, account, asset, now)
    if unified:
        events += _cash(state, account, positions, now)
    else:
        # Isolated margins lie in the same wallet: they must not pay for what the cross part lacks.
        profit = sum((_profit(state, one) for one in positions), ZERO)
        events += _insure(state, account, asset, max(-pool.backing - profit, ZERO), now)
    events += _take_over(state, account, positions, now)
    if unified and in_debt(account):
        left = pool_of(state, account, asset)
        if left.equity <= left.maintenance:
            events += repay_all(state, account, now)
    return events


def _take_over(state: State, account: Account, positions: list[Position], now: Now) -> list[Event]:
    """Close whole positions at the mark, winners first since gains pay for losses; then the fees."""
    events: list[Event] = []
    fees: list[tuple[Position, Decimal]] = []
    for position in sorted(positions, key=lambda one: -_profit(state, one)):
        price = _closing_price(state, position)
        most = None
        if position.margin_mode is MarginMode.ISOLATED:
            most = max(position.isolated_margin + unrealised(position, price), ZERO)
        rate = state.markets[position.instrument].listing.liquidation_fee
        fee = money(abs(position.quantity) * price * rate)
        fees.append((position, fee if most is None else min(fee, most)))
        events += close(state, position, abs(position.quantity), price, cause="liquidation", now=now)
    for position, fee in fees:
        events += _pay_fee(state, account, position, fee, now)
    return events


def _pay_fee(state: State, account: Account, position: Position, fee: Decimal, now: Now) -> list[Event]:
    name, asset = account.spec.account, state.markets[position.instrument].listing.quote
    left = account.balance(asset).free - set_aside(state, account, asset)
    return move(
        state,
        now,
        source=name,
        target=INSURANCE,
        asset=asset,
        amount=max(min(fee, left), ZERO),
        kind=EntryKind.LIQUIDATION_FEE,
        instrument=position.instrument,
        ref="liquidation",
    )


def _cancel_pool(state: State, account: Account, asset: str, now: Now) -> list[Event]:
    """All orders of a unified account; else those of the contracts that settle in the asset."""
    orders = state.open_orders(account, "")
    if account.spec.kind is not AccountKind.UNIFIED:
        orders = [order for order in orders if _settles_in(state, order.instrument, asset)]
    return end_all(state, orders, REASON, now)


def _settles_in(state: State, key: str, asset: str) -> bool:
    listing = state.markets[key].listing
    return listing.kind is not Kind.SPOT and listing.quote == asset


def _cash(state: State, account: Account, positions: list[Position], now: Now) -> list[Event]:
    """Coins sold for what the positions will lose beyond the account's USDT."""
    loss = -sum(
        (_profit(state, one) for one in positions if state.markets[one.instrument].listing.quote == USD), ZERO
    )
    if loss <= account.balance(USD).free:
        return []
    events = cancel_all(state, account.spec.account, "", REASON, now)
    return events + raise_usd(state, account, loss, now)


def on_tick(listing: Listing, price: Decimal) -> Decimal:
    """The tick next to a price, at least one: a trade has no other prices, whatever the mark has. A wire that
    cut the digits would tell a price that its own PnL does not follow from.
    """
    ticks = (price / listing.price_tick).to_integral_value(rounding=ROUND_HALF_EVEN)
    return max(ticks, ONE) * listing.price_tick


def _closing_price(state: State, position: Position) -> Decimal:
    market = state.markets[position.instrument]
    return on_tick(market.listing, mark_of(market, position))


def _profit(state: State, position: Position) -> Decimal:
    return unrealised(position, _closing_price(state, position))


def _insure(state: State, account: Account, asset: str, amount: Decimal, now: Now) -> list[Event]:
    return move(
        state,
        now,
        source=INSURANCE,
        target=account.spec.account,
        asset=asset,
        amount=amount,
        kind=EntryKind.INSURANCE,
        ref="liquidation",
    )


def _held(state: State, account_id: str, instrument: str, side: PositionSide) -> Position:
    account = state.account(account_id)
    state.contract(instrument)
    position = account.position(instrument, side)
    if position is None:
        raise Refused(Reason.NO_POSITION, f"{account_id} has no {side} position of {instrument}")
    return position
