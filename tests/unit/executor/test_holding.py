from __future__ import annotations

from decimal import Decimal

from libs.common.messages_exec import Breaker, Level
from services.executor.model import OrderClass, Purpose, State
from tests.unit.executor.rig import FLAT, PERP_KEY, Rig


def test_at_rest_nothing_is_sent() -> None:
    rig = Rig().opened()
    rig.run(120)
    assert len(rig.sent) == 2
    assert rig.state is State.ACTIVE
    assert rig.alerts == []


def test_a_price_that_moves_is_no_drift() -> None:
    rig = Rig().opened()
    for book in rig.venues.books.values():
        book.bid, book.ask = Decimal(180), Decimal(181)
    rig.run(30)
    assert len(rig.sent) == 2


def test_what_the_venue_takes_is_followed_within_five_seconds_of_seeing_it() -> None:
    rig = Rig().opened()
    rig.venues.take(PERP_KEY, Decimal("0.4"))
    rig.until(lambda: rig.told("venue") != [], 10)
    assert rig.until(lambda: rig.shown == (Decimal("0.6"), Decimal("-0.6")), 10) <= 5.0
    rig.run(10)
    (text,) = rig.told("venue")
    assert "adl took 0.4 of binance BTC-USDT-PERP" in text
    (sold,) = rig.orders(Purpose.FOLLOW)
    assert (sold.leg, sold.side, sold.order_class) == (0, "sell", OrderClass.REDUCE)
    assert rig.held == rig.shown
    assert rig.state is State.ACTIVE


def test_what_the_venue_takes_is_followed_without_a_permit() -> None:
    rig = Rig().opened()
    rig.breakers = (Breaker(scope="global", level=Level.REDUCE_ONLY, reason="x"),)
    rig.beat()
    rig.risk_on = False
    rig.venues.take(PERP_KEY, Decimal("0.4"))
    rig.until(lambda: rig.shown == (Decimal("0.6"), Decimal("-0.6")), 12)


def test_a_leg_that_is_gone_takes_the_other_with_it() -> None:
    rig = Rig().opened()
    rig.venues.take(PERP_KEY, Decimal(1))
    rig.until(lambda: rig.state is State.IDLE, 15)
    assert rig.moves[-2:] == ["active>unwinding", "unwinding>idle"]
    assert rig.shown == FLAT
    assert len(rig.told("leg_lost")) == 1


def test_a_follow_presses_on_until_it_is_done() -> None:
    rig = Rig().opened()
    rig.acts("spot", "none", "none", "half")
    rig.venues.take(PERP_KEY, Decimal("0.4"))
    rig.until(lambda: rig.shown == (Decimal("0.6"), Decimal("-0.6")), 20)
    assert len(rig.orders(Purpose.FOLLOW)) == 4


def test_risk_shrinks_both_legs() -> None:
    rig = Rig().opened()
    rig.max_ratio = {rig.pair: 0.5}
    rig.until(lambda: rig.shown == (Decimal("0.5"), Decimal("-0.5")), 5)
    rig.run(10)
    assert rig.held == rig.shown
    assert len(rig.orders(Purpose.SHRINK)) == 2
    assert rig.state is State.ACTIVE
    rig.max_ratio = {rig.pair: 0.25}
    rig.until(lambda: rig.shown == (Decimal("0.25"), Decimal("-0.25")), 5)


def test_a_shrink_of_which_one_leg_fails_goes_on() -> None:
    rig = Rig().opened()
    rig.max_ratio = {rig.pair: 0.5}
    rig.acts("perp", "none", "reject")
    rig.until(lambda: rig.shown == (Decimal("0.5"), Decimal("-0.5")), 10)


def test_flatten_closes_a_held_pair() -> None:
    rig = Rig().opened()
    rig.breakers = (Breaker(scope=f"pair:{rig.pair}", level=Level.FLATTEN, reason="delisting"),)
    rig.until(lambda: rig.state is State.IDLE, 5)
    assert "delisting" in rig.lane.state.reason
    assert rig.shown == FLAT


def test_a_halt_touches_no_standing_position() -> None:
    rig = Rig().opened()
    rig.breakers = (Breaker(scope="global", level=Level.REDUCE_ONLY, reason="x"),)
    rig.run(30)
    assert len(rig.sent) == 2
