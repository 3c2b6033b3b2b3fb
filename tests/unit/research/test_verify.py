from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from libs.research.archive import Archive
from libs.research.layout import Bar, FundingPrint, Kind, SeriesKey, path_of
from libs.research.verify import Gap, IntervalChange, judge_bars, judge_funding, verify_archive

HOUR = 3_600_000
T0 = 1_760_054_400_000
KEY = SeriesKey(Kind.FUNDING, "binance", "BTCUSDT")
BARS = SeriesKey(Kind.PERP, "binance", "BTCUSDT")


def series(*steps: tuple[float, float], rate: float = 0.0001) -> list[FundingPrint]:
    """(hours since the print before, interval) of each print."""
    prints, at = [], T0
    for step, interval in steps:
        at += round(step * HOUR)
        prints.append(FundingPrint(at, rate, interval))
    return prints


def bars(*minutes: int) -> list[Bar]:
    return [Bar(T0 + minute * 60_000, 1.0, 1.0, 1.0, 1.0) for minute in minutes]


def test_a_whole_series_is_well() -> None:
    found = judge_funding(KEY, series(*[(8, 8)] * 9))
    assert found.ok
    assert (found.rows, found.gaps, found.interval_changes) == (9, 0, ())


def test_a_hole_is_what_no_print_covers() -> None:
    found = judge_funding(KEY, series((0, 8), (8, 8), (24, 8), (8, 8), (9, 1)))
    assert not found.ok
    assert (found.gaps, found.lacking_hours, found.lacking_rows) == (2, 24.0, 10)
    assert found.first_gaps[0] == Gap(from_ms=T0 + 8 * HOUR, to_ms=T0 + 32 * HOUR, lacking_hours=16.0)


def test_only_the_first_gaps_are_listed_and_all_counted() -> None:
    found = judge_funding(KEY, series(*[(221, 1), (1, 1)] * 9))
    assert (found.gaps, len(found.first_gaps), found.lacking_hours) == (8, 3, 8 * 220.0)


def test_interval_changes_are_told_and_no_fault() -> None:
    found = judge_funding(KEY, series((0, 8), (8, 8), (1, 1), (1, 1), (6, 6), (8, 8)))
    assert found.ok
    assert [(change.from_hours, change.to_hours) for change in found.interval_changes] == [
        (8, 1),
        (1, 6),
        (6, 8),
    ]
    assert found.interval_changes[0] == IntervalChange(ts_ms=T0 + 9 * HOUR, from_hours=8.0, to_hours=1.0)


def test_an_interval_that_stands_alone_is_a_hole_in_disguise() -> None:
    """Six Binance symbols of 4 h, 2026-06-24: one step of 8 h that the source calls an interval."""
    found = judge_funding(KEY, series((0, 4), (4, 4), (8, 8), (4, 4)))
    assert not found.ok
    assert "a missing settlement rather than a change" in found.first_implausible[0].text


def test_an_interval_longer_than_the_time_that_passed_is_a_contradiction() -> None:
    found = judge_funding(KEY, series((0, 8), (1, 8), (1, 1)))
    assert "interval 8 h, but 1 h after" in found.first_implausible[0].text


def test_jitter_is_measured_and_makes_no_gap() -> None:
    prints = [
        FundingPrint(T0 + at * 8 * HOUR + jitter, 0.0, 8.0) for at, jitter in enumerate((0, 999, -431, 0))
    ]
    found = judge_funding(KEY, prints)
    assert found.ok
    assert (found.jittered, found.jitter_ms_max) == (2, 999)


def test_duplicates_and_disorder_are_counted() -> None:
    prints = series((0, 8), (8, 8), (0, 8), (8, 8))
    assert judge_funding(KEY, prints).duplicates == 1
    swapped = [prints[1], prints[0], prints[3]]
    found = judge_funding(KEY, swapped)
    assert (found.disordered, found.gaps, found.ok) == (1, 0, False)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (FundingPrint(T0, 0.05, 8.0), "beyond the widest cap"),
        (FundingPrint(T0, -0.05, 8.0), "beyond the widest cap"),
        (FundingPrint(T0, float("nan"), 8.0), "rate nan"),
        (FundingPrint(T0, 0.0, 0.0), "interval 0"),
        (FundingPrint(T0, 0.0, float("inf")), "interval inf"),
        (FundingPrint(T0, 0.0, 8.0, mark=0.0), "mark 0"),
        (FundingPrint(T0, 0.0, 8.0, mark=-5.0), "mark -5"),
    ],
)
def test_a_print_that_cannot_be_believed(bad: FundingPrint, says: str) -> None:
    found = judge_funding(KEY, [bad])
    assert (found.implausible, found.ok) == (1, False)
    assert says in found.first_implausible[0].text


@pytest.mark.parametrize("rate", [0.04, -0.04, 0.0, 0.02])
def test_prints_at_the_cap_are_believed(rate: float) -> None:
    assert judge_funding(KEY, [FundingPrint(T0, rate, 8.0)]).ok


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (Bar(T0, 0.0, 1.0, 0.0, 1.0), "prices"),
        (Bar(T0, 1.0, float("nan"), 1.0, 1.0), "prices"),
        (Bar(T0, 1.0, 0.9, 0.8, 0.9), "do not embrace"),
        (Bar(T0, 1.0, 2.0, 1.5, 1.6), "do not embrace"),
        (Bar(T0, 1.0, 1.0, 1.0, 1.0, -1.0), "volume -1"),
    ],
)
def test_a_bar_that_cannot_be_believed(bad: Bar, says: str) -> None:
    found = judge_bars(BARS, [bad])
    assert (found.implausible, found.ok) == (1, False)
    assert says in found.first_implausible[0].text


@pytest.mark.parametrize("factor", [1_000.0, 0.001])
def test_a_price_of_another_multiplier_is_told(factor: float) -> None:
    changed = Bar(T0 + 60_000, *[100.0 * factor] * 4)
    found = judge_bars(BARS, [Bar(T0, 100.0, 100.0, 100.0, 100.0), changed])
    assert "after a close of 100" in found.first_implausible[0].text


@pytest.mark.parametrize(
    ("minutes", "gaps", "lacking_rows"),
    [((0, 1, 2, 3), 0, 0), ((0, 1, 2, 7, 8), 1, 4), ((0,), 0, 0), ((), 0, 0)],
)
def test_gaps_between_bars(minutes: Sequence[int], gaps: int, lacking_rows: int) -> None:
    found = judge_bars(BARS, bars(*minutes))
    assert (found.gaps, found.lacking_rows, found.lacking_hours) == (gaps, lacking_rows, lacking_rows / 60)


def test_a_bar_twice_is_a_duplicate() -> None:
    assert judge_bars(BARS, bars(0, 1, 1, 2)).duplicates == 1


def test_an_archive_is_judged_series_by_series_and_a_broken_file_is_one_of_them(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    archive.write({KEY: series((0, 8), (8, 8)), BARS: bars(0, 1)})
    assert [found.ok for found in verify_archive(archive)] == [True, True]
    path_of(tmp_path, KEY).write_bytes(b"PAR1 and nothing else")
    first, second = verify_archive(archive)
    assert "cannot be read" in first.unreadable
    assert (first.ok, second.ok) == (False, True)
