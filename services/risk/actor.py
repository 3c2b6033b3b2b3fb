"""Says every 250 ms what is allowed: the permit without which nobody may increase a position.

State, not edges: whoever missed a permit is right again one beat later. The epoch is raised in the store at
each start, so that no permit of an earlier life counts any more. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from libs.common import subjects
from libs.common.effects import (
    Answered,
    Draining,
    Effect,
    Event,
    Health,
    Note,
    Persisted,
    Publish,
    Received,
    Request,
    SetTimer,
    Started,
    TimerFired,
)
from libs.common.instant import US_PER_MS, US_PER_SEC, Now
from libs.common.messages import AlertLevel
from libs.common.messages_exec import Permit

BEAT_US: Final = 250 * US_PER_MS
RETRY_US: Final = US_PER_SEC
BEAT, RAISE = "beat", "raise"


class RaiseEpoch(Request, frozen=True, kw_only=True):
    """Raise the stored epoch by one. Answered with the new one, an int above 0."""


class RiskActor:
    """The permits of one life of the risk service. Silent until the store has given it an epoch."""

    def __init__(self, *, build: str) -> None:
        self._build = build
        self._epoch = 0
        self._revision = 0

    def handle(self, event: Event, now: Now) -> Iterable[Effect]:
        """One event; effects in the order in which they are to be done."""
        match event:
            case Started():
                yield RaiseEpoch()
            case TimerFired(name=name):
                yield from self._timer(name, now)
            case Answered(request=RaiseEpoch()):
                yield from self._raised(event, now)
            case Draining() | Persisted() | Received():
                pass
            case _:
                fields = {"event": type(event).__name__}
                yield Note(text="an event that risk does not know", level=AlertLevel.WARNING, fields=fields)

    def _timer(self, name: str, now: Now) -> Iterable[Effect]:
        if name == RAISE:
            yield RaiseEpoch()
        elif name == BEAT:
            yield from self._beat(now)

    def _raised(self, event: Answered, now: Now) -> Iterable[Effect]:
        if event.error is not None:
            text = f"no epoch from the store, so nobody may open anything: {event.error}"
            yield Health(key="epoch", problem=text)
            yield SetTimer(name=RAISE, after_us=RETRY_US)
            return
        self._epoch = event.result
        yield Health(key="epoch", problem="")
        yield from self._beat(now)

    def _beat(self, now: Now) -> Iterable[Effect]:
        """The next beat is counted from this one: after a pause permits do not come in a burst."""
        self._revision += 1
        permit = Permit(
            risk_epoch=self._epoch, revision=self._revision, build=self._build, wall_us=now.wall_us
        )
        yield Publish(subject=subjects.PERMIT, message=permit)
        yield SetTimer(name=BEAT, after_us=BEAT_US)
