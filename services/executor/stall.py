"""Why nothing is being done for a pair, and telling a person when that lasts.

Waiting is right while an order is unknown, a venue is down or prices are missing (execution.md); being silent
about it is not: a leg may stand alone meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from libs.common.instant import US_PER_SEC
from libs.common.messages import AlertLevel
from services.executor.model import IntentState, State
from services.executor.resolve import window_us

if TYPE_CHECKING:
    from services.executor.lane import Draft, Lane

PATIENCE_US: Final = 30 * US_PER_SEC
"""A wait that lasts longer is told; one for an unknown order gets its venue's window on top."""


def why(lane: Lane) -> str:
    """What the pair waits for before anything can be sent for it; empty when it waits for nothing."""
    if not lane.ready:
        return lane.blocked
    for key in lane.keys:
        if key not in lane.world.rules or lane.world.mid(key) is None:
            return f"{key[0]} {key[1]} has no rules or no price yet: is the feed running?"
    unknown = [one for one in lane.intents.values() if one.state is IntentState.UNKNOWN]
    if unknown:
        venue, instrument = lane.keys[unknown[0].leg]
        return f"the fate of an order is unknown: {venue} {instrument}, {unknown[0].reason}"
    if lane.look_first:
        return "a venue says there is nothing to reduce: its positions are being looked at"
    return ""


def watch(lane: Lane, draft: Draft) -> None:
    """Page once for each wait that lasts, while there is something to be looked after."""
    heed, now_us = lane.heed, draft.now.mono_us
    text = "" if draft.state.state in (State.IDLE, State.STUCK) else why(lane)
    if not text:
        heed.stalled_us, heed.stall_told = None, False
        return
    if heed.stalled_us is None:
        heed.stalled_us = now_us
    windows = (window_us(lane.keys[one.leg][0]) for one in draft.live)
    if heed.stall_told or now_us - heed.stalled_us < PATIENCE_US + max(windows, default=0):
        return
    heed.stall_told = True
    state = draft.state
    legs = ", ".join(f"{leg.quantity:f} {leg.venue} {leg.instrument}" for leg in state.legs)
    naked = f"{abs(state.delta):f} of it are not hedged" if state.delta else "it is hedged"
    waits = f"nothing has been done for it in {(now_us - heed.stalled_us) // US_PER_SEC} s: {text}"
    level = AlertLevel.CRITICAL if state.delta or state.state is not State.ACTIVE else AlertLevel.WARNING
    draft.alert(level, "stalled", f"{state.pair} is {state.state} with {legs} ({naked}), and {waits}")
