"""The executor's books: openings, rounds, residuals, restarts, settlements, and what is said of accounts."""

from __future__ import annotations

from decimal import Decimal, localcontext

from msgspec.structs import replace

from libs.carry.identity import Explained
from libs.carry.pnl import EXACT
from libs.common.effects import Health, Measure
from libs.common.messages_exec import LedgerKind, LedgerLine
from libs.common.subjects import SPOT, exec_ledger
from libs.exchange.engine import commands as c
from services.executor.books import Books
from services.executor.books_work import FetchRecords
from services.executor.expect import MISSING_US
from services.executor.rounds import RATES_FIRST_US
from tests.property.pnl_terms import PERP, VENUE, key_of
from tests.property.test_pnl import gained, nobodys_coins
from tests.unit.executor.books_rig import BooksRig


def live(rig: BooksRig, steps: int) -> None:
    """So many random steps, the accountant awake between them."""
    for _ in range(steps):
        rig.life.step()
        rig.run(0.5)


def folded(books: Books) -> tuple[object, ...]:
    """What follows from the lines alone, whenever they were read (interest in coins is valued then)."""
    with localcontext(EXACT):
        sums = {
            (pair, venue): (one.funding, one.fees, one.slippage, one.rebalance)
            for pair, venues in books.pairs.items()
            for venue, one in venues.items()
        }
        return sums, books.explained.get(VENUE, Explained()).coins, books.received


def test_a_life_is_explained_to_the_last_digit_and_its_parts_add_up() -> None:
    rig = BooksRig(seed=3)
    rig.run(1)
    live(rig, 80)
    rig.run(8)
    said = rig.books
    assert said.residual_usd == 0
    assert said.pnl.total == gained(rig.life) + nobodys_coins(rig.life, rig.lines())
    assert said.equity_usd is not None
    assert said.equity_start_usd is not None
    assert said.equity_usd - said.equity_start_usd - rig.life.outside == gained(rig.life), (
        "by the account alone"
    )
    assert said.pnl.rebalance != 0
    assert not rig.alerts


def test_the_accountant_books_what_an_oracle_without_store_books() -> None:
    rig = BooksRig(seed=4)
    rig.run(1)
    live(rig, 60)
    rig.run(8)
    assert folded(rig.accountant.books) == folded(rig.life.books)
    keys = [line.key for line in rig.lines()]
    assert len(keys) == len(set(keys))


def test_reading_the_same_history_twice_changes_nothing() -> None:
    rig = BooksRig(seed=5)
    rig.run(1)
    live(rig, 40)
    rig.run(8)
    before, lines = folded(rig.accountant.books), rig.lines()
    for venue in rig.accountant.venues.values():
        venue.give_up()  # forgets which records it has seen
    rig.asked.clear()
    rig.run(8)
    assert any(isinstance(one, FetchRecords) for one in rig.asked)
    assert rig.lines() == lines
    assert folded(rig.accountant.books) == before


def test_a_restart_goes_on_where_the_last_snapshot_and_the_stream_end() -> None:
    rig = BooksRig(seed=6)
    rig.run(1)
    live(rig, 40)  # the snapshot is older than the last lines
    rig.run(5)
    before = rig.books
    rig.start()
    rig.run(8)
    after = rig.books
    assert (after.pnl, after.equity_usd, after.residual_usd) == (
        before.pnl,
        before.equity_usd,
        before.residual_usd,
    )
    live(rig, 20)
    rig.run(8)
    assert rig.books.residual_usd == 0


def test_a_fee_that_was_not_booked_is_a_residual_and_an_alert() -> None:
    rig = BooksRig(seed=7)
    rig.run(1)
    rig.life.drops = LedgerKind.FEE
    live(rig, 60)
    rig.run(8)
    dropped = rig.life.dropped
    assert dropped is not None
    assert rig.accountant.venues[VENUE].comparing.left.units == {dropped.asset: dropped.amount}
    left = dropped.amount * rig.life.prices.get(dropped.asset, Decimal(1))
    assert rig.books.residual_by_venue == {VENUE: left}
    assert rig.books.residual_usd == -left
    assert [alert.key for alert in rig.alerts] == ["books:residual"]


def test_money_that_was_there_before_is_the_opening_and_never_booked() -> None:
    rig = BooksRig(seed=8)
    rig.run(6)
    assert rig.lines() == []
    assert rig.books.residual_usd == 0
    usdt, bnb = Decimal(100_000), 3 * rig.life.prices["BNB"]
    start = rig.books.equity_start_usd
    assert start in (usdt + bnb, usdt + bnb + 2 * rig.life.prices["BTC"])


def test_an_opening_that_the_store_refuses_at_first_does_not_count_its_own_money_again() -> None:
    rig = BooksRig(seed=8)
    rig.store_down = True
    rig.run(6)
    assert VENUE in rig.accountant.books.openings
    rig.store_down = False
    rig.run(70)
    assert rig.lines() == []
    assert rig.accountant.venues[VENUE].comparing.left.units == {}
    rig.start()
    rig.run(8)
    assert rig.lines() == []
    assert rig.books.residual_usd == 0


