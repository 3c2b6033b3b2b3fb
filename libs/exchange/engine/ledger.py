"""Double entry: money only ever moves from one ledger account to another, so that each asset sums to zero.

Ledger accounts are the users' wallets and the house's own (`@market`, `@fees`, `@insurance`, `@lender`,
`@outside`). Wallets never go below zero; the house's accounts may.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal, Inexact, InvalidOperation
from typing import Final, TypeVar

from libs.common.instant import Now
from libs.exchange.engine.commands import Booked, Event
from libs.exchange.engine.state import NO_BALANCE, State
from libs.exchange.engine.types import ZERO, Balance, Entry, EntryKind

QUANTUM: Final = Decimal("1e-8")

Kept = TypeVar("Kept")

# Adding must not round, or the sum over all accounts would drift: 60 digits hold 1e30 with 30 decimals.
_EXACT: Final = Context(prec=60, traps=[Inexact, InvalidOperation])


class Overdrawn(Exception):
    """A wallet would go below zero: whoever moved the money did not check before. Never a user's mistake."""


def money(amount: Decimal) -> Decimal:
    """Rounded to 8 decimals, half-even: fees, funding and interest.

    Both venues book such amounts with at most 8 decimals (Binance's income and commission figures); how
    they round the ninth is not published. Price x quantity is never rounded.
    """
    return amount.quantize(QUANTUM, rounding=ROUND_HALF_EVEN)


def move(
    state: State,
    now: Now,
    *,
    source: str,
    target: str,
    asset: str,
    amount: Decimal,
    kind: EntryKind,
    instrument: str = "",
    ref: str = "",
) -> list[Event]:
    """Move `amount` (>= 0) of an asset; one `Booked` for each wallet of a user, none for an amount of zero.

    Raises `Overdrawn`, with nothing changed, when the source is a wallet that has not so much.
    """
    if not amount:
        return []
    if amount < ZERO:
        raise ValueError(f"{amount} {asset}: money is moved forward, from source to target")
    if source[0] != "@" and state.accounts[source].balance(asset).total < amount:
        raise Overdrawn(f"{source} has not {amount} {asset}")
    events: list[Event] = []
    _post(
        state,
        now,
        events,
        account=source,
        asset=asset,
        amount=-amount,
        kind=kind,
        instrument=instrument,
        ref=ref,
    )
    _post(
        state,
        now,
        events,
        account=target,
        asset=asset,
        amount=amount,
        kind=kind,
        instrument=instrument,
        ref=ref,
    )
    return events


def put_balance(state: State, account_id: str, asset: str, balance: Balance) -> None:
    """Replace an asset's balance: locks and liabilities, which move no money."""
    state.accounts[account_id].balances[asset] = balance


def record(
    state: State,
    now: Now,
    *,
    account: str,
    asset: str,
    amount: Decimal,
    kind: EntryKind,
    instrument: str = "",
    ref: str = "",
) -> Booked:
    """A ledger line of something that moved no money, such as interest that accrued into a liability."""
    owner = state.accounts[account]
    balance = owner.balance(asset)
    state.last_entry_id += 1
    entry = Entry(
        entry_id=state.last_entry_id,
        account=account,
        asset=asset,
        kind=kind,
        amount=amount,
        balance=balance.total,
        instrument=instrument,
        ref=ref,
        wall_us=now.wall_us,
        market_ms=now.market_ms,
    )
    keep(owner.entries, entry, state.rules.history_max)
    return Booked(entry=entry, balance=balance)


def keep(history: list[Kept], item: Kept, most: int) -> None:
    """Append to a history that holds at least the last `most` items, dropping the oldest in batches."""
    history.append(item)
    if len(history) > most + most // 4 + 16:
        del history[: len(history) - most]


def _post(
    state: State,
    now: Now,
    events: list[Event],
    *,
    account: str,
    asset: str,
    amount: Decimal,
    kind: EntryKind,
    instrument: str,
    ref: str,
) -> None:
    if account[0] == "@":
        house = state.house[account]
        house[asset] = _EXACT.add(house.get(asset, ZERO), amount)
        return
    balances = state.accounts[account].balances
    before = balances.get(asset, NO_BALANCE)
    balances[asset] = Balance(
        total=_EXACT.add(before.total, amount),
        locked=before.locked,
        borrowed=before.borrowed,
        interest=before.interest,
    )
    events.append(
        record(
            state,
            now,
            account=account,
            asset=asset,
            amount=amount,
            kind=kind,
            instrument=instrument,
            ref=ref,
        )
    )
