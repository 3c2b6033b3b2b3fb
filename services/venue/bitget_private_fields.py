"""How Bitget's private calls are read: parameters of a query or a JSON body, times and pages; and how numbers
stand on the wire.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from decimal import ROUND_DOWN, Decimal, InvalidOperation
from typing import Any, Final, TypeVar

from libs.common.instant import MS_PER_DAY
from services.venue.bitget_common import CATEGORIES, refuse
from services.venue.wire import Call, Refused

PAGE_MAX: Final = 100
RANGE_MAX_MS: Final = 30 * MS_PER_DAY
DIGITS: Final = Decimal("1e-8")  # of figures that are quotients; booked amounts stand exactly
_VALUE_MAX: Final = Decimal("1e15")
_EXPONENT_MIN: Final = -18

Row = TypeVar("Row")


class Fields:
    """The parameters of one call: `Fields.of(call)`, or one object of a batch."""

    def __init__(self, call: Call, values: dict[str, Any]) -> None:
        self.call = call
        self._values = values

    @classmethod
    def of(cls, call: Call) -> Fields:
        """Of the query, or of the body when it is posted."""
        if call.method == "GET":
            return cls(call, dict(call.query))
        values = posted(call)
        if not isinstance(values, dict):
            raise refuse(call, "40017", "Parameter verification failed")
        return cls(call, values)

    @staticmethod
    def decoded(text: bytes) -> dict[str, Any]:
        """A JSON object that the venue has written itself."""
        found: dict[str, Any] = json.loads(text)
        return found

    def text(self, name: str, default: str = "") -> str:
        """A parameter as text; numbers may come unquoted, null is as good as absent."""
        value = self._values.get(name)
        if value is None or value == "":
            return default
        if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
            raise self.wrong(name)
        return str(value)

    def required(self, name: str) -> str:
        """A parameter that has to be there."""
        found = self.text(name)
        if not found:
            raise self.empty(name)
        return found

    def choice(self, name: str, allowed: Iterable[str], default: str = "") -> str:
        """One of a few words, in lower case; required without a default."""
        found = (self.text(name, default) if default else self.required(name)).lower()
        if found not in allowed:
            raise self.wrong(name)
        return found

    def amount(self, name: str) -> Decimal:
        """A positive number with at most 18 decimals."""
        found = decimal_of(self.required(name))
        if found is None or not 0 < found < _VALUE_MAX:
            raise self.wrong(name)
        return found

    def whole(self, name: str, default: int) -> int:
        """A whole number, not negative."""
        text = self.text(name)
        if not text:
            return default
        if not (text.isascii() and text.isdigit() and len(text) <= 18):
            raise self.wrong(name)
        return int(text)

    def texts(self, name: str) -> list[str]:
        """A list of words that has to be there and not be empty."""
        value = self._values.get(name)
        if value is None or value == []:
            raise self.empty(name)
        if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
            raise self.wrong(name)
        return list(value)

    def category(self, default: str = "") -> str:
        """The product; required without a default. `OTHER` is for transfers in the financial records."""
        found = (self.text("category", default) if default else self.required("category")).upper()
        if found not in CATEGORIES | {"OTHER"}:
            raise self.wrong("category")
        return found

    def empty(self, name: str) -> Refused:
        """A parameter that is missing."""
        return refuse(self.call, "40019", f"Parameter {name} cannot be empty")

    def wrong(self, name: str) -> Refused:
        """A parameter that makes no sense."""
        return refuse(self.call, "40017", f"Parameter verification failed {name}")


def posted(call: Call) -> Any:
    """The JSON of a body, its fractions as `Decimal`."""
    try:
        return json.loads(call.body, parse_float=Decimal)
    except (ValueError, RecursionError):
        raise refuse(call, "40017", "Parameter verification failed") from None


def decimal_of(text: str) -> Decimal | None:
    """A plain finite number with at most 18 decimals, else None."""
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    exponent = value.as_tuple().exponent
    return value if isinstance(exponent, int) and exponent >= _EXPONENT_MIN else None


def page(
    fields: Fields, rows: Sequence[Row], *, number: Callable[[Row], int], stamp: Callable[[Row], int]
) -> list[Row]:
    """The newest rows first: from startTime to endTime (ms, both included), before `cursor`, at most `limit`.

    `rows` are oldest first; `number` is the id that cursors name.
    """
    since, until = fields.whole("startTime", 0), fields.whole("endTime", 0)
    if since and until and until - since > RANGE_MAX_MS:
        text = "startTime and endTime interval cannot be greater than 30 days"
        raise refuse(fields.call, "00001", text)
    before, limit = fields.whole("cursor", 0), fields.whole("limit", PAGE_MAX)
    if not 1 <= limit <= PAGE_MAX:
        raise fields.wrong("limit")
    chosen: list[Row] = []
    for row in reversed(rows):
        if before and number(row) >= before:
            continue
        if since <= stamp(row) and (not until or stamp(row) <= until):
            chosen.append(row)
            if len(chosen) == limit:
                break
    return chosen


def plain(value: Decimal) -> str:
    """A number as Bitget writes it: no exponent, no zeros at the end, no negative zero."""
    text = f"{value:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def figure(value: Decimal) -> str:
    """A derived figure, cut to 8 decimals."""
    return plain(value.quantize(DIGITS, rounding=ROUND_DOWN))


def ratio(part: Decimal, whole: Decimal) -> Decimal:
    """A quotient, 0 when there is no whole."""
    return part / whole if whole else Decimal(0)


def ms_text(us: int) -> str:
    """A stamp in ms."""
    return str(us // 1_000)
