"""Whatever is chosen: within limits, above the hurdle, and by every opening rule."""

from __future__ import annotations

from typing import Any

import msgspec
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from libs.carry.allocation import advantage_usd, allocate, hurdle_usd, sides_of
from libs.carry.costs import venue_id
from libs.carry.ranking import ranked
from libs.common.config.schema import Config, Limits, Thresholds
from libs.common.messages import Opportunity
from tests.unit.carry.build import (
    HOUR_MS,
    NOW_MS,
    evaluated,
    perp,
    series,
    settled,
)

FEW = settings(derandomize=True, max_examples=60, deadline=None)

rates = st.floats(-0.01, 0.01, allow_nan=False)


# --- allocation -----------------------------------------------------------------------------------


@st.composite
def candidates(draw: st.DrawFn) -> list[Opportunity]:
    """Pairs over two venues and four assets: some share an instrument, in either direction."""
    base = evaluated()
    found = []
    for number in range(draw(st.integers(0, 8))):
        venues = draw(st.sampled_from([("binance", "binance"), ("binance", "bybit"), ("bybit", "binance")]))
        asset = draw(st.sampled_from(["A", "B", "C", "D"]))
        carry = draw(st.floats(0.0001, 0.02))
        found.append(
            msgspec.structs.replace(
                base,
                pair=f"P{number}",
                passes=draw(st.booleans()),
                daily=carry,
                score=carry,
                notional_usd=draw(st.sampled_from([500.0, 1_000.0, 3_000.0])),
                long=msgspec.structs.replace(base.long, venue=venues[0], instrument=f"{asset}-USDT-PERP"),
                short=msgspec.structs.replace(base.short, venue=venues[1], instrument=f"{asset}-USDT-PERP"),
            )
        )
    return [item for item in found if item.long.venue != item.short.venue or item.passes]


@FEW
@given(
    items=candidates(),
    pairs_max=st.integers(1, 5),
    usd_max=st.one_of(st.none(), st.floats(500, 8_000)),
    venue_max=st.one_of(st.none(), st.floats(500, 8_000)),
)
def test_allocation_never_exceeds_a_limit_nor_takes_both_sides(
    items: list[Opportunity], pairs_max: int, usd_max: float | None, venue_max: float | None
) -> None:
    items = [item for item in items if item.long.venue != item.short.venue]
    limits = Limits(max_pairs=pairs_max, max_notional_usd=usd_max, max_notional_per_venue_usd=venue_max)
    found = allocate(ranked(items), {}, limits, rotation_hurdle=2.0, horizon_days=7.0)
    by_pair = {item.pair: item for item in items}
    chosen = [by_pair[pair] for pair in found.selected]
    assert len(chosen) <= pairs_max
    assert all(item.passes for item in chosen)
    assert usd_max is None or sum(item.notional_usd for item in chosen) <= usd_max + 1e-6
    for venue in ("binance", "bybit"):
        on_venue = sum(
            item.notional_usd
            for item in chosen
            for leg in (item.long, item.short)
            if venue_id(leg.venue) == venue
        )
        assert venue_max is None or on_venue <= venue_max + 1e-6
    sides: dict[tuple[str, str], str] = {}
    for item in chosen:
        for key, side in sides_of(item):
            assert sides.setdefault(key, side) == side
    passing = {item.pair for item in items if item.passes}
    assert set(found.selected) | set(found.skipped) == passing


@FEW
@given(items=candidates(), hurdle=st.floats(0, 4), slots=st.integers(1, 3))
def test_nobody_is_replaced_below_the_hurdle(items: list[Opportunity], hurdle: float, slots: int) -> None:
    items = [msgspec.structs.replace(item, notional_usd=1_000.0) for item in items]
    first = allocate(ranked(items), {}, Limits(max_pairs=slots), rotation_hurdle=hurdle, horizon_days=7.0)
    by_pair = {item.pair: item for item in items}
    # What is held earns a tenth of what it did: newcomers may come.
    held = {
        pair: msgspec.structs.replace(by_pair[pair], daily=(by_pair[pair].daily or 0.0) / 10)
        for pair in first.selected
    }
    now = ranked([held.get(item.pair, item) for item in items])
    found = allocate(now, held, Limits(max_pairs=slots), rotation_hurdle=hurdle, horizon_days=7.0)
    assert len(found.selected) <= max(slots, len(held))
    left = set(held) - set(found.selected)
    assert left == {rotation.old for rotation in found.rotations}
    for rotation in found.rotations:
        gain = advantage_usd(by_pair[rotation.new], held[rotation.old], 7.0)
        assert gain is not None
        assert gain > hurdle_usd(by_pair[rotation.new], held[rotation.old], hurdle)


@FEW
@given(items=candidates())
def test_the_same_market_again_moves_nothing(items: list[Opportunity]) -> None:
    limits = Limits(max_pairs=2)
    once = allocate(ranked(items), {}, limits, rotation_hurdle=2.0, horizon_days=7.0)
    held = {item.pair: item for item in items if item.pair in once.selected}
    again = allocate(ranked(items), held, limits, rotation_hurdle=2.0, horizon_days=7.0)
    assert again.selected == once.selected
    assert again.rotations == ()


# --- gates ----------------------------------------------------------------------------------------


@FEW
@given(
    rate=rates,
    interval=st.sampled_from([1.0, 4.0, 8.0]),
    to_settlement_ms=st.integers(-HOUR_MS, 8 * HOUR_MS),
    age=st.floats(0, 10),
    forecast=st.sampled_from(["flat", "expected"]),
)
def test_what_passes_satisfies_every_rule_of_the_page(
    rate: float, interval: float, to_settlement_ms: int, age: float, forecast: Any
) -> None:
    cfg = Config(thresholds=Thresholds(forecast=forecast))
    second = perp(rate=rate, interval_hours=interval, next_ms=NOW_MS + to_settlement_ms, quote_age_sec=age)
    seen = evaluated(second=second, history=settled(None, series(rate or 1e-9)), cfg=cfg)
    assert seen.passes == (not seen.refusals)
    if not seen.passes:
        return
    assert seen.daily is not None
    assert seen.daily >= 0.0002 - 1e-9
    assert seen.consecutive >= 3
    assert age <= 2.0
    assert to_settlement_ms > 60_000 or to_settlement_ms <= -60_000
    net = seen.net_daily_usd if forecast == "flat" else seen.expected_net_usd
    found = seen.breakeven_days if forecast == "flat" else seen.expected_breakeven_days
    assert net is not None
    assert net > 0
    assert found is not None
    assert found <= 21.0 + 1e-9


@FEW
@given(rate=rates)
def test_a_better_rate_never_adds_a_refusal_about_money(rate: float) -> None:
    assume(0 < rate < 0.009)
    money = {"funding_below_min", "net_not_positive", "breakeven_too_long"}
    worse, better = (evaluated(second=perp(rate=value)) for value in (rate, rate * 1.1))
    assert set(better.refusals) & money <= set(worse.refusals) & money
