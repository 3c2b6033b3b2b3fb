"""Where a series lies in the archive and what its columns are: names, escapes, slots. Pure.

    {archive}/kind=funding/venue=binance/symbol=BTCUSDT.parquet

The symbol is written as its source names it. Characters that a file name cannot carry everywhere are
percent-encoded, and decoding gives the symbol back: `xyz:AAPL` lies in `symbol=xyz%3AAAPL.parquet`.
"""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

import msgspec

from libs.common.instant import MS_PER_HOUR
from libs.common.subjects import SLUG

JITTER_MS_MAX: Final = 999
"""Settlement stamps lie up to this far from the whole minute that they mean (venues stamp when they pay)."""

MS_PER_MINUTE: Final = 60_000
SYMBOL_LENGTH_MAX: Final = 64
# 2009-01-03 .. 2100-01-01: outside lies no market, but a stamp in seconds or microseconds does.
TS_MS_MIN: Final = 1_230_940_800_000
TS_MS_MAX: Final = 4_102_444_800_000

_FILE: Final = re.compile(r"\Asymbol=(?P<symbol>.+)\.parquet\Z")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


class Kind(StrEnum):
    """What a series holds. `future` (bars of a dated future) comes from the recorder only."""

    FUNDING = "funding"
    SPOT = "spot"
    PERP = "perp"
    MARK = "mark"
    FUTURE = "future"


_KINDS: Final = frozenset(str(kind) for kind in Kind)
BAR_KINDS: Final = (Kind.SPOT, Kind.PERP, Kind.MARK, Kind.FUTURE)


class SeriesKey(msgspec.Struct, frozen=True, order=True):
    """One series: `SeriesKey(Kind.FUNDING, "binance", "BTCUSDT")`."""

    kind: Kind
    venue: str
    symbol: str

    def __str__(self) -> str:
        return f"{self.kind} {self.venue} {self.symbol}"


class FundingPrint(msgspec.Struct, frozen=True, gc=False):
    """One settlement: `rate` is the fraction paid for `interval_hours`, > 0 longs pay shorts.

    `ts_ms` is the venue's stamp with its jitter; `slot_of(ts_ms)` is the settlement that it means. `mark`
    is the mark price of that instant in quote units, None when the source gave none. `derived` says that
    the interval comes from the spacing of the prints, not from the source.
    """

    ts_ms: int
    rate: float
    interval_hours: float
    mark: float | None = None
    derived: bool = False

    @property
    def daily(self) -> float:
        """The rate as a fraction a day."""
        return self.rate * 24.0 / self.interval_hours


class Bar(msgspec.Struct, frozen=True, gc=False):
    """Prices in quote units from `ts_ms` (bar open); `volume` in base units, None when not known."""

    ts_ms: int
    open: float
    high: float
    low: float
    close: float
    volume: float | None = None


Row = FundingPrint | Bar


def slot_of(ts_ms: int) -> int:
    """The instant that a jittered settlement stamp means: the whole minute when one is within 999 ms.

    >>> slot_of(1_700_006_400_999), slot_of(1_700_006_399_001), slot_of(1_700_006_405_000)
    (1700006400000, 1700006400000, 1700006405000)
    """
    minute = (ts_ms + MS_PER_MINUTE // 2) // MS_PER_MINUTE * MS_PER_MINUTE
    return minute if abs(ts_ms - minute) <= JITTER_MS_MAX else ts_ms


def slot_in(kind: Kind, ts_ms: int) -> int:
    """The identity of a row within its series: settlements by slot, bars by their exact open."""
    return slot_of(ts_ms) if kind is Kind.FUNDING else ts_ms


def path_of(root: Path, key: SeriesKey) -> Path:
    """The file of a series."""
    name = f"symbol={quote(key.symbol, safe='')}.parquet"
    return root / f"kind={key.kind}" / f"venue={key.venue}" / name


def key_of(root: Path, path: Path) -> SeriesKey | None:
    """The series that a file below `root` holds, None when it is no series of an archive."""
    parts = path.relative_to(root).parts
    if len(parts) != 3:
        return None
    kind, venue = parts[0].removeprefix("kind="), parts[1].removeprefix("venue=")
    match = _FILE.match(parts[2])
    if match is None or kind not in _KINDS or parts[0] == kind or parts[1] == venue:
        return None
    return SeriesKey(Kind(kind), venue, unquote(match["symbol"]))


def venue_problem(venue: object) -> str | None:
    """Why this is no venue name, None when it is one."""
    if not isinstance(venue, str) or not venue:
        return "a venue's name is missing here: write the ccxt id, e.g. binance"
    if not SLUG.match(venue):
        return f"{venue!r} is no venue name: letters, digits, - and _ only, e.g. binance or hyperliquid-xyz"
    return None


def symbol_problem(symbol: object) -> str | None:
    """Why this is no symbol, None when it is one."""
    if not isinstance(symbol, str) or not symbol.strip():
        return "a symbol is missing here: write it as the venue names it, e.g. BTCUSDT"
    if len(symbol) > SYMBOL_LENGTH_MAX or _CONTROL.search(symbol) or symbol != symbol.strip():
        limit = f"at most {SYMBOL_LENGTH_MAX} visible characters, no blanks around them"
        return f"{symbol[:80]!r} is no symbol: {limit}"
    return None


def hours(ms: int) -> float:
    """Milliseconds as hours."""
    return ms / MS_PER_HOUR
