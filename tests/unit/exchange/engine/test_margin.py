"""Margin: what orders need, what is left, where a position is liquidated."""

from __future__ import annotations

from decimal import localcontext

import pytest
from msgspec.structs import replace

from libs.exchange.engine.commands import (
    Borrow,
    Cancel,
    Reason,
    SetLeverage,
    SetListing,
    SetMarginMode,
    Submit,
)
from libs.exchange.engine.pools import unrealised
from libs.exchange.engine.tiers import bracket, liquidation_price, maintenance, notional_max
from libs.exchange.engine.types import MarginMode, OrderType, PositionSide, Side
from tests.helpers.floor import BUY, LISTINGS, PERP, SELL, SPOT, TIERS, D, Floor, limit, market, seen
from tests.unit.exchange.engine.build import figures_of, free_floor, hedge_account, hold, position_of

CONTRACT = LISTINGS[PERP]


@pytest.fixture
def floor() -> Floor:
    floor = free_floor()
    floor.deposit("futures", USDT="10000")
    return floor


def side_order(account: str, side: Side, position_side: PositionSide, quantity: str) -> Submit:
    return Submit(
        account=account,
        instrument=PERP,
        side=side,
        type=OrderType.MARKET,
        quantity=D(quantity),
        position_side=position_side,
    )


# --- brackets ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("notional", "needed"),
    [("10000", "40"), ("50000", "200"), ("50001", "200.02"), ("1000000", "19200"), ("9000000", "179200")],
)
def test_maintenance_is_notional_by_ratio_less_amount(notional: str, needed: str) -> None:
    assert maintenance(CONTRACT, D(notional)) == D(needed)


def test_a_leverage_allows_its_brackets() -> None:
    assert notional_max(CONTRACT, 125) == 50_000
    assert notional_max(CONTRACT, 20) == 5_000_000
    assert notional_max(CONTRACT, 126) == 0
    assert bracket(replace(CONTRACT, tiers=()), D(10)).leverage_max == 125


# --- figures ----------------------------------------------------------------------------------------------


def test_figures_of_a_cross_position_and_a_resting_order(floor: Floor) -> None:
    hold(floor, "futures", BUY, "1", "50000")
    floor.mark(PERP, "51000")
    floor.do(limit("futures", PERP, BUY, "0.5", "50000"))
    figures = floor.engine.margin("futures", "USDT")
    assert figures.unrealised == 1_000
    assert figures.equity == 11_000
    assert figures.initial_positions == 2_550  # 51000 / 20
    assert figures.initial_orders == 1_250  # 25000 / 20
    assert figures.maintenance == 220  # 51000 * 0.02 - 800
    assert figures.available == 11_000 - 2_550 - 1_250


def test_an_order_against_the_position_needs_only_what_goes_beyond_it(floor: Floor) -> None:
    hold(floor, "futures", BUY, "1", "50000")
    floor.do(limit("futures", PERP, SELL, "1.5", "50500"))
    # |50000 - 75750| is less than 50000: the short it would leave is smaller than the long it closes
    assert floor.engine.margin("futures", "USDT").initial_orders == 0
    floor.do(limit("futures", PERP, SELL, "0.7", "50500"))
    # |50000 - 2.2 * 50500| = 61100
    assert floor.engine.margin("futures", "USDT").initial_orders == D(11_100) / 20


def test_an_order_beyond_the_margin_is_refused_and_the_last_that_fits_is_taken(floor: Floor) -> None:
    floor.mark(PERP, "50000")
    assert floor.refused(limit("futures", PERP, BUY, "4.001", "50000")) is Reason.INSUFFICIENT_MARGIN
    floor.do(limit("futures", PERP, BUY, "4", "50000"))  # 200,000 / 20 is all of it
    assert floor.engine.margin("futures", "USDT").available == 0
    assert floor.refused(limit("futures", PERP, BUY, "0.01", "50000")) is Reason.INSUFFICIENT_MARGIN


def test_what_an_order_would_lose_at_once_counts(floor: Floor) -> None:
    floor.mark(PERP, "50000")
    assert floor.refused(limit("futures", PERP, BUY, "4", "50100")) is Reason.INSUFFICIENT_MARGIN
    floor.do(limit("futures", PERP, BUY, "3.8", "50100"))  # 190380 / 20 + 3.8 * 100 = 9899


