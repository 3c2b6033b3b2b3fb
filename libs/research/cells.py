"""Judging one cell or row of an import: what a stamp, a rate, a price must be. Pure.

A cell is text (CSV) or a typed value (Parquet). Each function answers the value or raises `BadCell`, whose
text says what is wrong and what to do; the importer adds file, row and column.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

from libs.research.layout import TS_MS_MAX, TS_MS_MIN, Bar

RATE_MAX: Final = 1.0
"""At or above 100 % in one settlement the unit is wrong; caps of venues are at most a few per cent."""

INTERVAL_HOURS_MAX: Final = 24.0


class BadCell(ValueError):
    """Reason and remedy; `column` names the cell."""

    def __init__(self, column: str, reason: str) -> None:
        super().__init__(reason)
        self.column = column


def stamp(value: Any, column: str = "ts_ms") -> int:
    """UTC milliseconds as an integer."""
    number = _integer(value, column)
    if TS_MS_MIN <= number <= TS_MS_MAX:
        return number
    if number < 0:
        reason = "a stamp before 1970; UTC milliseconds are wanted"
    elif TS_MS_MIN <= number * 1_000 <= TS_MS_MAX:
        reason = "these are seconds; multiply by 1000"
    elif TS_MS_MIN <= number // 1_000 <= TS_MS_MAX:
        reason = "these are microseconds; divide by 1000"
    elif TS_MS_MIN <= number // 1_000_000 <= TS_MS_MAX:
        reason = "these are nanoseconds; divide by 1000000"
    else:
        reason = "is outside 2009..2100; UTC milliseconds are wanted"
    raise BadCell(column, f"{number}: {reason}")


def rate(value: Any) -> float:
    """A fraction a settlement, e.g. 0.0001."""
    number = _number(value, "rate")
    if abs(number) >= RATE_MAX:
        raise BadCell(
            "rate", f"{number:g} is 100 % or more in one settlement; write a fraction (0.01 % is 0.0001)"
        )
    return number


def interval_hours(value: Any, column: str = "interval_h") -> float | None:
    """Hours, or None when the cell is empty (the interval is then derived)."""
    if _is_empty(value):
        return None
    number = _number(value, column)
    if not 0 < number <= INTERVAL_HOURS_MAX:
        remedy = "hours from above 0 to 24 are wanted; leave it empty to derive it"
        raise BadCell(column, f"{number:g} is no funding interval; {remedy}")
    return number


def mark_price(value: Any) -> float | None:
    """A positive price in quote units, or None when the cell is empty."""
    return None if _is_empty(value) else _price(value, "mark_price")


def volume(value: Any) -> float | None:
    """Base units, not negative, or None when the cell is empty."""
    if _is_empty(value):
        return None
    number = _number(value, "volume")
    if number < 0:
        raise BadCell("volume", f"{number:g} is negative; a volume is at least 0")
    return number


def bar(ts_ms: int, prices: Sequence[Any], traded: Any) -> Bar:
    """A bar from (open, high, low, close) whose high and low embrace open and close."""
    names = ("open", "high", "low", "close")
    opened, high, low, close = (_price(price, name) for price, name in zip(prices, names, strict=True))
    column = wrong = ""
    if high < low:
        column, wrong = "high", f"{high:g} is below low {low:g}"
    elif high < max(opened, close):
        column, wrong = "high", f"{high:g} is below open or close {max(opened, close):g}"
    elif low > min(opened, close):
        column, wrong = "low", f"{low:g} is above open or close {min(opened, close):g}"
    if wrong:
        raise BadCell(column, f"{wrong}; are the columns swapped?")
    return Bar(ts_ms, opened, high, low, close, volume(traded))


def _price(value: Any, column: str) -> float:
    number = _number(value, column)
    if number <= 0:
        raise BadCell(column, f"{number:g} is no price; prices are above 0")
    return number


def _is_empty(value: Any) -> bool:
    if value is None or (isinstance(value, str) and not value.strip()):
        return True
    # A Parquet file written through pandas says "nothing" as NaN in columns that may be empty.
    return isinstance(value, float) and math.isnan(value)


def _number(value: Any, column: str) -> float:
    if value is None or value == "":
        raise BadCell(column, "is empty; a number is wanted, or drop the row")
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise BadCell(column, f"is {_type_name(value)}; a number is wanted")
    try:
        # float() takes "1_000", which no exchange writes.
        number = float("no number" if isinstance(value, str) and "_" in value else value)
    except ValueError as error:
        raise BadCell(column, f"{str(value)[:40]!r} is no number; use digits and a point") from error
    except OverflowError as error:
        raise BadCell(column, "the number is too large") from error
    if not math.isfinite(number):
        raise BadCell(column, f"{value} is not finite; drop the row, a hole is better than a made-up value")
    return number


def _integer(value: Any, column: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str):
        text = value.strip()
        if text.removeprefix("-").isascii() and text.removeprefix("-").isdecimal():
            return int(text) if len(text) <= 20 else 10**20
        if text[:4].isdecimal() and text[4:5] == "-":
            raise BadCell(column, f"{text[:40]!r} is a date; UTC milliseconds as an integer are wanted")
    if not isinstance(value, str | int | float | None):
        raise BadCell(column, f"is {_type_name(value)}; UTC milliseconds as an integer are wanted")
    number = _number(value, column)
    if number != int(number):
        raise BadCell(column, f"{value} has a fraction; UTC milliseconds as an integer are wanted")
    return int(number)


def _type_name(value: Any) -> str:
    return f"a {type(value).__name__}"
