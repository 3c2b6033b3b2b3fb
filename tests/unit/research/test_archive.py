from __future__ import annotations

import math
import threading
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.research.archive import BAR_COLUMNS, FUNDING_COLUMNS, Archive, ArchiveError
from libs.research.layout import Bar, FundingPrint, Kind, SeriesKey, path_of, slot_of

FUNDING = SeriesKey(Kind.FUNDING, "binance", "BTCUSDT")
SPOT = SeriesKey(Kind.SPOT, "okx", "BTC/USDT")
T0 = 1_760_054_400_000
PRINTS = [
    FundingPrint(T0 + at * 28_800_000 + at, 0.0001 * at, 8.0, None if at % 2 else 100.0, bool(at % 3))
    for at in range(6)
]
BARS = [Bar(T0 + at * 60_000, 1.0, 2.0, 0.5, 1.5, None if at % 2 else 3.0) for at in range(6)]

RATES = st.floats(-0.04, 0.04, allow_nan=False)
PRICES = st.floats(1e-9, 1e9)
TIMES = st.lists(st.integers(T0, T0 + 10**9), min_size=1, max_size=30, unique_by=slot_of).map(sorted)


@settings(max_examples=25, derandomize=True, deadline=None)
@given(times=TIMES, data=st.data())
def test_prints_come_back_as_they_went_in(
    tmp_path_factory: pytest.TempPathFactory, times: list[int], data: st.DataObject
) -> None:
    rows = [
        FundingPrint(
            ts_ms,
            data.draw(RATES),
            data.draw(st.sampled_from([1.0, 2.0, 4.0, 6.0, 8.0])),
            data.draw(st.none() | PRICES),
            data.draw(st.booleans()),
        )
        for ts_ms in times
    ]
    archive = Archive(tmp_path_factory.mktemp("a"))
    archive.write({FUNDING: rows})
    assert archive.read_funding(FUNDING) == rows


@settings(max_examples=25, derandomize=True, deadline=None)
@given(times=TIMES, data=st.data())
def test_bars_come_back_as_they_went_in(
    tmp_path_factory: pytest.TempPathFactory, times: list[int], data: st.DataObject
) -> None:
    draw = data.draw
    rows = [
        Bar(ts_ms, draw(PRICES), draw(PRICES), draw(PRICES), draw(PRICES), draw(st.none() | PRICES))
        for ts_ms in times
    ]
    archive = Archive(tmp_path_factory.mktemp("a"))
    archive.write({SPOT: rows})
    assert archive.read_bars(SPOT) == rows


def test_the_files_have_the_columns_of_the_contract(tmp_path: Path) -> None:
    Archive(tmp_path).write({FUNDING: PRINTS, SPOT: BARS})
    assert tuple(pq.read_table(path_of(tmp_path, FUNDING), partitioning=None).column_names) == FUNDING_COLUMNS
    assert tuple(pq.read_table(path_of(tmp_path, SPOT), partitioning=None).column_names) == BAR_COLUMNS
    assert (tmp_path / "kind=funding/venue=binance/symbol=BTCUSDT.parquet").is_file()
    assert (tmp_path / "kind=spot/venue=okx/symbol=BTC%2FUSDT.parquet").is_file()


