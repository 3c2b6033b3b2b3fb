"""A command that was taken before a restart is known after it."""

from __future__ import annotations

import pytest

from libs.common.command_memory import ENTRIES_MAX, PAGE, recent_ids
from libs.common.commands import IDS_MAX
from libs.common.effects import Audit
from libs.common.instant import MS_PER_DAY, MS_PER_HOUR, ManualClock
from libs.common.memory_store import Fault, MemoryStore
from libs.common.notices import AUDIT, audit_entry
from libs.common.store import StoreUnavailable


class Book:
    """An audit stream on a clock."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = MemoryStore(clock=self.clock)

    async def add(self, body: str, *, service: str = "risk") -> None:
        audit = Audit(subject="cmd.halt", body=body, decision="refused", reason="")
        await self.store.append(AUDIT, audit_entry(audit, service=service, wall_us=0))

    async def ids(self) -> tuple[str, ...]:
        return await recent_ids(self.store, "risk", wall_us=self.clock.now().wall_us)


async def test_ids_are_read_oldest_first() -> None:
    book = Book()
    for hours, one in ((0, "a"), (30, "b"), (20, "c"), (2, "d"), (2, "e")):
        book.clock.advance(ms=hours * MS_PER_HOUR)
        await book.add(f'{{"id":"{one}"}}')
    assert await book.ids() == ("a", "b", "c", "d", "e")


async def test_others_lines_and_unreadable_bodies_have_no_ids() -> None:
    book = Book()
    for body in ("{}", "", "{", '{"id": 5}', "null", '"x"', "\ufffd"):
        await book.add(body)
    await book.add('{"id":"theirs"}', service="executor")
    await book.add('{"id":"ours"}')
    assert await book.ids() == ("ours",)


async def test_more_than_a_week_ago_is_not_read() -> None:
    book = Book()
    await book.add('{"id":"old"}')
    book.clock.advance(ms=7 * MS_PER_DAY + 1)
    assert await book.ids() == ()


async def test_the_newest_are_kept_when_there_are_many() -> None:
    book = Book()
    await book.add('{"id":"first"}')
    book.clock.advance(ms=2 * MS_PER_HOUR)
    for count in range(IDS_MAX + PAGE // 2):
        await book.add(f'{{"id":"n{count}"}}')
    ids = await book.ids()
    assert len(ids) == IDS_MAX
    assert ids[-1] == f"n{IDS_MAX + PAGE // 2 - 1}"


async def test_reading_is_bounded_whatever_was_shouted() -> None:
    book = Book()
    for _ in range(ENTRIES_MAX + 2 * PAGE):
        await book.store.append(AUDIT, {"service": b"x"})
    reads: list[str] = []

    def count(operation: str) -> Fault:
        reads.append(operation)
        return Fault.NONE

    book.store.fault = count
    await book.ids()
    assert reads == ["read"] * (ENTRIES_MAX // PAGE)


async def test_a_store_that_is_away_is_told() -> None:
    book = Book()
    book.store.down = True
    with pytest.raises(StoreUnavailable):
        await book.ids()
