"""What is wanted of a pair, by signal, by risk or by a person; and why it is not done when it is not."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Final

from libs.common.effects import Note
from libs.common.instant import US_PER_SEC
from libs.common.messages import Intent as Wanted
from services.executor import (
    assumed,
    closing,
    fetching,
    flatten,
    leftovers,
    making,
    opening,
    recheck,
    recovery,
    shrink,
    slow,
    stall,
    watch,
)
from services.executor.lane import Draft, Lane
from services.executor.model import Direction, State

COMPARE_AGAIN_US: Final = US_PER_SEC


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
    if why := not_opened(lane, draft, wanted.notional_usd, wanted.direction, wanted.reason):
        refuse(draft, f"not opened: {why}")


def not_opened(lane: Lane, draft: Draft, notional_usd: str, direction: Direction, reason: str) -> str:
    """Begin an opening, whoever asks for it; or why that cannot be, in words."""
    try:
        notional = Decimal(notional_usd)
    except InvalidOperation:
        notional = Decimal("NaN")
    why = "" if notional.is_finite() and notional > 0 else f"{notional_usd!r} is no notional"
    why = why or lane.world.forbidden(lane.pair, lane.keys, draft.now)
    why = why or opening.why_not(lane, draft, notional, direction)
    if why:
        lane.heed.wished_us = draft.now.mono_us
        lane.world.want_set_up(lane.keys)
    else:
        opening.begin(lane, draft, notional_usd=notional, direction=direction, reason=reason)
    return why


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
    stall.watch_permits(lane, draft)
    lane.heed.slow = slow.why(lane, draft)
    stall.watch(lane, draft)
    lane.heed.waits = ""
    if lane.lease is None:
        return
    flatten.tell_stuck(lane, draft)
    fetching.due(lane, draft)
    assumed.due(lane, draft)
    recheck.due(lane, draft)
    leftovers.due(lane, draft)
    if draft.live and not (draft.state.state is State.CLOSING and making.rests(lane, draft)):
        return
    if not lane.ready:
        if lane.loaded and draft.now.mono_us - lane.compared_us >= COMPARE_AGAIN_US:
            recovery.compare(lane, draft)
        return
    if watch.is_due(lane, draft):
        recovery.compare(lane, draft, since_us=watch.since_us(lane, draft))
    if not flatten.on_tick(lane, draft) and draft.state.state is State.ACTIVE and draft.state.plan is None:
        shrink.on_tick(lane, draft)