def test_a_reducing_order_needs_nothing_even_without_any_margin(floor: Floor) -> None:
    hold(floor, "futures", BUY, "4", "50000")
    floor.mark(PERP, "49000")
    assert floor.engine.margin("futures", "USDT").available == 0
    floor.book(PERP, bids="48900 10")
    floor.do(market("futures", PERP, SELL, "1"))
    assert position_of(floor, "futures").quantity == 3


def test_the_bracket_of_the_leverage_limits_position_and_orders(floor: Floor) -> None:
    floor.deposit("futures", USDT="1000000")
    floor.do(SetLeverage(account="futures", instrument=PERP, leverage=100))
    floor.mark(PERP, "50000")
    floor.do(limit("futures", PERP, BUY, "0.6", "50000"))
    assert floor.refused(limit("futures", PERP, BUY, "0.401", "50000")) is Reason.POSITION_LIMIT
    floor.do(limit("futures", PERP, BUY, "0.4", "50000"))
    floor.do(limit("futures", PERP, SELL, "0.9", "50000.1"))


def test_in_hedge_mode_each_side_counts_what_opens_it() -> None:
    floor = free_floor()
    account = hedge_account(floor)
    floor.deposit(account, USDT="10000")
    floor.mark(PERP, "50000")
    floor.book(PERP, "50000 10", "50000.1 10")
    floor.do(side_order(account, BUY, PositionSide.LONG, "1"))
    floor.do(side_order(account, SELL, PositionSide.SHORT, "1"))
    assert floor.engine.margin(account, "USDT").initial_positions == 5_000
    floor.do(side_order(account, SELL, PositionSide.LONG, "1"))  # a closing order: nothing is needed
    assert floor.engine.margin(account, "USDT").initial_positions == 2_500


# --- the price that liquidates ----------------------------------------------------------------------------


@pytest.mark.parametrize("side", [BUY, SELL])
@pytest.mark.parametrize("mode", list(MarginMode))
@pytest.mark.parametrize("quantity", ["0.8", "1", "3.5"])
def test_at_the_liquidation_price_margin_meets_maintenance(
    floor: Floor, side: Side, mode: MarginMode, quantity: str
) -> None:
    """Checked against the definition, in either bracket, and by liquidation itself."""
    if mode is MarginMode.ISOLATED:
        floor.do(SetMarginMode(account="futures", instrument=PERP, mode=mode))
    hold(floor, "futures", side, quantity, "50000")
    figures = figures_of(floor, "futures")
    price = figures.liquidation_price
    assert price is not None
    with localcontext(prec=60):
        position = figures.position
        backing = position.isolated_margin if mode is MarginMode.ISOLATED else D(10_000)
        surplus = (
            backing + unrealised(position, price) - maintenance(CONTRACT, abs(position.quantity) * price)
        )
        assert abs(surplus) < D("1e-9")
    step = D("0.01") if side is BUY else D("-0.01")
    floor.mark(PERP, str((price + step).quantize(D("0.0001"))))
    assert floor.engine.positions("futures")
    floor.mark(PERP, str((price - step).quantize(D("0.0001"))))
    assert not floor.engine.positions("futures")


def test_no_price_liquidates_a_long_that_its_wallet_covers(floor: Floor) -> None:
    hold(floor, "futures", BUY, "0.1", "50000")
    assert figures_of(floor, "futures").liquidation_price is None


def test_a_liquidation_price_may_lie_in_another_bracket() -> None:
    """A short of 0.9 at 50,000 with 5,600 behind it: it is beyond 50,000 of notional when it ends."""
    floor = free_floor()
    floor.deposit("futures", USDT="5600")
    hold(floor, "futures", SELL, "0.9", "50000")
    # 5600 + 45000 - 0.9 p = 0.9 p * 0.02 - 800  ->  p = 51400 / 0.918
    price = figures_of(floor, "futures").liquidation_price
    assert price is not None
    assert abs(price - D(51_400) / D("0.918")) < D("1e-9")


