"""What is wanted of a pair, by signal, by risk or by a person; and why it is not done when it is not."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Final

from libs.common.effects import Note
from libs.common.instant import US_PER_SEC
from libs.common.messages import AlertLevel
from libs.common.messages import Intent as Wanted
from libs.common.messages_exec import Level
from services.executor import closing, holding, news, opening, recovery, stall, watch
from services.executor.lane import Draft, Lane
from services.executor.model import Intent, State
from services.executor.order import fills_complete
from services.executor.permit import scopes_of

COMPARE_AGAIN_US: Final = US_PER_SEC
FETCH_AGAIN_US: Final = US_PER_SEC // 2
FETCH_LATER_US: Final = 5 * US_PER_SEC
UNTOLD_US_MAX: Final = 600 * US_PER_SEC
"""Trades that nothing waits for but the ledger are asked for with less haste, and not for ever."""

DEMAND_US_MAX: Final = 5 * US_PER_SEC
"""A venue that has not answered for so long keeps both legs as they are, and a person is told."""

SHRINK_SLACK: Final = Decimal("1.02")
"""A pair this little above its allowed share is left alone: steps and fills are not exact."""


def on_intent(lane: Lane, draft: Draft, wanted: Wanted) -> None:
    """Expired and impossible wishes are void, and said so."""
    if draft.now.wall_us > wanted.expires_us:
        refuse(draft, f"an intent to {wanted.action} came too late")
        return
    match wanted.action:
        case "open":
            open_pair(lane, draft, wanted)
        case "close":
            close_pair(lane, draft, wanted.reason)
        case "rebalance":
            refuse(draft, "drift is trimmed by the executor itself")


def open_pair(lane: Lane, draft: Draft, wanted: Wanted) -> None:
    """IDLE -> OPENING, unless something stands against it."""
    try:
        notional = Decimal(wanted.notional_usd)
    except InvalidOperation:
        notional = Decimal("NaN")
    why = "" if notional.is_finite() and notional > 0 else f"{wanted.notional_usd!r} is no notional"
    why = why or lane.world.forbidden(lane.pair, lane.keys, draft.now)
    why = why or opening.why_not(lane, draft, notional, wanted.direction)
    if why:
        lane.world.want_set_up(lane.keys)
        refuse(draft, f"not opened: {why}")
        return
    opening.begin(lane, draft, notional_usd=notional, direction=wanted.direction, reason=wanted.reason)


def close_pair(lane: Lane, draft: Draft, reason: str, *, hard: bool = False) -> None:
    """ACTIVE -> CLOSING; a soft close waits for its back-off after one that failed."""
    if draft.state.state is not State.ACTIVE or not lane.ready or draft.live:
        refuse(draft, f"not closed: the pair is {draft.state.state}")
        return
    if not hard and draft.now.mono_us < lane.close_after_us:
        refuse(draft, "not closed yet: the last close failed, the next try waits")
        return
    closing.begin(draft, reason=reason, hard=hard)


def refuse(draft: Draft, text: str) -> None:
    """Say why nothing happens."""
    draft.effects.append(Note(text=f"{draft.state.pair}: {text}"))


def on_tick(lane: Lane, draft: Draft) -> None:
    """What risk demands of a pair, and what recovery still waits for."""
    stall.watch(lane, draft)
    if lane.lease is None or draft.live:
        return
    _fetch_again(lane, draft)
    if not lane.ready:
        if lane.loaded and draft.now.mono_us - lane.compared_us >= COMPARE_AGAIN_US:
            recovery.compare(lane, draft)
        return
    if draft.state.state not in (State.IDLE, State.STUCK) and watch.is_due(lane, draft):
        recovery.compare(lane, draft)
    breaker = lane.world.permits.strictest(scopes_of(lane.pair, lane.keys))
    if breaker is not None and breaker.level is Level.FLATTEN:
        reason = f"flatten of {breaker.scope}: {breaker.reason}"
        hard = draft.state.plan is not None and draft.state.plan.hard
        if draft.state.state is State.ACTIVE and both_answer(lane, draft, reason):
            closing.begin(draft, reason=reason, hard=True)
        elif draft.state.state is State.CLOSING and not hard and both_answer(lane, draft, reason):
            closing.harden(draft, reason)
    elif draft.state.state is State.ACTIVE and draft.state.plan is None:
        _shrink(lane, draft)


def _fetch_again(lane: Lane, draft: Draft) -> None:
    """Trades that are missing are asked for until they are there."""
    unsettled, since_us = draft.unsettled, draft.now.mono_us - lane.heed.fetched_us
    missing = unsettled or [one for one in draft.intents.values() if _untold(one, draft.now.wall_us)]
    if missing and since_us >= (FETCH_AGAIN_US if unsettled else FETCH_LATER_US):
        lane.heed.fetched_us = draft.now.mono_us
        for intent in missing:
            news.fetch_fills(lane, draft, intent)


def _untold(intent: Intent, wall_us: int) -> bool:
    """Whether the ledger lacks trades of an order that is over, and they may come still."""
    return not fills_complete(intent) and wall_us - intent.created_us < UNTOLD_US_MAX


def _shrink(lane: Lane, draft: Draft) -> None:
    allowed = Decimal(str(lane.world.permits.max_ratio(lane.pair)))
    ratio = min(allowed, lane.world.share(lane.keys))
    why = "risk allows" if ratio == allowed else "the collateral allows"
    mid = lane.world.mid(lane.keys[0]) or lane.world.mid(lane.keys[1])
    if ratio >= 1 or not mid:
        return
    full = draft.state.full or draft.state.notional_usd / mid
    reason = f"{why} {format(ratio, '.0%') if ratio > 0 else 'nothing'} of its size"
    if draft.state.hedged <= full * ratio * SHRINK_SLACK or not both_answer(lane, draft, reason):
        return
    if ratio <= 0:
        closing.begin(draft, reason=reason, hard=True)
    else:
        holding.shrink(lane, draft, ratio, full, reason)


def both_answer(lane: Lane, draft: Draft, reason: str) -> bool:
    """Whether both venues have answered a look since this was demanded: what reduces both legs must not begin
    where only one can be reduced. A liquidation that is near does not wait for it.
    """
    heed, now_us = lane.heed, draft.now.mono_us
    if heed.demanded_us is None or now_us - heed.heard_us > DEMAND_US_MAX:
        heed.demanded_us, heed.demand_told = now_us, False
        recovery.compare(lane, draft)
    heed.heard_us = now_us
    silent = [venue for venue, _ in lane.keys if heed.looked.get(venue, -1) < heed.demanded_us]
    if not silent or lane.world.is_near(lane.keys):
        heed.demanded_us = None
        return True
    if now_us - lane.compared_us >= COMPARE_AGAIN_US:
        recovery.compare(lane, draft)
    if now_us - heed.demanded_us >= DEMAND_US_MAX and not heed.demand_told:
        heed.demand_told = True
        text = f"{reason}: waits, since {silent[0]} does not answer; a leg alone would be worse"
        draft.alert(AlertLevel.CRITICAL, "waits", f"{lane.pair}: {text}")
    return False
