"""`cmd.reload` at a service: taken over, refused by name, or told that the file is broken; one answer."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from libs.common.bus import Frame
from libs.common.clock import SystemClock, wall_us
from libs.common.commands import EVERY
from libs.common.config.load import load_config
from libs.common.config.schema import Config
from libs.common.effects import Event, Reloaded
from libs.common.memory_bus import MemoryBroker, MemoryBus
from libs.common.memory_store import MemoryStore
from libs.common.messages import CommandReply
from libs.common.reloading import Reloader
from libs.common.store_log import StoreLog
from libs.common.subjects import ALL_CMD
from tests.helpers.servers import eventually
from tests.unit.config.base import GOOD, write

SECRET = "c4n4ry-5ecret"


class Desk:
    """A service's reloader on a bus, its config file, and an operator."""

    def __init__(self, folder: Path, *, takes: bool, subscriptions: tuple[str, ...]) -> None:
        self.path = write(folder, GOOD)
        self.store = MemoryStore()
        self.events: list[Event] = []
        self.replies: list[CommandReply] = []
        broker = MemoryBroker()
        self.bus, self.operator = MemoryBus(broker), MemoryBus(broker)
        self.reloader = Reloader(
            service="signal",
            config=self.read(),
            read=self.read,
            clock=SystemClock(),
            bus=self.bus,
            takes=takes,
            subscriptions=subscriptions,
        )
        self.log = StoreLog(self.store)
        self.reloader.entries = self.log

    def read(self) -> Config:
        return load_config([self.path], {})

    def edit(self, section: str, **fields: Any) -> None:
        self.path.write_text(json.dumps({**GOOD, section: {**GOOD.get(section, {}), **fields}}))

    def hear(self, frame: Frame) -> None:
        self.replies.append(msgspec.json.decode(frame.payload, type=CommandReply))

    async def ask(self, body: bytes = b"") -> CommandReply:
        before = len(self.replies)
        self.operator.publish("cmd.reload", body, reply="_INBOX.test")
        await eventually(lambda: len(self.replies) > before)
        await asyncio.sleep(0.02)
        assert len(self.replies) == before + 1, "every answerer replies once"
        return self.replies[-1]

    async def audited(self) -> list[dict[str, bytes]]:
        await self.log.flush(timeout_sec=5.0)
        return [entry.fields for entry in await self.store.read("audit", count=100)]


@contextlib.asynccontextmanager
async def desk(
    folder: Path, *, takes: bool = True, subscriptions: tuple[str, ...] = ()
) -> AsyncIterator[Desk]:
    made = Desk(folder, takes=takes, subscriptions=subscriptions)
    await made.bus.connect()
    await made.operator.connect()
    await made.operator.subscribe("_INBOX.test", made.hear)
    tasks = [
        asyncio.create_task(made.reloader.run(made.events.append)),
        asyncio.create_task(made.log.run()),
    ]
    await asyncio.sleep(0.02)
    try:
        yield made
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_changed_threshold_is_taken_over_told_and_audited(tmp_path: Path) -> None:
    async with desk(tmp_path) as made:
        made.edit("thresholds", dailyFundingMin=0.0005)
        reply = await made.ask(b'{"actor": "me"}')
        assert reply.ok
        assert reply.result["changed"] == ["thresholds.daily_funding_min: 0.0002 -> 0.0005"]
        (event,) = made.events
        assert isinstance(event, Reloaded)
        assert event.config.thresholds.daily_funding_min == made.reloader.config.thresholds.daily_funding_min
        (line,) = await made.audited()
        assert (line["decision"], line["actor"]) == (b"done", b"me")
        assert b"daily_funding_min" in line["reason"]
        again = await made.ask()
        assert again.ok
        assert again.result["changed"] == []
        assert len(made.events) == 1, "the same again is no event"


