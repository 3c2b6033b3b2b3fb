"""Why nothing is being done for a pair, and telling a person when that lasts.

Waiting is right while an order is unknown, a venue is down or prices are missing (execution.md); being silent
about it is not: a leg may stand alone meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from libs.common.effects import Alert
from libs.common.instant import US_PER_SEC
from libs.common.messages import AlertLevel
from services.executor.model import IntentState, State
from services.executor.permit import LEASE_US
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
        if lane.rules(lane.keys.index(key)) is None or lane.world.sizing_mid(key) is None:
            return f"{key[0]} {key[1]} has no rules or no price yet: is the feed running?"
    unknown = [one for one in lane.intents.values() if one.state is IntentState.UNKNOWN]
    if unknown:
        venue, instrument = lane.keys[unknown[0].leg]
        return f"the fate of an order is unknown: {venue} {instrument}, {unknown[0].reason}"
    if lane.look_first:
        return "its positions are being looked at: a venue denied them, or dust of contracts is to be netted"
    return lane.heed.slow


def watch_permits(lane: Lane, draft: Draft) -> None:
    """Page once when no permit has come for a while and that matters: a pair is held, or one is to be opened.

    Risk cannot say itself that it is gone. Nothing increases meanwhile; what reduces goes on.
    """
    world, now = lane.world, draft.now
    if not world.permits.stale_reason(now):
        world.unpermitted_us, world.unpermitted_told = None, False
        return
    if world.unpermitted_us is None:
        world.unpermitted_us = now.mono_us
    wished_us = lane.heed.wished_us
    wishes = wished_us is not None and now.mono_us - wished_us <= PATIENCE_US
    if world.unpermitted_told or not (wishes or draft.state.state is not State.IDLE):
        return
    age_us = now.mono_us - world.unpermitted_us + LEASE_US  # it lapses so long after the last one came
    if age_us < PATIENCE_US:
        return
    world.unpermitted_told = True
    matters = f"{lane.pair} is {draft.state.state}" if not wishes else f"{lane.pair} is to be opened"
    text = f"no steady permit from risk for {age_us // US_PER_SEC} s while {matters}"
    text += f": {world.permits.stale_reason(now)}"
    draft.effects.append(Alert(level=AlertLevel.CRITICAL, key="permit", text=text))


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
    if lane.doubted_us:
        naked += " by our own fills"
    waits = f"nothing has been done for it in {(now_us - heed.stalled_us) // US_PER_SEC} s: {text}"
    hedged = not state.delta and not lane.doubted_us and state.state is State.ACTIVE
    level = AlertLevel.WARNING if hedged else AlertLevel.CRITICAL
    draft.alert(level, "stalled", f"{state.pair} is {state.state} with {legs} ({naked}), and {waits}")
