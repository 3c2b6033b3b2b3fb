"""Hard closing on demand: risk's level `flatten`, a person's while risk is away, collateral that is used up.

What reduces both legs must not begin where only one can be reduced: it starts when both venues have answered
a look that was begun after the demand, unless liquidation is near (execution.md). Meanwhile it waits, and
says for whom. A demand lives in the permit or in the pair's own state, so that a restart changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from libs.common.instant import US_PER_SEC, Now
from libs.common.messages import AlertLevel
from libs.common.messages_exec import Level
from services.executor import closing, recovery, unwinding
from services.executor.alone import in_words
from services.executor.model import State
from services.executor.permit import scopes_of

if TYPE_CHECKING:
    from services.executor.lane import Draft, Lane

LOOK_AGAIN_US: Final = US_PER_SEC
DEMAND_US_MAX: Final = 5 * US_PER_SEC
"""A venue that has not answered for so long keeps both legs as they are, and a person is told."""

_HARDENED: Final = {State.CLOSING: closing.harden, State.UNWINDING: unwinding.harden}
"""What goes on by force, with the same plan or a harsher one."""


def why(lane: Lane, now: Now) -> str:
    """Why the pair is to be closed by force, in words; empty when it is not.

    The last permit's word holds until a newer one takes it back, also when permits have stopped.
    """
    breaker = lane.world.permits.strictest(scopes_of(lane.pair, lane.keys))
    if breaker is not None and breaker.level is Level.FLATTEN:
        return f"flatten of {breaker.scope}: {breaker.reason}"
    if demanded := lane.state.flattened or lane.state.forced:
        return demanded
    return lane.world.exhausted(lane.keys, now)


def on_tick(lane: Lane, draft: Draft) -> bool:
    """Whether the pair is to be closed by force; begins it as soon as that may be."""
    if draft.state.state is State.IDLE and draft.state.forced:
        draft.set(forced="")  # done
    if reason := why(lane, draft.now):
        demand(lane, draft, reason)
    return bool(reason)


def demand(lane: Lane, draft: Draft, reason: str) -> None:
    """A held pair, or one in a soft close or an unwinding, closes by force when both venues answer."""
    plan, harden = draft.state.plan, _HARDENED.get(draft.state.state)
    if draft.state.state is State.ACTIVE:
        if both_answer(lane, draft, reason):
            closing.begin(draft, reason=reason, hard=True)
    elif harden is not None and not (plan is not None and plan.hard) and both_answer(lane, draft, reason):
        harden(draft, reason)


def tell_stuck(lane: Lane, draft: Draft) -> None:
    """A stuck pair obeys nobody but a reset, which looks first whether all that its venues show is ours (ADR
    0020). That a demand is not obeyed is told, once while it lasts: `flatten` was answered with ok.
    """
    stuck = draft.state.state is State.STUCK and not draft.state.is_flat
    reason = (why(lane, draft.now) or _shrinks(lane, draft)) if stuck else ""
    if reason and not lane.heed.disobeys_told:
        text = f"{lane.pair} is stuck and does not obey: {reason}. {in_words(lane, draft)}"
        draft.alert(AlertLevel.CRITICAL, "disobeys", f"{text}. What is demanded still is done then")
    lane.heed.disobeys_told = bool(reason)


def _shrinks(lane: Lane, draft: Draft) -> str:
    ratio, who = lane.world.allowed(lane.pair, lane.keys, draft.now)
    return "" if ratio >= 1 else f"{who} {ratio:.0%} of its size"


def both_answer(lane: Lane, draft: Draft, reason: str) -> bool:
    """Whether both venues have answered a look since this was demanded. A liquidation that is near does not
    wait for it: the leg that cannot be reached would be lost anyway.
    """
    heed, now_us = lane.heed, draft.now.mono_us
    if heed.demanded_us is None or now_us - heed.heard_us > DEMAND_US_MAX:
        heed.demanded_us, heed.demand_told = now_us, False
        heed.unlooked.clear()
        recovery.compare(lane, draft)
    heed.heard_us = now_us
    silent = [venue for venue, _ in lane.keys if heed.looked.get(venue, -1) < heed.demanded_us]
    if not silent or lane.world.is_near(lane.keys):
        heed.demanded_us = None
        return True
    if now_us - lane.compared_us >= LOOK_AGAIN_US:
        recovery.compare(lane, draft)
    cause = f"{silent[0]} is being asked"
    if now_us - heed.demanded_us >= LOOK_AGAIN_US:
        cause = f"{silent[0]} does not answer"
    if why_not := heed.unlooked.get(silent[0]):
        cause = f"{silent[0]} could not be looked at ({why_not})"
    heed.waits = f"{reason}: waits, since {cause}; a leg alone would be worse"
    if now_us - heed.demanded_us >= DEMAND_US_MAX and not heed.demand_told:
        heed.demand_told = True
        draft.alert(AlertLevel.CRITICAL, "waits", f"{lane.pair}: {heed.waits}")
    return False
