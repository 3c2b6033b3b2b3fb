"""The sample that ships: small, complete, and what the recordings say."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from services.venue import make_sample, recording
from tests.helpers.recordings import SHARED

DATA = recording.DATA


def test_the_sample_is_small_and_names_its_sources() -> None:
    files = [path for path in DATA.iterdir() if path.is_file() and path.suffix != ".pyc"]
    assert sum(path.stat().st_size for path in files) < 3_000_000
    notice = (DATA / "NOTICE.md").read_text(encoding="utf-8")
    assert all(f"`{path.name}`" in notice for path in files if path.suffix in (".parquet", ".json"))


def test_the_columns_are_those_of_the_notice() -> None:
    table = pq.read_table(DATA / "funding.parquet")
    assert table.column_names == ["venue", "symbol", "ts_ms", "rate", "interval_hours", "mark"]
    assert table["rate"].null_count == 0
    assert table["interval_hours"].null_count == 0


def test_series_are_ordered_with_plausible_intervals() -> None:
    for series in recording.load().series.values():
        assert list(series.stamps_ms) == sorted(set(series.stamps_ms))
        assert set(series.hours) <= {1.0, 2.0, 4.0, 8.0}


def hours(*gaps: int) -> list[float]:
    stamps = [0]
    for gap in gaps:
        stamps.append(stamps[-1] + gap * 3_600_000)
    return make_sample.intervals_of(stamps)


@pytest.mark.parametrize(
    ("gaps", "expected"),
    [
        ((8, 8, 8), [8, 8, 8, 8]),
        ((4, 4, 8, 4, 4), [4, 4, 4, 4, 4, 4]),  # one missing settlement
        ((8, 8, 1, 1, 1), [8, 8, 8, 1, 1, 1]),  # a change to one hour
        ((1, 1, 6, 8, 8), [1, 1, 1, 8, 8, 8]),  # back to eight, the first one off the grid
    ],
)
def test_intervals_come_from_the_gaps_around_a_settlement(
    gaps: tuple[int, ...], expected: list[float]
) -> None:
    assert hours(*gaps) == expected


@pytest.mark.data(make_sample.YEAR)
def test_rebuilding_the_sample_gives_the_same_rows(tmp_path: Path) -> None:
    make_sample.build(SHARED, tmp_path)
    for name in ("funding.parquet", "basis.parquet"):
        assert pq.read_table(tmp_path / name).equals(pq.read_table(DATA / name))
    for name in ("books.json", "filters.json"):
        assert (tmp_path / name).read_text(encoding="utf-8") == (DATA / name).read_text(encoding="utf-8")
