from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.research.layout import Bar, FundingPrint, Kind
from libs.research.merge import Conflict, merge

HOUR = 3_600_000
T0 = 1_760_054_400_000


def prints(*rates: float, hours: float = 8.0, derived: bool = False) -> list[FundingPrint]:
    return [
        FundingPrint(T0 + round(at * hours * HOUR), rate, 0.0 if derived else hours, derived=derived)
        for at, rate in enumerate(rates)
    ]


def test_the_same_again_changes_nothing() -> None:
    rows = prints(0.1, 0.2, 0.3)
    again = merge(Kind.FUNDING, rows, rows)
    assert (list(again.rows), again.added, again.same, again.changed) == (rows, 0, 3, False)


def test_a_disagreement_is_refused_and_named() -> None:
    with pytest.raises(Conflict, match=r"rate 0\.25 against 0\.2"):
        merge(Kind.FUNDING, prints(0.1, 0.2), prints(0.1, 0.25))


def test_replace_lets_the_new_one_win() -> None:
    merged = merge(Kind.FUNDING, prints(0.1, 0.2), prints(0.1, 0.25), replace=True)
    assert ([row.rate for row in merged.rows if isinstance(row, FundingPrint)], merged.replaced) == (
        [0.1, 0.25],
        1,
    )


def test_jitter_is_kept_as_recorded_and_joins_what_it_means() -> None:
    early = [FundingPrint(T0 + 431, 0.1, 8.0)]
    merged = merge(Kind.FUNDING, early, [FundingPrint(T0 - 999, 0.1, 8.0, mark=5.0)])
    assert list(merged.rows) == [FundingPrint(T0 + 431, 0.1, 8.0, mark=5.0)]
    assert merged.changed


def test_a_given_interval_wins_over_a_derived_one() -> None:
    derived = merge(Kind.FUNDING, [], prints(0.1, 0.2, hours=4.0, derived=True))
    assert [row.interval_hours for row in derived.rows if isinstance(row, FundingPrint)] == [4.0, 4.0]
    given_ = [FundingPrint(T0, 0.1, 8.0)]
    for merged in (merge(Kind.FUNDING, derived.rows, given_), merge(Kind.FUNDING, given_, derived.rows)):
        first = merged.rows[0]
        assert isinstance(first, FundingPrint)
        assert (first.interval_hours, first.derived) == (8.0, False)


def test_two_given_intervals_must_agree() -> None:
    with pytest.raises(Conflict, match=r"interval_h 8\.0 against 4\.0"):
        merge(Kind.FUNDING, [FundingPrint(T0, 0.1, 4.0)], [FundingPrint(T0, 0.1, 8.0)])


def test_bars_must_agree_in_every_price() -> None:
    bar = Bar(T0, 1.0, 2.0, 0.5, 1.5, 10.0)
    assert not merge(Kind.PERP, [bar], [bar]).changed
    assert merge(Kind.PERP, [Bar(T0, 1.0, 2.0, 0.5, 1.5)], [bar]).rows == [bar]
    for other in (Bar(T0, 1.1, 2.0, 0.5, 1.5), Bar(T0, 1.0, 2.0, 0.5, 1.5, 11.0)):
        with pytest.raises(Conflict):
            merge(Kind.PERP, [bar], [other])


@settings(max_examples=60, derandomize=True, deadline=None)
@given(
    rates=st.lists(st.floats(-0.01, 0.01), min_size=4, max_size=40),
    hours=st.sampled_from([1, 2, 4, 8]),
    portions=st.integers(1, 5),
    seed=st.integers(0, 999),
)
def test_it_does_not_matter_in_which_portions_a_series_comes_in(
    rates: list[float], hours: int, portions: int, seed: int
) -> None:
    whole = merge(Kind.FUNDING, [], prints(*rates, hours=hours, derived=True)).rows
    rows = prints(*rates, hours=hours, derived=True)
    shuffled = random.Random(seed).sample(range(len(rows)), len(rows))  # noqa: S311 - seeded on purpose
    cuts = [rows[:2], *([rows[at] for at in shuffled[part::portions]] for part in range(portions))]
    known: Sequence[FundingPrint | Bar] = []
    for cut in cuts:
        known = merge(Kind.FUNDING, known, cut).rows
    assert list(known) == list(whole)
