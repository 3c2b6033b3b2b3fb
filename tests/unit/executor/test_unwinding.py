from __future__ import annotations

from decimal import Decimal

import pytest

from libs.common.messages_exec import Breaker, Level
from services.executor.model import OrderClass, Purpose, State
from services.executor.resolve import window_us
from services.executor.sizing import ladder_pause_us
from services.executor.steps import TRIES_MAX, UNWIND_US_MAX
from services.executor.unwinding import QUARANTINE_AFTER
from tests.unit.executor.rig import FLAT, Rig
from tests.unit.executor.scripted import Act, times


def orphaned(*acts: Act) -> Rig:
    """The spot leg stands alone; `acts` become of the orders that sell it."""
    rig = Rig()
    rig.acts("perp", "reject")
    rig.acts("spot", "fill", *acts)
    rig.wish("open")
    rig.until(lambda: rig.state is State.UNWINDING, 5)
    return rig


def test_the_ladder_presses_harder_and_waits_longer() -> None:
    rig = orphaned("none", "reject", "never_sent", "none")
    took = rig.until(lambda: rig.shown == FLAT, 20)
    rig.until(lambda: rig.state is State.IDLE, 6)
    tries = rig.orders(Purpose.UNWIND)
    assert [one.price for one in tries] == [Decimal("99.5"), Decimal(98), None, None, None]
    least_sec = sum(ladder_pause_us(n) for n in range(5)) / 1e6
    assert least_sec <= took < least_sec + 2
    assert all(one.order_class is OrderClass.REDUCE for one in tries)
    assert len(rig.alerts) == 1


def test_what_is_left_of_a_partial_unwind_goes_next() -> None:
    rig = orphaned("half", "half")
    rig.until(lambda: rig.state is State.IDLE, 10)
    assert [one.quantity for one in rig.orders(Purpose.UNWIND)] == [
        Decimal(1),
        Decimal("0.5"),
        Decimal("0.25"),
    ]


def test_waiting_for_unknown_orders_is_no_time_of_the_ladder() -> None:
    rig = orphaned(*times(8, "lost"))
    took = rig.until(lambda: rig.state in (State.IDLE, State.STUCK), 300)
    assert took > 8 * window_us("binance") / 1e6 > UNWIND_US_MAX / 1e6
    assert rig.state is State.IDLE
    assert rig.shown == FLAT
    assert rig.told("stuck") == []


def test_an_unwind_whose_fate_is_unknown_is_resolved_before_the_next() -> None:
    rig = orphaned("lost")
    rig.run(10)
    assert len(rig.orders(Purpose.UNWIND)) == 1
    rig.until(lambda: rig.state is State.IDLE, window_us("binance") / 1e6 + 2)
    assert len(rig.orders(Purpose.UNWIND)) == 2
    assert rig.shown == FLAT


def test_when_nothing_helps_a_person_is_called() -> None:
    rig = orphaned(*times(60, "none"))
    rig.until(lambda: rig.state is State.STUCK, 240)
    assert rig.moves[-1] == "unwinding>stuck"
    (text,) = rig.told("stuck")
    assert "Look at both venues" in text
    sent = len(rig.sent)
    assert len(rig.orders(Purpose.UNWIND)) <= TRIES_MAX
    rig.run(60)
    assert len(rig.sent) == sent, "only a person leaves this state"


@pytest.mark.parametrize("level", [Level.REDUCE_ONLY, Level.FLATTEN])
def test_no_breaker_and_no_missing_permit_holds_an_unwind_up(level: Level) -> None:
    rig = orphaned("none", "none")
    rig.breakers = (Breaker(scope="global", level=level, reason="loss"),)
    rig.beat()
    rig.risk_on = False
    rig.until(lambda: rig.state is State.IDLE, 10)
    assert rig.shown == FLAT
    assert rig.refused == []


def test_three_unwinds_within_an_hour_close_the_pair_for_a_day() -> None:
    rig = Rig()
    for n in range(1, QUARANTINE_AFTER + 1):
        rig.acts("perp", "reject")
        rig.wish("open")
        rig.until(lambda n=n: len(rig.moves) == 3 * n, 10)  # type: ignore[misc]
        rig.run(1)
    (text,) = rig.told("quarantine")
    assert "24 h" in text
    rig.wish("open")
    rig.run(2)
    assert "quarantined" in rig.notes[-1]
    rig.clock.advance(sec=24 * 3600)
    rig.run(4)  # the permits' lease lapsed on the way
    rig.wish("open")
    rig.until(lambda: rig.state is State.ACTIVE, 5)


def test_unwinds_that_are_far_apart_are_no_pattern() -> None:
    rig = Rig()
    for n in range(1, 5):
        rig.acts("perp", "reject")
        rig.wish("open")
        rig.until(lambda n=n: len(rig.moves) == 3 * n, 10)  # type: ignore[misc]
        rig.clock.advance(sec=1_900)
        rig.run(4)
    assert rig.told("quarantine") == []


def test_a_minimum_that_is_no_multiple_of_the_step_ends_as_dust() -> None:
    rig = Rig()
    rules = rig.world.rules[rig.keys[1]]
    rig.world.rules[rig.keys[1]] = type(rules)(
        **{name: getattr(rules, name) for name in rules.__struct_fields__}
        | {"quantity_min": Decimal("0.0015"), "step": Decimal("0.001")}
    )
    assert rig.lane.least(1, reduces=True) == Decimal("0.002")
    rig.opened()
    rig.wish("close")
    rig.until(lambda: rig.state is State.IDLE, 5)
