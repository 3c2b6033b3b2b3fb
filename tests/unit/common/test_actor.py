"""The shell: effects carried out, barriers kept, failures told, an orderly end. MemoryBus and MemoryStore."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from libs.common.actor import Runtime
from libs.common.assembly import Assembly, Offer
from libs.common.beat import Beat
from libs.common.bus import Frame
from libs.common.clock import SystemClock
from libs.common.effects import (
    Alert,
    Answered,
    CancelTimer,
    Draining,
    Effect,
    Event,
    Health,
    Measure,
    Note,
    Persist,
    Persisted,
    Publish,
    Received,
    Reply,
    Request,
    SetTimer,
    Started,
    TimerFired,
)
from libs.common.instant import Now
from libs.common.memory_bus import MemoryBroker, MemoryBus
from libs.common.memory_store import MemoryStore
from libs.common.messages import AlertLevel, Command, CommandReply, VenueHealth, Want, encode
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

    async def transition(self, change: Transition) -> bool:
        await self.gate.wait()
        return await super().transition(change)


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


async def test_started_is_first_and_its_answers_are_heard() -> None:
    """A service asks for slow state at once: it must be subscribed before it asks."""
    broker_answers: list[str] = []

    def answer(event: Event) -> tuple[Effect, ...]:
        if isinstance(event, Started):
            return (Publish(subject="sys.want.svc", message=Want(service="svc")),)
        if isinstance(event, Received):
            broker_answers.append(event.subject)
        return ()

    async with running(Puppet(answer)) as rig:
        await eventually(lambda: broker_answers == ["sys.want.svc"])
        assert isinstance(rig.puppet.seen[0], Started)


async def test_nothing_behind_a_persist_happens_before_it_is_durable() -> None:
    def answer(event: Event) -> tuple[Effect, ...]:
        if isinstance(event, Received) and isinstance(event.message, Want):
            return (publish("before"), Persist(token="t", writes={"k": b"1"}), publish("after"))
        return ()

    async with running(Puppet(answer)) as rig:
        rig.store.gate.clear()
        rig.other.publish("sys.want.x", encode(Want(service="x")))
        await eventually(lambda: rig.subjects("md.") == ["md.health.before"])
        await asyncio.sleep(0.05)
        assert rig.subjects("md.") == ["md.health.before"]
        rig.store.gate.set()
        await eventually(lambda: rig.subjects("md.") == ["md.health.before", "md.health.after"])
        kept = await rig.store.get("k")
        assert kept is not None
        assert kept.value == b"1"


async def test_a_broken_store_drops_what_is_behind_the_barrier_and_tells_the_actor() -> None:
    def answer(event: Event) -> tuple[Effect, ...]:
        if isinstance(event, Received) and isinstance(event.message, Want):
            return (Persist(token="t", writes={"k": b"1"}), publish("after"))
        if isinstance(event, Persisted):
            return (publish("told"),)
        return ()

    async with running(Puppet(answer)) as rig:
        rig.store.down = True
        rig.other.publish("sys.want.x", encode(Want(service="x")))
        await eventually(lambda: "md.health.told" in rig.subjects())
        assert "md.health.after" not in rig.subjects()
        (told,) = rig.puppet.of(Persisted)
        assert (told.token, told.ok) == ("t", False)
        assert "down" in told.error
        assert rig.sample("fundarb_store_failures_total") == 1


async def test_other_lanes_go_on_while_one_waits_for_the_store() -> None:
    def answer(event: Event) -> tuple[Effect, ...]:
        if isinstance(event, Received) and isinstance(event.message, Command):
            lane = event.message.pair or ""
            return (Persist(token=lane, writes={lane: b"1"}), publish(lane))
        if isinstance(event, Received) and isinstance(event.message, Want):
            return (publish("free"),)
        return ()

    def lane_of(event: Event) -> str:
        if isinstance(event, Received) and isinstance(event.message, Command):
            return event.message.pair or ""
        return "rest"

    async with running(Puppet(answer), lane_of=lane_of) as rig:
        rig.store.gate.clear()
        rig.other.publish("cmd.open", encode(Command(pair="a")))
        rig.other.publish("cmd.open", encode(Command(pair="a")))
        rig.other.publish("sys.want.x", encode(Want(service="x")))
        await eventually(lambda: rig.subjects("md.") == ["md.health.free"])
        assert len([e for e in rig.puppet.of(Received) if isinstance(e.message, Command)]) == 1
        rig.store.gate.set()
        await eventually(lambda: rig.subjects("md.") == ["md.health.free", "md.health.a", "md.health.a"])


async def test_requests_start_in_order_and_come_back_as_answers() -> None:
    started: list[str] = []
    gates = {name: asyncio.Event() for name in "abc"}

    async def fetch(request: Fetch) -> str:
        started.append(request.what)
        await gates[request.what].wait()
        return request.what.upper()

    effects = on_started(*(Fetch(what=name) for name in "abc"), publish("not_awaited"))
    async with running(Puppet(effects), handlers={Fetch: fetch}) as rig:
        await eventually(lambda: started == ["a", "b", "c"])
        assert rig.subjects("md.") == ["md.health.not_awaited"]
        for name in "cab":
            gates[name].set()
            await eventually(lambda name=name: name.upper() in [a.result for a in rig.puppet.of(Answered)])  # type: ignore[misc]
        assert [answered.result for answered in rig.puppet.of(Answered)] == ["C", "A", "B"]


async def test_a_failed_request_is_an_answer_with_its_class_and_without_secrets(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class VenueDown(Exception):
        error_class = "rate_limit"

    async def fetch(request: Fetch) -> str:
        if request.what == "venue":
            raise VenueDown("slow down\nplease https://u:hunter22@host/x")
        raise ValueError("what is this")

    with caplog.at_level(logging.WARNING):
        effects = on_started(Fetch(what="venue"), Fetch(what="bug"))
        async with running(Puppet(effects), handlers={Fetch: fetch}) as rig:
            await eventually(lambda: len(rig.puppet.of(Answered)) == 2)
    venue, bug = rig.puppet.of(Answered)
    assert (venue.error_class, venue.result) == ("rate_limit", None)
    assert venue.error == "slow down please https://u:***@host/x"
    assert (bug.error_class, bug.error) == ("ValueError", "what is this")
    with_traceback = [record for record in caplog.records if record.exc_info]
    assert [record.getMessage() for record in with_traceback] == ["Fetch failed: what is this"]


async def test_requests_are_bounded_the_rest_waits_in_order_and_too_many_are_refused() -> None:
    running_now, most, order = 0, 0, []

    async def fetch(request: Fetch) -> None:
        nonlocal running_now, most
        running_now += 1
        most = max(most, running_now)
        order.append(request.what)
        await asyncio.sleep(0)
        running_now -= 1

    effects = on_started(*(Fetch(what=str(number)) for number in range(10)))
    async with running(
        Puppet(effects), handlers={Fetch: fetch}, requests_max=2, requests_waiting_max=6
    ) as rig:
        await eventually(lambda: len(rig.puppet.of(Answered)) == 10)
    assert most == 2
    assert order == [str(number) for number in range(8)]
    assert [a.request.what for a in rig.puppet.of(Answered) if a.error_class == "Overloaded"] == ["8", "9"]


async def test_timers_fire_and_can_be_cancelled() -> None:
    def answer(event: Event) -> tuple[Effect, ...]:
        match event:
            case Started():
                return (SetTimer(name="t", after_us=5_000), SetTimer(name="u", after_us=10_000))
            case TimerFired(name="t"):
                return (CancelTimer(name="u"), SetTimer(name="last", after_us=30_000))
            case _:
                return ()

    async with running(Puppet(answer)) as rig:
        await eventually(lambda: TimerFired(name="last") in rig.puppet.seen)
        assert [event.name for event in rig.puppet.of(TimerFired)] == ["t", "last"]


async def test_bad_messages_are_counted_and_kill_nothing() -> None:
    async with running(Puppet()) as rig:
        for payload in (b"", b"nonsense", b'{"venue": 3}', b"[" * 5_000, b"\xff\xfe"):
            rig.other.publish("md.health.x", payload)
        rig.other.publish("md.unheard.of", b"{}")
        rig.other.publish("md.health.x", encode(seen_health()))
        await eventually(lambda: len(rig.puppet.of(Received)) == 1)
        rig.beat.beat(lag_us=0)
        assert rig.sample("fundarb_bus_bad_messages_total") == 6


async def test_an_unreadable_command_gets_an_error_an_audit_entry_and_no_effect() -> None:
    async with running(Puppet()) as rig:
        broken = await rig.other.request("cmd.pause", b'{"scope": 3}', timeout_sec=2)
        large = await rig.other.request("cmd.pause", b'{"reason": "' + b"x" * 17_000 + b'"}', timeout_sec=2)
        assert json.loads(broken.payload)["error"]["code"] == "bad_request"
        assert json.loads(large.payload)["error"]["code"] == "too_large"
        assert not rig.puppet.of(Received)
        rig.other.publish("cmd.pause", b"")
        await eventually(lambda: bool(rig.puppet.of(Received)))
        assert rig.puppet.of(Received)[0].message == Command()
        await eventually(lambda: len(rig.runtime.store_log) == 0)
        entries = await rig.store.read("audit")
        assert [entry.fields["decision"] for entry in entries] == [b"refused", b"refused"]


async def test_a_command_is_answered_once() -> None:
    def answer(event: Event) -> tuple[Effect, ...]:
        if isinstance(event, Received):
            return (Reply(to=event.reply, reply=CommandReply(service="svc", ok=True)),)
        return ()

    async with running(Puppet(answer)) as rig:
        replies = await rig.other.gather("cmd.status", b"", timeout_sec=0.1)
        assert [json.loads(reply.payload)["ok"] for reply in replies] == [True]
        rig.other.publish("cmd.status", b"")  # nobody waits for an answer: that is no fault
        await eventually(lambda: len(rig.puppet.of(Received)) == 2)
        assert not rig.runtime.faults.recent(0)


async def test_alerts_are_published_and_kept_and_wait_for_a_store_that_is_away() -> None:
    alert = Alert(
        level=AlertLevel.WARNING, key="k", text="password=hunter22 leaked", context={"token": "abcdef"}
    )
    async with running(Puppet(on_started(SetTimer(name="t", after_us=0)))) as rig:
        rig.store.down = True
        rig.puppet.answer = lambda event: (alert,) if isinstance(event, Received) else ()
        rig.other.publish("sys.want.x", encode(Want(service="x")))
        await eventually(lambda: rig.subjects("alert.") == ["alert.warning"])
        await eventually(lambda: "wait for the store" in " ".join(rig.beat.beat(lag_us=0).problems))
        rig.store.down = False
        await eventually(lambda: len(rig.runtime.store_log) == 0)
        (entry,) = await rig.store.read("alerts")
        kept = json.loads(entry.fields["json"])
        assert (kept["key"], kept["service"], kept["level"]) == ("k", "svc", "warning")
        assert kept["text"] == "password=*** leaked"
        assert kept["context"] == {"token": "***"}
        assert rig.beat.beat(lag_us=0).ok


async def test_a_lost_bus_is_told_in_health_and_counted() -> None:
    answer: Answer = lambda event: (publish("x"),) if isinstance(event, TimerFired) else ()  # noqa: E731
    async with running(Puppet(answer)) as rig:
        assert rig.beat.beat(lag_us=0).ok
        rig.bus.cut()
        rig.runtime.offer(TimerFired(name="by hand"))
        await eventually(lambda: rig.runtime.lost == 1)
        health = rig.beat.beat(lag_us=0)
        assert health.problems == ("bus: not connected",)
        rig.bus.restore()
        assert rig.beat.beat(lag_us=0).ok


async def test_a_store_that_is_away_or_full_is_told_in_health(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libs.common.beat.STORE_PROBE_SEC", 0.01)
    async with running(Puppet()) as rig:
        watch = asyncio.create_task(rig.beat.watch_store())
        rig.store.down = True
        await eventually(lambda: "store: not reachable" in " ".join(rig.beat.beat(lag_us=0).problems))
        rig.store.down, rig.store.full = False, True
        await eventually(lambda: rig.beat.beat(lag_us=0).problems == ("store: 100 % full",))
        rig.store.full = False
        await eventually(lambda: rig.beat.beat(lag_us=0).ok)
        watch.cancel()


async def test_problems_by_key_make_a_service_unwell_until_they_are_cleared() -> None:
    def answer(event: Event) -> tuple[Effect, ...]:
        if not isinstance(event, Received):
            return ()
        assert isinstance(event.message, Command)
        return (Health(key=event.message.scope or "", problem=event.message.reason or ""),)

    async with running(Puppet(answer)) as rig:
        for scope, reason in (("a", "old"), ("b", "data is 9 s old"), ("a", "")):
            rig.other.publish("cmd.x", encode(Command(scope=scope, reason=reason)))
        await eventually(lambda: len(rig.puppet.of(Received)) == 3)
        assert rig.beat.beat(lag_us=0).problems == ("data is 9 s old",)
        assert rig.pulse.report()[0] is False
        rig.other.publish("cmd.x", encode(Command(scope="b")))
        await eventually(lambda: rig.beat.beat(lag_us=0).ok)
        assert rig.pulse.report()[0] is True


async def test_overflow_keeps_control_and_the_newest_and_shows_what_was_dropped() -> None:
    async with running(Puppet(), inbox_capacity=10) as rig:
        for number in range(500):  # within one turn of the loop: the actor has no chance to keep up
            rig.other.publish("md.health.x", encode(seen_health(number)))
            if number % 100 == 0:
                rig.other.publish("cmd.halt", encode(Command(id=str(number))))
        await eventually(lambda: rig.runtime.core.idle)
        messages = [event.message for event in rig.puppet.of(Received)]
        assert [m.id for m in messages if isinstance(m, Command)] == ["0", "100", "200", "300", "400"]
        kept = [m.gaps for m in messages if isinstance(m, VenueHealth)]
        assert kept[-1] == 499
        health = rig.beat.beat(lag_us=0)
        assert health.inbox_dropped == 500 - len(kept) > 0
        assert "dropped" not in " ".join(health.problems), "the first beat has nothing to compare with"
        for number in range(50):
            rig.other.publish("md.health.x", encode(seen_health(number)))
        assert "market updates dropped" in " ".join(rig.beat.beat(lag_us=0).problems)


async def test_one_fault_is_told_and_survived_three_end_the_process() -> None:
    def answer(event: Event) -> tuple[Effect, ...]:
        if isinstance(event, Received):
            raise ZeroDivisionError("api_key=abcdefgh in an error text")
        return ()

    async with running(Puppet(answer)) as rig:
        rig.other.publish("sys.want.x", encode(Want(service="x")))
        await eventually(lambda: rig.subjects("alert.") == ["alert.critical"])
        health = rig.beat.beat(lag_us=0)
        assert health.problems == ("actor: 1 faults in the last minute",)
        assert not rig.ended
        assert not any(b"abcdefgh" in frame.payload for frame in rig.frames)
        for _ in range(2):
            rig.other.publish("sys.want.x", encode(Want(service="x")))
        await eventually(lambda: rig.ended)
        assert rig.exit_code == 1
        assert rig.sample("fundarb_actor_faults_total") == 3


@pytest.mark.parametrize(
    "wrong",
    [
        Measure(metric="fundarb_no_such_thing", value=1),
        Publish(subject="md.health.not a token", message=seen_health()),
        Orphan(),
        Effect(),
    ],
)
async def test_a_malformed_effect_is_a_fault_and_the_others_happen(wrong: Effect) -> None:
    async with running(Puppet(on_started(wrong, publish("x")))) as rig:
        await eventually(lambda: "md.health.x" in rig.subjects())
        assert rig.sample("fundarb_actor_faults_total") == 1


async def test_the_end_drains_the_inbox_then_says_last_words() -> None:
    closed: list[str] = []

    async def close() -> None:
        closed.append("closed")

    def answer(event: Event) -> tuple[Effect, ...]:
        match event:
            case Draining():
                return (Persist(token="last", writes={"last": b"1"}), publish("bye"))
            case Received():
                return (Persist(token="p", writes={"p": b"1"}), publish("handled"))
            case _:
                return ()

    async with running(Puppet(answer), close=close, subscriptions=("sys.want.>",)) as rig:
        rig.other.publish("sys.want.x", encode(Want(service="x")))
        assert await rig.stopped() == 0
        assert rig.subjects("md.") == ["md.health.handled", "md.health.bye"]
        assert await rig.store.get("last") is not None
        assert closed == ["closed"]
        assert isinstance(rig.puppet.seen[-1], Draining)
        rig.runtime.offer(TimerFired(name="too late"))
        assert isinstance(rig.puppet.seen[-1], Draining)


async def test_the_end_comes_even_when_the_store_hangs_and_a_request_never_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("libs.common.actor.DRAIN_SEC_MAX", 0.6)
    monkeypatch.setattr("libs.common.actor.LAST_WORDS_SEC", 0.3)
    cancelled = asyncio.Event()

    async def fetch(request: Fetch) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    effects = on_started(Fetch(what="x"), Persist(token="p", writes={"k": b"1"}), publish("never"))
    async with running(Puppet(effects), handlers={Fetch: fetch}) as rig:
        rig.store.gate.clear()
        started = asyncio.get_running_loop().time()
        assert await rig.stopped() == 0
        assert asyncio.get_running_loop().time() - started < 5
        assert cancelled.is_set()


async def test_background_work_offers_events_and_its_death_ends_the_service() -> None:
    async def steady(offer: Offer) -> None:
        offer(TimerFired(name="from the stream"))
        await asyncio.Event().wait()

    dying = asyncio.Event()

    async def fragile(offer: Offer) -> None:
        await dying.wait()
        raise ConnectionError("the stream is gone")

    async with running(Puppet(), background=(steady, fragile)) as rig:
        await eventually(lambda: TimerFired(name="from the stream") in rig.puppet.seen)
        dying.set()
        await eventually(lambda: rig.ended)
        assert rig.exit_code == 1
        assert rig.subjects("alert.") == ["alert.critical"]


async def test_a_late_loop_and_a_waiting_inbox_are_lag() -> None:
    async with running(Puppet()) as rig:
        health = rig.beat.beat(lag_us=1_500_000)
        assert health.lag_ms >= 1_500
        assert "late: 1.5 s behind" in health.problems
        assert rig.beat.beat(lag_us=0).ok


async def test_health_is_on_the_bus_with_build_and_pid() -> None:
    async with running(Puppet()) as rig:
        rig.beat.beat(lag_us=0)
        (frame,) = [frame for frame in rig.frames if frame.subject == "sys.health.svc"]
        said = json.loads(frame.payload)
        assert (said["service"], said["build"], said["ok"]) == ("svc", "b", True)


async def test_a_note_is_a_log_line_with_fields(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        async with running(Puppet(on_started(Note(text="hello", fields={"n": 3})))):
            pass
    (record,) = [record for record in caplog.records if record.getMessage() == "hello"]
    assert record.fields == {"n": 3}  # type: ignore[attr-defined]


async def test_an_unexpected_store_error_opens_the_lane_again() -> None:
    class Odd(GatedStore):
        async def transition(self, change: Transition) -> bool:
            raise RuntimeError("a bug in the store")

    rig = Rig(Puppet(on_started(Persist(token="p", writes={"k": b"1"}), publish("never"))))
    rig.runtime._store = Odd()
    await rig.bus.connect()
    life = asyncio.create_task(rig.runtime.run(rig.stop))
    await eventually(lambda: bool(rig.puppet.of(Persisted)))
    assert rig.puppet.of(Persisted)[0].error == "RuntimeError: a bug in the store"
    rig.stop.set()
    assert await life == 0
