"""A soft close goes by the configured style; a hard one takes from both legs at once, whatever the style."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec.structs import replace

from libs.common.instant import US_PER_SEC
from libs.common.messages_exec import Breaker, Level, PairStatus
from services.executor.events import CancelOrder
from services.executor.making import HEDGE_TRIES, REFUSED_MAX
from services.executor.model import Intent, IntentState, OrderClass, Purpose, State
from tests.unit.executor.rig import FLAT, Rig
from tests.unit.executor.scripted import times

ONE = (Decimal(1), Decimal(-1))


def closes(rig: Rig) -> list[Intent]:
    return rig.orders(Purpose.CLOSE)


def held(style: str, *, thin: int = 1) -> Rig:
    """A hedged pair of this style, one leg of which is thin."""
    rig = Rig(style="concurrent").opened()
    execution = replace(rig.config.execution, style=style)
    rig.world.config = replace(rig.config, execution=execution)
    rig.venues.books[rig.keys[thin]].size = Decimal(1)
    rig.run(1)
    return rig


def flattens(rig: Rig) -> None:
    rig.breakers = (Breaker(scope="global", level=Level.FLATTEN, reason="loss of the day"),)
    rig.beat()


# --- in sequence ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("thin", [0, 1])
def test_in_sequence_the_thin_leg_is_closed_first(thin: int) -> None:
    rig = held("sequential", thin=thin)
    rig.wish("close")
    rig.until(lambda: rig.state is State.IDLE, 5)
    assert [one.leg for one in closes(rig)] == [thin, 1 - thin]
    assert rig.shown == FLAT


def test_in_sequence_the_other_leg_follows_what_the_thin_one_has_lost() -> None:
    rig = held("sequential")
    rig.acts("perp", "half")
    rig.wish("close")
    rig.until(lambda: rig.state is State.IDLE, 5)
    told = [(one.leg, one.filled) for one in closes(rig)]
    half = Decimal("0.5")
    assert told == [(1, half), (0, half), (1, half), (0, half)]


def test_in_sequence_a_thin_leg_that_cannot_be_closed_costs_nothing() -> None:
    rig = held("sequential")
    rig.acts("perp", *times(3, "none"))
    rig.wish("close")
    rig.until(lambda: "closing>active" in rig.moves, 10)
    assert {one.leg for one in closes(rig)} == {1}
    assert rig.orders(Purpose.RESTORE) == []
    assert rig.held == ONE


def test_a_move_alone_is_told_too() -> None:
    rig = held("sequential")
    rig.acts("perp", *times(9, "none"))
    rig.wish("close")
    rig.until(lambda: "closing>active" in rig.moves, 10)
    rig.run(0.01)
    told = [one.state for one in rig.spoken if isinstance(one, PairStatus) and one.from_state]
    assert told[-2:] == ["closing", "active"]


# --- as a maker -------------------------------------------------------------------------------------------


def making() -> Rig:
    """A close whose post rests on the perp, where a maker saves most."""
    rig = held("maker_first")
    rig.wish("close")
    rig.until(lambda: len(rig.venues.resting()) == 1, 3)
    rig.run(0.05)
    return rig


def test_a_close_posts_what_reduces_and_takes_from_the_other_leg_what_filled() -> None:
    rig = making()
    (post,) = closes(rig)
    assert (post.leg, post.side, post.tif, post.reduce_only) == (1, "buy", "post_only", True)
    assert post.order_class is OrderClass.REDUCE
    assert post.price == Decimal("99.9")
    rig.fill_resting("0.3")
    rig.until(lambda: rig.shown == (Decimal("0.7"), Decimal("-0.7")), 0.3)
    rig.fill_resting("0.7")
    rig.until(lambda: rig.state is State.IDLE, 3)
    assert [(one.leg, one.side, one.tif) for one in closes(rig)[1:]] == [(0, "sell", "ioc")] * 2
    assert rig.shown == FLAT


def test_at_the_deadline_both_legs_are_taken() -> None:
    rig = making()
    took = rig.until(lambda: rig.state is State.IDLE, 20)
    assert took >= 9
    assert [one.tif for one in closes(rig)] == ["post_only", "ioc", "ioc"]
    assert rig.venues.resting() == []
    assert rig.shown == FLAT
    assert "closing>active" not in rig.moves, "the deadline is no failed close"


def test_a_close_as_a_maker_needs_no_permit() -> None:
    rig = making()
    rig.risk_on = False
    rig.run(4)
    assert len(rig.venues.resting()) == 1
    rig.fill_resting("1")
    rig.until(lambda: rig.state is State.IDLE, 3)


def test_a_follower_that_was_only_acknowledged_is_not_sent_twice() -> None:
    rig = making()
    rig.acts("spot", "rest")
    rig.fill_resting("0.4")
    rig.run(0.5)
    assert [one.quantity for one in closes(rig) if one.leg == 0] == [Decimal("0.4")]


def test_a_hedge_that_was_only_acknowledged_is_not_sent_twice() -> None:
    rig = Rig(style="maker_first")
    rig.wish("open")
    rig.until(lambda: len(rig.venues.resting()) == 1, 3)
    rig.run(0.05)
    rig.acts("spot", "rest")
    rig.fill_resting("0.4")
    rig.run(0.5)
    assert [one.quantity for one in rig.orders(Purpose.HEDGE)] == [Decimal("0.4")]


def test_followers_that_fail_end_the_post_and_everything_is_taken() -> None:
    rig = making()
    rig.acts("spot", *times(HEDGE_TRIES, "none"))
    rig.fill_resting("0.4")
    rig.until(lambda: rig.state is State.IDLE, 10)
    assert rig.shown == FLAT


def test_what_rests_is_cancelled_in_the_turn_that_decides_to_take() -> None:
    """A tick later is up to a quarter second in which the leg that failed stands alone."""
    rig = making()
    rig.acts("spot", *times(HEDGE_TRIES, "none"))
    rig.fill_resting("0.4")
    rig.until(lambda: rig.durable.plan is not None and rig.durable.plan.style == "concurrent", 10)
    assert [type(one) for one in rig.requests if isinstance(one, CancelOrder)] == [CancelOrder]


def test_what_rests_is_gone_before_its_leg_is_taken() -> None:
    rig = making()
    rig.acts("spot", *times(HEDGE_TRIES, "none"))
    rig.fill_resting("0.4")

    def taken() -> list[Intent]:
        return [one for one in rig.lane.intents.values() if one.leg == 1 and one.tif == "ioc" and one.n > 2]

    rig.until(lambda: taken() != [], 10)
    assert rig.venues.resting() == []
    rig.until(lambda: rig.state is State.IDLE, 10)
    assert [(one.quantity, one.state) for one in taken()] == [(Decimal("0.6"), IntentState.DONE)]


def test_a_venue_that_takes_no_posts_is_taken_from() -> None:
    rig = held("maker_first")
    rig.acts("perp", *times(REFUSED_MAX, "cross"))
    rig.wish("close")
    rig.until(lambda: rig.state is State.IDLE, 8)
    assert [one.tif for one in closes(rig)].count("post_only") == REFUSED_MAX


def test_a_clock_that_is_set_back_makes_no_refusal_forgotten() -> None:
    rig = held("maker_first")
    rig.acts("perp", *times(3 * REFUSED_MAX, "cross"))
    rig.wish("close")
    rig.until(lambda: len(closes(rig)) == 1, 3)
    rig.clock.set_wall(by_us=-3_600 * US_PER_SEC)
    rig.run(8)
    assert [one.tif for one in closes(rig)].count("post_only") == REFUSED_MAX


# --- hard -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("style", ["sequential", "maker_first"])
def test_a_hard_close_takes_from_both_legs_at_once(style: str) -> None:
    rig = held(style)
    flattens(rig)
    rig.until(lambda: rig.state is State.IDLE, 5)
    assert [(one.leg, one.tif) for one in closes(rig)] == [(0, "ioc"), (1, "ioc")]
    assert closes(rig)[0].created_us == closes(rig)[1].created_us


def test_a_close_under_way_that_becomes_hard_leaves_no_post_behind() -> None:
    rig = making()
    flattens(rig)
    rig.until(lambda: rig.state is State.IDLE, 5)
    assert rig.venues.resting() == []
    assert rig.shown == FLAT


def test_a_process_that_dies_behind_a_post_leaves_nothing_resting() -> None:
    rig = making()
    rig.restart()
    rig.until(lambda: rig.state is State.IDLE, 90)
    assert rig.venues.resting() == []
    assert rig.shown == FLAT == rig.held
