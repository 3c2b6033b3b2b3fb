"""Synthesised books are books: ordered, never crossed, around the price, the same for the same dice."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from services.venue import books, recording
from services.venue.dice import Dice
from services.venue.instruments import Instrument
from services.venue.market import DEFAULT_START_MS, Market

MARKET = Market(recording.load())
INSTRUMENTS = [
    one
    for protocol in ("binance", "bitget")
    for kind in ("spot", "perp")
    for one in MARKET.listed(protocol, kind, DEFAULT_START_MS)
]


@settings(max_examples=120, deadline=None, derandomize=True)
@given(st.sampled_from(INSTRUMENTS), st.integers(0, 10**9), st.floats(0.5, 2.0))
def test_a_book_is_ordered_and_not_crossed(instrument: Instrument, step: int, factor: float) -> None:
    mid = MARKET.price(instrument, DEFAULT_START_MS) * factor
    statistics = MARKET.recording.books[books.statistics_name(instrument)]
    book = books.book(instrument, statistics, mid, Dice(step, "test"))
    bids, asks = [t for t, _ in book.bids], [t for t, _ in book.asks]
    assert bids == sorted(set(bids), reverse=True)
    assert asks == sorted(set(asks))
    assert bids[0] < asks[0]
    assert min(size for _, size in (*book.bids, *book.asks)) >= 1
    middle = (bids[0] + asks[0]) / 2 * float(instrument.tick)
    assert abs(middle - mid) <= float(instrument.tick)
    assert (asks[0] - bids[0]) * float(instrument.tick) / mid * 1e4 < 12.0, "spread in bps"


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.sampled_from(INSTRUMENTS), st.integers(0, 10**9))
def test_a_quote_is_the_top_of_its_book(instrument: Instrument, step: int) -> None:
    quote = MARKET.quote(instrument, DEFAULT_START_MS, step)
    book = MARKET.book(instrument, DEFAULT_START_MS, step)
    assert book.bids[0] == (quote.bid_ticks, quote.bid_steps)
    assert book.asks[0] == (quote.ask_ticks, quote.ask_steps)
    assert MARKET.quote(instrument, DEFAULT_START_MS, step) == quote


def test_bitcoins_spread_is_like_the_recorded_one() -> None:
    btc = next(
        one for one in INSTRUMENTS if (one.protocol, one.kind, one.symbol) == ("binance", "spot", "BTCUSDT")
    )
    mid = MARKET.price(btc, DEFAULT_START_MS)
    spreads = sorted(
        (q.ask_ticks - q.bid_ticks) * 0.01 / mid * 1e4
        for q in (MARKET.quote(btc, DEFAULT_START_MS, step) for step in range(500))
    )
    recorded = MARKET.recording.books["BTC-spot"].spread_bps
    assert spreads[0] >= 0.01 / mid * 1e4
    assert recorded[5] <= spreads[len(spreads) // 2] * 2 <= recorded[10] * 4


def test_depth_follows_the_measured_profile() -> None:
    statistics = MARKET.recording.books["ETH-perp"]
    assert books.cumulative_usd(statistics, 0.0) == 0.0
    for bps, usd in zip(statistics.distances_bps, statistics.depth_usd, strict=True):
        assert books.cumulative_usd(statistics, bps) == usd
    assert books.cumulative_usd(statistics, 1_000.0) == statistics.depth_usd[-1]
