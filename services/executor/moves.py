"""What is recorded of a pair's move from state to state: in the journal, and on the bus. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from libs.common.instant import Now
from services.executor.model import LOANS, Intent, IntentState, PairState, State, Trigger

LATENCIES_MAX: Final = 32
"""The newest of a state: as many as the orders that stay in any case (`keeping.RECENT`)."""


class Move(msgspec.Struct, frozen=True, kw_only=True):
    """One transition of the machine, as the journal keeps it.

    `in_state_us` is how long the state that it ends has lasted; `fills` and `latencies_us` are of the orders
    that were decided in that state (`figures`). `attempt`: the one that this state belonged to.
    """

    source: State
    target: State
    trigger: Trigger
    reason: str
    in_state_us: int
    attempt: int = 0
    fills: int = 0
    latencies_us: tuple[int, ...] = ()


def move_of(
    before: PairState, target: State, trigger: Trigger, reason: str, *, intents: Iterable[Intent], now: Now
) -> Move:
    """The record of a move out of `before`, with what is known of its orders."""
    fills, latencies_us = figures(before, intents)
    return Move(
        source=before.state,
        target=target,
        trigger=trigger,
        reason=reason,
        in_state_us=max(0, now.wall_us - before.since_us) if before.since_us else 0,
        attempt=before.attempt,
        fills=fills,
        latencies_us=latencies_us,
    )


def figures(state: PairState, intents: Iterable[Intent]) -> tuple[int, tuple[int, ...]]:
    """(trades, latencies in us, oldest order first) of the orders that were decided in a state.

    Earlier ones of the pair are kept for late news of them, and are none of its business.
    """
    mine = [one for one in intents if one.n > state.since_n and one.purpose not in LOANS]
    known = [us for one in mine if (us := latency_us(one)) is not None]
    return sum(len(one.fills) for one in mine), tuple(known[-LATENCIES_MAX:])


def latency_us(intent: Intent) -> int | None:
    """From an order's decision to the word that ended it: the write before it, the way, the venue, the word.

    None while it is open, and of one that was never sent. Wall clock; one that was set back makes it 0.
    """
    if not intent.over_us or not intent.state.is_final or intent.state is IntentState.VOID:
        return None
    return max(0, intent.over_us - intent.created_us)
