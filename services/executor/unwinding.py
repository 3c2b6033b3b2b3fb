"""Bringing legs down to their goals, with ever more force: the ladder of execution.md.

The larger leg comes first, and where both are to go they go by slices: a market that refuses must not make
the other one's leg stand alone.
"""

from __future__ import annotations

from typing import Final

import msgspec

from libs.common.instant import MS_PER_HOUR
from libs.common.messages import AlertLevel
from services.executor import freeing, loans, rebalancing, slicing
from services.executor.alone import why_stuck
from services.executor.debts import in_order
from services.executor.dust import to_dust
from services.executor.lane import Draft, Lane, plan_of
from services.executor.model import ZERO, Plan, Purpose, Trigger
from services.executor.steps import (
    count_try,
    give_up,
    hedged_goals,
    ladder_pause,
    out_of_tries,
    price_for,
    reduce_leg,
    reducible,
    unbalanced,
    worth_keeping,
)
from services.executor.world import Key

replace = msgspec.structs.replace

RESTORE_EVERY: Final = 5
"""After so many tries for the excess the smaller leg is tried once."""

QUARANTINE_AFTER: Final = 3
"""So many unwinds within an hour (market time) ..."""

QUARANTINE_MS: Final = 24 * MS_PER_HOUR
"""... keep the instrument closed for so long."""


def advance(lane: Lane, draft: Draft) -> None:
    """Another try for each leg over its goal, the excess first; the end when none is. By force: both legs."""
    _keep_restored(lane, draft)
    hard = plan_of(draft).hard
    over = [leg for leg in (0, 1) if reducible(lane, draft, leg) > 0] if hard else slicing.over(lane, draft)
    if not over:
        _done(lane, draft)
        return
    reason = out_of_tries(lane, draft)
    if freeing.frees(lane, draft) or _restores(lane, draft, last=bool(reason)):
        return
    if reason:
        give_up(draft, why_stuck(lane, draft, reason, Purpose.UNWIND))
        return
    for leg in in_order(draft, over):
        reduce_leg(lane, draft, leg, Purpose.UNWIND)
    ladder_pause(lane, draft)


def harden(draft: Draft, reason: str) -> None:
    """All of both legs is to go by force, as in a hard close: what was to be kept is not kept any more."""
    draft.set(plan=Plan(goals=(ZERO, ZERO), purpose=Purpose.UNWIND, hard=True, reason=reason))
    draft.lane.entered_us = draft.now.mono_us
    draft.lane.not_before_us = 0


def _restores(lane: Lane, draft: Draft, *, last: bool) -> bool:
    """Whether the smaller leg of a pair that was held is brought back now, instead of a try for the excess:
    its market may trade again. INCREASE, with a permit; once in so many tries for the excess, and at the end.
    """
    plan, state = plan_of(draft), draft.state
    held = state.opened_ms is not None and plan.goals == hedged_goals(lane, draft) and any(plan.goals)
    if not held or not unbalanced(lane, draft):
        return False
    again = rebalancing.restoring_plan(draft, plan.reason)
    added = None if again is None else rebalancing.towards(lane, draft, again.goals)
    if added is None:
        return False
    leg, side, amount = added
    due = plan.tries[1 - leg] // RESTORE_EVERY + last
    if plan.tries[leg] >= due and not rebalancing.begins_anew(draft, leg):
        return False
    price = price_for(lane, leg, side, lane.world.collar)
    draft.order(leg, side, amount, Purpose.RESTORE, price=price, increase=True)
    count_try(draft, leg)
    ladder_pause(lane, draft)
    return True


def _keep_restored(lane: Lane, draft: Draft) -> None:
    """What was brought back is hedged, and is kept: the excess is less by it."""
    plan, state = plan_of(draft), draft.state
    got = any(
        one.purpose is Purpose.RESTORE and one.n > state.since_n and one.filled
        for one in draft.intents.values()
    )
    if got and any(plan.goals) and state.hedged > max(abs(goal) for goal in plan.goals):
        draft.set(plan=replace(plan, goals=hedged_goals(lane, draft), step=None))


def _done(lane: Lane, draft: Draft) -> None:
    plan, state = plan_of(draft), draft.state
    lane.not_before_us = 0
    if unbalanced(lane, draft):  # the smaller leg lost more meanwhile: the larger one follows
        draft.set(plan=replace(plan, goals=hedged_goals(lane, draft), tries=(0, 0)))
        advance(lane, draft)  # ends: what is unbalanced can be traded away
        return
    keeps = worth_keeping(lane, draft)
    if not keeps and any(plan.goals):  # a fee has made what was to be kept too small: all of it goes
        draft.set(plan=replace(plan, goals=(ZERO, ZERO), tries=(0, 0)))
        advance(lane, draft)
        return
    if not keeps and not loans.cleared(lane, draft):
        return
    _remember(lane, draft)
    if keeps:
        full = state.full or state.hedged
        draft.move(Trigger.UNWOUND_HEDGED, plan.reason)
        draft.set(plan=None, opened_ms=state.opened_ms or draft.now.market_ms, full=full)
    else:
        to_dust(lane, draft)
        draft.move(Trigger.UNWOUND_FLAT, plan.reason)
        draft.set(plan=None, opened_ms=None)


def stray(lane: Lane, draft: Draft) -> None:
    """IDLE, and an order of an attempt that had ended has filled after all: the attempt is taken up again,
    and what it has got is unwound.
    """
    state = draft.state
    if state.is_flat:
        return
    if all(abs(leg.quantity) < lane.least(index, reduces=True) for index, leg in enumerate(state.legs)):
        to_dust(lane, draft)
        return
    reason = "an order filled after its attempt had ended"
    draft.move(Trigger.OPEN, reason)
    draft.move(Trigger.ORPHAN, reason)
    draft.set(plan=Plan(goals=(ZERO, ZERO), purpose=Purpose.UNWIND, reason=reason))
    draft.alert(AlertLevel.CRITICAL, "stray", f"{state.pair}: {reason}; what it got is unwound")
    lane.not_before_us = 0


def _remember(lane: Lane, draft: Draft) -> None:
    """Several unwinds within an hour say that something is wrong with an instrument, whichever of its pairs
    they befell: no pair opens on it for a day.
    """
    now_ms = draft.now.market_ms
    recent = tuple(ms for ms in (*draft.state.unwinds_ms, now_ms) if now_ms - ms < MS_PER_HOUR)
    draft.set(unwinds_ms=recent)
    counts = [len(recent) + _others(lane, key, now_ms) for key in lane.keys]
    shut = tuple(leg for leg in (0, 1) if counts[leg] >= QUARANTINE_AFTER)
    if shut:
        until_ms = now_ms + QUARANTINE_MS
        draft.set(quarantined_until_ms=until_ms, quarantined_legs=shut, unwinds_ms=())
        names = " and ".join(f"{lane.keys[leg][0]} {lane.keys[leg][1]}" for leg in shut)
        text = f"{draft.state.pair}: {max(counts)} unwinds within an hour on {names}; closed for 24 h"
        draft.alert(AlertLevel.WARNING, "quarantine", text)


def _others(lane: Lane, key: Key, now_ms: int) -> int:
    """How many unwinds of the last hour befell other pairs on an instrument."""
    others = (one for one in lane.world.lanes.values() if one is not lane and key in one.keys and one.loaded)
    return sum(now_ms - ms < MS_PER_HOUR for one in others for ms in one.state.unwinds_ms)
