"""The executor's actor and its books side by side: one inbox, a lane of its own for the books."""

from __future__ import annotations

from collections.abc import Iterable

from libs.common.effects import Effect, Event, Persist, Persisted, Reloaded, Started
from libs.common.instant import Now
from services.executor.accountant import Accountant
from services.executor.actor import ExecutorActor
from services.executor.books_work import LANE


class WithBooks:
    """Events of the lane `books` go to the accountant, all others to the pairs. After each turn of a pair its
    naked value is looked at, so that none is missed between two ticks; the books know when its writes begin
    and end, since no account is compared across one.
    """

    def __init__(self, pairs: ExecutorActor, books: Accountant) -> None:
        self.pairs = pairs
        self.books = books

    def lane_of(self, event: Event) -> str:
        """As the pairs say: what names `books` as its pair is the books'."""
        return self.pairs.lane_of(event)

    def handle(self, event: Event, now: Now) -> Iterable[Effect]:
        """One event; effects in the order in which they are to be done."""
        if isinstance(event, Reloaded):
            self.pairs.world.config = event.config
            return
        self.books.hear(event)
        name = self.lane_of(event)
        if name == LANE:
            yield from self.books.handle(event, now)
            return
        lane = self.pairs.lanes.get(name)
        if lane is not None and isinstance(event, Persisted):
            self.books.stillness.ended(lane, event, now.mono_us)
        for effect in self.pairs.handle(event, now):
            if lane is not None and isinstance(effect, Persist):
                self.books.stillness.begins(lane, effect, now.mono_us)
            yield effect
        if isinstance(event, Started):
            yield from self.books.start()
        if lane is not None:
            yield from self.books.exposed(lane, now)