def test_an_opening_waits_until_what_was_taken_for_a_loan_is_booked() -> None:
    rig = BooksRig(seed=8)
    pair, lane = next((name, one) for name, one in rig.life.lanes.items() if SPOT in one.kinds)
    as_it_is, legs = lane.state, list(lane.state.legs)
    leg = lane.kinds.index(SPOT)
    legs[leg] = replace(legs[leg], borrowed=Decimal(1))  # the venue shows no debt any more
    lane.state = replace(lane.state, legs=(legs[0], legs[1]))
    rig.life.world.lanes = {pair: lane}
    rig.run(8)
    assert VENUE not in rig.accountant.books.openings
    lane.state = as_it_is
    rig.run(8)
    assert VENUE in rig.accountant.books.openings


def settle_one(rig: BooksRig, *, rate: str = "0.001") -> tuple[int, Decimal]:
    """An announced payment on what is held settles; answers (instant, what it should pay)."""
    position = next(
        one.position for one in rig.life.engine.positions("me") if one.position.instrument == key_of(PERP)
    )
    settles_ms = rig.now.market_ms + 90_000
    mark = rig.life.world.marks[VENUE, PERP]
    rig.announce(PERP, rate, settles_ms)
    rig.run(60)
    rig.announce(PERP, "0.5", settles_ms)  # too late to count
    rig.run((settles_ms - rig.now.market_ms) / 1_000)
    before = rig.life.wall_us
    rig.life.tell(
        c.SettleFunding(instrument=key_of(PERP), rate=Decimal(rate), mark=mark, settled_ms=settles_ms)
    )
    rig.life.wall_us = before
    return settles_ms, -position.quantity * mark * Decimal(rate)


def holding(seed: int, rig: BooksRig | None = None) -> BooksRig:
    """A rig whose pairs hold the perpetual."""
    rig = rig or BooksRig(seed=seed)
    rig.run(1)
    for _ in range(200):
        live(rig, 1)
        names = [one.position.instrument for one in rig.life.engine.positions("me")]
        if len(rig.life.lines) > 12 and key_of(PERP) in names:
            break
    rig.run(5)
    return rig


def test_a_settlement_is_expected_by_the_rate_of_a_minute_before_and_read_soon() -> None:
    rig = holding(9)
    received = rig.books.funding_received_usd
    _, expected = settle_one(rig)
    rig.run(4)
    assert rig.books.settlements == 1
    assert rig.books.funding_expected_usd == expected
    paid = rig.books.funding_received_usd - received
    assert abs(paid - expected) < Decimal("1e-7")
    assert rig.books.settlements_missing == 0
    assert rig.accountant.books.due == ()
    booked = [line for line in rig.lines() if line.kind is LedgerKind.FUNDING][-1]
    assert booked.rate == Decimal("0.001")
    assert booked.quantity is not None
    assert booked in rig.said[exec_ledger(booked.pair)]


def test_a_payment_that_does_not_come_is_missing_and_not_zero() -> None:
    rig = holding(10)
    rig.life.hides_funding = True
    settle_one(rig)
    rig.run(5)
    assert len(rig.accountant.books.due) == 1
    assert rig.books.settlements_missing == 0
    rig.run(MISSING_US / 1e6 + 5)
    assert rig.books.settlements_missing == 1
    assert any(alert.key == f"books:missing:{VENUE}-{PERP}" for alert in rig.alerts)


def test_an_account_that_cannot_be_read_is_not_to_be_trusted() -> None:
    rig = BooksRig(seed=11)
    rig.run(RATES_FIRST_US / 1e6 + 6)
    before = rig.account
    assert before.trusted
    assert before.equity_usd is not None
    assert {fee.instrument for fee in before.fees} >= {PERP}
    rig.silent = True
    rig.run(25)
    blind = rig.account
    assert not blind.trusted
    assert any(isinstance(one, Health) and "cannot be read" in one.problem for one in rig.effects)
    rig.silent = False
    rig.run(8)
    assert rig.account.trusted


def test_a_store_that_does_not_take_a_booking_takes_it_later_once() -> None:
    rig = holding(12)
    rig.store_down = True
    settle_one(rig)
    rig.run(5)
    rig.store_down = False
    rig.run(10)
    funding: list[LedgerLine] = [line for line in rig.lines() if line.kind is LedgerKind.FUNDING]
    assert len({line.key for line in funding}) == len(funding)
    assert rig.books.residual_usd == 0


def test_naked_value_is_summed_over_time() -> None:
    rig = BooksRig(seed=13)
    rig.run(6)
    lane = next(iter(rig.life.lanes.values()))
    rig.hold(lane, Decimal("0.5"))
    rig.run(10)
    rig.hold(lane, Decimal(0))
    rig.run(5)
    value = Decimal("0.5") * rig.life.prices["BTC"]
    assert abs(Decimal(str(rig.books.naked_usd_seconds)) / (value * 10) - 1) < Decimal("0.06")
    added = sum(
        one.value
        for one in rig.effects
        if isinstance(one, Measure) and one.metric == "fundarb_naked_usd_seconds_total"
    )
    assert abs(added - rig.books.naked_usd_seconds) < 1e-6
