"""What the executor says of its pairs and orders, as wire messages. Pure projections."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from libs.common.instant import US_PER_MS, Now
from libs.common.messages_exec import OrderEvent, PairLeg, PairStatus
from services.executor import moves, stall
from services.executor.model import Intent, IntentState, State
from services.executor.neighbours import closed_until
from services.executor.world import Key

if TYPE_CHECKING:
    from services.executor.lane import Lane
    from services.executor.moves import Move


def order_event(intent: Intent, key: Key, now: Now) -> OrderEvent:
    """One order as it stands."""
    return OrderEvent(
        pair=intent.pair,
        id=intent.id,
        venue=key[0],
        instrument=key[1],
        purpose=intent.purpose.value,
        order_class=intent.order_class.value,
        side=intent.side,
        quantity=intent.quantity,
        price=intent.price,
        reduce_only=intent.reduce_only,
        state=intent.state.value,
        filled=intent.filled,
        average=intent.filled_quote / intent.filled if intent.filled else None,
        reason=intent.reason,
        failure=intent.failure,
        latency_us=moves.latency_us(intent),
        attempt=intent.attempt,
        wall_us=now.wall_us,
    )


def said_of(lane: Lane, now: Now, made: Sequence[Move]) -> Iterator[PairStatus]:
    """What is said of a turn that is durable: each of its moves, the newest last, or how the pair stands.

    Quantities are those after the turn in all of them: it was one write, with one version.
    """
    for move in made[:-1]:
        status = pair_status(lane, now, move=move)
        yield msgspec.structs.replace(status, state=move.target.value, reason=move.reason)
    yield pair_status(lane, now, move=made[-1] if made else None)


def pair_status(lane: Lane, now: Now, *, move: Move | None = None) -> PairStatus:
    """A pair as it stands, and the move that has brought it there."""
    state = lane.state
    fills, latencies_us = moves.figures(state, lane.intents.values())
    if move is not None:
        fills, latencies_us = move.fills, move.latencies_us
    legs = tuple(
        PairLeg(
            venue=leg.venue,
            instrument=leg.instrument,
            kind=leg.kind,
            quantity=leg.quantity,
            entry_price=leg.entry_price,
            mid=_float(lane.world.mid(key)),
            borrowed=leg.borrowed,
        )
        for leg, key in zip(state.legs, lane.keys, strict=True)
    )
    larger = max(abs(leg.quantity) for leg in state.legs)
    mid = lane.world.mid(lane.keys[0]) or lane.world.mid(lane.keys[1])
    live = [intent for intent in lane.intents.values() if not intent.state.is_final]
    return PairStatus(
        pair=state.pair,
        state=state.state.value,
        version=state.version,
        direction=state.direction,
        legs=(legs[0], legs[1]),
        notional_usd=state.notional_usd,
        delta=state.delta,
        delta_ratio=float(abs(state.delta) / larger) if larger else 0.0,
        naked_usd=float(abs(state.delta) * mid) if mid else 0.0,
        reason=_reason(lane),
        from_state=move.source.value if move else "",
        trigger=move.trigger.value if move else "",
        in_state_ms=move.in_state_us // US_PER_MS if move else 0,
        since_us=state.since_us,
        opened_ms=state.opened_ms,
        orders_open=len(live),
        orders_unknown=sum(intent.state is IntentState.UNKNOWN for intent in live),
        attempt=state.attempt,
        fills=fills,
        latencies_us=latencies_us,
        quarantined_until_ms=closed_until(lane),
        # whose state is not read yet has no word to say about the pair
        owner="" if lane.lease is None or not lane.loaded else lane.lease.owner,
        wall_us=now.wall_us,
    )


def _reason(lane: Lane) -> str:
    """Why it is as it is; and before all what it waits for, while nothing can be done for it."""
    said, waits = lane.state.reason, stall.why(lane) or lane.heed.waits
    if not waits or lane.state.state in (State.IDLE, State.STUCK):
        return said or waits
    return f"waiting: {waits} ({said})" if said else f"waiting: {waits}"


def _float(value: Decimal | None) -> float | None:
    return None if value is None else float(value)
