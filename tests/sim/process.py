"""A process under virtual time: a real actor in the real core, with a shell made of scheduled steps.

Everything between two scheduled steps is what a process does without awaiting; a crash between any two of
them is a crash at that await. What it has said before that is on its way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, cast

from libs.common.bus import Bus, Frame
from libs.common.codec import decode
from libs.common.core import ActorFault, Core, Turn
from libs.common.effects import (
    Alert,
    Audit,
    Effect,
    Event,
    Persist,
    Publish,
    Received,
    Reply,
    Request,
)
from libs.common.instant import US_PER_SEC, Now
from libs.common.intake import Intake
from libs.common.messages import CommandReply, Message, ServiceHealth
from libs.common.notices import AUDIT, audit_entry
from libs.common.store import StoreConflict, StoreUnavailable, Transition
from libs.common.store_log import StoreLog, Then
from libs.common.subjects import health
from tests.sim.invariants import Violated
from tests.sim.plan import BUILD
from tests.sim.timeline import run
from tests.sim.world import World

PULSE_US = US_PER_SEC


class Process:
    """One life from its start to its crash. `hears`: the types of what it subscribes to."""

    service: ClassVar[str] = ""
    hears: ClassVar[frozenset[type[Message]]] = frozenset()

    def __init__(self, name: str, world: World, *, build: str = BUILD) -> None:
        self.name = name
        self.world = world
        self.build = build
        self.alive = True
        self.suspended_until_us = 0
        self.stopped_until_us = 0
        self.fuse: int | None = None  # dies at so many awaits from now
        self.skew_us = 0
        self.core: Core
        self._alarm_us: int | None = None
        self._born_us = world.now.mono_us
        self._said: list[tuple[str, Message]] = []
        self.intake = Intake(
            service=self.service,
            bus=cast("Bus", _Answers(self)),
            offer=self._command,
            entries=cast("StoreLog", _Lines(self)),
        )

    @property
    def now(self) -> Now:
        """The times as this process reads them."""
        now = self.world.now
        if not self.skew_us:
            return now
        wall_us = now.wall_us + self.skew_us
        return Now(wall_us=wall_us, market_ms=self.world.time.market.at(wall_us), mono_us=now.mono_us)

    @property
    def frozen_until_us(self) -> int:
        """Until when it stands still: a short suspension within a long stop does not end that."""
        return max(self.suspended_until_us, self.stopped_until_us)

    # --- events -----------------------------------------------------------------------------------

    def offer(self, event: Event) -> None:
        """Something has come in."""
        if self.alive:
            self.core.offer(event, self.now)
            self.pump()

    def hear(self, messages: Sequence[tuple[str, Message]]) -> None:
        """Bus messages of one instant."""
        if self.alive:
            for subject, message in messages:
                self.core.offer(Received(subject=subject, message=message), self.now)
            self.pump()

    def obeys(self, verb: str) -> bool:
        """Whether it subscribes to a command."""
        return verb == "status"

    def hear_command(self, frame: Frame) -> None:
        """A command as it came off the bus, through the door that every service has."""
        if self.alive:
            self.intake.take(frame)
            self.pump()

    def _command(self, event: Event) -> None:
        self.core.offer(event, self.now)

    def pump(self) -> None:
        """Handle what waits, as a process does between two awaits."""
        while self.alive and (turn := self._step()) is not None:
            for effect in turn.effects:
                self._carry_out(turn.lane, effect)
        self._flush()
        self._arm()

    def _step(self) -> Turn | None:
        """An actor that raises has no place to go on from: that violates everything."""
        try:
            return self.core.step(self.now)
        except ActorFault as fault:
            if isinstance(fault.__cause__, Violated):
                raise fault.__cause__ from None
            raise Violated("FAULT", f"{fault}: {fault.__cause__!r}") from fault

    def _arm(self) -> None:
        due_us = self.core.next_timer_us()
        if due_us is None or not self.alive:
            return
        if (
            self._alarm_us is not None
            and self._alarm_us <= due_us
            and self._alarm_us > self.world.now.mono_us
        ):
            return
        self._alarm_us = due_us
        self.later(due_us - self.world.now.mono_us, self.pump)

    def later(self, us: int, work: Callable[[], None]) -> None:
        """Do something in this process, if it still lives then; a suspended one does it afterwards."""

        def due() -> None:
            left_us = self.frozen_until_us - self.world.now.mono_us
            if not self.alive:
                return
            if self.fuse is not None:
                self.fuse -= 1
                if self.fuse <= 0:
                    self.world.trouble.kill(self)
                    return
            if left_us > 0:
                self.world.time.after(left_us, due)
            else:
                work()

        self.world.time.after(us, due)

    def pulse(self) -> None:
        """`sys.health`, every second."""
        now = self.now
        told = ServiceHealth(
            service=self.service,
            ok=True,
            build=self.build,
            pid=1,
            uptime_sec=(now.mono_us - self._born_us) / US_PER_SEC,
            lag_ms=0.0,
            inbox_depth=self.core.depth(),
            wall_us=now.wall_us,
        )
        self.world.publish([(health(self.service), told)], by=self)
        self.later(PULSE_US, self.pulse)

    # --- effects ----------------------------------------------------------------------------------

    def _carry_out(self, lane: str, effect: Effect) -> None:
        match effect:
            case Persist():
                self.later(self.world.store_us(), lambda: self._write(lane, effect))
            case Request():
                self._start(effect)
            case Publish(subject=subject, message=message):
                self._say(subject, message)
            case Alert():
                self.world.alerted(effect)
            case Audit():
                self.write_down(audit_entry(effect, service=self.service, wall_us=self.now.wall_us))
            case Reply(to=to, reply=reply) if to:  # a plain publish wants no answer
                self.world.person.answered(self, to, reply)
            case _:
                pass

    def _say(self, subject: str, message: Message) -> None:
        self._said.append((subject, message))

    def _flush(self) -> None:
        """What was said in one go travels together."""
        if self._said:
            said, self._said = self._said, []
            self.world.publish(said, by=self)

    def _start(self, request: Request) -> None:
        raise AssertionError(f"the simulation does not know {type(request).__name__}")

    def _write(self, lane: str, persist: Persist) -> None:
        """The store takes the change now; the process learns of it a little later (or dies in between)."""
        error, conflict, done = None, False, True
        change = persist.change or Transition(writes=persist.writes)
        try:
            done = run(self.world.store.transition(change))
        except StoreUnavailable as unavailable:
            error = str(unavailable) or "unavailable"
        except StoreConflict as refused:
            error, conflict = str(refused), True

        def told() -> None:
            turn = self.core.settle(
                lane, ok=error is None, error=error, conflict=conflict, repeated=not done, now=self.now
            )
            for effect in turn.effects:
                self._carry_out(turn.lane, effect)
            self.pump()

        self.later(self.world.store_us(), told)

    def write_down(self, entry: dict[str, bytes]) -> None:
        """A line of the audit stream: as soon as the store takes it."""

        def append() -> None:
            try:
                run(self.world.store.append(AUDIT, entry))
            except StoreUnavailable:
                self.later(US_PER_SEC, append)

        self.later(self.world.store_us(), append)

    def crash(self) -> None:
        """kill -9."""
        self.alive = False


class _Answers:
    """The intake's bus: it refuses by itself what cannot be read."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def publish(self, subject: str, payload: bytes) -> bool:
        self._process.world.person.answered(self._process, subject, decode(payload, CommandReply))
        return True


class _Lines:
    """The intake's way into the store's streams."""

    def __init__(self, process: Process) -> None:
        self._process = process

    def add(self, stream: str, entry: dict[str, bytes], then: Then) -> None:
        if stream == AUDIT:
            self._process.write_down(entry)
        then(True)
