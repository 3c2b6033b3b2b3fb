"""Coins for a short spot leg: lent before anything is sold. Pure."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from libs.common.instant import US_PER_SEC
from services.executor import dust, loans
from services.executor.debts import RESIDUE_SHARE, asset_of, owed_of, put_leg, sharers_of, short_leg
from services.executor.lane import Draft, Lane, plan_of
from services.executor.lending import Debt
from services.executor.model import IntentState, Purpose, Trigger
from services.executor.steps import last_reason

replace = msgspec.structs.replace


def lent(lane: Lane, draft: Draft) -> bool:
    """Whether the coins of this attempt are there; else on the way to them, or the attempt has ended.

    One loan for the whole goal, before anything is sold.
    """
    leg = short_leg(draft)
    rules = None if leg is None else lane.rules(leg)
    if leg is None or rules is None or draft.state.legs[leg].borrowed >= rules.step:
        return True
    asked = loans.last_of(draft, Purpose.BORROW)
    if asked is not None and asked.attempt == draft.state.attempt:
        held, recalled = draft.state.legs[leg], asked.state is IntentState.DONE
        if recalled and (not draft.state.is_flat or held.owed >= rules.step):
            return True  # recalled after a part was sold: what stands is judged as after any failed order
        if recalled and not loans.cleared(lane, draft):
            return False
        _not_lent(lane, draft, leg, "recalled" if recalled else last_reason(draft, Purpose.BORROW))
        return False
    patience_us = int(lane.world.config.timeouts.open_timeout_sec * US_PER_SEC)
    if draft.now.mono_us - lane.entered_us > patience_us:
        _not_lent(
            lane, draft, leg, "what is owed, and what coins are there, could not be told before borrowing"
        )
        return False
    debt = loans.fresh(lane, draft, leg, after_us=lane.entered_us)
    if debt is not None:
        _borrow(lane, draft, leg, debt, step=rules.step)
    return False


def _borrow(lane: Lane, draft: Draft, leg: int, debt: Debt, *, step: Decimal) -> None:
    """Beside another pair with the coin not before a look has told which coins are the user's, from which
    those of the loan are told apart later, and what the other one's repayment has left owed; and not while
    less is owed than the pairs have borrowed: a recall of the other one's is yet to be booked, and would look
    as if it had been of this loan. `step`: less is interest that was shared otherwise.
    """
    asset, lanes = asset_of(lane, leg), lane.world.lanes.values()
    held, owed, sharers = draft.state.legs[leg], owed_of(lanes, asset), sharers_of(lane, asset)
    untold = (bool(sharers) and lane.loan.blind) or any(loans.is_unverified(one) for one in sharers)
    if untold or owed - debt.borrowed >= step:
        loans.fresh(lane, draft, leg, after_us=debt.asked_us)
        return
    known = all(one.loaded for one in sharers)
    only_ours = known and debt.borrowed <= owed * (1 + RESIDUE_SHARE)
    put_leg(draft, leg, replace(held, only_ours=only_ours))
    amount = held.quantity - plan_of(draft).goals[leg]
    loans.move(lane, draft, leg, Purpose.BORROW, amount, before=debt.borrowed)


def _not_lent(lane: Lane, draft: Draft, leg: int, reason: str) -> None:
    """Nothing was borrowed, so nothing is sent."""
    lane.world.claims.free(asset_of(lane, leg), lane.pair, draft.now.mono_us)
    dust.to_dust(lane, draft)
    draft.move(Trigger.NOTHING_FILLED, reason)
    draft.set(plan=None)
