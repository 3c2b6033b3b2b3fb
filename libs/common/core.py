"""The pure half of the runtime: inbox, lanes, barriers and timers of one actor, without I/O or clock.

The shell (`libs.common.actor`), a test or a simulation drives it:

    core.offer(event, now)
    while (turn := core.step(now)) is not None:
        ... carry out turn.effects in order; when the last one is a `Persist`:
        turn = core.settle(turn.lane, ok=..., error=..., now=now)    # what was behind the barrier

A lane whose `Persist` is under way is closed: its events wait, in order, while other lanes go on.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec

from libs.common.effects import (
    Actor,
    CancelTimer,
    Effect,
    Event,
    Persist,
    Persisted,
    SetTimer,
    TimerFired,
    lane_of,
)
from libs.common.inbox import CAPACITY, Entry, Inbox, KeyOf, conflated, conflation_key
from libs.common.instant import Now

LaneOf = Callable[[Event], str]


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """Effects to carry out now, in order. Only the last can be a `Persist`: then `settle` must follow.

    `behind`: what is behind that barrier, for those who get ready for it.
    `waited_us`: how long the event was in the inbox (monotonic).
    """

    event: Event
    lane: str
    effects: tuple[Effect, ...]
    behind: tuple[Effect, ...] = ()
    waited_us: int = 0

    @property
    def barrier(self) -> Persist | None:
        last = self.effects[-1] if self.effects else None
        return last if isinstance(last, Persist) else None


class ActorFault(Exception):
    """The actor raised while it handled `event`: no effect of that turn happened."""

    def __init__(self, event: Event) -> None:
        super().__init__(f"{type(event).__name__} could not be handled")
        self.event = event


class _Closed(msgspec.Struct, kw_only=True):
    """A lane behind a barrier: the turn's remaining effects and the events that came meanwhile."""

    event: Event
    persist: Persist
    rest: tuple[Effect, ...]
    held: deque[Entry]
    held_data: int = 0

    def hold(self, entry: Entry) -> None:
        self.held.append(entry)
        self.held_data += entry.key is not None

    def conflate(self, capacity: int) -> int:
        """A slow store must not let a closed lane grow without end; answers how many were dropped."""
        before = len(self.held)
        self.held = conflated(self.held, capacity)
        dropped = before - len(self.held)
        self.held_data -= dropped
        return dropped


