"""Prices that were seen, as parts of bars. Pure.

A part holds what came since the last flush; parts of one open are put together when segments are merged
(`libs.research.compact`). So a kill loses no more than what was not flushed, and nothing has to be restored.
"""

from __future__ import annotations

import math
from typing import Final

from libs.common.instant import MS_PER_SEC
from libs.common.subjects import Kind as LegKind
from libs.common.subjects import kind_of
from libs.research.layout import MS_PER_MINUTE, TS_MS_MAX, TS_MS_MIN, Bar, Kind, SeriesKey

LADDER_MIN: Final = (1, 5, 15, 30, 60, 240, 480)
WALL_SEC_PER_BAR_MIN: Final = 1.0
_KINDS: Final = {LegKind.SPOT: Kind.SPOT, LegKind.PERP: Kind.PERP, LegKind.FUTURE: Kind.FUTURE}


def bar_length_ms(*, interval_sec: float, speed: float) -> int:
    """Length of the bars in market time: one minute, or the next of 5, 15, 30 min, 1, 4, 8 h that is at least
    one polling interval (else bars would be missing) and, where market time runs faster, one second long.
    """
    wanted_ms = max(interval_sec, WALL_SEC_PER_BAR_MIN * speed) * MS_PER_SEC
    lengths = [minutes * MS_PER_MINUTE for minutes in LADDER_MIN]
    return next((length for length in lengths if length >= wanted_ms), lengths[-1])


def price_key(venue: str, instrument: str) -> SeriesKey:
    """The series of an instrument's mid prices."""
    return SeriesKey(_KINDS[kind_of(instrument)], venue, instrument)


def mark_key(venue: str, instrument: str) -> SeriesKey:
    """The series of an instrument's mark prices."""
    return SeriesKey(Kind.MARK, venue, instrument)


class Bars:
    """Parts under construction, one a series."""

    def __init__(self, length_ms: int) -> None:
        self.length_ms = length_ms
        self._open: dict[SeriesKey, list[float]] = {}
        self._opens_ms: dict[SeriesKey, int] = {}

    def see(self, key: SeriesKey, ts_ms: int, price: float) -> tuple[SeriesKey, Bar] | None:
        """Take a price at market time `ts_ms`; answers the part of an earlier bar that it ended.

        A price or stamp that cannot be one is left out: feeds judge, a recorder must only survive.
        """
        if not (math.isfinite(price) and price > 0 and TS_MS_MIN <= ts_ms <= TS_MS_MAX):
            return None
        opens_ms = ts_ms // self.length_ms * self.length_ms
        part = self._open.get(key)
        if part is not None and self._opens_ms[key] == opens_ms:
            part[1] = max(part[1], price)
            part[2] = min(part[2], price)
            part[3] = price
            return None
        ended = self._part(key) if part is not None else None
        self._open[key] = [price, price, price, price]
        self._opens_ms[key] = opens_ms
        return ended

    def flush(self) -> list[tuple[SeriesKey, Bar]]:
        """All parts as they are; the next price begins new ones."""
        parts = [self._part(key) for key in self._open]
        self._open.clear()
        self._opens_ms.clear()
        return parts

    def _part(self, key: SeriesKey) -> tuple[SeriesKey, Bar]:
        opened, high, low, close = self._open[key]
        return key, Bar(self._opens_ms[key], opened, high, low, close)
