"""The two ways in which a debt's principal moves: coins come from the lender, coins go back to it."""

from __future__ import annotations

from decimal import Decimal

from msgspec.structs import replace

from libs.common.instant import Now
from libs.exchange.engine.commands import Event
from libs.exchange.engine.ledger import move, put_balance
from libs.exchange.engine.state import LENDER, Account, State
from libs.exchange.engine.types import EntryKind


def lend(
    state: State, account: Account, asset: str, amount: Decimal, now: Now, *, ref: str = ""
) -> list[Event]:
    """Coins from the lender, owed from now on; the caller has checked that they may be borrowed."""
    if not amount:
        return []
    name = account.spec.account
    balance = account.balance(asset)
    put_balance(state, name, asset, replace(balance, borrowed=balance.borrowed + amount))
    return move(
        state, now, source=LENDER, target=name, asset=asset, amount=amount, kind=EntryKind.BORROW, ref=ref
    )


def pay_back(state: State, account: Account, asset: str, amount: Decimal, now: Now) -> list[Event]:
    """Interest first, then principal; `amount` is free and at most what is owed."""
    name, balance = account.spec.account, account.balance(asset)
    interest = min(amount, balance.interest)
    left = replace(
        balance,
        interest=balance.interest - interest,
        borrowed=balance.borrowed - (amount - interest),
    )
    put_balance(state, name, asset, left)
    return move(state, now, source=name, target=LENDER, asset=asset, amount=amount, kind=EntryKind.REPAY)
