"""A position's arithmetic: nothing is lost to rounding over its life."""

from __future__ import annotations

from decimal import Decimal, localcontext

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.exchange.engine.positions import apply_fill, entry_price, margin_for, with_cost
from libs.exchange.engine.types import MarginMode, Position, PositionSide, Side
from tests.helpers.floor import seen

D = Decimal
BUY, SELL = Side.BUY, Side.SELL


def flat(side: PositionSide = PositionSide.BOTH, mode: MarginMode = MarginMode.CROSS) -> Position:
    return Position(
        account="a",
        instrument="perp:BTCUSDT",
        side=side,
        quantity=D(0),
        entry_price=D(0),
        margin_mode=mode,
        leverage=10,
    )


def test_adding_averages_the_entry_and_realises_nothing() -> None:
    position, first = apply_fill(flat(), BUY, D(2), D(100))
    position, second = apply_fill(position, BUY, D(1), D(130))
    assert seen(first, second) == (0, 0)
    assert seen(position.quantity, position.cost, position.entry_price) == (3, 330, 110)


def test_a_partial_close_realises_its_share_and_leaves_the_entry() -> None:
    position, _ = apply_fill(flat(), SELL, D(4), D(100))
    position, realised = apply_fill(position, BUY, D(1), D(90))
    assert realised == 10
    assert seen(position.quantity, position.cost, position.entry_price) == (-3, -300, 100)
    assert position.realised == 10


def test_a_fill_across_zero_closes_and_opens_anew() -> None:
    position, _ = apply_fill(flat(), BUY, D(1), D(100))
    position, realised = apply_fill(position, SELL, D(3), D(105))
    assert realised == 5
    assert seen(position.quantity, position.cost, position.entry_price) == (-2, -210, 105)
    assert position.realised == 0  # what was summed up belonged to the position before


@pytest.mark.parametrize(("side", "opens"), [(PositionSide.LONG, BUY), (PositionSide.SHORT, SELL)])
def test_hedge_positions_never_cross(side: PositionSide, opens: Side) -> None:
    closes = SELL if opens is BUY else BUY
    position, _ = apply_fill(flat(side), opens, D(1), D(100))
    with pytest.raises(ValueError, match="cannot hold"):
        apply_fill(position, closes, D(2), D(100))
    with pytest.raises(ValueError, match="cannot hold"):
        apply_fill(flat(side), closes, D(1), D(100))
    closed, _ = apply_fill(position, closes, D(1), D(101))
    assert seen(closed.quantity, closed.cost, closed.entry_price) == (0, 0, 0)


def test_isolated_margin_is_set_aside_and_released_with_the_position() -> None:
    position, _ = apply_fill(flat(mode=MarginMode.ISOLATED), BUY, D(3), D(100))
    assert position.isolated_margin == 30
    position, _ = apply_fill(position, SELL, D(1), D(50))
    assert position.isolated_margin == 20
    position, _ = apply_fill(position, SELL, D(4), D(50))
    assert position.isolated_margin == 10  # two short at 50, ten times
    assert apply_fill(position, BUY, D(2), D(50))[0].isolated_margin == 0


def test_a_cost_that_is_drawn_upon_moves_the_entry_price() -> None:
    position, _ = apply_fill(flat(), BUY, D(2), D(100))
    assert with_cost(position, D(210)).entry_price == 105


def test_roundings_are_explicit() -> None:
    assert entry_price(D(100), D(3)) == D("33.333333333333")
    assert str(entry_price(D(84_000), D(2))) == "42000"
    assert margin_for(D(100), 3) == D("33.33333334")


amounts = st.decimals("0.001", "1000", places=3)
prices = st.decimals("0.00000001", "99999", places=8)


@settings(derandomize=True, max_examples=150, deadline=None)
@given(
    fills=st.lists(st.tuples(st.booleans(), amounts, prices), min_size=1, max_size=30),
    mode=st.sampled_from(MarginMode),
    last=prices,
)
def test_over_a_life_realised_is_what_was_sold_less_what_was_bought(
    fills: list[tuple[bool, D, D]], mode: MarginMode, last: D
) -> None:
    with localcontext(prec=60):
        position, cash, realised_sum = flat(mode=mode), D(0), D(0)
        for buys, quantity, price in fills:
            position, realised = apply_fill(position, BUY if buys else SELL, quantity, price)
            cash -= quantity * price if buys else -quantity * price
            realised_sum += realised
            # held at any mark: cash plus what the position is worth equals realised plus unrealised
            assert cash + position.quantity * last == realised_sum + position.quantity * last - position.cost
            assert position.isolated_margin >= 0
        if position.quantity:
            side = SELL if position.quantity > 0 else BUY
            cash += position.quantity * last
            position, realised = apply_fill(position, side, abs(position.quantity), last)
            realised_sum += realised
        assert cash == realised_sum
        assert seen(position.cost, position.isolated_margin, position.entry_price) == (0, 0, 0)
