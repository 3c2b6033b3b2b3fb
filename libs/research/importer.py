"""`data import`: files of others become series of the archive, all of them or none.

Every row of every file is read and judged before the first byte is written. Importing the same file again
changes nothing; overlapping files must agree where they overlap, or the user says `--replace`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from libs.research import cells
from libs.research.archive import Archive
from libs.research.cells import BadCell
from libs.research.intervals import IntervalUnknown
from libs.research.layout import (
    FundingPrint,
    Kind,
    Row,
    SeriesKey,
    slot_in,
    symbol_problem,
    venue_problem,
)
from libs.research.merge import Conflict, Merged, difference, merge, unite
from libs.research.sources import Source, batches, open_source, refuse

Progress = Callable[[str], None]

# Sets that hold spot and perpetual rows in one table say which is which here.
_CONTRACTS: Final = {"spot": "spot", "perpetual": "perp", "perp": "perp", "swap": "perp"}


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How to import: `venues` (in any case) None takes all, `interval_hours` stands in where a file gives
    none, `replace` lets new rows win over what disagrees with them.
    """

    kind: Kind
    replace: bool = False
    venues: frozenset[str] | None = None
    interval_hours: float | None = None


class SeriesReport(msgspec.Struct, frozen=True, kw_only=True):
    """What an import did to one series."""

    key: SeriesKey
    added: int
    same: int
    replaced: int
    duplicates: int
    rows: int


class ImportReport(msgspec.Struct, frozen=True, kw_only=True):
    """What an import did.

    `skipped` rows were of another contract or venue, `ignored` columns were not needed.
    """

    rows_read: int
    skipped: int
    ignored: tuple[str, ...]
    series: tuple[SeriesReport, ...]

    def total(self, field: str) -> int:
        """Sum of `added`, `same`, `replaced` or `duplicates` over the series."""
        return sum(getattr(report, field) for report in self.series)


class _Incoming(msgspec.Struct, kw_only=True):
    """A series as the files give it: slot -> row, and where each row came from."""

    rows: dict[int, Row]
    places: dict[int, tuple[int, int]]
    duplicates: int = 0


class _Reading(msgspec.Struct, kw_only=True):
    """State of one import while the files are read."""

    options: Options
    series: dict[SeriesKey, _Incoming]
    rows_read: int = 0
    skipped: int = 0
    wrong_kind: int = 0


def import_files(
    root: Path, files: Sequence[Path], options: Options, progress: Progress = lambda _text: None
) -> ImportReport:
    """Import `files` into the archive at `root`.

    Raises `ImportRefused` (a file, row or cell is not taken; nothing was written) or `ArchiveError`.
    """
    if options.venues is not None:
        wanted = frozenset(venue.lower() for venue in options.venues)
        options = msgspec.structs.replace(options, venues=wanted)
    sources = [open_source(path, options.kind) for path in files]
    reading = _Reading(options=options, series={})
    for number in range(len(sources)):
        _read(number, sources, reading, progress)
    archive = Archive(root)
    merged: dict[SeriesKey, Merged] = {}
    if not archive.exists():  # judge before the lock makes a folder: a refusal leaves nothing behind
        merged = _merge_all(archive, reading, sources)
    with archive.locked():
        if archive.exists():
            merged = _merge_all(archive, reading, sources)
        changed = {key: result.rows for key, result in merged.items() if result.changed}
        progress(f"writing {len(changed)} series")
        archive.write(changed)
    ignored = sorted({name for source in sources for name in source.ignored})
    reports = tuple(
        SeriesReport(
            key=key,
            added=result.added,
            same=result.same,
            replaced=result.replaced,
            duplicates=reading.series[key].duplicates,
            rows=len(result.rows),
        )
        for key, result in merged.items()
    )
    return ImportReport(
        rows_read=reading.rows_read, skipped=reading.skipped, ignored=tuple(ignored), series=reports
    )


def _read(number: int, sources: Sequence[Source], reading: _Reading, progress: Progress) -> None:
    source = sources[number]
    read_before, wrong_before, taken = reading.rows_read, reading.wrong_kind, 0
    for first, columns in batches(source):
        for row_number, key, row in _rows(source, first, columns, reading):
            _take(key, row, (number, row_number), sources, reading)
            taken += 1
        here = reading.rows_read - read_before
        progress(f"{source.path.name}: {here}{f' of {source.rows}' if source.rows else ''} rows")
    here = reading.rows_read - read_before
    if not here:
        raise refuse(source.path, "holds no rows under its header; leave the file out")
    if not taken:
        wrong = reading.wrong_kind - wrong_before
        raise refuse(source.path, _nothing_left(reading.options, here, wrong))


