"""What is wanted of a pair, by signal, by risk or by a person; and why it is not done when it is not."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Final

from libs.common.effects import Note
from libs.common.instant import US_PER_SEC
from libs.common.messages import Intent as Wanted
from libs.common.messages_exec import Level
from services.executor import closing, holding, news, opening, recovery, watch
from services.executor.lane import Draft, Lane
from services.executor.model import State
from services.executor.permit import scopes_of

COMPARE_AGAIN_US: Final = US_PER_SEC
FETCH_AGAIN_US: Final = US_PER_SEC // 2

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
        if draft.state.state is State.ACTIVE:
            closing.begin(draft, reason=reason, hard=True)
        elif draft.state.state is State.CLOSING:
            closing.harden(draft, reason)
    elif draft.state.state is State.ACTIVE and draft.state.plan is None:
        _shrink(lane, draft)


def _fetch_again(lane: Lane, draft: Draft) -> None:
    """Trades that are missing are asked for until they are there."""
    if draft.unsettled and draft.now.mono_us - lane.fetched_us >= FETCH_AGAIN_US:
        lane.fetched_us = draft.now.mono_us
        for intent in draft.unsettled:
            news.fetch_fills(lane, draft, intent)


def _shrink(lane: Lane, draft: Draft) -> None:
    allowed = Decimal(str(lane.world.permits.max_ratio(lane.pair)))
    ratio = min(allowed, lane.world.share(lane.keys))
    why = "risk allows" if ratio == allowed else "the collateral allows"
    mid = lane.world.mid(lane.keys[0]) or lane.world.mid(lane.keys[1])
    if ratio >= 1 or not mid:
        return
    if ratio <= 0:
        closing.begin(draft, reason=f"{why} nothing of its size", hard=True)
        return
    full = draft.state.notional_usd / mid
    if draft.state.hedged > full * ratio * SHRINK_SLACK:
        holding.shrink(lane, draft, ratio, full, f"{why} {ratio:.0%} of its size")
