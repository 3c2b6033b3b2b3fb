"""`MemoryBus`: the bus inside one process, exact and repeatable.

    broker = MemoryBroker(clock=clock)              # delivers as soon as something is published
    broker = MemoryBroker(clock=clock, pumped=True)  # delivers when the test or simulation says so
    feed, signal = MemoryBus(broker), MemoryBus(broker)

Delivery is in order of publishing, one handler at a time: what a handler publishes comes after what was
published before it. A pumped broker lives on its clock alone, so that lost, doubled and late messages
(`fate`) and the time limits of requests repeat exactly under virtual time.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from libs.common.bus import (
    INBOX,
    PAYLOAD_BYTES_MAX,
    BusUnavailable,
    Frame,
    Handler,
    check_pattern,
    check_subject,
    matches,
    reply_of,
)
from libs.common.clock import SystemClock
from libs.common.instant import US_PER_SEC, Clock

log = logging.getLogger(__name__)

Fate = Callable[[str, str, bytes], Sequence[int]]
"""(subscriber's name, subject, payload) -> delay in us of each copy: () loses it, (0, 9) doubles it."""

_CACHE_MAX: Final = 100_000


class MemorySubscription:
    """A live subscription of one bus; `close` ends it."""

    def __init__(self, bus: MemoryBus, pattern: str, handler: Handler) -> None:
        self.bus = bus
        self.pattern = pattern
        self.handler = handler
        self.active = True

    async def close(self) -> None:
        self.bus.broker.remove(self)


class _Delivery:
    """One copy of a message on its way to one subscriber."""

    __slots__ = ("payload", "reply", "subject", "subscription")

    def __init__(self, subscription: MemorySubscription, subject: str, payload: bytes, reply: str) -> None:
        self.subscription = subscription
        self.subject = subject
        self.payload = payload
        self.reply = reply


class MemoryBroker:
    """What the server is to NATS: knows all subscriptions, decides about each delivery."""

    def __init__(self, *, clock: Clock | None = None, pumped: bool = False, fate: Fate | None = None) -> None:
        if fate is not None and not pumped:
            raise ValueError("messages can only be lost or late under a pumped broker, whose clock is known")
        self.clock = clock or SystemClock()
        self.pumped = pumped
        self.fate = fate
        self._subscriptions: list[MemorySubscription] = []
        self._targets: dict[str, tuple[MemorySubscription, ...]] = {}
        self._ready: deque[_Delivery] = deque()
        self._late: list[tuple[int, int, _Delivery]] = []
        self._deadlines: list[tuple[int, int, asyncio.Future[None]]] = []
        self._order = itertools.count()
        self._pumping = False

    def number(self) -> int:
        """A number that this broker gives only once."""
        return next(self._order)

    def add(self, subscription: MemorySubscription) -> None:
        self._subscriptions.append(subscription)
        self._targets.clear()

    def remove(self, subscription: MemorySubscription) -> None:
        """What is already under way to it is dropped."""
        subscription.active = False
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)
            self._targets.clear()

    def targets(self, subject: str) -> tuple[MemorySubscription, ...]:
        """Who gets `subject`, in order of subscribing."""
        found = self._targets.get(subject)
        if found is None:
            if len(self._targets) >= _CACHE_MAX:  # inboxes are new with every request
                self._targets.clear()
            found = tuple(one for one in self._subscriptions if matches(one.pattern, subject))
            self._targets[subject] = found
        return found

    def send(self, subject: str, payload: bytes, reply: str) -> None:
        """Route one message; delivered before this returns unless the broker is pumped."""
        for subscription in self.targets(subject):
            delivery = _Delivery(subscription, subject, payload, reply)
            if self.fate is None:
                self._ready.append(delivery)
                continue
            now_us = self.clock.now().mono_us
            for delay_us in self.fate(subscription.bus.name, subject, payload):
                if delay_us <= 0:
                    self._ready.append(delivery)
                else:
                    heapq.heappush(self._late, (now_us + delay_us, next(self._order), delivery))
        if not self.pumped:
            self._deliver(None)

    def pump(self, limit: int | None = None) -> int:
        """Deliver what is due by the clock, at most `limit` frames; answer how many were handled."""
        now_us = self.clock.now().mono_us
        while self._late and self._late[0][0] <= now_us:
            self._ready.append(heapq.heappop(self._late)[2])
        handled = self._deliver(limit)
        while self._deadlines and self._deadlines[0][0] <= now_us and not self._ready:
            _set(heapq.heappop(self._deadlines)[2])
        return handled

    @property
    def pending(self) -> int:
        """Deliveries that are ready now."""
        return len(self._ready)

    @property
    def next_due_us(self) -> int | None:
        """Monotonic time at which a late message or a request's time limit is due, None without any."""
        while self._deadlines and self._deadlines[0][2].done():
            heapq.heappop(self._deadlines)
        dues = [queue[0][0] for queue in (self._late, self._deadlines) if queue]
        return min(dues, default=None)

    async def expire(self, done: asyncio.Future[None], timeout_sec: float) -> None:
        """Return when `done` is set, or its time is over: real time, or the clock's when pumped."""
        if self.pumped:
            due_us = self.clock.now().mono_us + int(timeout_sec * US_PER_SEC)
            heapq.heappush(self._deadlines, (due_us, next(self._order), done))
            await done
        else:
            await asyncio.wait((done,), timeout=timeout_sec)

    def _deliver(self, limit: int | None) -> int:
        """Run the queue to its end; a handler that publishes only adds to it."""
        if self._pumping:
            return 0
        self._pumping = True
        handled = 0
        try:
            while self._ready and (limit is None or handled < limit):
                one = self._ready.popleft()
                if one.subscription.active and one.subscription.bus.connected:
                    one.subscription.bus.handle(one.subscription.handler, one.subject, one.payload, one.reply)
                    handled += 1
        finally:
            self._pumping = False
        return handled


