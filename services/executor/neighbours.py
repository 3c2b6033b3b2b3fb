"""What the other pairs of this executor leave to a pair that is to be opened.

Pairs that share an instrument: opposite directions on one are refused, since they would net out.

In one-way mode a long and a short on one instrument are one position, or none: neither pair could be reduced
by itself, and a venue's "nothing to reduce" would be true.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from libs.carry.exposure import too_much, usd_by_exchange
from services.executor.model import Direction, IntentState, State, sign_of
from services.executor.reserve import cap_usd

if TYPE_CHECKING:
    from services.executor.lane import Lane


ROOM: Final = Decimal("1.1")
"""A wish may be so much larger than the configured notional."""


def quarantined(lane: Lane) -> tuple[int, str] | None:
    """Until when (market ms), and why, no pair opens on one of the instruments; None when none is closed.

    A quarantine is of the instrument (risk.md): what befell one of its pairs keeps all of them out.
    """
    found = [
        (until_ms, f"{key[0]} {key[1]} is quarantined after several unwinds")
        for other in (lane, *lane.world.lanes.values())
        if (until_ms := other.state.quarantined_until_ms) is not None
        for leg in other.state.quarantined_legs
        if (key := other.keys[leg]) in lane.keys
    ]
    return max(found, default=None)


def closed_until(lane: Lane) -> int | None:
    """Until when (market ms) a quarantine keeps a pair closed, None without one."""
    found = quarantined(lane)
    return None if found is None else found[0]


def side_of(lane: Lane, leg: int) -> int:
    """+1, -1: the side that a leg has, is on the way to or may come back to; 0 for none.

    A leg that is closed is restored when the other one cannot be, a held pair may add to a lost one, and what
    a venue has bought beyond a short position is sold again.
    """
    state = lane.state
    if state.state not in (State.IDLE, State.STUCK):
        return sign_of(state.direction, leg)
    held = state.legs[leg].quantity or lane.dust[leg]
    return (held > 0) - (held < 0)


def opposed(lane: Lane, lanes: Iterable[Lane], sides: tuple[int, int], direction: Direction) -> str:
    """Why a pair cannot be opened beside the others, in words; `sides`: +1 or -1 for its legs then.

    Nor beside what is nobody's yet: whatever a venue denies would wait until that is known.
    """
    for leg in lane.doubted_us:
        venue, name = lane.keys[leg]
        return f"{venue} {name} is not what our fills add up to, which is being looked into"
    for other in lanes:
        if other is lane:
            continue
        for leg, key in enumerate(lane.keys):
            if key not in other.keys:
                continue
            if not other.ready:
                return f"{other.pair} shares {key[1]} on {key[0]} and is not reconciled yet"
            side = side_of(other, other.keys.index(key))
            if side * sides[leg] < 0:
                held = "long" if side > 0 else "short"
                return f"{other.pair} holds {key[1]} on {key[0]} {held}: {direction} would cancel it out"
    return ""


def over_limits(lane: Lane, notional_usd: Decimal) -> str:
    """Why an opening of that notional a leg, all of its slices together, is too much, in words."""
    config, others = lane.world.config, filter(_is_ours, lane.world.lanes.values())
    allowed = Decimal(str(config.position.notional_usd)) * ROOM
    if notional_usd > allowed:
        return f"{notional_usd} USD a leg are more than position.notional_usd allows ({allowed})"
    taken = [one.state for one in others if one is not lane and one.state.state is not State.IDLE]
    if len(taken) >= config.limits.max_pairs:
        return f"limits.max_pairs {config.limits.max_pairs} are taken"
    total = sum((one.notional_usd for one in taken), notional_usd)
    limit, name = cap_usd(config)
    if limit is not None and total > limit:
        return f"{name} {limit:,.0f} would be exceeded ({total:,.0f})"
    at = [(leg.venue, float(state.notional_usd)) for state in taken for leg in state.legs]
    at += [(venue, float(notional_usd)) for venue, _ in lane.keys]
    if over := too_much(usd_by_exchange(at), config.limits.max_notional_per_venue_usd):
        return f"limits.max_notional_per_venue_usd would be exceeded on {over[0]} ({over[1]:,.0f})"
    return ""


def _is_ours(lane: Lane) -> bool:
    """Whether what is in memory of a pair is how it is."""
    return lane.lease is not None and lane.loaded


def in_doubt(lane: Lane, *, others: bool = False) -> str:
    """Which venue of a pair takes no opens, since the fate of an order there is not known (execution.md).

    `others`: the pair's own orders aside, which it knows better within a turn.
    """
    venues = {venue for venue, _ in lane.keys}
    for other in filter(_is_ours, lane.world.lanes.values()):
        if others and other is lane:
            continue
        for intent in other.intents.values():
            venue = other.keys[intent.leg][0]
            if intent.state is IntentState.UNKNOWN and venue in venues:
                return f"an order of {other.pair} at {venue} is unknown"
    return ""
