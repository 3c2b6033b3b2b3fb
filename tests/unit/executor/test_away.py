"""An executor that was away: what venues have booked meanwhile is in the ledger, once and whole."""

from __future__ import annotations

from decimal import Decimal

import pytest

from libs.common.effects import Answered, Effect, Persist, Request
from libs.common.instant import US_PER_SEC
from libs.common.messages_exec import LedgerKind
from libs.exchange.engine import commands as c
from services.executor.books_work import FetchRecords, LoadBooks, TailStreams
from tests.property.pnl_terms import PERP, VENUE, key_of
from tests.sim.timeline import run
from tests.unit.executor.books_rig import BooksRig
from tests.unit.executor.test_accountant import holding

HOUR_US = 3_600 * US_PER_SEC
EXPLAINED = Decimal("0.001")


class Hiccups(BooksRig):
    """The store refuses the next `fails` bookings, and one record may not be shown yet."""

    fails: int = 0
    hides: str = ""

    def _write(self, lane: str, persist: Persist) -> tuple[Effect, ...]:
        assert persist.change is not None
        if self.fails and persist.change.once is not None:
            self.fails -= 1
            return self.core.settle(lane, ok=False, error="hiccup", now=self.now).effects
        return super()._write(lane, persist)

    def _answer(self, request: Request) -> None:
        if not self.hides or not isinstance(request, FetchRecords):
            super()._answer(request)
            return
        found = self.life.records()
        shown = [one for one in found if one.kind == request.kind and one.ts_ms >= request.since_ms]
        self.offer(Answered(request=request, result=[one for one in shown if one.record_id != self.hides]))


def settle(rig: BooksRig) -> None:
    mark = rig.life.world.marks[VENUE, PERP]
    at_ms = rig.life.wall_us // 1_000
    rig.life.tell(
        c.SettleFunding(instrument=key_of(PERP), rate=Decimal("0.001"), mark=mark, settled_ms=at_ms)
    )


def deposit(rig: BooksRig, amount: int) -> None:
    rig.life.tell(c.Deposit(account="me", asset="USDT", amount=Decimal(amount)))


def payments(rig: BooksRig) -> int:
    return len({one.key for one in rig.lines() if one.kind is LedgerKind.FUNDING})


@pytest.mark.parametrize("fails", [0, 1, 3])
def test_payments_of_hours_survive_writes_that_fail(fails: int) -> None:
    """Two settlements come in one answer: reading goes on from the last payment that is durable."""
    rig = holding(9, Hiccups(seed=9))
    assert isinstance(rig, Hiccups)
    rig.run(70)  # a snapshot lies in the store
    before = payments(rig)
    for _ in range(2):
        rig.life.wall_us += 4 * HOUR_US
        settle(rig)
    rig.life.wall_us += HOUR_US // 2
    rig.fails = fails
    rig.start()
    rig.run(150)
    rig.start()
    rig.run(30)
    assert not rig.fails
    assert payments(rig) - before >= 2
    assert rig.books.residual_usd is not None
    assert abs(rig.books.residual_usd) < EXPLAINED


@pytest.mark.parametrize("hours", [0.5, 3, 30])
def test_money_that_was_moved_while_it_was_away_is_explained(hours: float) -> None:
    rig = BooksRig(seed=9)
    rig.life.wall_us += 5 * HOUR_US  # no record of this kind is young enough to begin with
    rig.run(90)
    rig.life.wall_us += HOUR_US // 2
    deposit(rig, 5_000)
    rig.life.wall_us += int(hours * HOUR_US)
    rig.start()
    rig.run(150)
    assert rig.books.residual_usd == 0


def test_a_record_that_is_shown_after_newer_ones_is_booked() -> None:
    rig = Hiccups(seed=9)
    rig.run(70)
    rig.life.wall_us += HOUR_US
    deposit(rig, 7)
    late = rig.life.records()[-1]
    rig.hides = late.record_id
    rig.life.wall_us += HOUR_US // 6
    deposit(rig, 5_000)
    rig.run(150)
    assert rig.books.residual_usd == 7
    rig.hides = ""
    rig.run(150)
    assert rig.books.residual_usd == 0
    assert run(rig.store.read("ledger", count=1))


class SlowStart(BooksRig):
    """The store is slow: the snapshot is asked for again, and the first answer comes amid the second tail."""

    slow: bool = False
    late: LoadBooks | None = None

    def _answer(self, request: Request) -> None:
        if self.slow and isinstance(request, LoadBooks):
            self.slow, self.late = False, request
            return
        if self.late is not None and isinstance(request, TailStreams) and self.accountant.tails >= 2:
            super()._answer(self.late)
            self.late = None
        super()._answer(request)


def test_a_late_second_answer_with_the_snapshot_does_not_set_the_books_back() -> None:
    rig = SlowStart(seed=9)
    holding(9, rig)
    rig.slow = True
    rig.start()
    rig.said.clear()
    rig.run(60)
    assert rig.late is None
    assert not rig.slow
    assert rig.books.residual_usd == 0
