"""Margin of contracts: what backs positions, what they need, what is left; all figures at current marks.

A *pool* is what positions share. A FUTURES account has one for each settlement asset (Binance, single-asset
mode): the wallet less what isolated positions have set aside. A UNIFIED account has one, in USDT, made of
all its coins (`collateral`). A contract without a mark stands at its entry price.

    equity      = cross wallet + unrealised PnL of cross positions (less debts)
    initial     = notional / leverage of cross positions + isolated margins + what open orders need (+ debts)
    maintenance = brackets (+ debts)             # cross only; isolated positions stand for themselves
    available   = cross wallet + cross unrealised - initial of the cross part - open orders
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from libs.exchange.engine.collateral import (
    COIN_RATIO,
    DEBT_INITIAL,
    DEBT_MAINTENANCE,
    collateral_usd,
    liabilities_usd,
    value,
)
from libs.exchange.engine.demand import beyond, open_interests
from libs.exchange.engine.state import USD, Account, Market, State
from libs.exchange.engine.tiers import leverage_max, maintenance
from libs.exchange.engine.types import ZERO, AccountKind, Listing, MarginMode, Position


class Pool(msgspec.Struct):
    """Sums over an account's positions, in the pool's asset. `backing`: wallets without isolated margins."""

    backing: Decimal = ZERO
    debts: Decimal = ZERO
    unrealised: Decimal = ZERO
    unrealised_isolated: Decimal = ZERO
    initial: Decimal = ZERO
    isolated: Decimal = ZERO
    maintenance: Decimal = ZERO

    @property
    def equity(self) -> Decimal:
        return self.backing - self.debts + self.unrealised


def leverage_of(account: Account, listing: Listing) -> int:
    """The leverage in force: what was chosen (or the default), at most what the market allows at all."""
    return min(account.settings_of(listing.key).leverage, leverage_max(listing))


def mark_of(market: Market, position: Position) -> Decimal:
    """The mark, or the entry price as long as there was none."""
    return market.mark if market.mark is not None else position.entry_price


def unrealised(position: Position, mark: Decimal) -> Decimal:
    """Price PnL at a mark, exact."""
    return position.quantity * mark - position.cost


def asset_of(account: Account, listing: Listing) -> str:
    """In which pool a contract is: its settlement asset's, or the one of a unified account."""
    return USD if account.spec.kind is AccountKind.UNIFIED else listing.quote


def rate_of(state: State, account: Account, listing: Listing) -> Decimal:
    """What one unit of the contract's settlement asset is in the pool's asset."""
    if account.spec.kind is not AccountKind.UNIFIED or listing.quote == USD:
        return Decimal(1)
    return value(state, listing.quote) or ZERO


def pool_of(state: State, account: Account, asset: str) -> Pool:
    """The pool of an asset, at the current marks."""
    pool, unified = Pool(), account.spec.kind is AccountKind.UNIFIED
    if unified:
        pool.backing = collateral_usd(state, account)
        debts = liabilities_usd(state, account)
        pool.debts, pool.initial, pool.maintenance = debts, debts * DEBT_INITIAL, debts * DEBT_MAINTENANCE
    else:
        pool.backing = account.balance(asset).total
    for key, sides in account.positions.items():
        market = state.markets[key]
        if unified or market.listing.quote == asset:
            rate = rate_of(state, account, market.listing) if unified else None
            for position in sides.values():
                _add(pool, position, market, rate)
    pool.backing -= pool.isolated
    return pool


def _add(pool: Pool, position: Position, market: Market, rate: Decimal | None) -> None:
    """One position's part. `rate` None stands for 1: this runs for every mark of every account."""
    mark = market.mark if market.mark is not None else position.entry_price
    worth = position.quantity * mark
    profit, notional = worth - position.cost, abs(worth)
    if position.margin_mode is MarginMode.ISOLATED:
        pool.isolated += position.isolated_margin if rate is None else position.isolated_margin * rate
        pool.unrealised_isolated += profit if rate is None else profit * rate
        return
    initial, needed = notional / position.leverage, maintenance(market.listing, notional)
    if rate is not None:
        profit, initial, needed = profit * rate, initial * rate, needed * rate
    pool.unrealised += profit
    pool.initial += initial
    pool.maintenance += needed


def available(state: State, account: Account, asset: str, pool: Pool | None = None) -> Decimal:
    """What a new order may still use; below zero when losses have eaten into what positions need.

    A resting spot buy of a unified account will turn USDT into a coin, so that of what it locks only the
    coin's ratio counts.
    """
    pool = pool or pool_of(state, account, asset)
    left = pool.equity - pool.initial - open_orders_initial(state, account, asset)
    if account.spec.kind is AccountKind.UNIFIED:
        left -= account.balance(USD).locked * (1 - COIN_RATIO)
    return left


def open_orders_initial(state: State, account: Account, asset: str) -> Decimal:
    """What all resting orders of a pool need beyond the positions."""
    total = ZERO
    if not account.open:
        return total
    for key, sides in open_interests(state, account).items():
        listing = state.markets[key].listing
        if asset_of(account, listing) == asset:
            total += beyond(sides) / leverage_of(account, listing) * rate_of(state, account, listing)
    return total
