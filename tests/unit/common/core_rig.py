"""The pure core under a manual clock, with an actor whose events carry what it shall answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from libs.common.core import Core, Turn
from libs.common.effects import (
    Effect,
    Event,
    Note,
    Persist,
    Persisted,
    TimerFired,
)
from libs.common.instant import ManualClock, Now


class Do(Event, frozen=True, kw_only=True):
    """An event that carries the effects its actor shall answer with."""

    lane: str = ""
    name: str = ""
    effects: tuple[Effect, ...] = ()


class Puppet:
    def __init__(self) -> None:
        self.seen: list[str] = []
        self.on_timer: Callable[[str], tuple[Effect, ...]] = lambda _name: ()

    def handle(self, event: Event, now: Now) -> Iterable[Effect]:
        match event:
            case Do():
                self.seen.append(event.name)
                return event.effects
            case TimerFired():
                self.seen.append(f"timer {event.name}")
                return self.on_timer(event.name)
            case Persisted():
                self.seen.append(f"persisted {event.token} {event.ok}")
                return ()
            case _:
                raise ValueError(f"cannot handle {type(event).__name__}")


def lane_of(event: Event) -> str:
    match event:
        case Do():
            return event.lane
        case TimerFired():
            return event.name.split(":")[0]
        case _:
            return ""


class Rig:
    def __init__(self, capacity: int = 100) -> None:
        self.puppet = Puppet()
        self.clock = ManualClock()
        self.core = Core(self.puppet, lane_of=lane_of, capacity=capacity)
        self.done: list[str] = []

    def offer(self, *events: Event) -> None:
        for event in events:
            self.core.offer(event, self.clock.now())

    def step(self) -> Turn | None:
        turn = self.core.step(self.clock.now())
        if turn is not None:
            self.record(turn)
        return turn

    def run(self) -> None:
        while self.step() is not None:
            pass

    def settle(self, lane: str, *, ok: bool = True) -> Turn:
        turn = self.core.settle(lane, ok=ok, error=None if ok else "store down", now=self.clock.now())
        self.record(turn)
        return turn

    def record(self, turn: Turn) -> None:
        self.done += [
            effect.text if isinstance(effect, Note) else type(effect).__name__ for effect in turn.effects
        ]


def note(text: str) -> Note:
    return Note(text=text)


def persist(token: str, *, tell: bool = False) -> Persist:
    return Persist(token=token, writes={"k": b"1"}, tell=tell)
