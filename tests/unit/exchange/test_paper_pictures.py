"""Which book and which mark follow from what the bus has shown."""

from __future__ import annotations

import itertools

import pytest

from libs.common.messages import Book, Funding, Quote
from libs.exchange.paper.listings import TIERS, instrument_of
from libs.exchange.paper.pictures import AGE_US_MAX, BOOK_AGE_US_MAX, Depth, Picture, half
from tests.helpers.paper import PERP, SPOT, D, info_of

ITEM = instrument_of(info_of("binance", PERP))
SLIP = D("0.0005")


def quote(
    bid: float, ask: float, *, size: float = 2.0, recv_us: int = 1_000, ts_ms: int | None = None
) -> Quote:
    return Quote(
        venue="binance",
        instrument=PERP,
        bid=bid,
        ask=ask,
        bid_size=size,
        ask_size=size,
        ts_ms=recv_us if ts_ms is None else ts_ms,
        recv_us=recv_us,
    )


def book(
    bids: tuple[tuple[float, float], ...], asks: tuple[tuple[float, float], ...], recv_us: int = 1_000
) -> Book:
    return Book(venue="binance", instrument=PERP, bids=bids, asks=asks, ts_ms=recv_us, recv_us=recv_us)


def funding(mark: float | None, recv_us: int, next_ms: int | None = None) -> Funding:
    return Funding(
        venue="binance",
        instrument=PERP,
        kind="current",
        rate=0.0001,
        interval_hours=8,
        interval_source="rate",
        next_ms=next_ms,
        mark=mark,
        ts_ms=recv_us // 1_000,
        recv_us=recv_us,
    )


def test_a_quote_is_its_best_levels_and_three_dearer_ones_of_the_same_size() -> None:
    picture = Picture()
    picture.on_quote(quote(1000.0, 1000.5, size=2.5))
    # 5 bps of 1000 is 0.5; of 1000.5 it is 0.50025, which is moved away to 0.6
    assert picture.depth(ITEM, SLIP, 1_000) == Depth(
        bids=(
            (D("1000.0"), D("2.5")),
            (D("999.5"), D("2.5")),
            (D("999.0"), D("2.5")),
            (D("998.5"), D("2.5")),
        ),
        asks=(
            (D("1000.5"), D("2.5")),
            (D("1001.1"), D("2.5")),
            (D("1001.7"), D("2.5")),
            (D("1002.3"), D("2.5")),
        ),
    )


def test_without_assumed_slippage_the_levels_are_a_tick_apart() -> None:
    picture = Picture()
    picture.on_quote(quote(1000.0, 1000.5))
    prices = [price for price, _ in picture.depth(ITEM, D(0), 1_000).asks]
    assert prices == [D("1000.5"), D("1000.6"), D("1000.7"), D("1000.8")]


def test_a_book_that_is_as_new_as_the_quote_stands_as_it_came() -> None:
    picture = Picture()
    picture.on_quote(quote(999.0, 1001.0))
    picture.on_book(book(((1000.0, 1.0), (999.0, 5.0)), ((1000.5, 3.0),)))
    assert picture.depth(ITEM, SLIP, 1_000) == Depth(
        bids=((D(1000), D(1)), (D(999), D(5))), asks=((D("1000.5"), D(3)),)
    )


def test_a_newer_quote_leads_and_the_young_book_lies_behind_it() -> None:
    picture = Picture()
    picture.on_book(book(((1000.0, 1.0), (999.0, 5.0)), ((1000.5, 3.0), (1002.0, 7.0)), recv_us=1_000))
    picture.on_quote(quote(1000.8, 1001.0, size=0.4, recv_us=2_000))
    assert picture.depth(ITEM, SLIP, 2_000) == Depth(
        bids=((D("1000.8"), D("0.4")), (D(1000), D(1)), (D(999), D(5))),
        asks=((D(1001), D("0.4")), (D(1002), D(7))),
    )


def test_an_older_book_is_forgotten_behind_a_newer_quote() -> None:
    picture = Picture()
    picture.on_book(book(((1000.0, 1.0),), ((1000.5, 3.0), (1002.0, 7.0)), recv_us=1_000))
    now_us = 1_000 + BOOK_AGE_US_MAX + 1
    picture.on_quote(quote(1000.0, 1000.5, size=0.4, recv_us=now_us))
    assert [size for _, size in picture.depth(ITEM, SLIP, now_us).asks] == [D("0.4")] * 4


