from __future__ import annotations

import csv
import gzip
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.research.archive import Archive
from libs.research.layout import Kind
from libs.research.sources import ImportRefused
from tests.unit.research.files import (
    BARS,
    FUNDING,
    GOOD,
    GOOD_BAR,
    H8,
    T0,
    bar,
    parquet,
    row,
    take,
    write,
)


def truncated(folder: Path) -> Path:
    path = parquet(folder)
    path.write_bytes(path.read_bytes()[:-30])
    return path


T1 = T0 + H8
# what is wrong -> (file, kind, what the refusal must say: row, column, reason or remedy)
HOSTILE: dict[str, tuple[str | bytes | Callable[[Path], Path], Kind, str]] = {
    "no bytes": ("", Kind.FUNDING, r"in\.csv: the file is empty"),
    "only a header": (FUNDING, Kind.FUNDING, r"holds no rows"),
    "an empty header": ("\n" + GOOD, Kind.FUNDING, r"must name the columns"),
    "semicolons": (
        (FUNDING + GOOD).replace(",", ";").replace("0.0001", "0,0001"),
        Kind.FUNDING,
        r"in\.csv: the columns are separated by semicolons; save it with commas .* decimal points",
    ),
    "semicolons and a comma in a name": (
        "venue;symbol;ts_ms;rate;note, free\n",
        Kind.FUNDING,
        r"separated by semicolons",
    ),
    "tabs": (FUNDING.replace(",", "\t"), Kind.FUNDING, r"separated by tabs; save it with commas"),
    "only blank lines": (FUNDING + "\n\n", Kind.FUNDING, r"holds no rows"),
    "a bad row after blank lines": (
        FUNDING + "\n" + GOOD + "\n , ,,,\n" + f"binance,BTCUSDT,{T1},nan,8\n",
        Kind.FUNDING,
        r"row 5, column rate: nan",
    ),
    "no rate column": (
        "venue,symbol,ts_ms\nbinance,B,1\n",
        Kind.FUNDING,
        r"column rate: the column is missing",
    ),
    "a misspelt column": (FUNDING.replace("ts_ms", "ts_msec") + GOOD, Kind.FUNDING, r"'ts_msec' is near"),
    "a column twice by another case": (
        FUNDING.strip() + ",Rate\n",
        Kind.FUNDING,
        r"column Rate: this column is there twice",
    ),
    "a column twice": (FUNDING.strip() + ",rate\n", Kind.FUNDING, r"column rate: this column is there twice"),
    "bars as funding": (BARS + GOOD_BAR, Kind.FUNDING, r"looks like bars: --kind spot"),
    "funding as bars": (FUNDING + GOOD, Kind.SPOT, r"looks like funding: --kind funding"),
    "a cell too few": (
        row(f"binance,BTCUSDT,{T1},0.1"),
        Kind.FUNDING,
        r"row 2: has 4 cells .* 5; is the file cut",
    ),
    "a cell too many": (row(f"binance,BTCUSDT,{T1},0.1,8,9"), Kind.FUNDING, r"row 2: has 6 cells"),
    "a file cut in a quote": (FUNDING + 'binance,"BTC', Kind.FUNDING, r"cannot be read to its end"),
    "latin-1": (row(f"b\xefnance,X,{T1},0.1,8").encode("latin-1"), Kind.FUNDING, r"CSV|read to its end"),
    "a binary": (b"\x00\xff\xfe" * 50, Kind.FUNDING, r"no readable CSV|missing"),
    "nan": (row(f"binance,BTCUSDT,{T1},nan,8"), Kind.FUNDING, r"row 2, column rate: nan is not finite"),
    "inf": (row(f"binance,BTCUSDT,{T1},-inf,8"), Kind.FUNDING, r"row 2, column rate: -inf is not finite"),
    "no rate": (row(f"binance,BTCUSDT,{T1},,8"), Kind.FUNDING, r"row 2, column rate: is empty"),
    "text as rate": (
        row(f"binance,BTCUSDT,{T1},n/a,8"),
        Kind.FUNDING,
        r"row 2, column rate: 'n/a' is no number",
    ),
    "per cent sign": (
        row(f"binance,BTCUSDT,{T1},0.01%,8"),
        Kind.FUNDING,
        r"column rate: '0\.01%' is no number",
    ),
    "decimal comma": (
        row(f'binance,BTCUSDT,{T1},"0,01",8'),
        Kind.FUNDING,
        r"'0,01' is no number; use digits and a",
    ),
    "underscores": (row(f"binance,BTCUSDT,{T1},0.000_1,8"), Kind.FUNDING, r"is no number"),
    "an absurd rate": (
        row(f"binance,BTCUSDT,{T1},1.8e9,8"),
        Kind.FUNDING,
        r"100 % or more .* write a fraction",
    ),
    "seconds": (
        row(f"binance,BTCUSDT,{T1 // 1000},0.1,8"),
        Kind.FUNDING,
        r"row 2, column ts_ms: .* multiply by 1000",
    ),
    "microseconds": (
        row(f"binance,BTCUSDT,{T1 * 1000},0.1,8"),
        Kind.FUNDING,
        r"microseconds; divide by 1000",
    ),
    "nanoseconds": (
        row(f"binance,BTCUSDT,{T1 * 10**6},0.1,8"),
        Kind.FUNDING,
        r"nanoseconds; divide by 1000000",
    ),
    "a negative stamp": (
        row("binance,BTCUSDT,-5,0.1,8"),
        Kind.FUNDING,
        r"column ts_ms: -5: a stamp before 1970",
    ),
    "year 0": (row("binance,BTCUSDT,0,0.1,8"), Kind.FUNDING, r"outside 2009\.\.2100"),
    "a huge stamp": (row(f"binance,BTCUSDT,{'9' * 400},0.1,8"), Kind.FUNDING, r"outside 2009\.\.2100"),
    "a date": (row("binance,BTCUSDT,2025-10-10 00:00,0.1,8"), Kind.FUNDING, r"is a date; UTC milliseconds"),
    "half a millisecond": (row(f"binance,BTCUSDT,{T1}.5,0.1,8"), Kind.FUNDING, r"has a fraction"),
    "no stamp": (row("binance,BTCUSDT,,0.1,8"), Kind.FUNDING, r"row 2, column ts_ms: is empty"),
    "no venue": (
        row(f",BTCUSDT,{T1},0.1,8"),
        Kind.FUNDING,
        r"row 2, column venue: a venue's name is missing",
    ),
    "a path as venue": (row(f"../../etc,BTCUSDT,{T1},0.1,8"), Kind.FUNDING, r"is no venue name"),
    "no symbol": (row(f"binance, ,{T1},0.1,8"), Kind.FUNDING, r"row 2, column symbol: a symbol is missing"),
    "a control character": (
        row(f"binance,B\x07,{T1},0.1,8"),
        Kind.FUNDING,
        r"column symbol: 'B\\x07' is no symbol",
    ),
    "an endless symbol": (row(f"binance,{'B' * 500},{T1},0.1,8"), Kind.FUNDING, r"at most 64 visible"),
    "interval 0": (
        row(f"binance,BTCUSDT,{T1},0.1,0"),
        Kind.FUNDING,
        r"column interval_h: 0 is no funding interval",
    ),
    "interval in ms": (row(f"binance,BTCUSDT,{T1},0.1,28800000"), Kind.FUNDING, r"is no funding interval"),
    "interval as text": (
        row(f"binance,BTCUSDT,{T1},0.1,8h"),
        Kind.FUNDING,
        r"column interval_h: '8h' is no number",
    ),
    "a contradiction": (
        row(f"binance,BTCUSDT,{T0 + 5},0.2,8"),
        Kind.FUNDING,
        r"row 2, column rate: .* disagrees with row 1: rate 0\.2 against 0\.0001; keep one",
    ),
    "one print alone": (
        f"venue,symbol,ts_ms,rate\nbinance,BTCUSDT,{T0},0.1\n",
        Kind.FUNDING,
        r"add a column interval_h or give --interval-hours",
    ),
    "high below low": (bar("1,1,2,1,0"), Kind.SPOT, r"row 2, column high: 1 is below low 2; are the columns"),
    "close above high": (bar("1,2,1,3,0"), Kind.SPOT, r"column high: 2 is below open or close 3"),
    "open below low": (bar("1,3,2,3,0"), Kind.SPOT, r"column low: 2 is above open or close 1"),
    "price 0": (bar("0,2,0,1,0"), Kind.SPOT, r"column open: 0 is no price"),
    "price negative": (bar("1,2,-1,1,0"), Kind.SPOT, r"column low: -1 is no price"),
    "volume negative": (bar("1,2,1,1,-1"), Kind.SPOT, r"column volume: -1 is negative"),
    "volume text": (bar("1,2,1,1,many"), Kind.SPOT, r"column volume: 'many' is no number"),
    "a bar twice": (
        BARS + GOOD_BAR + GOOD_BAR.replace("1.5", "1.6"),
        Kind.SPOT,
        r"row 2, column close: .* row 1",
    ),
    "an unknown contract": (
        "venue,pair,contract,ts_ms,open,high,low,close\nokx,X,inverse," + f"{T0},1,1,1,1\n",
        Kind.PERP,
        r"row 1, column contract: 'inverse' is unknown; write spot, perpetual",
    ),
    "only the other contract": (
        "venue,pair,contract,ts_ms,open,high,low,close\nokx,X,spot," + f"{T0},1,1,1,1\n",
        Kind.PERP,
        r"none of its 1 rows is of --kind perp",
    ),
    "parquet cut off": (truncated, Kind.FUNDING, r"in\.parquet: is no readable Parquet"),
    "parquet in name only": (
        lambda folder: write(folder, GOOD, "in.parquet"),
        Kind.FUNDING,
        r"no readable Parquet",
    ),
    "parquet with dates": (
        lambda folder: parquet(folder, ts_ms=pa.array([T0], type=pa.timestamp("ms"))),
        Kind.FUNDING,
        r"row 1, column ts_ms: is a datetime; UTC milliseconds",
    ),
    "parquet with booleans": (
        lambda folder: parquet(folder, rate=[True]),
        Kind.FUNDING,
        r"column rate: is a bool",
    ),
    "parquet with nulls": (
        lambda folder: parquet(folder, rate=pa.array([None], type=pa.float64())),
        Kind.FUNDING,
        r"row 1, column rate: is empty",
    ),
    "parquet with nan": (
        lambda folder: parquet(folder, rate=[float("nan")]),
        Kind.FUNDING,
        r"column rate: nan is not",
    ),
    "parquet with numbers as symbols": (
        lambda folder: parquet(folder, symbol=[5]),
        Kind.FUNDING,
        r"column symbol",
    ),
    "gzip cut off": (
        lambda folder: write(folder, gzip.compress(b"venue,symbol," * 99)[:-9], "in.csv.gz"),
        Kind.FUNDING,
        r"in\.csv\.gz: is no readable CSV",
    ),
    "an unknown suffix": (lambda folder: write(folder, GOOD, "in.xlsx"), Kind.FUNDING, r"neither \.csv"),
    "a folder": (lambda folder: folder, Kind.FUNDING, r"is a folder; name the files in it"),
    "no file": (lambda folder: folder / "none.csv", Kind.FUNDING, r"there is no such file"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_bad_file_is_refused_in_one_line_and_nothing_is_written(case: str, tmp_path: Path) -> None:
    content, kind, says = HOSTILE[case]
    fine = FUNDING + GOOD if kind is Kind.FUNDING else BARS + GOOD_BAR
    good = write(tmp_path, fine.replace("BTC", "ETH"), "good.csv")
    bad = content(tmp_path) if callable(content) else write(tmp_path, content)
    with pytest.raises(ImportRefused, match=says) as refusal:
        take(tmp_path, good, bad, kind=kind)
    assert "\n" not in str(refusal.value)
    assert Archive(tmp_path / "archive").series() == []


def test_there_are_enough_bad_files() -> None:
    assert len(HOSTILE) >= 40


@settings(max_examples=40, derandomize=True, deadline=None)
@given(text=st.text(alphabet=st.characters(codec="utf-8"), max_size=300) | st.binary(max_size=300).map(repr))
def test_no_text_at_all_gets_past_in_any_other_way_than_refusal(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    folder = tmp_path_factory.mktemp("f")
    with pytest.raises(ImportRefused):
        take(folder, write(folder, text))


@settings(max_examples=150, derandomize=True, deadline=None)
@given(
    cells=st.lists(
        st.text(max_size=12) | st.sampled_from(["binance", str(T0), "0.1", "8"]), min_size=5, max_size=5
    )
)
def test_any_row_is_taken_whole_or_refused_with_its_place(
    tmp_path_factory: pytest.TempPathFactory, cells: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("f")
    with (folder / "in.csv").open("w", newline="", encoding="utf-8") as handle:
        csv.writer(handle).writerows([FUNDING.strip().split(","), cells])
    try:
        take(folder, folder / "in.csv", interval_hours=8.0)
        said = ""
    except ImportRefused as refusal:
        said = str(refusal)
    taken = Archive(folder / "archive").series()
    if not any(cell.strip() for cell in cells):
        assert "holds no rows" in said
    elif said:
        assert said.startswith(("in.csv, row 1, column ", "in.csv, row 1: ")) or "CSV" in said
        assert taken == []
    else:
        written = (cells[0].lstrip(" ").lower(), cells[1].lstrip(" "))
        assert [(key.venue, key.symbol) for key in taken] == [written]
