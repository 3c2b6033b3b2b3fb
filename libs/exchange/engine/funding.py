"""Funding, settled at its instant: once, to balance, position and ledger alike.

    payment = -quantity * mark * rate            # rounded half-even to 8 decimals; > 0 received

It goes to or comes from the wallet; in isolated mode the position's own margin grows or shrinks by as much
(not below zero: what is beyond the wallet pays). Whoever the payment leaves with too little is liquidated.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from msgspec.structs import replace

from libs.common.instant import Now
from libs.common.subjects import Kind
from libs.exchange.engine.commands import Event, Positioned, Reason, Refused, SettleFunding
from libs.exchange.engine.contracts import settle_cash
from libs.exchange.engine.ledger import money
from libs.exchange.engine.liquidation import after_change
from libs.exchange.engine.state import MARKET, State
from libs.exchange.engine.transfers import check_amount
from libs.exchange.engine.types import ZERO, EntryKind, MarginMode, Position

RATE_MAX: Final = Decimal(1)


def settle(state: State, command: SettleFunding, now: Now) -> list[Event]:
    """Pay each open position of a perpetual; an instant that was settled already, or an earlier one, changes
    nothing. Refused: UNKNOWN_INSTRUMENT, BAD_VALUE.
    """
    market = state.contract(command.instrument)
    if market.listing.kind is not Kind.PERP:
        raise Refused(Reason.BAD_VALUE, f"{command.instrument} has no funding")
    check_amount(command.mark)
    if not command.rate.is_finite() or abs(command.rate) >= RATE_MAX:
        raise Refused(Reason.BAD_VALUE, f"a funding rate of {command.rate}")
    last = state.funding_settled.get(command.instrument)
    if last is not None and command.settled_ms <= last:
        return []
    state.funding_settled[command.instrument] = command.settled_ms
    events: list[Event] = []
    for name in list(market.holders):
        for side in list(state.accounts[name].positions[command.instrument]):
            position = state.accounts[name].positions[command.instrument][side]
            events += _pay(state, position, command, now)
        events += after_change(state, name, now)
    return events


def _pay(state: State, position: Position, command: SettleFunding, now: Now) -> list[Event]:
    amount = money(-position.quantity * command.mark * command.rate)
    if not amount:
        return []
    events = settle_cash(
        state,
        now,
        account_id=position.account,
        asset=state.markets[command.instrument].listing.quote,
        amount=amount,
        kind=EntryKind.FUNDING,
        counterparty=MARKET,
        instrument=command.instrument,
        ref=f"{command.instrument}@{command.settled_ms}",
    )
    # Finding the cash may have drawn on the position's own profit: it is read again.
    held = state.accounts[position.account].positions[command.instrument][position.side]
    margin = held.isolated_margin
    if held.margin_mode is MarginMode.ISOLATED:
        margin = max(margin + amount, ZERO)
    paid = replace(held, funding=held.funding + amount, isolated_margin=margin, updated_us=now.wall_us)
    state.put_position(paid)
    return [*events, Positioned(position=paid, cause="funding")]
