"""Merging the recorder's segments into the Parquet files.

    python -m libs.research.compact DIR

runs as a short-lived child of the recorder, so that the service itself never loads pyarrow. Safe to kill and
to run again at any time: a segment is deleted only after its rows are in the archive, oldest first, and
merging it a second time changes nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from libs.research.archive import Archive, ArchiveError
from libs.research.layout import Bar, FundingPrint, Row, SeriesKey, slot_in
from libs.research.merge import difference, unite
from libs.research.segments import (
    BadLine,
    adopt_orphans,
    decode_row,
    encode_row,
    finished_segments,
    lines_of,
    segment_folder,
)

CONFLICTS: Final = "conflicts.log"
SEGMENTS_AT_ONCE: Final = 16
"""Bounds the memory of one pass; segments are at most some megabytes each."""


class CompactReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a run did, in rows; `updated` bars had a part before, or prints were told otherwise or in part.

    `conflicts` are the former values of restated prints.
    """

    segments: int = 0
    added: int = 0
    updated: int = 0
    same: int = 0
    conflicts: int = 0
    unreadable: int = 0

    def plus(self, other: CompactReport) -> CompactReport:
        """The sum of two reports."""
        names = self.__struct_fields__
        return CompactReport(**{name: getattr(self, name) + getattr(other, name) for name in names})


class Absorbed(msgspec.Struct, frozen=True, kw_only=True):
    """A series with what was seen added to it; `conflicts` are the rows that a contradicting one replaced."""

    rows: Sequence[Row]
    conflicts: Sequence[Row]
    added: int
    updated: int
    same: int


def compact(root: Path) -> CompactReport:
    """Merge all finished segments (and those whose writer is gone), delete them, answer the counts."""
    archive = Archive(root)
    report = CompactReport()
    if not segment_folder(root).is_dir():
        return report
    with archive.locked():
        adopt_orphans(root)
        waiting = finished_segments(root)
        for start in range(0, len(waiting), SEGMENTS_AT_ONCE):
            report = report.plus(_pass(archive, waiting[start : start + SEGMENTS_AT_ONCE]))
    return report


def absorb(key: SeriesKey, old: Iterable[Row], seen: Iterable[Row]) -> Absorbed:
    """Add what was seen to a series. Pure.

    A venue that restates a settlement means the newer figure: the last telling stands (the rule of
    `libs.carry.funding.settled_once`), and what it replaced is handed back. Parts of a bar grow together: the
    first open, the highest high, the lowest low, the last close.
    """
    rows: dict[int, Row] = {slot_in(key.kind, row.ts_ms): row for row in old}
    new: set[int] = set()
    changed: set[int] = set()
    former: list[tuple[int, Row]] = []
    same = 0
    for row in seen:
        slot = slot_in(key.kind, row.ts_ms)
        known = rows.get(slot)
        if known is None:
            rows[slot] = row
            new.add(slot)
            continue
        if isinstance(known, Bar) and isinstance(row, Bar):
            grown: Row = _grown(known, row)
        elif difference(known, row) is None:
            grown = unite(known, row)
        else:
            former.append((slot, known))
            grown = _restated(known, row)
        if grown == known:
            same += 1
        else:
            rows[slot] = grown
            changed.add(slot)
    # A segment that is merged again after a kill tells its old values anew: what stands in the end is none.
    conflicts = [row for slot, row in former if difference(row, rows[slot]) is not None]
    ordered = [rows[slot] for slot in sorted(rows)]
    updated = len(changed - new)
    return Absorbed(rows=ordered, conflicts=conflicts, added=len(new), updated=updated, same=same)


def _restated(known: Row, row: Row) -> Row:
    """The newer print, with the mark of the former one where it names none."""
    if isinstance(known, FundingPrint) and isinstance(row, FundingPrint) and row.mark is None:
        return FundingPrint(row.ts_ms, row.rate, row.interval_hours, known.mark, row.derived)
    return row


def _grown(bar: Bar, part: Bar) -> Bar:
    """The bar with a later part of it; a bar with a volume came from a venue and is whole already."""
    if bar.volume is not None:
        return bar
    return Bar(bar.ts_ms, bar.open, max(bar.high, part.high), min(bar.low, part.low), part.close)


def _pass(archive: Archive, segments: Sequence[Path]) -> CompactReport:
    seen, unreadable = _read(segments)
    absorbed = {key: absorb(key, archive.read(key), rows) for key, rows in seen.items()}
    changed = {key: result.rows for key, result in absorbed.items() if result.added or result.updated}
    conflicts = [(key, row) for key, result in absorbed.items() for row in result.conflicts]
    _keep_conflicts(archive.root, conflicts)  # before they are replaced: a kill in between loses none
    archive.write(changed)
    for path in segments:  # oldest first: what is left after a kill is merged again in the same order
        path.unlink(missing_ok=True)
    return CompactReport(
        segments=len(segments),
        added=sum(result.added for result in absorbed.values()),
        updated=sum(result.updated for result in absorbed.values()),
        same=sum(result.same for result in absorbed.values()),
        conflicts=len(conflicts),
        unreadable=unreadable,
    )


def _read(segments: Sequence[Path]) -> tuple[dict[SeriesKey, list[Row]], int]:
    seen: dict[SeriesKey, list[Row]] = {}
    unreadable = 0
    for path in segments:
        for line in lines_of(path):
            try:
                key, row = decode_row(line)
            except BadLine:
                unreadable += 1
                continue
            seen.setdefault(key, []).append(row)
    return seen, unreadable


def _keep_conflicts(root: Path, conflicts: Sequence[tuple[SeriesKey, Row]]) -> None:
    """Keep what is replaced beside the archive, as segment lines: nothing seen is thrown away."""
    if not conflicts:
        return
    path = segment_folder(root) / CONFLICTS
    known = set(lines_of(path)) if path.exists() else set()
    lines = [encode_row(key, row) for key, row in conflicts]
    fresh = [line for line in dict.fromkeys(lines) if line not in known]
    with path.open("ab") as handle:
        handle.writelines(line + b"\n" for line in fresh)


def main(argv: Sequence[str]) -> int:
    """Compact the archive named on the command line; the report is one JSON object on stdout."""
    if len(argv) != 1:
        sys.stderr.write("usage: python -m libs.research.compact DIR\n")
        return 2
    try:
        report = compact(Path(argv[0]))
    except (ArchiveError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
