"""What is believed and what is not: every nonsense has its own name."""

from __future__ import annotations

import math
from typing import Any

import pytest

from libs.common.instant import MarketClock, Now
from libs.common.messages import Book, Funding, Quote
from libs.exchange.port import BookSeen, FundingSeen, QuoteSeen, SettledSeen
from services.feed.normalize import (
    DAILY_ABS_MAX,
    RATE_ABS_MAX,
    Interval,
    Nonsense,
    book_of,
    far_from_mark,
    far_from_reference,
    funding_of,
    market_stamp_ms,
    of_one_time,
    quote_of,
    roll_tolerance_ms,
    settled_fault,
)

HOUR = 3_600_000
NOW_MS = 1_771_520_000_000


def quote(**changes: Any) -> Quote | Nonsense:
    fields: dict[str, Any] = {"bid": 99.0, "ask": 101.0, "bid_size": 1.0, "ask_size": 2.0, "source": "poll"}
    seen = QuoteSeen(venue="v", instrument="INJ-USDT", recv_us=7, **(fields | changes))
    return quote_of(seen, ts_ms=NOW_MS)


def funding(*, fallback: Interval | None = None, **changes: Any) -> Funding | Nonsense:
    fields: dict[str, Any] = {
        "rate": 0.0001,
        "interval_hours": 8.0,
        "interval_source": "endpoint",
        "next_ms": NOW_MS + 4 * HOUR,
        "mark": 100.0,
        "index": 100.1,
    }
    seen = FundingSeen(venue="v", instrument="INJ-USDT-PERP", recv_us=7, **(fields | changes))
    return funding_of(seen, fallback=fallback, ts_ms=NOW_MS, market_ms=NOW_MS, tolerance_ms=60_000)


def book(bids: tuple[tuple[float, float], ...], asks: tuple[tuple[float, float], ...]) -> Book | Nonsense:
    return book_of(BookSeen(venue="v", instrument="INJ-USDT", recv_us=7, bids=bids, asks=asks), ts_ms=NOW_MS)


def reason(verdict: object) -> str:
    assert isinstance(verdict, Nonsense), verdict
    assert verdict.text
    return verdict.reason


def test_a_sound_quote_passes_as_it_is() -> None:
    said = quote()
    assert isinstance(said, Quote)
    assert (said.bid, said.ask, said.bid_size, said.ask_size) == (99.0, 101.0, 1.0, 2.0)
    assert (said.ts_ms, said.recv_us, said.source) == (NOW_MS, 7, "poll")


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"bid": None}, "quote_empty"),
        ({"ask": None}, "quote_empty"),
        ({"bid": 0.0}, "quote_not_positive"),
        ({"ask": -1.0}, "quote_not_positive"),
        ({"bid": math.nan}, "quote_not_positive"),
        ({"ask": math.inf}, "quote_not_positive"),
        ({"bid": 101.5}, "quote_crossed"),
        ({"bid_size": -1.0}, "quote_bad_size"),
        ({"ask_size": math.nan}, "quote_bad_size"),
    ],
)
def test_nonsense_quotes_are_named(changes: dict[str, Any], wanted: str) -> None:
    assert reason(quote(**changes)) == wanted


def test_a_locked_quote_and_unknown_sizes_are_possible() -> None:
    said = quote(bid=100.0, ask=100.0, bid_size=None, ask_size=None)
    assert isinstance(said, Quote)
    assert (said.bid_size, said.ask_size) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("bids", "asks", "wanted"),
    [
        ((), ((101.0, 1.0),), "book_empty"),
        (((99.0, 1.0),), (), "book_empty"),
        (((99.0, 1.0),), ((99.0, 1.0),), "book_crossed"),
        (((99.0, 0.0),), ((101.0, 1.0),), "book_not_positive"),
        (((99.0, 1.0),), ((math.nan, 1.0),), "book_not_positive"),
        (((99.0, 1.0), (99.5, 1.0)), ((101.0, 1.0),), "book_unsorted"),
        (((99.0, 1.0),), ((101.0, 1.0), (100.5, 1.0)), "book_unsorted"),
    ],
)
def test_nonsense_books_are_named(bids: Any, asks: Any, wanted: str) -> None:
    assert reason(book(bids, asks)) == wanted


def test_a_deep_book_is_cut_to_a_hundred_levels() -> None:
    said = book(tuple((100.0 - i, 1.0) for i in range(1, 99)), tuple((100.0 + i, 1.0) for i in range(1, 300)))
    assert isinstance(said, Book)
    assert (len(said.bids), len(said.asks)) == (98, 100)


