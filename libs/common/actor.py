"""The shell around every actor: events in, effects out, health once a second, an orderly end.

One event at a time is taken from the inbox and handled; its effects are carried out in order. All that
decides what happens next (inbox, lanes, barriers, timers) is pure and lives in `libs.common.core`; here
is the I/O.

When the actor raises, no effect of that turn happens; the event is lost, which is logged, counted, shown
in health and alerted as critical. Three times within a minute (`Assembly.faults_max`) end the process
with exit code 1: its supervisor starts it again with fresh state, instead of half-changed one.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, Final

from libs.common.answering import Answers
from libs.common.assembly import Assembly, Offer
from libs.common.bus import Bus, Subscription
from libs.common.clock import mono_us
from libs.common.core import ActorFault, Core, Turn
from libs.common.effects import (
    Alert,
    Audit,
    CancelTimer,
    Draining,
    Effect,
    Event,
    Forget,
    Health,
    Measure,
    Note,
    Persist,
    Publish,
    Reply,
    Request,
    SetTimer,
    Started,
)
from libs.common.faults import Faults
from libs.common.inbox import InboxFlooded
from libs.common.instant import US_PER_MS, US_PER_SEC, Clock
from libs.common.intake import Intake
from libs.common.log import LEVELS, RateLimit, fields
from libs.common.messages import AlertLevel, Message, encode
from libs.common.metrics import Metrics
from libs.common.notices import ALERTS, alert_entry, raised_of
from libs.common.persisting import write
from libs.common.redact import REDACTOR
from libs.common.requests import Requests
from libs.common.store import Store
from libs.common.store_log import StoreLog
from libs.common.subjects import alert as alert_subject

log = logging.getLogger(__name__)

PUMP_US_MAX: Final = 2 * US_PER_MS
"""So long events are handled before sockets are looked at again: a halt must get in between ticks."""

DRAIN_SEC_MAX: Final = 5.0
LAST_WORDS_SEC: Final = 2.0
"""Of those, kept for what the actor does on `Draining`."""


class Runtime:
    """Runs one assembly on a connected bus and store. `run` is its whole life."""

    def __init__(
        self,
        *,
        service: str,
        assembly: Assembly,
        clock: Clock,
        bus: Bus,
        store: Store,
        metrics: Metrics,
    ) -> None:
        self.service = service
        self.metrics = metrics
        self._assembly = assembly
        self._clock = clock
        self._bus = bus
        self._store = store
        self.core = Core(
            assembly.actor,
            lane_of=assembly.lane_of,
            key_of=assembly.conflate,
            capacity=assembly.inbox_capacity,
        )
        self.store_log = StoreLog(store)
        self.answers = Answers(service, lambda: self.store_log, self.publish)
        self.intake = Intake(service=service, bus=bus, offer=self.offer, entries=self.store_log)
        self.requests = Requests(
            assembly.handlers,
            answer=self._take,
            at_once=assembly.at_once,
            ahead=assembly.ahead,
            running_max=assembly.requests_max,
            waiting_max=assembly.requests_waiting_max,
        )
        self.problems: dict[str, str] = {}
        self.events: Counter[str] = Counter()
        self.waited_us_max = self.published = self.lost = 0
        self.faults = Faults(faults_max=assembly.faults_max)
        self._limit = RateLimit(every_us=10 * US_PER_SEC)
        self._tasks: set[asyncio.Task[None]] = set()
        self._ended: asyncio.Event = asyncio.Event()
        self._exit_code = 0
        self._accepting = True
        self._open = self._scheduled = False
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_us: int | None = None

    # --- life -------------------------------------------------------------------------------------

    async def run(self, stop: asyncio.Event) -> int:
        """Work until `stop` is set or something fatal happens; answers the exit code."""
        writer = asyncio.create_task(self._background(self.store_log.run), name="store log")
        stopped = asyncio.create_task(stop.wait(), name="stop")
        ended = asyncio.create_task(self._ended.wait(), name="ended")
        subscriptions: list[Subscription] = []
        backgrounds: list[asyncio.Task[None]] = []
        try:
            self._take(Started())  # the first event, handled when subscriptions hear the answers to it
            for pattern in self._assembly.subscriptions:
                subscription = await self._bus.subscribe(pattern, self.intake.take)
                subscriptions.append(subscription)
            self._open = True
            self._schedule()
            works = [self._background(one, self.offer) for one in self._assembly.background]
            backgrounds += [asyncio.create_task(work) for work in works]
            await asyncio.wait({stopped, ended, writer}, return_when=asyncio.FIRST_COMPLETED)
            if writer.done():
                self.fatal("alerts and audit reach the store no more: their writer has ended")
            await self._drain(subscriptions, backgrounds)
        finally:
            leftovers = [writer, stopped, ended, *backgrounds, *self._tasks]
            for task in leftovers:
                task.cancel()
            await asyncio.gather(*leftovers, return_exceptions=True)
            await self.requests.close()
            self._open = False  # the beat may arm the alarm once more
            self._disarm()
            if self._assembly.close is not None:
                await self._assembly.close()
        return self._exit_code

    async def _drain(self, subscriptions: list[Subscription], backgrounds: list[asyncio.Task[None]]) -> None:
        """No more from outside; what waits is handled; last words; all within DRAIN_SEC_MAX."""
        until_us = mono_us() + int(DRAIN_SEC_MAX * US_PER_SEC)
        for subscription in subscriptions:
            with suppress(TimeoutError, OSError):
                async with asyncio.timeout(1.0):
                    await subscription.close()
        self._accepting = False
        for task in backgrounds:
            task.cancel()
        if not await self._settled(until_us - int(LAST_WORDS_SEC * US_PER_SEC)):
            log.warning("not all was done before the end: %s", self._undone())
        self._take(Draining())
        if not await self._settled(until_us):
            log.warning("ended before the last words were carried out: %s", self._undone())
        await self.store_log.flush(timeout_sec=max(0.1, (until_us - mono_us()) / US_PER_SEC))

    async def _settled(self, until_us: int) -> bool:
        while not (self.core.idle and not len(self.requests)):
            if mono_us() >= until_us:
                return False
            await asyncio.sleep(0.01)
        return True

    def _undone(self) -> str:
        return f"{self.core.depth()} events, {self.core.barriers} writes, {len(self.requests)} requests"

    async def _background(self, work: Callable[..., Awaitable[None]], *given: Offer) -> None:
        name = getattr(work, "__qualname__", repr(work))
        try:
            await work(*given)
        except Exception as error:
            log.exception("%s ended", name)
            self.fatal(f"{name} ended by {type(error).__name__}: {error}")

    def fatal(self, text: str) -> None:
        """End this process with exit code 1, orderly."""
        if not self._ended.is_set():
            self._exit_code = 1
            log.critical("ending: %s", text)
            self._alert(Alert(level=AlertLevel.CRITICAL, key=f"{self.service}:ended", text=text))
            self._ended.set()

    # --- events -----------------------------------------------------------------------------------

    def offer(self, event: Event) -> None:
        """An event from outside: bus, streams, servers. Refused once the end has begun."""
        if self._accepting:
            self._take(event)

    def _take(self, event: Event) -> None:
        try:
            self.core.offer(event, self._clock.now())
        except InboxFlooded as error:
            self.fatal(str(error))
            return
        self._schedule()

    def _schedule(self) -> None:
        if self._open and not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._pump)

    def _pump(self) -> None:
        """Handle what waits, for a while; then let sockets have their turn."""
        self._scheduled = False
        begun_us = mono_us()
        while True:
            now = self._clock.now()
            started_us = mono_us()
            try:
                turn = self.core.step(now)
            except ActorFault as fault:
                self._fault(f"{type(fault.event).__name__} could not be handled", fault.__cause__)
                continue
            if turn is None:
                break
            ended_us = mono_us()
            self._carry_out(turn)
            self.metrics.measure("fundarb_handle_seconds", (ended_us - started_us) / US_PER_SEC)
            self.events[type(turn.event).__name__] += 1
            self.waited_us_max = max(self.waited_us_max, turn.waited_us)
            if turn.barrier is not None or ended_us - begun_us > PUMP_US_MAX:  # a write is begun at once
                self._schedule()
                break
        self.arm()

    def arm(self) -> None:
        """Wake up for the next timer. Also called by the beat: an event loop's clock stands still while
        the machine sleeps, and its timers are late afterwards.
        """
        due_us = self.core.next_timer_us()
        if due_us == self._alarm_us and due_us is not None and due_us > self._clock.now().mono_us:
            return
        self._disarm()
        if due_us is not None:
            delay_sec = max(0, due_us - self._clock.now().mono_us) / US_PER_SEC
            self._alarm = asyncio.get_running_loop().call_later(delay_sec, self._ring)
            self._alarm_us = due_us

    def _ring(self) -> None:
        self._alarm = self._alarm_us = None
        self._schedule()

    def _disarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm = self._alarm_us = None

    # --- effects ----------------------------------------------------------------------------------

    def _carry_out(self, turn: Turn) -> None:
        self.answers.begin()
        for effect in turn.effects:
            if isinstance(effect, Persist):  # always the last: the rest comes from `settle`
                self.requests.get_ready(self._spawn(self._persist(turn.lane, effect)), turn.behind)
                return
            try:
                self._apply(effect)
            except Exception as error:  # noqa: BLE001 - a malformed effect is a fault of the actor
                self._fault(f"{type(effect).__name__} could not be carried out", error)

    def _apply(self, effect: Effect) -> None:
        match effect:
            case Publish():
                self.publish(effect.subject, effect.message)
            case Request():
                self.requests.start(effect)
            case Measure() | Forget():
                self.metrics.apply(effect)
            case Health():
                self._problem(effect.key, effect.problem)
            case Note():
                log.log(LEVELS[effect.level], effect.text, extra=fields(**effect.fields))
            case Alert():
                self._alert(effect)
            case Audit():
                self.answers.record(effect, wall_us=self._clock.now().wall_us)
            case Reply():
                self.answers.give(effect.to, effect.reply)
            case SetTimer() | CancelTimer() | Persist():
                raise AssertionError(f"{type(effect).__name__} belongs to the core")
            case _:
                raise TypeError(f"{type(effect).__name__} is no effect that the runtime knows")

    def publish(self, subject: str, message: Message) -> bool:
        """Publish, or count the loss: whoever publishes state says it again."""
        if self._bus.publish(subject, encode(message)):
            self.published += 1
            return True
        self.lost += 1
        if (silenced := self._limit.allow(f"lost {subject.split('.', 1)[0]}", mono_us())) is not None:
            log.warning("not published: %s", subject, extra=fields(silenced=silenced))
        return False

    async def _persist(self, lane: str, persist: Persist) -> None:
        started_us = mono_us()
        written = await write(self._store, persist)
        if written.ok:
            self.metrics.measure("fundarb_persist_seconds", (mono_us() - started_us) / US_PER_SEC)
        else:
            self.metrics.measure("fundarb_store_failures_total", 1)
            if (silenced := self._limit.allow("persist", mono_us())) is not None:
                log.warning(
                    "not durable: %s", written.error, extra=fields(write=persist.token, silenced=silenced)
                )
        self._carry_out(self.core.settle(lane, now=self._clock.now(), **written._asdict()))
        self._schedule()

    def _problem(self, key: str, problem: str) -> None:
        if not problem:
            self.problems.pop(key, None)
        elif self.problems.get(key) != problem:
            self.problems[key] = REDACTOR.text(problem)

    def problems_of(self, prefix: str) -> list[str]:
        """What is wrong in the health keys that begin so."""
        return [problem for key, problem in self.problems.items() if key.startswith(prefix)]

    def _alert(self, alert: Alert) -> None:
        log.log(LEVELS[alert.level], alert.text, extra=fields(alert=alert.key, **alert.context))
        raised = raised_of(alert, service=self.service, wall_us=self._clock.now().wall_us)
        self.metrics.measure("fundarb_alerts_total", 1, {"level": alert.level.value})
        self.publish(alert_subject(alert.level.value), raised)
        self.store_log.add(ALERTS, alert_entry(raised))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _fault(self, what: str, error: BaseException | None) -> None:
        self.metrics.measure("fundarb_actor_faults_total", 1)
        log.error("%s", what, exc_info=error)
        text = f"{what}: {type(error).__name__}: {error}"
        self._alert(Alert(level=AlertLevel.CRITICAL, key=f"{self.service}:fault", text=text))
        if self.faults.add(mono_us()):
            self.fatal(f"too many faults within a minute, the last: {text}")
