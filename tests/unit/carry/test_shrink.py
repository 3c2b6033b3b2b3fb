"""Shrinking on short collateral: over the bound, step by step, and back through its calm."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.carry.shrink import CALM_US, EVERY_US, Collateral, Squeeze, after, collateral_of, distance_of
from libs.common.messages_exec import AccountPosition, AccountStatus

SHORT = Collateral(distance=0.08)
BAND = Collateral(distance=0.14)
CALM = Collateral(distance=0.3)


def position(
    name: str, *, mark: float | None = 100.0, end: float | None = 80.0, size: int = 1
) -> AccountPosition:
    return AccountPosition(instrument=name, quantity=Decimal(size), mark=mark, liquidation_price=end)


def account(
    *positions: AccountPosition, ratio: float | None = None, distance: float | None = None
) -> AccountStatus:
    return AccountStatus(
        venue="binance",
        balances=(),
        positions=positions,
        margin_ratio=ratio,
        liquidation_distance=distance,
        wall_us=1,
    )


def test_a_quarter_goes_each_half_minute_until_nothing_is_left() -> None:
    squeeze, shares = Squeeze(), []
    for at_us in range(0, 5 * EVERY_US, EVERY_US):
        squeeze = after(squeeze, SHORT, at_us)
        squeeze = after(squeeze, SHORT, at_us + EVERY_US - 1)
        shares.append(squeeze.share)
    assert [str(one) for one in shares] == ["0.75", "0.50", "0.25", "0", "0"]


def test_it_comes_back_after_ten_calm_minutes_and_not_in_the_band() -> None:
    lowered = after(Squeeze(), SHORT, 0)
    assert after(lowered, BAND, 10**12).share == Decimal("0.75"), "the band keeps what is"
    calm = after(lowered, CALM, EVERY_US)
    assert after(calm, CALM, EVERY_US + CALM_US - 1).share == Decimal("0.75")
    assert after(calm, CALM, EVERY_US + CALM_US).share == 1
    broken = after(calm, BAND, EVERY_US + 1)
    assert after(broken, CALM, EVERY_US + CALM_US).share == Decimal("0.75"), "calm begins anew"


@pytest.mark.parametrize(
    ("seen", "short"),
    [
        (Collateral(distance=0.0999), True),
        (Collateral(distance=0.10), False),
        (Collateral(ratio=0.06), True),
        (Collateral(ratio=0.0599), False),
        (Collateral(distance=float("nan")), True),
        (Collateral(ratio=float("nan")), True),
    ],
)
def test_the_bounds(seen: Collateral, short: bool) -> None:  # noqa: FBT001 - a table
    assert seen.is_short is short


def test_the_distance_governs_where_every_position_has_one() -> None:
    far = account(position("A", end=50.0), ratio=0.2)
    assert collateral_of(far) == Collateral(distance=0.5)
    half = account(position("A", end=50.0), position("B", end=None), ratio=0.2)
    assert collateral_of(half) == Collateral(distance=0.5, ratio=0.2)
    assert collateral_of(half, {"A"}) == Collateral(distance=0.5)
    assert collateral_of(half, {"C"}) == Collateral(ratio=0.0), "nothing is at stake there"
    assert collateral_of(account(ratio=0.07, distance=0.2)) == Collateral(distance=0.2, ratio=0.07)
    assert distance_of(position("A", mark=None)) is None
    assert distance_of(position("A", end=120.0, size=-1)) == pytest.approx(0.2)


def test_what_says_nothing_changes_nothing() -> None:
    lowered = after(Squeeze(), SHORT, 0)
    assert after(lowered, Collateral(), 10**12) == lowered


@given(
    st.lists(st.tuples(st.integers(0, 40), st.sampled_from([SHORT, BAND, CALM, Collateral()])), max_size=60)
)
@settings(derandomize=True, max_examples=100)
def test_the_share_only_rises_to_the_whole_and_falls_by_steps(looks: list[tuple[int, Collateral]]) -> None:
    squeeze, at_us = Squeeze(), 0
    shares = [squeeze.share]
    for seconds, seen in looks:
        at_us += seconds * 1_000_000
        squeeze = after(squeeze, seen, at_us)
        shares.append(squeeze.share)
    for one, next_one in pairwise(shares):
        assert next_one in {one, max(Decimal(0), one - Decimal("0.25")), Decimal(1)}
