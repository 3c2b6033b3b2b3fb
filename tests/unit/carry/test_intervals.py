"""Intervals out of spacing, with what the venue said: holes, changes, hints."""

from __future__ import annotations

from itertools import accumulate
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.carry.intervals import GRID_HOURS, IntervalUnknown, derive_intervals

HOUR = 3_600_000
T0 = 1_760_054_400_000  # 2025-10-10 00:00 UTC: on every grid


def at(*steps_hours: float) -> list[int]:
    return [T0 + round(hours * HOUR) for hours in accumulate(steps_hours, initial=0)]


def test_two_holes_in_a_row_make_no_interval() -> None:
    """Lighter's ETH, 2026-02-11: hourly, then twice nothing for a day."""
    assert derive_intervals(at(1, 1, 1, 24, 24, 1, 1, 1)) == [1.0] * 9
    assert derive_intervals(at(*[1] * 30, 8, 8, *[1] * 30)) == [1.0] * 63
    assert derive_intervals(at(*[1] * 24, 4, 4)) == [1.0] * 27


@pytest.mark.parametrize(("longer", "steps"), [(2, 7), (4, 3), (8, 3)])
def test_enough_equal_steps_in_a_row_are_a_change(longer: int, steps: int) -> None:
    change = [1] * 24 + [longer] * steps
    assert derive_intervals(at(*change)) == [1.0] * 25 + [float(longer)] * steps
    assert derive_intervals(at(*change[:-1])) == [1.0] * (24 + steps)


def test_what_the_venue_said_decides_over_the_spacing() -> None:
    stamps = at(1, 1, 1, 8, 8)
    assert derive_intervals(stamps) == [1.0] * 6
    assert derive_intervals(stamps, hints={stamps[4]: 8.0, stamps[5]: 8.0}) == [1, 1, 1, 1, 8, 8]
    assert derive_intervals(at(8, 16), hints={at(8, 16)[2]: 8.0}) == [8, 8, 8]
    assert derive_intervals(at(8, 8, 6), hints={at(8, 8, 6)[3]: 8.0}) == [8, 8, 8, 6]


def test_a_hint_speaks_for_its_neighbours() -> None:
    stamps = at(24, 24, 24)
    assert derive_intervals(stamps, hints={stamps[2]: 1.0}) == [1, 1, 1, 1]


def test_the_current_interval_is_the_regime_after_the_last_print() -> None:
    assert derive_intervals(at(*[1] * 24, 8), current_hours=8.0)[-2:] == [1, 8]
    assert derive_intervals(at(*[1] * 24, 8), current_hours=1.0)[-2:] == [1, 1]
    assert derive_intervals(at(1, 1, 4), current_hours=1.0) == [1, 1, 1, 1]
    assert derive_intervals(at(24), current_hours=1.0) == [1, 1]


@pytest.mark.parametrize("hours", [0.25, 3, 6, 12])
def test_intervals_off_the_usual_ones_are_found_and_believed(hours: float) -> None:
    assert derive_intervals(at(*[hours] * 9)) == [hours] * 10
    assert derive_intervals(at(hours, 2 * hours, hours), current_hours=hours) == [hours] * 4


def test_a_lone_print_needs_to_be_told() -> None:
    assert derive_intervals([T0], current_hours=4.0) == [4.0]
    assert derive_intervals([T0], hints={T0: 1.0}, current_hours=4.0) == [1.0]
    for known in ([], [T0]):
        with pytest.raises(IntervalUnknown):
            derive_intervals(known)


@settings(max_examples=300, derandomize=True, deadline=None)
@given(
    hours=st.sampled_from(GRID_HOURS),
    count=st.integers(24, 120),
    start=st.integers(0, 23),
    lost=st.sets(st.integers(0, 119), max_size=6),
)
def test_any_six_lost_prints_change_nothing(hours: int, count: int, start: int, lost: set[int]) -> None:
    stamps = [T0 + (start + place) * hours * HOUR for place in range(count) if place not in lost]
    assert derive_intervals(stamps) == [float(hours)] * len(stamps)


@settings(max_examples=300, derandomize=True, deadline=None)
@given(
    hours=st.sampled_from(GRID_HOURS),
    outages=st.lists(st.tuples(st.integers(0, 100), st.integers(1, 60)), max_size=2),
)
def test_any_two_outages_of_any_length_change_nothing(hours: int, outages: list[tuple[int, int]]) -> None:
    there = [True] * 200
    for start, length in outages:
        there[start : start + length] = [False] * length
    stamps = [T0 + place * hours * HOUR for place, is_there in enumerate(there) if is_there]
    assert derive_intervals(stamps) == [float(hours)] * len(stamps)


@settings(max_examples=100, derandomize=True, deadline=None)
@given(
    hours=st.sampled_from(GRID_HOURS), share=st.sampled_from([0.02, 0.1, 0.25]), seed=st.integers(0, 10**6)
)
def test_a_quarter_of_all_prints_lost_at_random_changes_nothing(hours: int, share: float, seed: int) -> None:
    dice = Random(seed)  # noqa: S311 - a series to lose prints from, no secret
    stamps = [T0 + place * hours * HOUR for place in range(744) if dice.random() >= share]
    assert derive_intervals(stamps) == [float(hours)] * len(stamps)


@settings(max_examples=150, derandomize=True, deadline=None)
@given(
    first=st.sampled_from(GRID_HOURS),
    second=st.sampled_from(GRID_HOURS),
    lost=st.sets(st.integers(0, 119), max_size=4),
)
def test_what_was_said_of_each_settlement_stands_whatever_is_lost(
    first: int, second: int, lost: set[int]
) -> None:
    steps = [first] * 60 + [second] * 59
    stamps = at(*steps)
    truth = {stamp: float(hours) for stamp, hours in zip(stamps, (first, *steps), strict=True)}
    kept = [stamp for place, stamp in enumerate(stamps) if place not in lost]
    assert derive_intervals(kept, hints=truth) == [truth[stamp] for stamp in kept]
