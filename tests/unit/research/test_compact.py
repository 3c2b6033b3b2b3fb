from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.carry.funding import settled_once
from libs.common.messages import Settlement
from libs.research import compact as module
from libs.research.archive import Archive, ArchiveError
from libs.research.compact import CONFLICTS, CompactReport, absorb, compact
from libs.research.layout import Bar, FundingPrint, Kind, Row, SeriesKey
from libs.research.segments import (
    BadLine,
    decode_row,
    encode_row,
    finished_segments,
    lines_of,
    segment_folder,
)

T0 = 1_760_054_400_000
H8 = 28_800_000
FUNDING = SeriesKey(Kind.FUNDING, "binance", "BTC-USDT-PERP")
PERP = SeriesKey(Kind.PERP, "hyperliquid-xyz", "xyz:AAPL")


def segment(root: Path, number: int, *rows: tuple[SeriesKey, Row], tail: bytes = b"") -> Path:
    folder = segment_folder(root)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{number:020d}-1.jsonl"
    path.write_bytes(b"".join(encode_row(key, row) + b"\n" for key, row in rows) + tail)
    return path


def print_(at: int, rate: float = 0.0001, jitter: int = 0) -> FundingPrint:
    return FundingPrint(T0 + at * H8 + jitter, rate, 8.0)


@settings(max_examples=60, derandomize=True)
@given(
    rate=st.floats(-0.5, 0.5),
    hours=st.sampled_from([1.0, 4.0, 8.0]),
    mark=st.none() | st.floats(1e-9, 1e9),
    symbol=st.sampled_from(["BTC-USDT-PERP", "xyz:AAPL", 'quote"d', "ünö"]),
)
def test_a_print_survives_its_line(rate: float, hours: float, mark: float | None, symbol: str) -> None:
    key, row = SeriesKey(Kind.FUNDING, "binance", symbol), FundingPrint(T0, rate, hours, mark)
    line = encode_row(key, row)
    assert b"\n" not in line
    assert decode_row(line) == (key, row)


def test_a_bar_survives_its_line() -> None:
    row = Bar(T0, 1.5, 2.5, 0.5, 1.0, None)
    assert decode_row(encode_row(PERP, row)) == (PERP, row)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{}",
        b"[]",
        b'["funding"]',
        b'["candles","v","s",1760054400000,1,1,1]',
        b'["funding","v","s",1760054400,0.1,8,null]',
        b'["funding","v","s",1760054400000,0.1,null,null]',
        b'["funding","v","s",1760054400000,null,8,null]',
        b'["funding","v","s",1760054400000,5,8,null]',
        b'["perp","v","s",1760054400000,1,0.5,1,1,null]',
        b'["perp","v","s",1760054400000,1,1,1]',
        b'["funding","v","s",1760054400000,0.1,8,nu',
    ],
)
def test_what_is_no_row_is_refused(line: bytes) -> None:
    with pytest.raises(BadLine):
        decode_row(line)


def test_segments_become_series_and_go(tmp_path: Path) -> None:
    segment(tmp_path, 1, (FUNDING, print_(0)), (PERP, Bar(T0, 1.0, 2.0, 1.0, 2.0)))
    segment(tmp_path, 2, (FUNDING, print_(1)), (PERP, Bar(T0, 2.0, 3.0, 0.5, 1.5)))
    assert compact(tmp_path) == CompactReport(segments=2, added=3)
    archive = Archive(tmp_path)
    assert archive.read_funding(FUNDING) == [print_(0), print_(1)]
    assert archive.read_bars(PERP) == [Bar(T0, 1.0, 3.0, 0.5, 1.5)]
    assert finished_segments(tmp_path) == []
    assert compact(tmp_path) == CompactReport()


def test_merging_again_after_a_kill_changes_nothing(tmp_path: Path) -> None:
    """Killed after the series were written and before the segments were deleted."""
    paths = [
        segment(tmp_path, 1, (FUNDING, print_(0)), (PERP, Bar(T0, 1.0, 2.0, 1.0, 2.0))),
        segment(tmp_path, 2, (PERP, Bar(T0, 2.0, 3.0, 0.5, 1.5))),
    ]
    kept = [path.read_bytes() for path in paths]
    compact(tmp_path)
    before = Archive(tmp_path).data_hash()
    for undeleted in (0, 1):  # the oldest is deleted first, so a suffix is what a kill can leave
        for path, content in list(zip(paths, kept, strict=True))[undeleted:]:
            path.write_bytes(content)
        assert compact(tmp_path).added == 0
        assert Archive(tmp_path).data_hash() == before


def test_a_torn_last_line_and_rubbish_are_left_out(tmp_path: Path) -> None:
    segment(tmp_path, 1, (FUNDING, print_(0)), tail=b'rubbish\n["funding","binance","BTC-USDT-PERP",17600')
    report = compact(tmp_path)
    assert (report.added, report.unreadable) == (1, 1)


def test_a_jittered_repeat_is_known(tmp_path: Path) -> None:
    segment(tmp_path, 1, (FUNDING, print_(0, jitter=7)))
    segment(tmp_path, 2, (FUNDING, print_(0, jitter=431)), (FUNDING, print_(0, jitter=-999)))
    assert compact(tmp_path) == CompactReport(segments=2, added=1, same=2)
    assert Archive(tmp_path).read_funding(FUNDING) == [print_(0, jitter=7)]


def formers(root: Path) -> list[tuple[SeriesKey, Row]]:
    path = segment_folder(root) / CONFLICTS
    return [decode_row(line) for line in lines_of(path)] if path.exists() else []