def test_a_jump_between_brackets_is_found() -> None:
    """Brackets without amounts: at 50,000 of notional the maintenance margin jumps above what is there."""
    tiers = (TIERS[0], replace(TIERS[1], maintenance_amount=D(0)))
    listing = replace(CONTRACT, tiers=tiers)
    floor = free_floor()
    floor.do(SetListing(listing=listing))
    floor.deposit("futures", USDT="5600")
    hold(floor, "futures", SELL, "0.9", "50000")
    position = position_of(floor, "futures")
    with localcontext(prec=60):
        found = liquidation_price(position, listing, D(50_000), D(5_600))
        assert found is not None
        assert found * D("0.9") == pytest.approx(50_000, abs=1e-6)


# --- collateral of a unified account ----------------------------------------------------------------------


@pytest.fixture
def unified() -> Floor:
    floor = free_floor()
    floor.mark(SPOT, "50000")
    floor.deposit("unified", BTC="1", USDT="1000")
    return floor


def test_coins_back_contracts_at_nine_tenths(unified: Floor) -> None:
    figures = unified.engine.margin("unified", "USDT")
    assert seen(figures.wallet, figures.equity, figures.available) == (1_000, 46_000, 46_000)
    unified.mark(SPOT, "40000")
    assert unified.engine.margin("unified", "USDT").equity == 37_000


def test_a_hedged_pair_needs_no_cash(unified: Floor) -> None:
    hold(unified, "unified", SELL, "1", "50000")
    unified.mark(PERP, "90000")
    unified.mark(SPOT, "90000")
    assert unified.engine.positions("unified")
    # 1000 + 0.9 * 90000 - 40000
    assert unified.engine.margin("unified", "USDT").equity == 42_000


def test_a_coin_without_a_marginable_market_is_no_collateral(unified: Floor) -> None:
    unified.deposit("unified", DOGE="1000000")
    assert unified.engine.margin("unified", "USDT").equity == 46_000


def test_buying_a_coin_needs_what_it_weighs_less(unified: Floor) -> None:
    unified.deposit("unified", USDT="19000")
    hold(unified, "unified", BUY, "25.5", "50000")  # 63750 of 65000
    unified.book(SPOT, asks="50000 10")
    assert unified.refused(market("unified", SPOT, BUY, "0.26")) is Reason.INSUFFICIENT_MARGIN
    unified.do(market("unified", SPOT, BUY, "0.25"))
    assert unified.engine.margin("unified", "USDT").available == 0


def test_a_debt_takes_its_value_and_half_of_it_as_margin(unified: Floor) -> None:
    unified.do(Borrow(account="unified", asset="USDT", amount=D(10_000)))
    figures = unified.engine.margin("unified", "USDT")
    assert seen(figures.equity, figures.initial, figures.maintenance) == (46_000, 5_000, 1_000)
    assert unified.engine.margin_level("unified") == D("6.1")  # 61000 / 10000


# --- what may leave ---------------------------------------------------------------------------------------


def test_unrealised_profit_does_not_leave_and_losses_hold_back(floor: Floor) -> None:
    hold(floor, "futures", BUY, "2", "50000")
    assert floor.engine.max_withdraw("futures", "USDT") == 5_000
    floor.mark(PERP, "60000")
    figures = floor.engine.margin("futures", "USDT")
    assert figures.available > 10_000 > figures.maintenance > 0
    assert floor.engine.max_withdraw("futures", "USDT") == 10_000 - figures.maintenance
    floor.mark(PERP, "49000")
    assert floor.engine.max_withdraw("futures", "USDT") == 10_000 - 2_000 - 4_900


def test_what_rests_holds_back_too(floor: Floor) -> None:
    floor.mark(PERP, "50000")
    order = floor.send(limit("futures", PERP, BUY, "1", "50000"))
    assert floor.engine.max_withdraw("futures", "USDT") == 7_500
    floor.do(Cancel(account="futures", instrument=PERP, order_id=order.order_id))
    assert floor.engine.max_withdraw("futures", "USDT") == 10_000


def test_isolated_margin_does_not_leave(floor: Floor) -> None:
    floor.do(SetMarginMode(account="futures", instrument=PERP, mode=MarginMode.ISOLATED))
    hold(floor, "futures", BUY, "1", "50000")
    figures = floor.engine.margin("futures", "USDT")
    assert seen(figures.equity, figures.initial_positions, figures.available) == (7_500, 2_500, 7_500)
    assert floor.engine.max_withdraw("futures", "USDT") == 7_500
    floor.mark(PERP, "60000")  # its profit is its own
    assert floor.engine.margin("futures", "USDT").available == 7_500