class Core:
    """One actor with its inbox. Not thread-safe; everything happens in the order of the calls."""

    def __init__(
        self,
        actor: Actor,
        *,
        lane_of: LaneOf = lane_of,
        key_of: KeyOf = conflation_key,
        capacity: int = CAPACITY,
    ) -> None:
        self._actor = actor
        self._lane_of = lane_of
        self.inbox = Inbox(key_of=key_of, capacity=capacity)
        self._ready: deque[Entry] = deque()  # older than anything in the inbox: their lane was closed
        self._closed: dict[str, _Closed] = {}
        self._timers = Timers()
        self._timer_last = False

    # --- what the shell asks ----------------------------------------------------------------------

    def depth(self) -> int:
        """Events that wait, those of closed lanes included."""
        held = sum(len(closed.held) for closed in self._closed.values())
        return len(self.inbox) + len(self._ready) + held

    def oldest_us(self) -> int | None:
        """Monotonic time at which the longest waiting event was offered."""
        heads = [closed.held[0].offered_us for closed in self._closed.values() if closed.held]
        if self._ready:
            heads.append(self._ready[0].offered_us)
        if (head := self.inbox.oldest_us()) is not None:
            heads.append(head)
        return min(heads) if heads else None

    def next_timer_us(self) -> int | None:
        """Monotonic time of the next timer, None when none is set."""
        return self._timers.next_us()

    @property
    def barriers(self) -> int:
        """How many lanes wait for the store."""
        return len(self._closed)

    @property
    def idle(self) -> bool:
        """Nothing waits, not even for the store (timers may be set)."""
        return not self._closed and not self._ready and not len(self.inbox)

    # --- driving ----------------------------------------------------------------------------------

    def offer(self, event: Event, now: Now) -> None:
        """Put an event into the inbox; raises only `InboxFlooded`."""
        self.inbox.put(event, lane=self._lane_of(event), now_us=now.mono_us)

    def step(self, now: Now) -> Turn | None:
        """Handle the next event whose lane is open, or a due timer; None when there is neither.

        Timers and events take turns, so that neither starves. `ActorFault` when the actor raises.
        """
        if self._timer_last:
            entry = self._next_event() or self._next_timer(now)
        else:
            entry = self._next_timer(now) or self._next_event()
        if entry is None:
            return None
        self._timer_last = isinstance(entry.event, TimerFired)
        try:
            effects = tuple(self._actor.handle(entry.event, now))
        except Exception as error:
            raise ActorFault(entry.event) from error
        waited_us = max(0, now.mono_us - entry.offered_us)
        return self._turn(entry.event, entry.lane, effects, now, waited_us)

    def settle(
        self,
        lane: str,
        *,
        ok: bool,
        now: Now,
        error: str | None = None,
        conflict: bool = False,
        repeated: bool = False,
    ) -> Turn:
        """The store has answered the barrier of `lane`: go on with the turn, or drop the rest of it.

        `Persisted` comes before every other waiting event of the lane, so that the actor knows of a
        failure before it decides anything else there.
        """
        closed = self._closed.pop(lane)
        if not ok or closed.persist.tell:
            told = Persisted(
                token=closed.persist.token, ok=ok, error=error, conflict=conflict, repeated=repeated
            )
            closed.held.appendleft(Entry(event=told, lane=lane, key=None, offered_us=now.mono_us))
        turn = self._turn(closed.event, lane, closed.rest if ok else (), now, 0)
        if turn.barrier is None:
            self._ready.extendleft(reversed(closed.held))
            self._timers.release(lane)
        else:  # a second barrier in one turn: the lane is closed again, and its events still wait
            self._closed[lane].held, self._closed[lane].held_data = closed.held, closed.held_data
        return turn

    # --- inside -----------------------------------------------------------------------------------

    def _next_event(self) -> Entry | None:
        while True:
            entry = self._ready.popleft() if self._ready else self.inbox.take()
            if entry is None:
                return None
            closed = self._closed.get(entry.lane)
            if closed is None:
                return entry
            closed.hold(entry)
            if closed.held_data > self.inbox.capacity:
                self.inbox.dropped += closed.conflate(self.inbox.capacity)

    def _next_timer(self, now: Now) -> Entry | None:
        while (name := self._timers.pop(now.mono_us)) is not None:
            event = TimerFired(name=name)
            lane = self._lane_of(event)
            if lane not in self._closed:
                self._timers.cancel(name)
                return Entry(event=event, lane=lane, key=None, offered_us=now.mono_us)
            self._timers.hold(lane, name)
        return None

    def _turn(self, event: Event, lane: str, effects: tuple[Effect, ...], now: Now, waited_us: int) -> Turn:
        """Keep timers here, close the lane at the first barrier, hand out what is before it."""
        out: list[Effect] = []
        behind: tuple[Effect, ...] = ()
        for index, effect in enumerate(effects):
            match effect:
                case SetTimer():
                    self._timers.set(effect.name, now.mono_us + max(0, effect.after_us))
                case CancelTimer():
                    self._timers.cancel(effect.name)
                case Persist():
                    out.append(effect)
                    behind = effects[index + 1 :]
                    self._closed[lane] = _Closed(event=event, persist=effect, rest=behind, held=deque())
                    break
                case _:
                    out.append(effect)
        return Turn(event=event, lane=lane, effects=tuple(out), behind=behind, waited_us=waited_us)


class Timers:
    """Named timers. One that was replaced or cancelled never fires, even when it was already due."""

    _COMPACT_FROM: Final = 64

    def __init__(self) -> None:
        self._due: dict[str, tuple[int, int]] = {}
        self._heap: list[tuple[int, int, str]] = []
        self._held: dict[str, list[str]] = {}
        self._count = 0

    def set(self, name: str, due_us: int) -> None:
        self._count += 1
        self._due[name] = (due_us, self._count)
        heapq.heappush(self._heap, (due_us, self._count, name))
        if len(self._heap) > self._COMPACT_FROM + 4 * len(self._due):  # replaced ones lie around
            self._heap = [(due, count, key) for key, (due, count) in self._due.items()]
            heapq.heapify(self._heap)

    def cancel(self, name: str) -> None:
        self._due.pop(name, None)

    def next_us(self) -> int | None:
        self._drop_stale()
        return self._heap[0][0] if self._heap else None

    def pop(self, now_us: int) -> str | None:
        """Name of a due timer, which stays set until it is cancelled (or held, then released)."""
        self._drop_stale()
        if not self._heap or self._heap[0][0] > now_us:
            return None
        return heapq.heappop(self._heap)[2]

    def hold(self, lane: str, name: str) -> None:
        """Its lane is closed: keep it until `release`."""
        self._held.setdefault(lane, []).append(name)

    def release(self, lane: str) -> None:
        for name in self._held.pop(lane, []):
            if name in self._due:
                heapq.heappush(self._heap, (*self._due[name], name))

    def _drop_stale(self) -> None:
        while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][:2]:
            heapq.heappop(self._heap)
