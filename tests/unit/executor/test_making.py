from __future__ import annotations

import itertools
from decimal import Decimal
from typing import Any

import pytest

from libs.common.messages_exec import Breaker, Level
from services.executor.events import OrderSeen
from services.executor.making import CANCEL_AGAIN_US, HEDGE_TRIES, REFUSED_MAX, REPOST_US_MIN
from services.executor.model import Intent, IntentState, OrderClass, Purpose, State
from services.executor.resolve import window_us
from tests.unit.executor.rig import FLAT, PERP_KEY, SPOT_KEY, Rig
from tests.unit.executor.scripted import times

ONE = (Decimal(1), Decimal(-1))
HEDGED_SEC = 0.3
"""A hedge is sent in the turn that learns of the fill: a write, and the way to the venue and back."""


def posted(**execution: Any) -> Rig:
    """The first post rests, on the perp: there a maker saves 3 bps, on spot nothing."""
    rig = Rig(style="maker_first", **execution)
    rig.wish("open")
    rig.until(lambda: len(rig.venues.resting()) == 1, 3)
    rig.run(0.05)
    return rig


def posts(rig: Rig) -> list[Intent]:
    return [one for one in rig.orders(Purpose.OPEN) if one.tif == "post_only"]


def taken(rig: Rig) -> list[Intent]:
    return [one for one in rig.orders(Purpose.OPEN) if one.tif == "ioc"]


def test_the_leg_whose_maker_saves_most_is_posted_at_its_own_side() -> None:
    rig = posted()
    (post,) = posts(rig)
    assert (post.leg, post.side, post.price) == (1, "sell", Decimal("100.1"))
    assert post.order_class is OrderClass.INCREASE
    rig.run(5)
    assert len(rig.sent) == 1, "what rests is left alone while the book stands"


def test_every_fill_is_hedged_at_once() -> None:
    rig = posted()
    rig.fill_resting("0.3")
    rig.until(lambda: rig.shown == (Decimal("0.3"), Decimal("-0.3")), HEDGED_SEC)
    assert len(rig.venues.resting()) == 1, "the post goes on"
    rig.run(0.1)
    rig.fill_resting("0.7")
    rig.until(lambda: rig.shown == ONE, HEDGED_SEC)
    rig.until(lambda: rig.state is State.ACTIVE, 2)
    hedges = rig.orders(Purpose.HEDGE)
    assert [(one.leg, one.side, one.quantity) for one in hedges] == [
        (0, "buy", Decimal("0.3")),
        (0, "buy", Decimal("0.7")),
    ]
    assert {one.order_class for one in hedges} == {OrderClass.REDUCE}
    assert len(posts(rig)) == 1
    assert rig.alerts == []


def test_a_fill_below_the_other_venues_minimum_waits_for_more() -> None:
    rig = posted()
    rig.fill_resting("0.04")  # 4 USD, 5 are the least
    rig.run(0.5)
    assert rig.orders(Purpose.HEDGE) == []
    rig.fill_resting("0.02")
    rig.until(lambda: rig.shown == (Decimal("0.06"), Decimal("-0.06")), HEDGED_SEC)


def test_a_fill_that_the_stream_has_lost_is_found_and_hedged() -> None:
    rig = posted()
    rig.stream_on = False
    rig.fill_resting("0.5")
    rig.until(lambda: rig.shown == (Decimal("0.5"), Decimal("-0.5")), 1.5)


def test_a_book_that_moves_away_is_followed_and_not_chased() -> None:
    rig = posted()
    for n in range(12):  # half a tick of quotes each: the ask falls away below our sell
        rig.venues.books[PERP_KEY].ask = Decimal("100.1") - Decimal("0.01") * (n + 1)
        rig.venues.books[PERP_KEY].bid = Decimal("99.8") - Decimal("0.1") * n
        rig.run(0.25)
    made = posts(rig)
    assert 2 <= len(made) <= 4
    gaps = [b.created_us - a.created_us for a, b in itertools.pairwise(made)]
    assert min(gaps) >= REPOST_US_MIN
    assert all(one.state is IntentState.DONE for one in made[:-1])
    assert rig.alerts == []


def test_a_book_that_comes_nearer_changes_nothing() -> None:
    rig = posted()
    rig.venues.books[PERP_KEY].ask = Decimal("100.4")
    rig.run(3)
    assert len(posts(rig)) == 1


def test_a_part_that_filled_before_a_re_post_is_not_posted_again() -> None:
    rig = posted()
    rig.fill_resting("0.4")
    rig.run(1.2)
    rig.venues.books[PERP_KEY].ask = Decimal("100.0")
    rig.until(lambda: len(posts(rig)) == 2, 3)
    assert posts(rig)[1].quantity == Decimal("0.6")


