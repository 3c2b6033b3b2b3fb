"""Orders found, canceled, forgotten; what Engine answers about them."""

from __future__ import annotations

import pytest

from libs.exchange.engine.commands import Cancel, CancelAll, Reason, SetFees
from libs.exchange.engine.types import OrderStatus, VenueRules
from tests.helpers.floor import BUY, FEES, PERP, SELL, SPOT, D, Floor, fills_of, limit, market, seen


@pytest.fixture
def floor() -> Floor:
    floor = Floor()
    floor.deposit("spot", USDT="100000", BTC="10")
    floor.deposit("unified", USDT="100000")
    floor.mark(PERP, "50000")
    return floor


def test_cancel_by_id_and_by_client_id(floor: Floor) -> None:
    first = floor.send(limit("spot", SPOT, BUY, "0.1", "100", client_id="a"))
    second = floor.send(limit("spot", SPOT, BUY, "0.1", "101", client_id="b"))
    floor.do(Cancel(account="spot", instrument=SPOT, order_id=first.order_id))
    floor.do(Cancel(account="spot", instrument=SPOT, client_id="b", reason="why not"))
    ended = [floor.order("spot", order.order_id) for order in (first, second)]
    assert [order.status for order in ended] == [OrderStatus.CANCELED, OrderStatus.CANCELED]
    assert [order.reason for order in ended] == ["canceled by its owner", "why not"]
    assert all(order.updated_us > order.created_us for order in ended)
    assert floor.balance("spot", "USDT").locked == 0


def test_what_is_not_open_is_not_found(floor: Floor) -> None:
    order = floor.send(limit("spot", SPOT, BUY, "0.1", "100", client_id="a"))
    by_id = Cancel(account="spot", instrument=SPOT, order_id=order.order_id)
    wrong = [
        Cancel(account="spot", instrument=SPOT, order_id=999),
        Cancel(account="spot", instrument=SPOT, client_id="z"),
        Cancel(account="spot", instrument=SPOT),
        Cancel(account="spot", instrument=PERP, order_id=order.order_id),
        Cancel(account="unified", instrument=SPOT, order_id=order.order_id),
    ]
    assert [floor.refused(command) for command in wrong] == [Reason.ORDER_NOT_FOUND] * 5
    nobody = Cancel(account="nobody", instrument=SPOT, order_id=1)
    assert floor.refused(nobody) is Reason.UNKNOWN_ACCOUNT
    nowhere = Cancel(account="spot", instrument="spot:X", order_id=1)
    assert floor.refused(nowhere) is Reason.UNKNOWN_INSTRUMENT
    floor.do(by_id)
    assert floor.refused(by_id) is Reason.ORDER_NOT_FOUND


def test_cancel_all_of_one_instrument_or_of_all(floor: Floor) -> None:
    spot = floor.send(limit("unified", SPOT, BUY, "0.1", "100"))
    perp = floor.send(limit("unified", PERP, BUY, "0.1", "49000"))
    other = floor.send(limit("spot", SPOT, BUY, "0.1", "100"))
    events = floor.do(CancelAll(account="unified", instrument=PERP))
    assert len(events) == 1
    assert floor.order("unified", spot.order_id).is_open
    assert not floor.order("unified", perp.order_id).is_open
    floor.do(CancelAll(account="unified"))
    assert floor.engine.open_orders("unified") == []
    assert floor.do(CancelAll(account="unified")) == []
    assert floor.order("spot", other.order_id).is_open
    assert floor.refused(CancelAll(account="unified", instrument="perp:X")) is Reason.UNKNOWN_INSTRUMENT


def test_a_client_id_finds_the_newest_on_its_instrument(floor: Floor) -> None:
    old = floor.send(limit("unified", SPOT, BUY, "0.1", "100", client_id="x"))
    floor.do(Cancel(account="unified", instrument=SPOT, client_id="x"))
    new = floor.send(limit("unified", PERP, BUY, "0.1", "49000", client_id="x"))
    engine = floor.engine
    assert engine.order("unified", client_id="x") == new
    found = engine.order("unified", client_id="x", instrument=SPOT)
    assert found is not None
    assert found.order_id == old.order_id
    assert engine.order("unified", client_id="") is None
    assert engine.order("unified", order_id=new.order_id, instrument=SPOT) is None
    assert engine.order("spot", order_id=new.order_id) is None


