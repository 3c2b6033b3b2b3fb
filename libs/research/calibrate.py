"""How long a funding rate lasts, measured in an archive: the figures behind the expected carry.

`libs.carry.calibrate` knows what a row is (the last three settlements, the trailing thirty days, what was
realised afterwards) and fits it; here the archive is read and the table of the economics page made. Every
series is sampled each 8 h, so an hourly venue does not speak eight times as often as an 8 h one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec

from libs.carry.calibrate import HORIZONS_DAYS, Row, TooLittleData, fit, rows_of
from libs.carry.funding import Sample, settled_samples
from libs.common.messages import Settlement
from libs.research.archive import Archive
from libs.research.layout import FundingPrint, Kind, slot_of

TOP_SHARE: Final = 0.05


class CalibrationError(Exception):
    """The archive does not hold enough to calibrate from; one line."""


class HorizonFit(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the table: mean daily carry of the next `horizon_days`, regressed on what was known.

    `slope_alone`, `r2_alone`: on `now` alone; `w_now`, `w_mean`, `r2_both`: on `now` and `mean30` together,
    without an intercept. `top_now` -> `top_realised`: the 5 % of rows with the largest |now|, in the
    direction that receives it, as fractions a day.
    """

    horizon_days: float
    rows: int
    series: int
    slope_alone: float
    r2_alone: float
    w_now: float
    w_mean: float
    r2_both: float
    top_now: float
    top_realised: float


def calibrate_archive(
    archive: Archive,
    *,
    horizons_days: Sequence[float] = HORIZONS_DAYS,
    progress: Callable[[str], None] = lambda _text: None,
) -> list[HorizonFit]:
    """The table over all funding series of an archive. Raises `CalibrationError`, `ArchiveError`."""
    keys = archive.series(Kind.FUNDING)
    if not keys:
        raise CalibrationError(f"{archive.root} holds no funding series to calibrate from")
    samples: list[list[Sample]] = []
    for number, key in enumerate(keys, start=1):
        samples.append(samples_of(archive.read_funding(key)))
        progress(f"read {number} of {len(keys)} series")
    fits: list[HorizonFit] = []
    for horizon in horizons_days:
        fits.append(fit_horizon(samples, horizon))
        progress(f"fitted {horizon:g} days")
    return fits


def samples_of(prints: Iterable[FundingPrint]) -> list[Sample]:
    """Settled carry of a spot-long, perp-short pair: the instrument's own funding."""
    settled = [
        Settlement(settled_ms=slot_of(p.ts_ms), rate=p.rate, interval_hours=p.interval_hours) for p in prints
    ]
    return settled_samples(None, settled)


def fit_horizon(series: Iterable[Sequence[Sample]], horizon_days: float) -> HorizonFit:
    """One line of the table. Raises `CalibrationError`."""
    rows: list[Row] = []
    used = 0
    for samples in series:
        found = rows_of(samples, horizon_days)
        used += bool(found)
        rows += found
    try:
        both = fit(rows, horizon_days)
    except TooLittleData as error:
        raise CalibrationError(f"too little data to calibrate from: {error}") from error
    slope, r2 = _alone(rows)
    top_now, top_realised = _top(rows)
    return HorizonFit(
        horizon_days=horizon_days,
        rows=both.rows,
        series=used,
        slope_alone=slope,
        r2_alone=r2,
        w_now=both.weight.now,
        w_mean=both.weight.mean,
        r2_both=both.r2,
        top_now=top_now,
        top_realised=top_realised,
    )


def _alone(rows: Sequence[Row]) -> tuple[float, float]:
    """Slope through the origin and R2 (against the mean) of what was realised on `now`."""
    slope = sum(row.now * row.realised for row in rows) / sum(row.now * row.now for row in rows)
    centre = sum(row.realised for row in rows) / len(rows)
    total = sum((row.realised - centre) ** 2 for row in rows)
    left = sum((row.realised - slope * row.now) ** 2 for row in rows)
    return slope, 1.0 - left / total if total > 0 else 1.0


def _top(rows: Sequence[Row]) -> tuple[float, float]:
    """Mean of |now|, and of what the same direction realised, over the rows with the largest |now|."""
    count = max(1, int(len(rows) * TOP_SHARE))
    top = sorted(rows, key=lambda row: -abs(row.now))[:count]
    realised = sum(row.realised if row.now > 0 else -row.realised for row in top)
    return sum(abs(row.now) for row in top) / count, realised / count
