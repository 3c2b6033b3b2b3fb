"""What a pair waits for although no order of it is unknown: trades that are not told, an order that ought to
be over, a position that is not what our fills say. Each is common for a moment; what lasts is to be named.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from libs.common.instant import US_PER_SEC
from services.executor import assumed, making
from services.executor.model import LOANS, ZERO, IntentState

if TYPE_CHECKING:
    from services.executor.lane import Draft, Lane

SLOW_US: Final = 3 * US_PER_SEC
"""Answers, trades and looks take up to so long where nothing is wrong."""


def why(lane: Lane, draft: Draft) -> str:
    """In words, for people; empty while nothing has lasted."""
    return _doubt(lane, draft) or _order(lane, draft) or _untold(lane, draft)


def _doubt(lane: Lane, draft: Draft) -> str:
    now_us = draft.now.mono_us
    for leg, since_us in lane.doubted_us.items():
        if now_us - since_us < SLOW_US:
            continue
        venue, instrument = lane.keys[leg]
        held, missing = draft.state.legs[leg].quantity, lane.missing.get(leg, ZERO)
        text = (
            f"{venue} {instrument} differs by {missing:f} from our fills, by which this pair holds {held:f}"
        )
        if unread := lane.heed.untaken.get(leg):
            text += f", and the trades that would explain it could not be read ({unread})"
        return text
    return ""


def _order(lane: Lane, draft: Draft) -> str:
    for intent in draft.live:
        if intent.state is IntentState.UNKNOWN or making.is_planned(lane, draft, intent):
            continue
        begun = lane.doubts.get(intent.id)
        age_us = draft.now.wall_us - intent.created_us
        if begun is not None:
            age_us = draft.now.mono_us - begun.since_us
        if age_us >= SLOW_US:
            venue, instrument = lane.keys[intent.leg]
            what = "a loan" if intent.purpose in LOANS else "an order"
            return f"{what} that ought to be over is {intent.state}: {venue} {instrument}"
    return ""


def _untold(lane: Lane, draft: Draft) -> str:
    for intent in draft.unsettled:
        if not assumed.is_unknown(intent):
            continue  # nothing waits for them
        since_us = lane.heed.missing.get(intent.id, draft.now.mono_us)
        if draft.now.mono_us - since_us >= SLOW_US:
            venue, instrument = lane.keys[intent.leg]
            return (
                f"{venue} has not told the trades of a buy of {instrument}: what fees took of it is not known"
            )
    return ""