def test_an_old_picture_is_none() -> None:
    picture = Picture()
    picture.on_quote(quote(1000.0, 1000.5))
    assert picture.depth(ITEM, SLIP, 1_000 + AGE_US_MAX).asks
    assert picture.depth(ITEM, SLIP, 1_000 + AGE_US_MAX + 1) == Depth()
    assert Picture().depth(ITEM, SLIP, 0) == Depth()


def test_sizes_are_cut_to_steps_and_prices_moved_away_to_ticks() -> None:
    pairs = ((1000.01, 1.0009), (1000.02, 2.0), (1000.11, 0.0009), (1000.3, 4.0))
    assert half(pairs, ITEM, up=True) == ((D("1000.1"), D(3)), (D("1000.3"), D(4)))
    assert half(((1000.09, 1.0), (999.99, 1.0)), ITEM, up=False) == ((D(1000), D(1)), (D("999.9"), D(1)))


@pytest.mark.parametrize(
    "pairs",
    [
        ((1000.0, float("nan")),),
        ((float("inf"), 1.0),),
        ((-1.0, 1.0),),
        ((1000.0, -1.0),),
        ((1000.0, 1e300),),
        ((1e300, 1.0),),
    ],
)
def test_no_nonsense_becomes_a_level(pairs: tuple[tuple[float, float], ...]) -> None:
    assert half(pairs, ITEM, up=True) == ()


def test_what_comes_out_of_order_ends_a_side_and_a_crossed_picture_is_empty() -> None:
    assert half(((1000.0, 1.0), (999.0, 1.0), (1001.0, 1.0)), ITEM, up=True) == ((D(1000), D(1)),)
    picture = Picture()
    picture.on_quote(quote(1001.0, 1000.5))
    assert picture.depth(ITEM, SLIP, 1_000) == Depth()


def test_only_another_state_counts_as_a_change_and_an_older_message_as_nothing() -> None:
    picture = Picture()
    picture.on_quote(quote(1000.0, 1000.5, recv_us=2_000, ts_ms=7))
    picture.changed = False
    picture.on_quote(quote(1000.0, 1000.5, recv_us=9_000, ts_ms=7))
    assert not picture.changed
    assert picture.quote is not None
    assert picture.quote.recv_us == 9_000
    picture.on_quote(quote(990.0, 991.0, recv_us=8_000))
    assert picture.quote.bid == 1000.0
    assert not picture.changed
    picture.on_quote(quote(1000.0, 1000.5, recv_us=9_001, ts_ms=8))
    assert picture.changed


def test_the_mark_is_the_venues_while_it_is_young_else_the_mid() -> None:
    picture, spot = Picture(), instrument_of(info_of("binance", SPOT))
    assert picture.price(ITEM, 0) is None
    picture.on_funding(funding(1005.0, 1_000), 1)
    picture.on_quote(quote(1000.0, 1001.0, recv_us=1_000))
    assert picture.price(ITEM, 1_000) == D(1005)
    assert picture.price(spot, 1_000) == D("1000.5")
    assert picture.price(ITEM, 1_001 + AGE_US_MAX) == D("1000.5")


def test_an_old_mark_is_better_than_none() -> None:
    picture = Picture()
    picture.on_funding(funding(1005.0, 1_000), 1)
    assert picture.price(ITEM, 10 * AGE_US_MAX) == D(1005)


def test_the_mid_of_a_book_serves_where_there_is_no_quote() -> None:
    picture = Picture()
    picture.on_book(book(((1000.0, 1.0),), ((1002.0, 1.0),)))
    assert picture.price(ITEM, 1_000) == D(1001)


def test_the_mark_of_a_settlement_is_the_last_one_before_it() -> None:
    picture = Picture()
    picture.on_funding(funding(1000.0, 1_000_000, next_ms=5_000_000), 1_000)
    picture.on_funding(funding(1001.0, 4_999_000_000, next_ms=5_000_000), 4_999_000)
    picture.on_funding(funding(1002.0, 5_001_000_000, next_ms=5_000_000), 5_001_000)
    picture.on_funding(funding(1003.0, 5_002_000_000, next_ms=9_000_000), 5_002_000)
    assert picture.mark_at(5_000_000) == D(1001)
    assert picture.mark_at(5_000_412) == D(1001)
    assert picture.mark_at(9_000_000) == D(1003)
    assert picture.mark_at(1_000_000) is None


def test_brackets_make_the_maintenance_continuous() -> None:
    for lower, upper in itertools.pairwise(TIERS):
        edge = lower.notional_max
        below = edge * lower.maintenance_ratio - lower.maintenance_amount
        above = edge * upper.maintenance_ratio - upper.maintenance_amount
        assert below == above
        assert lower.leverage_max > upper.leverage_max
