"""What the executor measures of pairs and orders, for Prometheus. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from libs.common.effects import Effect, Measure
from libs.common.instant import US_PER_SEC, Now
from libs.exchange.trading_values import NeverSent, Rejected, Unknown
from services.executor.events import OrderAnswered
from services.executor.model import State

if TYPE_CHECKING:
    from libs.common.messages import Intent
    from services.executor.lane import Lane

WAY_US_MAX: Final = 10 * US_PER_SEC
"""An older tick is not what made the order: the wish has waited for something else."""

_STATES: Final = tuple((state, state.value) for state in State)


def of_state(lane: Lane) -> Iterable[Effect]:
    """1 for the state that a pair is in, 0 for all others, so that a change is a change of two series."""
    for state, name in _STATES:
        labels = {"pair": lane.pair, "state": name}
        yield Measure(metric="fundarb_pair_state", value=float(lane.state.state is state), labels=labels)


def of_legs(lane: Lane) -> Iterable[Effect]:
    """USD of each leg at its own mid, signed as its quantity; nothing new of a held leg without a mid."""
    for leg, (venue, instrument) in zip(lane.state.legs, lane.keys, strict=True):
        mid = lane.world.mid((venue, instrument))
        if mid is None and leg.quantity:
            continue
        labels = {"pair": lane.pair, "venue": venue, "instrument": instrument}
        yield Measure(metric="fundarb_leg_usd", value=float(leg.quantity * (mid or 0)), labels=labels)


class Orders:
    """Orders counted by outcome, the time to their answer, and the way from the tick behind them."""

    def __init__(self) -> None:
        self._ticks: dict[str, int] = {}

    def asked(self, wanted: Intent) -> None:
        """A wish came in: its tick counts until the first order of the pair has left."""
        if wanted.tick_us is not None:
            self._ticks[wanted.pair] = wanted.tick_us

    def answered(self, lane: Lane, event: OrderAnswered, now: Now) -> Iterable[Effect]:
        """One order by what came of it: `denied` is our own gate's word, the rest the venue's or nobody's."""
        intent = lane.intents.get(event.id)
        if intent is None:
            return
        venue = lane.keys[intent.leg][0]
        labels = {"pair": lane.pair, "venue": venue, "outcome": outcome(event)}
        yield Measure(metric="fundarb_orders_total", value=1, labels=labels)
        if event.latency_us is not None:
            seconds = event.latency_us / US_PER_SEC
            yield Measure(metric="fundarb_order_latency_seconds", value=seconds, labels={"venue": venue})
        tick_us = self._ticks.pop(lane.pair, None)
        if tick_us is not None and event.sent_mono_us is not None:
            left_us = now.wall_us - (now.mono_us - event.sent_mono_us)
            way_us = left_us - tick_us
            if 0 <= way_us <= WAY_US_MAX:
                yield Measure(metric="fundarb_tick_to_order_seconds", value=way_us / US_PER_SEC)


def outcome(event: OrderAnswered) -> str:
    """`accepted`, `rejected`, `unknown`, `never_sent` or `denied`."""
    if event.refusal is not None:
        return "denied"
    match event.outcome:
        case Rejected():
            return "rejected"
        case Unknown() | None:
            return "unknown"
        case NeverSent():
            return "never_sent"
        case _:
            return "accepted"
