"""Funding, normalised: a rate is never without its interval, and a settled print counts exactly once.

Rates are fractions for one interval, `daily` is a fraction of notional a day, positive rates are paid
by longs to shorts. Times are market time in ms.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from libs.common.messages import Settlement

HOURS_PER_DAY: Final = 24.0
DAYS_PER_YEAR: Final = 365.0
MS_PER_MINUTE: Final = 60_000
MS_PER_DAY: Final = 86_400_000
# Venues stamp a settlement up to 999 ms late, and not by the same amount each time they are asked.
JITTER_MS: Final = 1_000
NOW_SETTLEMENTS: Final = 3
MEAN_DAYS: Final = 30.0
# A window of the slower leg counts when both legs' prints cover at least this share of it.
COVERAGE_MIN: Final = 0.5
TAIL: Final = 100


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """Settled carry of a pair in one window of its slower leg: `daily` over `hours` up to `end_ms`."""

    end_ms: int
    daily: float
    hours: float


class SettledCarry(msgspec.Struct, frozen=True, kw_only=True):
    """What a pair's settled prints say, long the first leg and short the second (negate it for the reverse).

    `now`: mean of the last three samples; `mean30`: trailing 30 days over what exists; both weighted by
    time. `history_days` is the time that `mean30` covers. A run is the number of last samples with that
    sign; `tail` holds up to 100 of the last dailies, newest last.
    """

    last_ms: int
    last_hours: float
    now: float
    mean30: float
    history_days: float
    positive_run: int
    negative_run: int
    tail: tuple[float, ...]


def daily(rate: float, interval_hours: float) -> float:
    """`rate` of one interval as a fraction a day."""
    if not interval_hours > 0:
        raise ValueError(f"a funding interval is longer than 0 hours, not {interval_hours}")
    return rate * HOURS_PER_DAY / interval_hours


def apr(daily_rate: float) -> float:
    """A year of it, without compounding."""
    return daily_rate * DAYS_PER_YEAR


def carry_daily(long_daily: float, short_daily: float) -> float:
    """What the pair earns a day: the short leg receives, the long leg pays; spot and dated legs have 0."""
    return short_daily - long_daily


def days_until(expiry_ms: int, market_ms: int) -> float:
    """Days left, 0 when it has expired."""
    return max(0.0, (expiry_ms - market_ms) / MS_PER_DAY)


def convergence_daily(
    future_mid: float, other_mid: float, days_to_expiry: float, *, future_is_short: bool
) -> float:
    """A dated leg meets the other one at expiry: a fraction of the other leg's mid, a day.

    Positive when the future is sold above the other leg (or bought below it). 0 once it has expired.
    """
    if days_to_expiry <= 0:
        return 0.0
    gap = (future_mid - other_mid) / other_mid / days_to_expiry
    return gap if future_is_short else -gap


def minute_of(settled_ms: int) -> int:
    """Nominal minute of a stamp: jitter on either side of the full minute gives the same one."""
    return (settled_ms + MS_PER_MINUTE // 2) // MS_PER_MINUTE


def settled_once(prints: Iterable[Settlement]) -> tuple[Settlement, ...]:
    """Prints oldest first, each exactly once.

    Stamps less than a second apart, or in the same nominal minute, are the same settlement; of several
    tellings the last one given stands (a venue that restates a print means the newer figure).
    """
    by_minute: dict[int, Settlement] = {}
    for settled in prints:
        by_minute[minute_of(settled.settled_ms)] = settled
    ordered = sorted(by_minute.values(), key=lambda settled: settled.settled_ms)
    kept: list[Settlement] = []
    for settled in ordered:
        if kept and settled.settled_ms - kept[-1].settled_ms < JITTER_MS:
            kept[-1] = settled
        else:
            kept.append(settled)
    return tuple(kept)


def _mean_daily(prints: Sequence[tuple[int, float, float]]) -> tuple[float, float]:
    """Time-weighted daily rate of (minute, rate, hours) prints, and the hours that they cover."""
    hours = sum(settled[2] for settled in prints)
    return sum(settled[1] for settled in prints) * HOURS_PER_DAY / hours, hours


def _single(prints: Sequence[Settlement], sign: float) -> list[Sample]:
    return [Sample(p.settled_ms, sign * daily(p.rate, p.interval_hours), p.interval_hours) for p in prints]


def settled_samples(long: Sequence[Settlement] | None, short: Sequence[Settlement] | None) -> list[Sample]:
    """Settled carry of a pair, sampled at the settlements of its slower leg.

    None is a leg without funding (spot, dated). Prints come oldest first and unique (`settled_once`).
    Which leg is slower may change: a window closes at the first settlement by which both legs have
    settled since the last close, and reaches back by the longer of their two intervals. Within it each
    leg counts its own prints, so splitting an interval changes nothing. A window that one leg's prints
    cover by less than half is dropped: a hole is never filled.
    """
    if long is None and short is None:
        return []
    if long is None:
        return _single(short or (), 1.0)
    if short is None:
        return _single(long, -1.0)
    longs = [(minute_of(p.settled_ms), p.rate, p.interval_hours) for p in long]
    shorts = [(minute_of(p.settled_ms), p.rate, p.interval_hours) for p in short]
    samples: list[Sample] = []
    i = j = i_from = j_from = 0
    while i < len(longs) or j < len(shorts):
        minute = min(series[at][0] for series, at in ((longs, i), (shorts, j)) if at < len(series))
        while i < len(longs) and longs[i][0] == minute:
            i += 1
        while j < len(shorts) and shorts[j][0] == minute:
            j += 1
        if i == i_from or j == j_from:
            continue
        hours = max(longs[i - 1][2], shorts[j - 1][2])
        since = (
            minute - hours * 60 + 1
        )  # a minute of tolerance: the print that closed the last window stays out
        long_prints = [p for p in longs[i_from:i] if p[0] >= since]
        short_prints = [p for p in shorts[j_from:j] if p[0] >= since]
        i_from, j_from = i, j
        if not long_prints or not short_prints:
            continue
        long_daily, long_hours = _mean_daily(long_prints)
        short_daily, short_hours = _mean_daily(short_prints)
        if min(long_hours, short_hours) >= COVERAGE_MIN * hours:
            samples.append(Sample(minute * MS_PER_MINUTE, carry_daily(long_daily, short_daily), hours))
    return samples


def mean_daily(samples: Sequence[Sample]) -> float:
    """Time-weighted mean; `samples` must not be empty."""
    hours = sum(sample.hours for sample in samples)
    return sum(sample.daily * sample.hours for sample in samples) / hours


def _run(samples: Sequence[Sample], sign: float) -> int:
    count = 0
    for sample in reversed(samples):
        if sample.daily * sign <= 0:
            break
        count += 1
    return count


def settled_carry(samples: Sequence[Sample]) -> SettledCarry | None:
    """What forecasts and gates read, None without a settlement; it trails its own last settlement."""
    if not samples:
        return None
    last = samples[-1]
    window = [s for s in samples if s.end_ms > last.end_ms - MEAN_DAYS * MS_PER_DAY]
    return SettledCarry(
        last_ms=last.end_ms,
        last_hours=last.hours,
        now=mean_daily(samples[-NOW_SETTLEMENTS:]),
        mean30=mean_daily(window),
        history_days=sum(sample.hours for sample in window) / HOURS_PER_DAY,
        positive_run=_run(samples, 1.0),
        negative_run=_run(samples, -1.0),
        tail=tuple(sample.daily for sample in samples[-TAIL:]),
    )


def payment(rate: float, *, is_short: bool) -> float:
    """One settlement's payment to a leg as a fraction of its notional, positive when received."""
    return rate if is_short else -rate
