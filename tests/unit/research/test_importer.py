from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from libs.research.archive import Archive
from libs.research.layout import Bar, FundingPrint, Kind, SeriesKey
from libs.research.sources import ImportRefused
from tests.unit.research.files import (
    FUNDING,
    GOOD,
    H8,
    KEY,
    T0,
    parquet,
    row,
    take,
    write,
)

T1 = T0 + H8


def test_a_refused_file_leaves_the_archive_as_it_was(tmp_path: Path) -> None:
    take(tmp_path, write(tmp_path, FUNDING + GOOD))
    before = Archive(tmp_path / "archive").data_hash()
    with pytest.raises(ImportRefused):
        take(tmp_path, write(tmp_path, row(f"binance,BTCUSDT,{T1},nan,8")))
    assert Archive(tmp_path / "archive").data_hash() == before


def test_names_and_cells_are_taken_as_sources_write_them(tmp_path: Path) -> None:
    text = (
        "\ufeffgap_h, mark_price ,interval_hours,rate,ts_ms,pair,venue\n"
        f"8,,8, 1e-4 ,{T0}.0,BTCUSDT,binance\n"
        f'8,"101.5",,-0.0002,{T1 + 431},BTCUSDT,binance\n'
    )
    report = take(tmp_path, write(tmp_path, gzip.compress(text.encode()), "in.csv.gz"))
    assert report.ignored == ("gap_h",)
    assert Archive(tmp_path / "archive").read_funding(KEY) == [
        FundingPrint(T0, 0.0001, 8.0),
        FundingPrint(T1 + 431, -0.0002, 8.0, 101.5, derived=True),
    ]


TIDY = FUNDING + GOOD + GOOD.replace(str(T0), str(T1)).replace("0.0001", "0.0002")


@pytest.mark.parametrize(
    "text",
    [
        TIDY + "\n\n",
        TIDY.replace(GOOD, GOOD + "\n  \n,,,,\n"),
        TIDY.replace("\n", "\r\r\n"),
        TIDY.replace(",", ", "),
        TIDY.replace(",", " , "),
        TIDY.replace(FUNDING, 'Venue, SYMBOL ,"Ts_MS",  "rate",Interval_H\n'),
        "\ufeff" + TIDY,
        "\ufeff" + TIDY.replace("venue", '"Venue"').replace("\n", "\r\n"),
        TIDY.replace("binance", "Binance", 1),
    ],
    ids=[
        "trailing",
        "between",
        "doubled line ends",
        "spaces",
        "spaces on both sides",
        "capitals",
        "BOM",
        "BOM and quotes",
        "a venue",
    ],
)
def test_what_other_programs_leave_in_a_csv_does_no_harm(tmp_path: Path, text: str) -> None:
    report = take(tmp_path, write(tmp_path, text))
    assert (report.rows_read, report.ignored) == (2, ())
    archive = Archive(tmp_path / "archive")
    assert archive.series() == [KEY]
    assert archive.read_funding(KEY) == [FundingPrint(T0, 0.0001, 8.0), FundingPrint(T1, 0.0002, 8.0)]


def test_venues_are_lower_case_whatever_the_file_and_the_option_say(tmp_path: Path) -> None:
    path = parquet(tmp_path, venue=["Binance"])
    take(tmp_path, path, write(tmp_path, FUNDING + GOOD), venues=frozenset({"BINANCE"}))
    assert Archive(tmp_path / "archive").series() == [KEY]


@pytest.mark.parametrize(
    "text",
    [
        FUNDING,
        row("binance,BTCUSDT,1,0.1,8"),
        f"venue,symbol,ts_ms,rate\nbinance,BTCUSDT,{T0},0.1\n",
    ],
    ids=["no rows", "a bad stamp", "no interval to be had"],
)
def test_a_refused_import_leaves_no_archive_behind(tmp_path: Path, text: str) -> None:
    with pytest.raises(ImportRefused):
        take(tmp_path, write(tmp_path, text))
    assert not (tmp_path / "archive").exists()
    (tmp_path / "archive").mkdir()
    with pytest.raises(ImportRefused):
        take(tmp_path, write(tmp_path, text))
    assert list((tmp_path / "archive").iterdir()) == []


