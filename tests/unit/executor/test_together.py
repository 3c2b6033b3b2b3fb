"""A pair that shares an instrument learns from looks what another pair's open order leaves in no doubt."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec.structs import replace

from services.executor.lane import Lane
from services.executor.model import Intent, IntentState, State
from services.executor.watch import EVERY_US, FOREIGN_AFTER_US
from tests.unit.executor.rig import PERP_KEY, SPOT_KEY, Rig
from tests.unit.executor.test_keeping import order

D = Decimal
LOOK_SEC = EVERY_US / 1e6 + 2
FOREIGN_SEC = LOOK_SEC + FOREIGN_AFTER_US / 1e6


def sharing(leg: int) -> tuple[Rig, Lane, Intent]:
    """An open pair, and another one on its instruments whose order there is unknown."""
    rig = Rig().opened()
    return rig, *unknown(rig, leg)


def unknown(rig: Rig, leg: int) -> tuple[Lane, Intent]:
    """Another pair on the same instruments, with an order of unknown fate."""
    other = Lane("other", rig.keys, rig.lane.kinds, rig.world)
    other.loaded = other.ready = True
    open_order = order(1, IntentState.UNKNOWN, leg=leg, pair="other")
    other.intents = {open_order.id: open_order}
    rig.actor.lanes["other"] = other
    return other, open_order


def test_what_a_venue_took_is_followed_although_the_other_legs_instrument_is_in_doubt() -> None:
    rig, *_ = sharing(leg=0)
    rig.venues.take(PERP_KEY, D("0.2"))
    rig.until(lambda: rig.held == (D("0.8"), D("-0.8")), LOOK_SEC)
    assert rig.held == rig.shown


def test_what_differs_on_the_instrument_in_doubt_waits_for_that_order() -> None:
    rig, other, open_order = sharing(leg=1)
    rig.venues.held[PERP_KEY] += D("0.2")  # it may be what the order got
    rig.run(3 * FOREIGN_SEC)
    assert (rig.state, rig.alerts) == (State.ACTIVE, [])
    other.intents = {open_order.id: replace(open_order, state=IntentState.DONE)}
    rig.until(lambda: rig.state is State.STUCK, FOREIGN_SEC)


def test_a_foreign_change_is_seen_although_the_other_legs_instrument_is_in_doubt() -> None:
    rig, *_ = sharing(leg=0)
    rig.venues.held[PERP_KEY] += D("0.2")
    rig.until(lambda: rig.state is State.STUCK, FOREIGN_SEC)


@pytest.mark.parametrize("leg", [0, 1])
def test_a_pair_is_not_ready_before_both_legs_were_seen_undisturbed(leg: int) -> None:
    rig = Rig().opened()
    rig.restart()
    other, open_order = unknown(rig, leg)
    rig.run(30)
    assert not rig.lane.ready
    other.intents = {open_order.id: replace(open_order, state=IntentState.DONE)}
    rig.until(lambda: rig.lane.ready, 3)


def test_an_order_at_another_venue_disturbs_no_look_at_this_one() -> None:
    rig = Rig(keys=(SPOT_KEY, ("bybit", "BTC-USDT-PERP"))).opened()
    unknown(rig, leg=1)
    rig.venues.held[SPOT_KEY] -= D("0.5")
    rig.until(lambda: rig.state is State.STUCK, FOREIGN_SEC)
    assert "binance BTC-USDT differs by -0.5" in rig.told("foreign")[0]
