"""Spot: what a fill moves, to the last digit; fees in base, quote and a third coin; locks."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec.structs import replace

from libs.common.subjects import Kind
from libs.exchange.engine.commands import Booked, Cancel, Ordered, Reason, SetFees, SetListing
from libs.exchange.engine.types import (
    EntryKind,
    FeeRates,
    Liquidity,
    Listing,
    OrderStatus,
    OrderType,
    TimeInForce,
)
from tests.helpers.floor import (
    BUY,
    FEES,
    LISTINGS,
    SELL,
    SPOT,
    D,
    Floor,
    fills_of,
    limit,
    market,
    orders_of,
)

QUOTE_FEES = replace(FEES, spot_buy_fee="quote")


@pytest.fixture
def floor() -> Floor:
    floor = Floor()
    floor.deposit("spot", USDT="10000", BTC="2")
    floor.book(SPOT, "49999 0.3, 49998 1", "50000 0.05, 50001.5 0.1, 50010 3")
    return floor


def test_a_market_buy_walks_the_book_and_pays_its_fee_in_base(floor: Floor) -> None:
    events = floor.do(market("spot", SPOT, BUY, "0.12"))
    fills = fills_of(events)
    assert [(fill.price, fill.quantity, fill.fee, fill.fee_asset) for fill in fills] == [
        (D(50000), D("0.05"), D("0.00005"), "BTC"),
        (D("50001.5"), D("0.07"), D("0.00007"), "BTC"),
    ]
    # 10000 - 0.05 * 50000 - 0.07 * 50001.5 = 10000 - 2500 - 3500.105
    assert floor.balance("spot", "USDT").total == D("3999.895")
    assert floor.balance("spot", "BTC").total == D("2.11988")
    last = orders_of(events)[-1]
    assert (last.status, last.filled, last.filled_quote) == (OrderStatus.FILLED, D("0.12"), D("6000.105"))


def test_each_event_comes_in_the_order_in_which_it_happened(floor: Floor) -> None:
    events = floor.do(market("spot", SPOT, BUY, "0.01"))
    assert [type(event).__name__ for event in events] == ["Ordered", "Ordered", "Booked", "Booked", "Booked"]
    lines = [event for event in events if isinstance(event, Booked)]
    assert [(one.entry.kind, one.entry.asset, one.entry.amount, one.entry.balance) for one in lines] == [
        (EntryKind.TRADE, "USDT", D(-500), D(9500)),
        (EntryKind.TRADE, "BTC", D("0.01"), D("2.01")),
        (EntryKind.FEE, "BTC", D("-0.00001"), D("2.00999")),
    ]
    (fill,) = fills_of(events)
    assert {one.entry.ref for one in lines} == {str(fill.trade_id)}
    assert all(one.balance.total == one.entry.balance for one in lines)
    first = events[0]
    assert isinstance(first, Ordered)
    assert (first.order.status, first.fill) == (OrderStatus.OPEN, None)


def test_a_sell_pays_in_quote(floor: Floor) -> None:
    (fill,) = fills_of(floor.do(limit("spot", SPOT, SELL, "0.3", "49000", tif=TimeInForce.IOC)))
    assert (fill.price, fill.quantity, fill.fee_asset) == (D(49999), D("0.3"), "USDT")
    assert fill.fee == D("14.9997")  # 0.3 * 49999 * 0.001
    assert floor.balance("spot", "USDT").total == D("24984.7003")  # 10000 + 14999.7 - 14.9997
    assert floor.balance("spot", "BTC").total == D("1.7")


def test_a_fee_has_eight_digits_and_never_more_than_the_rate(floor: Floor) -> None:
    floor.book(SPOT, "49999.99 1", "50000.01 1")
    (fill,) = fills_of(floor.do(market("spot", SPOT, SELL, "0.00123")))
    # 0.00123 * 49999.99 * 0.001 = 0.06149998770 (exactly 0.0614999877)
    assert fill.fee == D("0.06149998")
    assert floor.balance("spot", "USDT").total == D("10000") + D("61.4999877") - D("0.06149998")


def test_a_resting_buy_locks_its_cost_and_a_fill_spends_the_lock(floor: Floor) -> None:
    order = floor.send(limit("spot", SPOT, BUY, "0.1", "49000.5"))
    assert order.status is OrderStatus.OPEN
    held = floor.balance("spot", "USDT")
    assert (held.total, held.locked, held.free) == (D(10000), D("4900.05"), D("5099.95"))
    (fill,) = fills_of(floor.trade(SPOT, SELL, "0.04", "49000.5"))
    assert (fill.quantity, fill.liquidity, fill.fee) == (D("0.04"), Liquidity.MAKER, D("0.000032"))
    held = floor.balance("spot", "USDT")
    assert (held.total, held.locked) == (D("8039.98"), D("2940.03"))  # 0.04 and 0.06 of 49000.5
    assert floor.balance("spot", "BTC").total == D("2.039968")
    floor.do(Cancel(account="spot", instrument=SPOT, order_id=order.order_id))
    assert floor.balance("spot", "USDT").locked == 0


def test_what_is_locked_cannot_be_spent_twice(floor: Floor) -> None:
    floor.send(limit("spot", SPOT, BUY, "0.2", "49000"))  # 9800 of 10000
    assert floor.refused(limit("spot", SPOT, BUY, "0.01", "49000")) is Reason.INSUFFICIENT_BALANCE
    assert floor.send(limit("spot", SPOT, BUY, "0.00408", "49000")).is_open  # 199.92
    floor.send(limit("spot", SPOT, SELL, "1.99", "60000"))
    assert floor.refused(market("spot", SPOT, SELL, "0.011")) is Reason.INSUFFICIENT_BALANCE
    assert floor.send(market("spot", SPOT, SELL, "0.01")).status is OrderStatus.FILLED


def test_a_buy_that_pays_in_quote_locks_its_fee_too() -> None:
    floor = Floor(fees=QUOTE_FEES)
    floor.deposit("spot", USDT="5005")
    floor.book(SPOT, "49999 1", "50000 1")
    assert floor.refused(limit("spot", SPOT, BUY, "0.10001", "50000")) is Reason.INSUFFICIENT_BALANCE
    (fill,) = fills_of(floor.do(limit("spot", SPOT, BUY, "0.1", "50000")))
    assert (fill.fee, fill.fee_asset) == (D(5), "USDT")
    assert floor.balance("spot", "USDT").total == 0
    assert floor.balance("spot", "BTC").total == D("0.1")


def test_a_quote_fee_raised_above_its_lock_is_paid_in_base() -> None:
    floor = Floor(fees=QUOTE_FEES)
    floor.deposit("spot", USDT="4004")
    order = floor.send(limit("spot", SPOT, BUY, "0.1", "40000"))
    dear = replace(QUOTE_FEES, spot=FeeRates(maker=D("0.01"), taker=D("0.01")))
    floor.do(SetFees(account="spot", fees=dear))
    (fill,) = fills_of(floor.trade(SPOT, SELL, "1", "39999"))
    assert (fill.fee, fill.fee_asset) == (D("0.001"), "BTC")
    assert floor.order("spot", order.order_id).status is OrderStatus.FILLED
    held = floor.balance("spot", "USDT")
    assert (held.total, held.locked) == (D(4), D(0))


def test_a_rebate_is_received_in_what_the_fee_would_be_paid_in() -> None:
    floor = Floor(fees=replace(FEES, spot=FeeRates(maker=D("-0.0001"), taker=D("0.001"))))
    floor.deposit("spot", USDT="4000", BTC="1")
    floor.send(limit("spot", SPOT, BUY, "0.1", "40000"))
    floor.send(limit("spot", SPOT, SELL, "0.1", "60000"))
    (bought,) = fills_of(floor.trade(SPOT, SELL, "1", "40000"))
    (sold,) = fills_of(floor.trade(SPOT, BUY, "1", "60000"))
    assert (bought.fee, bought.fee_asset) == (D("-0.00001"), "BTC")
    assert (sold.fee, sold.fee_asset) == (D("-0.6"), "USDT")
    assert floor.balance("spot", "USDT").total == D("6000.6")
    assert floor.balance("spot", "BTC").total == D("1.00001")


def bnb_floor(bnb: str, mark: str | None = "500") -> Floor:
    floor = Floor(fees=replace(FEES, coin="BNB"))
    listing = replace(LISTINGS[SPOT], key="spot:BNBUSDT", symbol="BNBUSDT", base="BNB", kind=Kind.SPOT)
    floor.do(SetListing(listing=listing))
    floor.deposit("spot", USDT="10000", BTC="1", BNB=bnb)
    if mark is not None:
        floor.mark("spot:BNBUSDT", mark)
    floor.book(SPOT, "49999 1", "50000 1")
    return floor


@pytest.mark.parametrize(
    ("bnb", "mark", "fee", "asset"),
    [
        ("1", "500", "0.0075", "BNB"),  # 0.1 * 50000 * 0.001 * 0.75 / 500
        ("0.0075", "500", "0.0075", "BNB"),
        ("0.00749999", "500", "0.0001", "BTC"),  # too little of it: the fee falls back to base
        ("1", None, "0.0001", "BTC"),  # no price, no conversion
        ("1", "0.9", "0.0001", "BTC"),  # it would take 4.16666666
    ],
)
def test_the_third_coin(bnb: str, mark: str | None, fee: str, asset: str) -> None:
    floor = bnb_floor(bnb, mark)
    (fill,) = fills_of(floor.do(market("spot", SPOT, BUY, "0.1")))
    assert (fill.fee, fill.fee_asset) == (Decimal(fee), asset)
    paid = Decimal(fee) if asset == "BNB" else Decimal(0)
    assert floor.balance("spot", "BNB").total == Decimal(bnb) - paid


def test_the_third_coin_is_not_used_to_sell_itself() -> None:
    floor = bnb_floor("1")
    floor.book("spot:BNBUSDT", "500 0.4, 499 2", "501 1")
    fills = fills_of(floor.do(market("spot", "spot:BNBUSDT", SELL, "1")))
    assert [(fill.quantity, fill.fee, fill.fee_asset) for fill in fills] == [
        (D("0.4"), D("0.2"), "USDT"),
        (D("0.6"), D("0.2994"), "USDT"),
    ]
    assert floor.balance("spot", "BNB").total == 0


def test_a_buy_by_cost_spends_at_most_its_cost_in_whole_steps(floor: Floor) -> None:
    order = floor.send(replace(market("spot", SPOT, BUY, "0"), quote_quantity=D(3000)))
    # 0.05 for 2500; 500 / 50001.5 = 0.00999970..., in steps 0.00999
    assert (order.quantity, order.filled, order.status) == (D("0.05999"), D("0.05999"), OrderStatus.FILLED)
    assert order.filled_quote == D("2500") + D("499.514985")
    assert floor.balance("spot", "USDT").total == D("10000") - D("2999.514985")


def test_a_buy_by_cost_needs_its_whole_cost(floor: Floor) -> None:
    command = replace(market("spot", SPOT, BUY, "0"), quote_quantity=D("10000.01"))
    assert floor.refused(command) is Reason.INSUFFICIENT_BALANCE
    limit_by_cost = replace(command, type=OrderType.LIMIT, price=D(50000))
    assert floor.refused(limit_by_cost) is Reason.BAD_VALUE
    assert floor.refused(replace(command, side=SELL)) is Reason.BAD_VALUE
    assert floor.refused(replace(command, quantity=D(1))) is Reason.BAD_VALUE
    assert floor.refused(replace(command, quote_quantity=D(4))) is Reason.NOTIONAL_MIN


def test_a_buy_by_cost_in_an_empty_market_expires_with_nothing(floor: Floor) -> None:
    floor.book(SPOT, "49999 1", "")
    order = floor.send(replace(market("spot", SPOT, BUY, "0"), quote_quantity=D(3000)))
    assert (order.quantity, order.filled, order.status) == (D(0), D(0), OrderStatus.EXPIRED)


def test_a_market_of_another_quote_is_no_price_of_the_coin() -> None:
    floor = bnb_floor("1", None)
    btc_market = Listing(
        key="spot:BNBBTC",
        symbol="BNBBTC",
        kind=Kind.SPOT,
        base="BNB",
        quote="BTC",
        price_tick=D("0.000001"),
        quantity_step=D("0.001"),
        quantity_min=D("0.001"),
    )
    floor.do(SetListing(listing=btc_market))
    floor.mark("spot:BNBBTC", "0.01")
    (fill,) = fills_of(floor.do(market("spot", SPOT, BUY, "0.1")))
    assert fill.fee_asset == "BTC"
