"""The shell: effects carried out, barriers kept, requests and commands answered; bus and store in memory."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest

from libs.common.effects import (
    Answered,
    CancelTimer,
    Effect,
    Event,
    Persist,
    Persisted,
    Publish,
    Received,
    Reply,
    SetTimer,
    Started,
    TimerFired,
)
from libs.common.messages import Command, CommandReply, Want, encode
from tests.helpers.servers import eventually
from tests.unit.common.runtime_rig import Fetch, Puppet, on_started, publish, running, seen_health


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
        replies = await rig.other.gather("cmd.status", b"", timeout_sec=1.0)
        assert [json.loads(reply.payload)["ok"] for reply in replies] == [True]
        rig.other.publish("cmd.status", b"")  # nobody waits for an answer: that is no fault
        await eventually(lambda: len(rig.puppet.of(Received)) == 2)
        assert not rig.runtime.faults.recent(0)
