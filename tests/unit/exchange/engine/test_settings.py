"""Leverage and modes: when they may change, and what that does to margin."""

from __future__ import annotations

import pytest

from libs.exchange.engine.commands import (
    Configured,
    Positioned,
    Reason,
    SetLeverage,
    SetMarginMode,
    SetPositionMode,
)
from libs.exchange.engine.types import MarginMode, PositionMode
from tests.helpers.floor import BUY, PERP, SPOT, Floor, limit
from tests.unit.exchange.engine.build import free_floor, hold, only, position_of

ISOLATED = SetMarginMode(account="futures", instrument=PERP, mode=MarginMode.ISOLATED)
HEDGE = SetPositionMode(account="futures", mode=PositionMode.HEDGE)


@pytest.fixture
def floor() -> Floor:
    floor = free_floor()
    floor.deposit("futures", USDT="10000")
    return floor


def leverage(value: int, account: str = "futures", key: str = PERP) -> SetLeverage:
    return SetLeverage(account=account, instrument=key, leverage=value)


def test_leverage_changes_what_a_position_needs(floor: Floor) -> None:
    hold(floor, "futures", BUY, "1", "50000")
    events = floor.do(leverage(10))
    assert [one.leverage for one in only(events, Configured)] == [10]
    assert [one.position.leverage for one in only(events, Positioned)] == [10]
    assert floor.engine.leverage("futures", PERP) == 10
    assert floor.engine.margin("futures", "USDT").initial == 5_000
    assert floor.do(leverage(10))  # the same again simply stands


def test_leverage_beyond_the_market_or_the_bracket_is_refused(floor: Floor) -> None:
    assert floor.refused(leverage(126)) is Reason.LEVERAGE
    assert floor.refused(leverage(0)) is Reason.LEVERAGE
    hold(floor, "futures", BUY, "1.1", "50000")
    assert floor.refused(leverage(21)) is Reason.POSITION_LIMIT
    floor.do(leverage(20))


def test_lower_leverage_needs_the_margin(floor: Floor) -> None:
    hold(floor, "futures", BUY, "1", "50000")
    floor.do(limit("futures", PERP, BUY, "1", "50000"))
    assert floor.refused(leverage(9)) is Reason.INSUFFICIENT_MARGIN
    floor.do(leverage(10))
    assert floor.engine.margin("futures", "USDT").available == 0


def test_an_isolated_position_does_not_lower_its_leverage(floor: Floor) -> None:
    floor.do(ISOLATED)
    hold(floor, "futures", BUY, "0.5", "50000")
    assert floor.refused(leverage(10)) is Reason.LEVERAGE
    floor.do(leverage(50))
    assert position_of(floor, "futures").isolated_margin == 1_250


def test_modes_change_only_without_orders_and_positions(floor: Floor) -> None:
    floor.mark(PERP, "50000")
    order = floor.send(limit("futures", PERP, BUY, "0.1", "49000"))
    assert floor.refused(ISOLATED) is Reason.HAS_ORDERS
    assert floor.refused(HEDGE) is Reason.HAS_ORDERS
    floor.trade(PERP, BUY, "5", "49000")
    floor.book(PERP, asks="49000 10")
    assert floor.order("futures", order.order_id).remaining == 0
    assert floor.refused(ISOLATED) is Reason.HAS_POSITION
    assert floor.refused(HEDGE) is Reason.HAS_POSITION


def test_modes_are_set_and_asking_twice_is_refused(floor: Floor) -> None:
    (mode,) = only(floor.do(ISOLATED), Configured)
    assert (mode.instrument, mode.margin_mode) == (PERP, MarginMode.ISOLATED)
    assert floor.refused(ISOLATED) is Reason.ALREADY_SET
    (hedge,) = only(floor.do(HEDGE), Configured)
    assert (hedge.instrument, hedge.position_mode) == ("", PositionMode.HEDGE)
    assert floor.refused(HEDGE) is Reason.ALREADY_SET
    assert floor.engine.margin_mode("futures", PERP) is MarginMode.ISOLATED
    assert floor.engine.position_mode("futures") is PositionMode.HEDGE


def test_open_spot_orders_do_not_keep_a_unified_account_from_hedging() -> None:
    floor = free_floor()
    floor.deposit("unified", USDT="1000")
    floor.do(limit("unified", SPOT, BUY, "0.001", "50000"))
    floor.do(SetPositionMode(account="unified", mode=PositionMode.HEDGE))


@pytest.mark.parametrize("account", ["spot", "margin"])
def test_accounts_without_contracts_have_no_such_settings(floor: Floor, account: str) -> None:
    assert floor.refused(leverage(5, account)) is Reason.NOT_ALLOWED
    hedge = SetPositionMode(account=account, mode=PositionMode.HEDGE)
    assert floor.refused(hedge) is Reason.NOT_ALLOWED
    assert floor.refused(leverage(5, "nobody")) is Reason.UNKNOWN_ACCOUNT
    assert floor.refused(leverage(5, key=SPOT)) is Reason.UNKNOWN_INSTRUMENT
