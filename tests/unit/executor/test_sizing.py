from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.subjects import Kind
from services.executor.sizing import (
    CannotSize,
    Rules,
    ceil_to,
    check_pair,
    common_step,
    floor_to,
    grossed_up,
    ladder_collar,
    ladder_pause_us,
    limit_price,
    order_min,
    pair_quantity,
    slice_goal,
)
from tests.unit.executor.build import rules

STEPS = st.builds(
    lambda digits, places: Decimal(digits).scaleb(-places), st.integers(1, 500), st.integers(0, 8)
)
AMOUNTS = st.decimals(min_value=0, max_value=10**7, places=9, allow_nan=False)
PRICES = st.decimals(min_value="0.001", max_value=200_000, places=5, allow_nan=False)
checked = settings(derandomize=True, max_examples=200, deadline=None)


def is_multiple(value: Decimal, step: Decimal) -> bool:
    return value % step == 0


@checked
@given(value=AMOUNTS, step=STEPS)
def test_floor_and_ceiling_are_the_neighbouring_multiples(value: Decimal, step: Decimal) -> None:
    low, high = floor_to(value, step), ceil_to(value, step)
    assert is_multiple(low, step)
    assert is_multiple(high, step)
    assert low <= value <= high
    assert value - low < step
    assert high - value < step


@checked
@given(first=STEPS, second=STEPS)
def test_a_common_step_is_the_smallest_multiple_of_both(first: Decimal, second: Decimal) -> None:
    step = common_step(first, second)
    assert is_multiple(step, first)
    assert is_multiple(step, second)
    assert step == common_step(second, first)
    below = step - first
    while below > 0 and step / first < 200:
        assert not is_multiple(below, second)
        below -= first


@pytest.mark.parametrize(
    ("first", "second", "common"),
    [("0.001", "0.0002", "0.001"), ("3", "2", "6"), ("1E+1", "4", "20"), ("0.25", "0.1", "0.5")],
)
def test_common_steps_by_hand(first: str, second: str, common: str) -> None:
    assert common_step(Decimal(first), Decimal(second)) == Decimal(common)


@pytest.mark.parametrize("step", ["0", "-0.1", "NaN", "Infinity"])
def test_a_step_that_is_none_is_refused(step: str) -> None:
    with pytest.raises((ValueError, ArithmeticError)):
        common_step(Decimal(step), Decimal(1))


@checked
@given(wanted=AMOUNTS, step=STEPS, fee=st.decimals(min_value=0, max_value="0.01", places=6))
def test_a_grossed_up_buy_receives_what_is_wanted(wanted: Decimal, step: Decimal, fee: Decimal) -> None:
    spot = rules(Kind.SPOT, step=step, base_fee=fee)
    amount = grossed_up(floor_to(wanted, step), spot)
    received = amount * (1 - fee)
    assert is_multiple(amount, step)
    assert received >= floor_to(wanted, step)
    assert received < floor_to(wanted, step) + step


@checked
@given(
    step=STEPS,
    quantity_min=AMOUNTS,
    notional_min=st.decimals(min_value=0, max_value=500, places=2),
    price=PRICES,
    kind=st.sampled_from([Kind.SPOT, Kind.PERP]),
    reduces=st.booleans(),
)
def test_a_minimum_is_tradable(
    step: Decimal, quantity_min: Decimal, notional_min: Decimal, price: Decimal, kind: Kind, *, reduces: bool
) -> None:
    one = rules(kind, step=step, quantity_min=quantity_min, notional_min=notional_min)
    least = order_min(one, price, reduces=reduces)
    assert is_multiple(least, step)
    assert least >= max(step, quantity_min)
    if not reduces or kind is Kind.SPOT:
        assert least * price >= notional_min * (1 - Decimal("1e-20"))
    assert order_min(one, price, reduces=True) <= order_min(one, price, reduces=False)


def test_a_contract_may_be_reduced_below_the_minimum_notional_and_spot_may_not() -> None:
    perp, spot = (rules(kind, notional_min=Decimal(100)) for kind in (Kind.PERP, Kind.SPOT))
    assert order_min(perp, Decimal(1000), reduces=True) == Decimal("0.001")
    assert order_min(perp, Decimal(1000), reduces=False) == Decimal("0.1")
    assert order_min(spot, Decimal(1000), reduces=True) == Decimal("0.1")


