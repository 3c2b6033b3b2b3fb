"""What time brings on paper: settlements on what was held, interest by the hour, deliveries, margin calls."""

from __future__ import annotations

from libs.common.config.schema import Costs
from libs.common.instant import MS_PER_HOUR
from libs.exchange.trading_values import FillReport, NotFound, Side, TimeInForce
from tests.helpers.paper import FUTURE, PERP, SPOT, START_MS, D, Market

BUY, SELL = Side.BUY, Side.SELL
HOUR = MS_PER_HOUR
# The next full hour after the start (22:20): the settlement of these tests
SETTLES_MS = START_MS - START_MS % HOUR + HOUR


def until(market: Market, market_ms: int) -> None:
    market.later(ms=market_ms - market.now.market_ms)


def short_of_two() -> Market:
    """Two short, and a mark of 1003 before the settlement."""
    market = Market()
    market.done(PERP, SELL, "2", "999.9")
    market.current(PERP, 1003.0, next_ms=SETTLES_MS)
    return market


def paid(market: Market) -> list[tuple[object, ...]]:
    return [
        (one.amount, one.ts_ms, one.instrument)
        for one in market.paper.records("funding", market.now, since_ms=0)
    ]


# --- funding ----------------------------------------------------------------------------------------------


def test_a_print_pays_once_at_the_mark_of_its_instant() -> None:
    market = short_of_two()
    before = market.balance("futures").total
    until(market, SETTLES_MS + 1_000)
    market.current(PERP, 1100.0, next_ms=SETTLES_MS + 8 * HOUR)
    market.settled(PERP, 0.0001, SETTLES_MS)
    market.settled(PERP, 0.0001, SETTLES_MS)
    market.settled(PERP, 0.0001, SETTLES_MS + 7)
    assert paid(market) == [(D("0.20060000"), SETTLES_MS, PERP)]  # 2 * 1003 * 0.0001, received
    assert market.balance("futures").total - before == D("0.2006")


def test_a_print_may_bring_its_own_mark_and_the_present_one_serves_where_none_was_seen() -> None:
    market = Market()
    market.done(PERP, BUY, "2", "1000.1")
    until(market, SETTLES_MS + 1_000)
    market.settled(PERP, 0.0001, SETTLES_MS)
    assert paid(market)[0][0] == D("-0.20000000")  # the mid
    until(market, SETTLES_MS + HOUR + 1_000)
    market.settled(PERP, -0.001, SETTLES_MS + HOUR, mark=1500.0)
    assert paid(market)[1][0] == D("3.00000000")


def test_what_was_closed_since_is_still_paid() -> None:
    market = short_of_two()
    until(market, SETTLES_MS + 1_000)
    market.quote(PERP)
    market.done(PERP, BUY, "2", "1000.1", reduce_only=True)
    before = market.balance("futures").total
    market.settled(PERP, 0.0001, SETTLES_MS)
    market.settled(PERP, 0.0001, SETTLES_MS)
    assert paid(market) == [(D("0.20060000"), SETTLES_MS, PERP)]
    assert market.balance("futures").total - before == D("0.2006")
    assert market.paper.records("other", market.now, since_ms=SETTLES_MS) == []


def test_what_was_opened_since_is_not_paid() -> None:
    market = Market()
    market.current(PERP, 1003.0, next_ms=SETTLES_MS)
    until(market, SETTLES_MS + 1_000)
    market.quote(PERP)
    market.done(PERP, BUY, "2", "1000.1")
    market.settled(PERP, 0.0001, SETTLES_MS)
    assert paid(market) == []


def test_what_was_reduced_since_pays_in_full_and_what_is_owed_is_taken() -> None:
    market = short_of_two()
    until(market, SETTLES_MS + 1_000)
    market.quote(PERP)
    market.done(PERP, BUY, "0.5", "1000.1", reduce_only=True)
    market.settled(PERP, -0.0002, SETTLES_MS)
    assert paid(market) == [(D("-0.40120000"), SETTLES_MS, PERP)]


def test_a_print_of_the_future_or_of_a_coin_pays_nothing() -> None:
    market = short_of_two()
    market.settled(PERP, 0.0001, SETTLES_MS)
    market.settled(SPOT, 0.0001, START_MS)
    assert paid(market) == []
    until(market, SETTLES_MS + 1_000)
    market.settled(PERP, 0.0001, SETTLES_MS)
    assert len(paid(market)) == 1


def test_a_restart_pays_no_settlement_twice() -> None:
    market = short_of_two()
    until(market, SETTLES_MS + 1_000)
    market.settled(PERP, 0.0001, SETTLES_MS)
    market.paper = market.paper.restore(market.paper.snapshot(), costs=Costs())
    market.settled(PERP, 0.0001, SETTLES_MS)
    assert len(paid(market)) == 1


# --- interest ---------------------------------------------------------------------------------------------


def test_each_full_hour_costs_a_24th_of_the_days_rate() -> None:
    market = Market()
    market.paper.borrow("BTC", D(2), market.now)
    until(market, SETTLES_MS + 2 * HOUR)
    # 0.0024 a day is 0.0001 an hour: 2 BTC owe 0.0002 at 23:00, 00:00 and 01:00
    assert market.balance("margin", "BTC").interest == D("0.0006")
    records = market.paper.records("interest", market.now, since_ms=0)
    assert [(one.amount, one.ts_ms) for one in records] == [
        (D("-0.00020000"), SETTLES_MS + hour * HOUR) for hour in range(3)
    ]
    assert [
        one.interest for one in market.paper.balances(market.now) if one.asset == "USDT" and one.interest
    ] == []


def test_without_a_rate_nothing_is_owed_beyond_the_coins() -> None:
    market = Market(costs=Costs(borrow_daily=0.0))
    market.paper.borrow("BTC", D(2), market.now)
    until(market, SETTLES_MS + 48 * HOUR)
    assert market.balance("margin", "BTC").interest == 0


# --- deliveries and margin --------------------------------------------------------------------------------


def test_a_dated_future_is_delivered_at_its_mark() -> None:
    market = Market(slugs=(FUTURE,))
    market.done(FUTURE, BUY, "2", "1000.1")
    market.done(FUTURE, BUY, "1", "900", tif=TimeInForce.GTC, client_id="fa01")
    market.later(sec=3_590)
    market.quote(FUTURE, 1049.9, 1050.1)
    market.paper.take_events()
    market.later(sec=20)
    market.paper.advance(market.now)
    assert market.paper.positions(market.now) == []
    assert market.paper.open_orders(market.now) == []
    last = market.paper.fills(FUTURE, market.now, since_ms=0)[-1]
    assert (last.price, last.quantity, last.side, last.client_id) == (D("1050.00"), D(2), SELL, None)
    assert [one for one in market.paper.take_events() if isinstance(one, FillReport)] == [last]
    market.info(FUTURE)
    assert "delivered" in str(market.send(FUTURE, BUY, "1", "1000.1"))


def test_the_mark_liquidates_what_has_too_little_margin() -> None:
    market = Market(balances={"futures": {"USDT": D(200)}})
    market.done(PERP, BUY, "2", "1000.1")
    market.current(PERP, 890.0)
    assert market.paper.positions(market.now) == []
    closing = market.paper.fills(PERP, market.now, since_ms=0)[-1]
    assert (closing.side, closing.client_id) == (SELL, None)
    assert market.paper.records("liquidation", market.now, since_ms=0)
    assert market.balance("futures").total >= 0
    assert isinstance(market.paper.query(PERP, "fanone", market.now), NotFound)