def test_posts_that_would_cross_are_no_failures() -> None:
    rig = Rig(style="maker_first")
    rig.acts("perp", "cross", "cross")
    rig.wish("open")
    rig.until(lambda: len(rig.venues.resting()) == 1, 5)
    rig.fill_resting("1")
    rig.until(lambda: rig.state is State.ACTIVE, 2)
    assert rig.shown == ONE
    assert rig.alerts == []
    assert rig.lane.state.unwinds_ms == ()


def test_posts_that_are_refused_again_and_again_end_as_taker() -> None:
    rig = Rig(style="maker_first")
    rig.acts("perp", *times(REFUSED_MAX, "reject"))
    rig.wish("open")
    rig.until(lambda: rig.state is State.ACTIVE, 6)
    assert len(posts(rig)) == REFUSED_MAX
    assert [one.quantity for one in taken(rig)] == [Decimal(1)] * 2


@pytest.mark.parametrize("filled", ["0", "0.25"])
def test_at_the_deadline_the_rest_is_taken(filled: str) -> None:
    rig = posted()
    if Decimal(filled):
        rig.fill_resting(filled)
    took = rig.until(lambda: rig.state is State.ACTIVE, 15)
    assert 9.0 <= took <= 11.0
    assert rig.shown == ONE == rig.held
    assert rig.venues.resting() == []
    assert [one.quantity for one in taken(rig)] == [1 - Decimal(filled)] * 2


def test_a_taken_leg_that_fails_leaves_what_was_made_and_hedged() -> None:
    rig = posted()
    rig.fill_resting("0.5")
    rig.run(0.5)
    rig.acts("spot", "reject")
    rig.until(lambda: rig.state is State.ACTIVE and len(rig.moves) == 3, 15)
    assert rig.shown == (Decimal("0.5"), Decimal("-0.5"))
    assert len(rig.told("unwind")) == 1


def halt(rig: Rig) -> None:
    rig.breakers = (Breaker(scope="venue:binance", level=Level.NO_OPENS, reason="errors"),)
    rig.beat()


def hush(rig: Rig) -> None:
    rig.risk_on = False


def blind(rig: Rig) -> None:
    rig.feed_on = False


@pytest.mark.parametrize(("act", "bound_sec"), [(halt, 0.4), (hush, 1.4), (blind, 2.9)])
@pytest.mark.parametrize("filled", ["0", "0.3"])
def test_what_rests_is_cancelled_when_nothing_may_increase(act: Any, bound_sec: float, filled: str) -> None:
    rig = posted()
    rig.stream_on = False
    if Decimal(filled):  # nobody knows before the cancel's answer
        rig.fill_resting(filled)
    act(rig)
    rig.until(lambda: rig.venues.resting() == [], bound_sec)
    assert rig.state is State.OPENING
    rig.until(lambda: rig.state in (State.IDLE, State.ACTIVE), 15)
    assert rig.shown == rig.held == (Decimal(filled), -Decimal(filled))
    if act is not blind:
        assert len(posts(rig)) == 1
        assert taken(rig) == []
    assert all(one.order_class is OrderClass.REDUCE for one in rig.sent[1:])


def test_a_level_cancels_what_rests_at_once_and_its_fill_is_hedged() -> None:
    rig = posted()
    rig.stream_on = False
    rig.fill_resting("0.3")
    rig.run(0.43 - rig.now.mono_us / 1e6 % 0.25)  # 180 ms after a look of the pair, and long after its first
    halt(rig)
    rig.until(lambda: rig.venues.resting() == [], 0.03)
    rig.until(lambda: rig.shown == (Decimal("0.3"), Decimal("-0.3")), 1.5)
    assert [one.order_class for one in rig.sent[1:]] == [OrderClass.REDUCE]


def test_a_part_is_not_kept_against_the_config_when_risk_ends_the_making() -> None:
    rig = posted(keep_partial=False)
    rig.fill_resting("0.5")
    rig.run(0.5)
    halt(rig)
    rig.until(lambda: rig.state is State.IDLE, 10)
    assert rig.shown == FLAT
    assert "errors" in rig.told("unwind")[0]


