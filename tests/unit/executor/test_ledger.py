"""Lines out of trades and records: each once, fees to their attempt, shares that add up."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from libs.common.codec import decode
from libs.common.config.schema import Config
from libs.common.effects import Publish
from libs.common.instant import Now
from libs.common.messages_exec import FillEvent, LedgerKind, LedgerLine
from libs.common.subjects import Kind, pair_id
from libs.exchange.engine.types import Liquidity, Side
from libs.exchange.trading_values import FillReport, LedgerRecord
from services.executor import ledger, records
from services.executor.books import Books, Step, holders, split, take_line
from services.executor.expect import Announcements
from services.executor.lane import Draft, Lane
from services.executor.model import Intent, IntentState, OrderClass, Purpose
from services.executor.order import on_fill
from services.executor.permit import PermitView
from services.executor.world import World

SPOT, PERP = ("binance", "BTC-USDT"), ("binance", "BTC-USDT-PERP")
NOW = Now(wall_us=1_700_000_000_000_000, market_ms=1_700_000_000_000, mono_us=1)
D = Decimal


def lane(first: Any = SPOT, second: Any = PERP) -> Lane:
    """A pair without rules: its coins are told by the instruments' names."""
    world = World(Config(), PermitView(build="t"), deployment="t")
    kinds = tuple(Kind.PERP if key[1].endswith("PERP") else Kind.SPOT for key in (first, second))
    return Lane(pair_id(first, second), (first, second), (kinds[0], kinds[1]), world)


def intent(**fields: Any) -> Intent:
    """A buy of the spot leg."""
    shown: dict[str, Any] = {
        "id": "fa1",
        "pair": "p",
        "leg": 0,
        "purpose": Purpose.OPEN,
        "order_class": OrderClass.INCREASE,
        "side": "buy",
        "quantity": D(2),
        "price": None,
        "tif": "ioc",
        "reduce_only": False,
        "margin": False,
        "fence": 1,
        "attempt": 3,
        "state": IntentState.SENT,
        "created_us": 1,
        "mid": D(99),
        **fields,
    }
    return Intent(**shown)


def trade(**fields: Any) -> FillReport:
    """One base unit at 100, a fee of 0.1 USDT."""
    shown: dict[str, Any] = {
        "trade_id": "7",
        "order_id": "70",
        "client_id": "fa1",
        "instrument": "BTC-USDT",
        "side": Side.BUY,
        "price": D(100),
        "quantity": D(1),
        "fee": D("0.1"),
        "fee_asset": "USDT",
        "liquidity": Liquidity.TAKER,
        "ts_ms": 1_700_000_000_000,
        **fields,
    }
    return FillReport(**shown)


def booked(one: Lane, before: Intent, *trades: FillReport) -> tuple[Draft, list[LedgerLine], Intent]:
    """What a turn writes for these trades."""
    draft, after = Draft(one, NOW), before
    for report in trades:
        later = on_fill(after, report, base="BTC")
        ledger.on_trades(one, draft, after, later, (report,))
        after = later
    return draft, [decode(line, LedgerLine) for line in draft.ledger], after


def test_a_trade_is_a_fill_line_and_a_fee_line_of_its_attempt() -> None:
    draft, lines, _ = booked(lane(), intent(), trade())
    fill, fee = lines
    assert (fill.kind, fill.quantity, fill.amount, fill.mid) == (LedgerKind.FILL, D(1), D(-100), D(99))
    assert (fee.kind, fee.amount, fee.usd, fee.quantity) == (LedgerKind.FEE, D("-0.1"), D("-0.1"), None)
    assert {line.attempt for line in lines} == {3}
    assert {line.purpose for line in lines} == {"open"}
    assert draft.ledger_ids == ["binance:fill:BTC-USDT/7", "binance:fee:BTC-USDT/7"]
    said = [one.message for one in draft.effects if isinstance(one, Publish)]
    assert sum(isinstance(message, FillEvent) for message in said) == 1
    assert [message for message in said if isinstance(message, LedgerLine)] == lines


def test_the_same_trade_told_again_is_not_booked_again() -> None:
    _, lines, after = booked(lane(), intent(), trade(), trade())
    assert len(lines) == 2
    assert booked(lane(), after, trade())[1] == []


def test_a_fee_that_is_told_late_is_booked_then_and_once() -> None:
    _, lines, after = booked(lane(), intent(), trade(fee=None, fee_asset=None))
    assert [line.kind for line in lines] == [LedgerKind.FILL]
    _, lines, after = booked(lane(), after, trade())
    assert [line.kind for line in lines] == [LedgerKind.FEE]
    assert booked(lane(), after, trade())[1] == []


def test_a_fee_in_the_legs_own_coin_leaves_its_inventory() -> None:
    _, lines, _ = booked(lane(), intent(), trade(fee=D("0.001"), fee_asset="BTC"))
    assert lines[1].quantity == D("-0.001")
    assert lines[1].usd == D("-0.1")


def test_a_fee_in_a_coin_that_nobody_quotes_is_taken_at_the_configured_rate() -> None:
    _, lines, _ = booked(lane(), intent(), trade(fee=D("0.0002"), fee_asset="BNB"))
    assert lines[1].usd == -D(100) * D("0.0005")
    one = lane()
    one.world.marks["binance", "BNB-USDT"] = D(300)
    _, lines, _ = booked(one, intent(), trade(fee=D("0.0002"), fee_asset="BNB"))
    assert lines[1].usd == D("-0.06")


