"""Borrowed coins: taken from the lender, interest by the hour, paid back.

A debt is `borrowed` + `interest` of the asset's balance. Interest accrues on the principal (Binance: hourly,
simple), rounded up to 8 decimals so that no debt is free; it is a ledger line that moves no coin. A
repayment goes to interest first, then to principal. Interest may be what liquidates an account.
"""

from __future__ import annotations

from decimal import ROUND_UP, Decimal
from typing import Final

from msgspec.structs import replace

from libs.common.instant import Now
from libs.exchange.engine.collateral import BORROWING, owed
from libs.exchange.engine.commands import AccrueInterest, Borrow, Event, Reason, Refused, Repay
from libs.exchange.engine.debts import lend, pay_back
from libs.exchange.engine.ledger import put_balance, record
from libs.exchange.engine.liquidation import after_change
from libs.exchange.engine.margin import max_borrow
from libs.exchange.engine.positions import MONEY_STEP
from libs.exchange.engine.state import Account, State
from libs.exchange.engine.transfers import check_amount
from libs.exchange.engine.types import EntryKind

HOURLY_RATE_MAX: Final = Decimal("0.01")


def borrow(state: State, command: Borrow, now: Now) -> list[Event]:
    """Refused: NOT_ALLOWED, BAD_VALUE, BORROW_LIMIT."""
    account = _borrower(state, command.account)
    check_amount(command.amount)
    _check_limit(state, account, command.asset, command.amount)
    return lend(state, account, command.asset, command.amount, now)


def repay(state: State, command: Repay, now: Now) -> list[Event]:
    """At most what is owed. Refused: NOT_ALLOWED, BAD_VALUE, NOTHING_BORROWED, INSUFFICIENT_BALANCE."""
    account = _borrower(state, command.account)
    check_amount(command.amount)
    balance = account.balance(command.asset)
    amount = min(command.amount, owed(balance))
    if not amount:
        raise Refused(Reason.NOTHING_BORROWED, f"no {command.asset} is owed")
    if balance.free < amount:
        detail = f"{balance.free:f} {command.asset} is free, {amount:f} was to be repaid"
        raise Refused(Reason.INSUFFICIENT_BALANCE, detail)
    return pay_back(state, account, command.asset, amount, now)


def accrue(state: State, command: AccrueInterest, now: Now) -> list[Event]:
    """An hour of interest for every debt in the asset; an hour that was charged already changes nothing."""
    rate = command.hourly_rate
    if not rate.is_finite() or not 0 <= rate <= HOURLY_RATE_MAX:
        raise Refused(Reason.BAD_VALUE, f"an hourly rate of {rate}")
    last = state.interest_accrued.get(command.asset)
    if last is not None and command.hour_ms <= last:
        return []
    state.interest_accrued[command.asset] = command.hour_ms
    events: list[Event] = []
    for name, account in state.accounts.items():
        balance = account.balance(command.asset)
        due = (balance.borrowed * rate).quantize(MONEY_STEP, rounding=ROUND_UP)
        if not due:
            continue
        put_balance(state, name, command.asset, replace(balance, interest=balance.interest + due))
        events.append(
            record(
                state,
                now,
                account=name,
                asset=command.asset,
                amount=-due,
                kind=EntryKind.INTEREST,
                ref=f"{command.asset}@{command.hour_ms}",
            )
        )
        events += after_change(state, name, now)
    return events


def auto_borrow(state: State, account_id: str, asset: str, missing: Decimal, now: Now) -> list[Event]:
    """What an order lacks; refused as `borrow` is, before anything changed."""
    account = _borrower(state, account_id)
    _check_limit(state, account, asset, missing)
    return lend(state, account, asset, missing, now)


def auto_repay(state: State, account_id: str, asset: str, received: Decimal, now: Now) -> list[Event]:
    """Out of what a fill brought in: as much of the debt as that covers; nothing when nothing is owed."""
    account = state.accounts[account_id]
    balance = account.balance(asset)
    amount = min(received, owed(balance), balance.free)
    return pay_back(state, account, asset, amount, now) if amount > 0 else []


def _borrower(state: State, account_id: str) -> Account:
    account = state.account(account_id)
    if account.spec.kind not in BORROWING:
        raise Refused(Reason.NOT_ALLOWED, f"a {account.spec.kind} account borrows nothing")
    return account


def _check_limit(state: State, account: Account, asset: str, amount: Decimal) -> None:
    most = max_borrow(state, account.spec.account, asset)
    if amount > most:
        raise Refused(Reason.BORROW_LIMIT, f"{amount:f} {asset} was wanted, {most:f} may be borrowed")
