"""A close by force while only an excess is unwound: what was to be kept goes too, from both legs at once."""

from __future__ import annotations

from decimal import Decimal

import pytest

from libs.common.messages_exec import Breaker, Level
from services.executor.flatten import DEMAND_US_MAX
from services.executor.model import IntentState, OrderClass, Purpose, State
from services.executor.resolve import window_us
from services.executor.steps import UNWIND_US_MAX
from services.executor.world import NEAR
from tests.unit.executor.asking import done
from tests.unit.executor.rig import FLAT, PERP_KEY, SPOT_KEY, Rig
from tests.unit.executor.scripted import times
from tests.unit.executor.test_shrink import ALONE_SEC, status
from tests.unit.executor.test_slicing import large

D = Decimal
LADDER_SEC = UNWIND_US_MAX / 1e6
FLATTEN = Breaker(scope="global", level=Level.FLATTEN, reason="loss of the day")


def excess(rig: Rig | None = None) -> Rig:
    """1 % of the contract was taken, spot refuses to follow, nothing may be added: the excess is unwound."""
    rig = large(rig=rig)
    rig.breakers = (Breaker(scope="global", level=Level.REDUCE_ONLY, reason="x"),)
    rig.beat()
    rig.venues.shut.add(SPOT_KEY)
    rig.venues.take(PERP_KEY, D("0.5"))
    rig.until(lambda: rig.state is State.UNWINDING, LADDER_SEC + 30)
    return rig


def demands(rig: Rig) -> None:
    rig.breakers = (FLATTEN,)
    rig.beat()


def test_a_flatten_while_the_excess_is_unwound_closes_both_legs() -> None:
    rig = excess()
    demands(rig)
    rig.until(lambda: rig.shown[1] == 0, 5)
    assert (rig.durable.plan is not None and rig.durable.plan.hard, rig.state) == (True, State.UNWINDING)
    rig.venues.shut.clear()
    rig.until(lambda: rig.state is State.IDLE, 10)
    assert rig.shown == FLAT == rig.held
    assert {one.order_class for one in rig.orders(Purpose.UNWIND)} == {OrderClass.REDUCE}


def test_the_ladder_of_a_forced_unwinding_begins_with_the_demand() -> None:
    rig = excess()
    rig.run(LADDER_SEC - 20)
    demands(rig)
    rig.run(60)
    rig.venues.shut.clear()
    rig.until(lambda: rig.state is State.IDLE, 10)
    assert rig.told("stuck") == []


def test_a_forced_unwinding_that_nothing_helps_calls_a_person() -> None:
    rig = excess()
    demands(rig)
    rig.until(lambda: rig.state is State.STUCK, LADDER_SEC + 30)
    assert rig.shown == (D(50), D(0))
    assert "long 50" in rig.told("stuck")[0]


def test_a_persons_flatten_while_risk_is_away_is_what_it_says() -> None:
    rig = excess()
    rig.risk_on = False
    rig.run(5)
    said = done(rig, "flatten", confirm=True)["pairs"][rig.pair]
    assert (said["begun"], said["state"]) == ("flatten", "unwinding")
    rig.until(lambda: rig.shown[1] == 0, 5)
    rig.venues.shut.clear()
    rig.until(lambda: rig.state is State.IDLE, 10)
    assert rig.shown == FLAT


def test_it_goes_on_after_a_restart_also_when_the_demand_is_gone() -> None:
    rig = excess()
    demands(rig)
    rig.until(lambda: rig.shown[1] == 0, 5)
    rig.breakers = ()
    rig.beat()
    rig.restart()
    rig.venues.shut.clear()
    rig.until(lambda: rig.state is State.IDLE, window_us("binance") / 1e6 + 20)
    assert rig.shown == FLAT


def test_an_orphan_that_was_to_keep_its_part_is_flattened_too() -> None:
    rig = Rig()
    rig.acts("perp", "half")
    rig.acts("spot", "fill", *times(300, "reject"))
    rig.wish("open", "1000")
    rig.until(lambda: rig.state is State.UNWINDING, 5)
    assert rig.shown == (D(10), D(-5))
    demands(rig)
    rig.until(lambda: rig.shown == (D(10), D(0)), 10)
    rig.venues.acts[SPOT_KEY].clear()
    rig.until(lambda: rig.state is State.IDLE, 10)
    assert rig.shown == FLAT


