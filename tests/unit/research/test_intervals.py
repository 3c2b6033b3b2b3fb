from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.research.intervals import GRID_HOURS, IntervalUnknown, derive_intervals

HOUR = 3_600_000
T0 = 1_760_054_400_000  # 2025-10-10 00:00 UTC: on every grid


def stamps(*steps_hours: float) -> list[int]:
    return [T0 + round(hours * HOUR) for hours in accumulate(steps_hours, initial=0)]


@pytest.mark.parametrize("hours", GRID_HOURS)
def test_an_even_series_has_its_own_interval(hours: int) -> None:
    assert derive_intervals(stamps(*[hours] * 9)) == [hours] * 10


def test_a_missing_settlement_is_a_hole_and_no_longer_interval() -> None:
    assert derive_intervals(stamps(8, 8, 8, 16, 8, 8, 8, 24, 8, 8, 8)) == [8.0] * 12
    assert derive_intervals(stamps(4, 4, 4, 8, 4, 4, 4)) == [4.0] * 8  # 8 h alone is no regime
    assert derive_intervals(stamps(1, 1, 1, 221, 1, 1, 1)) == [1.0] * 8


def test_a_change_to_a_shorter_interval_counts_from_its_first_print() -> None:
    assert derive_intervals(stamps(8, 8, 8, 1, 1, 1, 1)) == [8, 8, 8, 8, 1, 1, 1, 1]


def test_the_step_between_two_regimes_covers_itself() -> None:
    """INJUSDT on Bybit, 2026-02-26: hourly until 18:00, then 00:00, then every 8 h."""
    assert (
        derive_intervals(stamps(8, 8, 8, *[1] * 18, 6, 8, 8, 8)) == [8.0] * 4 + [1.0] * 18 + [6.0] + [8.0] * 3
    )


def test_a_hole_at_a_change_belongs_to_the_regime_that_follows() -> None:
    assert derive_intervals(stamps(*[8] * 9, 24, 4, 4, 4)) == [8] * 10 + [4] * 4


def test_one_early_print_is_real() -> None:
    assert derive_intervals(stamps(8, 8, 8, 4, 4, 8, 8, 8)) == [8, 8, 8, 8, 4, 4, 8, 8, 8]


def test_steps_off_the_grid_of_whole_hours_establish_nothing() -> None:
    """Three equal holes in an 8 h series do not make a 24 h interval."""
    assert derive_intervals(stamps(8, 8, 8, 24, 24, 24, 8, 8, 8)) == [8.0] * 10
    shifted = [T0 + HOUR + step for step in (0, 8 * HOUR, 16 * HOUR, 24 * HOUR)]
    assert derive_intervals([*stamps(1, 1, 1)[:1], *shifted])[-1] == 8.0


def test_short_series_take_the_commonest_step() -> None:
    assert derive_intervals(stamps(8)) == [8, 8]
    assert derive_intervals(stamps(4, 8)) == [4, 4, 4]
    assert derive_intervals(stamps(12)) == [12, 12]


@pytest.mark.parametrize("known", [[], [T0]])
def test_a_print_alone_has_no_interval(known: list[int]) -> None:
    with pytest.raises(IntervalUnknown):
        derive_intervals(known)


@settings(max_examples=100, derandomize=True)
@given(
    hours=st.sampled_from(GRID_HOURS),
    count=st.integers(8, 60),
    jitter=st.lists(st.integers(-999, 999), min_size=61, max_size=61),
    lost=st.sets(st.integers(4, 60), max_size=6),
)
def test_jitter_and_holes_never_change_the_interval_of_a_regime(
    hours: int, count: int, jitter: list[int], lost: set[int]
) -> None:
    kept = [at for at in range(count) if at not in lost]
    series = [T0 + at * hours * HOUR + jitter[at] for at in kept]
    assert derive_intervals(series) == [float(hours)] * len(kept)
