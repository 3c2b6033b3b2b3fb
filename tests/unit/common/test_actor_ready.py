"""Getting ready behind a barrier, and requests that are begun in the turn in which they are due."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import pytest

from libs.common.effects import Answered, Effect, Event, Persist, Persisted, Received
from libs.common.messages import Command, Want, encode
from tests.helpers.servers import eventually
from tests.unit.common.runtime_rig import Fetch, Puppet, Rig, publish, running


def asks(event: Event) -> tuple[Effect, ...]:
    if isinstance(event, Received) and isinstance(event.message, Want):
        return (Persist(token="t", writes={"k": b"1"}, tell=True), Fetch(what="x"), publish("after"))
    return ()


def begin(rig: Rig) -> None:
    rig.other.publish("sys.want.x", encode(Want(service="x")))


async def never(_request: Fetch) -> None:
    raise AssertionError("it was begun already")


async def test_who_can_get_ready_is_told_while_the_write_is_under_way_and_begins_after_it() -> None:
    log: list[str] = []

    async def left() -> str:
        log.append("awaited")
        return "done"

    def at_once(request: Fetch) -> Awaitable[str]:
        log.append(f"begun {request.what}")
        return left()

    async with running(
        Puppet(asks),
        handlers={Fetch: never},
        at_once={Fetch: at_once},
        ahead={Fetch: lambda request: log.append(f"ahead {request.what}")},
    ) as rig:
        rig.store.gate.clear()
        begin(rig)
        await eventually(lambda: log == ["ahead x"])
        await asyncio.sleep(0.05)
        assert log == ["ahead x"], "not begun before it is durable"
        rig.store.gate.set()
        await eventually(lambda: bool(rig.puppet.of(Answered)))
        assert log == ["ahead x", "begun x", "awaited"]
        assert [one.result for one in rig.puppet.of(Answered)] == ["done"]
        assert "md.health.after" in rig.subjects()


async def test_of_a_write_that_is_done_nobody_gets_ready() -> None:
    log: list[str] = []

    def at_once(_request: Fetch) -> None:
        log.append("begun")

    async def handler(_request: Fetch) -> str:
        log.append("handled")
        return "done"

    async with running(
        Puppet(asks),
        handlers={Fetch: handler},
        at_once={Fetch: at_once},
        ahead={Fetch: lambda _request: log.append("ahead")},
    ) as rig:
        begin(rig)
        await eventually(lambda: bool(rig.puppet.of(Answered)))
        assert log == ["begun", "handled"], "what could not be done at once is its handler's"


async def test_what_was_got_ready_is_not_begun_when_the_write_fails() -> None:
    log: list[str] = []

    def at_once(_request: Fetch) -> None:
        raise AssertionError("nothing is durable")

    async with running(
        Puppet(asks),
        handlers={Fetch: never},
        at_once={Fetch: at_once},
        ahead={Fetch: lambda _request: log.append("ahead")},
    ) as rig:
        rig.store.gate.clear()
        begin(rig)
        await eventually(lambda: log == ["ahead"])
        rig.store.down = True
        rig.store.gate.set()
        await eventually(lambda: bool(rig.puppet.of(Persisted)))
        assert not rig.puppet.of(Answered)
        assert "md.health.after" not in rig.subjects()


async def test_getting_ready_may_fail_and_beginning_may_fail_and_both_are_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def ahead(_request: Fetch) -> None:
        raise RuntimeError("no room")

    def at_once(_request: Fetch) -> None:
        raise ValueError("it cannot be begun")

    async with running(
        Puppet(asks), handlers={Fetch: never}, at_once={Fetch: at_once}, ahead={Fetch: ahead}
    ) as rig:
        rig.store.gate.clear()
        begin(rig)
        await eventually(lambda: "getting ready failed" in caplog.text)
        rig.store.gate.set()
        await eventually(lambda: bool(rig.puppet.of(Answered)))
        [answered] = rig.puppet.of(Answered)
        assert (answered.error, answered.error_class) == ("it cannot be begun", "ValueError")
        assert "md.health.after" in rig.subjects()


async def test_a_write_is_begun_before_what_else_waits_is_handled() -> None:
    """What waits in other lanes may take its time; the orders behind the write do not wait for it."""
    begun: list[str] = []

    def answer(event: Event) -> tuple[Effect, ...]:
        if isinstance(event, Received) and isinstance(event.message, Command):
            return (Persist(token="t", writes={"k": b"1"}),)
        if isinstance(event, Received) and isinstance(event.message, Want):
            begun.append("handled after the write" if rig.store.asked else "handled before the write")
        return ()

    def lane_of(event: Event) -> str:
        return "pair" if isinstance(event, Received) and isinstance(event.message, Command) else ""

    async with running(Puppet(answer), lane_of=lane_of) as rig:
        rig.runtime.offer(Received(subject="cmd.open", message=Command(pair="a")))
        rig.runtime.offer(Received(subject="sys.want.x", message=Want(service="x")))
        await eventually(lambda: bool(begun))
        assert begun == ["handled after the write"]
