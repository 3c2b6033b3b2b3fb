"""Funding intervals: reading what venues write, and finding what they leave out.

The order (economics.md): the rate itself, the interval endpoint, the market's info, the difference of
the last two settlements. Pure: times come in, nothing is fetched here.
"""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from libs.common.instant import MS_PER_HOUR
from libs.exchange.port import IntervalSource

HOURS_MAX: Final = 24.0  # no listed perpetual settles less often than daily
Nexts = Sequence[tuple[str, int | None]]  # slug, next settlement
_TEXT: Final = re.compile(r"\A(\d+(?:\.\d+)?)\s*([a-zA-Z]?)\Z")
_HOURS_PER_UNIT: Final = {"h": 1.0, "H": 1.0, "m": 1 / 60, "d": 24.0, "D": 24.0}
_MS_MIN: Final = 60_000.0  # a bare number below this is hours, above it raw milliseconds
_JITTER_MS: Final = 60_000  # settlement stamps carry up to 999 ms; a minute is still no other interval


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """Hours between settlements, and where that is known from."""

    hours: float
    source: IntervalSource


def plausible(hours: float | None) -> float | None:
    """`hours` when it can be an interval, else None."""
    if hours is None or not math.isfinite(hours) or not 0 < hours <= HOURS_MAX:
        return None
    return hours


def hours_of(value: object) -> float | None:
    """Hours of what a venue or ccxt calls an interval; None for anything else.

    Gate, KuCoin and HTX let unmapped values through as raw milliseconds (2 h -> '7200000': ccxt 4.5.90,
    parse_funding_interval of gate, kucoin, htx).

    >>> hours_of("8h"), hours_of("7200000"), hours_of("0h")
    (8.0, 2.0, None)
    """
    return None if value is None or isinstance(value, bool) else _hours_of_text(str(value))


@functools.lru_cache(maxsize=256)  # hundreds of symbols write the same few texts
def _hours_of_text(text: str) -> float | None:
    match = _TEXT.match(text.strip())
    if match is None:
        return None
    number, unit = float(match.group(1)), match.group(2)
    if unit:
        return plausible(number * _HOURS_PER_UNIT[unit]) if unit in _HOURS_PER_UNIT else None
    return plausible(number / MS_PER_HOUR if number >= _MS_MIN else number)


def hours_from_settlements(stamps_ms: Iterable[int]) -> float | None:
    """The difference of the last two settlement times, jitter taken off; None when it is no whole hour.

    >>> hours_from_settlements([0, 28_800_004, 57_600_950])
    8.0
    """
    last = sorted(set(stamps_ms))[-2:]
    if len(last) < 2:
        return None
    gap_ms = last[1] - last[0]
    hours = round(gap_ms / MS_PER_HOUR)
    if abs(gap_ms - hours * MS_PER_HOUR) > _JITTER_MS:
        return None
    return plausible(float(hours))


def next_after(last_settled_ms: int, hours: float, now_ms: int) -> int:
    """The first settlement after `now_ms` on the grid of `last_settled_ms`, whose jitter is taken off."""
    step_ms = round(hours * MS_PER_HOUR)
    start_ms = round(last_settled_ms / _JITTER_MS) * _JITTER_MS
    steps = max(1, (now_ms - start_ms) // step_ms + 1)
    return start_ms + steps * step_ms


class IntervalBook:
    """The last answer about intervals that come apart from the rates, and whether to ask again.

    An interval may change at any settlement (8 h -> 4 h -> 1 h), and must be seen at once. So it is
    asked for again as soon as a symbol's next settlement is another than it was at the last answer, and
    after `ttl_us` in any case.
    """

    def __init__(self, *, ttl_us: int = 60_000_000) -> None:
        self._ttl_us = ttl_us
        self._hours: dict[str, float] = {}
        self._next_ms: dict[str, int] = {}
        self._read_us: int | None = None

    @property
    def known(self) -> bool:
        return self._read_us is not None

    def hours(self, slug: str) -> float | None:
        return self._hours.get(slug)

    def next_ms(self, slug: str) -> int | None:
        """The next settlement that the known interval was read for."""
        return self._next_ms.get(slug)

    def read(self, hours: Mapping[str, float], nexts: Nexts, *, mono_us: int) -> None:
        """Take a whole answer: what is not in it is no longer known. `nexts` is what it was read for."""
        self._hours = dict(hours)
        self._next_ms.update((slug, stamp) for slug, stamp in nexts if stamp is not None)
        self._read_us = mono_us

    def stale(self, nexts: Nexts, *, mono_us: int) -> bool:
        """Whether to ask before `nexts` are priced."""
        if self._read_us is None or mono_us - self._read_us >= self._ttl_us:
            return True
        return any(stamp is not None and self._next_ms.get(slug) != stamp for slug, stamp in nexts)
