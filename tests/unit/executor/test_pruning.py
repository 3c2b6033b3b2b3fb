"""The journal is trimmed only where the books' snapshot covers it: no count is ever lost by it."""

from __future__ import annotations

import asyncio

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.instant import MS_PER_DAY, US_PER_MS, ManualClock
from libs.common.memory_store import MemoryStore
from services.executor.bookkeeper import Bookkeeper
from services.executor.books import KEY, Books, take_entries
from services.executor.books_work import TailStreams
from services.executor.ledger import STREAM
from services.executor.pruning import KEPT_DAYS, JournalPruner, droppable
from services.executor.writing import JOURNAL
from tests.sim.timeline import run

DAY_MS = MS_PER_DAY


class Shelf:
    """A store with a journal, and a snapshot of the books up to any entry of it."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.store = MemoryStore(clock=self.clock)
        self.pruner = JournalPruner(self.store, self.clock)
        self.ids: list[str] = []

    def add(self, number: int) -> None:
        moves = msgspec.json.encode([{"target": "unwinding", "trigger": "filled"}])
        pair = f"p{number % 3}"
        fields = {"pair": pair.encode(), "moves": moves, "state": b'{"counter":%d}' % number}
        self.ids.append(run(self.store.append(JOURNAL, fields)))

    def counted(self, books: Books) -> Books:
        request = TailStreams(ledger_at=books.ledger_at, journal_at=books.journal_at, count=1_000)
        tail = run(Bookkeeper({}, self.store).tail(request))
        return take_entries(books, tail.ledger, tail.journal, lambda us: us // US_PER_MS)

    def keep(self, books: Books) -> None:
        run(self.store.put(KEY, msgspec.json.encode(books)))

    def left(self) -> list[str]:
        return [entry.id for entry in run(self.store.read(JOURNAL, count=1_000))]


def filled(days: int) -> Shelf:
    """An entry a day, today's being the last."""
    shelf = Shelf()
    for number in range(days):
        shelf.add(number)
        shelf.clock.advance(ms=DAY_MS if number < days - 1 else 0)
    return shelf


def test_nothing_goes_without_a_snapshot_or_before_it_counts_anything() -> None:
    shelf = filled(20)
    assert run(shelf.pruner.once()) == 0
    shelf.keep(Books())
    assert run(shelf.pruner.once()) == 0
    assert len(shelf.left()) == 20


def test_what_the_snapshot_covers_goes_after_a_week() -> None:
    shelf = filled(20)
    shelf.keep(shelf.counted(Books()))
    run(shelf.pruner.once())
    assert shelf.left() == shelf.ids[-(KEPT_DAYS + 1) :]


def test_what_the_books_have_not_counted_stays_however_old_it_is() -> None:
    shelf = filled(20)
    shelf.keep(Books(journal_at=shelf.ids[4]))
    run(shelf.pruner.once())
    assert shelf.left() == shelf.ids[4:]


@settings(derandomize=True, max_examples=60, deadline=None)
@given(
    gaps=st.lists(st.integers(0, 3 * DAY_MS), min_size=12, max_size=30),
    kept=st.integers(0, 12),
    twice=st.booleans(),
)
def test_books_read_from_their_snapshot_are_the_same_with_and_without(
    gaps: list[int],
    kept: int,
    *,
    twice: bool,
) -> None:
    shelf = Shelf()
    snapshot = Books()
    for number, gap_ms in enumerate(gaps):
        shelf.clock.advance(ms=gap_ms)
        shelf.add(number)
        if number == kept:
            snapshot = shelf.counted(Books())
    shelf.keep(snapshot)
    whole = shelf.counted(snapshot)
    for _ in range(1 + twice):
        run(shelf.pruner.once())
    assert shelf.counted(snapshot) == whole


def test_the_ledger_is_left_alone() -> None:
    shelf = filled(20)
    ledger = run(shelf.store.append(STREAM, {"json": b"{}"}))
    shelf.keep(Books(ledger_at=ledger, journal_at=shelf.ids[-1]))
    shelf.clock.advance(ms=400 * DAY_MS)
    assert run(shelf.pruner.once()) == 19
    assert [entry.id for entry in run(shelf.store.read(STREAM))] == [ledger]


@pytest.mark.parametrize("snapshot", [b"", b"{}", b'{"journal_at":5}', b"[]"])
def test_a_snapshot_that_nobody_understands_lets_nothing_go(
    snapshot: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    shelf = filled(20)
    run(shelf.store.put(KEY, snapshot))
    assert run(shelf.pruner.once()) == 0
    assert "the journal was not trimmed" in caplog.text
    assert len(shelf.left()) == 20


def test_the_position_alone_decides() -> None:
    assert droppable(None, wall_ms=10**13) is None
    assert droppable(b'{"journal_at":"5-7"}', wall_ms=10**13) == "5-7"
    assert droppable(b'{"journal_at":"5-7"}', wall_ms=KEPT_DAYS * DAY_MS + 3) == "3-0"
    assert droppable(b'{"journal_at":"5-7"}', wall_ms=0) is None


async def test_a_store_that_is_away_is_asked_again() -> None:
    shelf = Shelf()
    await shelf.store.put(KEY, b'{"journal_at":"9-0"}')
    shelf.store.down = True
    task = asyncio.create_task(JournalPruner(shelf.store, shelf.clock, every_sec=0.01).run(lambda _: None))
    await asyncio.sleep(0.05)
    shelf.store.down = False
    await shelf.store.append(JOURNAL, {"pair": b"p"})
    await shelf.store.put(KEY, b'{"journal_at":"9999999999999999-0"}')
    shelf.clock.advance(ms=(KEPT_DAYS + 1) * DAY_MS)

    async with asyncio.timeout(10):
        while await shelf.store.read(JOURNAL):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
