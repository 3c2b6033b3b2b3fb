"""Soft closes keep away from settlements; who leaves keeps its place; who is fixed is not replaced."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.carry.allocation import allocate, beside
from libs.carry.costs import AccountRates, leg_terms, rates_apart
from libs.carry.holding import calm_ms, nearest_settlement_ms, soft_close_waits
from libs.carry.ranking import ranked
from libs.common.config.schema import Costs, Limits, VenueCosts
from libs.common.messages import Opportunity
from libs.common.subjects import Kind
from tests.unit.carry.build import HOUR_MS, NOW_MS, evaluated
from tests.unit.carry.test_allocation import pair

replace = msgspec.structs.replace
SEEN = evaluated()


def settling(next_ms: int | None, interval_hours: float | None = 8.0) -> Opportunity:
    """A spot/perp pair whose perp says this of its settlement."""
    return replace(SEEN, short=replace(SEEN.short, next_ms=next_ms, interval_hours=interval_hours))


@settings(derandomize=True, max_examples=200, deadline=None)
@given(
    hours=st.sampled_from([1.0, 2.0, 4.0, 8.0, 24.0]),
    to_go_ms=st.integers(-40 * HOUR_MS, 40 * HOUR_MS),
)
def test_the_guard_holds_around_every_settlement_told_or_implied(hours: float, to_go_ms: int) -> None:
    interval_ms = int(hours * HOUR_MS)
    seen = settling(NOW_MS + to_go_ms, hours)
    nearest = nearest_settlement_ms(seen.short, NOW_MS)
    assert nearest is not None
    assert (nearest - to_go_ms) % interval_ms == 0
    assert abs(nearest) * 2 <= interval_ms
    near = min(to_go_ms % interval_ms, -to_go_ms % interval_ms)
    waits = bool(soft_close_waits(seen, NOW_MS))
    assert waits == (near < 60_000 or nearest == 60_000)
    calm = calm_ms(seen, NOW_MS)
    if not waits and calm is not None:
        assert not soft_close_waits(seen, NOW_MS + calm - 1) or calm == 0
        assert soft_close_waits(seen, NOW_MS + calm)


def test_a_settlement_that_is_not_known_is_waited_for() -> None:
    assert "is not known" in soft_close_waits(settling(None), NOW_MS)
    assert "is not known" in soft_close_waits(settling(NOW_MS + HOUR_MS, None), NOW_MS)


def test_legs_without_funding_settle_nothing() -> None:
    dated = replace(SEEN, short=replace(SEEN.short, kind=Kind.FUTURE, next_ms=None, interval_hours=None))
    assert soft_close_waits(dated, NOW_MS) == ""
    assert calm_ms(dated, NOW_MS) is None


def test_both_legs_are_asked() -> None:
    long = replace(SEEN.short, side="long", venue="bybit", next_ms=NOW_MS + 30_000)
    both = replace(SEEN, long=long)
    assert "bybit" in soft_close_waits(both, NOW_MS)


# --- places ---------------------------------------------------------------------------------------


def test_what_is_fixed_is_not_replaced() -> None:
    old, new = pair("A", 0.0001), pair("B", 0.02)
    for fixed, rotated in (((), 1), (("A",), 0)):
        found = allocate(
            ranked([old, new]),
            {"A": old},
            Limits(max_pairs=1),
            rotation_hurdle=2.0,
            horizon_days=7.0,
            fixed=fixed,
        )
        assert len(found.rotations) == rotated
        assert ("B" in found.selected) is bool(rotated)
        assert ("B" in found.skipped) is not bool(rotated)


def test_who_leaves_keeps_its_place_until_it_has_left() -> None:
    old, new, other = pair("A", 0.0001), pair("B", 0.02), pair("C", 0.0004, "bybit")
    limits = Limits(max_pairs=2)
    assert beside([new], [old], limits) == (("B",), {})
    now, waiting = beside([new, other], [old], limits)
    assert now == ("B",)
    assert "max_pairs 2" in waiting["C"]
    now, waiting = beside([new], [old], Limits(max_notional_usd=1_500))
    assert now == ()
    assert "max_notional_usd" in waiting["B"]


def test_room_counts_both_ways_on_one_instrument() -> None:
    held = pair("A", 0.0003)
    other = replace(held, pair="Z", long=held.short, short=held.long)
    now, waiting = beside([other], [held], Limits())
    assert now == ()
    assert "cancel out" in waiting["Z"]


# --- rates ----------------------------------------------------------------------------------------


def test_a_rate_of_the_account_replaces_one_field_and_no_other() -> None:
    costs = Costs(taker=0.0005, maker=0.0002, slippage_bps=5.0, borrow_daily=0.0003)
    plain = leg_terms(costs, "binance", Kind.SPOT)
    real = leg_terms(costs, "binance", Kind.SPOT, AccountRates(taker=0.0004))
    assert real == replace(plain, fee=0.0004)
    assert leg_terms(costs, "binance", Kind.SPOT, AccountRates(borrow_daily=0.0)).borrow_daily == 0.0
    assert leg_terms(costs, "binance", Kind.SPOT, AccountRates(maker=-0.0001)) == plain


def test_the_difference_is_told_against_the_nearest_override() -> None:
    costs = Costs(venues={"binance": VenueCosts(taker=0.0004)})
    assert rates_apart(costs, "binance-sub1", Kind.PERP, AccountRates(taker=0.0004)) == ""
    text = rates_apart(costs, "binance-sub1", Kind.PERP, AccountRates(taker=0.00045, maker=0.0))
    assert text == "taker 0.0450 % by the account, 0.0400 % by config"


@pytest.mark.parametrize(
    "wrong", [{"taker": 0.05}, {"maker": -0.05}, {"borrow_daily": -0.001}, {"borrow_daily": 5.0}]
)
def test_no_account_pays_that(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"no (fees|borrow rate)"):
        AccountRates(**wrong)
