"""Shrinking on short collateral: over the bound, step by step, and back through its calm."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from libs.carry.shrink import CALM_US, EVERY_US, Collateral, Squeeze, after, collateral_of, distance_of
from libs.common.messages_exec import AccountBalance, AccountPosition, AccountStatus

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


# --- borrowed coins ---------------------------------------------------------------------------------


def coin(
    asset: str, total: float, *, owed: float = 0.0, price: float | None = 1.0, wallet: str = "margin"
) -> AccountBalance:
    owned = Decimal(str(total)) - Decimal(str(owed))
    return AccountBalance(
        wallet=wallet,
        asset=asset,
        total=Decimal(str(total)),
        free=Decimal(0),
        borrowed=Decimal(str(owed)),
        usd=None if price is None else float(owned) * price,
    )


def lent(*balances: AccountBalance) -> Collateral:
    return collateral_of(replace(account(position("A", end=50.0)), balances=balances), {"A"}, {"BTC"})


@pytest.mark.parametrize(
    ("dollars", "distance"),
    [(15_000.0, 15_000 / 11_000 - 1), (12_000.0, 12_000 / 11_000 - 1), (11_000.0, 0.0), (10_000.0, 0.0)],
)
def test_a_loan_is_called_at_a_level_of_one_point_one(dollars: float, distance: float) -> None:
    seen = lent(coin("USDT", dollars), coin("BTC", 0.0, owed=0.2, price=50_000.0))
    assert seen.distance == pytest.approx(distance)
    risen = 50_000.0 * (1 + distance)
    if distance:
        assert dollars / (0.2 * risen) == pytest.approx(1.1), "there the venue calls it"


def test_other_debts_and_coins_of_the_same_wallet_count_and_other_wallets_do_not() -> None:
    rest = (coin("ETH", 1.0, price=2_000.0), coin("SOL", 0.0, owed=10.0, price=100.0))
    away = coin("USDT", 1e6, wallet="spot")
    seen = lent(coin("USDT", 6_000.0), coin("BTC", 0.1, owed=0.2, price=50_000.0), *rest, away)
    assert seen.distance == pytest.approx((6_000 + 2_000 - 1_100) / (11_000 - 5_000) - 1)


@pytest.mark.parametrize(
    "balances",
    [
        (coin("USDT", 1.0), coin("BTC", 0.2, owed=0.2, price=5e4)),  # borrowed, and not sold yet
        (coin("USDT", 1.0), coin("ETH", 0.0, owed=9.0, price=2e3)),  # not the pair's
        (coin("USDT", 1.0), coin("BTC", 0.0, owed=0.2, price=5e4, wallet="unified")),  # the venue's figures
    ],
)
def test_what_is_no_debt_of_the_pair_in_a_margin_wallet_puts_nothing_at_stake(
    balances: tuple[AccountBalance, ...],
) -> None:
    assert lent(*balances) == Collateral(distance=0.5)


def test_a_debt_without_a_price_is_not_calm() -> None:
    told = replace(account(), balances=(coin("USDT", 1e6), coin("BTC", 0.0, owed=0.2, price=None)))
    assert not collateral_of(told, (), {"BTC"}).is_known
