"""Money that leaves an account is told as unexplained at once, and its record is read soon."""

from __future__ import annotations

import contextlib
from decimal import Decimal

import pytest

from libs.common.messages_exec import AccountStatus, LedgerKind
from libs.exchange.engine import commands as c
from services.executor.books_work import FetchRecords
from services.executor.unexplained import EVERY_US, TRIES, Unexplained
from tests.property.pnl_terms import ME, VENUE
from tests.unit.executor.books_rig import BooksRig


def settled_in() -> BooksRig:
    """Everything is explained, and its records are next read in ten minutes."""
    rig = BooksRig(seed=21, records_every_sec=600)
    rig.run(1)
    for _ in range(6):
        rig.life.step()
        rig.run(0.5)
    rig.accountant.venues[VENUE].give_up()  # nothing that was booked late is left for later
    rig.run(20)
    assert rig.account.unexplained_usd == 0
    return rig


def figures(rig: BooksRig) -> list[float | None]:
    said = rig.said[f"exec.account.{VENUE}"]
    return [one.unexplained_usd for one in said if isinstance(one, AccountStatus)]


@pytest.mark.parametrize("sign", [1, -1])
def test_what_leaves_or_comes_is_told_by_the_second_look_and_booked_long_before_its_turn(sign: int) -> None:
    rig = settled_in()
    told, lines = len(figures(rig)), len(rig.lines())
    kind = c.Deposit if sign > 0 else c.Withdraw
    rig.life.tell(kind(account=ME, asset="USDT", amount=Decimal(321)))
    rig.run(12)
    news = figures(rig)[told:]
    assert news[0] == 0, "one look alone proves nothing"
    assert sign * 321.0 in news
    (line,) = rig.lines()[lines:]
    assert line.kind is (LedgerKind.DEPOSIT if sign > 0 else LedgerKind.WITHDRAWAL)
    rig.run(8)
    assert rig.account.unexplained_usd == 0
    assert rig.books.residual_usd == 0


def test_trades_are_never_taken_for_money_from_outside() -> None:
    rig = BooksRig(seed=22)
    rig.run(6)
    for _ in range(60):
        with contextlib.suppress(c.Refused):  # it has no coins to sell
            rig.life._order()
        rig.run(0.7)
    assert len([one for one in rig.lines() if one.kind is LedgerKind.FILL]) > 20
    assert {one for one in figures(rig) if one is not None} == {0.0}


def test_what_no_record_explains_is_asked_for_a_few_times_and_stays_told() -> None:
    rig = settled_in()
    rig.life.records = list  # type: ignore[method-assign]
    asked = len([one for one in rig.asked if isinstance(one, FetchRecords) and one.kind == "withdrawal"])
    rig.life.tell(c.Withdraw(account=ME, asset="USDT", amount=Decimal(50)))
    rig.run(120)
    again = [one for one in rig.asked if isinstance(one, FetchRecords) and one.kind == "withdrawal"]
    assert len(again) - asked == TRIES
    assert rig.account.unexplained_usd == -50.0


def test_the_lesser_of_two_looks_counts_and_cents_do_not() -> None:
    one = Unexplained()
    told = []
    for usd in ("0", "-100", "-160", "-160", "40", None, "40", "0.9", "0.9", "0"):
        one.look(None if usd is None else Decimal(usd))
        told.append(one.usd)
    assert told == [0, 0, -100, -160, 0, 0, 40, 0, 0, 0]


def test_records_are_asked_for_anew_when_more_is_gone() -> None:
    one = Unexplained()
    assert not one.wants_records(0)
    for _ in range(2):
        one.look(Decimal(-100))
    asked = [second for second in range(100) if one.wants_records(second * 1_000_000)]
    assert asked == [number * EVERY_US // 1_000_000 for number in range(TRIES)]
    one.look(Decimal(-200))
    one.look(Decimal(-200))
    assert one.wants_records(200_000_000)