def test_a_sound_rate_keeps_interval_and_next_settlement() -> None:
    said = funding()
    assert isinstance(said, Funding)
    assert (said.kind, said.rate, said.interval_hours, said.interval_source) == (
        "current",
        0.0001,
        8.0,
        "endpoint",
    )
    assert (said.next_ms, said.settled_ms, said.mark) == (NOW_MS + 4 * HOUR, None, 100.0)


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"rate": None}, "rate_null"),
        ({"rate": math.nan}, "rate_not_finite"),
        ({"rate": -math.inf}, "rate_not_finite"),
        ({"rate": 1.8e9}, "rate_absurd"),  # 1.8e11 %, as one venue once said
        ({"rate": 0.0501}, "rate_absurd"),
        ({"rate": -0.0501}, "rate_absurd"),
        ({"rate": 0.045, "interval_hours": 1.0, "next_ms": NOW_MS + HOUR}, "rate_absurd"),  # 108 % a day
        ({"interval_hours": None, "interval_source": None}, "interval_unknown"),
        ({"interval_hours": 0.0}, "interval_implausible"),
        ({"interval_hours": -8.0}, "interval_implausible"),
        ({"interval_hours": 0.2}, "interval_implausible"),
        ({"interval_hours": 25.0}, "interval_implausible"),
        ({"interval_hours": math.nan}, "interval_implausible"),
        ({"interval_hours": 7_200_000.0}, "interval_implausible"),  # raw milliseconds of an unmapped interval
        ({"next_ms": None}, "next_unknown"),
        ({"next_ms": NOW_MS - HOUR}, "next_past"),
        ({"next_ms": NOW_MS + 8 * HOUR + 60_001}, "next_far"),
        ({"interval_hours": 1.0}, "next_far"),  # 1 h announced, the next settlement 4 h away
        ({"mark": 0.0}, "mark_not_positive"),
        ({"index": math.nan}, "mark_not_positive"),
        ({"mark": 0.1}, "multiplier"),
        ({"mark": 100_000.0}, "multiplier"),
        ({"mark": 140.0}, "mark_off_index"),
    ],
)
def test_nonsense_rates_are_named(changes: dict[str, Any], wanted: str) -> None:
    assert reason(funding(**changes)) == wanted


@pytest.mark.parametrize(
    ("rate", "hours"),
    [
        (-0.00511665, 1.0),  # Bybit INJUSDT 2026-02-19 17:00, 12.3 % a day: the largest recorded
        (0.01183133, 8.0),  # Binance INJUSDT
        (-0.02, 8.0),  # Binance 2023-25
        (0.04, 1.0),  # Hyperliquid's cap
        (0.0, 8.0),
    ],
)
def test_what_venues_really_said_is_believed(rate: float, hours: float) -> None:
    assert abs(rate) < RATE_ABS_MAX
    assert abs(rate) * 24 / hours < DAILY_ABS_MAX
    assert isinstance(funding(rate=rate, interval_hours=hours, next_ms=NOW_MS + int(hours * HOUR)), Funding)


def test_a_frame_without_interval_takes_the_one_that_is_known() -> None:
    said = funding(interval_hours=None, interval_source=None, fallback=Interval(hours=4.0, source="endpoint"))
    assert isinstance(said, Funding)
    assert (said.interval_hours, said.interval_source) == (4.0, "endpoint")


def test_its_own_interval_comes_before_the_known_one() -> None:
    said = funding(interval_hours=8.0, fallback=Interval(hours=4.0, source="endpoint"))
    assert isinstance(said, Funding)
    assert said.interval_hours == 8.0


def settled(rate: float | None, settled_ms: int = NOW_MS) -> Nonsense | None:
    seen = SettledSeen(venue="v", instrument="INJ-USDT-PERP", recv_us=7, settled_ms=settled_ms, rate=rate)
    return settled_fault(seen, market_ms=NOW_MS, tolerance_ms=60_000)


def test_prints_are_judged_too() -> None:
    assert settled(0.0001) is None
    assert reason(settled(None)) == "settled_rate_null"
    assert reason(settled(math.nan)) == "settled_rate_not_finite"
    assert reason(settled(0.3)) == "settled_rate_absurd"
    assert reason(settled(0.0001, NOW_MS + HOUR)) == "settled_future"


def test_a_thousandfold_price_is_a_wrong_multiplier() -> None:
    assert reason(far_from_mark(0.012, 12.0)) == "multiplier"
    assert reason(far_from_reference(12.0, 0.012, of="SHIB-USDT on binance")) == "multiplier"
    assert far_from_reference(0.0121, 0.012, of="SHIB-USDT on binance") is None


def test_a_quote_far_from_a_mark_is_not_of_the_same_thing() -> None:
    assert reason(far_from_mark(115.0, 100.0)) == "quote_off_mark"
    assert reason(far_from_mark(85.0, 100.0)) == "quote_off_mark"
    assert far_from_mark(105.0, 100.0) is None


@pytest.mark.parametrize(
    ("wall_sec", "market_sec", "comparable"),
    [
        (0, 0, True),
        (5, 5, True),
        (5.1, 5.1, False),
        (-5.1, -5.1, False),
        (0.5, 1_440, True),
        (1, 2_880, False),
    ],
)
def test_prices_are_compared_while_both_times_lie_close(
    wall_sec: float,
    market_sec: float,
    comparable: bool,  # noqa: FBT001 - a parametrised test gets its arguments so
) -> None:
    """In the demo a second is 48 minutes of market time: a crash within it is no nonsense."""
    assert of_one_time(apart_us=int(wall_sec * 1e6), apart_ms=int(market_sec * 1e3)) is comparable


def test_stamps_become_market_time() -> None:
    demo = MarketClock(market0_ms=1_700_000_000_000, wall0_ms=1_790_000_000_000, speed=2_880.0)
    wall_us = 1_790_000_010_000_000
    now = Now(wall_us=wall_us, market_ms=demo.at(wall_us), mono_us=0)
    assert now.market_ms == 1_700_000_000_000 + 28_800_000
    assert market_stamp_ms(None, demo, now) == now.market_ms
    assert market_stamp_ms(1_790_000_005_000, demo, now) == 1_700_000_000_000 + 14_400_000
    assert market_stamp_ms(1_700_000_000_123, demo, now) == 1_700_000_000_123
    assert market_stamp_ms(1_790_000_005_000, MarketClock(), now) == 1_790_000_005_000


def test_tolerance_follows_the_speed_of_market_time() -> None:
    assert roll_tolerance_ms(1.0) == 60_000
    assert roll_tolerance_ms(2_880.0) == 8_640_000
