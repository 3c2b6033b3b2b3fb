from __future__ import annotations

import pytest

from libs.carry.funding import (
    apr,
    carry_daily,
    convergence_daily,
    daily,
    days_until,
    mean_daily,
    payment,
    settled_carry,
    settled_once,
    settled_samples,
)
from tests.unit.carry.build import DAY_MS, HOUR_MS, T0_MS, print_at, series, settled


def test_a_rate_is_normalised_by_its_own_interval() -> None:
    assert daily(0.0001, 8) == pytest.approx(0.0003)
    assert daily(0.0001, 4) == pytest.approx(0.0006)
    assert daily(0.0001, 1) == pytest.approx(0.0024)
    assert apr(0.0003) == pytest.approx(0.1095)


def test_a_rate_without_an_interval_is_refused() -> None:
    with pytest.raises(ValueError, match="interval"):
        daily(0.0001, 0)


def test_the_short_leg_receives_and_the_long_one_pays() -> None:
    assert carry_daily(0.0, 0.0003) == pytest.approx(0.0003)
    assert carry_daily(0.0003, 0.0) == pytest.approx(-0.0003)
    assert carry_daily(0.0002, 0.0005) == pytest.approx(0.0003)
    assert payment(0.0001, is_short=True) == 0.0001
    assert payment(0.0001, is_short=False) == -0.0001


def test_a_dated_leg_converges_by_side_and_days_to_expiry() -> None:
    assert convergence_daily(103.0, 100.0, 30.0, future_is_short=True) == pytest.approx(0.001)
    assert convergence_daily(103.0, 100.0, 30.0, future_is_short=False) == pytest.approx(-0.001)
    assert convergence_daily(97.0, 100.0, 30.0, future_is_short=False) == pytest.approx(0.001)
    assert convergence_daily(103.0, 100.0, 0.0, future_is_short=True) == 0.0
    assert days_until(T0_MS + DAY_MS, T0_MS) == 1.0
    assert days_until(T0_MS, T0_MS + 1) == 0.0


def test_each_print_counts_once_whatever_the_jitter() -> None:
    told = [
        print_at(8, 0.0001, jitter_ms=3),
        print_at(8, 0.0001, jitter_ms=999),
        print_at(16, 0.0002),
        print_at(8, 0.0001),
        print_at(16, 0.0002, jitter_ms=-2),
    ]
    once = settled_once(told)
    assert [settled_print.rate for settled_print in once] == [0.0001, 0.0002]


def test_two_stamps_a_second_apart_astride_a_half_minute_are_one_settlement() -> None:
    told = [print_at(8, 0.0001, jitter_ms=29_999), print_at(8, 0.0001, jitter_ms=30_500)]
    assert len(settled_once(told)) == 1


def test_a_restated_print_stands_in_its_newer_form() -> None:
    once = settled_once([print_at(8, 0.0001), print_at(8, 0.0005, jitter_ms=400)])
    assert [settled_print.rate for settled_print in once] == [0.0005]


def test_hourly_prints_are_all_kept() -> None:
    assert len(settled_once([print_at(hour, 0.0001, 1.0) for hour in range(1, 49)])) == 48


def test_one_funded_leg_is_sampled_at_its_own_settlements() -> None:
    samples = settled_samples(None, [print_at(8, 0.0001), print_at(12, 0.0001, 4.0)])
    assert [(round(s.daily, 9), s.hours) for s in samples] == [(0.0003, 8.0), (0.0006, 4.0)]
    assert [s.daily for s in settled_samples([print_at(8, 0.0001)], None)] == pytest.approx([-0.0003])
    assert settled_samples(None, None) == []


def test_a_pair_is_sampled_at_its_slower_leg() -> None:
    """Long 8 h at 0.0001; short 1 h, eight prints of 0.0001: 24 bps a day received, 3 paid."""
    fast = [print_at(hour, 0.0001, 1.0) for hour in range(1, 17)]
    samples = settled_samples([print_at(8, 0.0001), print_at(16, 0.0001)], fast)
    assert [round(s.daily, 9) for s in samples] == [0.0021, 0.0021]
    assert [s.hours for s in samples] == [8.0, 8.0]
    assert [s.end_ms for s in samples] == [T0_MS + 8 * HOUR_MS, T0_MS + 16 * HOUR_MS]