def _rows(
    source: Source, first: int, columns: dict[str, Sequence[Any]], reading: _Reading
) -> Iterator[tuple[int, SeriesKey, Row]]:
    """The judged rows of one batch; those of other contracts and venues are counted and left out."""
    kind, venues = reading.options.kind, reading.options.venues
    build = _print_of if kind is Kind.FUNDING else _bar_of
    keys: dict[tuple[str, str], SeriesKey] = {}
    names = list(zip(columns["venue"], columns["symbol"], strict=True))
    contracts = columns.get("contract")
    for offset, name in enumerate(names):
        number = first + offset
        reading.rows_read += 1
        try:
            if contracts is not None and not _is_wanted_contract(contracts[offset], kind):
                reading.skipped += 1
                reading.wrong_kind += 1
                continue
            key = keys.get(name)
            if key is None:
                key = keys[name] = _key(kind, *name)
            if venues is not None and key.venue not in venues:
                reading.skipped += 1
                continue
            yield number, key, build(columns, offset, reading.options)
        except BadCell as error:
            column = source.columns.get(error.column, error.column)
            raise refuse(source.path, str(error), row=number, column=column) from error


def _key(kind: Kind, venue: Any, symbol: Any) -> SeriesKey:
    if problem := venue_problem(venue):
        raise BadCell("venue", problem)
    if problem := symbol_problem(symbol):
        raise BadCell("symbol", problem)
    return SeriesKey(kind, venue.lower(), symbol)  # as the ids of ccxt are, and those on the bus


def _is_wanted_contract(contract: Any, kind: Kind) -> bool:
    known = _CONTRACTS.get(contract) if isinstance(contract, str) else None
    if known is None:
        raise BadCell("contract", f"{contract!r} is unknown; write {', '.join(_CONTRACTS)}")
    return known == ("spot" if kind is Kind.SPOT else "perp")


def _print_of(columns: dict[str, Sequence[Any]], at: int, options: Options) -> Row:
    interval = cells.interval_hours(columns["interval_h"][at]) if "interval_h" in columns else None
    mark = cells.mark_price(columns["mark_price"][at]) if "mark_price" in columns else None
    rate = cells.rate(columns["rate"][at])
    hours = interval if interval is not None else options.interval_hours
    return FundingPrint(cells.stamp(columns["ts_ms"][at]), rate, hours or 0.0, mark, derived=hours is None)


def _bar_of(columns: dict[str, Sequence[Any]], at: int, _options: Options) -> Row:
    volume = columns["volume"][at] if "volume" in columns else None
    prices = [columns[name][at] for name in ("open", "high", "low", "close")]
    return cells.bar(cells.stamp(columns["ts_ms"][at]), prices, volume)


def _take(
    key: SeriesKey, row: Row, place: tuple[int, int], sources: Sequence[Source], reading: _Reading
) -> None:
    incoming = reading.series.get(key)
    if incoming is None:
        incoming = reading.series[key] = _Incoming(rows={}, places={})
    slot = slot_in(key.kind, row.ts_ms)
    known = incoming.rows.get(slot)
    if known is None:
        incoming.rows[slot] = row
        incoming.places[slot] = place
        return
    reason = difference(known, row)
    if reason is None:
        incoming.rows[slot] = unite(known, row)
        incoming.duplicates += 1
        return
    other_file, other_row = incoming.places[slot]
    file, number = place
    if file == other_file or not reading.options.replace:
        where, remedy = f"row {other_row}", "keep one of them"
        if file != other_file:
            where = f"{sources[other_file].path.name}, {where}"
            remedy += ", or let the later file win: --replace"
        text = f"{key} at {row.ts_ms} disagrees with {where}: {reason}; {remedy}"
        raise refuse(sources[file].path, text, row=number, column=reason.split(" ", 1)[0])
    incoming.rows[slot] = row
    incoming.places[slot] = place


def _merge_all(archive: Archive, reading: _Reading, sources: Sequence[Source]) -> dict[SeriesKey, Merged]:
    return {key: _merge(archive, key, reading, sources) for key in sorted(reading.series)}


def _merge(archive: Archive, key: SeriesKey, reading: _Reading, sources: Sequence[Source]) -> Merged:
    incoming = reading.series[key]
    rows = [incoming.rows[slot] for slot in sorted(incoming.rows)]
    try:
        return merge(key.kind, archive.read(key), rows, replace=reading.options.replace)
    except Conflict as error:
        file, number = incoming.places[error.slot_ms]
        text = (
            f"{key} at {error.slot_ms} disagrees with the archive: {error}; let this file win with --replace"
        )
        raise refuse(sources[file].path, text, row=number, column=str(error).split(" ", 1)[0]) from error
    except IntervalUnknown as error:
        file, number = next(iter(incoming.places.values()))
        text = f"{key}: {error}; add a column interval_h or give --interval-hours"
        raise refuse(sources[file].path, text, row=number, column="interval_h") from error


def _nothing_left(options: Options, rows: int, wrong_kind: int) -> str:
    if wrong_kind == rows:
        return f"none of its {rows} rows is of --kind {options.kind} by its column contract"
    wanted = ", ".join(sorted(options.venues or ()))
    return f"none of its {rows} rows is of the venues wanted ({wanted})"
