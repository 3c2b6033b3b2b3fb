"""Where the money for a contracts loss comes from when the wallet has not enough of it.

A wallet never goes below zero. What is missing is found in this order, each step for what the ones before
left over:

1. Spot orders that lock the asset are canceled.
2. Unrealised profit of the account's cross positions in the same asset is realised at the mark, the largest
   first: the position's cost moves by what is drawn, so that equity stays as it is. (Binance lets such a
   wallet go negative; Deribit's daily settlement moves the same money the same way.)
3. A unified account borrows the asset against its coins, as Bitget's unified account does, as far as what
   it holds is worth more than what it owes.
4. The insurance fund pays.
"""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal
from typing import Final

from msgspec.structs import replace

from libs.common.instant import Now
from libs.exchange.engine.collateral import assets_usd, liabilities_usd, value
from libs.exchange.engine.commands import Event, Positioned
from libs.exchange.engine.debts import lend
from libs.exchange.engine.ledger import move
from libs.exchange.engine.orders import end_all
from libs.exchange.engine.pools import mark_of, unrealised
from libs.exchange.engine.positions import MONEY_STEP, with_cost
from libs.exchange.engine.state import INSURANCE, MARKET, Account, State
from libs.exchange.engine.types import (
    ZERO,
    AccountKind,
    EntryKind,
    MarginMode,
    Order,
    Position,
    Side,
)

ROOM_FOR_LOSS: Final = "its coins are needed for a loss on contracts"


def make_good(
    state: State, account_id: str, asset: str, due: Decimal, now: Now, *, instrument: str = "", ref: str = ""
) -> list[Event]:
    """See to it that the wallet has `due` (> 0) of the asset free. It always succeeds."""
    account = state.accounts[account_id]
    events: list[Event] = []
    if account.balance(asset).free >= due:
        return events
    if account.balance(asset).locked:
        events += end_all(state, _locking(state, account, asset), ROOM_FOR_LOSS, now)
    events += _from_profits(state, account, asset, due, now, ref=ref)
    missing = due - account.balance(asset).total
    if missing > 0 and account.spec.kind is AccountKind.UNIFIED:
        events += _lent(state, account, asset, missing, now, ref=ref)
    missing = due - account.balance(asset).total
    if missing > 0:
        events += move(
            state,
            now,
            source=INSURANCE,
            target=account_id,
            asset=asset,
            amount=missing,
            kind=EntryKind.INSURANCE,
            instrument=instrument,
            ref=ref,
        )
    return events


def profits(state: State, account: Account, asset: str) -> list[tuple[Decimal, Position]]:
    """Unrealised PnL of the cross positions that settle in an asset, the largest first."""
    found = [
        (unrealised(position, mark_of(state.markets[key], position)), position)
        for key, sides in account.positions.items()
        if state.markets[key].listing.quote == asset
        for position in sides.values()
        if position.margin_mode is MarginMode.CROSS
    ]
    return sorted(found, key=lambda pair: (-pair[0], pair[1].instrument, pair[1].side))


def _from_profits(
    state: State, account: Account, asset: str, due: Decimal, now: Now, *, ref: str
) -> list[Event]:
    events: list[Event] = []
    for profit, position in profits(state, account, asset):
        part = min(due - account.balance(asset).total, profit)
        if part <= 0:
            break
        drawn = with_cost(position, position.cost + part)
        drawn = replace(drawn, realised=position.realised + part, updated_us=now.wall_us)
        state.put_position(drawn)
        events += move(
            state,
            now,
            source=MARKET,
            target=account.spec.account,
            asset=asset,
            amount=part,
            kind=EntryKind.PNL,
            instrument=position.instrument,
            ref=ref,
        )
        events.append(Positioned(position=drawn, cause="settings"))
    return events


def _lent(state: State, account: Account, asset: str, missing: Decimal, now: Now, *, ref: str) -> list[Event]:
    price = value(state, asset)
    if not price:
        return []
    worth = (assets_usd(state, account) - liabilities_usd(state, account)) / price
    amount = min(missing, max(worth, ZERO))
    if amount < missing:
        amount = amount.quantize(MONEY_STEP, rounding=ROUND_DOWN)
    return lend(state, account, asset, amount, now, ref=ref)


def _locking(state: State, account: Account, asset: str) -> list[Order]:
    """The open spot orders that lock an asset."""
    found = []
    for order_id in account.open:
        if order_id in state.units:
            order = state.orders[order_id]
            listing = state.markets[order.instrument].listing
            if asset == (listing.quote if order.side is Side.BUY else listing.base):
                found.append(order)
    return found
