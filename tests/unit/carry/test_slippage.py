from __future__ import annotations

import pytest

from libs.carry.slippage import assumed, depth_of, from_depth, mid_of, size_within, slip_of, vwap
from libs.common.config.schema import Costs, VenueCosts
from tests.unit.carry.build import config, evaluated, perp, spot

ASKS = ((100.1, 5.0), (100.2, 5.0), (101.0, 100.0))
BIDS = ((99.9, 5.0), (99.8, 5.0), (99.0, 100.0))


def test_vwap_walks_the_levels() -> None:
    assert vwap(ASKS, 5.0) == pytest.approx(100.1)
    assert vwap(ASKS, 10.0) == pytest.approx(100.15)
    assert vwap(ASKS, 110.0) == pytest.approx((5 * 100.1 + 5 * 100.2 + 100 * 101.0) / 110)


def test_a_book_that_cannot_fill_says_so() -> None:
    assert vwap(ASKS, 110.001) is None
    assert from_depth(ASKS, 100.0, 200.0) is None
    assert vwap((), 1.0) is None


def test_a_quantity_to_fill_is_positive() -> None:
    with pytest.raises(ValueError, match="positive"):
        vwap(ASKS, 0.0)


def test_slippage_is_measured_from_mid() -> None:
    assert from_depth(ASKS, 100.0, 5.0) == pytest.approx(0.001)
    assert from_depth(BIDS, 100.0, 5.0) == pytest.approx(0.001)
    assert assumed(5) == 0.0005


def test_a_mid_needs_two_sides_that_do_not_cross() -> None:
    assert mid_of(99.0, 101.0) == 100.0
    assert mid_of(None, 101.0) is None
    assert mid_of(101.0, 99.0) is None
    assert mid_of(0.0, 1.0) is None
    assert mid_of(float("nan"), 1.0) is None


def test_depth_is_the_thinner_side_within_half_a_percent() -> None:
    assert size_within(ASKS, 100.0) == pytest.approx(5 * 100.1 + 5 * 100.2)
    depth = depth_of(BIDS, ASKS, 500.0)
    assert depth is not None
    assert depth.depth_usd == pytest.approx(5 * 99.9 + 5 * 99.8)
    assert depth.reach == pytest.approx(0.01)
    assert depth_of((), ASKS, 500.0) is None
    assert depth_of(((100.2, 1.0),), ASKS, 500.0) is None


def test_assumed_slippage_stands_in_where_no_book_is_known() -> None:
    assert slip_of(None, "buy", 0.0005) == (0.0005, False)


def test_evaluate_reads_each_fill_from_its_own_side() -> None:
    depth = depth_of(((99.9, 1e6),), ((100.3, 1e6),), 1_000.0)
    cfg = config(costs=Costs(slippage="depth", venues={"okx": VenueCosts(slippage_bps=7)}))
    seen = evaluated(spot(venue="okx"), perp(depth=depth), cfg=cfg)
    assert seen.short.slip == pytest.approx(0.2 / 100.1)
    assert seen.short.slip_source == "depth"
    assert seen.long.slip == pytest.approx(0.0007)
    assert seen.long.slip_source == "assumed"
    assert seen.entry == pytest.approx(0.001 + 0.0007 + 0.2 / 100.1)


def test_a_book_that_cannot_hold_the_position_refuses() -> None:
    thin = depth_of(((99.9, 2.0),), ((100.1, 2.0),), 1_000.0)
    seen = evaluated(second=perp(depth=thin), cfg=config(costs=Costs(slippage="depth")))
    assert "depth_too_thin" in seen.refusals
    assert "does not hold" in seen.reasons["depth_too_thin"]


def test_a_position_above_a_fifth_of_the_depth_refuses_also_where_slippage_is_assumed() -> None:
    deep = depth_of(((99.9, 50.1),), ((100.1, 50.1),), 1_000.0)
    thin = depth_of(((99.9, 49.9),), ((100.1, 49.9),), 1_000.0)
    assert evaluated(second=perp(depth=deep)).passes
    assert evaluated(second=perp(depth=thin)).refusals == ("depth_too_thin",)


def test_leaving_takes_the_other_side_of_the_book() -> None:
    """The short leg sells into deep bids and buys back out of thin asks."""
    depth = depth_of(((99.9, 1e6),), ((100.1, 5.0), (101.1, 1e6)), 1_000.0)
    seen = evaluated(second=perp(depth=depth), cfg=config(costs=Costs(slippage="depth")))
    bought = (5 * 100.1 + 5 * 101.1) / 10
    assert seen.entry == pytest.approx(0.0015 + 0.001)
    assert seen.exit == pytest.approx(0.0015 + (bought - 100.0) / 100.0)