def test_an_empty_interval_of_a_pandas_file_is_nan_and_derived(tmp_path: Path) -> None:
    path = parquet(
        tmp_path,
        venue=["binance"] * 3,
        symbol=["BTCUSDT"] * 3,
        ts_ms=[T0, T0 + H8 // 2, T0 + H8],
        rate=[0.1] * 3,
        interval_h=[float("nan")] * 3,
    )
    take(tmp_path, path)
    assert [print_.interval_hours for print_ in Archive(tmp_path / "archive").read_funding(KEY)] == [4.0] * 3


def test_duplicates_that_agree_are_counted_and_kept_once(tmp_path: Path) -> None:
    report = take(tmp_path, write(tmp_path, FUNDING + GOOD + GOOD.replace(str(T0), str(T0 + 700))))
    assert (report.total("added"), report.total("duplicates")) == (1, 1)
    assert Archive(tmp_path / "archive").read_funding(KEY) == [FundingPrint(T0, 0.0001, 8.0)]


def test_overlapping_imports_join_and_the_same_again_changes_nothing(tmp_path: Path) -> None:
    one = write(tmp_path, row(f"binance,BTCUSDT,{T1},0.0002,8"), "1.csv")
    two = write(
        tmp_path, FUNDING + f"binance,BTCUSDT,{T1},0.0002,8\nbinance,BTCUSDT,{T1 + H8},0.0003,8\n", "2.csv"
    )
    take(tmp_path, one)
    assert take(tmp_path, two).series[0].rows == 3
    archive = Archive(tmp_path / "archive")
    files = {path: path.stat().st_mtime_ns for path in archive.root.rglob("*.parquet")}
    report = take(tmp_path, one, two)
    assert (report.total("added"), report.total("same"), report.total("duplicates")) == (0, 3, 1)
    assert files == {path: path.stat().st_mtime_ns for path in archive.root.rglob("*.parquet")}


def test_a_contradiction_with_the_archive_needs_replace(tmp_path: Path) -> None:
    take(tmp_path, write(tmp_path, FUNDING + GOOD))
    other = write(tmp_path, FUNDING + GOOD.replace("0.0001", "0.0005"))
    with pytest.raises(ImportRefused, match=r"row 1, column rate: .* the archive: rate 0\.0005 .* --replace"):
        take(tmp_path, other)
    assert take(tmp_path, other, replace=True).total("replaced") == 1
    assert Archive(tmp_path / "archive").read_funding(KEY)[0].rate == 0.0005


def test_two_files_that_disagree_need_replace_and_the_later_wins(tmp_path: Path) -> None:
    one = write(tmp_path, FUNDING + GOOD, "1.csv")
    two = write(tmp_path, FUNDING + GOOD.replace("0.0001", "0.0005"), "2.csv")
    with pytest.raises(ImportRefused, match=r"2\.csv, row 1, column rate: .* disagrees with 1\.csv, row 1"):
        take(tmp_path, one, two)
    take(tmp_path, one, two, replace=True)
    assert Archive(tmp_path / "archive").read_funding(KEY)[0].rate == 0.0005


def test_a_file_that_contradicts_itself_is_refused_even_with_replace(tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match=r"keep one of them$"):
        take(tmp_path, write(tmp_path, FUNDING + GOOD + GOOD.replace("0.0001", "0.0005")), replace=True)


def test_a_set_of_both_contracts_gives_each_kind_its_rows(tmp_path: Path) -> None:
    text = (
        "venue,crypto,pair,contract,ts_ms,open,high,low,close,volume,rate\n"
        f"okx,bitcoin,BTC/USDT,spot,{T0},1,2,1,2,5,\n"
        f"okx,bitcoin,BTCUSDT,perpetual,{T0},1,2,1,2,5,0.0001\n"
        f"okx,bitcoin,BTCUSDT,perpetual,{T0 + H8},1,2,1,2,5,0.0002\n"
    )
    path = write(tmp_path, text)
    assert take(tmp_path, path, kind=Kind.SPOT).skipped == 2
    assert take(tmp_path, path, kind=Kind.PERP).skipped == 1
    assert take(tmp_path, path, kind=Kind.FUNDING).skipped == 1
    archive = Archive(tmp_path / "archive")
    assert [str(key) for key in archive.series()] == [
        "funding okx BTCUSDT",
        "perp okx BTCUSDT",
        "spot okx BTC/USDT",
    ]
    assert [row.interval_hours for row in archive.read_funding(archive.series()[0])] == [8.0, 8.0]
    assert archive.read_bars(archive.series()[2]) == [Bar(T0, 1.0, 2.0, 1.0, 2.0, 5.0)]


def test_venues_can_be_chosen_and_an_interval_given(tmp_path: Path) -> None:
    text = f"venue,symbol,ts_ms,rate\nbinance,BTCUSDT,{T0},0.1\nbybit,BTCUSDT,{T0},0.1\n"
    report = take(tmp_path, write(tmp_path, text), venues=frozenset({"bybit"}), interval_hours=4.0)
    assert (report.skipped, [str(item.key) for item in report.series]) == (1, ["funding bybit BTCUSDT"])
    with pytest.raises(ImportRefused, match=r"none of its 2 rows is of the venues wanted \(okx\)"):
        take(tmp_path, write(tmp_path, text), venues=frozenset({"okx"}))


def test_a_mark_needs_no_volume(tmp_path: Path) -> None:
    text = f"venue,symbol,ts_ms,open,high,low,close\nbinance,BTC,{T0},1,2,1,2\n"
    take(tmp_path, write(tmp_path, text), kind=Kind.MARK)
    assert Archive(tmp_path / "archive").read_bars(SeriesKey(Kind.MARK, "binance", "BTC")) == [
        Bar(T0, 1, 2, 1, 2)
    ]
