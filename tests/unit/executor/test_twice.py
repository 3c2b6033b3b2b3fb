"""A figure of what no line explains: two comparisons that agree, within what venues round."""

from __future__ import annotations

from decimal import Decimal

from services.executor.twice import PAUSES_US, SOON_MAX, Twice, differing_in

A, B = {"ETH": Decimal(1)}, {"ETH": Decimal(2)}
EXACT: dict[str, Decimal] = {}
ROUNDED = {"USDT": Decimal("0.0001")}
SEEN = ("-0.4968878402", "-0.496887841", "-0.4968878395", "-0.4968878411")
"""A fee that was dropped, beside an open contract whose profit is told with nine digits (simulated venue)."""


def test_two_in_a_row_make_a_figure_and_one_clean_comparison_ends_it() -> None:
    one, said = Twice(), []
    for found in (A, {}, A, A, B, A, B, B, {}):
        one.take(found, EXACT)
        said.append(one.units)
    assert said == [{}, {}, {}, A, A, A, A, B, {}]


def test_what_is_left_is_compared_again_soon_and_a_few_times_only() -> None:
    one = Twice()
    assert [one.take(A, EXACT) for _ in range(5)] == [*PAUSES_US, None, None]
    assert one.take(B, EXACT) == PAUSES_US[0]
    assert one.take({}, EXACT) is None


def test_figures_that_differ_in_digits_that_venues_round_agree() -> None:
    one = Twice()
    for text in SEEN:
        one.take({"USDT": Decimal(text)}, ROUNDED)
    assert one.settled
    assert one.units == {"USDT": Decimal(SEEN[-1])}


def test_what_is_only_rounding_is_clean_and_still_told() -> None:
    one = Twice()
    assert one.take({"USDT": Decimal("0.00009")}, ROUNDED) is None
    assert one.settled
    assert one.units == {"USDT": Decimal("0.00009")}


def test_nothing_is_settled_before_a_comparison_or_while_the_last_one_stands_alone() -> None:
    one, settled = Twice(), []
    assert not one.settled
    for found in ({}, A, A, B, B, {}):
        one.take(found, EXACT)
        settled.append(one.settled)
    assert settled == [True, False, True, False, True, True]
    first = Twice()
    first.take(A, EXACT)
    assert not first.compared
    first.take(A, EXACT)
    assert first.compared


def test_comparisons_that_never_agree_leave_what_all_of_them_lack_and_cost_no_more_than_a_few() -> None:
    one, pauses = Twice(), []
    for tenth in range(SOON_MAX + 3):
        found = {"USDT": Decimal(50) + Decimal(tenth % 2), "BTC": Decimal((-1) ** tenth)}
        pauses.append(one.take(found, ROUNDED))
    assert one.units == {"USDT": Decimal(50)}
    assert pauses == [PAUSES_US[0]] * SOON_MAX + [None] * 3
    assert one.settled


def test_what_two_comparisons_differ_in() -> None:
    one = {"USDT": Decimal(-5), "BTC": Decimal("1e-8")}
    assert differing_in(one, one, EXACT) == frozenset()
    assert differing_in(one, {"USDT": Decimal("-5.00005")}, ROUNDED) == {"BTC"}
    assert differing_in({"USDT": Decimal("-5.001")}, one, ROUNDED) == {"USDT", "BTC"}