@checked
@given(first=STEPS, second=STEPS, notional=st.decimals(min_value=1, max_value=10**6, places=2), price=PRICES)
def test_a_pair_is_never_larger_than_its_notional(
    first: Decimal, second: Decimal, notional: Decimal, price: Decimal
) -> None:
    legs = rules(Kind.SPOT, step=first), rules(Kind.PERP, step=second)
    try:
        quantity = pair_quantity(notional, price, *legs)
    except CannotSize:
        assert floor_to(notional / price, common_step(first, second)) < max(first, second)
        return
    assert quantity * price <= notional
    assert is_multiple(quantity, first)
    assert is_multiple(quantity, second)
    assert notional - quantity * price < common_step(first, second) * price * (1 + Decimal("1e-20"))


def test_a_pair_below_a_venues_minimum_says_what_to_raise() -> None:
    legs = rules(Kind.SPOT), rules(Kind.PERP, notional_min=Decimal(100))
    with pytest.raises(CannotSize, match=r"50 USD buy 0\.001 BTC.*position\.notional_usd"):
        pair_quantity(Decimal(50), Decimal(40_000), *legs)


@pytest.mark.parametrize(
    ("first", "second", "text"),
    [
        ({"base": "ETH"}, {}, "different bases: ETH and BTC"),
        ({"quote": "USDC"}, {}, "different quote currencies: USDC and USDT"),
        ({}, {"settle": "BTC"}, "not linear: quoted in USDT, settled in BTC"),
        ({}, {"refused": "its multiplier is not known"}, "its multiplier is not known"),
    ],
)
def test_legs_that_cannot_be_a_pair_are_refused_by_name(
    first: dict[str, Any], second: dict[str, Any], text: str
) -> None:
    with pytest.raises(CannotSize, match=text):
        check_pair(rules(Kind.SPOT, **first), rules(Kind.PERP, **second))


@checked
@given(total=AMOUNTS, slices=st.integers(1, 12), step=STEPS)
def test_slices_rise_to_the_whole(total: Decimal, slices: int, step: Decimal) -> None:
    total = floor_to(total, step)
    goals = [slice_goal(total, slices, index, step) for index in range(1, slices + 1)]
    assert goals == sorted(goals)
    assert goals[-1] == total
    assert all(is_multiple(goal, step) for goal in goals)


@checked
@given(best=PRICES, collar=st.sampled_from(["0", "0.002", "0.005", "0.02"]), places=st.integers(0, 4))
def test_a_limit_crosses_the_book_and_stays_within_its_collar(
    best: Decimal, collar: str, places: int
) -> None:
    tick = Decimal(1).scaleb(-places)
    best = ceil_to(best, tick)  # a venue's price is a multiple of its tick
    bound = Decimal(collar)
    buy, sell = (limit_price(side, best, bound, tick) for side in ("buy", "sell"))
    assert best <= buy <= best * (1 + bound)
    assert max(tick, best * (1 - bound)) <= sell <= best
    assert is_multiple(buy, tick)
    assert is_multiple(sell, tick)


def test_the_ladder_grows_in_force_and_patience() -> None:
    assert [ladder_collar(n, spot_buy=False) for n in range(4)] == [
        Decimal("0.005"),
        Decimal("0.02"),
        None,
        None,
    ]
    assert [ladder_collar(n, spot_buy=True) for n in (2, 39)] == [Decimal("0.05")] * 2
    pauses = [ladder_pause_us(n) for n in range(40)]
    assert pauses[:3] == [0, 250_000, 500_000]
    assert pauses == sorted(pauses)
    assert pauses[-1] == 5_000_000


def test_an_instrument_without_a_step_is_traded_finely() -> None:
    plain = Rules(kind=Kind.SPOT, base="BTC", quote="USDT", settle="USDT")
    assert pair_quantity(Decimal(10), Decimal(3), plain, rules(step=Decimal("0.01"))) == Decimal("3.33")