def test_a_restated_print_replaces_and_its_former_value_is_kept_beside_once(tmp_path: Path) -> None:
    """As `libs.carry.funding.settled_once` has it: a venue that restates a print means the newer figure."""
    segment(tmp_path, 1, (FUNDING, print_(0)), (FUNDING, print_(1)))
    compact(tmp_path)
    for number, conflicts in ((2, 1), (3, 0)):
        segment(tmp_path, number, (FUNDING, print_(0, rate=0.0009, jitter=12)))
        assert compact(tmp_path).conflicts == conflicts
    archive = Archive(tmp_path)
    assert archive.read_funding(FUNDING) == [print_(0, rate=0.0009, jitter=12), print_(1)]
    assert formers(tmp_path) == [(FUNDING, print_(0))]
    told = [print_(0), print_(1), print_(0, rate=0.0009, jitter=12)]
    settled = settled_once(Settlement(settled_ms=p.ts_ms, rate=p.rate, interval_hours=8.0) for p in told)
    assert [p.rate for p in archive.read_funding(FUNDING)] == [p.rate for p in settled]


def test_a_restated_print_keeps_the_mark_that_it_does_not_name(tmp_path: Path) -> None:
    marked = FundingPrint(T0, 0.0001, 8.0, 101.5)
    absorbed = absorb(FUNDING, [marked], [print_(0, rate=0.0009)])
    assert list(absorbed.rows) == [FundingPrint(T0, 0.0009, 8.0, 101.5)]
    assert list(absorbed.conflicts) == [marked]


def test_restating_twice_and_back_leaves_the_last_word(tmp_path: Path) -> None:
    segment(tmp_path, 1, (FUNDING, print_(0)), (FUNDING, print_(0, rate=0.0009)), (FUNDING, print_(0)))
    compact(tmp_path)
    assert Archive(tmp_path).read_funding(FUNDING) == [print_(0)]
    assert formers(tmp_path) == [(FUNDING, print_(0, rate=0.0009))]


@pytest.mark.parametrize("deleted", [0, 1])
def test_restated_prints_survive_a_kill_before_the_segments_are_deleted(tmp_path: Path, deleted: int) -> None:
    rates = (0.0001, 0.0009)
    paths = [segment(tmp_path, number, (FUNDING, print_(0, rate=rate))) for number, rate in enumerate(rates)]
    contents = [path.read_bytes() for path in paths]
    compact(tmp_path)
    for path, content in list(zip(paths, contents, strict=True))[deleted:]:
        path.write_bytes(content)
    compact(tmp_path)
    assert Archive(tmp_path).read_funding(FUNDING) == [print_(0, rate=0.0009)]
    assert formers(tmp_path) == [(FUNDING, print_(0))]


def test_a_former_value_is_kept_before_it_is_replaced(tmp_path: Path) -> None:
    """A full disk or a kill in between leaves it in two places, not in none."""
    segment(tmp_path, 1, (FUNDING, print_(0)))
    compact(tmp_path)
    segment(tmp_path, 2, (FUNDING, print_(0, rate=0.0009)), (PERP, Bar(T0, 1.0, 1.0, 1.0, 1.0)))
    (tmp_path / "kind=perp").write_text("in the way")
    with pytest.raises(ArchiveError, match="cannot write"):
        compact(tmp_path)
    assert formers(tmp_path) == [(FUNDING, print_(0))]
    assert Archive(tmp_path).read_funding(FUNDING) == [print_(0)]


def test_a_bar_of_a_venue_is_not_touched_by_what_was_seen(tmp_path: Path) -> None:
    whole = Bar(T0, 1.0, 2.0, 1.0, 2.0, 10.0)
    absorbed = absorb(PERP, [whole], [Bar(T0, 1.0, 5.0, 0.1, 2.0)])
    assert (list(absorbed.rows), absorbed.same) == ([whole], 1)


def test_many_segments_are_merged_in_portions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SEGMENTS_AT_ONCE", 2)
    for number in range(5):
        segment(tmp_path, number, (FUNDING, print_(number)))
    assert compact(tmp_path) == CompactReport(segments=5, added=5)
    assert len(Archive(tmp_path).read_funding(FUNDING)) == 5


def test_a_broken_series_keeps_the_segments(tmp_path: Path) -> None:
    segment(tmp_path, 1, (FUNDING, print_(0)))
    compact(tmp_path)
    (tmp_path / "kind=funding/venue=binance/symbol=BTC-USDT-PERP.parquet").write_bytes(b"broken")
    segment(tmp_path, 2, (FUNDING, print_(1)))
    with pytest.raises(ArchiveError, match="cannot be read"):
        compact(tmp_path)
    assert len(finished_segments(tmp_path)) == 1


def test_the_child_says_its_report_or_its_failure(tmp_path: Path) -> None:
    segment(tmp_path, 1, (FUNDING, print_(0)))

    def child(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "libs.research.compact", *words]
        return subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ))

    done = child(str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith('{"segments":1,"added":1,')
    assert child().returncode == 2
    (tmp_path / "kind=perp").write_text("in the way")
    segment(tmp_path, 2, (PERP, Bar(T0, 1.0, 1.0, 1.0, 1.0)))
    failed = child(str(tmp_path))
    assert failed.returncode == 1
    assert len(failed.stderr.splitlines()) == 1


def test_segments_go_only_after_their_rows_are_in_the_archive(tmp_path: Path) -> None:
    segment(tmp_path, 1, (FUNDING, print_(0)))
    (tmp_path / "kind=funding").write_text("in the way")
    with pytest.raises(ArchiveError, match="cannot write"):
        compact(tmp_path)
    assert len(finished_segments(tmp_path)) == 1
    (tmp_path / "kind=funding").unlink()
    assert compact(tmp_path).added == 1
