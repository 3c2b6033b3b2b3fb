"""What was answered is in the audit stream, or the answer says that it is not; acts wait for neither."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import pytest

from libs.common.answering import Answers
from libs.common.effects import Audit, Effect, Event, Received, Reply
from libs.common.memory_store import MemoryStore
from libs.common.messages import Command, CommandError, CommandReply, decode
from libs.common.store_log import StoreLog
from libs.console.commanding import UNRECORDED, line
from tests.helpers.servers import eventually
from tests.unit.common.runtime_rig import Puppet, Rig, publish, running

AUDIT: Final = Audit(subject="cmd.close", body='{"id":"1"}', decision="done", reason="")
GOOD: Final = CommandReply(service="svc", ok=True, result={"text": "closing"})
AWAY: Final = CommandReply(
    service="svc", ok=False, error=CommandError(code="store", message="nothing can be sent")
)
INBOX: Final = "_INBOX.1"


def is_command(event: Event) -> bool:
    return isinstance(event, Received) and isinstance(event.message, Command)


def answering(*effects: Effect) -> Puppet:
    return Puppet(lambda event: effects if is_command(event) else ())


def answer(reply: CommandReply = GOOD, to: str = INBOX) -> Reply:
    return Reply(to=to, reply=reply)


def ask(rig: Rig) -> None:
    rig.other.publish("cmd.close", b'{"id":"1"}', reply=INBOX)


def replies(rig: Rig) -> list[CommandReply]:
    return [decode(frame.payload, CommandReply) for frame in rig.frames if frame.subject == INBOX]


async def audited(rig: Rig) -> int:
    return len(await rig.store.read("audit"))


async def test_the_answer_comes_when_its_line_is_durable_and_the_act_waits_for_neither() -> None:
    async with running(answering(AUDIT, answer(), publish("act"))) as rig:
        rig.store.gate.clear()
        ask(rig)
        await eventually(lambda: "md.health.act" in rig.subjects())
        assert replies(rig) == [], "a kill -9 here loses the line, and nobody was told"
        rig.store.gate.set()
        await eventually(lambda: bool(replies(rig)))
        assert await audited(rig) == 1
        assert replies(rig) == [GOOD]
        assert GOOD.recorded


async def test_a_store_that_does_not_answer_is_waited_for_a_moment_and_the_answer_says_so() -> None:
    async with running(answering(AUDIT, answer())) as rig:
        rig.store.gate.clear()
        ask(rig)
        await eventually(lambda: bool(replies(rig)))
        (said,) = replies(rig)
        assert (said.ok, said.result, said.recorded) == (True, GOOD.result, False)
        assert line(said) == f"svc: ok: closing ({UNRECORDED})"
        assert await audited(rig) == 0
        rig.store.gate.set()
        await eventually(lambda: not len(rig.runtime.store_log))
        assert await audited(rig) == 1, "tried on"
        assert len(replies(rig)) == 1, "answered once"


async def test_an_answer_that_says_that_the_store_is_away_does_not_wait_for_it() -> None:
    async with running(answering(AUDIT, answer(AWAY), publish("act"))) as rig:
        rig.store.gate.clear()
        ask(rig)
        await eventually(lambda: "md.health.act" in rig.subjects())
        (said,) = replies(rig)
        assert (said.error, said.recorded) == (AWAY.error, False)


async def test_an_answer_without_a_line_of_its_own_waits_for_nobody_elses() -> None:
    turns: list[tuple[Effect, ...]] = [(AUDIT,), (answer(), publish("act"))]

    def by_turn(event: Event) -> tuple[Effect, ...]:
        return turns.pop(0) if is_command(event) else ()

    async with running(Puppet(by_turn)) as rig:
        rig.store.gate.clear()
        ask(rig)
        ask(rig)
        await eventually(lambda: "md.health.act" in rig.subjects())
        assert replies(rig) == [GOOD]


async def test_a_body_that_cannot_be_read_is_answered_after_its_line_too() -> None:
    async with running(answering()) as rig:
        rig.store.gate.clear()
        rig.other.publish("cmd.close", b"{", reply=INBOX)
        await eventually(lambda: len(rig.runtime.store_log) == 1)
        assert replies(rig) == []
        rig.store.gate.set()
        await eventually(lambda: bool(replies(rig)))
        assert await audited(rig) == 1
        assert replies(rig)[0].recorded


async def test_what_waits_at_the_end_of_a_process_is_answered() -> None:
    async with running(answering(AUDIT, answer())) as rig:
        rig.store.gate.clear()
        ask(rig)
        await eventually(lambda: len(rig.runtime.store_log) == 1)
        rig.stop.set()
        await asyncio.sleep(0.05)
        rig.store.gate.set()
        await eventually(lambda: rig.ended)
        assert replies(rig) == [GOOD]


async def test_a_line_that_the_store_refuses_is_answered_as_unrecorded() -> None:
    async with running(answering(AUDIT, answer())) as rig:
        await rig.store.put("audit", b"in the way")
        ask(rig)
        await eventually(lambda: bool(replies(rig)))
        assert not replies(rig)[0].recorded


class Desk:
    """Answers on a log whose writer runs when a test says so."""

    def __init__(self, *, waiting_max: int = 10) -> None:
        self.store = MemoryStore()
        self.log = StoreLog(self.store, waiting_max=waiting_max)
        self.sent: list[tuple[str, bool]] = []
        self.answers = Answers("svc", lambda: self.log, self._send)

    def _send(self, to: str, reply: CommandReply) -> None:
        self.sent.append((to, reply.recorded))

    def say(self, to: str) -> None:
        self.answers.begin()
        self.answers.record(AUDIT, wall_us=0)
        self.answers.give(to, GOOD)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.log.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_each_answer_waits_for_its_own_line_and_a_plain_publish_has_none() -> None:
    desk = Desk()
    for to in ("a", "", "b"):
        desk.say(to)
    assert desk.sent == []
    async with desk.writing():
        await eventually(lambda: not len(desk.log))
    assert desk.sent == [("a", True), ("b", True)]


async def test_with_a_store_that_is_known_to_be_away_nobody_waits() -> None:
    desk = Desk()
    desk.store.down = True
    desk.say("a")
    async with desk.writing():
        await eventually(lambda: desk.log.failing)
        desk.say("b")
        assert ("b", False) in desk.sent


async def test_a_line_that_is_set_aside_is_answered_as_unrecorded_at_once() -> None:
    desk = Desk(waiting_max=1)
    desk.say("a")
    desk.say("b")
    assert desk.sent == [("a", False)]


async def test_an_answer_whose_line_is_there_already_comes_at_once() -> None:
    desk = Desk()
    desk.answers.record(AUDIT, wall_us=0)
    async with desk.writing():
        await eventually(lambda: not len(desk.log))
    desk.answers.give("a", GOOD)
    assert desk.sent == [("a", True)]


async def test_an_answer_that_cannot_be_sent_is_a_fault_of_its_turn() -> None:
    desk = Desk()
    desk.answers.record(AUDIT, wall_us=0)
    with pytest.raises(TypeError):
        desk.answers.give("a", CommandReply(service="svc", ok=True, result={"x": object()}))
    assert desk.sent == []
