"""The recorder's short-lived files: what was seen, one JSON array a line, appended as it happens.

    ["funding", "binance", "BTC-USDT-PERP", ts_ms, rate, interval_hours, mark | null]
    ["perp",    "binance", "BTC-USDT-PERP", ts_ms, open, high, low, close, volume | null]

They lie in `{archive}/.segments/`: `*.open` is being written (its writer holds a lock on it), `*.jsonl` is
finished and waits for `compact`. A kill can cut the last line of an open one; a line counts only when it is
whole. Bars of one open that follow each other are parts of one bar.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from libs.research import cells
from libs.research.cells import BadCell
from libs.research.layout import BAR_KINDS, FundingPrint, Kind, Row, SeriesKey

FOLDER: Final = ".segments"
OPEN: Final = ".open"
FINISHED: Final = ".jsonl"

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(list[Any]).decode


class BadLine(ValueError):
    """A line that is no row."""


def encode_row(key: SeriesKey, row: Row) -> bytes:
    """One line without its end."""
    if isinstance(row, FundingPrint):
        return _encode((key.kind, key.venue, key.symbol, row.ts_ms, row.rate, row.interval_hours, row.mark))
    return _encode(
        (key.kind, key.venue, key.symbol, row.ts_ms, row.open, row.high, row.low, row.close, row.volume)
    )


def decode_row(line: bytes) -> tuple[SeriesKey, Row]:
    """Series and row of a line; `BadLine` says what is wrong with it."""
    try:
        kind_name, venue, symbol, ts_ms, *values = _decode(line)
        key = SeriesKey(Kind(kind_name), str(venue), str(symbol))
        stamp = cells.stamp(ts_ms)
        if key.kind in BAR_KINDS:
            *prices, volume = values
            return key, cells.bar(stamp, prices, volume)
        rate, interval, mark = values
        hours = cells.interval_hours(interval)
        if hours is None:
            raise BadLine("a print without its interval")
        return key, FundingPrint(stamp, cells.rate(rate), hours, cells.mark_price(mark))
    except (msgspec.DecodeError, BadCell, ValueError, TypeError) as error:
        raise BadLine(str(error)) from error


def segment_folder(root: Path) -> Path:
    """Where the segments of an archive lie."""
    return root / FOLDER


def segment_name(wall_us: int, pid: int) -> str:
    """Name of a new open segment; names sort by the time they were begun."""
    return f"{wall_us:020d}-{pid}{OPEN}"


def finished_segments(root: Path) -> list[Path]:
    """Segments that wait for `compact`, oldest first."""
    return sorted(segment_folder(root).glob(f"*{FINISHED}"))


def adopt_orphans(root: Path) -> int:
    """Finish the open segments that nobody holds any more (their writer was killed); answers how many."""
    adopted = 0
    for path in sorted(segment_folder(root).glob(f"*{OPEN}")):
        with path.open("rb") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            if path.exists() and os.fstat(handle.fileno()).st_ino == path.stat().st_ino:
                path.rename(path.with_suffix(FINISHED))
                adopted += 1
    return adopted


def lines_of(path: Path) -> Iterator[bytes]:
    """The whole lines of a segment; a torn last one is left out."""
    with path.open("rb") as handle:
        for line in handle:
            if line.endswith(b"\n"):
                yield line[:-1]
