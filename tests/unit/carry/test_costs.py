from __future__ import annotations

import pytest

from libs.carry.breakeven import breakeven_days, net_daily_usd
from libs.carry.costs import (
    basis_entry,
    borrow_daily,
    capital_cost_daily,
    capital_usd,
    fee_rate,
    fill_costs,
    holding_daily,
    leg_terms,
    round_trip,
    transfer_usd,
    venue_id,
)
from libs.common.config.schema import Costs, Position, VenueCosts
from libs.common.subjects import Kind
from tests.unit.carry.build import config, evaluated, perp, spot


def test_the_fee_is_that_of_the_role() -> None:
    assert fee_rate(0.0005, 0.0002, "taker") == 0.0005
    assert fee_rate(0.0005, 0.0002, "maker") == 0.0002
    assert fee_rate(0.0005, -0.00005, "maker") == -0.00005


def test_a_share_of_a_paid_fee_comes_back_and_a_rebate_stays_whole() -> None:
    assert fee_rate(0.0005, 0.0, "taker", rebate_share=0.2) == pytest.approx(0.0004)
    assert fee_rate(0.0005, -0.00005, "maker", rebate_share=0.2) == -0.00005


def test_a_venue_overrides_field_by_field() -> None:
    costs = Costs(
        taker=0.0005,
        slippage_bps=5,
        borrow_daily=0.0001,
        venues={
            "bybit": VenueCosts(taker=0.0004, rebate_share=0.5),
            "bybit-perp": VenueCosts(slippage_bps=2),
        },
    )
    assert leg_terms(costs, "bybit", Kind.PERP).fee == pytest.approx(0.0002)
    assert leg_terms(costs, "bybit", Kind.PERP).slip == pytest.approx(0.0002)
    assert leg_terms(costs, "bybit", Kind.SPOT).slip == pytest.approx(0.0005)
    assert leg_terms(costs, "bybit", Kind.SPOT).borrow_daily == 0.0001
    assert leg_terms(costs, "okx", Kind.PERP).fee == 0.0005


def test_a_sub_account_has_its_exchanges_terms() -> None:
    costs = Costs(venues={"binance": VenueCosts(taker=0.0003)})
    assert venue_id("binance-sub1") == "binance"
    assert leg_terms(costs, "binance-sub1", Kind.PERP).fee == 0.0003


def test_an_override_of_zero_is_an_override() -> None:
    costs = Costs(venues={"mexc": VenueCosts(taker=0.0, slippage_bps=0.0)})
    terms = leg_terms(costs, "mexc", Kind.SPOT)
    assert (terms.fee, terms.slip) == (0.0, 0.0)


def test_entry_is_fee_and_slip_of_both_legs_and_the_round_trip_is_twice() -> None:
    entry = fill_costs(0.0005, 0.0005, 0.0004, 0.0001)
    assert entry == pytest.approx(0.0015)
    assert round_trip(entry, entry) == pytest.approx(0.003)


def test_borrowing_is_paid_on_a_short_spot_leg_alone() -> None:
    assert borrow_daily(0.001, Kind.SPOT) == 0.001
    assert borrow_daily(0.001, Kind.PERP) == 0.0
    assert borrow_daily(0.001, Kind.FUTURE) == 0.0


def test_the_blueprints_borrow_rate_does_not_refuse_a_pair_that_borrows_nothing() -> None:
    cfg = config(costs=Costs(borrow_daily=0.001))
    assert evaluated(cfg=cfg).holding_daily == 0.0
    reverse = evaluated(second=perp(rate=-0.002), cfg=cfg)
    assert reverse.direction == "reverse"
    assert reverse.holding_daily == pytest.approx(0.001)


def test_capital_is_a_spot_leg_in_full_and_a_derivatives_margin() -> None:
    assert capital_usd(Kind.SPOT, Kind.PERP, 3_000, 3) == pytest.approx(4_000)
    assert capital_usd(Kind.PERP, Kind.PERP, 3_000, 3) == pytest.approx(2_000)
    assert capital_cost_daily(0.0001, 4_000, 3_000) == pytest.approx(0.0001 * 4 / 3)
    assert holding_daily(0.0001, 0.0002, 0.5, 1_000) == pytest.approx(0.0008)


def test_holding_costs_reach_the_net() -> None:
    costs = Costs(capital_daily=0.00003, fixed_daily_usd=0.1)
    plain, costly = evaluated(), evaluated(cfg=config(costs=costs))
    assert plain.net_daily_usd is not None
    assert costly.net_daily_usd is not None
    expected = 0.00003 * (1 + 1 / 3) * 1_000 + 0.1
    assert plain.net_daily_usd - costly.net_daily_usd == pytest.approx(expected)


def test_nothing_is_transferred_on_one_venue() -> None:
    assert transfer_usd(5, 0, same_venue=True, daily=0.001, notional_usd=1_000) == 0.0
    assert transfer_usd(5, 0, same_venue=False, daily=0.001, notional_usd=1_000) == 5.0


def test_funds_on_the_way_earn_nothing() -> None:
    assert transfer_usd(5, 12, same_venue=False, daily=0.001, notional_usd=1_000) == pytest.approx(5.5)
    assert transfer_usd(5, 12, same_venue=False, daily=-0.001, notional_usd=1_000) == 5.0


def test_two_accounts_of_one_exchange_are_one_venue() -> None:
    cfg = config(costs=Costs(transfer_usd=5))
    assert evaluated(spot(venue="binance-sub1"), perp(), cfg=cfg).transfer_usd == 0.0
    assert evaluated(spot(venue="okx"), perp(), cfg=cfg).transfer_usd == 5.0


def test_basis_is_a_cost_when_the_bought_leg_is_dearer() -> None:
    assert basis_entry(100.1, 99.9) == pytest.approx(0.002)
    assert basis_entry(99.9, 100.1) == pytest.approx(-0.002)


def test_the_basis_is_reported_and_not_sunk() -> None:
    narrow = evaluated(spot(bid=99.9, ask=100.1), perp())
    wide = evaluated(spot(bid=100.0, ask=100.2), perp())
    assert wide.basis_entry != narrow.basis_entry
    assert wide.net_daily_usd == narrow.net_daily_usd


def test_breakeven_is_never_without_carry_and_negative_when_the_entry_paid() -> None:
    terms = {"notional_usd": 1_000.0, "transfer_usd": 0.0}
    assert breakeven_days(0.0, holding_daily=0.0, round_trip=0.004, **terms) is None
    assert breakeven_days(0.001, holding_daily=0.001, round_trip=0.004, **terms) is None
    assert breakeven_days(0.001, holding_daily=0.0, round_trip=-0.001, **terms) == pytest.approx(-1.0)


def test_a_holding_time_is_positive() -> None:
    with pytest.raises(ValueError, match="holding time"):
        net_daily_usd(
            0.001, holding_daily=0.0, notional_usd=1_000, round_trip=0.004, transfer_usd=0, hold_days=0
        )


def test_the_score_is_net_per_day_on_the_capital_used() -> None:
    low = evaluated(cfg=config(position=Position(futures_margin_leverage=1)))
    high = evaluated(cfg=config(position=Position(futures_margin_leverage=4)))
    assert low.net_daily_usd is not None
    assert low.score == pytest.approx(low.net_daily_usd / 2_000)
    assert high.score == pytest.approx(low.net_daily_usd / 1_250)
