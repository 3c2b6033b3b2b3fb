from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.research.compact import absorb
from libs.research.layout import Bar, Kind, SeriesKey
from services.recorder.bars import Bars, bar_length_ms, price_key
from tests.unit.recorder.makers import T0_MS

KEY = SeriesKey(Kind.PERP, "binance", "BTC-USDT-PERP")


@pytest.mark.parametrize(
    ("interval_sec", "speed", "minutes"),
    [
        (30.0, 1.0, 1),
        (60.0, 1.0, 1),
        (61.0, 1.0, 5),
        (30.0, 2_880.0, 60),
        (30.0, 36_000.0, 480),
        (10.0, 60.0, 1),
    ],
)
def test_bars_are_a_minute_unless_polls_or_a_fast_market_leave_holes(
    interval_sec: float, speed: float, minutes: int
) -> None:
    assert bar_length_ms(interval_sec=interval_sec, speed=speed) == minutes * 60_000


@pytest.mark.parametrize(
    ("instrument", "kind"),
    [("BTC-USDT", Kind.SPOT), ("BTC-USDT-PERP", Kind.PERP), ("BTC-USDT-261225", Kind.FUTURE)],
)
def test_the_kind_of_a_series_is_that_of_its_instrument(instrument: str, kind: Kind) -> None:
    assert price_key("binance", instrument).kind is kind


@pytest.mark.parametrize("price", [0.0, -1.0, math.nan, math.inf])
def test_a_price_that_is_none_is_left_out(price: float) -> None:
    bars = Bars(60_000)
    assert bars.see(KEY, T0_MS, price) is None
    assert bars.flush() == []


@pytest.mark.parametrize("ts_ms", [0, T0_MS // 1_000, T0_MS * 1_000])
def test_a_stamp_that_is_none_is_left_out(ts_ms: int) -> None:
    bars = Bars(60_000)
    assert bars.see(KEY, ts_ms, 100.0) is None
    assert bars.flush() == []


@settings(max_examples=80, derandomize=True, deadline=None)
@given(
    ticks=st.lists(
        st.tuples(st.integers(0, 20_000), st.floats(1, 1e6), st.booleans()), min_size=1, max_size=60
    )
)
def test_parts_grow_to_the_bars_that_one_look_would_have_made(ticks: list[tuple[int, float, bool]]) -> None:
    """However the stream is cut by flushes, merging the parts gives open, high, low, close of each minute."""
    bars, ts_ms = Bars(60_000), T0_MS
    seen: list[Bar] = []
    wanted: dict[int, tuple[float, float, float, float]] = {}
    for step_ms, price, flush in ticks:
        ts_ms += step_ms
        opens = ts_ms // 60_000 * 60_000
        o, h, low, _ = wanted.get(opens, (price, price, price, price))
        wanted[opens] = (o, max(h, price), min(low, price), price)
        ended = bars.see(KEY, ts_ms, price)
        seen += [ended[1]] if ended else []
        seen += [bar for _, bar in bars.flush()] if flush else []
    seen += [bar for _, bar in bars.flush()]
    merged = absorb(KEY, [], seen)
    assert list(merged.rows) == [Bar(opens, *prices) for opens, prices in sorted(wanted.items())]
    assert list(absorb(KEY, merged.rows, seen).rows) == list(merged.rows)