def test_jitter_between_the_legs_does_not_shift_a_print_into_the_next_window() -> None:
    fast = [print_at(hour, 0.0001 * hour, 1.0, jitter_ms=900) for hour in range(1, 17)]
    slow = [print_at(8, 0.0), print_at(16, 0.0)]
    samples = settled_samples(slow, fast)
    assert samples[0].daily == pytest.approx(sum(0.0001 * h for h in range(1, 9)) * 3)
    assert samples[1].daily == pytest.approx(sum(0.0001 * h for h in range(9, 17)) * 3)


def test_the_slower_leg_may_change_while_the_pair_is_watched() -> None:
    """The long leg goes from 8 h to 1 h; the short one is at 4 h throughout."""
    long = [print_at(8, 0.0008), *(print_at(hour, 0.0001, 1.0) for hour in range(9, 17))]
    short = [print_at(hour, 0.0004, 4.0) for hour in (4, 8, 12, 16)]
    samples = settled_samples(long, short)
    assert [s.hours for s in samples] == [8.0, 4.0, 4.0]
    assert [round(s.daily, 9) for s in samples] == [0.0, 0.0, 0.0]


def test_a_hole_is_not_filled() -> None:
    """The fast leg misses five of eight prints in one window, and two in another."""
    slow = [print_at(8, 0.0), print_at(16, 0.0), print_at(24, 0.0)]
    fast = [print_at(hour, 0.0001, 1.0) for hour in (*range(1, 9), 9, 10, 11, *range(17, 23))]
    samples = settled_samples(slow, fast)
    assert [s.end_ms for s in samples] == [T0_MS + 8 * HOUR_MS, T0_MS + 24 * HOUR_MS]
    assert [round(s.daily, 9) for s in samples] == [0.0024, 0.0024]


def test_a_hole_in_the_slow_leg_reaches_back_by_one_interval_only() -> None:
    slow = [print_at(8, 0.0), print_at(24, 0.0)]
    fast = [print_at(hour, 0.0009 if 8 < hour <= 16 else 0.0001, 1.0) for hour in range(1, 25)]
    samples = settled_samples(slow, fast)
    assert [round(s.daily, 9) for s in samples] == [0.0024, 0.0024]


def test_now_is_the_last_three_settlements_weighted_by_time() -> None:
    prints = (*series(0.0001, until_hours=952), print_at(956, 0.0004, 4.0), print_at(957, 0.0001, 1.0))
    found = settled(None, prints)
    hours = 8 + 4 + 1
    assert found.now == pytest.approx((0.0001 + 0.0004 + 0.0001) * 24 / hours)


def test_mean30_trails_thirty_days_over_what_exists() -> None:
    prints = (*series(0.0009, days=10, until_hours=240), *series(0.0001, days=30, until_hours=960))
    found = settled(None, prints)
    assert found.mean30 == pytest.approx(0.0003)
    assert found.history_days == pytest.approx(30.0)
    assert settled(None, series(0.0001, days=3)).history_days == pytest.approx(3.0)


def test_history_counts_what_is_covered_and_not_what_lies_between() -> None:
    prints = (*series(0.0001, days=2, until_hours=480), *series(0.0001, days=2, until_hours=960))
    assert settled(None, prints).history_days == pytest.approx(4.0)


def test_runs_end_at_the_first_print_of_another_sign() -> None:
    prints = [print_at(8 * n, rate) for n, rate in enumerate((0.1, -0.1, 0.1, 0.1, 0.1), start=1)]
    found = settled(None, tuple(prints))
    assert (found.positive_run, found.negative_run) == (3, 0)
    flat = settled(None, (*prints, print_at(48, 0.0)))
    assert (flat.positive_run, flat.negative_run) == (0, 0)


def test_nothing_settled_is_none() -> None:
    assert settled_carry([]) is None


def test_splitting_an_interval_leaves_the_mean() -> None:
    whole = settled_samples(None, [print_at(8, 0.0008), print_at(16, 0.0004)])
    split = settled_samples(
        None,
        [
            print_at(4, 0.0004, 4.0),
            print_at(8, 0.0004, 4.0),
            print_at(12, 0.0003, 4.0),
            print_at(16, 0.0001, 4.0),
        ],
    )
    assert mean_daily(whole) == pytest.approx(mean_daily(split))
