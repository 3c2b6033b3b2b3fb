"""The bounded inbox of an actor: control before data, and what happens when it is full.

Control (commands, answers, timers, permits) is never dropped. Market data is state that is said again:
when the inbox is full, the newest event of each key stays and older ones go; when even that is too much
the oldest go. What was dropped is counted, and the count is shown.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

import msgspec

from libs.common.effects import Event, Received
from libs.common.messages import Funding
from libs.common.subjects import Channel, channel_of

CAPACITY: Final = 8_192
CONTROL_MAX_FACTOR: Final = 8
"""So many times the capacity in control events is an actor that has stopped working."""

KeyOf = Callable[[Event], str | None]


class InboxFlooded(Exception):
    """Control events pile up without end: the process must end and start afresh."""


class Entry(msgspec.Struct, kw_only=True):
    """An event in the inbox. `offered_us` is monotonic; `key` None is control."""

    event: Event
    lane: str
    key: str | None
    offered_us: int


def conflation_key(event: Event) -> str | None:
    """Which events replace each other: those of one data subject; None for control, which is never dropped.

    Settled and current funding share a subject and are two different things.
    """
    if not isinstance(event, Received) or channel_of(event.subject) is not Channel.DATA:
        return None
    if isinstance(event.message, Funding):
        return f"{event.subject} {event.message.kind}"
    return event.subject


def conflated(entries: deque[Entry], capacity: int) -> deque[Entry]:
    """All control, and the newest data of each key, of that at most three quarters of `capacity`.

    The quarter that is freed makes this pass rare: each dropped event pays for a bounded part of it.
    """
    seen: set[str] = set()
    kept: deque[Entry] = deque()
    room = max(1, capacity * 3 // 4)
    for entry in reversed(entries):
        if entry.key is not None:
            if entry.key in seen or len(seen) >= room:
                continue
            seen.add(entry.key)
        kept.appendleft(entry)
    return kept


class Inbox:
    """Two queues: all control comes before all data, each in order of arrival."""

    def __init__(self, *, key_of: KeyOf = conflation_key, capacity: int = CAPACITY) -> None:
        if capacity < 1:
            raise ValueError(f"an inbox holds at least one event, not {capacity}")
        self._key_of = key_of
        self._capacity = capacity
        self._control: deque[Entry] = deque()
        self._data: deque[Entry] = deque()
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._control) + len(self._data)

    @property
    def capacity(self) -> int:
        return self._capacity

    def put(self, event: Event, *, lane: str, now_us: int) -> None:
        """Take an event; drops older data when full, never control (`InboxFlooded` far beyond capacity)."""
        key = self._key_of(event)
        entry = Entry(event=event, lane=lane, key=key, offered_us=now_us)
        if key is None:
            if len(self._control) >= self._capacity * CONTROL_MAX_FACTOR:
                raise InboxFlooded(f"{len(self._control)} control events wait: the actor does not keep up")
            self._control.append(entry)
            return
        self._data.append(entry)
        if len(self._data) > self._capacity:
            before = len(self._data)
            self._data = conflated(self._data, self._capacity)
            self.dropped += before - len(self._data)

    def take(self) -> Entry | None:
        """The next event, None when there is none."""
        if self._control:
            return self._control.popleft()
        return self._data.popleft() if self._data else None

    def oldest_us(self) -> int | None:
        """When the longest waiting event was offered."""
        heads = [queue[0].offered_us for queue in (self._control, self._data) if queue]
        return min(heads) if heads else None