def test_a_hedge_that_fails_is_tried_with_more_force_and_then_the_excess_is_unwound() -> None:
    rig = posted()
    rig.fill_resting("0.2")
    rig.run(0.3)
    rig.acts("spot", *times(HEDGE_TRIES, "none"))
    rig.fill_resting("0.3")
    rig.until(lambda: rig.state is State.ACTIVE, 10)
    assert rig.shown == (Decimal("0.2"), Decimal("-0.2")) == rig.held
    assert rig.venues.resting() == []
    prices = [one.price for one in rig.orders(Purpose.HEDGE)[1:]]
    assert prices == [Decimal("100.3"), Decimal("100.6"), Decimal("102.1")]
    assert len(rig.told("unwind")) == 1


def test_a_hedge_in_doubt_cancels_what_rests_and_sends_nothing_more() -> None:
    rig = posted()
    rig.acts("spot", "lost")
    rig.fill_resting("0.5")
    rig.until(lambda: rig.venues.resting() == [], 2)
    rig.run(window_us("binance") / 1e6 - 3)
    assert len(rig.sent) == 2
    rig.until(lambda: rig.state is State.ACTIVE, 30)
    assert rig.held == rig.shown
    assert rig.lane.state.delta == 0


def test_a_cancel_that_is_lost_is_sent_again() -> None:
    rig = posted()
    rig.venues.cancel_fails = 2
    halt(rig)
    rig.until(lambda: rig.venues.resting() == [], 3 * CANCEL_AGAIN_US / 1e6 + 1)
    rig.until(lambda: rig.state is State.IDLE, 5)


def test_a_cancel_that_came_too_late_is_followed_by_the_fill() -> None:
    rig = posted()
    rig.run(0.6)  # it has just been asked for
    rig.stream_on = False
    rig.fill_resting("1")
    halt(rig)
    rig.until(lambda: rig.shown == ONE, 0.7)
    rig.until(lambda: rig.state is State.ACTIVE, 2)


def test_a_post_whose_answer_is_lost_is_found_and_goes_on() -> None:
    rig = Rig(style="maker_first")
    rig.acts("perp", "rest_silent")
    rig.wish("open")
    rig.run(3)
    assert len(rig.venues.resting()) == 1
    rig.fill_resting("1")
    rig.until(lambda: rig.state is State.ACTIVE, 3)
    assert rig.shown == ONE


@pytest.mark.parametrize("filled", ["0", "0.4"])
def test_after_a_crash_what_rests_is_cancelled_first(filled: str) -> None:
    rig = posted()
    if Decimal(filled):
        rig.stream_on = False
        rig.fill_resting(filled)
    rig.restart()
    rig.until(lambda: rig.venues.resting() == [], 5)
    rig.stream_on = True
    rig.until(lambda: rig.state is State.ACTIVE, 20)
    assert rig.shown == rig.held == ONE
    assert len({one.id for one in rig.sent}) == len(rig.sent)


def test_slices_are_made_one_after_the_other() -> None:
    rig = Rig(style="maker_first", slices=2, slice_interval_sec=2.0)
    rig.wish("open")
    for _ in range(2):
        rig.until(lambda: len(rig.venues.resting()) == 1, 5)
        rig.run(0.05)
        rig.fill_resting("0.5")
        rig.until(lambda: rig.venues.resting() == [], 1)
    rig.until(lambda: rig.state is State.ACTIVE, 5)
    assert rig.shown == ONE
    assert taken(rig) == []


def test_coins_that_a_fee_takes_are_not_hedged() -> None:
    rig = Rig(style="maker_first", base_fee="0.01")
    rig.world._saves = {SPOT_KEY: Decimal("0.001")}
    rig.wish("open")
    rig.until(lambda: len(rig.venues.resting()) == 1, 3)
    rig.run(0.05)
    assert posts(rig)[0].leg == 0
    rig.fill_resting("0.5")
    rig.until(lambda: rig.shown == (Decimal("0.495"), Decimal("-0.495")), HEDGED_SEC)
    rig.run(12)
    assert rig.state is State.ACTIVE
    assert abs(rig.lane.state.delta) < Decimal("0.002")
    assert rig.held == rig.shown


def test_a_fill_whose_trades_are_not_known_counts_less_what_its_fee_will_take() -> None:
    rig = Rig(style="maker_first", base_fee="0.01")
    rig.world._saves = {SPOT_KEY: Decimal("0.001")}
    rig.wish("open")
    rig.until(lambda: len(rig.venues.resting()) == 1, 3)
    rig.run(0.05)
    placed = rig.venues.resting()[0]
    rig.venues.fill(placed, Decimal("0.5"))
    rig.offer(OrderSeen(pair=rig.pair, venue=SPOT_KEY[0], report=placed.report()))
    rig.until(lambda: rig.shown[1] != 0, HEDGED_SEC)
    assert rig.shown[1] == Decimal("-0.495")
