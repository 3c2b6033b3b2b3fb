"""Reading the files that users import: CSV (also gzipped) and Parquet, as plain cells with their place.

Nothing is judged here but the file itself: is it readable, has it the columns. Cells are judged in `cells`.
What programs leave in a CSV and means nothing is passed over: a byte order mark, blank lines, blanks after
a comma, capitals in the names of columns.
"""

from __future__ import annotations

import csv
import difflib
import gzip
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from libs.research.arrow import arrow, parquet
from libs.research.layout import Kind

BATCH_ROWS: Final = 65_536

# Column -> the names under which sources have it; the first is ours.
_SYMBOL_NAMES: Final = ("symbol", "pair")
_INTERVAL_NAMES: Final = ("interval_h", "interval_hours")
_MARK_NAMES: Final = ("mark_price", "mark")
_OPTIONAL: Final = frozenset({"interval_h", "mark_price", "volume", "contract"})
_SEPARATORS: Final = {";": "semicolons", "\t": "tabs", "|": "bars"}


class ImportRefused(Exception):
    """A file or cell that is not taken, in one line: file, row, column, reason, remedy."""


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Where and why; `row` counts the rows below the header from 1, in a CSV blank lines as well."""

    file: str
    row: int | None
    column: str | None
    reason: str

    def __str__(self) -> str:
        place = self.file
        if self.row is not None:
            place += f", row {self.row}"
        if self.column is not None:
            place += f", column {self.column}"
        return f"{place}: {self.reason}"


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """An opened file: which columns it gives, under our names, and which it has besides."""

    path: Path
    is_csv: bool
    columns: dict[str, str]
    ignored: tuple[str, ...]
    rows: int | None


def refuse(file: Path, reason: str, *, row: int | None = None, column: str | None = None) -> ImportRefused:
    """The exception for one refusal."""
    return ImportRefused(str(Refusal(file=file.name, row=row, column=column, reason=reason)))


def wanted_columns(kind: Kind) -> dict[str, tuple[str, ...]]:
    """Our column -> its names in sources, for a kind."""
    common = {"venue": ("venue",), "symbol": _SYMBOL_NAMES, "ts_ms": ("ts_ms",), "contract": ("contract",)}
    if kind is Kind.FUNDING:
        return common | {"rate": ("rate",), "interval_h": _INTERVAL_NAMES, "mark_price": _MARK_NAMES}
    return common | {name: (name,) for name in ("open", "high", "low", "close", "volume")}


def open_source(path: Path, kind: Kind) -> Source:
    """Check that `path` is a readable table with the columns of `kind`; `ImportRefused` otherwise."""
    if not path.exists():
        raise refuse(path, f"there is no such file ({path})")
    if path.is_dir():
        raise refuse(path, "is a folder; name the files in it")
    if path.stat().st_size == 0:
        raise refuse(path, "the file is empty")
    is_csv = _is_csv(path)
    names, rows = _csv_header(path) if is_csv else _parquet_header(path)
    columns = _match(path, names, kind)
    ignored = tuple(name for name in names if name not in columns.values())
    return Source(path=path, is_csv=is_csv, columns=columns, ignored=ignored, rows=rows)


def batches(source: Source) -> Iterator[tuple[int, dict[str, Sequence[Any]]]]:
    """(number of the first row, column -> cells) until the file ends."""
    return _csv_batches(source) if source.is_csv else _parquet_batches(source)


def _is_csv(path: Path) -> bool:
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes[-1:] == [".csv"] or suffixes[-2:] == [".csv", ".gz"]:
        return True
    if suffixes[-1:] in ([".parquet"], [".pq"]):
        return False
    raise refuse(path, "is neither .csv, .csv.gz nor .parquet by its name; rename or convert it")


def _match(path: Path, names: Sequence[str], kind: Kind) -> dict[str, str]:
    actual: dict[str, str] = {}
    for name in names:
        if name.lower() in actual:
            raise refuse(path, "this column is there twice; keep one of them", column=name)
        actual[name.lower()] = name
    found: dict[str, str] = {}
    for ours, aliases in wanted_columns(kind).items():
        alias = next((alias for alias in aliases if alias in actual), None)
        if alias is not None:
            found[ours] = actual[alias]
        elif ours not in _OPTIONAL:
            raise refuse(path, _missing(ours, names, kind), column=ours)
    return found


def _missing(column: str, names: Sequence[str], kind: Kind) -> str:
    folded = [name.lower() for name in names]
    near = difflib.get_close_matches(column, folded, n=1, cutoff=0.6)
    if near:
        actual = names[folded.index(near[0])]
        return f"the column is missing; {actual!r} is near, rename it to {column!r}"
    hint = ""
    if kind is Kind.FUNDING and {"open", "close"} <= set(folded):
        hint = "; this looks like bars: --kind spot, perp or mark"
    elif kind is not Kind.FUNDING and "rate" in folded:
        hint = "; this looks like funding: --kind funding"
    return f"the column is missing; there is {', '.join(names) or 'nothing'}{hint}"


def _csv_open(path: Path) -> Any:
    opener = gzip.open if path.suffix.lower() == ".gz" else open
    return opener(path, "rt", encoding="utf-8-sig", newline="")


def _csv_rows(handle: Any) -> Iterator[list[str]]:
    return csv.reader(handle, strict=True, skipinitialspace=True)


def _csv_header(path: Path) -> tuple[list[str], None]:
    try:
        with _csv_open(path) as handle:
            header = next(_csv_rows(handle), None)
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise refuse(
            path, f"is no readable CSV ({_one_line(error)}); save it as UTF-8 with commas"
        ) from error
    if not header:
        raise refuse(path, "the first line is empty; it must name the columns")
    for separator, words in _SEPARATORS.items():
        if ",".join(header).count(separator) >= len(header):
            remedy = "save it with commas between the columns, and with decimal points"
            raise refuse(path, f"the columns are separated by {words}; {remedy}")
    return [name.strip() for name in header], None


def _csv_batches(source: Source) -> Iterator[tuple[int, dict[str, Sequence[Any]]]]:
    path = source.path
    try:
        with _csv_open(path) as handle:
            reader = _csv_rows(handle)
            header = [name.strip() for name in next(reader)]
            first, held = 1, list[list[str]]()
            for number, written in enumerate(reader, start=1):
                cells = [cell.strip() for cell in written]
                blank = not any(cells)
                if not blank:
                    if len(cells) != len(header):
                        raise refuse(path, _ragged(len(cells), len(header)), row=number)
                    held.append(cells)
                if blank or len(held) == BATCH_ROWS:  # a batch has no holes: its rows are counted
                    if held:
                        yield first, _by_column(source, header, held)
                    first, held = number + 1, []
            if held:
                yield first, _by_column(source, header, held)
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise refuse(path, f"cannot be read to its end ({_one_line(error)}); get the file again") from error


def _ragged(cells: int, columns: int) -> str:
    return f"has {cells} cells where the header has {columns}; is the file cut off?"


def _by_column(source: Source, header: list[str], rows: list[list[str]]) -> dict[str, Sequence[Any]]:
    places = {ours: header.index(name) for ours, name in source.columns.items()}
    return {ours: [row[place] for row in rows] for ours, place in places.items()}


def _parquet_header(path: Path) -> tuple[list[str], int]:
    pa = arrow()
    pq = parquet()
    try:
        with pq.ParquetFile(path) as file:
            return list(file.schema_arrow.names), int(file.metadata.num_rows)
    except (pa.ArrowException, OSError) as error:
        raise refuse(path, f"is no readable Parquet ({_one_line(error)}); get the file again") from error


def _parquet_batches(source: Source) -> Iterator[tuple[int, dict[str, Sequence[Any]]]]:
    pa = arrow()
    pq = parquet()
    first = 1
    try:
        with pq.ParquetFile(source.path) as file:
            for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=list(source.columns.values())):
                cells = {ours: batch.column(name).to_pylist() for ours, name in source.columns.items()}
                yield first, cells
                first += batch.num_rows
    except (pa.ArrowException, OSError, ValueError) as error:
        reason = f"cannot be read to its end ({_one_line(error)}); get the file again"
        raise refuse(source.path, reason) from error


def _one_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:160]
