"""What befalls positions and markets: each strikes once, from a plan or at once, and money stays whole."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from libs.exchange.engine.commands import Refused, SetListing
from libs.exchange.engine.types import EntryKind, MarketStatus, OrderStatus, Position, Side
from services.venue.desk import STEP_MS
from services.venue.faults import Fault, Kind
from services.venue.house import House
from services.venue.misfortunes import befall
from tests.helpers.venue_calls import Bench
from tests.unit.venue.test_house import BTC, best, order


def held(house: House, account: str = "u1:usdm") -> list[Position]:
    return [one.position for one in house.engine.positions(account)]


def conserved(house: House) -> bool:
    return set(house.engine.totals().values()) == {Decimal(0)}


@pytest.fixture
def bench() -> Bench:
    found = Bench()
    found.houses["binance"].apply(order(Side.SELL, "0.4"), found.instant())
    return found


def test_adl_takes_a_part_of_a_position_at_the_mark_without_a_fee(bench: Bench) -> None:
    house = bench.houses["binance"]
    bench.fault(kind=Kind.ADL, venue="binance", symbol="BTC*", fraction=0.25)
    house.step(bench.instant(STEP_MS))
    mark = house.engine.mark(BTC)
    house.step(bench.instant(2 * STEP_MS))
    assert [one.quantity for one in held(house)] == [Decimal("-0.3")], "once"
    fill = house.engine.fills("u1:usdm")[-1]
    assert fill.cause == "adl"
    assert mark is not None
    price = mark.quantize(Decimal("0.01"))  # to the tick
    assert (fill.quantity, fill.price, fill.fee) == (Decimal("0.1"), price, Decimal(0))
    assert bench.board.struck == {"adl": 1}
    assert conserved(house)


def test_a_liquidation_takes_the_whole_position_and_a_fee(bench: Bench) -> None:
    house = bench.houses["binance"]
    bench.fault(kind=Kind.LIQUIDATION, venue="binance")
    house.step(bench.instant(STEP_MS))
    assert held(house) == []
    assert house.engine.fills("u1:usdm")[-1].cause == "liquidation"
    kinds = [one.kind for one in house.engine.entries("u1:usdm")]
    assert EntryKind.LIQUIDATION_FEE in kinds
    assert conserved(house)


def test_the_owners_own_hand_closes_at_the_market(bench: Bench) -> None:
    house = bench.houses["binance"]
    bench.fault(kind=Kind.MANUAL_CLOSE, venue="binance", symbol="BTCUSDT")
    house.step(bench.instant(STEP_MS))
    assert held(house) == []
    last = house.engine.orders("u1:usdm")[-1]
    assert (last.client_id[:4], last.cause, last.status) == ("web_", "order", OrderStatus.FILLED)


def test_a_misfortune_waits_for_a_position_while_it_lasts() -> None:
    bench = Bench()
    house = bench.houses["binance"]
    bench.fault(kind=Kind.MANUAL_CLOSE, after_sec=5, duration_sec=60)
    for seconds in (0.0, 6.0):
        bench.seconds = seconds
        house.step(bench.instant(int(seconds) * 1_000))
    assert bench.board.struck == {}
    house.apply(order(), bench.instant(7_000))
    bench.seconds = 8.0
    house.step(bench.instant(8_000))
    assert held(house) == []
    house.apply(order(), bench.instant(9_000))
    house.step(bench.instant(9_000))
    assert len(held(house)) == 1, "once on each venue"
    other = bench.houses["bitget"]
    other.apply(order(account="u1:unified"), bench.instant(9_000))
    bench.seconds = 66.0
    other.step(bench.instant(66_000))
    assert len(held(other, "u1:unified")) == 1, "its time is over"


def test_a_misfortune_may_be_one_users_only(bench: Bench) -> None:
    house, now = bench.houses["binance"], bench.instant()
    house.open_user("u2", now)
    house.deposit("u2", "usdm", "USDT", Decimal(50_000), now)
    house.apply(order(account="u2:usdm"), now)
    assert befall(house, Fault(kind=Kind.LIQUIDATION), now, user="u2") == 1
    assert held(house, "u2:usdm") == []
    assert len(held(house)) == 1


def test_a_delisting_ends_a_market_here_and_in_the_public_list(bench: Bench) -> None:
    house = bench.houses["binance"]
    now = bench.instant(STEP_MS)
    low = str(best(bench, house, now)[0] - 100)
    house.apply(order(Side.BUY, "0.1", low, client_id="rests"), now)
    bench.fault(kind=Kind.DELISTING, venue="binance", symbol="BTCUSDT")
    house.step(now)
    assert house.engine.listing(BTC).status is MarketStatus.DELISTED
    assert held(house) == []
    rests = house.engine.order("u1:usdm", client_id="rests")
    assert rests is not None
    assert rests.status is OrderStatus.CANCELED
    with pytest.raises(Refused, match="not_trading"):
        house.apply(order(), bench.instant(2 * STEP_MS))
    listed = bench.get("https://fapi.binance.com/fapi/v1/exchangeInfo", after_ms=STEP_MS)["symbols"]
    status = {one["symbol"]: one["status"] for one in listed}
    assert (status["BTCUSDT"], status["ETHUSDT"]) == ("SETTLING", "TRADING")
    assert bench.houses["bitget"].engine.listing(BTC).status is MarketStatus.TRADING
    assert conserved(house)


def test_changed_filters_hold_for_orders_and_are_announced(bench: Bench) -> None:
    house = bench.houses["binance"]
    step = house.engine.listing(BTC).quantity_step
    bench.fault(kind=Kind.FILTER_CHANGE, venue="binance", symbol="BTCUSDT", factor=10.0)
    now = bench.instant(STEP_MS)
    house.step(now)
    assert house.engine.listing(BTC).quantity_step == 10 * step
    with pytest.raises(Refused, match="quantity_step"):
        house.apply(order(quantity=str(10 * step + step)), now)
    house.apply(order(quantity=str(20 * step)), now)
    listed = bench.get("https://fapi.binance.com/fapi/v1/exchangeInfo", after_ms=STEP_MS)["symbols"]
    filters = next(one["filters"] for one in listed if one["symbol"] == "BTCUSDT")
    lot = next(one for one in filters if one["filterType"] == "LOT_SIZE")
    assert Decimal(lot["stepSize"]) == 10 * step


def test_what_the_engine_refuses_now_is_tried_again(bench: Bench) -> None:
    """A hand that closes finds the market halted, and open again later."""
    house = bench.houses["binance"]
    listing = house.engine.listing(BTC)
    halted = msgspec.structs.replace(listing, status=MarketStatus.HALTED)
    house.tell(SetListing(listing=halted), bench.instant())
    bench.fault(kind=Kind.MANUAL_CLOSE, venue="binance")
    house.step(bench.instant(STEP_MS))
    assert len(held(house)) == 1
    assert bench.board.struck == {}
    house.tell(SetListing(listing=listing), bench.instant(2 * STEP_MS))
    house.step(bench.instant(2 * STEP_MS))
    assert held(house) == []


def test_only_state_faults_befall(bench: Bench) -> None:
    with pytest.raises(ValueError, match="befalls"):
        befall(bench.houses["binance"], Fault(kind=Kind.DROP), bench.instant())
