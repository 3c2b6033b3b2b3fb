"""The tables of the economics page, to four decimals: through `calc`, and through `evaluate`."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from libs.carry.breakeven import CostFigures
from libs.carry.calc import calc
from libs.carry.expected import expected_breakeven_days, expected_daily, expected_net_usd
from libs.carry.funding import settled_carry, settled_samples
from libs.common.config.schema import Costs, Position, Thresholds
from tests.unit.carry.build import HOUR_MS, NOW_MS, config, evaluated, perp, print_at, spot

#   r, h, N, fee, role, slip, borrow, transfer, H | daily, net, break-even, direction
ROWS: list[tuple[Any, ...]] = [
    (0.0001, 8, 50_000, 0.0005, "taker", 5, 0, 0, 30, 0.0003, 8.3333, 13.3333, "forward"),
    (0.0001, 8, 1_000, 0.0005, "taker", 5, 0, 5, 30, 0.0003, 0.0000, 30.0000, "forward"),
    (0.00005, 1, 1_000, 0.0005, "taker", 5, 0, 0, 30, 0.0012, 1.0667, 3.3333, "forward"),
    (-0.0003, 8, 10_000, 0.0005, "taker", 5, 0.0001, 0, 30, -0.0009, 6.6667, 5.0000, "reverse"),
    (0.0001, 4, 10_000, -0.00005, "maker", 0, 0, 0, 10, 0.0006, 6.2000, -0.3333, "forward"),
]
GOLDEN: CostFigures = {
    "holding_daily": 0.0,
    "notional_usd": 10_000.0,
    "round_trip": 0.004,
    "transfer_usd": 0.0,
}


def fees(fee: float, role: Literal["taker", "maker"]) -> dict[str, Any]:
    """The fee in its role; the other one is absurd, so that a mix-up shows."""
    return {"taker": fee if role == "taker" else 0.9, "maker": fee if role == "maker" else 0.9, "role": role}


@pytest.mark.parametrize("row", ROWS, ids=[f"example {n}" for n in range(1, 6)])
def test_calc_holds_the_worked_examples(row: tuple[Any, ...]) -> None:
    rate, hours, notional, fee, role, slip, borrow, transfer, hold, daily, net, breakeven, direction = row
    answer = calc(
        rate,
        hours,
        notional,
        **fees(fee, role),
        slippage_bps=slip,
        borrow_daily=borrow,
        transfer_usd=transfer,
        hold_days=hold,
    )
    assert list(answer) == ["daily", "apr", "round_trip_usd", "net_daily_usd", "breakeven_days", "direction"]
    assert round(answer["daily"], 6) == daily
    assert round(answer["apr"], 6) == round(daily * 365, 6)
    assert round(answer["net_daily_usd"], 4) == net
    assert answer["breakeven_days"] is not None
    assert round(answer["breakeven_days"], 4) == breakeven
    assert answer["direction"] == direction


@pytest.mark.parametrize("row", ROWS, ids=[f"example {n}" for n in range(1, 6)])
def test_evaluate_holds_the_worked_examples(row: tuple[Any, ...]) -> None:
    rate, hours, notional, fee, role, slip, borrow, transfer, hold, daily, net, breakeven, direction = row
    cfg = config(
        position=Position(notional_usd=notional, hold_days=hold),
        costs=Costs(**fees(fee, role), slippage_bps=slip, borrow_daily=borrow, transfer_usd=transfer),
    )
    # Example 2 moves funds, so its legs are on two venues.
    second = perp(rate=rate, interval_hours=float(hours), venue="bybit" if transfer else "binance")
    seen = evaluated(spot(), second, cfg=cfg)
    assert seen.direction == direction
    assert seen.daily is not None
    assert round(seen.daily, 6) == abs(daily)
    assert seen.net_daily_usd is not None
    assert round(seen.net_daily_usd, 4) == net
    assert seen.breakeven_days is not None
    assert round(seen.breakeven_days, 4) == breakeven


def test_example_2_earns_nothing_and_is_refused_although_floats_leave_a_residue() -> None:
    cfg = config(costs=Costs(transfer_usd=5.0))
    seen = evaluated(spot(), perp(rate=0.0001, venue="bybit"), cfg=cfg)
    assert seen.net_daily_usd is not None
    assert abs(seen.net_daily_usd) < 1e-12
    assert "net_not_positive" in seen.refusals


def test_the_golden_row_of_the_expected_view() -> None:
    assert round(expected_net_usd(0.0012, 0.0006, 7, **GOLDEN), 4) == -4.3000
    assert round(expected_net_usd(0.0012, 0.0006, 14, **GOLDEN), 4) == 16.2800
    days = expected_breakeven_days(0.0012, 0.0006, **GOLDEN)
    assert days is not None
    assert round(days, 4) == 8.2613


def test_the_golden_row_through_settled_prints_and_evaluate() -> None:
    """Prints whose last three pay 12 bps a day and whose thirty days average 6."""
    low = (30 * 24 * 0.0006 - 24 * 0.0012) / (30 * 24 - 24)
    prints = [print_at(960 - 8 * back, (0.0012 if back < 3 else low) / 3) for back in reversed(range(90))]
    history = settled_carry(settled_samples(None, prints))
    assert history is not None
    assert round(history.now, 9) == 0.0012
    assert round(history.mean30, 9) == 0.0006
    cfg = config(
        position=Position(notional_usd=10_000, hold_days=14),
        thresholds=Thresholds(forecast="expected"),
    )
    seen = evaluated(second=perp(rate=0.0004), history=history, cfg=cfg)
    assert seen.expected_daily is not None
    assert round(seen.expected_daily, 8) == 0.00051
    assert seen.expected_net_usd is not None
    assert round(seen.expected_net_usd, 4) == 16.2800
    assert seen.expected_breakeven_days is not None
    assert round(seen.expected_breakeven_days, 4) == 8.2613
    assert seen.passes, seen.reasons


def test_weights_between_the_rows_are_interpolated_in_log_h_and_clamped() -> None:
    middle = (7 * 14) ** 0.5  # half way in log
    assert expected_daily(1.0, 0.0, middle) == pytest.approx((0.20 + 0.12) / 2)
    assert expected_daily(0.0, 1.0, middle) == pytest.approx((0.45 + 0.43) / 2)
    assert expected_daily(1.0, 1.0, 0.1) == pytest.approx(0.85)
    assert expected_daily(1.0, 1.0, 400) == pytest.approx(0.40)


def test_calc_says_never_as_none() -> None:
    costs: dict[str, Any] = {**fees(0.0005, "taker"), "slippage_bps": 5, "transfer_usd": 0, "hold_days": 30}
    assert calc(0.0, 8, 1_000, **costs, borrow_daily=0)["breakeven_days"] is None
    assert calc(-0.0001, 8, 1_000, **costs, borrow_daily=0.001)["breakeven_days"] is None
    assert calc(0.0001, 8, 1_000, **costs, borrow_daily=0.001)["breakeven_days"] is not None


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("interval", {"interval_hours": 0}),
        ("notional", {"notional_usd": -1}),
        ("hold-days", {"hold_days": 0}),
        ("rate", {"rate": float("nan")}),
        ("slippage-bps", {"slippage_bps": -1}),
        ("borrow-daily", {"borrow_daily": -0.1}),
        ("transfer", {"transfer_usd": float("inf")}),
    ],
)
def test_calc_names_the_figure_that_is_wrong(name: str, change: dict[str, float]) -> None:
    given: dict[str, Any] = {
        "rate": 0.0001,
        "interval_hours": 8,
        "notional_usd": 1_000,
        "taker": 0.0005,
        "maker": 0.0002,
        "role": "taker",
        "slippage_bps": 5,
        "borrow_daily": 0,
        "transfer_usd": 0,
        "hold_days": 30,
    }
    with pytest.raises(ValueError, match=name):
        calc(**(given | change))


def test_a_settlement_an_hour_ago_is_far_enough() -> None:
    assert evaluated(market_ms=NOW_MS).passes
    assert NOW_MS % (8 * HOUR_MS) == HOUR_MS


def test_a_net_that_rises_above_zero_only_for_a_while_breaks_even_when_it_first_does() -> None:
    """A spike against a bad month: 13.05 bps are earned after 1.06 days, and on the third day lost again."""
    terms: CostFigures = GOLDEN | {"round_trip": 0.001305}
    days = expected_breakeven_days(0.01, -0.008, **terms)
    assert days is not None
    assert 1.0 < days < 1.13
    assert expected_net_usd(0.01, -0.008, days, **terms) == pytest.approx(0.0, abs=1e-8)
    assert expected_net_usd(0.01, -0.008, 1.0, **terms) < 0
    assert expected_net_usd(0.01, -0.008, 3.0, **terms) < 0