def test_lists_are_oldest_first_and_filtered(floor: Floor) -> None:
    ids = [
        floor.send(command).order_id
        for command in (
            limit("unified", SPOT, BUY, "0.1", "100"),
            limit("unified", PERP, BUY, "0.1", "49000"),
            limit("unified", PERP, BUY, "0.1", "49500"),
            limit("unified", SPOT, BUY, "0.1", "101"),
        )
    ]
    floor.do(Cancel(account="unified", instrument=PERP, order_id=ids[2]))
    engine = floor.engine
    assert [order.order_id for order in engine.orders("unified")] == ids
    assert [order.order_id for order in engine.open_orders("unified")] == [ids[0], ids[1], ids[3]]
    assert [order.order_id for order in engine.orders("unified", PERP)] == ids[1:3]
    assert [order.order_id for order in engine.open_orders("unified", PERP)] == [ids[1]]
    assert engine.watched() == {SPOT, PERP}
    floor.do(CancelAll(account="unified", instrument=SPOT))
    assert engine.watched() == {PERP}


def test_histories_keep_what_the_venue_keeps_and_forget_the_oldest() -> None:
    floor = Floor(VenueRules(history_max=20))
    floor.deposit("spot", USDT="100000")
    resting = floor.send(limit("spot", SPOT, BUY, "0.01", "1000", client_id="rests"))
    for turn in range(60):
        floor.book(SPOT, "99 1", "1000 1")
        floor.send(limit("spot", SPOT, BUY, "0.01", "1000", client_id=f"c{turn}"))
    engine = floor.engine
    assert 20 <= len(engine.orders("spot")) <= 42
    assert 20 <= len(engine.fills("spot")) <= 41
    assert 20 <= len(engine.entries("spot")) <= 41
    assert engine.orders("spot")[-1].client_id == "c59"
    assert engine.order("spot", client_id="c0") is None
    assert engine.order("spot", client_id="c59") is not None
    # The resting order was filled by the first book; every one of the others took.
    assert engine.order("spot", order_id=resting.order_id) is None
    assert floor.balance("spot", "BTC").total == D("0.01") * D("0.9992") + 60 * D("0.01") * D("0.999")


def test_where_ids_are_unique_for_ever_even_forgotten_ones_are_taken() -> None:
    floor = Floor(VenueRules(history_max=5, unique_ids="ever"))
    floor.deposit("spot", USDT="100000")
    for turn in range(60):
        floor.send(limit("spot", SPOT, BUY, "0.01", "1000", client_id=f"c{turn}"))
        floor.do(Cancel(account="spot", instrument=SPOT, client_id=f"c{turn}"))
    assert floor.engine.order("spot", client_id="c0") is None
    assert floor.refused(limit("spot", SPOT, BUY, "0.01", "1000", client_id="c0")) is Reason.DUPLICATE_ID


def test_new_fees_hold_from_the_next_fill_on(floor: Floor) -> None:
    floor.book(SPOT, "99 9", "100 9")
    dear = FEES.spot.__class__(maker=D("0.002"), taker=D("0.003"))
    (cheap,) = fills_of(floor.do(market("spot", SPOT, BUY, "0.1")))
    floor.do(SetFees(account="spot", fees=type(FEES)(spot=dear, perp=FEES.perp, future=FEES.future)))
    (costly,) = fills_of(floor.do(market("spot", SPOT, BUY, "0.1")))
    assert seen(cheap.fee, costly.fee) == (D("0.0001"), D("0.0003"))
    assert floor.engine.accounts["spot"].fees.spot == dear


def test_what_matters_of_the_marks(floor: Floor) -> None:
    assert floor.engine.exposed() == set()
    floor.book(PERP, "49999 1", "50001 1")
    floor.send(market("unified", PERP, SELL, "0.1"))
    assert floor.engine.exposed() == {PERP}
    floor.deposit("unified", BTC="1")
    assert floor.engine.exposed() == {PERP, SPOT}


def test_queries_name_what_they_do_not_know(floor: Floor) -> None:
    engine = floor.engine
    assert floor.engine.mark(SPOT) is None
    assert floor.engine.mark(PERP) == D(50000)
    assert engine.leverage("unified", PERP) == 20
    assert seen(engine.margin_mode("unified", PERP), engine.position_mode("unified")) == ("cross", "one_way")
    assert engine.margin("unified", "USDT").wallet == D(100000)
    assert seen(engine.margin_level("unified"), engine.max_withdraw("spot", "BTC")) == (None, 10)
    for ask in (
        lambda: engine.listing("x"),
        lambda: engine.mark("x"),
        lambda: engine.balances("x"),
        lambda: engine.leverage("unified", SPOT),
    ):
        with pytest.raises(Exception, match="unknown_"):
            ask()
    assert floor.send(limit("spot", SPOT, SELL, "1", "70000")).is_open
    assert engine.max_withdraw("spot", "BTC") == 9
