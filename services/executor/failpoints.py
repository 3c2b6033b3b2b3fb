"""Places on an order's way where a test can make the process die as by kill -9, or lose what it books.

Inert unless FUNDARB_FAILPOINT names a point: `after_release` dies there the first time, `after_release:3` the
third time. `lose_fee` dies nowhere: the first fee (`lose_fee:3`: the third) that was to be booked is left out
of the ledger, as a fault of ours would, so that a test sees it in the residual. Mode live refuses to start
with any of them.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Mapping
from typing import Final

from msgspec.structs import replace

from libs.common.codec import decode
from libs.common.effects import Actor, Effect, Event, Persist, Publish
from libs.common.instant import Now
from libs.common.messages_exec import LedgerKind, LedgerLine
from libs.common.store import Transition
from services.executor.events import OrderAnswered, SendOrders
from services.executor.ledger import STREAM

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


LOSE_FEE: Final = "lose_fee"
"""The line of one fee is not written, and not told."""


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
        known = (*POINTS, LOSE_FEE)
        if point not in known or not (count or "1").isdigit() or int(count or "1") < 1:
            raise BadFailpoint(f"{ENV}={text!r}: one of {', '.join(known)} is expected, or point:number")
        return cls(point, int(count or "1"))

    def hit(self, point: str) -> None:
        """The process is at this point now; it may not leave it."""
        if self.passes(point):
            os.kill(os.getpid(), signal.SIGKILL)

    def passes(self, point: str) -> bool:
        """Whether this is the passing that was asked for."""
        if point != self.point:
            return False
        self._left -= 1
        return self._left == 0


class Tripwire:
    """An actor that dies between a decision and its write (to send, or what an answer has changed), or whose
    write lacks a fee.
    """

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
        return self._without_fee(effects)

    def _without_fee(self, effects: list[Effect]) -> Iterable[Effect]:
        lost: set[str] = set()
        for effect in effects:
            match effect:
                case Persist(change=Transition(appends=appends) as change) if STREAM in appends:
                    kept = tuple(entry for entry in appends[STREAM] if not self._loses(entry, lost))
                    others = {name: entries for name, entries in appends.items() if name != STREAM}
                    appends = {**others, STREAM: kept} if kept else others
                    yield replace(effect, change=replace(change, appends=appends)) if lost else effect
                case Publish(message=LedgerLine(key=key)) if key in lost:
                    continue
                case _:
                    yield effect

    def _loses(self, entry: Mapping[str, bytes], lost: set[str]) -> bool:
        line = decode(entry["json"], LedgerLine)
        loses = line.kind is LedgerKind.FEE and self._failpoints.passes(LOSE_FEE)
        lost.update([line.key] if loses else ())
        return loses
