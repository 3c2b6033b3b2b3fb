"""pyarrow, imported when the first file is touched: it costs 0.2 s and 60 MB."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any


@cache
def arrow() -> Any:
    """Module `pyarrow`."""
    return import_module("pyarrow")


@cache
def parquet() -> Any:
    """Module `pyarrow.parquet`."""
    return import_module("pyarrow.parquet")


@cache
def compute() -> Any:
    """Module `pyarrow.compute`."""
    return import_module("pyarrow.compute")
