"""How a hedged pair comes down: by slices, so that a market that refuses leaves at most one of them naked.

    excess of the larger leg -> one slice of both -> one slice of both -> ... -> the goals of the plan

No slice begins before the one before it is done on both legs. A slice is at most `limits.max_naked_usd`, as
in an opening. The leg whose newest order got nothing is the probe: the next slice takes from it alone, and
the other leg follows what that got. A step is a part of the plan, so that a restart goes on with it.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final

import msgspec

from services.executor.lane import Draft, Lane, plan_of
from services.executor.model import LOANS, ZERO, Intent, Plan
from services.executor.portions import slices_of
from services.executor.sizing import common_step, floor_to
from services.executor.steps import reducible, unbalanced

replace = msgspec.structs.replace

ENOUGH: Final = Decimal("0.98")
"""An order that filled this much of its quantity shows that its market trades: the leg's tries begin anew."""

First = Callable[[Lane, Draft], int]
"""Which leg goes first when both are alike, in a sequence."""


def over(lane: Lane, draft: Draft, first: First | None = None) -> list[int]:
    """The legs to be reduced now. Empty when both are at the goals of the plan.

    `first`: one leg after the other, that one first; else both at once, unless one has refused lately.
    """
    plan = plan_of(draft)
    if plan.step is not None and (legs := _over(lane, draft)) and not _leads(lane, draft, legs):
        return legs
    draft.set(plan=replace(plan, step=None))
    if not (legs := _over(lane, draft)):
        return []
    _begin(lane, draft, plan, next_step(lane, draft, _alone(lane, draft, first)))
    return _over(lane, draft) or _whole(lane, draft)


def _over(lane: Lane, draft: Draft) -> list[int]:
    return [leg for leg in (0, 1) if reducible(lane, draft, leg) > 0]


def _leads(lane: Lane, draft: Draft, legs: list[int]) -> bool:
    """Whether the leg that goes first got a part of its slice: the other follows that before it goes on."""
    ahead = len(legs) == 1 and abs(_held(draft, legs[0])) < abs(_held(draft, 1 - legs[0]))
    return ahead and unbalanced(lane, draft)


def _whole(lane: Lane, draft: Draft) -> list[int]:
    """A step that no venue takes (what is left is less than its minimum) is skipped."""
    draft.set(plan=replace(plan_of(draft), step=None))
    return _over(lane, draft)


def _begin(lane: Lane, draft: Draft, plan: Plan, step: tuple[Decimal, Decimal]) -> None:
    """A leg whose newest order filled begins its tries anew; the time runs from the last that did."""
    newest = [_newest(draft, leg) for leg in (0, 1)]
    fills = [one is None or one.filled >= one.quantity * ENOUGH for one in newest]
    tries = (0 if fills[0] else plan.tries[0], 0 if fills[1] else plan.tries[1])
    draft.set(plan=replace(plan, step=step, slice=plan.slice + (plan.step is not None), tries=tries))
    if tries == (0, 0):
        lane.entered_us = draft.now.mono_us


def next_step(lane: Lane, draft: Draft, alone: int | None) -> tuple[Decimal, Decimal]:
    """Signed quantities at which the next step ends; `alone`: the only leg that it takes a slice from."""
    goals, held = plan_of(draft).goals, [_held(draft, leg) for leg in (0, 1)]
    hedged = draft.state.hedged
    if hedged and _apart(lane, draft):
        levels = [hedged, hedged]
    else:
        level = hedged - part_of(lane, draft, hedged - max(abs(goal) for goal in goals))
        levels = [hedged if alone == 1 - leg else level for leg in (0, 1)]
    steps = [_down(held[leg], goals[leg], levels[leg]) for leg in (0, 1)]
    return steps[0], steps[1]


def part_of(lane: Lane, draft: Draft, whole: Decimal) -> Decimal:
    """What one slice takes of `whole`, in base units: equal parts, each of them tradable on both legs."""
    rules, mids = [lane.rules(leg) for leg in (0, 1)], [lane.world.sizing_mid(key) for key in lane.keys]
    if whole <= 0 or rules[0] is None or rules[1] is None or mids[0] is None or mids[1] is None:
        return max(whole, ZERO)
    step = common_step(rules[0].step, rules[1].step)
    usd = whole * max(mids[0], mids[1])
    count = int((usd / _usd_max(lane, draft)).to_integral_value(rounding="ROUND_CEILING"))
    least = max(lane.least(leg, reduces=False) for leg in (0, 1))
    count = max(count, slices_of(whole, rules[0], rules[1]))
    while count > 1 and floor_to(whole / count, step) < least:
        count -= 1
    return floor_to(whole / count, step) if count > 1 else whole


def _usd_max(lane: Lane, draft: Draft) -> Decimal:
    """The most that a slice may be worth: `limits.max_naked_usd`, and a share as configured for openings."""
    config = lane.world.config
    naked = Decimal(str(config.limits.max_naked_usd))
    shared = draft.state.notional_usd / config.execution.slices
    return min(naked, shared) if config.execution.slices > 1 and shared > 0 else naked


def _apart(lane: Lane, draft: Draft) -> bool:
    """Whether the excess of a leg is worth a step of its own, which comes before any slice."""
    larger = max(abs(_held(draft, leg)) for leg in (0, 1))
    threshold = Decimal(str(lane.world.config.position.rebalance_threshold))
    return unbalanced(lane, draft) and abs(draft.state.delta) > threshold * larger


def _alone(lane: Lane, draft: Draft, first: First | None) -> int | None:
    """The leg that goes first: the one whose newest order got nothing, else as the style says."""
    probe = refused(draft)
    return probe if probe is not None or first is None else first(lane, draft)


def refused(draft: Draft) -> int | None:
    """The leg whose newest order got nothing while the other one's filled: its market may be shut."""
    nothing = [(one := _newest(draft, leg)) is not None and one.filled == 0 for leg in (0, 1)]
    return nothing.index(True) if nothing[0] != nothing[1] else None


def _newest(draft: Draft, leg: int) -> Intent | None:
    """The newest order of a leg that took, whose fate is known; a post that nobody hit says nothing."""
    return next(
        (
            one
            for one in reversed(draft.intents.values())
            if one.leg == leg and one.state.is_final and one.purpose not in LOANS and one.tif != "post_only"
        ),
        None,
    )


def _held(draft: Draft, leg: int) -> Decimal:
    return draft.state.legs[leg].quantity


def _down(held: Decimal, goal: Decimal, level: Decimal) -> Decimal:
    """A leg at `level`, at its goal when that is more, and never beyond what it has."""
    if held * goal < 0:
        return ZERO
    return (1 if held > 0 else -1) * min(abs(held), max(abs(goal), level))
