"""Contracts that end: delivery of a dated future, delisting."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from libs.exchange.engine.commands import Deliver, Listed, Reason, SetListing
from libs.exchange.engine.types import EntryKind, MarketStatus, OrderStatus
from tests.helpers.floor import BUY, FUTURE, LISTINGS, PERP, SELL, SPOT, D, Floor, fills_of, limit, orders_of
from tests.unit.exchange.engine.build import free_floor, hold, line, lines, only


@pytest.fixture
def floor() -> Floor:
    floor = free_floor()
    floor.mark(SPOT, "50000")
    floor.deposit("futures", USDT="10000")
    floor.deposit("unified", USDT="10000")
    return floor


def deliver(price: str, key: str = FUTURE) -> Deliver:
    return Deliver(instrument=key, price=D(price))


def test_positions_close_at_the_delivery_price_and_orders_are_canceled(floor: Floor) -> None:
    hold(floor, "futures", BUY, "1", "50000", key=FUTURE)
    hold(floor, "unified", SELL, "2", "50000", key=FUTURE)
    floor.do(limit("futures", FUTURE, SELL, "1", "60000"))
    events = floor.do(deliver("51000"))
    assert orders_of(events)[0].status is OrderStatus.CANCELED
    assert [(fill.account, fill.price, fill.fee, fill.cause) for fill in fills_of(events)] == [
        ("futures", D(51_000), D(0), "delivery"),
        ("unified", D(51_000), D(0), "delivery"),
    ]
    assert lines(events) == [line(EntryKind.PNL, "1000"), line(EntryKind.PNL, "-2000")]
    (listed,) = only(events, Listed)
    assert listed.listing.status is MarketStatus.DELISTED
    assert floor.engine.positions("futures") == floor.engine.positions("unified") == []
    assert floor.refused(limit("futures", FUTURE, BUY, "1", "51000")) is Reason.NOT_TRADING


def test_it_is_delivered_once(floor: Floor) -> None:
    floor.do(deliver("51000"))
    assert floor.refused(deliver("52000")) is Reason.NOT_TRADING


def test_a_delivery_that_ruins_an_account_leaves_it_at_zero(floor: Floor) -> None:
    hold(floor, "futures", BUY, "2", "50000", key=FUTURE)
    hold(floor, "futures", BUY, "0.1", "50000")
    events = floor.do(deliver("40000"))
    assert lines(events)[:2] == [line(EntryKind.INSURANCE, "10000"), line(EntryKind.PNL, "-20000")]
    assert floor.balance("futures", "USDT").total == 0
    assert floor.engine.positions("futures") == []  # the perp had nothing left behind it


def test_a_delisted_contract_is_settled_at_its_mark(floor: Floor) -> None:
    hold(floor, "futures", SELL, "1", "50000")
    floor.mark(PERP, "49500")
    delisted = replace(LISTINGS[PERP], status=MarketStatus.DELISTED)
    events = floor.do(SetListing(listing=delisted))
    assert lines(events) == [line(EntryKind.PNL, "500")]
    assert floor.do(SetListing(listing=delisted))  # again: listed as it is, nothing to settle
    assert floor.balance("futures", "USDT").total == 10_500


def test_a_delisted_spot_market_leaves_coins_where_they_are(floor: Floor) -> None:
    floor.deposit("spot", BTC="1")
    floor.do(limit("spot", SPOT, SELL, "0.5", "60000"))
    floor.do(SetListing(listing=replace(LISTINGS[SPOT], status=MarketStatus.DELISTED)))
    assert floor.balance("spot", "BTC").total == 1
    assert floor.balance("spot", "BTC").locked == 0


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (deliver("51000", PERP), Reason.BAD_VALUE),
        (deliver("51000", SPOT), Reason.UNKNOWN_INSTRUMENT),
        (deliver("0"), Reason.BAD_VALUE),
        (deliver("NaN"), Reason.BAD_VALUE),
    ],
)
def test_nonsense_is_refused(floor: Floor, command: Deliver, reason: Reason) -> None:
    assert floor.refused(command) is reason
