"""Which of the trades that a venue made by itself are booked: by name, and all of them before a time. Pure.

    time   ------------ mark ------------- now
    names  (forgotten)  | kept in `taken`

A trade before the mark is never booked: it is, or the venue's position agreed with the books long after it.
The mark and the names are of one write, and trades at the mark itself have their names: none is lost or
booked again at equal stamps, after a restart, or after a crash between.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from libs.common.instant import US_PER_MS, US_PER_SEC
from libs.common.subjects import SPOT
from services.executor.events import AccountSeen
from services.executor.model import ZERO, PairState, State
from services.executor.world import Key

if TYPE_CHECKING:
    from services.executor.lane import Draft, Lane

BACK_US: Final = 600 * US_PER_SEC
"""So long before a look that agreed: a venue tells of a trade late, and its clock is not ours."""

LOOK_BACK_MS: Final = 60_000
"""So long before what is known to be booked trades are asked for."""

KEPT_MAX: Final = 512
"""Names of one pair. A venue that makes more trades within `BACK_US` moves the mark: one that it tells of
later than so many after it is not booked, and the pair halts at the difference.
"""


def trade_prefix(key: Key) -> str:
    """What the names of an instrument's trades begin with: venues number theirs alike, some by instrument."""
    return f"{key[0]}:{key[1]}:"


def mark_ms(states: Iterable[PairState], key: Key) -> int:
    """The mark of an instrument (venue time, ms): the latest among the pairs that share it, since what one of
    them has forgotten another one would take for its own.
    """
    marks = (
        mark
        for state in states
        for leg, mark in zip(state.legs, state.booked_ms, strict=True)
        if (leg.venue, leg.instrument) == key
    )
    return max(marks, default=0)


def on_agreed(lane: Lane, draft: Draft, leg: int, seen: AccountSeen, missing: Decimal) -> None:
    """A contract's position was exactly what all pairs have of it: so far nothing is left to be booked. Coins
    may be the user's as well: how many there are proves nothing.
    """
    if missing != 0 or lane.kinds[leg] is SPOT:
        return
    asked_us = draft.now.wall_us - (draft.now.mono_us - seen.asked_mono_us)
    lane.agreed_ms[leg] = (asked_us - BACK_US) // US_PER_MS


def since_ms(lane: Lane, draft: Draft, leg: int) -> int:
    """From when on (venue time) a venue's own trades are asked for: from before the pair came into its state,
    and before the last look that agreed. Where this life has seen none, from the first order of the attempt:
    a venue that was away may have taken something two states ago.
    """
    state, agreed_ms = draft.state, lane.agreed_ms.get(leg)
    since_us = [draft.now.wall_us, state.since_us or draft.now.wall_us]  # now: a clock may have been set back
    if agreed_ms is not None:
        since_us.append(agreed_ms * US_PER_MS + BACK_US)
    elif state.state is not State.IDLE:
        since_us += [one.created_us for one in draft.intents.values() if one.attempt == state.attempt]
    return max(min(since_us) // US_PER_MS - LOOK_BACK_MS, state.booked_ms[leg])


def with_names(lane: Lane, draft: Draft, borne: dict[str, Decimal], stamps: dict[str, int]) -> None:
    """Note what the pair bears of trades (by name, with their venue times), and forget what is old."""
    state = draft.state
    taken = {**state.taken, **borne}
    times = {name: stamps.get(name, state.taken_ms.get(name, 0)) for name in taken}
    prefixes = [trade_prefix(key) for key in lane.keys]

    def leg_of(name: str) -> int:
        return 0 if name.startswith(prefixes[0]) else 1

    newest = [max((times[name] for name in taken if leg_of(name) == leg), default=0) for leg in (0, 1)]
    # the venue's own time is a bound: a clock of ours that is ahead would hide what is taken later
    agreed = [min(lane.agreed_ms.get(leg, 0), newest[leg]) for leg in (0, 1)]
    marks = [max(mark, agreed[leg]) for leg, mark in enumerate(state.booked_ms)]

    kept = [name for name in sorted(taken, key=times.__getitem__) if times[name] >= marks[leg_of(name)]]
    for name in kept[:-KEPT_MAX]:
        leg = leg_of(name)
        marks[leg] = max(marks[leg], times[name] + 1)
    kept = kept[-KEPT_MAX:]
    draft.set(
        taken={name: taken[name] for name in kept},
        taken_ms={name: times[name] for name in kept},
        booked_ms=(marks[0], marks[1]),
    )


def borne_of(states: Iterable[PairState], name: str) -> Decimal:
    """What pairs have booked of a trade together."""
    return sum((state.taken.get(name, ZERO) for state in states), ZERO)
