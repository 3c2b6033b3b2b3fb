"""What a pair does next, decided when the fate of all its orders is known.

One rule comes before all others: while an order is unknown nothing is sent for the pair, since acting on half
of the truth risks the opposite naked leg. `advance` is called after every turn of the pair's lane.
"""

from __future__ import annotations

from typing import Final

from services.executor import assumed, closing, holding, making, opening, unwinding
from services.executor.lane import Draft, Lane
from services.executor.model import LOANS, IntentState, State
from services.executor.steps import wake

_STEPS: Final = {
    State.IDLE: unwinding.stray,
    State.OPENING: opening.advance,
    State.UNWINDING: unwinding.advance,
    State.CLOSING: closing.advance,
    State.ACTIVE: holding.advance,
}
STEPS_MAX: Final = 8
"""So many steps may follow one another without an order in between (a slice too small to send, idle)."""


def may_act(lane: Lane, draft: Draft) -> bool:
    """Whether the pair is ours and all is known: instruments, every order's fate, what fees took from buys.

    Selling what a fee has taken would sell the user's own coins. A resting order is known only where one
    belongs; elsewhere its cancel is under way. One that takes and was only acknowledged is not known: what it
    was to hedge would be hedged twice.
    """
    known = lane.ready and lane.described and not _looks_first(lane, draft)
    known = known and not any(assumed.is_unknown(one) for one in draft.unsettled)
    if lane.lease is None or not known:
        return False
    live = draft.live
    resting = all(one.state is IntentState.WORKING and one.tif == "post_only" for one in live)
    return not live or (resting and making.makes(draft))


def _looks_first(lane: Lane, draft: Draft) -> bool:
    """Whether a venue has denied what we want to sell, and must show it before the next try. A liquidation
    that is near does not wait for that: a hard close only reduces, and only what our fills have brought.
    """
    plan = draft.state.plan
    return lane.look_first and not (plan is not None and plan.hard and lane.world.is_near(lane.keys))


def advance(lane: Lane, draft: Draft) -> None:
    """As far on as is possible now; else a timer for when it is."""
    making.watch(lane, draft)
    _stop_the_clock(lane, draft)
    _go_on(lane, draft)
    making.watch(lane, draft)  # what a step wants to rest no more is cancelled now, not with the next tick


def _go_on(lane: Lane, draft: Draft) -> None:
    """Step by step, until an order is sent, something is waited for, or there is nothing to do."""
    for _ in range(STEPS_MAX):
        if not may_act(lane, draft):  # asked anew: a step may have ended the plan that lets an order rest
            return
        step = _STEPS.get(draft.state.state)
        if step is None or draft.sends or any(one.purpose in LOANS for one in draft.live):
            return
        wait_us = lane.not_before_us - draft.now.mono_us
        if wait_us > 0:
            wake(lane, draft, wait_us)
            return
        before = draft.state
        step(lane, draft)
        if draft.state == before:
            return


def _stop_the_clock(lane: Lane, draft: Draft) -> None:
    """The time of a ladder is that in which the fate of its orders is known: the wait for one that is not (W
    for each) comes on top (execution.md), or a few lost answers would leave a naked leg to a person.
    """
    heed, now_us = lane.heed, draft.now.mono_us
    unknown = [one.id for one in draft.live if one.state is IntentState.UNKNOWN]
    if unknown and heed.unknown_us is None:
        sent = (lane.doubts[one].since_us for one in unknown if one in lane.doubts)
        heed.unknown_us = min(sent, default=now_us)
    elif not unknown and heed.unknown_us is not None:
        lane.entered_us += max(0, now_us - max(heed.unknown_us, lane.entered_us))
        heed.unknown_us = None
