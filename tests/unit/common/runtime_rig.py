"""An actor that answers what the test tells it, in a real Runtime over MemoryBus and MemoryStore."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from libs.common.actor import Runtime
from libs.common.assembly import Assembly
from libs.common.beat import Beat
from libs.common.bus import Frame
from libs.common.clock import SystemClock
from libs.common.effects import (
    Effect,
    Event,
    Publish,
    Request,
    Started,
)
from libs.common.instant import Now
from libs.common.memory_bus import MemoryBroker, MemoryBus
from libs.common.memory_store import MemoryStore
from libs.common.messages import VenueHealth
from libs.common.metrics import Metrics
from libs.common.metrics_http import Pulse
from libs.common.store import Transition
from tests.helpers.servers import eventually

Answer = Callable[[Event], tuple[Effect, ...]]


class Fetch(Request, frozen=True, kw_only=True):
    what: str


class Orphan(Request, frozen=True, kw_only=True):
    pass


class Puppet:
    """Answers what the test tells it to."""

    def __init__(self, answer: Answer = lambda _event: ()) -> None:
        self.answer = answer
        self.seen: list[Event] = []

    def handle(self, event: Event, now: Now) -> Iterable[Effect]:
        self.seen.append(event)
        return self.answer(event)

    def of(self, kind: type[Event]) -> list[Any]:
        return [event for event in self.seen if isinstance(event, kind)]


class GatedStore(MemoryStore):
    """Writes wait at a gate."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.gate.set()
        self.asked = 0

    async def transition(self, change: Transition) -> bool:
        self.asked += 1
        await self.gate.wait()
        return await super().transition(change)

    async def append(self, stream: str, fields: dict[str, bytes], *, most: int | None = None) -> str:
        await self.gate.wait()
        return await super().append(stream, fields, most=most)


class Rig:
    def __init__(self, puppet: Puppet, **assembly: Any) -> None:
        self.puppet = puppet
        self.broker = MemoryBroker(clock=SystemClock())
        self.bus = MemoryBus(self.broker, name="svc")
        self.other = MemoryBus(self.broker, name="other")
        self.store = GatedStore()
        self.metrics = Metrics(deployment="t", service="svc")
        self.frames: list[Frame] = []
        assembly.setdefault("subscriptions", ("cmd.>", "md.>", "sys.want.>"))
        self.runtime = Runtime(
            service="svc",
            assembly=Assembly(actor=puppet, **assembly),
            clock=SystemClock(),
            bus=self.bus,
            store=self.store,
            metrics=self.metrics,
        )
        self.pulse = Pulse()
        self.beat = Beat(
            service="svc",
            build="b",
            clock=SystemClock(),
            bus=self.bus,
            store=self.store,
            metrics=self.metrics,
            pulse=self.pulse,
        )
        self.beat.attach(self.runtime)
        self.stop = asyncio.Event()
        self.exit_code: int | None = None

    @property
    def ended(self) -> bool:
        return self.exit_code is not None

    def subjects(self, prefix: str = "") -> list[str]:
        return [frame.subject for frame in self.frames if frame.subject.startswith(prefix)]

    def sample(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, {"deployment": "t", "service": "svc", **labels})

    async def stopped(self) -> int:
        self.stop.set()
        await eventually(lambda: self.exit_code is not None)
        assert self.exit_code is not None
        return self.exit_code


@asynccontextmanager
async def running(puppet: Puppet, **assembly: Any) -> AsyncIterator[Rig]:
    rig = Rig(puppet, **assembly)
    await rig.bus.connect()
    await rig.other.connect()
    await rig.other.subscribe(">", rig.frames.append)

    async def live() -> None:
        rig.exit_code = await rig.runtime.run(rig.stop)

    life = asyncio.create_task(live())
    await eventually(lambda: bool(puppet.seen))
    try:
        yield rig
    finally:
        rig.store.gate.set()
        rig.stop.set()
        await life


def seen_health(number: int = 0) -> VenueHealth:
    return VenueHealth(venue="x", connected=True, ages_sec={}, gaps=number, recv_us=0)


def publish(name: str) -> Publish:
    return Publish(subject=f"md.health.{name}", message=seen_health())


def on_started(*effects: Effect) -> Answer:
    return lambda event: effects if isinstance(event, Started) else ()
