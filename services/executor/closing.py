"""Leaving a pair. A soft close that fails restores the hedge; a hard one goes on forcing the failing leg.

A soft close goes by `execution.style` (`leaving`) and by slices, a hard one takes from both legs at once.
Both legs are sized by our own fills, with which the venue's positions are compared all the time (ADR 0020);
contracts are reduce-only at the venue.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from libs.common.instant import US_PER_SEC
from libs.common.messages import AlertLevel
from libs.common.subjects import SPOT
from services.executor import freeing, leaving, loans
from services.executor.alone import why_stuck
from services.executor.debts import in_order, sellable
from services.executor.dust import to_dust
from services.executor.lane import Draft, Lane, plan_of
from services.executor.model import ZERO, PairState, Plan, Purpose, Side, Trigger, sign_of
from services.executor.old_prices import reducing_price
from services.executor.sizing import LADDER, floor_to, grossed_up
from services.executor.steps import (
    count_try,
    give_up,
    hedged_goals,
    ladder_pause,
    last_reason,
    out_of_tries,
    pause,
    reduce_leg,
    reducible,
    unbalanced,
    worth_keeping,
)

replace = msgspec.structs.replace

SOFT_TRIES: Final = 3
SOFT_US_MAX: Final = 15 * US_PER_SEC
RESTORE_TRIES: Final = 3
BACK_OFF_US: Final = 60 * US_PER_SEC
BACK_OFF_US_MAX: Final = 3_600 * US_PER_SEC


def begin(draft: Draft, *, reason: str, hard: bool) -> None:
    """ACTIVE -> CLOSING. Any trim under way is dropped: closing does its work."""
    style = "concurrent" if hard else draft.lane.world.config.execution.style
    plan = Plan(goals=(ZERO, ZERO), purpose=Purpose.CLOSE, reason=reason, hard=hard, style=style)
    draft.move(Trigger.CLOSE, reason)
    draft.set(plan=plan)
    draft.lane.not_before_us = 0
    draft.lane.posts.since_us = None


def harden(draft: Draft, reason: str) -> None:
    """A close under way becomes a hard one (flatten, delisting, liquidation near), with a ladder of its own:
    a soft close by slices may have taken longer than a ladder presses.
    """
    plan = plan_of(draft)
    if not plan.hard:
        draft.set(plan=Plan(goals=(ZERO, ZERO), purpose=Purpose.CLOSE, hard=True, reason=reason))
        draft.lane.entered_us = draft.now.mono_us
        draft.lane.not_before_us = 0


def back_off_us(failures: int) -> int:
    """How long a pair whose close failed rests before the next one."""
    return min(BACK_OFF_US_MAX, BACK_OFF_US << min(max(0, failures - 1), 10))


def advance(lane: Lane, draft: Draft) -> None:
    """The next orders of the close, or of its restoration; or its end."""
    if plan_of(draft).purpose is Purpose.RESTORE:
        _restore(lane, draft)
        return
    if not plan_of(draft).hard and not leaving.prepare(lane, draft):
        return
    if plan_of(draft).hard:
        _force(lane, draft)
    else:
        _take(lane, draft)


def _force(lane: Lane, draft: Draft) -> None:
    """A hard close: all of both legs, each on its own ladder until it is gone."""
    over = [leg for leg in (0, 1) if reducible(lane, draft, leg) > 0]
    if not over:
        _closed(lane, draft)
        return
    if reason := out_of_tries(lane, draft):
        give_up(draft, why_stuck(lane, draft, reason, Purpose.CLOSE))
        return
    if freeing.frees(lane, draft):
        return
    for leg in in_order(draft, over):
        reduce_leg(lane, draft, leg, Purpose.CLOSE)
    ladder_pause(lane, draft)


def _take(lane: Lane, draft: Draft) -> None:
    """A soft close: slice by slice, since one of the markets may refuse."""
    before = plan_of(draft).slice
    over = leaving.over(lane, draft)
    if not over:
        _closed(lane, draft)
        return
    plan = plan_of(draft)
    if plan.slice > before and not unbalanced(lane, draft):
        pause(lane, draft, int(lane.world.config.execution.slice_interval_sec * US_PER_SEC))
        return
    late = draft.now.mono_us - lane.entered_us > SOFT_US_MAX and max(plan.tries) > 0
    if late or any(plan.tries[leg] >= SOFT_TRIES for leg in over):
        _fail(lane, draft)
        return
    for leg in in_order(draft, over):
        collar = lane.world.collar if plan.tries[leg] == 0 else LADDER[0]
        reduce_leg(lane, draft, leg, Purpose.CLOSE, collar=collar)
    ladder_pause(lane, draft)


def _closed(lane: Lane, draft: Draft) -> None:
    if not loans.cleared(lane, draft):
        return
    plan = plan_of(draft)
    to_dust(lane, draft)
    draft.move(Trigger.CLOSED, plan.reason)
    draft.set(plan=None, opened_ms=None, close_failures=0)
    lane.not_before_us = 0


def _fail(lane: Lane, draft: Draft) -> None:
    """Three tries or 15 s: re-open what the other leg has closed, and try the close later."""
    state = draft.state
    reason = f"the close failed: {last_reason(draft, Purpose.CLOSE)}"
    kept = max(ZERO, *_held(state))
    goals = tuple(sign_of(state.direction, leg) * kept for leg in (0, 1))
    draft.set(
        plan=Plan(goals=(goals[0], goals[1]), purpose=Purpose.RESTORE, reason=reason),
        close_failures=state.close_failures + 1,
    )
    draft.alert(
        AlertLevel.WARNING,
        f"close:{state.close_failures + 1}",
        f"{state.pair}: {reason}; restoring the hedge",
    )
    lane.entered_us = draft.now.mono_us
    lane.not_before_us = 0
    _restore(lane, draft)


def _held(state: PairState) -> tuple[Decimal, Decimal]:
    """What the legs hold in the pair's direction. Less than nothing lies on the other side of zero: crumbs of
    a buy that a fee made larger, or coins that the venue has bought for a loan which had been bought back.
    """
    first, second = (sign_of(state.direction, leg) * state.legs[leg].quantity for leg in (0, 1))
    return first, second


def _restored(lane: Lane, draft: Draft) -> None:
    draft.move(Trigger.RESTORED, plan_of(draft).reason)
    draft.set(plan=None)
    # trims and follows of the standing hedge do not wait for it
    lane.not_before_us = 0
    lane.close_after_us = draft.now.mono_us + back_off_us(draft.state.close_failures)


def _restore(lane: Lane, draft: Draft) -> None:
    """Bring the shorter leg back to the longer one: REDUCE, since it lowers the net delta."""
    plan, state = plan_of(draft), draft.state
    if not unbalanced(lane, draft):
        if max(abs(leg.quantity) for leg in state.legs) == 0:
            _closed(lane, draft)
        else:
            _restored(lane, draft)
        return
    held = _held(state)
    leg = 0 if held[0] < held[1] else 1
    rules = lane.rules(leg)
    # the goal is of when the close failed: the venue may have taken from the longer leg since then
    wanted = min(abs(plan.goals[leg]), max(ZERO, held[1 - leg]))
    missing = wanted - held[leg]
    if rules is not None and held[leg] <= -rules.step:
        missing = -held[leg]  # to zero first: no order crosses it
    amount = floor_to(missing, rules.step) if rules is not None and missing > 0 else ZERO
    if amount < lane.least(leg, reduces=False) and worth_keeping(lane, draft):
        _restored(lane, draft)  # the rest is too small to be bought or sold: a held pair trims it
        return
    # by the direction: a goal is zero where no leg holds anything in it, and what is wrong is brought back
    side: Side = "buy" if sign_of(state.direction, leg) > 0 else "sell"
    amount = sellable(lane, draft, leg, amount) if side == "sell" else amount
    if rules is None or plan.tries[leg] >= RESTORE_TRIES or amount < lane.least(leg, reduces=False):
        reason = f"{plan.reason}; the hedge could not be restored: {last_reason(draft, Purpose.RESTORE)}"
        draft.move(Trigger.RESTORE_FAILED, reason)
        goals = hedged_goals(lane, draft)
        draft.set(plan=Plan(goals=goals, purpose=Purpose.UNWIND, reason=reason))
        what = "the excess is unwound" if any(goals) else "both legs are unwound"
        draft.alert(AlertLevel.CRITICAL, "restore", f"{state.pair}: {reason}; {what}")
        lane.not_before_us = 0
        return
    if rules.kind is SPOT and side == "buy":
        amount = grossed_up(amount, rules)
    collar = lane.world.collar if plan.tries[leg] == 0 else LADDER[0]
    price = reducing_price(lane, draft, leg, side, collar)
    draft.order(leg, side, amount, Purpose.RESTORE, price=price)
    count_try(draft, leg)
    ladder_pause(lane, draft)
