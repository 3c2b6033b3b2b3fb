"""What the venue replays: recorded series, basis, book statistics and filters, as plain tables.

`load()` reads the sample that ships beside this file; `services.venue.generator` makes a recording of
the same shape from a seed. Times are UTC milliseconds of market time, rates fractions per interval.
"""

from __future__ import annotations

import json
from array import array
from collections import defaultdict
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

DATA: Final = Path(__file__).parent / "data"

# Which recorded exchange each protocol replays. Bitget was not recorded: its protocol speaks Bybit's rates.
SOURCE_OF: Final = {"binance": "binance", "bitget": "bybit"}

COMMON_PROVENANCE: Final = {
    "quotes": "synthesised: spreads and sizes drawn from 345 s of Binance BTC and ETH frames (2024-08-08); "
    "other coins use ETH's, wider and thinner by a fixed factor; the mid is the recorded price",
    "books": "synthesised from the depth profile of the same recording",
    "filters": "recorded from Binance in 2021 where tick and step still fit the price, else derived from it",
    "volumes": "synthesised constants (24 h volume, open interest, trade counts)",
    "fees": "the exchanges' published base rates",
}


class Series(msgspec.Struct, frozen=True):
    """Settlements of one perpetual, oldest first; `marks` holds None where the recording has none."""

    source: str
    symbol: str
    base: str
    stamps_ms: Sequence[int]
    rates: Sequence[float]
    hours: Sequence[float]
    marks: Sequence[float | None]


class Basis(msgspec.Struct, frozen=True):
    """(perp - spot) / spot at equal steps of `step_ms`, to be replayed as a cycle."""

    step_ms: int
    values: tuple[float, ...]


class BookStatistics(msgspec.Struct, frozen=True):
    """Spread and best size at 21 quantiles (0, 5, .. 100 %); cumulative USD a side by distance from mid."""

    spread_bps: tuple[float, ...]
    best_usd: tuple[float, ...]
    depth_usd: tuple[float, ...]
    distances_bps: tuple[float, ...]


class Recording(msgspec.Struct, frozen=True):
    """Everything a market is made of.

    Keys: series (source, symbol), basis (source, base), books `BASE-kind`, filters (kind, symbol).
    `provenance` says, field by field, where the data is from.
    """

    series: dict[tuple[str, str], Series]
    basis: dict[tuple[str, str], Basis]
    books: dict[str, BookStatistics]
    filters: dict[tuple[str, str], dict[str, str]]
    provenance: dict[str, str]


def base_of(symbol: str) -> str:
    """`BTC` of `BTCUSDT`; every series here is quoted and settled in USDT."""
    return symbol.removesuffix("USDT")


def load_books(folder: Path = DATA) -> dict[str, BookStatistics]:
    """The measured order books by `BASE-kind`."""
    body = json.loads((folder / "books.json").read_text(encoding="utf-8"))
    return {
        name: BookStatistics(
            spread_bps=tuple(book["spread_bps"]),
            best_usd=tuple(book["best_usd"]),
            depth_usd=tuple(book["depth_usd"]),
            distances_bps=tuple(body["distances_bps"]),
        )
        for name, book in body["books"].items()
    }


def load_filters(folder: Path = DATA) -> dict[tuple[str, str], dict[str, str]]:
    """The filters recorded in 2021 by (kind, symbol)."""
    body: dict[str, dict[str, dict[str, str]]] = json.loads(
        (folder / "filters.json").read_text(encoding="utf-8")
    )
    return {(kind, symbol): entry for kind, table in body.items() for symbol, entry in table.items()}


def load_basis(folder: Path = DATA) -> dict[tuple[str, str], Basis]:
    """The basis of BTC and ETH on both sources, 8 h steps."""
    values: dict[tuple[str, str], list[tuple[int, float]]] = defaultdict(list)
    for row in pq.read_table(folder / "basis.parquet").to_pylist():
        values[row["venue"], row["base"]].append((row["ts_ms"], row["basis"]))
    found = {}
    for key, rows in values.items():
        rows.sort()
        found[key] = Basis(step_ms=rows[1][0] - rows[0][0], values=tuple(value for _, value in rows))
    return found


def _load_series(folder: Path) -> dict[tuple[str, str], Series]:
    # One thread and the system's allocator: a service that reads half a megabyte once should not keep
    # the reader's own pools (20 MB) for the rest of its life.
    pa.set_memory_pool(pa.system_memory_pool())
    columns: dict[str, list[Any]] = pq.read_table(folder / "funding.parquet", use_threads=False).to_pydict()
    rows: dict[tuple[str, str], list[tuple[int, float, float, float | None]]] = defaultdict(list)
    for venue, symbol, *row in zip(
        *(columns[name] for name in ("venue", "symbol", "ts_ms", "rate", "interval_hours", "mark")),
        strict=True,
    ):
        rows[venue, symbol].append((row[0], row[1], row[2], row[3]))
    found = {}
    for (source, symbol), series in rows.items():
        series.sort(key=lambda row: row[0])
        found[source, symbol] = Series(
            source=source,
            symbol=symbol,
            base=base_of(symbol),
            stamps_ms=array("q", (row[0] for row in series)),
            rates=array("d", (row[1] for row in series)),
            hours=array("d", (row[2] for row in series)),
            marks=tuple(row[3] for row in series),
        )
    return found


@cache
def load(folder: Path = DATA) -> Recording:
    """The sample as a recording. Raises FileNotFoundError naming the missing file."""
    return Recording(
        series=_load_series(folder),
        basis=load_basis(folder),
        books=load_books(folder),
        filters=load_filters(folder),
        provenance={
            "binance funding": "recorded (Binance, 2025-08-21 to 2026-08-21, settled rates and marks)",
            "LAYER on binance": "funding recorded 2025-03 to 2025-06, its marks synthesised by a seeded walk",
            "bitget funding": "recorded from Bybit (same period), spoken over the Bitget protocol",
            "current rate": "recorded: the rate that settles next",
            "perp prices": "recorded Binance marks at settlements, interpolated in between; Bybit's rows "
            "hold no mark, so the Bitget protocol uses Binance's of the same coin",
            "spot prices": "perp mark / (1 + basis); basis recorded for BTC and ETH in 2023-24 (both "
            "exchanges), replayed as a cycle on other dates; the other coins reuse BTC's at a seeded offset",
            **COMMON_PROVENANCE,
        },
    )
