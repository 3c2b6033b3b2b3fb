"""Liquidation, ADL, margin calls: who pays what, and that no wallet is below zero."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from libs.exchange.engine.commands import (
    Borrow,
    Deleverage,
    Liquidate,
    Positioned,
    Reason,
    SetLeverage,
    SetMarginMode,
)
from libs.exchange.engine.types import EntryKind, MarginMode, PositionSide
from tests.helpers.floor import (
    BUY,
    FUTURE,
    PERP,
    SELL,
    SPOT,
    D,
    Floor,
    fills_of,
    limit,
    market,
    orders_of,
    seen,
)
from tests.unit.exchange.engine.build import free_floor, hold, line, lines, only, position_of

PNL, FEE, FUND = EntryKind.PNL, EntryKind.LIQUIDATION_FEE, EntryKind.INSURANCE
BOTH = PositionSide.BOTH


@pytest.fixture
def floor() -> Floor:
    floor = free_floor()
    floor.deposit("futures", USDT="10000")
    return floor


def insurance(floor: Floor, asset: str = "USDT") -> D:
    return floor.engine._state.house["@insurance"].get(asset, D(0))


# --- cross ------------------------------------------------------------------------------------------------


def test_orders_are_canceled_the_position_is_taken_over_at_the_mark_and_pays_a_fee(floor: Floor) -> None:
    hold(floor, "futures", BUY, "1", "50000")
    floor.do(limit("futures", PERP, BUY, "0.1", "48000"))
    floor.do(limit("futures", FUTURE, BUY, "0.1", "48000"))
    events = floor.mark(PERP, "40700")  # 10000 - 9300 = 700 > 40700 * 0.004, it is in the first bracket now
    assert events == []
    events = floor.mark(PERP, "40100")  # 100 is left, 160.4 is needed
    assert [order.reason for order in orders_of(events)[:2]] == [
        "margin does not suffice any more: liquidation"
    ] * 2
    (fill,) = fills_of(events)
    assert (fill.price, fill.quantity, fill.cause, fill.fee) == (D(40_100), D(1), "liquidation", D(0))
    # the fee would be 40100 * 0.0125 = 501.25: it takes what is left
    assert lines(events) == [line(PNL, "-9900"), line(FEE, "-100")]
    assert floor.balance("futures", "USDT").total == 0
    assert insurance(floor) == 100
    assert floor.engine.positions("futures") == []
    assert floor.engine.open_orders("futures") == []
    assert only(events, Positioned)[-1].cause == "liquidation"


def test_what_is_missing_comes_from_the_insurance_fund(floor: Floor) -> None:
    hold(floor, "futures", BUY, "1", "50000")
    events = floor.mark(PERP, "30000")
    assert lines(events) == [line(FUND, "10000"), line(PNL, "-20000")]
    assert floor.balance("futures", "USDT").total == 0
    assert insurance(floor) == -10_000


def test_gains_of_one_contract_pay_for_the_losses_of_another(floor: Floor) -> None:
    hold(floor, "futures", BUY, "2", "50000")
    hold(floor, "futures", SELL, "1", "50000", key=FUTURE)
    floor.mark(FUTURE, "44000")
    assert floor.engine.positions("futures")
    events = floor.mark(PERP, "42000")  # 10000 - 16000 + 6000 = 0
    assert lines(events) == [line(PNL, "6000"), line(PNL, "-16000")]
    assert insurance(floor) == 0


def test_a_fee_is_a_fraction_of_the_notional_when_there_is_enough(floor: Floor) -> None:
    hold(floor, "futures", BUY, "1", "50000")
    events = floor.do(Liquidate(account="futures", instrument=PERP, position_side=BOTH))
    assert lines(events) == [line(FEE, "-625")]
    assert floor.balance("futures", "USDT").total == 9_375


# --- isolated ---------------------------------------------------------------------------------------------


@pytest.fixture
def isolated(floor: Floor) -> Floor:
    floor.do(SetMarginMode(account="futures", instrument=PERP, mode=MarginMode.ISOLATED))
    hold(floor, "futures", BUY, "1", "50000")  # 2500 set aside
    return floor


def test_an_isolated_loss_ends_with_its_margin(isolated: Floor) -> None:
    assert isolated.mark(PERP, "47800") == []
    events = isolated.mark(PERP, "40000")
    assert lines(events) == [line(FUND, "7500"), line(PNL, "-10000")]
    assert isolated.balance("futures", "USDT").total == 7_500


def test_an_isolated_fee_takes_no_more_than_what_its_margin_left(isolated: Floor) -> None:
    events = isolated.mark(PERP, "47600")  # 100 of 2500 are left, 190.4 are needed
    assert lines(events) == [line(PNL, "-2400"), line(FEE, "-100")]
    assert isolated.balance("futures", "USDT").total == 7_500


def test_a_cross_loss_leaves_isolated_margin_alone(isolated: Floor) -> None:
    hold(isolated, "futures", SELL, "2", "50000", key=FUTURE)
    isolated.mark(FUTURE, "60000")  # 20000 lost, 7500 there
    assert isolated.balance("futures", "USDT").total == 2_500
    assert position_of(isolated, "futures").isolated_margin == 2_500
    assert insurance(isolated) == -12_500


# --- a loss beyond the wallet while there is profit ---------------------------------------------------------


def test_a_loss_beyond_the_wallet_draws_on_unrealised_profit(floor: Floor) -> None:
    hold(floor, "futures", SELL, "2", "50000", key=FUTURE)
    hold(floor, "futures", BUY, "2", "50000")
    floor.mark(FUTURE, "44000")
    equity = floor.engine.margin("futures", "USDT").equity
    events = hold(floor, "futures", SELL, "2", "44000")  # closes at a loss of 12000; 12000 of profit are open
    assert lines(events) == [line(PNL, "2000"), line(PNL, "-12000")]
    left = position_of(floor, "futures")
    assert (left.entry_price, left.realised) == (D(49_000), D(2_000))  # short 2: 2000 drawn
    assert floor.engine.margin("futures", "USDT").equity == equity - 12_000
    assert floor.balance("futures", "USDT").total == 0
    assert insurance(floor) == 0


def test_the_fund_pays_to_the_last_digit_what_a_close_costs_beyond_the_wallet(floor: Floor) -> None:
    hold(floor, "futures", BUY, "1", "50000")
    floor.mark(PERP, "40300")
    floor.book(PERP, bids="39999.9 5")
    events = floor.do(market("futures", PERP, SELL, "1"))
    assert lines(events) == [line(FUND, "0.1"), line(PNL, "-10000.1")]
    assert floor.balance("futures", "USDT").total == 0


# --- unified ----------------------------------------------------------------------------------------------


@pytest.fixture
def unified() -> Floor:
    floor = free_floor()
    floor.mark(SPOT, "50000")
    floor.deposit("unified", BTC="1", USDT="1000")
    return floor


def test_a_unified_account_sells_coins_for_its_losses(unified: Floor) -> None:
    hold(unified, "unified", SELL, "5", "50000")
    events = unified.mark(PERP, "58400")  # 1000 + 45000 - 42000 = 4000, 292000 * 0.02 - 800 = 5040 are needed
    sold, closed = fills_of(events)
    assert (sold.instrument, sold.side, sold.quantity, sold.price) == (SPOT, SELL, D("0.82"), D(50_000))
    assert (closed.instrument, closed.price, closed.cause) == (PERP, D(58_400), "liquidation")
    assert unified.balance("unified", "USDT").total == 0
    assert unified.balance("unified", "BTC").total == D("0.18")
    assert insurance(unified) == 0


def test_a_loss_of_a_unified_account_becomes_a_debt_against_its_coins(unified: Floor) -> None:
    hold(unified, "unified", SELL, "1", "50000")
    events = hold(unified, "unified", BUY, "1", "52000")
    assert lines(events) == [line(EntryKind.BORROW, "1000"), line(PNL, "-2000")]
    assert unified.balance("unified", "USDT").borrowed == 1_000
    assert unified.engine.margin_level("unified") == 50


def test_a_loss_of_a_unified_account_frees_what_spot_orders_lock(unified: Floor) -> None:
    order = unified.send(limit("unified", SPOT, BUY, "0.02", "40000"))
    sale = unified.send(limit("unified", SPOT, SELL, "0.02", "90000"))
    hold(unified, "unified", SELL, "1", "50000")
    assert unified.balance("unified", "USDT").locked == 800
    events = hold(unified, "unified", BUY, "1", "50500")
    assert lines(events) == [line(PNL, "-500")]
    assert unified.order("unified", order.order_id).reason == "its coins are needed for a loss on contracts"
    assert unified.order("unified", sale.order_id).is_open
    balance = unified.balance("unified", "USDT")
    assert seen(balance.total, balance.locked) == (500, 0)


def test_a_unified_account_beyond_rescue_ends_at_zero(unified: Floor) -> None:
    unified.do(SetLeverage(account="unified", instrument=PERP, leverage=20))
    hold(unified, "unified", SELL, "10", "50000")
    unified.mark(PERP, "60000")
    assert unified.engine.positions("unified") == []
    assert unified.balance("unified", "USDT").total == 0
    assert unified.balance("unified", "BTC").total == 0
    assert insurance(unified) == 1_000 + 50_000 - 100_000


# --- margin calls -----------------------------------------------------------------------------------------


@dataclass
class Call:
    mark: str
    called: bool


@pytest.mark.parametrize("call", [Call("90000", called=False), Call("100000", called=True)])
def test_a_margin_account_is_called_at_level_one_point_one(call: Call) -> None:
    """110,000 USDT, of which 100,000 come from 2 borrowed and sold BTC: at 100,000 the level is 1.05."""
    floor = free_floor()
    floor.mark(SPOT, "50000")
    floor.deposit("margin", USDT="110000")
    floor.do(Borrow(account="margin", asset="BTC", amount=D(2)))
    floor.book(SPOT, bids="50000 10")
    floor.do(limit("margin", SPOT, SELL, "2", "50000"))
    assert floor.balance("margin", "USDT").total == 210_000
    events = floor.mark(SPOT, call.mark)
    assert bool(events) is call.called
    if call.called:
        (bought,) = fills_of(events)
        assert (bought.side, bought.quantity, bought.price, bought.cause) == (
            BUY,
            D(2),
            D(100_000),
            "liquidation",
        )
        assert floor.balance("margin", "USDT").total == 10_000
        assert floor.balance("margin", "BTC").borrowed == 0
        assert floor.engine.margin_level("margin") is None


def test_a_called_account_that_has_too_little_is_helped_out() -> None:
    floor = free_floor()
    floor.mark(SPOT, "50000")
    floor.deposit("margin", BTC="1")
    floor.do(Borrow(account="margin", asset="USDT", amount=D(90_000)))
    floor.book(SPOT, asks="50000 10")
    floor.do(limit("margin", SPOT, BUY, "1.8", "50000"))
    floor.mark(SPOT, "30000")  # 2.8 BTC are 84000
    assert floor.balance("margin", "BTC").total == 0
    assert floor.balance("margin", "USDT").total == 0
    assert floor.balance("margin", "USDT").borrowed == 0
    assert insurance(floor) == -6_000


# --- ADL and by hand --------------------------------------------------------------------------------------


def test_adl_closes_a_part_at_its_price_without_a_fee(floor: Floor) -> None:
    hold(floor, "futures", BUY, "1", "50000")
    events = floor.do(
        Deleverage(account="futures", instrument=PERP, position_side=BOTH, quantity=D("0.4"), price=D(51_000))
    )
    (fill,) = fills_of(events)
    assert (fill.cause, fill.fee, fill.realised) == ("adl", D(0), D(400))
    assert lines(events) == [line(PNL, "400")]
    assert position_of(floor, "futures").quantity == D("0.6")


def test_what_is_not_held_is_not_closed(floor: Floor) -> None:
    adl = Deleverage(account="futures", instrument=PERP, position_side=BOTH, quantity=D(1), price=D(1))
    assert floor.refused(adl) is Reason.NO_POSITION
    by_hand = Liquidate(account="futures", instrument=PERP, position_side=PositionSide.LONG)
    assert floor.refused(by_hand) is Reason.NO_POSITION
    hold(floor, "futures", BUY, "0.5", "50000")
    assert floor.refused(adl) is Reason.BAD_VALUE
