from __future__ import annotations

import pytest

from libs.carry.holding import Holding, flip_policy_of, judge, on_current, on_payment, on_settled, opened
from libs.common.config.schema import Thresholds
from tests.unit.carry.build import HOUR_MS, T0_MS, print_at

TOLERANCE = Thresholds(flip_policy="tolerance")
COST_AWARE = Thresholds(flip_policy="cost_aware")
ROUND_TRIP = 0.004


def after(carries: list[tuple[float, float]], holding: Holding | None = None) -> Holding:
    """(hours, carry) folded in."""
    holding = holding or opened(T0_MS)
    for hours, carry in carries:
        holding = on_current(holding, carry, T0_MS + int(hours * HOUR_MS), daily_funding_min=0.0002)
    return holding


def action(holding: Holding, hours: float, thresholds: Thresholds) -> str:
    return judge(holding, T0_MS + int(hours * HOUR_MS), thresholds, round_trip=ROUND_TRIP).action


@pytest.mark.parametrize(
    ("thresholds", "policy"),
    [
        (Thresholds(), "cost_aware"),
        (Thresholds(flip_exit=True), "tolerance"),
        (Thresholds(flip_exit=False), "none"),
        (Thresholds(flip_exit=True, flip_policy="cost_aware"), "cost_aware"),
        (Thresholds(flip_exit=False, flip_policy="tolerance"), "tolerance"),
    ],
)
def test_the_policy_in_force(thresholds: Thresholds, policy: str) -> None:
    assert flip_policy_of(thresholds) == policy


def test_tolerance_closes_after_two_hours_of_the_wrong_sign() -> None:
    wrong = after([(1.0, -0.0001)])
    assert action(wrong, 2.9, TOLERANCE) == "keep"
    assert action(wrong, 3.0, TOLERANCE) == "close"


def test_a_break_in_the_wrong_sign_starts_the_clock_again() -> None:
    broken = after([(1.0, -0.0001), (2.5, 0.0001), (2.6, -0.0001)])
    assert action(broken, 4.5, TOLERANCE) != "close"
    assert action(broken, 4.7, TOLERANCE) == "close"


def test_zero_carry_is_not_wrong() -> None:
    assert after([(1.0, 0.0)]).wrong_since_ms is None


def test_faded_carry_is_watched_and_not_left() -> None:
    faded = after([(1.0, 0.00009)])
    assert action(faded, 2.9, COST_AWARE) == "keep"
    assert action(faded, 3.0, COST_AWARE) == "watch"
    assert action(faded, 300.0, COST_AWARE) == "watch"
    assert after([(1.0, 0.0001)]).faded_since_ms is None


def test_recovery_ends_the_watch() -> None:
    assert action(after([(1.0, 0.00009), (4.0, 0.0003)]), 9.0, COST_AWARE) == "keep"


def test_cost_aware_closes_when_the_loss_is_the_round_trip_and_the_carry_is_wrong() -> None:
    wrong = after([(1.0, -0.0001)])
    assert action(on_payment(wrong, -0.0039), 9.0, COST_AWARE) == "watch"
    assert action(on_payment(wrong, -0.004), 9.0, COST_AWARE) == "close"
    assert action(on_payment(wrong, -0.004), 2.0, COST_AWARE) == "keep"


def test_a_loss_with_the_right_sign_again_does_not_close() -> None:
    assert action(on_payment(after([(1.0, 0.0003)]), -0.01), 9.0, COST_AWARE) == "keep"


def test_the_ratio_scales_the_bound() -> None:
    wrong = on_payment(after([(1.0, -0.0001)]), -0.004)
    half = Thresholds(flip_policy="cost_aware", flip_loss_ratio=2.0)
    assert action(wrong, 9.0, half) == "watch"
    assert action(on_payment(wrong, -0.004), 9.0, half) == "close"


def test_no_policy_never_closes() -> None:
    wrong = on_payment(after([(1.0, -0.01)]), -1.0)
    assert action(wrong, 100.0, Thresholds(flip_exit=False)) != "close"


def test_the_running_loss_is_floored_at_zero() -> None:
    holding = opened(T0_MS)
    for received, loss in ((0.01, 0.0), (-0.001, 0.001), (0.0004, 0.0006), (0.5, 0.0), (-0.002, 0.002)):
        holding = on_payment(holding, received)
        assert holding.loss == pytest.approx(loss)
    assert holding.earned == pytest.approx(0.5074)


def test_settled_payments_of_both_legs_are_counted_once() -> None:
    long = (print_at(8, 0.0001), print_at(16, 0.0002))
    short = (print_at(8, 0.0004), print_at(16, 0.0004))
    once = on_settled(opened(T0_MS), long, short)
    assert once.earned == pytest.approx(0.0005)
    assert on_settled(once, long, short) == once
    again = (print_at(8, 0.0004, jitter_ms=700), print_at(16, 0.0004, jitter_ms=999))
    assert on_settled(once, long, again) == once
    more = on_settled(once, long, (*short, print_at(24, -0.0003)))
    assert more.earned == pytest.approx(0.0002)
    assert more.loss == pytest.approx(0.0003)


def test_prints_before_the_opening_are_not_ours() -> None:
    holding = on_settled(opened(T0_MS + 10 * HOUR_MS), None, (print_at(8, 0.0004), print_at(16, 0.0001)))
    assert holding.earned == pytest.approx(0.0001)


def test_what_one_leg_pays_and_the_other_receives_at_once_is_no_loss() -> None:
    """Long pays 0.5 %, short receives 0.6 % at the same settlement: the pair never lost."""
    holding = on_settled(
        opened(T0_MS), (print_at(8, 0.005, jitter_ms=1),), (print_at(8, 0.006, jitter_ms=900),)
    )
    assert holding.loss == 0.0
    assert holding.earned == pytest.approx(0.001)


def test_a_spell_seen_in_one_piece_or_in_many_costs_the_same() -> None:
    prints = tuple(print_at(8 * n, -0.0003) for n in range(1, 10))
    at_once = on_settled(opened(T0_MS), None, prints)
    bit_by_bit = opened(T0_MS)
    for count in range(1, 10):
        bit_by_bit = on_settled(bit_by_bit, None, prints[:count])
    assert at_once.loss == pytest.approx(bit_by_bit.loss)
    assert at_once.earned == pytest.approx(bit_by_bit.earned)


def test_nothing_new_changes_nothing() -> None:
    holding = opened(T0_MS)
    assert on_settled(holding, None, ()) is holding
    assert on_current(holding, 0.001, T0_MS, daily_funding_min=0.0002) is holding
