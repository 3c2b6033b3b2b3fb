"""Small files to import."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from libs.research.importer import ImportReport, Options, import_files
from libs.research.layout import Kind, SeriesKey

T0 = 1_760_054_400_000
H8 = 28_800_000
KEY = SeriesKey(Kind.FUNDING, "binance", "BTCUSDT")
FUNDING = "venue,symbol,ts_ms,rate,interval_h\n"
BARS = "venue,symbol,ts_ms,open,high,low,close,volume\n"
GOOD = f"binance,BTCUSDT,{T0},0.0001,8\n"
GOOD_BAR = f"okx,BTC/USDT,{T0},1,2,0.5,1.5,10\n"


def write(folder: Path, text: str | bytes, name: str = "in.csv") -> Path:
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def take(folder: Path, *files: Path, **options: Any) -> ImportReport:
    return import_files(folder / "archive", files, Options(**{"kind": Kind.FUNDING, **options}))


def parquet(folder: Path, name: str = "in.parquet", **columns: Any) -> Path:
    table = {
        "venue": ["binance"],
        "symbol": ["BTCUSDT"],
        "ts_ms": [T0],
        "rate": [0.0001],
        "interval_h": [8.0],
    }
    pq.write_table(pa.table({**table, **columns}), folder / name)
    return folder / name


def row(cells: str) -> str:
    """A bad row after a good one: the row number must be right."""
    return FUNDING + GOOD + cells + "\n"


def bar(cells: str) -> str:
    return BARS + GOOD_BAR + f"okx,BTC/USDT,{T0 + 60_000},{cells}\n"
