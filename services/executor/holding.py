"""A standing position: follow what the venue took, trim drift, shrink on demand, close when told.

What reduces waits for no permit. What adds (the cheaper trim, or the only way back to a hedge when the other
leg's market refuses) has one, fresh prices, and the other leg as its limit.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from libs.common.messages import AlertLevel
from services.executor import loans, rebalancing, slicing
from services.executor.lane import Draft, Lane, plan_of
from services.executor.model import ZERO, Plan, Purpose, Trigger
from services.executor.steps import (
    count_try,
    hedged_goals,
    ladder_pause,
    out_of_tries,
    price_for,
    reduce_leg,
    unbalanced,
    worth_keeping,
)

replace = msgspec.structs.replace

RESTORE_TRIES: Final = 3


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
    """Another try for each leg over the goal of a trim, a follow or a shrink; a shrink goes by slices."""
    plan = draft.state.plan
    if plan is None:
        return
    if plan.purpose is Purpose.RESTORE:
        _restore(lane, draft, plan)
        return
    if _adds(lane, draft, plan):
        return
    if not (over := slicing.over(lane, draft)):
        draft.set(plan=None)
        lane.not_before_us = 0
        return
    if reason := out_of_tries(lane, draft):
        _refused(lane, draft, reason)
        return
    for leg in over:
        reduce_leg(lane, draft, leg, plan.purpose)
    ladder_pause(lane, draft)


def _refused(lane: Lane, draft: Draft, reason: str) -> None:
    """A market has refused for as long as the ladder presses. What is hedged stays hedged: closing the leg
    that trades would leave the other one alone. The smaller leg is brought back where that is allowed, else
    the excess is pressed on with, and then it is a person's.
    """
    if unbalanced(lane, draft) and (plan := rebalancing.restoring_plan(draft, reason)) is not None:
        _begin(lane, draft, plan)
        lane.not_before_us = 0
        draft.alert(
            AlertLevel.CRITICAL, "unfollowed", f"{draft.state.pair}: {reason}; the other leg is added to"
        )
    else:
        _leave(lane, draft, reason)


def _leave(lane: Lane, draft: Draft, reason: str) -> None:
    """ACTIVE -> UNWINDING: only the excess, or, when there is none, on with what was asked for."""
    plan = plan_of(draft)
    goals = hedged_goals(lane, draft) if unbalanced(lane, draft) else plan.goals
    what = "what is hedged stays, the excess is pressed on with" if any(goals) else "it is unwound"
    draft.move(Trigger.LEG_LOST, reason)
    draft.set(plan=Plan(goals=goals, purpose=Purpose.UNWIND, reason=reason))
    draft.alert(AlertLevel.CRITICAL, "unfollowed", f"{draft.state.pair}: {reason}; {what}")
    lane.not_before_us = 0


def _restore(lane: Lane, draft: Draft, plan: Plan) -> None:
    """INCREASE, with risk's permit at each try: the excess stays as it is until the other leg has as much."""
    if not unbalanced(lane, draft) or rebalancing.drift(draft) <= _threshold(lane):
        draft.set(plan=None)
        return
    again = rebalancing.restoring_plan(draft, plan.reason)
    if again is not None:  # allowed now too: the goals are those of the legs as they are now
        draft.set(plan=replace(plan, goals=again.goals))
    added = None if again is None else rebalancing.to_add(lane, draft)
    goes_on = added is not None and (
        max(plan.tries) < RESTORE_TRIES or rebalancing.begins_anew(draft, added[0])
    )
    if added is None or not goes_on:
        _leave(lane, draft, plan.reason)
        return
    leg, side, amount = added
    price = price_for(lane, leg, side, lane.world.collar)
    draft.order(leg, side, amount, Purpose.RESTORE, price=price, increase=True)
    count_try(draft, leg)
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
