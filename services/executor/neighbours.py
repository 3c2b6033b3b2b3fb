"""Pairs that share an instrument: opposite directions on one are refused, since they would net out.

In one-way mode a long and a short on one instrument are one position, or none: neither pair could be reduced
by itself, and a venue's "nothing to reduce" would be true.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from services.executor.model import Direction, State

if TYPE_CHECKING:
    from services.executor.lane import Lane


def side_of(lane: Lane, leg: int) -> int:
    """+1, -1: the side that a leg has or is on the way to; 0 for none."""
    held = lane.state.legs[leg].quantity or lane.dust[leg]
    if lane.state.state is State.OPENING and lane.state.plan is not None:
        held = lane.state.plan.goals[leg] or held
    return (held > 0) - (held < 0)


def opposed(lane: Lane, lanes: Iterable[Lane], sides: tuple[int, int], direction: Direction) -> str:
    """Why a pair cannot be opened beside the others, in words; `sides`: +1 or -1 for its legs then."""
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
