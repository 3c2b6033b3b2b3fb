"""When a venue's account is compared: what was postponed is done as soon as it can be."""

from __future__ import annotations

from decimal import Decimal

from libs.common.effects import Health, Persist, Persisted
from libs.common.messages_exec import LedgerKind
from libs.common.store import Transition
from libs.exchange.engine import commands as c
from services.executor.books_work import FetchRecords
from services.executor.early import LATE_US
from services.executor.events import ReadAccount
from services.executor.rounds import APART_US, LOOK_US
from tests.property.pnl_terms import ME, PERP, VENUE, key_of
from tests.unit.executor.books_rig import BooksRig

GONE = Decimal("0.5")
"""USD without a record: too little to have all records read for it at once (`unexplained`)."""
WRITE = Persist(token="x:1", change=Transition(hash_writes={"intents:x": {"fa0": b"{}"}}))
WRITTEN = Persisted(token="x:1", ok=True)


def holding() -> BooksRig:
    """A pair holds the perpetual; all records are next read in an hour."""
    rig = BooksRig(seed=9, records_every_sec=3_600)
    rig.run(1)
    for _ in range(200):
        rig.life.step()
        rig.run(0.5)
        names = [one.position.instrument for one in rig.life.engine.positions("me")]
        if len(rig.life.lines) > 12 and key_of(PERP) in names:
            break
    rig.accountant.venues[VENUE].give_up()  # what is left of deposits and loans is read now
    rig.run(30)
    assert rig.books.residual_usd == 0
    return rig


def settle(rig: BooksRig) -> None:
    """Funding is announced, and paid."""
    settles_ms = rig.now.market_ms + 70_000
    rig.announce(PERP, "0.001", settles_ms)
    rig.run(70)
    before, mark = rig.life.wall_us, rig.life.world.marks[VENUE, PERP]
    rig.life.tell(
        c.SettleFunding(instrument=key_of(PERP), rate=Decimal("0.001"), mark=mark, settled_ms=settles_ms)
    )
    rig.life.wall_us = before


def lose(rig: BooksRig) -> None:
    """Something is gone, and no record tells of it."""
    known = {one.record_id for one in rig.life.records()}
    rig.life.tell(c.Withdraw(account=ME, asset="USDT", amount=GONE))
    told = rig.life.records
    new = {one.record_id for one in told()} - known
    rig.life.records = lambda: [  # type: ignore[method-assign]
        one for one in told() if one.record_id not in new
    ]


def test_a_postponed_comparison_survives_a_round_after_a_settlement() -> None:
    rig = holding()
    lane = next(iter(rig.life.lanes.values()))
    lose(rig)
    rig.run(6)
    rig.accountant.stillness.begins(lane, WRITE, rig.now.mono_us)
    settle(rig)
    rig.run(6)
    assert rig.lines()[-1].kind is LedgerKind.FUNDING, "the payment was read meanwhile"
    assert rig.books.residual_usd is None
    rig.accountant.stillness.ended(lane, WRITTEN, rig.now.mono_us)
    rig.run(20)
    assert rig.books.residual_usd == GONE


def test_what_is_due_again_waits_without_a_request_while_something_is_under_way() -> None:
    rig = holding()
    lane = next(iter(rig.life.lanes.values()))
    lose(rig)
    rig.run(4)  # it was seen, and is to be looked into
    rig.accountant.stillness.begins(lane, WRITE, rig.now.mono_us)
    start = len(rig.asked)
    rig.run(40)
    asked = rig.asked[start:]
    assert not [one for one in asked if isinstance(one, FetchRecords)]
    assert len([one for one in asked if isinstance(one, ReadAccount)]) <= 40 * 1e6 / LOOK_US + 1
    assert rig.books.residual_usd is None


def test_a_line_ends_what_was_known_until_the_next_look() -> None:
    rig = holding()
    venue = rig.accountant.venues[VENUE]
    before = venue.comparing.look
    while venue.comparing.look is before:
        rig.run(0.1)
    assert venue.shown(rig.now).known
    read, lines = venue.comparing.look, len(rig.lines())
    while len(rig.lines()) == lines:
        rig.life._order()
    while rig.accountant.books.ledger_at != rig.last_entry():
        rig.run(0.1)
    assert venue.comparing.look is read, "no look has come yet"
    assert not venue.shown(rig.now).known
    rig.run(6)
    assert venue.shown(rig.now).known


def test_a_trade_is_compared_by_the_next_look_without_reading_records() -> None:
    rig = holding()
    asked = len([one for one in rig.asked if isinstance(one, FetchRecords)])
    lines = len(rig.lines())
    while len(rig.lines()) == lines:
        rig.life._order()
    rig.run(10)
    assert rig.books.residual_usd == 0
    assert len([one for one in rig.asked if isinstance(one, FetchRecords)]) == asked


def test_interest_is_looked_for_alone_and_not_with_every_look() -> None:
    rig = holding()
    rig.run(APART_US / 1e6)
    start = len(rig.asked)
    rig.life._interest()
    rig.run(30)
    asked = [one.kind for one in rig.asked[start:] if isinstance(one, FetchRecords)]
    assert set(asked) == {"interest"}
    assert len(asked) <= 3
    assert rig.books.residual_usd == 0


def test_what_comes_in_just_before_the_books_begin_is_a_part_of_their_opening() -> None:
    """It was no record yet when those were read last, and would be booked on top of the account as it was."""
    rig = BooksRig(seed=9, records_every_sec=3_600)
    lane = next(iter(rig.life.lanes.values()))
    rig.accountant.stillness.begins(lane, WRITE, rig.now.mono_us)
    rig.run(5)
    assert VENUE not in rig.accountant.books.openings
    rig.life.tell(c.Deposit(account=ME, asset="USDT", amount=GONE))
    rig.run(0.1)
    rig.accountant.stillness.ended(lane, WRITTEN, rig.now.mono_us)
    rig.run(20)
    assert VENUE in rig.accountant.books.openings
    rig.accountant.venues[VENUE].give_up()  # all records are read once more
    rig.run(30)
    assert rig.books.residual_usd == 0


def test_books_that_do_not_begin_for_ten_minutes_are_a_problem_until_they_do() -> None:
    rig = BooksRig(seed=9, records_every_sec=3_600)
    lane = next(iter(rig.life.lanes.values()))
    rig.accountant.stillness.begins(lane, WRITE, rig.now.mono_us)
    rig.run(LATE_US / 1e6 - 10)
    assert problems(rig) == ""
    rig.run(30)
    assert "its books have not begun for 10 minutes" in problems(rig)
    rig.accountant.stillness.ended(lane, WRITTEN, rig.now.mono_us)
    rig.run(20)
    assert problems(rig) == ""
    assert VENUE in rig.accountant.books.openings


def problems(rig: BooksRig) -> str:
    """What is wrong with the books of the venue, as health shows it now."""
    said = [one for one in rig.effects if isinstance(one, Health) and one.key == f"books:{VENUE}"]
    return said[-1].problem