class MemoryBus:
    """One service's connection to a `MemoryBroker`; without one it gets its own."""

    def __init__(
        self,
        broker: MemoryBroker | None = None,
        *,
        name: str = "memory",
        on_state: Callable[[bool], None] | None = None,
    ) -> None:
        self.broker = broker or MemoryBroker()
        self.name = name
        self.on_state = on_state
        self.handler_errors = 0
        self.refused = 0
        self._connected = False
        self._closed = False
        self._subscriptions: list[MemorySubscription] = []

    @property
    def connected(self) -> bool:
        return self._connected

    async def connect(self) -> None:
        if self._closed:
            raise BusUnavailable("this bus was closed; make a new one")
        self._turn(connected=True)

    def cut(self) -> None:
        """Lose the connection, for tests: what is said meanwhile is lost in both directions."""
        self._turn(connected=False)

    def restore(self) -> None:
        """Have the connection back, with every subscription."""
        if not self._closed:
            self._turn(connected=True)

    def publish(self, subject: str, payload: bytes, *, reply: str = "") -> bool:
        check_subject(subject)
        if reply:
            check_subject(reply)
        if not self._connected or len(payload) > PAYLOAD_BYTES_MAX:
            self.refused += 1
            return False
        self.broker.send(subject, bytes(payload), reply)
        return True

    async def subscribe(self, pattern: str, handler: Handler) -> MemorySubscription:
        check_pattern(pattern)
        self._must_be_connected()
        subscription = MemorySubscription(self, pattern, handler)
        self._subscriptions.append(subscription)
        self.broker.add(subscription)
        return subscription

    async def request(self, subject: str, payload: bytes, *, timeout_sec: float) -> Frame:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        frames: list[Frame] = []

        def first(frame: Frame) -> None:
            frames.append(frame)
            _set(done)

        with self._inbox(first) as inbox:
            self._ask(subject, payload, inbox)
            if not self.broker.targets(subject):
                raise BusUnavailable(f"nobody answers on {subject}")
            await self.broker.expire(done, timeout_sec)
        if not frames:
            raise BusUnavailable(f"no answer on {subject} within {timeout_sec:g} s")
        return frames[0]

    async def gather(self, subject: str, payload: bytes, *, timeout_sec: float) -> list[Frame]:
        never: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        frames: list[Frame] = []
        with self._inbox(frames.append) as inbox:
            self._ask(subject, payload, inbox)
            if self.broker.targets(subject):
                await self.broker.expire(never, timeout_sec)
        return frames

    async def flush(self) -> None:
        self._must_be_connected()

    async def close(self) -> None:
        for subscription in self._subscriptions:
            self.broker.remove(subscription)
        self._subscriptions.clear()
        self._closed = True
        self._turn(connected=False)

    def handle(self, handler: Handler, subject: str, payload: bytes, reply: str) -> None:
        """Call one handler; what it raises is counted, like on the real bus."""
        frame = Frame(
            subject=subject, payload=payload, reply=reply_of(reply), recv_us=self.broker.clock.now().wall_us
        )
        try:
            handler(frame)
        except Exception:
            self.handler_errors += 1
            log.exception("a handler of %s raised on %s", self.name, subject)

    def _ask(self, subject: str, payload: bytes, inbox: str) -> None:
        self._must_be_connected()
        if not self.publish(subject, payload, reply=inbox):
            raise BusUnavailable(f"the request on {subject} could not be sent")

    @contextmanager
    def _inbox(self, handler: Handler) -> Iterator[str]:
        subject = f"{INBOX}.{self.broker.number()}"
        subscription = MemorySubscription(self, subject, handler)
        self.broker.add(subscription)
        try:
            yield subject
        finally:
            self.broker.remove(subscription)

    def _must_be_connected(self) -> None:
        if not self._connected:
            raise BusUnavailable("the memory bus is not connected")

    def _turn(self, *, connected: bool) -> None:
        if connected != self._connected:
            self._connected = connected
            if self.on_state is not None:
                self.on_state(connected)


def _set(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)
