from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.messages_exec import Breaker, Level, Permit
from libs.common.permit import (
    CLOCKS_APART_US,
    LEASE_US,
    STEADY_US,
    WALL_AGE_US_MAX,
    PermitView,
    scopes_of,
)
from tests.unit.executor.build import BUILD, LEGS, PAIR, at, permit

checked = settings(derandomize=True, max_examples=200, deadline=None)
HALT = Breaker(scope="global", level=Level.REDUCE_ONLY, reason="loss")


def test_it_starts_halted() -> None:
    view = PermitView(build=BUILD)
    assert not view.fresh(at())
    assert "no permit has been received" in view.stale_reason(at())


@checked
@given(orders=st.lists(st.tuples(st.integers(1, 3), st.integers(1, 6)), min_size=1, max_size=12))
def test_only_a_higher_epoch_and_revision_counts(orders: list[tuple[int, int]]) -> None:
    view = PermitView(build=BUILD)
    newest = (0, 0)
    for epoch, revision in orders:
        one = permit(revision, epoch=epoch)
        assert view.apply(one, at()) == ((epoch, revision) > newest)
        newest = max(newest, (epoch, revision))
        assert view.permit is not None
        assert (view.permit.risk_epoch, view.permit.revision) == newest


def test_an_old_permit_prolongs_nothing() -> None:
    view = PermitView(build=BUILD)
    assert view.apply(permit(2, HALT), at())
    assert not view.apply(permit(2, sec=0.9), at(0.9))
    assert not view.apply(permit(1, sec=0.9), at(0.9))
    assert view.age_us(at(0.9)) == 900_000
    assert view.strictest(frozenset({"global"})) == HALT


@checked
@given(age_us=st.integers(-2_000_000, 5_000_000))
def test_a_stamp_counts_while_it_is_young_and_not_from_the_future(age_us: int) -> None:
    view = PermitView(build=BUILD)
    taken = view.apply(permit(1), at(wall_off_us=age_us))
    assert taken == (-CLOCKS_APART_US <= age_us <= WALL_AGE_US_MAX)
    assert view.fresh(at(wall_off_us=age_us)) == taken
    if not taken:
        assert ("old" in view.refusal) == (age_us > 0)
        assert ("future" in view.refusal) == (age_us < 0)


def test_a_backlog_does_not_extend_the_lease() -> None:
    view = PermitView(build=BUILD)
    assert view.apply(permit(1), at())
    backlog: list[Permit] = [permit(n, sec=n / 4) for n in range(2, 20)]
    now = at(20)
    assert not any(view.apply(one, now) for one in backlog)
    assert not view.fresh(now)
    assert "20.0 s ago" in view.stale_reason(now)


def test_another_build_is_refused_and_named() -> None:
    view = PermitView(build=BUILD)
    assert not view.apply(permit(1, build="b2"), at())
    assert "b2" in view.stale_reason(at())
    assert view.apply(permit(2), at())
    assert view.stale_reason(at()) == ""


def test_the_lease_is_monotonic_time_since_the_last_one_came() -> None:
    view = PermitView(build=BUILD)
    assert view.apply(permit(1), at(0.5))  # half a second under way
    assert view.fresh(at(0.5 + LEASE_US / 1e6))
    assert not view.fresh(at(0.5 + LEASE_US / 1e6 + 1e-6))
    # a wall clock that is set back keeps nothing alive
    assert not view.fresh(at(3, wall_off_us=-3_000_000))


def test_after_a_lapse_ten_beats_must_come_in_time() -> None:
    view = PermitView(build=BUILD)
    beats = [*range(4), *range(12, 40)]  # the third second is lost
    free = []
    for beat in beats:
        sec = beat / 4
        assert view.apply(permit(beat + 1, sec=sec), at(sec))
        assert view.fresh(at(sec))
        free += [beat] if not view.stale_reason(at(sec)) else []
    assert free == [*range(4), *range(22, 40)]


def test_several_permits_at_once_are_one_beat() -> None:
    view = PermitView(build=BUILD)
    assert view.apply(permit(1), at())
    for revision in range(2, 30):
        assert view.apply(permit(revision, sec=5), at(5))
    assert "nothing increases for 2.5 s more" in view.stale_reason(at(5))


