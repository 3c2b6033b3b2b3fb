"""`data verify`: what is wrong with a series, and what is only worth knowing. Pure but for reading the files.

Wrong (exit 1): gaps, duplicates, wrong order, implausible values, an interval that its spacing contradicts, a
file that cannot be read. Worth knowing: jitter, interval changes. A hole is reported, never filled.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

import msgspec

from libs.common.instant import MS_PER_HOUR
from libs.research.archive import Archive, ArchiveError
from libs.research.layout import JITTER_MS_MAX, Bar, FundingPrint, Kind, SeriesKey, hours, slot_of

RATE_CAP: Final = 0.04
"""The widest cap of a venue for one settlement: Hyperliquid's documentation says 4 % an hour, Bybit's 4 %."""

PRICE_JUMP: Final = 10.0
"""A close ten times (or a tenth of) the one before is a wrong multiplier, not a market."""

EXAMPLES: Final = 3


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """From the last row before to the first row after; `lacking_hours` is what no row covers."""

    from_ms: int
    to_ms: int
    lacking_hours: float


class IntervalChange(msgspec.Struct, frozen=True, kw_only=True):
    """The first print of another interval."""

    ts_ms: int
    from_hours: float
    to_hours: float


class Implausible(msgspec.Struct, frozen=True, kw_only=True):
    """One row that cannot be believed."""

    ts_ms: int
    text: str


class SeriesFindings(msgspec.Struct, frozen=True, kw_only=True):
    """All about one series. Counts are complete, lists hold the first few."""

    key: SeriesKey
    rows: int
    gaps: int = 0
    lacking_hours: float = 0.0
    lacking_rows: int = 0
    first_gaps: tuple[Gap, ...] = ()
    duplicates: int = 0
    disordered: int = 0
    jittered: int = 0
    jitter_ms_max: int = 0
    interval_changes: tuple[IntervalChange, ...] = ()
    implausible: int = 0
    first_implausible: tuple[Implausible, ...] = ()
    unreadable: str = ""

    @property
    def ok(self) -> bool:
        return not (self.gaps or self.duplicates or self.disordered or self.implausible or self.unreadable)


def verify_archive(archive: Archive) -> list[SeriesFindings]:
    """Findings of every series, in the order of `Archive.series`."""
    return [verify_series(archive, key) for key in archive.series()]


def verify_series(archive: Archive, key: SeriesKey) -> SeriesFindings:
    """Read one series and judge it."""
    try:
        if key.kind is Kind.FUNDING:
            return judge_funding(key, archive.read_funding(key))
        return judge_bars(key, archive.read_bars(key))
    except (ArchiveError, TypeError) as error:
        return SeriesFindings(key=key, rows=0, unreadable=str(error))


def judge_funding(key: SeriesKey, prints: Sequence[FundingPrint]) -> SeriesFindings:
    """Findings of a funding series: a print covers the hours before it; what none covers is a gap."""
    implausible = [found for row in prints if (found := _implausible_print(row)) is not None]
    slots = [slot_of(row.ts_ms) for row in prints]
    jitters = [abs(row.ts_ms - slot) for row, slot in zip(prints, slots, strict=True)]
    sane = [row for row in prints if _is_interval(row.interval_hours)]
    ordered = sorted({slot_of(row.ts_ms): row for row in sane}.items())
    gaps, lacking_rows = _funding_gaps(ordered)
    implausible += _contradicted(ordered) + _lone_intervals(ordered)
    changes = tuple(
        IntervalChange(ts_ms=after.ts_ms, from_hours=before.interval_hours, to_hours=after.interval_hours)
        for (_, before), (_, after) in pairwise(ordered)
        if before.interval_hours != after.interval_hours
    )
    return SeriesFindings(
        key=key,
        rows=len(prints),
        gaps=len(gaps),
        lacking_hours=math.fsum(gap.lacking_hours for gap in gaps),
        lacking_rows=lacking_rows,
        first_gaps=tuple(gaps[:EXAMPLES]),
        duplicates=len(slots) - len(set(slots)),
        disordered=_disordered(slots),
        jittered=sum(1 for jitter in jitters if jitter),
        jitter_ms_max=max(jitters, default=0),
        interval_changes=changes,
        implausible=len(implausible),
        first_implausible=tuple(sorted(implausible, key=lambda found: found.ts_ms)[:EXAMPLES]),
    )


def judge_bars(key: SeriesKey, bars: Sequence[Bar]) -> SeriesFindings:
    """Findings of a series of bars; their length is the commonest step between two opens."""
    stamps = [bar.ts_ms for bar in bars]
    distinct = sorted(set(stamps))
    steps = Counter(after - before for before, after in pairwise(distinct))
    usual = min(steps, key=lambda step: (-steps[step], step), default=0)
    gaps = [
        Gap(from_ms=before, to_ms=after, lacking_hours=hours(after - before - usual))
        for before, after in pairwise(distinct)
        if after - before > usual
    ]
    implausible = [found for bar in bars if (found := _implausible_bar(bar)) is not None]
    implausible += _jumps(bars)
    return SeriesFindings(
        key=key,
        rows=len(bars),
        gaps=len(gaps),
        lacking_hours=math.fsum(gap.lacking_hours for gap in gaps),
        lacking_rows=sum((gap.to_ms - gap.from_ms - 1) // usual for gap in gaps),
        first_gaps=tuple(gaps[:EXAMPLES]),
        duplicates=len(stamps) - len(distinct),
        disordered=_disordered(stamps),
        implausible=len(implausible),
        first_implausible=tuple(sorted(implausible, key=lambda found: found.ts_ms)[:EXAMPLES]),
    )


def _funding_gaps(ordered: Sequence[tuple[int, FundingPrint]]) -> tuple[list[Gap], int]:
    gaps: list[Gap] = []
    rows = 0
    for (before, _), (after, row) in pairwise(ordered):
        length = round(row.interval_hours * MS_PER_HOUR)
        lacking = after - length - before
        if lacking > JITTER_MS_MAX:
            gaps.append(Gap(from_ms=before, to_ms=after, lacking_hours=hours(lacking)))
            rows += max(1, lacking // length)
    return gaps, rows


def _contradicted(ordered: Sequence[tuple[int, FundingPrint]]) -> list[Implausible]:
    """Prints that claim more time than has passed since the one before: their daily rate would be too low."""
    found: list[Implausible] = []
    for (before, _), (after, row) in pairwise(ordered):
        passed = after - before
        if round(row.interval_hours * MS_PER_HOUR) - passed > JITTER_MS_MAX:
            text = f"interval {row.interval_hours:g} h, but {hours(passed):g} h after the settlement before"
            found.append(Implausible(ts_ms=row.ts_ms, text=text))
    return found


def _lone_intervals(ordered: Sequence[tuple[int, FundingPrint]]) -> list[Implausible]:
    """A single print with twice the interval of its neighbours or more: a hole that a source papered over."""
    found: list[Implausible] = []
    triples = zip(ordered, ordered[1:], ordered[2:], strict=False)
    for (_, before), (_, row), (_, after) in triples:
        if before.interval_hours == after.interval_hours and row.interval_hours >= 2 * before.interval_hours:
            text = (
                f"interval {row.interval_hours:g} h once between prints of {before.interval_hours:g} h: "
                "a missing settlement rather than a change"
            )
            found.append(Implausible(ts_ms=row.ts_ms, text=text))
    return found


def _is_interval(value: float | None) -> bool:
    return value is not None and math.isfinite(value) and value > 0


def _implausible_print(row: FundingPrint) -> Implausible | None:
    text = ""
    if not _finite(row.rate):
        text = f"rate {row.rate}"
    elif abs(row.rate) > RATE_CAP:
        text = f"rate {row.rate:g} is beyond the widest cap of a venue ({RATE_CAP:g})"
    elif not _is_interval(row.interval_hours):
        text = f"interval {row.interval_hours} h"
    elif row.mark is not None and not (_finite(row.mark) and row.mark > 0):
        text = f"mark {row.mark}"
    return Implausible(ts_ms=row.ts_ms, text=text) if text else None


def _implausible_bar(bar: Bar) -> Implausible | None:
    prices = (bar.open, bar.high, bar.low, bar.close)
    text = ""
    if not all(_finite(price) and price > 0 for price in prices):
        text = f"prices {prices}"
    elif bar.high < max(bar.open, bar.close) or bar.low > min(bar.open, bar.close):
        text = (
            f"high {bar.high:g} and low {bar.low:g} do not embrace open {bar.open:g} and close {bar.close:g}"
        )
    elif bar.volume is not None and not (_finite(bar.volume) and bar.volume >= 0):
        text = f"volume {bar.volume}"
    return Implausible(ts_ms=bar.ts_ms, text=text) if text else None


def _jumps(bars: Sequence[Bar]) -> list[Implausible]:
    found: list[Implausible] = []
    for before, after in pairwise(bars):
        if not (_finite(before.close) and _finite(after.open) and before.close > 0 and after.open > 0):
            continue
        ratio = after.open / before.close
        if not 1 / PRICE_JUMP < ratio < PRICE_JUMP:
            text = f"opens at {after.open:g} after a close of {before.close:g}"
            found.append(Implausible(ts_ms=after.ts_ms, text=text))
    return found


def _disordered(stamps: Sequence[int]) -> int:
    return sum(1 for before, after in pairwise(stamps) if after < before)


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
