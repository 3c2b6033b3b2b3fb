from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from services.executor.lane import Draft
from services.executor.model import Intent, OrderClass, Purpose
from services.executor.rebalancing import drift, trim_plan
from tests.unit.executor.rig import PERP_KEY, SPOT_KEY, Rig


def drifted(missing: str = "0.2", *, spot_fee: str = "0.001") -> Rig:
    """A pair whose perp leg has come to lack something that nobody took: 1.0 long, 0.8 short."""
    rig = Rig()
    rig.world._taker = {SPOT_KEY: Decimal(spot_fee), PERP_KEY: Decimal("0.0005")}
    rig.opened()
    legs = rig.lane.state.legs
    lacking = replace(legs[1], quantity=legs[1].quantity + Decimal(missing))
    rig.lane.state = replace(rig.lane.state, legs=(legs[0], lacking))
    rig.venues.held[PERP_KEY] += Decimal(missing)
    return rig


def trims(rig: Rig) -> list[Intent]:
    return rig.orders(Purpose.TRIM)


@pytest.mark.parametrize(
    ("first", "second", "goals"),
    [
        ("1", "-0.8", ("0.8", "-0.8")),
        ("0.8", "-1", ("0.8", "-0.8")),
        ("-1", "0.8", ("-0.8", "0.8")),  # reverse: the first leg is the short one
        ("1", "0", ("0", "0")),
        ("1", "0.5", ("0", "0")),  # both on one side: neither hedges the other
    ],
)
def test_what_is_too_much_is_trimmed(first: str, second: str, goals: tuple[str, str]) -> None:
    rig = Rig()
    draft = Draft(rig.lane, rig.now)
    legs = [
        replace(leg, quantity=Decimal(quantity))
        for leg, quantity in zip(draft.state.legs, (first, second), strict=True)
    ]
    draft.set(legs=tuple(legs))
    assert trim_plan(draft).goals == tuple(Decimal(goal) for goal in goals)
    assert drift(draft) == abs(draft.state.delta)


def test_the_cheaper_way_is_to_add() -> None:
    rig = drifted()
    rig.until(lambda: rig.shown == (Decimal(1), Decimal(-1)), 3)
    (added,) = trims(rig)
    assert (added.leg, added.side, added.quantity) == (1, "sell", Decimal("0.2"))
    assert added.order_class is OrderClass.INCREASE
    assert added.price is not None
    rig.run(10)
    assert len(trims(rig)) == 1
    assert rig.lane.state.plan is None


@pytest.mark.parametrize("spot_fee", ["0.0005", "0.0002"])
def test_the_cheaper_way_is_to_trim_and_so_is_a_draw(spot_fee: str) -> None:
    rig = drifted(spot_fee=spot_fee)
    rig.until(lambda: rig.shown == (Decimal("0.8"), Decimal("-0.8")), 3)
    (trimmed,) = trims(rig)
    assert (trimmed.leg, trimmed.side, trimmed.order_class) == (0, "sell", OrderClass.REDUCE)


def test_a_wide_spread_counts() -> None:
    rig = drifted()
    rig.venues.books[PERP_KEY].bid, rig.venues.books[PERP_KEY].ask = Decimal("99.5"), Decimal("100.5")
    rig.say_quotes()
    rig.until(lambda: rig.shown == (Decimal("0.8"), Decimal("-0.8")), 3)


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"risk_on": False}, "no permit"),
        ({"feed_on": False}, "old prices"),
    ],
)
def test_nothing_is_added_without_permit_or_prices(fields: dict[str, Any], what: str) -> None:
    rig = Rig()
    rig.world._taker = {SPOT_KEY: Decimal("0.001"), PERP_KEY: Decimal("0.0005")}
    rig.opened()
    for name, value in fields.items():
        setattr(rig, name, value)
    rig.run(2.6)
    rig.venues.held[PERP_KEY] += Decimal("0.2")
    legs = rig.lane.state.legs
    rig.lane.state = replace(
        rig.lane.state,
        legs=(legs[0], replace(legs[1], quantity=Decimal("-0.8"))),
    )
    rig.until(lambda: rig.shown == (Decimal("0.8"), Decimal("-0.8")), 3)
    assert {one.order_class for one in trims(rig)} == {OrderClass.REDUCE}, what


def test_what_adding_did_not_bring_is_trimmed() -> None:
    rig = drifted()
    rig.acts("perp", "half")
    rig.until(lambda: rig.shown == (Decimal("0.9"), Decimal("-0.9")), 3)
    assert [one.order_class for one in trims(rig)] == [OrderClass.INCREASE, OrderClass.REDUCE]


def test_a_drift_within_the_threshold_is_left_alone() -> None:
    rig = drifted("0.002")
    rig.run(10)
    assert trims(rig) == []


def test_what_a_venue_took_is_never_added_back() -> None:
    rig = Rig()
    rig.world._taker = {SPOT_KEY: Decimal("0.01"), PERP_KEY: Decimal(0)}
    rig.opened()
    rig.venues.take(PERP_KEY, Decimal("0.3"))
    rig.until(lambda: rig.shown == (Decimal("0.7"), Decimal("-0.7")), 12)
    assert all(one.order_class is OrderClass.REDUCE for one in rig.sent[2:])
