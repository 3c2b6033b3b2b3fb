from __future__ import annotations

import random

import pytest

from libs.carry.calibrate import HORIZONS_DAYS, Row, TooLittleData, calibrate, fit, rows_of, weights_of
from libs.carry.expected import WEIGHTS, weights_at
from libs.carry.funding import Sample
from tests.unit.carry.build import DAY_MS, HOUR_MS, T0_MS


def samples(dailies: list[float], hours: float = 8.0) -> list[Sample]:
    return [Sample(T0_MS + int((n + 1) * hours * HOUR_MS), value, hours) for n, value in enumerate(dailies)]


def test_known_weights_are_found_again() -> None:
    draw = random.Random(5)  # noqa: S311 - a fixed series of numbers, no secret
    rows = []
    for _ in range(500):
        now, mean = draw.gauss(0, 1e-3), draw.gauss(0, 1e-3)
        rows.append(Row(now, mean, 0.2 * now + 0.45 * mean))
    found = fit(rows, 7.0)
    assert found.weight.now == pytest.approx(0.2)
    assert found.weight.mean == pytest.approx(0.45)
    assert found.r2 == pytest.approx(1.0)
    assert found.rows == 500


def test_rows_know_only_what_was_settled_then() -> None:
    """A step in the series: rows before it have it in `realised` alone."""
    series = samples([0.001] * 60 + [0.005] * 60)
    step_ms = series[59].end_ms
    for row, sample in zip(rows_of(series, 1.0), series[20:], strict=False):
        if sample.end_ms <= step_ms:
            assert row.now == pytest.approx(0.001)
            assert row.mean30 == pytest.approx(0.001)
    assert any(
        row.realised == pytest.approx(0.005) and row.now == pytest.approx(0.001)
        for row in rows_of(series, 1.0)
    )


def test_a_row_needs_seven_days_behind_and_its_horizon_ahead() -> None:
    series = samples([0.001] * 90)
    assert len(rows_of(series, 7.0)) == 90 - 20 - 19  # 21st has 7 days; 19 lack nine tenths of the horizon
    assert rows_of(series[:20], 1.0) == []


def test_a_hole_ahead_gives_no_row() -> None:
    series = samples([0.001] * 120)
    holed = [sample for n, sample in enumerate(series) if not 60 <= n < 66]
    assert len(rows_of(holed, 1.0)) < len(rows_of(series, 1.0)) - 6


def test_unequal_intervals_are_weighted_by_time() -> None:
    slow = samples([0.001] * 100)
    end = slow[-1].end_ms
    fast = [Sample(end + (n + 1) * HOUR_MS, 0.003, 1.0) for n in range(12)]
    last = Sample(fast[-1].end_ms + 12 * HOUR_MS, 0.001, 12.0)
    rows = rows_of([*slow, *fast, last], 1.0, every_hours=1.0)
    assert rows[-3].realised == pytest.approx(0.002)  # at the last slow settlement; two fast ones follow


def test_an_hourly_series_speaks_no_oftener_than_an_8h_one() -> None:
    hourly = [Sample(n * HOUR_MS, 0.001 + n * 1e-6, 1.0) for n in range(40 * 24)]
    slow = [Sample(n * 8 * HOUR_MS, 0.001 + n * 1e-6, 8.0) for n in range(40 * 3)]
    assert abs(len(rows_of(hourly, 1.0)) - len(rows_of(slow, 1.0))) <= 1
    jittered = [Sample(s.end_ms - (n % 2) * 999, s.daily, s.hours) for n, s in enumerate(slow)]
    assert len(rows_of(jittered, 1.0)) == len(rows_of(slow, 1.0))


def test_too_little_data_is_said() -> None:
    with pytest.raises(TooLittleData, match="7 days: 3 rows"):
        fit([Row(1.0, 1.0, 1.0)] * 3, 7.0)
    with pytest.raises(TooLittleData, match="cannot be told"):
        fit([Row(1.0, 1.0, 1.0)] * 100, 7.0)


def test_calibrate_pools_series_and_answers_a_table() -> None:
    draw = random.Random(7)  # noqa: S311
    pool = []
    for _ in range(4):
        level, dailies = draw.gauss(4e-4, 2e-4), []
        value = level
        for _ in range(3 * 120):
            value += 0.1 * (level - value) + draw.gauss(0, 1e-4)
            dailies.append(value)
        pool.append(samples(dailies))
    fits = calibrate(pool)
    table = weights_of(fits)
    assert tuple(weight.horizon_days for weight in table) == HORIZONS_DAYS
    assert table[0].now > table[-1].now  # what is now says less about later
    assert weights_at(1.0, table) == (table[0].now, table[0].mean)
    assert all(found.rows > 500 for found in fits)


def test_the_table_of_the_page() -> None:
    assert [
        tuple(getattr(weight, name) for name in ("horizon_days", "now", "mean")) for weight in WEIGHTS
    ] == [
        (1, 0.45, 0.40),
        (3, 0.33, 0.41),
        (7, 0.20, 0.45),
        (14, 0.12, 0.43),
        (30, 0.09, 0.31),
    ]
    assert DAY_MS == 86_400_000
