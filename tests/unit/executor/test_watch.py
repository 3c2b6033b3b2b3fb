from __future__ import annotations

from decimal import Decimal

from services.executor import watch
from services.executor.lane import Draft
from services.executor.model import IntentState, State
from services.executor.watch import EVERY_US, FOREIGN_AFTER_US
from tests.unit.executor.rig import PERP_KEY, SPOT_KEY, Rig

BOUND_SEC = (EVERY_US + FOREIGN_AFTER_US) / 1e6 + 2


def test_a_position_that_somebody_else_changed_halts_the_pair() -> None:
    rig = Rig().opened()
    rig.venues.held[PERP_KEY] += Decimal("0.3")
    rig.until(lambda: rig.state is State.STUCK, BOUND_SEC)
    (text,) = rig.told("foreign")
    assert "BTC-USDT-PERP" in text
    rig.run(30)
    assert len(rig.sent) == 2, "nothing is re-opened blindly"
    assert len(rig.told("foreign")) == 1


def test_coins_that_are_missing_halt_the_pair_and_more_of_them_do_not() -> None:
    rig = Rig().opened()
    rig.venues.users_coins = Decimal(9)
    rig.run(BOUND_SEC)
    assert rig.state is State.ACTIVE
    rig.venues.users_coins = Decimal(0)
    rig.venues.held[SPOT_KEY] -= Decimal("0.5")
    rig.until(lambda: rig.state is State.STUCK, BOUND_SEC)


def test_a_difference_that_passes_is_forgotten() -> None:
    rig = Rig().opened()
    rig.venues.held[PERP_KEY] += Decimal("0.3")
    rig.until(lambda: bool(rig.lane.doubted_us), BOUND_SEC)
    rig.venues.held[PERP_KEY] -= Decimal("0.3")
    rig.run(BOUND_SEC)
    assert rig.state is State.ACTIVE
    assert rig.lane.doubted_us == {}
    assert rig.alerts == []


def test_a_trade_of_the_venue_is_booked_once() -> None:
    rig = Rig().opened()
    rig.venues.take(PERP_KEY, Decimal("0.2"))
    rig.venues.take(PERP_KEY, Decimal("0.1"))
    rig.run(30)
    assert rig.held == (Decimal("0.7"), Decimal("-0.7")) == rig.shown
    assert sum(rig.lane.state.taken.values()) == Decimal("0.3")


def test_part_of_a_difference_that_no_trade_explains_still_halts() -> None:
    rig = Rig().opened()
    rig.venues.take(PERP_KEY, Decimal("0.2"))
    rig.venues.held[PERP_KEY] += Decimal("0.1")
    rig.until(lambda: rig.state is State.STUCK, 3 * BOUND_SEC)


def test_what_was_taken_before_a_restart_is_not_taken_again() -> None:
    rig = Rig().opened()
    rig.venues.take(PERP_KEY, Decimal("0.2"))
    rig.until(lambda: rig.shown == (Decimal("0.8"), Decimal("-0.8")), 15)
    rig.restart()
    rig.run(30)
    assert rig.held == (Decimal("0.8"), Decimal("-0.8"))
    assert rig.state is State.ACTIVE


def test_what_a_venue_took_is_not_booked_while_an_order_of_the_pair_is_under_way() -> None:
    rig = Rig().opened()
    rig.acts("perp", "rest")
    rig.wish("close")
    rig.run(0.1)
    (live,) = (one for one in rig.lane.intents.values() if not one.state.is_final)
    assert live.id in rig.lane.doubts, "it is asked for from the beginning"
    rig.venues.take(PERP_KEY, Decimal("0.5"))
    rig.lane.missing[1] = Decimal("0.5")
    draft = Draft(rig.lane, rig.now)
    watch.on_taken(rig.lane, draft, PERP_KEY, rig.venues.trades[PERP_KEY], ())
    assert draft.state == rig.lane.state, "it may have filled out of what another pair has there"


def test_a_pair_may_bear_more_of_a_trade_later_but_never_more_than_the_trade() -> None:
    rig = Rig().opened()
    rig.venues.take(PERP_KEY, Decimal("0.75"))
    trades, ids = rig.venues.trades[PERP_KEY], set()
    draft = Draft(rig.lane, rig.now)
    for missing, borne in (("0.5", "0.5"), ("0.2", "0.7"), ("0.2", "0.75"), ("0.2", "0.75")):
        rig.lane.missing[1] = Decimal(missing)
        watch.on_taken(rig.lane, draft, PERP_KEY, trades, ())
        assert list(draft.state.taken.values()) == [Decimal(borne)]
        assert draft.state.legs[1].quantity == Decimal(borne) - 1
        ids.update(draft.ledger_ids)
    assert len(ids) == 3, "each share has a line of its own"


def test_an_order_that_the_venue_denies_ends_although_its_pair_is_stuck() -> None:
    rig = Rig().opened()
    rig.acts("spot", "lost")
    rig.wish("close")
    rig.run(0.5)
    rig.venues.held[PERP_KEY] += Decimal("0.3")
    rig.until(lambda: rig.state is State.STUCK, 120)
    rig.until(lambda: all(one.state.is_final for one in rig.lane.intents.values()), 120)
    (denied,) = (one for one in rig.lane.intents.values() if one.filled == 0)
    assert denied.state in (IntentState.NOT_ACCEPTED, IntentState.FOREIGN)
