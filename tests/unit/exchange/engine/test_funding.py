"""Funding: once, exactly, to balance, position and ledger alike."""

from __future__ import annotations

import pytest

from libs.exchange.engine.commands import Booked, Positioned, Reason, SetMarginMode, SettleFunding
from libs.exchange.engine.types import EntryKind, MarginMode
from tests.helpers.floor import BUY, FUTURE, PERP, SELL, SPOT, D, Floor, fills_of
from tests.unit.exchange.engine.build import free_floor, hold, line, lines, only, position_of

AT = 1_700_006_400_000


@pytest.fixture
def floor() -> Floor:
    floor = free_floor()
    floor.deposit("futures", USDT="10000")
    floor.mark(SPOT, "50000")
    floor.deposit("unified", USDT="10000")
    return floor


def settlement(rate: str, mark: str = "50000", at: int = AT, key: str = PERP) -> SettleFunding:
    return SettleFunding(instrument=key, rate=D(rate), mark=D(mark), settled_ms=at)


def test_longs_pay_shorts_at_a_positive_rate(floor: Floor) -> None:
    hold(floor, "futures", BUY, "1", "50000")
    hold(floor, "unified", SELL, "0.5", "50000")
    events = floor.do(settlement("0.0001"))
    assert lines(events) == [line(EntryKind.FUNDING, "-5"), line(EntryKind.FUNDING, "2.5")]
    assert {one.entry.ref for one in only(events, Booked)} == {f"{PERP}@{AT}"}
    assert [one.cause for one in only(events, Positioned)] == ["funding", "funding"]
    assert position_of(floor, "futures").funding == -5
    assert floor.balance("futures", "USDT").total == 9_995
    assert floor.balance("unified", "USDT").total == D("10002.5")


def test_it_is_settled_once_and_never_backwards(floor: Floor) -> None:
    hold(floor, "futures", BUY, "1", "50000")
    assert floor.do(settlement("0.0001"))
    assert floor.do(settlement("0.0001")) == []
    assert floor.do(settlement("0.0001", at=AT - 1)) == []
    assert floor.do(settlement("0.0001", at=AT + 1))
    assert floor.balance("futures", "USDT").total == 9_990


def test_a_payment_is_rounded_to_eight_decimals(floor: Floor) -> None:
    hold(floor, "futures", BUY, "0.003", "50000")
    events = floor.do(settlement("0.00001234", mark="49999.87654321"))
    # 0.003 * 49999.87654321 * 0.00001234 = 0.00185099542962...
    assert lines(events) == [line(EntryKind.FUNDING, "-0.001851")]
    assert position_of(floor, "futures").funding == D("-0.001851")


def test_isolated_funding_comes_out_of_the_position_s_own_margin(floor: Floor) -> None:
    floor.do(SetMarginMode(account="futures", instrument=PERP, mode=MarginMode.ISOLATED))
    hold(floor, "futures", BUY, "1", "50000")
    floor.do(settlement("0.001"))
    assert position_of(floor, "futures").isolated_margin == 2_450
    assert floor.balance("futures", "USDT").total == 9_950
    assert floor.engine.margin("futures", "USDT").available == 7_500


def test_funding_that_leaves_too_little_liquidates(floor: Floor) -> None:
    floor.do(SetMarginMode(account="futures", instrument=PERP, mode=MarginMode.ISOLATED))
    hold(floor, "futures", BUY, "1", "50000")
    events = floor.do(settlement("0.0499"))  # 2495 of 2500
    assert [fill.cause for fill in fills_of(events)] == ["liquidation"]
    assert floor.balance("futures", "USDT").total == 7_500


def test_funding_beyond_the_wallet_is_paid_by_the_fund_and_ends_the_position(floor: Floor) -> None:
    hold(floor, "futures", BUY, "4", "50000")
    events = floor.do(settlement("0.1"))
    assert lines(events)[:2] == [line(EntryKind.INSURANCE, "10000"), line(EntryKind.FUNDING, "-20000")]
    assert floor.engine.positions("futures") == []
    assert floor.balance("futures", "USDT").total == 0


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (settlement("0.0001", key=FUTURE), Reason.BAD_VALUE),
        (settlement("0.0001", key=SPOT), Reason.UNKNOWN_INSTRUMENT),
        (settlement("0.0001", mark="-1"), Reason.BAD_VALUE),
        (settlement("NaN"), Reason.BAD_VALUE),
        (settlement("1"), Reason.BAD_VALUE),
    ],
)
def test_nonsense_is_refused(floor: Floor, command: SettleFunding, reason: Reason) -> None:
    assert floor.refused(command) is reason
