"""Which trades an order gets: consumption of the book, the queue, what trades through a resting order."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from libs.exchange.engine.commands import Reason, SetBook, SetListing
from libs.exchange.engine.types import Liquidity, MarketStatus, OrderStatus, TimeInForce, VenueRules
from tests.helpers.floor import (
    BUY,
    LISTINGS,
    PERP,
    SELL,
    SPOT,
    D,
    Floor,
    fills_of,
    limit,
    market,
    orders_of,
    seen,
)

IOC, FOK, POST_ONLY = TimeInForce.IOC, TimeInForce.FOK, TimeInForce.POST_ONLY


@pytest.fixture
def floor() -> Floor:
    floor = Floor()
    floor.deposit("spot", USDT="1000000", BTC="100")
    floor.deposit("futures", USDT="1000000")
    floor.book(SPOT, "100 2, 99 5", "101 1, 102 3, 104 10")
    return floor


def got(floor: Floor, *, key: str = SPOT) -> list[tuple[object, object]]:
    return [(fill.price, fill.quantity) for fill in floor.engine.fills("spot", key)]


# --- takers -----------------------------------------------------------------------------------------------


def test_a_limit_takes_up_to_its_price_and_the_rest_rests(floor: Floor) -> None:
    order = floor.send(limit("spot", SPOT, BUY, "6", "102"))
    assert got(floor) == [(101, 1), (102, 3)]
    assert seen(order.status, order.remaining, order.queue_ahead) == (OrderStatus.PARTIAL, 2, 0)


def test_what_was_eaten_stays_eaten_until_a_newer_book(floor: Floor) -> None:
    floor.send(limit("spot", SPOT, BUY, "2.5", "102", tif=IOC))
    floor.send(limit("spot", SPOT, BUY, "2", "102", tif=IOC))
    assert got(floor) == [(101, 1), (102, D("1.5")), (102, D("1.5"))]
    same = SetBook(instrument=SPOT, bids=(), asks=((D(101), D(9)),), version=floor.versions)
    assert floor.do(same) == []
    assert floor.send(limit("spot", SPOT, BUY, "1", "102", tif=IOC)).filled == 0
    floor.book(SPOT, "100 2", "101 1")
    assert floor.send(limit("spot", SPOT, BUY, "1", "102", tif=IOC)).filled == 1


def test_the_bids_are_eaten_apart_from_the_asks(floor: Floor) -> None:
    floor.send(market("spot", SPOT, SELL, "3"))
    floor.send(market("spot", SPOT, BUY, "1"))
    assert got(floor) == [(100, 2), (99, 1), (101, 1)]
    floor.send(market("spot", SPOT, SELL, "9"))
    assert got(floor)[3:] == [(99, 4)]


@pytest.mark.parametrize("tif", [IOC, FOK])
def test_ioc_takes_what_there_is_and_fok_all_or_nothing(floor: Floor, tif: TimeInForce) -> None:
    order = floor.send(limit("spot", SPOT, BUY, "5", "102", tif=tif))
    assert order.status is OrderStatus.EXPIRED
    assert order.filled == (4 if tif is IOC else 0)
    assert floor.balance("spot", "USDT").locked == 0
    assert floor.engine.open_orders("spot") == []


def test_fok_that_fits_fills(floor: Floor) -> None:
    assert floor.send(limit("spot", SPOT, BUY, "4", "102", tif=FOK)).status is OrderStatus.FILLED


def test_a_market_order_expires_when_the_book_ends(floor: Floor) -> None:
    order = floor.send(market("spot", SPOT, BUY, "20"))
    assert seen(order.filled, order.status, order.reason) == (
        14,
        OrderStatus.EXPIRED,
        "the book had no more for it",
    )


def test_post_only_never_takes(floor: Floor) -> None:
    assert floor.refused(limit("spot", SPOT, BUY, "1", "101", tif=POST_ONLY)) is Reason.POST_ONLY
    order = floor.send(limit("spot", SPOT, BUY, "1", "100.99", tif=POST_ONLY))
    assert order.status is OrderStatus.OPEN


def test_post_only_is_taken_and_canceled_where_the_venue_does_so() -> None:
    floor = Floor(VenueRules(post_only="cancel"))
    floor.deposit("spot", USDT="1000")
    floor.book(SPOT, "100 2", "101 1")
    events = orders_of(floor.do(limit("spot", SPOT, BUY, "1", "101", tif=POST_ONLY)))
    assert [order.status for order in events] == [OrderStatus.OPEN, OrderStatus.CANCELED]
    assert floor.engine.fills("spot") == []
    assert floor.balance("spot", "USDT").locked == 0


# --- makers -----------------------------------------------------------------------------------------------


def test_trades_eat_the_queue_ahead_first(floor: Floor) -> None:
    order = floor.send(limit("spot", SPOT, BUY, "3", "99"))
    assert order.queue_ahead == 5
    assert floor.trade(SPOT, SELL, "4", "99") == []
    assert floor.order("spot", order.order_id).queue_ahead == 1
    (fill,) = fills_of(floor.trade(SPOT, SELL, "1.5", "99"))
    assert seen(fill.price, fill.quantity, fill.liquidity) == (99, D("0.5"), Liquidity.MAKER)
    (fill,) = fills_of(floor.trade(SPOT, SELL, "10", "99"))
    assert fill.quantity == D("2.5")
    assert floor.order("spot", order.order_id).status is OrderStatus.FILLED


def test_a_trade_of_the_other_side_or_further_away_is_not_ours(floor: Floor) -> None:
    floor.send(limit("spot", SPOT, BUY, "1", "100.5"))
    assert floor.trade(SPOT, BUY, "50", "100.5") == []
    assert floor.trade(SPOT, SELL, "50", "100.51") == []
    assert len(fills_of(floor.trade(SPOT, SELL, "50", "100.5"))) == 1


def test_a_trade_beyond_our_price_went_through_us(floor: Floor) -> None:
    order = floor.send(limit("spot", SPOT, BUY, "3", "99"))
    (fill,) = fills_of(floor.trade(SPOT, SELL, "2", "98"))
    assert seen(fill.price, fill.quantity) == (99, 2)
    assert floor.order("spot", order.order_id).queue_ahead == 0
    (fill,) = fills_of(floor.trade(SPOT, SELL, "2", "99"))
    assert fill.quantity == 1


def test_our_own_orders_share_a_trade_by_price_then_age(floor: Floor) -> None:
    first = floor.send(limit("spot", SPOT, SELL, "2", "102"))  # 3 ahead
    second = floor.send(limit("spot", SPOT, SELL, "2", "102"))  # the same 3, and the first order
    better = floor.send(limit("spot", SPOT, SELL, "1", "101.5"))  # nothing displayed there
    fills = fills_of(floor.trade(SPOT, BUY, "5.5", "102"))
    assert [seen(fill.order_id, fill.price, fill.quantity) for fill in fills] == [
        (better.order_id, D("101.5"), 1),
        (first.order_id, 102, D("1.5")),  # 5.5 - 1 for the better one - 3 displayed
    ]
    assert floor.order("spot", second.order_id).queue_ahead == 0
    fills = fills_of(floor.trade(SPOT, BUY, "1", "102"))
    assert [seen(fill.order_id, fill.quantity) for fill in fills] == [
        (first.order_id, D("0.5")),
        (second.order_id, D("0.5")),
    ]


def test_a_book_at_our_price_fills_at_our_price_what_it_displays(floor: Floor) -> None:
    order = floor.send(limit("spot", SPOT, BUY, "3", "100.5"))
    fills = fills_of(floor.book(SPOT, "98 1", "99.5 1, 100.5 0.5, 100.51 9"))
    assert [seen(fill.price, fill.quantity, fill.liquidity) for fill in fills] == [
        (D("100.5"), D("1.5"), Liquidity.MAKER)
    ]
    assert floor.order("spot", order.order_id).status is OrderStatus.PARTIAL
    # What the resting order got is no longer there for a taker.
    assert floor.send(limit("spot", SPOT, BUY, "1", "100.5", tif=IOC)).filled == 0


def test_one_book_is_shared_by_the_orders_that_it_reaches(floor: Floor) -> None:
    low = floor.send(limit("spot", SPOT, BUY, "2", "100.2"))
    high = floor.send(limit("spot", SPOT, BUY, "2", "100.4"))
    fills = fills_of(floor.book(SPOT, "98 1", "100.1 1, 100.2 0.5, 100.3 0.5, 100.4 1"))
    assert [seen(fill.order_id, fill.quantity) for fill in fills] == [(high.order_id, 2)]
    fills = fills_of(floor.book(SPOT, "98 1", "100.2 3"))
    assert [seen(fill.order_id, fill.quantity) for fill in fills] == [(low.order_id, 2)]


def test_the_same_book_again_gives_nothing_again(floor: Floor) -> None:
    floor.send(limit("spot", SPOT, SELL, "3", "100.5"))
    assert len(fills_of(floor.book(SPOT, "101 1", "103 1"))) == 1
    again = SetBook(instrument=SPOT, bids=((D(101), D(1)),), asks=((D(103), D(1)),), version=floor.versions)
    assert floor.do(again) == []
    assert len(fills_of(floor.book(SPOT, "101 1", "103 1"))) == 1


def test_a_halted_market_keeps_its_orders_and_trades_nothing(floor: Floor) -> None:
    order = floor.send(limit("spot", SPOT, BUY, "1", "100.5"))
    floor.do(SetListing(listing=replace(LISTINGS[SPOT], status=MarketStatus.HALTED)))
    assert floor.refused(limit("spot", SPOT, BUY, "1", "100.5")) is Reason.NOT_TRADING
    assert floor.trade(SPOT, SELL, "5", "99") == []
    assert floor.book(SPOT, "99 1", "100 1") == []
    assert floor.order("spot", order.order_id).is_open
    floor.do(SetListing(listing=LISTINGS[SPOT]))
    assert len(fills_of(floor.book(SPOT, "99 1", "100 1"))) == 1


@pytest.mark.parametrize(
    ("bids", "asks"),
    [
        ("100 1, 101 1", "102 1"),
        ("100 1, 100 1", "102 1"),
        ("100 1", "102 1, 101 1"),
        ("100 1", "100 1"),
        ("100 0", "102 1"),
        ("100 -1", "102 1"),
        ("0 1", "102 1"),
        ("100 1, -1 1", "102 1"),
        ("NaN 1", "102 1"),
        ("100 NaN", "102 1"),
        ("100 sNaN", "102 1"),
        ("100 1", "Infinity 1"),
        ("100 1", "102 Infinity"),
        ("100 1", "1e15 1"),
        ("100 0.00000000000000000000000000000000001", "102 1"),
    ],
)
def test_a_book_that_cannot_be_is_refused(floor: Floor, bids: str, asks: str) -> None:
    levels = [
        tuple((D(price), D(size)) for price, size in (part.split() for part in side.split(",")))
        for side in (bids, asks)
    ]
    command = SetBook(instrument=SPOT, bids=levels[0], asks=levels[1], version=99)
    assert floor.refused(command) is Reason.BAD_VALUE


def test_an_empty_book_is_a_book(floor: Floor) -> None:
    assert floor.book(PERP, "", "") == []
    assert floor.send(market("futures", PERP, BUY, "0.5")).status is OrderStatus.EXPIRED
