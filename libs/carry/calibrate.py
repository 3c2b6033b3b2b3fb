"""Fit the forecast's weights again from settled series: least squares without an intercept.

Rows of all series are pooled. Calibrate in one period and test in another: the weights know their data.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Final

import msgspec

from libs.carry.expected import HISTORY_DAYS_MIN, Weight, Weights
from libs.carry.funding import JITTER_MS, MEAN_DAYS, MS_PER_DAY, MS_PER_MINUTE, NOW_SETTLEMENTS, Sample
from libs.common.instant import MS_PER_HOUR

HORIZONS_DAYS: Final = (1.0, 3.0, 7.0, 14.0, 30.0)
COVERED_MIN: Final = 0.9  # share of a horizon that settlements must cover: a hole is no zero
ROWS_MIN: Final = 30
# One row per 8 h whatever the interval: otherwise an hourly week of one symbol counts eightfold, and the
# pooled slopes fall below what each series shows by itself (0.39 instead of 0.49 at one day, 87 series).
SAMPLING_HOURS: Final = 8.0


class Fit(msgspec.Struct, frozen=True, kw_only=True):
    """One horizon's weights; `r2` of both together against the mean, `rows` that were pooled."""

    weight: Weight
    r2: float
    rows: int


class TooLittleData(ValueError):
    """Not enough rows, or rows that cannot tell the two weights apart; the text names the horizon."""


class Row(msgspec.Struct, frozen=True, array_like=True):
    """What was known at one settlement, and the mean carry a day that followed over the horizon."""

    now: float
    mean30: float
    realised: float


def rows_of(
    samples: Sequence[Sample], horizon_days: float, *, every_hours: float = SAMPLING_HOURS
) -> list[Row]:
    """Rows of one series: settlements with seven days behind and the horizon ahead, `every_hours` apart."""
    ends = [sample.end_ms for sample in samples]
    hours = [0.0, *accumulate(sample.hours for sample in samples)]
    paid = [0.0, *accumulate(sample.daily * sample.hours for sample in samples)]

    def mean(start: int, stop: int) -> float:
        return (paid[stop] - paid[start]) / (hours[stop] - hours[start])

    horizon_hours = horizon_days * 24.0
    apart_ms = int(every_hours * MS_PER_HOUR) - MS_PER_MINUTE
    last_ms: int | None = None
    rows: list[Row] = []
    for index in range(NOW_SETTLEMENTS - 1, len(samples)):
        if last_ms is not None and ends[index] - last_ms < apart_ms:
            continue
        here = index + 1
        month = bisect.bisect_right(ends, ends[index] - MEAN_DAYS * MS_PER_DAY)
        ahead = bisect.bisect_right(ends, ends[index] + horizon_days * MS_PER_DAY + JITTER_MS)
        if hours[here] - hours[month] < HISTORY_DAYS_MIN * 24.0:
            continue
        if hours[ahead] - hours[here] < COVERED_MIN * horizon_hours:
            continue
        last_ms = ends[index]
        rows.append(Row(mean(here - NOW_SETTLEMENTS, here), mean(month, here), mean(here, ahead)))
    return rows


def fit(rows: Sequence[Row], horizon_days: float) -> Fit:
    """Weights of one horizon by the normal equations. Raises `TooLittleData`."""
    if len(rows) < ROWS_MIN:
        raise TooLittleData(f"{horizon_days:g} days: {len(rows)} rows, at least {ROWS_MIN} are needed")
    nn = sum(row.now * row.now for row in rows)
    mm = sum(row.mean30 * row.mean30 for row in rows)
    nm = sum(row.now * row.mean30 for row in rows)
    ny = sum(row.now * row.realised for row in rows)
    my = sum(row.mean30 * row.realised for row in rows)
    determinant = nn * mm - nm * nm
    if determinant <= 1e-9 * nn * mm:
        raise TooLittleData(
            f"{horizon_days:g} days: now and mean30 move together, their weights cannot be told"
        )
    w_now, w_mean = (ny * mm - my * nm) / determinant, (my * nn - ny * nm) / determinant
    centre = sum(row.realised for row in rows) / len(rows)
    total = sum((row.realised - centre) ** 2 for row in rows)
    left = sum((row.realised - w_now * row.now - w_mean * row.mean30) ** 2 for row in rows)
    r2 = 1.0 - left / total if total > 0 else 1.0
    return Fit(weight=Weight(horizon_days, w_now, w_mean), r2=r2, rows=len(rows))


def calibrate(
    series: Iterable[Sequence[Sample]], horizons_days: Sequence[float] = HORIZONS_DAYS
) -> tuple[Fit, ...]:
    """One fit per horizon over all series (`settled_samples` of each). Raises `TooLittleData`."""
    known = [list(samples) for samples in series]
    return tuple(
        fit([row for samples in known for row in rows_of(samples, horizon)], horizon)
        for horizon in horizons_days
    )


def weights_of(fits: Iterable[Fit]) -> Weights:
    """The table that `libs.carry.expected` takes."""
    return tuple(sorted((found.weight for found in fits), key=lambda weight: weight.horizon_days))
