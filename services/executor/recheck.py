"""Orders that were given up, asked for again: a late landing that the user stream lost must not stay unseen.

Coins beside ours are the user's as far as a balance tells, so that a look at the account never finds a spot
order that has filled after all; its id does. They are kept for so long (`keeping`).
"""

from __future__ import annotations

from collections.abc import Iterable

from services.executor.events import QueryOrder
from services.executor.keeping import AGES_US
from services.executor.lane import Draft, Lane
from services.executor.model import LOANS, Intent, IntentState


def due(lane: Lane, draft: Draft) -> None:
    """Those that have reached another age; after a restart each of them once."""
    denied = given_up(draft.intents.values())
    lane.heed.rechecked = {one.id: lane.heed.rechecked.get(one.id, 0) for one in denied}
    for intent in denied:
        passed = sum(draft.now.wall_us - intent.created_us >= age_us for age_us in AGES_US)
        if passed > lane.heed.rechecked[intent.id]:
            lane.heed.rechecked[intent.id] = passed
            _ask(lane, draft, intent)


def of_leg(lane: Lane, draft: Draft, leg: int) -> None:
    """All of a leg, now: its venue shows what our fills do not."""
    for intent in given_up(draft.intents.values()):
        if intent.leg == leg:
            _ask(lane, draft, intent)


def given_up(intents: Iterable[Intent]) -> list[Intent]:
    """Orders that ended without a word from the venue."""
    return [one for one in intents if one.state is IntentState.NOT_ACCEPTED and one.purpose not in LOANS]


def _ask(lane: Lane, draft: Draft, intent: Intent) -> None:
    venue, instrument = lane.keys[intent.leg]
    draft.requests.append(
        QueryOrder(pair=lane.pair, id=intent.id, venue=venue, instrument=instrument, margin=intent.margin)
    )
