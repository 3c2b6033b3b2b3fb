from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.instant import US_PER_SEC, Now
from libs.common.messages_exec import Breaker, Level
from services.executor.gate import INTENT_AGE_US_MAX, Bounds, LeaseView, Refusal, verdict
from services.executor.model import Intent, OrderClass, Purpose
from services.executor.permit import LEASE_US, PermitView
from services.executor.reducing import COLLAR, Standing
from tests.unit.executor.build import BUILD, LEGS, PAIR, WALL_US, at, intent, permit

BOUNDS = Bounds(leg_notional_max=Decimal(1_000), collar=Decimal("0.01"))
SHORT = Standing(held=(Decimal(-(10**6)), Decimal(0)))  # of spot: what the reducing orders here buy back
LEASE = LeaseView(fence=7, until_mono_us=10 * US_PER_SEC)
checked = settings(derandomize=True, max_examples=200, deadline=None)


def permitted(*breakers: Breaker) -> PermitView:
    view = PermitView(build=BUILD)
    assert view.apply(permit(1, *breakers), at())
    return view


def ask(
    *intents: Intent,
    permits: PermitView | None = None,
    lease: LeaseView = LEASE,
    rate: str = "",
    now: Now | None = None,
    bad_key: str = "",
    standing: Standing | None = SHORT,
    loads: tuple[int, int] = (0, 0),
) -> Refusal | None:
    return verdict(
        intents,
        legs=LEGS,
        permits=permits or permitted(),
        lease=lease,
        bounds=BOUNDS,
        rate=rate,
        now=now or at(0.1),
        bad_key=bad_key,
        standing=standing,
        loads=loads,
    )


def reducing(**fields: Any) -> Intent:
    return intent(order_class=OrderClass.REDUCE, purpose=Purpose.UNWIND, **fields)


def code(refusal: Refusal | None) -> str:
    return "" if refusal is None else refusal.code


def test_what_is_in_order_passes() -> None:
    assert ask(intent(), intent(leg=1, side="sell", price=Decimal(99))) is None


@pytest.mark.parametrize("kind", [intent, reducing])
@pytest.mark.parametrize(
    ("lease", "sec"),
    [
        (LeaseView(), 0.1),
        (LeaseView(fence=8, until_mono_us=10 * US_PER_SEC), 0.1),
        (LeaseView(fence=6, until_mono_us=10 * US_PER_SEC), 0.1),
        (LeaseView(fence=7, until_mono_us=100_000), 0.1),
        (LeaseView(fence=7, until_mono_us=99_999), 0.1),
    ],
)
def test_nothing_at_all_without_the_pairs_own_lease(kind: Any, lease: LeaseView, sec: float) -> None:
    assert code(ask(kind(), lease=lease, now=at(sec))) == "lease"


def test_orders_of_two_fences_never_go_together() -> None:
    assert code(ask(reducing(), reducing(fence=6))) == "lease"


@checked
@given(age_us=st.integers(0, 100 * US_PER_SEC))
def test_nothing_increases_without_a_fresh_permit(age_us: int) -> None:
    now = at(age_us / US_PER_SEC)
    lease = LeaseView(fence=7, until_mono_us=1000 * US_PER_SEC)
    young = intent(created_us=now.wall_us)
    assert (code(ask(young, lease=lease, now=now)) == "no_permit") == (now.mono_us > LEASE_US)
    never = PermitView(build=BUILD)
    assert code(ask(young, lease=lease, permits=never, now=now)) == "no_permit"


@pytest.mark.parametrize("level", [Level.NO_OPENS, Level.REDUCE_ONLY, Level.FLATTEN])
@pytest.mark.parametrize(
    "scope",
    [
        "global",
        f"pair:{PAIR}",
        "venue:binance",
        "symbol:binance-BTC-USDT",
        "symbol:binance-BTC-USDT-PERP",
    ],
)
def test_every_breaker_on_a_scope_of_the_pair_holds_increases_back(level: Level, scope: str) -> None:
    refusal = ask(intent(), permits=permitted(Breaker(scope=scope, level=level, reason="jump")))
    assert refusal is not None
    assert refusal.code == "breaker"
    assert scope in refusal.text
    assert "jump" in refusal.text


def test_breakers_elsewhere_and_normal_ones_concern_nobody_here() -> None:
    elsewhere = [
        Breaker(scope=scope, level=Level.FLATTEN, reason="x")
        for scope in ("pair:other", "venue:bitget", "symbol:binance-ETH-USDT", "venue:binance-sub1")
    ]
    normal = Breaker(scope="global", level=Level.NORMAL, reason="")
    assert ask(intent(), permits=permitted(*elsewhere, normal)) is None


@checked
@given(
    levels=st.lists(st.sampled_from(list(Level)), max_size=3),
    quantity=st.integers(1, 10**6),
    price=st.one_of(st.none(), st.integers(1, 10**5)),
    sec=st.floats(0, 9.9),
    rate=st.sampled_from(["", "the budget is used up"]),
    heard=st.booleans(),
)
def test_permits_never_hold_back_what_reduces(
    levels: list[Level], quantity: int, price: int | None, sec: float, rate: str, *, heard: bool
) -> None:
    breakers = tuple(Breaker(scope="global", level=level, reason="x") for level in levels)
    view = permitted(*breakers) if heard else PermitView(build=BUILD)
    order = reducing(quantity=Decimal(quantity), price=None if price is None else Decimal(price), mid=None)
    assert ask(order, permits=view, rate=rate, now=at(sec)) is None


