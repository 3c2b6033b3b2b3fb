"""Contract fills: PnL, fees and position to the last digit; reduce-only; what the venue fills itself."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from libs.exchange.engine.commands import (
    Booked,
    Deleverage,
    Ordered,
    Positioned,
    Reason,
    Refused,
    SetLeverage,
    SetListing,
    SetMarginMode,
    SetPositionMode,
    Submit,
)
from libs.exchange.engine.types import (
    EntryKind,
    MarginMode,
    MarketStatus,
    OrderStatus,
    Position,
    PositionMode,
    PositionSide,
)
from tests.helpers.floor import (
    BUY,
    FEES,
    FUTURE,
    LISTINGS,
    PERP,
    SELL,
    D,
    Floor,
    fills_of,
    limit,
    market,
    orders_of,
    seen,
)


@pytest.fixture
def floor() -> Floor:
    floor = Floor()
    floor.deposit("futures", USDT="10000")
    floor.mark(PERP, "50000")
    floor.book(PERP, "49999.5 5", "50000.5 5")
    return floor


def position(floor: Floor) -> Position:
    (figures,) = floor.engine.positions("futures")
    return figures.position


def test_a_fill_opens_a_position_and_pays_its_fee(floor: Floor) -> None:
    events = floor.do(market("futures", PERP, BUY, "0.1"))
    assert [type(event).__name__ for event in events] == ["Ordered", "Ordered", "Booked", "Positioned"]
    (fill,) = fills_of(events)
    assert seen(fill.price, fill.fee, fill.fee_asset, fill.realised) == (
        D("50000.5"),
        D("2.500025"),
        "USDT",
        0,
    )
    held = position(floor)
    assert seen(held.quantity, held.entry_price, held.cost) == (D("0.1"), D("50000.5"), D("5000.05"))
    assert seen(held.fees, held.opened_us, held.leverage) == (D("2.500025"), floor.wall_us, 20)
    assert floor.balance("futures", "USDT").total == D("9997.499975")


def test_a_close_realises_the_difference(floor: Floor) -> None:
    floor.do(market("futures", PERP, SELL, "0.1"))  # at 49999.5
    floor.book(PERP, "48999.5 5", "49000.5 5")
    events = floor.do(market("futures", PERP, BUY, "0.04"))
    (fill,) = fills_of(events)
    assert fill.realised == D("39.96")  # 0.04 * (49999.5 - 49000.5)
    assert fill.fee == D("0.98001")  # 0.04 * 49000.5 * 0.0005
    lines = [event.entry for event in events if isinstance(event, Booked)]
    assert [seen(line.kind, line.amount) for line in lines] == [
        (EntryKind.PNL, D("39.96")),
        (EntryKind.FEE, D("-0.98001")),
    ]
    # 10000 - 0.1 * 49999.5 * 0.0005 + 39.96 - 0.98001
    assert floor.balance("futures", "USDT").total == D("10036.480015")
    held = position(floor)
    assert seen(held.quantity, held.realised, held.fees) == (D("-0.06"), D("39.96"), D("3.479985"))


def test_a_position_that_crosses_zero_starts_anew(floor: Floor) -> None:
    floor.do(market("futures", PERP, BUY, "0.1"))
    opened = position(floor).opened_us
    (fill,) = fills_of(floor.do(market("futures", PERP, SELL, "0.3")))
    assert fill.realised == D("-0.1")  # 0.1 * (49999.5 - 50000.5)
    held = position(floor)
    assert seen(held.quantity, held.entry_price, held.realised) == (D("-0.2"), D("49999.5"), 0)
    assert held.opened_us > opened


def test_a_closed_position_is_told_with_nothing_in_it_and_forgotten(floor: Floor) -> None:
    floor.do(market("futures", PERP, BUY, "0.1"))
    events = floor.do(market("futures", PERP, SELL, "0.1"))
    (told,) = [event.position for event in events if isinstance(event, Positioned)]
    assert seen(told.quantity, told.realised) == (0, D("-0.1"))
    assert floor.engine.positions("futures") == []
    assert PERP not in floor.engine.exposed()


def test_a_maker_rebate_comes_in() -> None:
    perp = replace(FEES.perp, maker=D("-0.0001"))
    floor = Floor(fees=replace(FEES, perp=perp))
    floor.deposit("futures", USDT="1000")
    floor.mark(PERP, "50000")
    floor.send(limit("futures", PERP, BUY, "0.1", "49000"))
    (fill,) = fills_of(floor.trade(PERP, SELL, "1", "49000"))
    assert fill.fee == D("-0.49")
    assert floor.balance("futures", "USDT").total == D("1000.49")
    assert position(floor).fees == D("-0.49")


def test_futures_have_rates_of_their_own(floor: Floor) -> None:
    floor.mark(FUTURE, "51000")
    floor.book(FUTURE, "50990 1", "51000 1")
    (fill,) = fills_of(floor.do(market("futures", FUTURE, BUY, "0.1")))
    assert fill.fee == D("2.04")  # 5100 * 0.0004


# --- reduce-only ------------------------------------------------------------------------------------------


def test_a_reduce_only_order_is_cut_to_the_position(floor: Floor) -> None:
    floor.send(market("futures", PERP, BUY, "0.1"))
    assert floor.refused(market("futures", PERP, BUY, "0.1", reduce_only=True)) is Reason.REDUCE_ONLY
    order = floor.send(market("futures", PERP, SELL, "0.5", reduce_only=True))
    assert seen(order.quantity, order.filled, order.status) == (D("0.1"), D("0.1"), OrderStatus.FILLED)
    assert floor.engine.positions("futures") == []
    assert floor.refused(market("futures", PERP, SELL, "0.1", reduce_only=True)) is Reason.REDUCE_ONLY


def test_resting_reduce_only_orders_go_with_the_position(floor: Floor) -> None:
    floor.send(market("futures", PERP, BUY, "0.1"))
    first = floor.send(limit("futures", PERP, SELL, "0.1", "51000", reduce_only=True))
    second = floor.send(limit("futures", PERP, SELL, "0.1", "51500", reduce_only=True))
    plain = floor.send(limit("futures", PERP, SELL, "0.1", "52000"))
    events = floor.trade(PERP, BUY, "9", "51000")
    assert [seen(order.order_id, order.status) for order in orders_of(events)] == [
        (first.order_id, OrderStatus.FILLED),
        (second.order_id, OrderStatus.CANCELED),
    ]
    assert floor.order("futures", second.order_id).reason == "reduce-only and no position is left"
    assert floor.order("futures", plain.order_id).is_open


def test_a_resting_reduce_only_order_never_turns_the_position(floor: Floor) -> None:
    floor.send(market("futures", PERP, BUY, "0.1"))
    order = floor.send(limit("futures", PERP, SELL, "0.1", "51000", reduce_only=True))
    floor.send(market("futures", PERP, SELL, "0.06"))
    (fill,) = fills_of(floor.book(PERP, "51500 5", "51600 5"))
    assert fill.quantity == D("0.04")
    ended = floor.order("futures", order.order_id)
    assert seen(ended.status, ended.filled) == (OrderStatus.CANCELED, D("0.04"))
    assert floor.engine.positions("futures") == []


def test_one_trade_does_not_fill_a_reduce_only_order_that_the_one_before_made_stale(floor: Floor) -> None:
    floor.send(market("futures", PERP, BUY, "0.1"))
    floor.send(limit("futures", PERP, SELL, "0.1", "51000", reduce_only=True))
    floor.send(limit("futures", PERP, SELL, "0.1", "51100", reduce_only=True))
    assert [fill.price for fill in fills_of(floor.trade(PERP, BUY, "9", "51200"))] == [51000]


def test_turning_the_position_cancels_what_would_have_reduced_it(floor: Floor) -> None:
    floor.send(market("futures", PERP, BUY, "0.1"))
    order = floor.send(limit("futures", PERP, SELL, "0.1", "51000", reduce_only=True))
    floor.send(market("futures", PERP, SELL, "0.2"))
    assert floor.order("futures", order.order_id).status is OrderStatus.CANCELED
    assert position(floor).quantity == D("-0.1")


# --- hedge mode -------------------------------------------------------------------------------------------


def hedge(command: Submit, side: PositionSide) -> Submit:
    return replace(command, position_side=side)


def test_hedge_mode_holds_both_sides_and_a_close_is_cut_to_its_own(floor: Floor) -> None:
    floor.do(SetPositionMode(account="futures", mode=PositionMode.HEDGE))
    long, short = PositionSide.LONG, PositionSide.SHORT
    floor.send(hedge(market("futures", PERP, BUY, "0.1"), long))
    floor.send(hedge(market("futures", PERP, SELL, "0.3"), short))
    assert [figures.position.quantity for figures in floor.engine.positions("futures")] == [
        D("0.1"),
        D("-0.3"),
    ]
    resting = floor.send(hedge(limit("futures", PERP, SELL, "0.1", "51000"), long))
    assert resting.reduce_only  # in hedge mode the direction says so
    keeps = floor.send(hedge(limit("futures", PERP, BUY, "0.1", "49000"), short))
    order = floor.send(hedge(market("futures", PERP, SELL, "0.2"), long))
    assert seen(order.quantity, order.status) == (D("0.1"), OrderStatus.FILLED)
    assert floor.order("futures", resting.order_id).status is OrderStatus.CANCELED
    assert floor.order("futures", keeps.order_id).is_open
    (left,) = floor.engine.positions("futures")
    assert seen(left.position.side, left.position.quantity) == (short, D("-0.3"))


def test_one_position_is_told_as_it_is_among_all(floor: Floor) -> None:
    assert floor.engine.position("futures", PERP) is None
    floor.send(market("futures", PERP, BUY, "0.5"))
    (whole,) = floor.engine.positions("futures")
    assert floor.engine.position("futures", PERP) == whole
    assert whole.liquidation_price is not None
    assert floor.engine.position("futures", PERP, PositionSide.LONG) is None
    assert floor.engine.position("futures", FUTURE) is None
    floor.send(market("futures", PERP, SELL, "0.5"))
    assert floor.engine.position("futures", PERP) is None
    with pytest.raises(Refused):
        floor.engine.position("nobody", PERP)


# --- what the venue does itself ---------------------------------------------------------------------------


def test_a_fill_by_the_venue_costs_no_fee_and_names_its_cause(floor: Floor) -> None:
    floor.send(market("futures", PERP, BUY, "0.1"))
    before = floor.balance("futures", "USDT").total
    events = floor.do(
        Deleverage(
            account="futures",
            instrument=PERP,
            position_side=PositionSide.BOTH,
            quantity=D("0.04"),
            price=D("50100.5"),
        )
    )
    (fill,) = fills_of(events)
    assert seen(fill.cause, fill.side, fill.fee, fill.realised) == ("adl", SELL, 0, 4)
    assert floor.balance("futures", "USDT").total == before + 4
    (told,) = [event for event in events if isinstance(event, Positioned)]
    assert seen(told.cause, told.position.quantity) == ("adl", D("0.06"))
    order = next(event.order for event in events if isinstance(event, Ordered))
    assert seen(order.cause, order.status, order.reduce_only) == ("adl", OrderStatus.FILLED, True)
    assert floor.engine.order("futures", order_id=order.order_id) == order


def test_delisting_cancels_and_settles_at_the_mark(floor: Floor) -> None:
    floor.send(market("futures", PERP, BUY, "0.1"))
    order = floor.send(limit("futures", PERP, BUY, "0.1", "49000"))
    floor.mark(PERP, "50100.5")
    delisted = replace(LISTINGS[PERP], status=MarketStatus.DELISTED)
    events = floor.do(SetListing(listing=delisted))
    assert floor.order("futures", order.order_id).reason == "the market is delisted"
    (fill,) = fills_of(events)
    assert seen(fill.price, fill.realised, fill.cause) == (D("50100.5"), 10, "delivery")
    assert floor.engine.positions("futures") == []
    assert floor.refused(limit("futures", PERP, BUY, "0.1", "49000")) is Reason.NOT_TRADING
    assert fills_of(floor.do(SetListing(listing=delisted))) == []


def test_what_a_wallet_lacks_never_makes_it_negative(floor: Floor) -> None:
    floor.send(market("futures", PERP, BUY, "3"))  # 150001.5 at 20x: 7500 of 10000
    floor.book(PERP, "40000 5", "40001 5")  # the mark has not moved: no liquidation yet
    events = floor.do(market("futures", PERP, SELL, "3", reduce_only=True))
    (fill,) = fills_of(events)
    assert fill.realised == D("-30001.5")  # 3 * (40000 - 50000.5)
    lines = [event.entry for event in events if isinstance(event, Booked)]
    # 10000 - 75.00075 are there; the loss takes them, the fund the rest and the fee of 60
    assert [seen(line.kind, line.amount) for line in lines] == [
        (EntryKind.INSURANCE, D("20076.50075")),
        (EntryKind.PNL, D("-30001.5")),
        (EntryKind.INSURANCE, D(60)),
        (EntryKind.FEE, D(-60)),
    ]
    assert floor.balance("futures", "USDT").total == 0


@pytest.mark.parametrize(("mark", "status"), [("42000", OrderStatus.CANCELED), ("48500", OrderStatus.FILLED)])
@pytest.mark.parametrize("by_trade", [True, False])
def test_an_isolated_order_whose_margin_was_lost_elsewhere_is_canceled(
    mark: str, status: OrderStatus, *, by_trade: bool
) -> None:
    """Else its fill would take the margin, and the insurance fund the loss."""
    floor, other = Floor(), "perp:ETHUSDT"
    floor.do(SetListing(listing=replace(LISTINGS[PERP], key=other, symbol="ETHUSDT", base="ETH")))
    floor.deposit("futures", USDT="10000")
    floor.mark(PERP, "50000")
    floor.mark(other, "2000")
    floor.do(SetMarginMode(account="futures", instrument=other, mode=MarginMode.ISOLATED))
    floor.do(SetLeverage(account="futures", instrument=other, leverage=1))
    order = floor.send(limit("futures", other, BUY, "4", "1990"))  # 7960
    floor.book(PERP, "49999.9 10", "50000 10")
    floor.send(market("futures", PERP, BUY, "0.5"))
    floor.mark(PERP, mark)
    if by_trade:
        floor.trade(other, SELL, "10", "1989")
    else:
        floor.book(other, "1988 10", "1989 10")
    assert floor.order("futures", order.order_id).status is status
    floor.mark(PERP, mark)
    assert not [one for one in floor.engine.entries("futures") if one.kind is EntryKind.INSURANCE]
