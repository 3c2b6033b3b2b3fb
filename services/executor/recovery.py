"""Coming back: what the store says, what the venue says, and only then anything else.

After a crash every open order is unknown. A pair is ready when its orders are resolved and the venue's
positions agree with its fills.
"""

from __future__ import annotations

from typing import Final

import msgspec

from libs.common.effects import Note
from libs.common.instant import US_PER_SEC
from libs.common.messages import AlertLevel
from services.executor import fetching, leftovers, loans, news, order, recalled, reserve
from services.executor.events import LeaseHeld, LoadPair, PairLoaded, ReadAccount
from services.executor.lane import Draft, Lane
from services.executor.model import LOANS, Intent, PairState, State

RELOAD_US: Final = US_PER_SEC
UNSTORED_US_MAX: Final = 10 * US_PER_SEC

_states = msgspec.json.Decoder(PairState)
_intents = msgspec.json.Decoder(Intent)


def on_lease(lane: Lane, draft: Draft, event: LeaseHeld) -> None:
    """The pair is ours under a new fence: read what lies in the store before anything else."""
    lane.lease = event.lease
    lane.ready = lane.loaded = False
    lane.blocked = "its state is being read from the store"
    _load(lane, draft)


def _load(lane: Lane, draft: Draft) -> None:
    lane.loads += 1
    draft.requests.append(LoadPair(pair=lane.pair, number=lane.loads))


def on_lease_lost(lane: Lane, draft: Draft, text: str, *, taken: bool) -> None:
    """Somebody else's from now on; what is under way there is theirs to resolve. Unless nobody has `taken`
    it: then nobody looks after the position, and a person has to.
    """
    was_ours = lane.lease is not None
    lane.lease = None
    lane.ready = lane.loaded = False
    lane.blocked = text
    lane.doubts.clear()
    if was_ours and lane.state.state not in (State.IDLE, State.STUCK):
        level = AlertLevel.WARNING if taken else AlertLevel.CRITICAL
        draft.alert(level, "lease", f"{lane.pair} is {lane.state.state}, and its lease is lost: {text}")


def reload_name(pair: str) -> str:
    """The timer after which a pair is read again."""
    return f"{pair}|load"


def reload(lane: Lane, draft: Draft) -> None:
    """Read the pair again, while it is ours."""
    if lane.lease is not None:
        _load(lane, draft)


def on_stored(lane: Lane) -> None:
    """The store takes what this pair writes."""
    lane.heed.unstored_us, lane.heed.unstored_told = None, False
    if lane.heed.sent_us:
        live = {one.id for one in lane.intents.values() if not one.state.is_final}
        lane.heed.sent_us = {key: us for key, us in lane.heed.sent_us.items() if key in live}


def problem_of(lane: Lane, error: str) -> str:
    """What a write that failed means for the process; a limit that is reached is no problem of it."""
    if reserve.refusal_of(error, lane.world.config):
        return ""
    return f"the store did not take the last change of {lane.pair}: {error}"


def on_not_stored(lane: Lane, draft: Draft, error: str) -> None:
    """The store did not take a change, or nobody knows whether it did: what is in memory is worth nothing."""
    lane.ready = lane.loaded = False
    if full := reserve.refusal_of(error, lane.world.config):
        reserve.remember(lane.world, full, draft.now)
        draft.effects.append(Note(text=f"{lane.pair}: not opened: {full}"))
    lane.blocked = f"the store did not take its last change: {full or error}"
    if lane.heed.unstored_us is None:
        lane.heed.unstored_us = draft.now.mono_us
    reload(lane, draft)
    tell_unstored(lane, draft)


def tell_unstored(lane: Lane, draft: Draft) -> None:
    """Page once when a position cannot be acted upon for a while, since nothing about it can be written."""
    heed = lane.heed
    if heed.unstored_us is None or heed.unstored_told or lane.state.state in (State.IDLE, State.STUCK):
        return
    if draft.now.mono_us - heed.unstored_us >= UNSTORED_US_MAX:
        heed.unstored_told = True
        draft.alert(AlertLevel.CRITICAL, "store", f"{lane.pair} is {lane.state.state}, and {lane.blocked}")


def on_loaded(lane: Lane, draft: Draft, loaded: PairLoaded, number: int) -> None:
    """Take over what lies in the store; nothing is sent for a pair that cannot be read.

    An answer that is not the newest one's, or came after the lease was lost, is of yesterday.
    """
    if lane.lease is None or number != lane.loads:
        return
    try:
        state = None if loaded.state is None else _states.decode(loaded.state)
        intents = {key: _intents.decode(value) for key, value in sorted(loaded.intents.items())}
    except msgspec.DecodeError as error:
        lane.blocked = f"what lies in the store cannot be read: {error}"
        draft.alert(AlertLevel.CRITICAL, "unreadable", f"{lane.pair}: {lane.blocked}. Nothing is sent for it")
        return
    lane.stored_version = loaded.version
    lane.dust, lane.reserved = loaded.dust, loaded.reserved
    lane.compared.clear()
    leftovers.begin(lane, draft)
    # nothing there: a new pair, or a store that was lost; what is in memory is not durable and does not count
    lane.state = draft.state = lane.blank() if state is None else state
    recalled.take(lane.world, draft)
    # by number: a wall clock that was set back would make an older one the newest
    in_order = sorted(intents.values(), key=lambda intent: (intent.n, intent.created_us, intent.id))
    lane.intents = {intent.id: intent for intent in in_order}
    draft.intents = dict(lane.intents)
    lane.doubts.clear()
    loans.restart(lane)
    lane.loaded = True
    for intent in in_order:
        after = order.on_restart(intent)
        if not after.state.is_final:
            draft.put(after)
            begin = loans.doubt if after.purpose in LOANS else news.doubt
            begin(lane, draft, after)
    missing = [one for one in draft.intents.values() if one.state.is_final and not order.fills_complete(one)]
    fetching.fetch(lane, draft, missing, missing)
    lane.entered_us = draft.now.mono_us
    lane.not_before_us = lane.close_after_us = 0
    lane.posts.since_us = None
    if draft.state.state is State.STUCK:
        lane.ready, lane.blocked = True, ""  # a person looks; nothing is done by itself
        text = f"{lane.pair} is stuck: {draft.state.reason}"
        draft.alert(AlertLevel.CRITICAL, "stuck", text)  # said again: a page may have died with its process
        return
    lane.blocked = "its positions are being compared with the venues"
    if lane.leftovers.holds:
        lane.blocked = leftovers.BLOCKED
    compare(lane, draft)


def compare(lane: Lane, draft: Draft, *, since_us: int | None = None) -> None:
    """Ask both venues what is there; a look that began at `since_us` or later will do."""
    lane.compared_us = draft.now.mono_us
    for venue in dict.fromkeys(key[0] for key in lane.keys):
        draft.requests.append(ReadAccount(venue=venue, pair=lane.pair, since_us=since_us))
