"""Coins for a short spot leg: lent before anything is sold. Pure."""

from __future__ import annotations

from decimal import Decimal

from libs.common.instant import US_PER_SEC
from services.executor import dust, loans
from services.executor.debts import asset_of, owed_of, sharers_of, short_leg, stuck_of
from services.executor.lane import Draft, Lane, plan_of
from services.executor.lending import Debt
from services.executor.model import IntentState, Purpose, State, Trigger
from services.executor.steps import last_reason


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
        _not_lent(lane, draft, leg, _untold(lane, leg, rules.step))
        return False
    _borrow(lane, draft, leg, step=rules.step)
    return False


def _borrow(lane: Lane, draft: Draft, leg: int, *, step: Decimal) -> None:
    """The loan, or a look that is waited for first."""
    if lane.loan.seen is not None and _is_others_turn(lane, leg, lane.loan.seen, step=step):
        lane.world.claims.free(asset_of(lane, leg), lane.pair, draft.now.mono_us)
        loans.ask(lane, draft, leg)
        return
    debt = loans.fresh(lane, draft, leg, after_us=lane.entered_us)
    if debt is not None and not _is_others_turn(lane, leg, debt, step=step):
        amount = draft.state.legs[leg].quantity - plan_of(draft).goals[leg]
        loans.move(lane, draft, leg, Purpose.BORROW, amount, before=debt.borrowed)


def _is_others_turn(lane: Lane, leg: int, debt: Debt, *, step: Decimal) -> bool:
    """Whether another pair with the coin has something to find out first, for which the claim is left to it:
    what its repayment has left owed; or a recall, since less is owed than the pairs have borrowed: it would
    look as if it had been of this loan. Nor is anything lent beside one before a look has told which coins
    are the user's, from which those of the loan are told apart later.

    `step`: less is interest that was shared otherwise. Nobody finds out what an idle pair has left owed.
    """
    sharers = _busy(lane, leg)
    waits = lane.loan.blind or _misses(lane, leg, debt, step) or any(map(loans.is_unverified, sharers))
    return bool(sharers) and waits


def _busy(lane: Lane, leg: int) -> list[Lane]:
    """The other pairs with the coin that do not rest."""
    return [one for one in sharers_of(lane, asset_of(lane, leg)) if one.state.state is not State.IDLE]


def _misses(lane: Lane, leg: int, debt: Debt, step: Decimal) -> bool:
    """Whether less is owed than these pairs have borrowed."""
    return owed_of((lane, *_busy(lane, leg)), asset_of(lane, leg)) - debt.borrowed >= step


def _untold(lane: Lane, leg: int, step: Decimal) -> str:
    """Why nothing was lent in time."""
    text = "what is owed, and what coins are there, could not be told before borrowing"
    stuck = [one for one in stuck_of(lane, asset_of(lane, leg)) if any(held.owed for held in one.state.legs)]
    if not stuck or lane.loan.seen is None or not _misses(lane, leg, lane.loan.seen, step):
        return text
    return f"{text}: {stuck[0].pair} is stuck with a loan of that coin, reset it"


def _not_lent(lane: Lane, draft: Draft, leg: int, reason: str) -> None:
    """Nothing was borrowed, so nothing is sent."""
    lane.world.claims.free(asset_of(lane, leg), lane.pair, draft.now.mono_us)
    dust.to_dust(lane, draft)
    draft.move(Trigger.NOTHING_FILLED, reason)
    draft.set(plan=None)