@checked
@given(gaps_ms=st.lists(st.integers(1, 3_000), min_size=1, max_size=30))
def test_nothing_increases_within_ten_beats_of_a_lapse(gaps_ms: list[int]) -> None:
    """By a second way: every gap of the last 2.5 s is within the lease."""
    view = PermitView(build=BUILD)
    times_us = [0]
    assert view.apply(permit(1), at())
    for number, gap_ms in enumerate(gaps_ms, 2):
        times_us.append(times_us[-1] + gap_ms * 1_000)
        sec = times_us[-1] / 1e6
        assert view.apply(permit(number, sec=sec), at(sec))
        ends = [b for a, b in itertools.pairwise(times_us) if b - a > LEASE_US]
        assert (view.stale_reason(at(sec)) == "") == all(times_us[-1] - end >= STEADY_US for end in ends)


def test_the_strictest_breaker_of_a_pairs_scopes_wins() -> None:
    view = PermitView(build=BUILD)
    mild = Breaker(scope="venue:binance", level=Level.NO_OPENS, reason="errors")
    strict = Breaker(scope=f"pair:{PAIR}", level=Level.FLATTEN, reason="delisting")
    other = Breaker(scope="venue:bitget", level=Level.FLATTEN, reason="x")
    assert view.apply(permit(1, mild, strict, other), at())
    assert view.strictest(scopes_of(PAIR, LEGS)) == strict
    assert view.level(scopes_of("p", LEGS)) is Level.NO_OPENS
    assert view.level(frozenset({"pair:q"})) is Level.NORMAL


def test_a_permit_carries_the_whole_state() -> None:
    view = PermitView(build=BUILD)
    assert view.apply(permit(1, HALT, max_ratio={PAIR: 0.5}), at())
    assert view.max_ratio(PAIR) == 0.5
    assert view.apply(permit(2), at())
    assert view.strictest(frozenset({"global"})) is None
    assert view.max_ratio(PAIR) == 1.0


@pytest.mark.parametrize(
    "scope",
    ["global", f"pair:{PAIR}", "venue:binance", "symbol:binance-BTC-USDT", "symbol:binance-BTC-USDT-PERP"],
)
def test_the_scopes_of_a_pair(scope: str) -> None:
    assert scope in scopes_of(PAIR, LEGS)
    assert len(scopes_of(PAIR, LEGS)) == 5


FLATTEN = Breaker(scope="global", level=Level.FLATTEN, reason="the operator")
EVERYWHERE = frozenset({"global"})


@pytest.mark.parametrize("off_us", [2_000_000, -2_000_000])
def test_a_wrong_clock_keeps_nobody_from_obeying(off_us: int) -> None:
    view = PermitView(build=BUILD)
    assert view.apply(permit(1), at())
    assert not view.apply(permit(2, FLATTEN, max_ratio={PAIR: 0.5}), at(wall_off_us=off_us))
    assert view.strictest(EVERYWHERE) == FLATTEN
    assert view.max_ratio(PAIR) == 0.5
    assert view.age_us(at(0.5)) == 500_000
    assert view.apply(permit(3), at())
    assert view.level(EVERYWHERE) is Level.NORMAL
    assert view.max_ratio(PAIR) == 1.0


def test_a_mistimed_permit_loosens_nothing_that_a_good_one_forbids() -> None:
    view = PermitView(build=BUILD)
    assert view.apply(permit(1, HALT, max_ratio={PAIR: 0.2}), at())
    assert not view.apply(permit(2, max_ratio={PAIR: 0.5}), at(3))
    assert view.strictest(EVERYWHERE) == HALT
    assert view.max_ratio(PAIR) == 0.2
    assert not view.fresh(at(3))


def test_of_mistimed_permits_the_newest_speaks() -> None:
    view = PermitView(build=BUILD)
    assert not view.apply(permit(3, FLATTEN), at(9))
    assert not view.apply(permit(2), at(9))
    assert view.level(EVERYWHERE) is Level.FLATTEN
    assert not view.apply(permit(4), at(9))
    assert view.level(EVERYWHERE) is Level.NORMAL
    assert not view.fresh(at(9))


def test_a_mistimed_permit_of_another_build_says_nothing() -> None:
    view = PermitView(build=BUILD)
    assert not view.apply(permit(1, FLATTEN, build="b2"), at(9))
    assert view.level(EVERYWHERE) is Level.NORMAL
