"""Orders made ready while their intents are being written: signed, with a connection each, nothing sent.

The store takes as long as an fsync, and building two orders takes about as long as the rest of the way. Here
only gets ready what `Desk` lets go once the write is durable and the gate has said yes; what the write did
not survive is dropped, at the latest by its own expiry (`wire.HOLD_SEC_MAX`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Final, Protocol

import msgspec

from libs.common.instant import US_PER_SEC, Clock
from libs.exchange.trading import Prepared, Trading
from libs.exchange.trading_values import NeverSent, OrderRequest
from services.executor.events import SendOrders
from services.executor.translate import request_of

log = logging.getLogger(__name__)

AGE_US_MAX: Final = US_PER_SEC
"""Half of what a signed order may wait: an older one is dropped and made anew."""


class Droppable(Prepared, Protocol):
    """A prepared order that can be dropped without a wait. `alive`: its connection still stands."""

    @property
    def alive(self) -> bool: ...

    def drop(self, why: str) -> NeverSent: ...


class _Made(msgspec.Struct, frozen=True):
    request: SendOrders
    legs: tuple[Droppable, ...]
    mono_us: int


class Ahead:
    """Requests by the ids of their orders."""

    def __init__(self, tradings: Mapping[str, Trading], clock: Clock) -> None:
        self._tradings = tradings
        self._clock = clock
        self._made: dict[tuple[str, ...], _Made] = {}

    def make(self, request: SendOrders) -> None:
        """Make a request's orders ready, all or none."""
        now_us = self._clock.now().mono_us
        for ids, made in tuple(self._made.items()):
            again = ids == _ids(request) and made.request != request
            if again or now_us - made.mono_us > AGE_US_MAX:  # its write failed
                del self._made[ids]
                _drop(made.legs)
        if _ids(request) not in self._made and (legs := self._ready(request)) is not None:
            self._made[_ids(request)] = _Made(request, legs, now_us)

    def take(self, request: SendOrders) -> tuple[Droppable, ...] | None:
        """The orders of a request, made ready before or now; None when that takes a wait.

        A write that failed gives its ids back: the next orders may have them, and be others.
        """
        made = self._made.pop(_ids(request), None)
        if made is not None:
            young = self._clock.now().mono_us - made.mono_us <= AGE_US_MAX
            if young and made.request == request and all(leg.alive for leg in made.legs):
                return made.legs
            _drop(made.legs)
        return self._ready(request)

    def _ready(self, request: SendOrders) -> tuple[Droppable, ...] | None:
        legs: list[Droppable] = []
        for intent in request.intents:
            venue, instrument = request.legs[intent.leg]
            at_once: Callable[[OrderRequest], Droppable | None] | None
            at_once = getattr(self._tradings.get(venue), "at_once", None)  # not every port can
            leg = None
            if at_once is not None:
                try:
                    leg = at_once(request_of(intent, instrument))
                except Exception:  # the way with a wait meets it again, and tells it
                    log.exception("%s: an order could not be made ready", venue)
            if leg is None:
                _drop(legs)
                return None
            legs.append(leg)
        return tuple(legs)


def _ids(request: SendOrders) -> tuple[str, ...]:
    return tuple([intent.id for intent in request.intents])


def _drop(legs: tuple[Droppable, ...] | list[Droppable]) -> None:
    for leg in legs:
        leg.drop("it was made ready and not let go")