@pytest.mark.parametrize("fee", ["0.1", "0.00000001", "-0.0333"])
def test_shares_of_a_venues_trade_add_up_to_it(fee: str) -> None:
    whole = trade(side=Side.SELL, quantity=D(3), fee=D(fee), client_id=None, cause="adl")
    lines: list[LedgerLine] = []
    done = D(0)
    for one, amount in ((lane(), D("0.7")), (lane(PERP, SPOT), D("1.3")), (lane(), D(1))):
        draft = Draft(one, NOW)
        ledger.on_taken(one, draft, 0, whole, before=done, amount=amount)
        lines += [decode(line, LedgerLine) for line in draft.ledger]
        done += amount
    fees = [line.amount for line in lines if line.kind is LedgerKind.FEE]
    assert sum(fees, D(0)) == -D(fee)
    assert sum((line.quantity or D(0) for line in lines if line.kind is LedgerKind.FILL), D(0)) == D(-3)
    assert all("@" in line.key for line in lines)


def test_funding_is_split_by_the_sizes_at_its_instant_and_adds_up() -> None:
    books = Books()
    for pair, quantity, at_ms in (("a", "-1", 1000), ("b", "-2", 1000), ("b", "-9", 5000)):
        books = take_line(books, fill_of(pair, quantity, at_ms), lambda us: us // 1_000)
    assert holders(books, PERP, 2000) == {"a": D(-1), "b": D(-2)}
    record = LedgerRecord(
        record_id="f1", kind="funding", asset="USDT", amount=D("0.1"), ts_ms=2000, instrument=PERP[1]
    )
    lines = lines_of(record, books)
    assert {line.pair: line.amount for line in lines} == {"a": D("0.03333333"), "b": D("0.06666667")}
    assert len({line.key for line in lines}) == 2


def test_funding_of_nobody_is_nobodys() -> None:
    record = LedgerRecord(
        record_id="f1", kind="funding", asset="USDT", amount=D(1), ts_ms=2000, instrument=PERP[1]
    )
    (line,) = lines_of(record, Books())
    assert (line.pair, line.key, line.usd) == ("", "binance:funding:f1", D(1))


def test_a_payment_just_after_the_last_sale_belongs_to_who_held_it() -> None:
    books = Books()
    for quantity, at_ms in (("-1", 100_000), ("1", 199_000)):
        books = take_line(books, fill_of("a", quantity, at_ms), lambda us: us // 1_000)
    assert holders(books, PERP, 200_000) == {"a": D(-1)}
    assert holders(books, PERP, 400_000) == {}


def test_interest_goes_to_the_pair_that_owes_the_coin() -> None:
    line = replace(fill_of("a", "-2", 1000), instrument=SPOT[1])
    books = take_line(Books(), line, lambda us: us // 1_000)
    record = LedgerRecord(record_id="i", kind="interest", asset="BTC", amount=D("-0.001"), ts_ms=3000)
    (found,) = lines_of(record, books)
    assert (found.pair, found.instrument, found.quantity) == ("a", SPOT[1], D("-0.001"))
    assert found.usd == D("-0.1")


def test_a_transfer_between_wallets_that_are_both_seen_moves_nothing() -> None:
    record = LedgerRecord(record_id="t", kind="transfer", asset="USDT", amount=D(5), ts_ms=1)
    moved = {}
    for whole in (True, False):
        (line,) = lines_of(record, Books(), split_wallets=whole)
        moved[line.purpose] = take_line(Books(), line, lambda us: us).explained["binance"].coins
    assert moved == {"internal": {}, "": {"USDT": D(5)}}


def test_what_comes_from_outside_and_goes_there_is_nobodys() -> None:
    for kind, amount, expected in (
        ("deposit", "5", LedgerKind.DEPOSIT),
        ("withdrawal", "-5", LedgerKind.WITHDRAWAL),
        ("other", "-5", LedgerKind.WITHDRAWAL),
    ):
        record = LedgerRecord(record_id="o", kind=kind, asset="USDT", amount=D(amount), ts_ms=1)  # type: ignore[arg-type]
        (line,) = lines_of(record, Books())
        assert (line.kind, line.pair, line.amount) == (expected, "", D(amount))


def test_sizes_are_known_by_the_venues_stamps_whatever_order_they_come_in() -> None:
    books = Books()
    for quantity, at_ms in (("-1", 3000), ("-2", 1000), ("4", 2000)):
        books = take_line(books, fill_of("a", quantity, at_ms), lambda us: us // 1_000)
    assert books.steps["a|binance|BTC-USDT-PERP"] == (Step(1000, D(-2)), Step(2000, D(2)), Step(3000, D(1)))


def test_a_split_is_exact() -> None:
    parts = split(D("1.00000000"), {"a": D(1), "b": D(-1), "c": D(1)})
    assert sum(parts.values()) == 1


def fill_of(pair: str, quantity: str, at_ms: int) -> LedgerLine:
    """A fill of the perpetual at 100."""
    return LedgerLine(
        key=f"k{pair}{at_ms}",
        kind=LedgerKind.FILL,
        venue=PERP[0],
        asset="USDT",
        amount=-D(quantity) * 100,
        usd=-D(quantity) * 100,
        instrument=PERP[1],
        pair=pair,
        quantity=D(quantity),
        price=D(100),
        venue_ms=at_ms,
        wall_us=at_ms * 1_000,
    )


def lines_of(record: LedgerRecord, books: Books, *, split_wallets: bool = False) -> list[LedgerLine]:
    """A record's lines in a world where BTC is worth 100."""
    world = lane().world
    world.marks[SPOT] = D(100)
    return records.lines_of(
        "binance",
        record,
        books=books,
        world=world,
        announced=Announcements(),
        market_of=lambda us: us // 1_000,
        split_wallets=split_wallets,
        now=NOW,
    )
