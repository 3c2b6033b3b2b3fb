"""When a pair asks for trades that it lacks. Pure.

The answer to an order and the user stream bring nearly all of them; what has not come after a moment is asked
for, once for all orders of an instrument, and again while it is missing.
"""

from __future__ import annotations

from typing import Final

from libs.common.instant import US_PER_MS, US_PER_SEC
from services.executor.events import FetchFills
from services.executor.lane import Draft, Lane
from services.executor.model import Intent
from services.executor.order import fills_complete

LOOK_BACK_MS: Final = 60_000
"""Trades are fetched from so long before the order was decided: clocks differ."""

GRACE_US: Final = US_PER_SEC
GRACE_URGENT_US: Final = US_PER_SEC // 4
AGAIN_US: Final = 5 * US_PER_SEC
AGAIN_URGENT_US: Final = US_PER_SEC // 2
"""Urgent: a spot buy, since nothing is sent for the pair before it is known what fees took from the coins."""

UNTOLD_US_MAX: Final = 600 * US_PER_SEC
"""Trades that nothing waits for but the ledger are not asked for for ever."""

Where = tuple[str, str, bool]
"""(venue, instrument, on the margin desk)."""


def due(lane: Lane, draft: Draft) -> None:
    """Ask for what is missing and due; to be called with every tick of the pair."""
    now_us, heed = draft.now.mono_us, lane.heed
    urgent = {one.id for one in draft.unsettled}
    missing = [one for one in draft.intents.values() if one.id in urgent or untold(one, draft.now.wall_us)]
    heed.missing = {one.id: heed.missing.get(one.id, now_us) for one in missing}
    wanted = [one for one in missing if _is_due(lane, one, now_us, urgent=one.id in urgent)]
    fetch(lane, draft, wanted, missing)


def fetch(lane: Lane, draft: Draft, wanted: list[Intent], missing: list[Intent]) -> None:
    """One request for each place of the wanted orders, from the oldest missing one on."""
    urgent = {where_of(lane, one) for one in draft.unsettled}
    for where in dict.fromkeys(where_of(lane, one) for one in wanted):
        venue, instrument, margin = where
        since_us = min(one.created_us for one in missing if where_of(lane, one) == where)
        lane.heed.fetched_us[where] = draft.now.mono_us
        draft.requests.append(
            FetchFills(
                pair=lane.pair,
                venue=venue,
                instrument=instrument,
                since_ms=since_us // US_PER_MS - LOOK_BACK_MS,
                margin=margin,
                urgent=where in urgent,
            )
        )


def of_denied(lane: Lane, draft: Draft, intent: Intent) -> FetchFills:
    """The trades since an order that its venue denies. A clock that was set back must not hide any."""
    venue, instrument, margin = where_of(lane, intent)
    since_us = min(intent.created_us, draft.now.wall_us)
    return FetchFills(
        pair=lane.pair,
        venue=venue,
        instrument=instrument,
        since_ms=since_us // US_PER_MS - LOOK_BACK_MS,
        margin=margin,
        denied=intent.id,
        urgent=True,
    )


def where_of(lane: Lane, intent: Intent) -> Where:
    """Where an order's trades are told."""
    return (*lane.keys[intent.leg], intent.margin)


def _is_due(lane: Lane, intent: Intent, now_us: int, *, urgent: bool) -> bool:
    grace_us, again_us = (GRACE_URGENT_US, AGAIN_URGENT_US) if urgent else (GRACE_US, AGAIN_US)
    asked_us = lane.heed.fetched_us.get(where_of(lane, intent))
    rested = asked_us is None or now_us - asked_us >= again_us
    return rested and now_us - lane.heed.missing[intent.id] >= grace_us


def untold(intent: Intent, wall_us: int) -> bool:
    """Whether the ledger lacks trades of an order that is over, and they may come still."""
    return (
        intent.state.is_final and not fills_complete(intent) and wall_us - intent.created_us < UNTOLD_US_MAX
    )
