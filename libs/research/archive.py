"""The archive of funding and prices on disk: one Parquet file a series, replaced as a whole.

`pyarrow` is imported when the first file is touched: a verb that needs no archive does not pay for it.
Writers of one archive exclude each other by a lock, readers need none: a file is either the old one or the
new one.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from libs.research.arrow import arrow, compute, parquet
from libs.research.layout import BAR_KINDS, Bar, FundingPrint, Kind, Row, SeriesKey, key_of, path_of

FORMAT: Final = "fundarb-archive-1"
LOCK: Final = ".lock"
FUNDING_COLUMNS: Final = ("ts_ms", "rate", "interval_hours", "mark", "interval_derived")
BAR_COLUMNS: Final = ("ts_ms", "open", "high", "low", "close", "volume")
_NAN: Final = float("nan")


class ArchiveError(Exception):
    """An archive cannot be read or written; one line with the file and the remedy."""


class SeriesSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What `fundarb data list` says about a series. `intervals` maps hours -> prints (funding only)."""

    key: SeriesKey
    rows: int
    from_ms: int
    to_ms: int
    intervals: dict[float, int]


class Archive:
    """Reads and writes the series below one folder."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    def exists(self) -> bool:
        """Whether the folder holds at least one series."""
        return bool(self.series())

    def series(self, kind: Kind | str | None = None) -> list[SeriesKey]:
        """All series in a stable order, of one kind when it is named."""
        folder = "kind=*" if kind is None else f"kind={Kind(kind)}"
        keys = (key_of(self.root, path) for path in self.root.glob(f"{folder}/venue=*/symbol=*.parquet"))
        return sorted(key for key in keys if key is not None)

    def read_funding(
        self, key: SeriesKey, from_ms: int | None = None, to_ms: int | None = None
    ) -> list[FundingPrint]:
        """Prints with `from_ms <= ts_ms < to_ms`, oldest first."""
        columns = self._columns(key, FUNDING_COLUMNS, from_ms, to_ms)
        return [FundingPrint(*row) for row in zip(*columns, strict=True)]

    def read_bars(self, key: SeriesKey, from_ms: int | None = None, to_ms: int | None = None) -> list[Bar]:
        """Bars with `from_ms <= ts_ms < to_ms`, oldest first."""
        columns = self._columns(key, BAR_COLUMNS, from_ms, to_ms)
        return [Bar(*row) for row in zip(*columns, strict=True)]

    def read(self, key: SeriesKey) -> list[FundingPrint] | list[Bar]:
        """All rows of a series, an empty list when it is not there yet."""
        if not path_of(self.root, key).exists():
            return []
        return self.read_funding(key) if key.kind is Kind.FUNDING else self.read_bars(key)

    def summary(self, key: SeriesKey) -> SeriesSummary:
        """Counts and bounds of one series."""
        names = ("ts_ms", "interval_hours") if key.kind is Kind.FUNDING else ("ts_ms",)
        columns = self._columns(key, names, None, None)
        stamps = columns[0]
        intervals: dict[float, int] = {}
        for interval in columns[1] if len(columns) > 1 else ():
            intervals[interval] = intervals.get(interval, 0) + 1
        return SeriesSummary(
            key=key,
            rows=len(stamps),
            from_ms=min(stamps, default=0),
            to_ms=max(stamps, default=0),
            intervals=dict(sorted(intervals.items())),
        )

    def data_hash(self, keys: Iterable[SeriesKey] | None = None) -> str:
        """SHA-256 over the values of the series (all of them by default): stable across writers and versions
        of the file format, different as soon as one value differs.
        """
        digest = hashlib.sha256(FORMAT.encode())
        for key in sorted(self.series() if keys is None else keys):
            names = FUNDING_COLUMNS if key.kind is Kind.FUNDING else BAR_COLUMNS
            table = self._table(key, names)
            digest.update(f"\n{key.kind}\t{key.venue}\t{key.symbol}\t{table.num_rows}\n".encode())
            for name in names:
                digest.update(_column_bytes(table[name]))
        return digest.hexdigest()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Exclude other writers; waits for them, as they are short."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            handle = (self.root / LOCK).open("a")
        except OSError as error:
            raise ArchiveError(f"cannot write {self.root}: {error.strerror or error}") from error
        with handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def write(self, changed: dict[SeriesKey, Sequence[Row]]) -> None:
        """Replace whole series. All new files are complete and on disk before the first takes its place, so
        that a full disk or a kill leaves every series either as it was or as it should be.
        """
        staged: list[tuple[Path, Path]] = []
        try:
            for key, rows in changed.items():
                staged.append(self._stage(key, rows))
            for temporary, final in staged:
                temporary.replace(final)
            for folder in {final.parent for _, final in staged}:
                _sync_folder(folder)
        except OSError as error:
            raise ArchiveError(f"cannot write {self.root}: {error.strerror or error}") from error
        finally:
            for temporary, _ in staged:
                temporary.unlink(missing_ok=True)

    def _stage(self, key: SeriesKey, rows: Sequence[Row]) -> tuple[Path, Path]:
        pq = parquet()
        final = path_of(self.root, key)
        final.parent.mkdir(parents=True, exist_ok=True)
        temporary = final.with_name(f".{final.name}.{os.getpid()}.tmp")
        try:
            with temporary.open("wb") as handle:
                pq.write_table(_to_table(key, rows), handle, compression="zstd")
                handle.flush()
                os.fsync(handle.fileno())
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        return temporary, final

    def _columns(
        self, key: SeriesKey, names: Sequence[str], from_ms: int | None, to_ms: int | None
    ) -> list[list[Any]]:
        pc = compute()
        table = self._table(key, names)
        if from_ms is not None:
            table = table.filter(pc.greater_equal(table["ts_ms"], from_ms))
        if to_ms is not None:
            table = table.filter(pc.less(table["ts_ms"], to_ms))
        return [table[name].to_pylist() for name in names]

    def _table(self, key: SeriesKey, names: Sequence[str]) -> Any:
        pa = arrow()
        pq = parquet()
        path = path_of(self.root, key)
        try:
            # One file is one series: the folder names above it are not columns of it.
            table = pq.read_table(path, columns=list(names), partitioning=None)
            return table.select(list(names)).cast(_schema(key.kind, names))
        except FileNotFoundError as error:
            raise ArchiveError(f"{self.root} holds no series {key} (see: fundarb data list)") from error
        except (pa.ArrowException, OSError, KeyError, ValueError) as error:
            reason = str(error).splitlines()[0][:200]
            raise ArchiveError(f"{path} cannot be read: {reason}; import it again") from error


def _schema(kind: Kind, names: Sequence[str] | None = None) -> Any:
    pa = arrow()
    types = {"ts_ms": pa.int64(), "interval_derived": pa.bool_()}
    wanted = names or (FUNDING_COLUMNS if kind is Kind.FUNDING else BAR_COLUMNS)
    return pa.schema([pa.field(name, types.get(name, pa.float64())) for name in wanted])


def _to_table(key: SeriesKey, rows: Sequence[Row]) -> Any:
    pa = arrow()
    schema = _schema(key.kind)
    columns: list[list[Any]]
    if key.kind in BAR_KINDS:
        bars = [row for row in rows if isinstance(row, Bar)]
        columns = [[getattr(bar, name) for bar in bars] for name in BAR_COLUMNS]
    else:
        prints = [row for row in rows if isinstance(row, FundingPrint)]
        names = ("ts_ms", "rate", "interval_hours", "mark", "derived")
        columns = [[getattr(row, name) for row in prints] for name in names]
    if len(columns[0]) != len(rows):
        raise TypeError(f"{key}: rows of another kind")
    arrays = [pa.array(values, type=field.type) for values, field in zip(columns, schema, strict=True)]
    metadata = {"format": FORMAT, "kind": str(key.kind), "venue": key.venue, "symbol": key.symbol}
    return pa.Table.from_arrays(arrays, schema=schema.with_metadata(metadata))


def _column_bytes(column: Any) -> bytes:
    """Little-endian values of a column; a null is the same NaN everywhere."""
    pa = arrow()
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], type=array.type)
    if pa.types.is_boolean(array.type):
        array = array.cast(pa.int8())
    elif pa.types.is_floating(array.type):
        array = array.fill_null(_NAN)
    if len(array) == 0:
        return b""
    width = array.type.bit_width // 8
    data = memoryview(array.buffers()[1])
    return bytes(data[array.offset * width : (array.offset + len(array)) * width])


def _sync_folder(folder: Path) -> None:
    """A rename is durable when its folder is."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
