"""A standing position: follow what the venue took, trim drift, shrink on demand, close when told.

Nothing here re-opens a lost leg, and nothing waits for a permit: all of it reduces.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from libs.common.messages import AlertLevel
from services.executor import loans, rebalancing
from services.executor.lane import Draft, Lane
from services.executor.model import ZERO, Plan, Purpose, Trigger
from services.executor.steps import (
    count_try,
    ladder_pause,
    out_of_tries,
    price_for,
    reduce_leg,
    reducible,
    unbalanced,
    worth_keeping,
)

replace = msgspec.structs.replace


def advance(lane: Lane, draft: Draft) -> None:
    """What a held pair needs now, if anything."""
    if unbalanced(lane, draft) and rebalancing.drift(draft) > _threshold(lane):
        if not worth_keeping(lane, draft):
            _lost(lane, draft)
            return
        if draft.state.plan is None:
            _begin(lane, draft, rebalancing.best_plan(lane, draft))
    if draft.state.plan is not None:
        _toward(lane, draft)
    else:
        loans.pay_surplus(lane, draft)


def _threshold(lane: Lane) -> Decimal:
    return Decimal(str(lane.world.config.position.rebalance_threshold))


def _begin(lane: Lane, draft: Draft, plan: Plan) -> None:
    draft.set(plan=plan)
    lane.entered_us = draft.now.mono_us


def follow(lane: Lane, draft: Draft, reason: str) -> None:
    """The venue has taken from a leg: the other one follows within seconds."""
    _begin(lane, draft, replace(rebalancing.trim_plan(draft), purpose=Purpose.FOLLOW, reason=reason))
    draft.alert(AlertLevel.CRITICAL, "venue", f"{draft.state.pair}: {reason}; the other leg follows")
    lane.not_before_us = 0


def shrink(lane: Lane, draft: Draft, ratio: Decimal, full: Decimal, reason: str) -> None:
    """Both legs down to `ratio` of their `full` size, on risk's demand."""
    kept = full * ratio
    goals = [(1 if leg.quantity > 0 else -1) * min(abs(leg.quantity), kept) for leg in draft.state.legs]
    draft.set(plan=Plan(goals=(goals[0], goals[1]), purpose=Purpose.SHRINK, reason=reason))
    lane.entered_us = draft.now.mono_us
    lane.not_before_us = 0


def _lost(lane: Lane, draft: Draft) -> None:
    """What is hedged is below the venues' minimums: nothing is left to hold."""
    reason = "a leg was lost: what is left is too small to be held"
    draft.move(Trigger.LEG_LOST, reason)
    draft.set(plan=Plan(goals=(ZERO, ZERO), purpose=Purpose.UNWIND, reason=reason))
    draft.alert(AlertLevel.CRITICAL, "leg_lost", f"{draft.state.pair}: {reason}; the rest is unwound")
    lane.not_before_us = 0


def _toward(lane: Lane, draft: Draft) -> None:
    """Another try for each leg over the goal of a trim, a follow or a shrink."""
    plan = draft.state.plan
    if plan is None or _adds(lane, draft, plan):
        return
    over = [leg for leg in (0, 1) if reducible(lane, draft, leg) > 0]
    if not over:
        draft.set(plan=None)
        lane.not_before_us = 0
        return
    if reason := out_of_tries(lane, draft):
        draft.move(Trigger.LEG_LOST, reason)
        draft.set(plan=Plan(goals=(ZERO, ZERO), purpose=Purpose.UNWIND, reason=reason))
        draft.alert(AlertLevel.CRITICAL, "unfollowed", f"{draft.state.pair}: {reason}; it is unwound")
        return
    for leg in over:
        reduce_leg(lane, draft, leg, plan.purpose)
    ladder_pause(lane, draft)


def _adds(lane: Lane, draft: Draft, plan: Plan) -> bool:
    """Where adding is the cheaper way: one try, and what that leaves is trimmed after all."""
    added = rebalancing.to_add(lane, draft)
    if added is None:
        return False
    leg, side, amount = added
    if any(plan.tries):
        _begin(lane, draft, rebalancing.trim_plan(draft))
        return False
    price = price_for(lane, leg, side, lane.world.collar)
    draft.order(leg, side, amount, Purpose.TRIM, price=price, increase=True)
    count_try(draft, leg)
    return True
