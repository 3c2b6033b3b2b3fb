"""Places on an order's way where a test can make the process die as by kill -9.

Inert unless FUNDARB_FAILPOINT names a point: `after_release` dies there the first time, `after_release:3` the
third time. Mode live refuses to start with it.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Mapping
from typing import Final

from libs.common.effects import Actor, Effect, Event
from libs.common.instant import Now
from services.executor.events import OrderAnswered, SendOrders

ENV: Final = "FUNDARB_FAILPOINT"
POINTS: Final = (
    "before_persist",
    "after_persist",
    "after_prepare",
    "after_release",
    "before_answer",
    "after_answer",
)
"""In the order in which a send passes them: decided; durable; signed; written; answered; told to the pair."""


class BadFailpoint(ValueError):
    """The variable names no point; the text lists them."""


class Failpoints:
    """The armed point, if any, and how often it is still to be passed."""

    def __init__(self, point: str = "", left: int = 1) -> None:
        self.point = point
        self._left = left

    @classmethod
    def of(cls, env: Mapping[str, str]) -> Failpoints:
        """As the environment asks. Raises BadFailpoint."""
        text = env.get(ENV, "")
        if not text:
            return cls()
        point, _, count = text.partition(":")
        if point not in POINTS or not (count or "1").isdigit() or int(count or "1") < 1:
            raise BadFailpoint(f"{ENV}={text!r}: one of {', '.join(POINTS)} is expected, or point:number")
        return cls(point, int(count or "1"))

    def hit(self, point: str) -> None:
        """The process is at this point now; it may not leave it."""
        if point != self.point:
            return
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


class Tripwire:
    """An actor that dies between a decision and its write: to send, or what an answer has changed."""

    def __init__(self, actor: Actor, failpoints: Failpoints) -> None:
        self._actor = actor
        self._failpoints = failpoints

    def handle(self, event: Event, now: Now) -> Iterable[Effect]:
        """The actor's own effects."""
        effects = list(self._actor.handle(event, now))
        if any(isinstance(effect, SendOrders) for effect in effects):
            self._failpoints.hit("before_persist")
        if isinstance(event, OrderAnswered):
            self._failpoints.hit("after_answer")
        return effects
