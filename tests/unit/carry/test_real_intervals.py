"""Recorded series whose interval changes: every step normalised by its own interval, every print used once.

From the sample that ships with the simulated venue: INJ on Bybit goes 8 h -> 1 h (2026-02-19) and back, LAYER
on Binance 4 h -> 1 h.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import services.venue
from libs.carry.funding import daily, settled_carry, settled_once, settled_samples
from libs.carry.holding import on_settled, opened
from libs.common.messages import Settlement
from tests.helpers.recordings import SHARED

SAMPLE = Path(services.venue.__file__).parent / "data" / "funding.parquet"
YEAR = "history/funding_4venues_1y_2025_2026.parquet"
HOUR_MS = 3_600_000


def rows(venue: str, symbol: str) -> list[dict[str, Any]]:
    table = pq.read_table(SAMPLE, filters=[("venue", "==", venue), ("symbol", "==", symbol)])
    return sorted(table.to_pylist(), key=lambda row: int(row["ts_ms"]))


def prints(venue: str, symbol: str) -> tuple[Settlement, ...]:
    return settled_once(
        Settlement(settled_ms=row["ts_ms"], rate=row["rate"], interval_hours=row["interval_hours"])
        for row in rows(venue, symbol)
    )


@pytest.mark.parametrize(
    ("venue", "symbol", "intervals"),
    [("bybit", "INJUSDT", {8.0, 1.0}), ("binance", "LAYERUSDT", {4.0, 1.0}), ("binance", "TIAUSDT", {4.0})],
)
def test_every_step_is_normalised_by_its_own_interval(venue: str, symbol: str, intervals: set[float]) -> None:
    recorded = rows(venue, symbol)
    samples = settled_samples(None, prints(venue, symbol))
    assert len(samples) == len(recorded)
    assert {sample.hours for sample in samples} == intervals
    for row, sample in zip(recorded, samples, strict=True):
        assert sample.daily == pytest.approx(row["rate"] * 24 / row["interval_hours"])
        assert daily(row["rate"], row["interval_hours"]) == sample.daily


def test_the_step_of_inj_is_not_read_as_eight_hours() -> None:
    """The first hourly print, -0.368432 %, is -8.84 % a day; as an 8 h rate it would be -1.1 %."""
    series = prints("bybit", "INJUSDT")
    change = next(n for n, p in enumerate(series) if p.interval_hours == 1.0)
    assert series[change - 1].interval_hours == 8.0
    assert series[change].settled_ms - series[change - 1].settled_ms == HOUR_MS
    sample = settled_samples(None, series)[change]
    assert sample.daily == pytest.approx(-0.08842368)


def test_a_pair_across_the_change_is_sampled_at_the_slower_leg() -> None:
    """Long INJ on Bybit (8 -> 1 -> 8 h), short on Binance (8 h): 8 h windows throughout, nothing lost."""
    bybit, binance = prints("bybit", "INJUSDT"), prints("binance", "INJUSDT")
    samples = settled_samples(bybit, binance)
    assert len(samples) == len(binance)
    assert {sample.hours for sample in samples} == {8.0}
    rates = {p.settled_ms // 60_000: p.rate for p in bybit}
    by_end = {sample.end_ms: sample for sample in samples}
    hourly = [p for p in bybit if p.interval_hours == 1.0]
    whole = [
        p for p in binance if hourly[0].settled_ms + 8 * HOUR_MS <= p.settled_ms <= hourly[-1].settled_ms
    ]
    assert len(whole) > 15
    for p in whole:
        paid = sum(rates[p.settled_ms // 60_000 - 60 * back] for back in range(8))
        assert by_end[p.settled_ms].daily == pytest.approx((p.rate - paid) * 3)


def test_a_print_told_again_and_again_with_jitter_is_used_once() -> None:
    series = prints("bybit", "INJUSDT")
    told = [*series]
    for n, p in enumerate(series):
        late_ms = p.settled_ms + (n * 37) % 1_000
        told.append(Settlement(settled_ms=late_ms, rate=p.rate, interval_hours=p.interval_hours))
    once = settled_once(told)
    assert len(once) == len(series)
    assert [p.rate for p in once] == [p.rate for p in series]
    assert settled_carry(settled_samples(None, once)) is not None
    paid = on_settled(opened(series[0].settled_ms - HOUR_MS), None, once)
    assert paid.earned == pytest.approx(sum(p.rate for p in series))
    assert on_settled(paid, None, settled_once([*once, *told])) == paid


@pytest.mark.data(YEAR)
@pytest.mark.parametrize("venue", ["binance", "bybit", "hyperliquid"])
def test_the_whole_recorded_year_is_normalised(venue: str) -> None:
    table = pq.read_table(SHARED / YEAR, filters=[("venue", "==", venue)]).to_pylist()
    by_symbol: dict[str, list[dict[str, Any]]] = {}
    for row in table:
        by_symbol.setdefault(row["symbol"], []).append(row)
    assert len(by_symbol) > 10
    for recorded in by_symbol.values():
        recorded.sort(key=lambda row: int(row["ts_ms"]))
        known = [row for row in recorded if row["interval_h"]]
        series = settled_once(
            Settlement(settled_ms=row["ts_ms"], rate=row["rate"], interval_hours=row["interval_h"])
            for row in known
        )
        assert len(series) == len(known)
        samples = settled_samples(None, series)
        assert [s.daily for s in samples] == [row["rate"] * 24 / row["interval_h"] for row in known]
