"""What must hold for all figures: monotone, symmetric, consistent with themselves, within limits."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.carry.breakeven import CostFigures, breakeven_days, net_daily_usd
from libs.carry.case import LegInput
from libs.carry.evaluate import evaluate
from libs.carry.expected import expected_breakeven_days, expected_net_usd, weights_at
from libs.carry.funding import daily, mean_daily, settled_once, settled_samples
from libs.carry.holding import on_payment, on_settled, opened
from libs.carry.persistence import persistence
from libs.carry.slippage import from_depth, mid_of, vwap
from libs.common.config.schema import Config, Costs, Position
from libs.common.messages import Opportunity, Settlement
from tests.unit.carry.build import (
    NOW_MS,
    T0_MS,
    evaluated,
    perp,
    print_at,
    series,
    settled,
    spot,
    terms_of,
)

FEW = settings(derandomize=True, max_examples=60, deadline=None)

rates = st.floats(-0.01, 0.01, allow_nan=False)
notionals = st.floats(10, 1e6)
days = st.floats(0.5, 365)
shares = st.floats(-0.002, 0.02)


def reversible(first: LegInput, second: LegInput, history_rate: float, cfg: Config) -> Opportunity:
    history = settled(None, series(history_rate)) if history_rate else None
    return evaluate(terms_of(cfg, first, second), first, second, history, market_ms=NOW_MS, eval_us=1)


# --- net and break-even ------------------------------------------------------------------------------


@FEW
@given(low=rates, high=rates, notional=notionals, cost=shares, hold=days)
def test_net_is_monotone_in_the_rate(
    low: float, high: float, notional: float, cost: float, hold: float
) -> None:
    low, high = sorted((low, high))
    terms: CostFigures = {
        "holding_daily": 0.0001,
        "notional_usd": notional,
        "round_trip": cost,
        "transfer_usd": 5.0,
    }
    assert net_daily_usd(low, hold_days=hold, **terms) <= net_daily_usd(high, hold_days=hold, **terms)


@FEW
@given(carry=st.floats(1e-6, 0.05), notional=notionals, cost=st.floats(1e-5, 0.02), transfer=st.floats(0, 50))
def test_net_is_zero_at_the_break_even(carry: float, notional: float, cost: float, transfer: float) -> None:
    terms: CostFigures = {
        "holding_daily": 0.0,
        "notional_usd": notional,
        "round_trip": cost,
        "transfer_usd": transfer,
    }
    found = breakeven_days(carry, **terms)
    assert found is not None
    assert abs(net_daily_usd(carry, hold_days=found, **terms)) <= 1e-9 * max(1.0, carry * notional)


@FEW
@given(notional=notionals, factor=st.floats(1, 100), rate=rates)
def test_costs_are_monotone_in_size(notional: float, factor: float, rate: float) -> None:
    small, large = (
        evaluated(second=perp(rate=rate), cfg=Config(position=Position(notional_usd=size)))
        for size in (notional, notional * factor)
    )
    assert small.round_trip_usd <= large.round_trip_usd
    assert small.round_trip == large.round_trip


@FEW
@given(rate=st.floats(0.0, 0.009), slip=st.floats(0, 50), fee=st.floats(0, 0.002))
def test_without_borrowing_both_directions_are_worth_the_same(rate: float, slip: float, fee: float) -> None:
    cfg = Config(costs=Costs(taker=fee, slippage_bps=slip))
    plus = reversible(spot(), perp(rate=rate), rate, cfg)
    minus = reversible(spot(), perp(rate=-rate), -rate, cfg)
    for name in ("daily", "net_daily_usd", "breakeven_days", "entry", "exit", "expected_net_usd", "score"):
        assert getattr(plus, name) == pytest.approx(getattr(minus, name)), name
    assert plus.refusals == minus.refusals


@FEW
@given(one=rates, two=rates)
def test_the_order_of_the_legs_does_not_matter(one: float, two: float) -> None:
    first, second = perp(venue="bybit", rate=one), perp(rate=two)
    a, b = series(one), series(two)
    cfg = Config()
    there = evaluate(terms_of(cfg, first, second), first, second, settled(a, b), market_ms=NOW_MS, eval_us=1)
    back = evaluate(terms_of(cfg, second, first), second, first, settled(b, a), market_ms=NOW_MS, eval_us=1)
    assert there.daily == pytest.approx(back.daily)
    assert there.net_daily_usd == pytest.approx(back.net_daily_usd)
    assert there.refusals == back.refusals
    if one != two:
        assert there.direction != back.direction


@FEW
@given(rate=rates, borrow=st.floats(0, 0.01))
def test_the_better_direction_is_never_worse_than_the_other(rate: float, borrow: float) -> None:
    cfg = Config(costs=Costs(borrow_daily=borrow))
    first, second = spot(), perp(rate=rate)
    best = reversible(first, second, 0.0, cfg)
    for direction in ("forward", "reverse"):
        forced = evaluate(
            terms_of(cfg, first, second),
            first,
            second,
            None,
            market_ms=NOW_MS,
            eval_us=1,
            direction=direction,
        )
        assert best.net_daily_usd is not None
        assert forced.net_daily_usd is not None
        assert best.net_daily_usd >= forced.net_daily_usd - 1e-9


# --- the expected view ----------------------------------------------------------------------------


@FEW
@given(
    now=st.floats(-0.01, 0.02),
    mean=st.floats(-0.01, 0.02),
    cost=st.floats(1e-5, 0.02),
    hold=st.floats(0, 0.001),
)
def test_expected_break_even_is_the_first_time_that_the_net_is_not_negative(
    now: float, mean: float, cost: float, hold: float
) -> None:
    terms: CostFigures = {
        "holding_daily": hold,
        "notional_usd": 1_000.0,
        "round_trip": cost,
        "transfer_usd": 1.0,
    }
    found = expected_breakeven_days(now, mean, **terms)
    grid = [0.25 * step for step in range(1, 1_200)]
    paid = [h for h in grid if expected_net_usd(now, mean, h, **terms) >= 1e-9]
    if found is None:
        assert not paid
        return
    assert expected_net_usd(now, mean, found, **terms) == pytest.approx(0.0, abs=1e-6)
    assert not [h for h in paid if h < found - 1e-6]
    if found < grid[-1]:
        assert not paid or paid[0] >= found - 1e-6


@FEW
@given(horizon=st.floats(0.01, 400))
def test_weights_stay_within_the_tables_bounds(horizon: float) -> None:
    w_now, w_mean = weights_at(horizon)
    assert 0.09 <= w_now <= 0.45
    assert 0.31 <= w_mean <= 0.45


# --- settled carry --------------------------------------------------------------------------------

hourly_rates = st.lists(rates, min_size=8, max_size=48)


@FEW
@given(whole=st.lists(rates, min_size=1, max_size=20), parts=st.sampled_from([2, 4, 8]))
def test_splitting_an_interval_changes_nothing(whole: list[float], parts: int) -> None:
    """An 8 h print paid in equal parts: same mean, same money, and same windows of a slower leg."""
    prints = [print_at(8 * (n + 1), rate) for n, rate in enumerate(whole)]
    hours = 8 / parts
    split = [
        print_at(8 * n + hours * (part + 1), rate / parts, hours)
        for n, rate in enumerate(whole)
        for part in range(parts)
    ]
    assert mean_daily(settled_samples(None, prints)) == pytest.approx(
        mean_daily(settled_samples(None, split)), abs=1e-12
    )
    slower = [print_at(8 * (n + 1), 0.0001) for n in range(len(whole))]
    one, two = settled_samples(slower, prints), settled_samples(slower, split)
    assert [s.end_ms for s in one] == [s.end_ms for s in two]
    assert [s.daily for s in one] == pytest.approx([s.daily for s in two], abs=1e-12)
    at_once = on_settled(opened(T0_MS), None, tuple(prints))
    bit_by_bit = on_settled(opened(T0_MS), None, tuple(split))
    assert at_once.earned == pytest.approx(bit_by_bit.earned, abs=1e-12)
    assert at_once.loss == pytest.approx(bit_by_bit.loss, abs=1e-12)


@FEW
@given(long=hourly_rates, short=hourly_rates)
def test_settled_carry_is_antisymmetric(long: list[float], short: list[float]) -> None:
    a = [print_at(n + 1, rate, 1.0) for n, rate in enumerate(long)]
    b = [print_at(4 * (n + 1), rate, 4.0) for n, rate in enumerate(short)]
    there, back = settled_samples(a, b), settled_samples(b, a)
    assert [s.daily for s in there] == pytest.approx([-s.daily for s in back], abs=1e-12)


@FEW
@given(
    values=st.lists(rates, min_size=1, max_size=40),
    jitter=st.lists(st.integers(0, 999), min_size=80, max_size=80),
    order=st.randoms(use_true_random=False),
)
def test_each_settled_print_counts_once_in_any_order_and_jitter(
    values: list[float], jitter: list[int], order: Any
) -> None:
    told: list[Settlement] = []
    for n, rate in enumerate(values):
        told += [print_at(n + 1, rate, 1.0, jitter_ms=jitter[2 * n + again]) for again in (0, 1)]
    order.shuffle(told)
    assert [p.rate for p in settled_once(told)] == values


@FEW
@given(rate=rates, interval=st.sampled_from([1.0, 2.0, 4.0, 8.0, 24.0]))
def test_a_day_of_payments_is_the_daily_rate(rate: float, interval: float) -> None:
    count = int(24 / interval)
    assert daily(rate, interval) == pytest.approx(rate * count)


@FEW
@given(values=st.lists(rates, max_size=60))
def test_runs_add_up_to_the_settlements_that_have_a_sign(values: list[float]) -> None:
    found = persistence(values)
    assert sum(found.runs) == sum(1 for value in values if value)
    assert abs(found.current_run) <= found.longest_run


@FEW
@given(payments=st.lists(rates, max_size=60))
def test_the_running_loss_is_never_negative_and_bounded_by_what_was_paid(payments: list[float]) -> None:
    holding = opened(T0_MS)
    for received in payments:
        holding = on_payment(holding, received)
        assert holding.loss >= 0.0
    assert holding.loss <= sum(-p for p in payments if p < 0) + 1e-12
    assert holding.earned == pytest.approx(math.fsum(payments), abs=1e-12)


# --- slippage -------------------------------------------------------------------------------------

steps = st.lists(st.tuples(st.floats(0.001, 0.5), st.floats(0.01, 100)), min_size=1, max_size=20)


def book(levels: list[tuple[float, float]], *, up: bool) -> list[tuple[float, float]]:
    price, out = 100.0, []
    for gap, size in levels:
        price += gap if up else -gap
        out.append((price, size))
    return out


@FEW
@given(above=steps, below=steps, share=st.floats(0.001, 1.0), more=st.floats(1.0, 3.0))
def test_depth_slippage_is_at_least_the_half_spread_and_grows_with_size(
    above: list[tuple[float, float]], below: list[tuple[float, float]], share: float, more: float
) -> None:
    asks, bids = book(above, up=True), book(below, up=False)
    mid = mid_of(bids[0][0], asks[0][0])
    assert mid is not None
    for levels in (asks, bids):
        quantity = share * sum(size for _, size in levels)
        half_spread = abs(levels[0][0] - mid) / mid
        slip = from_depth(levels, mid, quantity)
        assert slip is not None
        assert slip >= half_spread - 1e-12
        larger = from_depth(levels, mid, quantity * more)
        assert larger is None or larger >= slip - 1e-12


@FEW
@given(above=steps, beyond=st.floats(1.001, 5))
def test_a_book_never_fills_more_than_it_holds(above: list[tuple[float, float]], beyond: float) -> None:
    asks = book(above, up=True)
    total = sum(size for _, size in asks)
    assert vwap(asks, total) is not None
    assert vwap(asks, total * beyond) is None