def test_a_range_has_its_start_and_not_its_end(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    archive.write({FUNDING: PRINTS, SPOT: BARS})
    assert archive.read_funding(FUNDING, PRINTS[1].ts_ms, PRINTS[4].ts_ms) == PRINTS[1:4]
    assert archive.read_bars(SPOT, from_ms=BARS[3].ts_ms) == BARS[3:]
    assert archive.read_bars(SPOT, to_ms=BARS[3].ts_ms) == BARS[:3]
    assert archive.read_bars(SPOT, from_ms=T0 + 10**12) == []


def test_series_are_listed_in_a_stable_order_by_kind(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    other = SeriesKey(Kind.FUNDING, "binance", "AAVE")
    archive.write({SPOT: BARS, FUNDING: PRINTS, other: PRINTS})
    (tmp_path / "notes.txt").write_text("mine")
    assert archive.series() == [other, FUNDING, SPOT]
    assert archive.series("funding") == [other, FUNDING]
    assert archive.series(Kind.MARK) == []
    assert Archive(tmp_path / "nowhere").series() == []


def test_a_summary_counts_rows_bounds_and_intervals(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    archive.write({FUNDING: [*PRINTS, FundingPrint(T0 + 10**9, 0.0, 1.0)]})
    summary = archive.summary(FUNDING)
    assert (summary.rows, summary.from_ms, summary.to_ms) == (7, T0, T0 + 10**9)
    assert summary.intervals == {1.0: 1, 8.0: 6}


def test_the_data_hash_is_of_the_values_alone(tmp_path: Path) -> None:
    one, two = Archive(tmp_path / "1"), Archive(tmp_path / "2")
    one.write({FUNDING: PRINTS, SPOT: BARS})
    two.write({SPOT: BARS})
    two.write({FUNDING: PRINTS})
    path = path_of(two.root, FUNDING)
    pq.write_table(pq.read_table(path, partitioning=None), path, compression="snappy", row_group_size=2)
    assert one.data_hash() == two.data_hash()
    assert one.data_hash([SPOT]) != one.data_hash()
    for changed in (
        [*PRINTS[:-1], FundingPrint(PRINTS[-1].ts_ms, PRINTS[-1].rate + 1e-15, 8.0, None, derived=True)],
        PRINTS[:-1],
    ):
        two.write({FUNDING: changed})
        assert one.data_hash() != two.data_hash()


def test_a_write_that_fails_leaves_every_series_as_it_was(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    archive.write({FUNDING: PRINTS})
    (tmp_path / "kind=spot").write_text("in the way")
    with pytest.raises(ArchiveError, match="cannot write"):
        archive.write({FUNDING: PRINTS[:1], SPOT: BARS})
    assert archive.read_funding(FUNDING) == PRINTS
    assert list(tmp_path.rglob("*.tmp")) == []


def test_rows_of_the_wrong_kind_are_a_bug_and_nothing_is_written(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    with pytest.raises(TypeError, match="rows of another kind"):
        archive.write({FUNDING: BARS})
    assert archive.series() == []
    assert list(tmp_path.rglob("*.tmp")) == []


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    archive.write({FUNDING: PRINTS, SPOT: BARS})
    path = path_of(tmp_path, FUNDING)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(ArchiveError, match=r"symbol=BTCUSDT\.parquet cannot be read"):
        archive.read_funding(FUNDING)
    pq.write_table(pa.table({"ts_ms": [1], "open": ["a"]}), path_of(tmp_path, SPOT))
    with pytest.raises(ArchiveError, match="cannot be read"):
        archive.read_bars(SPOT)
    with pytest.raises(ArchiveError, match="holds no series funding okx BTC"):
        archive.read_funding(SeriesKey(Kind.FUNDING, "okx", "BTC"))


def test_a_daily_rate_follows_the_interval() -> None:
    assert math.isclose(FundingPrint(T0, 0.0001, 8.0).daily, 0.0003)
    assert math.isclose(FundingPrint(T0, 0.0001, 1.0).daily, 0.0024)


def test_a_reader_never_finds_a_series_missing_or_half(tmp_path: Path) -> None:
    archive, stop = Archive(tmp_path), threading.Event()
    archive.write({SPOT: BARS})

    def keep_writing() -> None:
        while not stop.is_set():
            archive.write({SPOT: BARS})

    writer = threading.Thread(target=keep_writing)
    writer.start()
    try:
        assert all(archive.read_bars(SPOT) == BARS for _ in range(300))
    finally:
        stop.set()
        writer.join()
