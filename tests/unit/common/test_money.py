"""Decimals as text: exact, finite, plain."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.money import BadAmount, cents, check, floor_to, parse, plain, total

AMOUNTS = st.decimals(allow_nan=False, allow_infinity=False, min_value="-1e15", max_value="1e15", places=12)
STEPS = st.integers(0, 10).map(lambda places: Decimal(1).scaleb(-places))


@settings(derandomize=True, max_examples=200)
@given(AMOUNTS)
def test_text_and_back_is_exact_and_plain(value: Decimal) -> None:
    text = plain(value)
    assert parse(text) == value
    assert set(text) <= set("-0123456789.")
    assert not text.endswith(".")
    assert text != "-0"


@settings(derandomize=True, max_examples=200)
@given(AMOUNTS, STEPS, st.integers(1, 9))
def test_rounding_down_is_a_multiple_within_one_step(value: Decimal, unit: Decimal, count: int) -> None:
    step = unit * count
    rounded = floor_to(value, step)
    assert rounded / step == (rounded / step).to_integral_value()
    assert abs(rounded) <= abs(value)
    assert abs(value - rounded) < step


@settings(derandomize=True, max_examples=50)
@given(st.lists(AMOUNTS, max_size=30))
def test_a_sum_does_not_depend_on_its_order(values: list[Decimal]) -> None:
    assert total(values) == total(values[::-1])
    assert total([*values, *(-value for value in values)]) == 0


def test_a_long_sum_loses_nothing() -> None:
    # the default context rounds this to 28 digits
    assert total([Decimal("1e20"), Decimal("1e-15"), Decimal("-1e20")]) == Decimal("1e-15")


@pytest.mark.parametrize(
    "value",
    [
        *["NaN", "Infinity", "-inf", "1,5", "1_000", "0x1", "1e9999", "--1", "1e", ".", "٣"],
        "",
        " 1",
        "1 ",
        "1" * 41,
        0.1,
        True,
        None,
        b"1",
    ],
)
def test_what_is_no_amount_is_refused(value: Any) -> None:
    with pytest.raises(BadAmount):
        parse(value)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "sNaN"])
def test_non_finite_decimals_go_nowhere(value: str) -> None:
    for use in (check, plain, cents, lambda one: floor_to(one, Decimal(1)), lambda one: total([one])):
        with pytest.raises(BadAmount):
            use(Decimal(value))


@pytest.mark.parametrize("step", ["0", "-1"])
def test_a_step_is_above_zero(step: str) -> None:
    with pytest.raises(BadAmount):
        floor_to(Decimal(1), Decimal(step))


def test_for_people() -> None:
    assert cents(Decimal("1234.56785")) == "1234.5678"
    assert cents(Decimal("0.00005")) == "0.0000"
    assert cents(Decimal("-1e20"), 2) == "-100000000000000000000.00"
