"""From what a venue said to what we believe: messages, or the reason why not.

Pure. A `Nonsense` never stops anything but the instrument that it is about.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Final, Literal

import msgspec

from libs.common.instant import MS_PER_HOUR, US_PER_MS, US_PER_SEC, MarketClock, Now
from libs.common.messages import Book, Funding, Quote
from libs.exchange.port import BookSeen, FundingSeen, IntervalSource, QuoteSeen, SettledSeen

# Venues cap the rate of one interval at 2-4 % (Binance 2-3 %, Bybit and Hyperliquid 4 %); the largest one in
# the recorded year of 113 series is 1.18 % (Binance INJUSDT), in 2023-2025 2.0 %. 5 % is nonsense.
RATE_ABS_MAX: Final = 0.05
# An hourly rate at a 4 % cap is 96 % a day; the recorded maximum is 12.3 % (Bybit INJUSDT, -0.51 % an hour).
DAILY_ABS_MAX: Final = 1.0
INTERVAL_HOURS_MIN: Final = 0.25
INTERVAL_HOURS_MAX: Final = 24.0
# A wrong multiplier (1000SHIB for SHIB) is a factor of ten at least; no price of one asset doubles between
# two venues at one instant.
MULTIPLIER_RATIO_MAX: Final = 2.0
# Mark and index come in one frame; a quarter apart they are not of one thing, or not to be traded on.
MARK_INDEX_RATIO_MAX: Final = 1.25
# No liquid market moves by a tenth within the seconds (in the demo: half an hour of a recorded crash, which
# made at most 40 % in 8 h) between two prices that are compared.
QUOTE_MARK_DISTANCE_MAX: Final = 0.10
COMPARED_US_MAX: Final = 5 * US_PER_SEC
COMPARED_MARKET_MS_MAX: Final = 1_800_000
MULTIPLIER: Final = "multiplier"
BOOK_LEVELS_MAX: Final = 100
# How late a roll-over may show: a minute, or 3 s of wall time where market time runs faster.
ROLL_TOLERANCE_MS: Final = 60_000
ROLL_TOLERANCE_WALL_MS: Final = 3_000

Aspect = Literal["venue", "listing", "funding", "settled", "quote", "book", "price"]


class Nonsense(msgspec.Struct, frozen=True, kw_only=True):
    """Why an observation is not believed: `reason` is a stable name, `text` has the figures."""

    aspect: Aspect
    reason: str
    text: str


class Interval(msgspec.Struct, frozen=True, kw_only=True):
    """An interval, and which of the fallbacks it comes from."""

    hours: float
    source: IntervalSource


def roll_tolerance_ms(speed: float) -> int:
    """How far past (or beyond its interval) a next settlement may lie, in ms of market time."""
    return max(ROLL_TOLERANCE_MS, int(ROLL_TOLERANCE_WALL_MS * speed))


def market_stamp_ms(stamp_ms: int | None, market: MarketClock, now: Now) -> int:
    """A venue's stamp as market time.

    Outside the demo a stamp is market time as it stands. In the demo quotes are stamped in wall and
    funding in market time: a stamp that is nearer to our wall clock is taken through `sys.clock`.
    Without a stamp it is the market time of arrival.
    """
    if stamp_ms is None or stamp_ms <= 0:
        return now.market_ms
    if market.speed == 1.0 and market.market0_ms == market.wall0_ms:
        return stamp_ms
    wall_ms = now.wall_us // US_PER_MS
    if abs(stamp_ms - wall_ms) < abs(stamp_ms - now.market_ms):
        return market.at(stamp_ms * US_PER_MS)
    return stamp_ms


def is_price(value: float | None) -> bool:
    """Given, finite and above zero."""
    return value is not None and math.isfinite(value) and value > 0


def quote_of(seen: QuoteSeen, *, ts_ms: int) -> Quote | Nonsense:
    """A quote with two positive sides that do not cross. Unknown sizes (some venues' tickers) become 0."""
    bid, ask = seen.bid, seen.ask
    if bid is None or ask is None:
        return Nonsense(aspect="quote", reason="quote_empty", text=f"bid {bid}, ask {ask}")
    if not (is_price(bid) and is_price(ask)):
        return Nonsense(aspect="quote", reason="quote_not_positive", text=f"bid {bid}, ask {ask}")
    if bid > ask:
        return Nonsense(aspect="quote", reason="quote_crossed", text=f"bid {bid} above ask {ask}")
    bid_size, ask_size = seen.bid_size or 0.0, seen.ask_size or 0.0
    if not all(math.isfinite(size) and size >= 0 for size in (bid_size, ask_size)):
        return Nonsense(aspect="quote", reason="quote_bad_size", text=f"sizes {bid_size}, {ask_size}")
    return Quote(
        venue=seen.venue,
        instrument=seen.instrument,
        bid=bid,
        ask=ask,
        bid_size=bid_size,
        ask_size=ask_size,
        ts_ms=ts_ms,
        recv_us=seen.recv_us,
        source=seen.source,
    )


def book_of(seen: BookSeen, *, ts_ms: int) -> Book | Nonsense:
    """A book with two sides, each sorted from the best level outwards, that do not cross."""
    bids, asks = seen.bids[:BOOK_LEVELS_MAX], seen.asks[:BOOK_LEVELS_MAX]
    if not bids or not asks:
        return Nonsense(aspect="book", reason="book_empty", text=f"{len(bids)} bids, {len(asks)} asks")
    for price, size in (*bids, *asks):
        if not (is_price(price) and is_price(size)):
            return Nonsense(aspect="book", reason="book_not_positive", text=f"a level of {size} at {price}")
    if bids[0][0] >= asks[0][0]:
        return Nonsense(aspect="book", reason="book_crossed", text=f"bid {bids[0][0]} meets ask {asks[0][0]}")
    falling = all(high[0] > low[0] for high, low in pairwise(bids))
    rising = all(low[0] < high[0] for low, high in pairwise(asks))
    if not (falling and rising):
        return Nonsense(aspect="book", reason="book_unsorted", text="levels do not go outwards from the best")
    return Book(
        venue=seen.venue, instrument=seen.instrument, bids=bids, asks=asks, ts_ms=ts_ms, recv_us=seen.recv_us
    )


def rate_fault(rate: float | None, interval_hours: float | None) -> tuple[str, str] | None:
    """(reason, text) of a rate that no venue could mean. `interval_hours` None: only the rate is judged."""
    if rate is None:
        return "rate_null", "no rate"
    if not math.isfinite(rate):
        return "rate_not_finite", f"rate {rate}"
    if abs(rate) > RATE_ABS_MAX:
        return "rate_absurd", f"{rate:.6g} for one interval, the bound is {RATE_ABS_MAX:g}"
    if interval_hours is not None and abs(rate) * 24.0 / interval_hours > DAILY_ABS_MAX:
        return "rate_absurd", f"{rate:.6g} each {interval_hours:g} h is more than {DAILY_ABS_MAX:.0%} a day"
    return None


def interval_fault(hours: float | None) -> tuple[str, str] | None:
    """(reason, text) of an interval that is missing or outside 0.25..24 h."""
    if hours is None:
        return "interval_unknown", "the venue gives no interval and no fallback has one"
    if not (math.isfinite(hours) and INTERVAL_HOURS_MIN <= hours <= INTERVAL_HOURS_MAX):
        low, high = INTERVAL_HOURS_MIN, INTERVAL_HOURS_MAX
        return "interval_implausible", f"{hours:g} h, not within {low:g}..{high:g} h"
    return None


def next_fault(
    next_ms: int | None, interval_hours: float, *, market_ms: int, tolerance_ms: int
) -> tuple[str, str] | None:
    """(reason, text) of a next settlement that is missing, past, or further away than one interval."""
    if next_ms is None or next_ms <= 0:
        return "next_unknown", "no next settlement time"
    ahead_ms = next_ms - market_ms
    if ahead_ms < -tolerance_ms:
        return "next_past", f"the next settlement was {-ahead_ms / MS_PER_HOUR:.2f} h ago"
    if ahead_ms > interval_hours * MS_PER_HOUR + tolerance_ms:
        return (
            "next_far",
            f"the next settlement is {ahead_ms / MS_PER_HOUR:.2f} h away, the interval {interval_hours:g} h",
        )
    return None


def mark_fault(mark: float | None, index: float | None) -> tuple[str, str] | None:
    """(reason, text) when mark and index are no prices, or not of the same thing; None is "not given"."""
    for name, price in (("mark", mark), ("index", index)):
        if price is not None and not is_price(price):
            return "mark_not_positive", f"{name} {price}"
    if mark is None or index is None:
        return None
    ratio = max(mark / index, index / mark)
    if ratio > MULTIPLIER_RATIO_MAX:
        return MULTIPLIER, f"mark {mark:g} and index {index:g} differ by a factor of {ratio:.4g}"
    if ratio > MARK_INDEX_RATIO_MAX:
        return "mark_off_index", f"mark {mark:g}, index {index:g}"
    return None


def funding_of(
    seen: FundingSeen, *, fallback: Interval | None, ts_ms: int, market_ms: int, tolerance_ms: int
) -> Funding | Nonsense:
    """The current rate with its interval and next settlement.

    `fallback` is an interval learnt elsewhere, for frames that carry none (Binance's mark stream).
    """
    interval = fallback
    if seen.interval_hours is not None:
        interval = Interval(hours=seen.interval_hours, source=seen.interval_source or "rate")
    hours = None if interval is None else interval.hours
    # The order is that of the figures' dependence: a rate means nothing without a sound interval.
    fault = rate_fault(seen.rate, None) or interval_fault(hours) or mark_fault(seen.mark, seen.index)
    if fault is None and hours is not None:
        fault = rate_fault(seen.rate, hours) or next_fault(
            seen.next_ms, hours, market_ms=market_ms, tolerance_ms=tolerance_ms
        )
    if fault is not None or interval is None or seen.rate is None:
        reason, text = fault or ("interval_unknown", "no interval")
        return Nonsense(aspect="funding", reason=reason, text=text)
    return Funding(
        venue=seen.venue,
        instrument=seen.instrument,
        kind="current",
        rate=seen.rate,
        interval_hours=interval.hours,
        interval_source=interval.source,
        next_ms=seen.next_ms,
        mark=seen.mark,
        index=seen.index,
        ts_ms=ts_ms,
        recv_us=seen.recv_us,
        source=seen.source,
        mark_us=seen.mark_us,
    )


def settled_fault(seen: SettledSeen, *, market_ms: int, tolerance_ms: int) -> Nonsense | None:
    """Why a print is not believed: it stays missing then, and is counted as a gap."""
    if seen.settled_ms <= 0 or seen.settled_ms > market_ms + tolerance_ms:
        return Nonsense(aspect="settled", reason="settled_future", text=f"a print of {seen.settled_ms}")
    fault = rate_fault(seen.rate, None)
    return None if fault is None else Nonsense(aspect="settled", reason=f"settled_{fault[0]}", text=fault[1])


def of_one_time(*, apart_us: int, apart_ms: int) -> bool:
    """Whether prices seen so far apart, in monotonic us and in ms of market time, can be compared closely."""
    return abs(apart_us) <= COMPARED_US_MAX and abs(apart_ms) <= COMPARED_MARKET_MS_MAX


def far_from_mark(mid: float, mark: float) -> Nonsense | None:
    """A quote that is not of the instrument with this mark.

    `multiplier` holds whatever the age of the mark, `quote_off_mark` only `of_one_time` with it: prices
    move by more within minutes when a market crashes.
    """
    ratio = max(mid / mark, mark / mid)
    if ratio > MULTIPLIER_RATIO_MAX:
        return Nonsense(
            aspect="price", reason=MULTIPLIER, text=f"mid {mid:g} and mark {mark:g}: factor {ratio:.4g}"
        )
    if abs(mid / mark - 1.0) > QUOTE_MARK_DISTANCE_MAX:
        return Nonsense(aspect="price", reason="quote_off_mark", text=f"mid {mid:g} against mark {mark:g}")
    return None


def far_from_reference(mid: float, reference: float, *, of: str) -> Nonsense | None:
    """A derivative whose price is a multiple of the same asset's price elsewhere (`of` names where)."""
    ratio = max(mid / reference, reference / mid)
    if ratio <= MULTIPLIER_RATIO_MAX:
        return None
    return Nonsense(
        aspect="price",
        reason=MULTIPLIER,
        text=f"mid {mid:g}, but {of} has {reference:g}: factor {ratio:.4g}",
    )
