from __future__ import annotations

import random
from pathlib import Path

import pytest

from libs.research.archive import Archive
from libs.research.calibrate import CalibrationError, calibrate_archive, fit_horizon, samples_of
from libs.research.layout import FundingPrint, Kind, SeriesKey

H8 = 28_800_000
T0 = 1_760_054_400_000


def fading(*, seed: int, days: int, keep: float, level: float = 0.0002) -> list[FundingPrint]:
    """Rates that return to a level: each is `keep` of the distance before, and some noise."""
    chance = random.Random(seed)  # noqa: S311 - seeded on purpose
    distance, prints = 0.0, []
    for at in range(days * 3):
        distance = keep * distance + chance.gauss(0.0, 0.0001)
        prints.append(FundingPrint(T0 + at * H8, level + distance, 8.0))
    return prints


def archive_of(folder: Path, *series: list[FundingPrint]) -> Archive:
    archive = Archive(folder)
    archive.write({SeriesKey(Kind.FUNDING, "binance", f"S{at}"): rows for at, rows in enumerate(series)})
    return archive


def test_what_lasts_longer_has_the_larger_weight_and_all_fade_with_the_horizon(tmp_path: Path) -> None:
    slow = calibrate_archive(
        archive_of(tmp_path / "s", *(fading(seed=s, days=300, keep=0.98) for s in range(4)))
    )
    fast = calibrate_archive(
        archive_of(tmp_path / "f", *(fading(seed=s, days=300, keep=0.5) for s in range(4)))
    )
    assert [fit.horizon_days for fit in slow] == [1.0, 3.0, 7.0, 14.0, 30.0]
    assert all(s.w_now > f.w_now for s, f in zip(slow, fast, strict=True))
    assert slow[0].w_now > slow[2].w_now > slow[4].w_now
    assert all(fit.r2_both >= fit.r2_alone - 1e-12 for fit in (*slow, *fast))
    assert all(fit.series == 4 for fit in slow)


def test_a_constant_rate_is_explained_by_itself() -> None:
    samples = samples_of([FundingPrint(T0 + at * H8, 0.0001 * (1 + at // 400), 8.0) for at in range(800)])
    fit = fit_horizon([samples], 1.0)
    assert fit.slope_alone == pytest.approx(1.0, abs=0.01)
    assert fit.r2_both > 0.95
    assert fit.top_now == pytest.approx(0.0006)
    assert fit.top_realised == pytest.approx(0.0006)


def test_a_negative_rate_counts_in_the_direction_that_receives_it() -> None:
    samples = samples_of(
        [FundingPrint(T0 + at * H8, -0.001 if at < 100 else 0.0001, 8.0) for at in range(500)]
    )
    fit = fit_horizon([samples], 1.0)
    assert fit.top_now == pytest.approx(0.003)
    assert fit.top_realised > 0.002


def test_too_little_is_said(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match="holds no funding series"):
        calibrate_archive(Archive(tmp_path))
    with pytest.raises(CalibrationError, match=r"too little data .* 1 days: 0 rows"):
        calibrate_archive(archive_of(tmp_path / "a", fading(seed=1, days=5, keep=0.9)))
