"""Money that comes in, leaves, and moves between the accounts of one user."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from libs.common.instant import Now
from libs.exchange.engine.collateral import in_debt
from libs.exchange.engine.commands import Deposit, Event, Reason, Refused, Transfer, Withdraw
from libs.exchange.engine.ledger import move
from libs.exchange.engine.margin import max_withdraw
from libs.exchange.engine.state import OUTSIDE, State
from libs.exchange.engine.types import EntryKind

AMOUNT_MAX: Final = Decimal("1e15")
DECIMALS_MAX: Final = 18


def deposit(state: State, command: Deposit, now: Now) -> list[Event]:
    """Refused: UNKNOWN_ACCOUNT, BAD_VALUE."""
    state.account(command.account)
    check_amount(command.amount)
    return move(
        state,
        now,
        source=OUTSIDE,
        target=command.account,
        asset=command.asset,
        amount=command.amount,
        kind=EntryKind.DEPOSIT,
        ref=command.ref,
    )


def withdraw(state: State, command: Withdraw, now: Now) -> list[Event]:
    """Refused: UNKNOWN_ACCOUNT, BAD_VALUE, INSUFFICIENT_BALANCE, INSUFFICIENT_MARGIN, MARGIN_LEVEL."""
    check_amount(command.amount)
    _check_leaving(state, command.account, command.asset, command.amount)
    return move(
        state,
        now,
        source=command.account,
        target=OUTSIDE,
        asset=command.asset,
        amount=command.amount,
        kind=EntryKind.WITHDRAWAL,
        ref=command.ref,
    )


def transfer(state: State, command: Transfer, now: Now) -> list[Event]:
    """At once and without a fee; refused as a withdrawal is, and NOT_ALLOWED to another user's account."""
    source, target = state.account(command.source), state.account(command.target)
    if source is target or source.spec.user != target.spec.user:
        raise Refused(Reason.NOT_ALLOWED, "a transfer is between two accounts of one user")
    check_amount(command.amount)
    _check_leaving(state, command.source, command.asset, command.amount)
    return move(
        state,
        now,
        source=command.source,
        target=command.target,
        asset=command.asset,
        amount=command.amount,
        kind=EntryKind.TRANSFER,
        ref=command.ref,
    )


def check_amount(amount: Decimal) -> None:
    """Positive, finite, of this world, with at most 18 decimals: sums of such amounts are exact."""
    plain = amount.is_finite() and 0 < amount < AMOUNT_MAX
    if not plain or int(amount.as_tuple().exponent) < -DECIMALS_MAX:
        raise Refused(Reason.BAD_VALUE, f"an amount of {amount}")


def _check_leaving(state: State, account_id: str, asset: str, amount: Decimal) -> None:
    account = state.account(account_id)
    free = account.balance(asset).free
    if amount > free:
        detail = f"{free:f} {asset} is free in {account_id}, {amount:f} was wanted"
        raise Refused(Reason.INSUFFICIENT_BALANCE, detail)
    most = max_withdraw(state, account_id, asset)
    if amount > most:
        reason = Reason.MARGIN_LEVEL if in_debt(account) else Reason.INSUFFICIENT_MARGIN
        raise Refused(reason, f"{most:f} {asset} may leave {account_id}, {amount:f} was wanted")