def test_one_leg_that_may_not_go_keeps_the_other_back() -> None:
    order = intent(leg=1, side="sell", price=Decimal(90))
    assert code(ask(intent(), order)) == "collar"
    assert code(ask(reducing(), order)) == "collar"


def test_the_rate_of_opens_is_bounded() -> None:
    assert code(ask(intent(), rate="20 a minute")) == "order_rate"


@pytest.mark.parametrize(("kind", "expected"), [(intent, "bad_key"), (reducing, "")])
def test_a_key_that_is_not_to_be_used_any_more_only_reduces(kind: Any, expected: str) -> None:
    found = ask(kind(), bad_key="binance: the API key may withdraw")
    assert code(found) == expected
    if found is not None:
        assert found.text == "binance: the API key may withdraw"


def test_a_bad_key_lets_nothing_that_reduces_out_without_the_lease() -> None:
    assert code(ask(reducing(), lease=LeaseView(), bad_key="may withdraw")) == "lease"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"price": None}, "no_price"),
        ({"mid": None}, "no_price"),
        ({"price": Decimal("101.01")}, "collar"),
        ({"price": Decimal(101)}, ""),
        ({"side": "sell", "price": Decimal("98.99")}, "collar"),
        ({"side": "sell", "price": Decimal(99)}, ""),
        ({"price": Decimal(50)}, ""),  # a bid far below the mid is no danger
        ({"quantity": Decimal(10), "price": Decimal("100.01")}, "notional"),
        ({"quantity": Decimal(10), "price": Decimal(100)}, ""),
        ({"created_us": WALL_US + 100_000 - INTENT_AGE_US_MAX - 1}, "late"),
        ({"created_us": WALL_US + 100_000 - INTENT_AGE_US_MAX}, ""),
    ],
)
def test_an_increase_is_priced_small_and_young(fields: dict[str, Any], expected: str) -> None:
    assert code(ask(intent(**fields))) == expected


@checked
@given(
    held=st.tuples(st.integers(-50, 50), st.integers(-50, 50)),
    moving=st.tuples(st.integers(0, 20), st.integers(0, 20)),
    leg=st.sampled_from([0, 1]),
    buys=st.booleans(),
    quantity=st.integers(1, 100),
)
def test_what_says_that_it_reduces_makes_its_leg_smaller_or_lowers_the_net(
    held: tuple[int, int], moving: tuple[int, int], leg: int, quantity: int, *, buys: bool
) -> None:
    legs, beside = (Decimal(held[0]), Decimal(held[1])), (Decimal(moving[0]), Decimal(moving[1]))
    standing = Standing(held=legs, **{"buys" if buys else "sells": beside})
    order = reducing(
        leg=leg, side="buy" if buys else "sell", quantity=Decimal(quantity), price=None, mid=None
    )
    sign = 1 if buys else -1
    worst = list(held)
    for index in (0, 1):
        worst[index] += sign * moving[index]
    after = worst[leg] + sign * quantity
    shrinks = held[leg] * sign < 0 and after * held[leg] >= 0
    lowers = abs(sum(worst) + sign * quantity) < abs(sum(held))
    assert code(ask(order, standing=standing)) == ("" if shrinks or lowers else "not_reducing")


def test_nothing_reduces_of_a_pair_of_which_nothing_is_known() -> None:
    assert code(ask(reducing(), standing=None)) == "not_reducing"


@pytest.mark.parametrize(("side", "sign"), [("buy", 1), ("sell", -1)])
def test_what_reduces_stays_within_the_ladders_end(side: str, sign: int) -> None:
    standing = Standing(held=(Decimal(-9 * sign), Decimal(0)))
    edge = Decimal(100) * (1 + sign * COLLAR)
    assert ask(reducing(side=side, price=edge), standing=standing) is None
    beyond = ask(reducing(side=side, price=edge + sign), standing=standing)
    assert code(beyond) == "not_reducing"
    assert ask(reducing(side=side, price=None), standing=standing) is None, "the ladder ends in market orders"


def test_a_purchase_of_owed_coins_may_exceed_them_by_the_venues_minimum_only() -> None:
    standing = Standing(held=(Decimal(-1), Decimal(0)), slack=(Decimal("0.5"), Decimal(0)))
    assert ask(reducing(quantity=Decimal("1.5")), standing=standing) is None
    assert code(ask(reducing(quantity=Decimal("2.01")), standing=standing)) == "not_reducing"


@pytest.mark.parametrize("kind", [intent, reducing])
@pytest.mark.parametrize(("loads", "expected"), [((3, 3), ""), ((3, 4), "reloaded"), ((0, 1), "reloaded")])
def test_what_was_decided_before_the_pair_was_read_anew_never_leaves(
    kind: Any, loads: tuple[int, int], expected: str
) -> None:
    assert code(ask(kind(), loads=loads)) == expected
