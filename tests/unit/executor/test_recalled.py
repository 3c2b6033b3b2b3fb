"""What an executor goes by that was restarted while the feed is away."""

from __future__ import annotations

from decimal import Decimal

import pytest

from services.executor.model import OrderClass, State
from tests.unit.executor.lender import LoanRig
from tests.unit.executor.rig import FLAT, PERP_KEY, SPOT_KEY, Name, Rig
from tests.unit.executor.scripted import times


def orphan(refusing: Name) -> Rig:
    """One leg stands alone, its executor is new, and the feed says nothing."""
    standing: Name = "spot" if refusing == "perp" else "perp"
    rig = Rig()
    rig.acts(refusing, "reject")
    rig.acts(standing, "fill", *times(3, "none"))
    rig.wish("open")
    rig.until(lambda: rig.state is State.UNWINDING, 20)
    rig.feed_on = False
    rig.restart()
    return rig


@pytest.mark.parametrize("refusing", ["spot", "perp"])
def test_an_orphan_is_unwound_while_the_feed_is_away(refusing: Name) -> None:
    rig = orphan(refusing)
    rig.until(lambda: rig.state is State.IDLE, 60)  # W for the order that the restart has cut off
    assert rig.shown == FLAT
    assert rig.told("stalled") == []


def test_a_lost_leg_is_followed_while_the_feed_is_away() -> None:
    rig = Rig().opened()
    rig.feed_on = False
    rig.restart()
    rig.run(5)
    rig.venues.take(PERP_KEY, Decimal("0.4"))
    rig.until(lambda: rig.shown == (Decimal("0.6"), Decimal("-0.6")), 15)
    rig.run(10)
    assert rig.held == rig.shown


def test_an_attempt_that_a_restart_has_cut_off_borrows_nothing_while_the_feed_is_away() -> None:
    rig = LoanRig()
    rig.wish("open", direction="reverse")
    rig.until(lambda: rig.state is State.OPENING, 5)
    rig.feed_on = False
    rig.restart()
    rig.until(lambda: rig.state is State.IDLE, 10)
    assert rig.moved == []


def test_the_second_leg_of_an_attempt_is_not_bought_while_the_feed_is_away() -> None:
    rig = Rig(style="sequential")
    rig.acts("spot", "silent")
    rig.acts("perp", "silent")
    rig.wish("open")
    rig.until(lambda: len(rig.sent) == 1, 5)
    rig.feed_on = False
    rig.restart()
    rig.until(lambda: rig.state is State.IDLE, 60)
    assert [one.order_class for one in rig.sent[1:]] == [OrderClass.REDUCE]
    assert rig.shown == FLAT


def test_an_attempt_goes_on_when_the_feed_tells_soon_after_the_restart() -> None:
    rig = Rig(style="sequential")
    rig.acts("spot", "silent")
    rig.wish("open")
    rig.until(lambda: len(rig.sent) == 1, 5)
    rig.feed_on = False
    rig.restart()
    rig.until(lambda: rig.lane.ready, 60)
    assert len(rig.sent) == 1
    rig.feed_on = True
    rig.describe()
    rig.until(lambda: rig.state is State.ACTIVE, 5)
    assert rig.shown == (Decimal(1), Decimal(-1))


def test_nothing_increases_and_nothing_is_valued_by_it() -> None:
    rig = Rig().opened()
    rig.feed_on = False
    rig.restart()
    rig.run(5)
    world = rig.lane.world
    assert rig.state is State.ACTIVE
    assert rig.lane.described
    assert "not described" in world.forbidden(rig.pair, rig.lane.keys, rig.now)
    assert world.mid(SPOT_KEY) is None
    assert not world.fresh(SPOT_KEY, rig.now)
    assert world.is_old(SPOT_KEY, rig.now)
    rig.feed_on = True
    rig.describe()
    rig.run(5)
    assert "not described" not in world.forbidden(rig.pair, rig.lane.keys, rig.now)
    assert world.seen(PERP_KEY) is world.quotes[PERP_KEY]


def test_a_price_of_an_earlier_life_is_old_whatever_its_clock_said() -> None:
    rig = Rig().opened()
    rig.feed_on = False
    rig.clock.set_wall(by_us=-3_600_000_000)
    rig.restart()
    rig.run(5)
    assert rig.lane.world.is_old(SPOT_KEY, rig.now)


def test_an_idle_pair_remembers_nothing() -> None:
    rig = Rig().opened()
    assert all(leg.known is not None for leg in rig.lane.state.legs)
    rig.wish("close")
    rig.until(lambda: rig.state is State.IDLE, 30)
    assert all(leg.known is None for leg in rig.lane.state.legs)