async def test_what_may_not_change_is_refused_by_name_and_nothing_else_is_taken(tmp_path: Path) -> None:
    async with desk(tmp_path) as made:
        before = made.reloader.config
        made.path.write_text(json.dumps({**GOOD, "deployment": "other", "costs": {"taker": 0.0001}}))
        reply = await made.ask(b'{"confirm": true}')
        assert reply.error is not None
        assert reply.error.code == "fixed"
        assert "deployment" in reply.error.message
        assert "restart" in reply.error.message
        assert made.reloader.config is before
        assert not made.events
        (line,) = await made.audited()
        assert line["decision"] == b"refused"


async def test_raising_a_limit_takes_a_confirmation(tmp_path: Path) -> None:
    async with desk(tmp_path) as made:
        made.edit("limits", max_notional_usd=9_000)
        refused = await made.ask()
        assert refused.error is not None
        assert refused.error.code == "confirm"
        assert "limits.max_notional_usd: 5000" in refused.error.message
        assert not made.events
        assert (await made.ask(b'{"confirm": true}')).ok
        assert made.reloader.config.limits.max_notional_usd == 9_000


@pytest.mark.parametrize(
    "text", ['{"symbols": [', '{"thresholds": {"dailyFundingMin": 2}}', "", '{"nonsense": 1}']
)
async def test_a_broken_file_leaves_the_running_config_and_says_why(tmp_path: Path, text: str) -> None:
    async with desk(tmp_path) as made:
        before = made.reloader.config
        made.path.write_text(text)
        reply = await made.ask(b'{"confirm": true}')
        assert reply.error is not None
        assert reply.error.code in ("bad_config", "fixed"), "an empty file names no exchange any more"
        assert made.reloader.config is before
        assert not made.events
        made.path.unlink()
        gone = await made.ask()
        assert gone.error is not None
        assert "no such file" in gone.error.message


async def test_secrets_of_a_file_are_in_no_answer(tmp_path: Path) -> None:
    async with desk(tmp_path) as made:
        exchanges = {**GOOD["exchanges"]}
        exchanges["perp"] = {**exchanges["perp"], "secret": SECRET}
        made.path.write_text(json.dumps({**GOOD, "exchanges": exchanges}))
        reply = await made.ask()
        assert reply.error is not None
        assert "exchanges.perp.secret" in reply.error.message
        told = f"{made.replies}{await made.audited()}"
        assert SECRET not in told


async def test_who_cannot_take_it_over_says_so(tmp_path: Path) -> None:
    async with desk(tmp_path, takes=False) as made:
        assert (await made.ask()).ok, "nothing has changed"
        made.edit("thresholds", dailyFundingMin=0.0005)
        reply = await made.ask()
        assert reply.error is not None
        assert reply.error.code == "restart"
        assert not made.events


async def test_late_repeated_and_unreadable_commands_have_no_effect(tmp_path: Path) -> None:
    async with desk(tmp_path) as made:
        made.edit("thresholds", dailyFundingMin=0.0005)
        late = json.dumps({"ts_ms": wall_us() // 1_000 - 60_000}).encode()
        codes = []
        for body in (
            late,
            b"{",
            b'{"confirm": "yes"}',
            b"x" * 20_000,
            b'{"actor": "a", "scope": "venue:nowhere"}',
        ):
            error = (await made.ask(body)).error
            assert error is not None
            codes.append(error.code)
        assert codes[:4] == ["late", "bad_request", "bad_request", "too_large"]
        assert not made.events
        assert len(await made.audited()) == 5
        assert (await made.ask(b'{"id": "one"}')).ok
        repeated = (await made.ask(b'{"id": "one"}')).error
        assert repeated is not None
        assert repeated.code == "repeated"


@pytest.mark.parametrize("pattern", [ALL_CMD, EVERY])
async def test_who_hears_every_command_answers_an_unreadable_one_by_itself(
    pattern: str, tmp_path: Path
) -> None:
    async with desk(tmp_path, subscriptions=(pattern,)) as made:
        made.operator.publish("cmd.reload", b"{", reply="_INBOX.test")
        made.operator.publish("cmd.reload", b'{"confirm": true, "confirm": true}', reply="_INBOX.test")
        made.operator.publish("cmd.reload", b"x" * 20_000, reply="_INBOX.test")
        await asyncio.sleep(0.1)
        assert made.replies == []
        assert (await made.ask()).ok