def test_while_an_order_is_unknown_nothing_is_sent_for_it() -> None:
    rig = excess()
    rig.venues.shut.clear()
    rig.acts("spot", "lost")
    rig.until(lambda: any(one.state is IntentState.UNKNOWN for one in rig.orders(Purpose.UNWIND)), 10)
    sent = len(rig.sent)
    demands(rig)
    rig.run(10)
    assert len(rig.sent) == sent
    rig.until(lambda: rig.state is State.IDLE, window_us("binance") / 1e6 + 20)
    assert rig.shown == FLAT


class Deaf(Rig):
    """A rig whose venues can be kept from answering looks at an account."""

    looks = True

    def _serve(self, request: object) -> None:
        if self.looks or type(request).__name__ != "ReadAccount":
            super()._serve(request)  # type: ignore[arg-type]


@pytest.mark.parametrize("held", ["closing", "unwinding"])
def test_what_is_forced_begins_only_when_both_venues_answer(held: str) -> None:
    """A soft close or an unwinding goes on as it was until then."""
    rig = Deaf()
    rig.wish("open", "5000")
    rig.until(lambda: rig.state is State.ACTIVE, 60)
    rig.breakers = (Breaker(scope="global", level=Level.REDUCE_ONLY, reason="x"),)
    rig.beat()
    rig.venues.shut.add(SPOT_KEY)
    if held == "closing":
        rig.world.config = rig.config
        rig.acts("perp", *times(3, "none"))
        rig.wish("close")
        rig.run(0.05)
    else:
        rig.venues.take(PERP_KEY, D("0.5"))
        rig.until(lambda: rig.state is State.UNWINDING, LADDER_SEC + 30)
    assert rig.state.value == held
    rig.looks = False
    demands(rig)
    rig.run(1.2 if held == "closing" else DEMAND_US_MAX / 1e6 + 2)
    plan = rig.durable.plan
    assert (rig.state.value, plan is not None and not plan.hard) == (held, True)
    assert held == "closing" or "does not answer" in rig.told("waits")[0]
    rig.looks = True
    rig.until(lambda: rig.durable.plan is not None and rig.durable.plan.hard, 5)
    assert rig.state.value == held


@pytest.mark.parametrize(("distance", "margin_ratio"), [(None, 0.95), (NEAR / 2, 0.01)])
def test_without_risk_used_up_collateral_hardens_an_unwinding(
    distance: float | None, margin_ratio: float
) -> None:
    rig = excess()
    rig.risk_on = False
    rig.run(ALONE_SEC + 2)
    assert (rig.state, rig.durable.plan is not None and not rig.durable.plan.hard) == (State.UNWINDING, True)
    rig.world.on_account(status(distance, margin_ratio=margin_ratio), rig.now)
    rig.until(lambda: rig.shown[1] == 0, 10)
    assert rig.durable.plan is not None
    assert (rig.state, rig.durable.plan.hard) == (State.UNWINDING, True)
    assert "collateral" in rig.durable.plan.reason
    rig.venues.shut.clear()
    rig.until(lambda: rig.state is State.IDLE, 10)
    assert rig.shown == FLAT


def test_an_unwinding_that_is_near_liquidation_waits_for_no_venue() -> None:
    rig = excess(Deaf())
    rig.looks = False  # type: ignore[attr-defined]
    rig.world.on_account(status(NEAR / 2), rig.now)
    demands(rig)
    rig.until(lambda: rig.shown[1] == 0, DEMAND_US_MAX / 2e6)
    assert rig.told("waits") == []


def test_a_close_that_became_forced_has_all_of_the_ladders_time() -> None:
    """A maker's close by slices has no end of its own: when it is hardened it may be older than a ladder."""
    rig = Rig(style="maker_first", slices=30)
    rig.wish("open", "5000")
    while rig.state is not State.ACTIVE:
        rig.run(0.5)
        fill_first(rig)
    rig.wish("close")
    begun_us = rig.now.mono_us
    while rig.now.mono_us - begun_us < UNWIND_US_MAX:
        rig.run(8)
        fill_first(rig)
    rig.run(0.3)
    assert rig.durable.state.value == "closing"
    assert rig.shown != FLAT
    rig.acts("spot", "none", "none")
    demands(rig)
    rig.until(lambda: rig.state in (State.IDLE, State.STUCK), 30)
    assert (rig.state, rig.shown) == (State.IDLE, FLAT)


def fill_first(rig: Rig) -> None:
    """The oldest order that rests is taken."""
    for placed in rig.venues.resting()[:1]:
        rig.fill_resting(str(placed.request.quantity - placed.filled))
