"""Orders that were given up, asked for again: a late landing that the user stream lost must not stay unseen.

Coins beside ours are the user's as far as a balance tells, so that a look at the account never finds a spot
order that has filled after all; its id does. They are kept for so long (`keeping`). A query that fails proves
nothing: it is made again until the venue answers, and a person is told when it does not.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from libs.common.instant import US_PER_SEC
from libs.common.messages import AlertLevel
from libs.exchange.trading_values import QueryFailed, QueryOutcome
from services.executor.events import QueryOrder
from services.executor.heed import Recheck
from services.executor.keeping import AGES_US, RECHECK_US_MAX
from services.executor.lane import Draft, Lane
from services.executor.model import LOANS, Intent, IntentState

AGAIN_US: Final = 5 * US_PER_SEC
AGAIN_US_MAX: Final = 300 * US_PER_SEC
"""A query without an answer is made again after 5 s, then after as long as it has lasted, at most 5 min."""


def due(lane: Lane, draft: Draft) -> None:
    """Those that have reached another age, until it is answered; after a restart each of them once."""
    denied, now_us = given_up(draft.intents.values()), draft.now.mono_us
    lane.heed.rechecks = {one.id: lane.heed.rechecks.get(one.id, Recheck()) for one in denied}
    for intent in denied:
        passed = sum(draft.now.wall_us - intent.created_us >= age_us for age_us in AGES_US)
        check = lane.heed.rechecks[intent.id]
        if passed > check.begun:
            check.begun, check.since_us = passed, now_us
        elif check.over == check.begun or now_us < check.again_us:
            continue
        elif now_us - check.since_us >= RECHECK_US_MAX:
            check.over = check.begun
            _unanswered(lane, draft, intent)
            continue
        check.again_us = now_us + min(AGAIN_US_MAX, max(AGAIN_US, now_us - check.since_us))
        _ask(lane, draft, intent)


def on_queried(lane: Lane, order_id: str, outcome: QueryOutcome, *, canceling: bool) -> None:
    """The venue has said whether it has an order after all. Failing, or denying a cancel, says nothing."""
    check = lane.heed.rechecks.get(order_id)
    if check is not None and not canceling and not isinstance(outcome, QueryFailed):
        check.over = check.begun


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


def _unanswered(lane: Lane, draft: Draft, intent: Intent) -> None:
    """Said of the last age alone; the others are followed by another one."""
    if lane.heed.rechecks[intent.id].begun < len(AGES_US):
        return
    venue, instrument = lane.keys[intent.leg]
    what = f"order {intent.id} ({intent.side} {intent.quantity:f} {venue} {instrument}), given up earlier,"
    minutes = RECHECK_US_MAX // US_PER_SEC // 60
    text = f"{lane.pair}: {what} was asked for again for {minutes} min, and {venue} did not answer. Nobody"
    text += " asks any more: look it up there by this id. What it has filled after all is in no pair's books,"
    text += " and a person's to close"
    draft.alert(AlertLevel.CRITICAL, f"unanswered:{intent.id}", text)
