"""Alerts and audit reach the store, or it is said loudly that they did not."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from libs.common.instant import ManualClock
from libs.common.memory_store import Fault, MemoryStore
from libs.common.store import Transition
from libs.common.store_log import KEEP, Keep, StoreLog
from tests.helpers.servers import eventually
from tests.unit.common.runtime_rig import Puppet, Rig, running


class Odd(MemoryStore):
    """Raises what no store should, for one stream."""

    async def append(self, stream: str, fields: dict[str, bytes], *, most: int | None = None) -> str:
        if stream == "odd":
            raise RuntimeError("a bug in the store")
        return await super().append(stream, fields, most=most)


@asynccontextmanager
async def writing(entries: StoreLog) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(entries.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_stream_of_another_kind_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore()
    await store.put("alerts", b"in the way")
    entries = StoreLog(store)
    async with writing(entries) as task:
        entries.add("alerts", {"json": b'{"key":"naked"}'})
        entries.add("audit", {"decision": b"refused"})
        entries.add("alerts", {"json": b'{"key":"second"}'})
        await eventually(lambda: not len(entries))
        assert not task.done()
    assert [entry.fields for entry in await store.read("audit")] == [{"decision": b"refused"}]
    assert "2 alerts or audit entries are in the log only" in entries.problem()
    assert "alerts: holds a string, no stream" in entries.problem()
    loud = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(loud) == 2
    assert loud[0].fields["entry"] == {"json": '{"key":"naked"}'}  # type: ignore[attr-defined]


async def test_any_exception_sets_the_entry_aside_and_the_writer_goes_on() -> None:
    store = Odd()
    entries = StoreLog(store)
    async with writing(entries) as task:
        entries.add("odd", {"json": b"1"})
        entries.add("alerts", {})  # a malformed entry: ValueError
        entries.add("alerts", {"json": b"2"})
        await eventually(lambda: not len(entries))
        assert not task.done()
        assert [entry.fields for entry in await store.read("alerts")] == [{"json": b"2"}]
        assert "2 alerts or audit entries are in the log only (the last: ValueError" in entries.problem()


async def test_an_unanswered_append_is_kept_and_told_until_it_is_over() -> None:
    store = MemoryStore()
    store.fault = lambda operation: Fault.REFUSED if operation == "append" else Fault.NONE
    entries = StoreLog(store)
    async with writing(entries):
        entries.add("alerts", {"json": b"1"})
        await eventually(lambda: entries.problem() == "1 alerts or audit entries wait for the store")
        store.fault = None
        await eventually(lambda: not len(entries))
    assert entries.problem() == ""
    assert len(await store.read("alerts")) == 1


async def test_what_is_given_up_is_in_the_log_and_stays_told(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore()
    store.down = True
    entries = StoreLog(store, waiting_max=2)
    for number in range(3):
        entries.add("alerts", {"json": b"%d" % number})
    assert [record.fields["entry"] for record in caplog.records] == [{"json": "0"}]  # type: ignore[attr-defined]
    store.down = False
    async with writing(entries):
        await eventually(lambda: not len(entries))
    assert [entry.fields["json"] for entry in await store.read("alerts")] == [b"1", b"2"]
    assert "1 alerts or audit entries are in the log only" in entries.problem()


@pytest.mark.parametrize("cancelled", [False, True])
async def test_a_writer_that_ends_ends_the_service(
    cancelled: bool,  # noqa: FBT001
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("libs.common.actor.DRAIN_SEC_MAX", 0.6)
    monkeypatch.setattr("libs.common.actor.LAST_WORDS_SEC", 0.3)

    class Broken(StoreLog):
        async def run(self) -> None:
            await asyncio.sleep(0.05)
            raise asyncio.CancelledError if cancelled else RuntimeError("no more")

    rig = Rig(Puppet())
    rig.runtime.store_log = Broken(rig.store)
    await rig.bus.connect()
    assert await asyncio.wait_for(rig.runtime.run(rig.stop), 10) == 1


async def test_health_tells_of_alerts_that_the_store_refuses() -> None:
    async with running(Puppet()) as rig:
        await rig.store.transition(Transition(writes={"alerts": b"in the way"}))
        rig.runtime.store_log.add("alerts", {"json": b"{}"})
        await eventually(lambda: "in the log only" in " ".join(rig.beat.beat(lag_us=0).problems))
        assert not rig.ended


@pytest.mark.parametrize(("stream", "days"), [("alerts", 30), ("audit", 90)])
async def test_what_is_old_is_let_go_where_nobody_else_does_it(stream: str, days: int) -> None:
    clock = ManualClock()
    store = MemoryStore(clock=clock)
    entries = StoreLog(store)
    async with writing(entries):
        for day in range(days + 3):
            entries.add(stream, {"json": b"%d" % day})
            entries.add("other", {"json": b"%d" % day})
            await eventually(lambda: not len(entries))
            await asyncio.sleep(0)
            clock.advance(sec=86_400)
        entries.add(stream, {"json": b"last"})
        await eventually(lambda: not len(entries))
        left = [entry.fields["json"] for entry in await store.read(stream, count=500)]
        assert left == [b"%d" % day for day in range(3, days + 3)] + [b"last"]
        assert len(await store.read("other", count=500)) == days + 3


async def test_a_store_that_is_not_trimmed_takes_entries_all_the_same(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = MemoryStore()
    store.fault = lambda operation: Fault.REFUSED if operation == "trim" else Fault.NONE
    entries = StoreLog(store)
    async with writing(entries) as task:
        for number in range(3):
            entries.add("alerts", {"json": b"%d" % number})
        await eventually(lambda: not len(entries))
        await eventually(lambda: "alerts was not trimmed" in caplog.text)
        assert not task.done()
    assert caplog.text.count("was not trimmed") == 1  # the next in an hour
    assert len(await store.read("alerts")) == 3


async def test_a_storm_is_bounded_by_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KEEP, "alerts", Keep(days=30, entries=50))
    store = MemoryStore()
    entries = StoreLog(store)
    async with writing(entries):
        for number in range(200):
            entries.add("alerts", {"json": b"%d" % number})
        await eventually(lambda: not len(entries))
    left = [entry.fields["json"] for entry in await store.read("alerts", count=500)]
    assert left == [b"%d" % number for number in range(150, 200)]
