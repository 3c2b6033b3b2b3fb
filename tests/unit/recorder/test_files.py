from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest

from libs.common.instant import ManualClock
from libs.research.archive import Archive
from libs.research.layout import Bar, FundingPrint, Kind, SeriesKey
from libs.research.segments import adopt_orphans, encode_row, finished_segments, segment_folder
from services.recorder import columns, files
from services.recorder.files import AppendFile, Files, MergeFailed, Segment
from services.recorder.work import Merged, MergeSegments, WriteBatch, Written
from tests.unit.recorder.makers import T0_MS

WALL_US = T0_MS * 1_000
KEY = SeriesKey(Kind.FUNDING, "binance", "BTC-USDT-PERP")
ROW = encode_row(KEY, FundingPrint(T0_MS, 0.0001, 8.0))


def made(folder: Path) -> Files:
    return Files(logs=folder / "logs", archive=folder / "archive", clock=ManualClock(), env=os.environ)


def test_the_header_comes_once_and_lines_follow_over_restarts(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    for line in (b"1\n", b"2\n"):
        file = AppendFile(path, header=b"h\n")
        file.append([line], WALL_US)
        file.close()
    assert path.read_bytes() == b"h\n1\n2\n"


def test_other_columns_put_the_old_file_aside(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"old,columns\n1,2\n")
    file = AppendFile(path, header=b"new\n")
    file.append([b"3\n"], WALL_US)
    assert path.read_bytes() == b"new\n3\n"
    assert (tmp_path / "a.until-20251010T080000.csv").read_bytes() == b"old,columns\n1,2\n"


def test_a_full_file_is_put_aside_without_losing_a_line(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    file = AppendFile(path, bytes_max=4)
    for number in range(4):
        file.append([b"%d23\n" % number], WALL_US)
    everything = sorted(part.read_bytes() for part in tmp_path.iterdir())
    assert everything == [b"023\n", b"123\n", b"223\n", b"323\n"]


def test_a_line_that_a_kill_cut_off_is_removed_before_the_next(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"h\nwhole\ntorn,li")
    AppendFile(path, header=b"h\n").append([b"next\n"], WALL_US)
    assert path.read_bytes() == b"h\nwhole\nnext\n"


@pytest.mark.parametrize("torn", [b"", b"h", b"x" * 200_000])
def test_a_torn_header_is_written_again(tmp_path: Path, torn: bytes) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(torn)
    AppendFile(path, header=b"h,i\n").append([b"1\n"], WALL_US)
    assert path.read_bytes() == b"h,i\n1\n"


def test_a_file_that_somebody_moved_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    file = AppendFile(path)
    file.append([b"1\n"], WALL_US)
    path.rename(tmp_path / "a.log.1")
    file.append([b"2\n"], WALL_US)
    assert path.read_bytes() == b"2\n"


def test_a_write_that_fails_half_way_leaves_no_half_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.log"
    file = AppendFile(path)
    file.append([b"first\n"], WALL_US)
    real = os.write
    calls: list[int] = []

    def full_disk(descriptor: int, data: memoryview) -> int:
        calls.append(len(data))
        if len(calls) > 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, data[:3])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full_disk)
        with pytest.raises(OSError, match="No space"):
            file.append([b"second\n"], WALL_US)
    assert path.read_bytes() == b"first\n"
    file.append([b"third\n"], WALL_US)
    assert path.read_bytes() == b"first\nthird\n"


def test_a_segment_is_locked_while_open_and_handed_over_when_finished(tmp_path: Path) -> None:
    segment = Segment(tmp_path)
    segment.append([ROW], WALL_US)
    assert adopt_orphans(tmp_path) == 0
    assert finished_segments(tmp_path) == []
    segment.finish()
    assert [path.read_bytes() for path in finished_segments(tmp_path)] == [ROW + b"\n"]
    segment.finish()  # nothing open: nothing to do
    assert len(finished_segments(tmp_path)) == 1


def test_the_segment_of_a_killed_writer_is_adopted(tmp_path: Path) -> None:
    folder = segment_folder(tmp_path)
    folder.mkdir()
    (folder / "00000000000000000001-99.open").write_bytes(ROW + b"\n" + ROW[:20])
    assert adopt_orphans(tmp_path) == 1
    assert [path.name for path in finished_segments(tmp_path)] == ["00000000000000000001-99.jsonl"]


def test_a_segment_taken_for_an_orphan_before_its_lock_is_begun_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = fcntl.flock
    raced: list[bool] = []

    def merge_comes_between(descriptor: int, operation: int) -> None:
        if not raced:
            raced.append(True)
            assert adopt_orphans(tmp_path) == 1
        real(descriptor, operation)

    segment = Segment(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", merge_comes_between)
        segment.append([ROW], WALL_US)
    segment.finish()
    assert [path.read_bytes() for path in finished_segments(tmp_path)] == [b"", ROW + b"\n"]


def test_a_segment_that_is_full_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "SEGMENT_BYTES_MAX", 10)
    segment = Segment(tmp_path)
    segment.append([ROW], WALL_US)
    segment.append([ROW], WALL_US + 1)
    assert len(finished_segments(tmp_path)) == 2


async def test_a_batch_reaches_its_three_places_and_the_merge_the_archive(tmp_path: Path) -> None:
    hands = made(tmp_path)
    hands.prepare()
    batch = WriteBatch(csv=(b"row\n",), log=(b"line\n",), rows=(ROW,))
    assert await hands.write(batch) == Written()
    assert (tmp_path / "logs" / files.CSV_NAME).read_text() == columns.header() + "row\n"
    assert (tmp_path / "logs" / files.LOG_NAME).read_text() == "line\n"
    assert await hands.merge(MergeSegments()) == Merged(segments=1, added=1)
    assert Archive(tmp_path / "archive").read_funding(KEY) == [FundingPrint(T0_MS, 0.0001, 8.0)]
    part = encode_row(SeriesKey(Kind.PERP, "binance", "X"), Bar(T0_MS, 1.0, 1.0, 1.0, 1.0))
    assert await hands.write(WriteBatch(rows=(part,))) == Written()
    await hands.close()
    assert [str(key) for key in Archive(tmp_path / "archive").series()] == [str(KEY), "perp binance X"]
    assert finished_segments(tmp_path / "archive") == []


async def test_a_place_that_cannot_be_written_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    hands = made(tmp_path)
    hands.prepare()
    (tmp_path / "logs" / files.CSV_NAME).mkdir()
    written = await hands.write(WriteBatch(csv=(b"row\n",), log=(b"line\n",), rows=(ROW,)))
    assert files.CSV_NAME in written.csv
    assert "cannot write" in written.csv
    assert (written.log, written.rows) == ("", "")


async def test_a_merge_that_fails_keeps_the_segments_and_says_why(tmp_path: Path) -> None:
    hands = made(tmp_path)
    hands.prepare()
    await hands.write(WriteBatch(rows=(ROW,)))
    (tmp_path / "archive" / "kind=funding").write_text("in the way")
    with pytest.raises(MergeFailed, match="cannot write"):
        await hands.merge(MergeSegments())
    assert len(finished_segments(tmp_path / "archive")) == 1
