"""When a pair asks for trades that it lacks. Pure.

The answer to an order and the user stream bring nearly all of them; what has not come after a moment is asked
for, once for all orders of an instrument, and again while it is missing.
"""

from __future__ import annotations

from typing import Final

from libs.common.instant import US_PER_MS, US_PER_SEC, Now
from libs.common.messages import AlertLevel
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
"""So long after the end of their order was known trades come late; then a person hears of it, and those that
nothing waits for but the ledger are asked for less and less often; what a pair waits for each `AGAIN_US`.
"""

ANEW_US: Final = 60 * US_PER_SEC
"""A life that follows an absence asks for so long as if they were new: nobody has asked meanwhile."""

RARER: Final = 20
"""... not again before this part of the time that they are missing has passed: half a minute and more."""

Where = tuple[str, str, bool]
"""(venue, instrument, on the margin desk)."""


def due(lane: Lane, draft: Draft) -> None:
    """Ask for what is missing and due; to be called with every tick of the pair."""
    now_us, heed = draft.now.mono_us, lane.heed
    urgent = {one.id for one in _urgent(draft)}
    missing = [one for one in draft.intents.values() if _lacks(one)]
    heed.missing = {one.id: heed.missing.get(one.id, now_us) for one in missing}
    wanted = [one for one in missing if _is_due(lane, draft, one, urgent=one.id in urgent)]
    fetch(lane, draft, wanted, missing)
    _tell(lane, draft, [one for one in missing if not untold(lane, one, draft.now)])


def fetch(lane: Lane, draft: Draft, wanted: list[Intent], missing: list[Intent]) -> None:
    """One request for each place of the wanted orders, from the oldest missing one on."""
    urgent = {where_of(lane, one) for one in _urgent(draft)}
    for where in dict.fromkeys(where_of(lane, one) for one in wanted):
        venue, instrument, margin = where
        since_us = min(_made_us(lane, draft, one) for one in missing if where_of(lane, one) == where)
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


def _is_due(lane: Lane, draft: Draft, intent: Intent, *, urgent: bool) -> bool:
    now_us = draft.now.mono_us
    grace_us, again_us = (GRACE_URGENT_US, AGAIN_URGENT_US) if urgent else (GRACE_US, AGAIN_US)
    if not untold(lane, intent, draft.now):
        again_us = AGAIN_US if urgent else _age_us(intent, draft.now.wall_us) // RARER
    asked_us = lane.heed.fetched_us.get(where_of(lane, intent))
    rested = asked_us is None or now_us - asked_us >= again_us
    return rested and now_us - lane.heed.missing[intent.id] >= grace_us


def _tell(lane: Lane, draft: Draft, late: list[Intent]) -> None:
    """A person hears once of each order, while this process lasts."""
    for one in late:
        if one.id not in lane.heed.untold_told:
            lane.heed.untold_told.add(one.id)
            where, minutes = " ".join(lane.keys[one.leg]), UNTOLD_US_MAX // (60 * US_PER_SEC)
            text = f"the trades of order {one.id} at {where} have not been told for {minutes} min"
            what = "their prices and fees are missing in the ledger; they are asked for again"
            draft.alert(AlertLevel.WARNING, f"untold:{one.id}", f"{lane.pair}: {text}: {what}")


def _made_us(lane: Lane, draft: Draft, intent: Intent) -> int:
    """Wall time of an order at the latest: a clock that was set back since must not hide its trades."""
    missed_us = draft.now.mono_us - lane.heed.missing.get(intent.id, draft.now.mono_us)
    return min(intent.created_us, draft.now.wall_us - missed_us)


def _urgent(draft: Draft) -> list[Intent]:
    """Of what a pair waits for. With an assumed fee (`assumed`) it does not: haste ends after a while."""
    wall_us = draft.now.wall_us
    return [one for one in draft.unsettled if not one.fee_assumed or _age_us(one, wall_us) < UNTOLD_US_MAX]


def _lacks(intent: Intent) -> bool:
    return intent.state.is_final and not fills_complete(intent)


def _age_us(intent: Intent, wall_us: int) -> int:
    """Since its end became known: an order may be unknown for longer than its trades come late."""
    return wall_us - (intent.over_us or intent.created_us)


def untold(lane: Lane, intent: Intent, now: Now) -> bool:
    """Whether the ledger lacks trades of an order that is over, and they may come soon."""
    missed_us = now.mono_us - lane.heed.missing.get(intent.id, lane.entered_us)
    return _lacks(intent) and (_age_us(intent, now.wall_us) < UNTOLD_US_MAX or missed_us < ANEW_US)
