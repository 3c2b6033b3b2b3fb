"""What a user stream tells reaches the pairs that it concerns, and no others."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from libs.exchange.port import GapSeen
from libs.exchange.trading_values import (
    BalanceReport,
    FillReport,
    LedgerRecord,
    OrderReport,
    PositionReport,
    PositionSide,
    Side,
)
from services.executor.events import AccountMoved, FillSeen, OrderSeen
from services.executor.model import Intent, IntentState, OrderClass, Purpose
from services.executor.streams import events_of, taken

D = Decimal
SPOT, PERP = "BTC-USDT", "BTC-USDT-PERP"


class Pair:
    """What a lane shows of itself."""

    def __init__(self, first: tuple[str, str], second: tuple[str, str], *orders: Intent) -> None:
        self.keys = (first, second)
        self.intents = {one.id: one for one in orders}


def order(name: str, leg: int, *, order_id: str = "") -> Intent:
    return Intent(
        id=name,
        pair="p",
        leg=leg,
        purpose=Purpose.OPEN,
        order_class=OrderClass.INCREASE,
        side="buy",
        quantity=D(1),
        price=D(1),
        tif="ioc",
        reduce_only=False,
        margin=False,
        fence=1,
        attempt=1,
        state=IntentState.SENT,
        created_us=0,
        order_id=order_id,
    )


BOOKS = {
    "one": Pair(("binance", SPOT), ("binance", PERP), order("fa1", 0, order_id="77"), order("fa2", 1)),
    "two": Pair(("binance", PERP), ("bitget", PERP), order("fa3", 1, order_id="77")),
    "three": Pair(("bitget", "ETH-USDT"), ("bitget", "ETH-USDT-PERP")),
}


def report(client_id: str) -> OrderReport:
    return OrderReport(
        client_id=client_id,
        order_id="77",
        instrument=SPOT,
        side=Side.BUY,
        status="filled",
        quantity=D(1),
        filled=D(1),
        average=D(1),
        price=D(1),
        ts_ms=0,
    )


def fill(client_id: str | None, instrument: str = SPOT, **fields: Any) -> FillReport:
    return FillReport(
        **{
            "trade_id": "t1",
            "order_id": "77",
            "client_id": client_id,
            "instrument": instrument,
            "side": Side.BUY,
            "price": D(1),
            "quantity": D(1),
            "fee": D(0),
            "fee_asset": "USDT",
            "liquidity": None,
            "ts_ms": 0,
        }
        | fields
    )


def moved(venue: str, *pairs: str) -> list[AccountMoved]:
    return [AccountMoved(pair=pair, venue=venue) for pair in pairs]


def test_an_order_reaches_the_pair_that_has_sent_it() -> None:
    seen = report("fa3")
    assert events_of("bitget", seen, BOOKS) == [OrderSeen(pair="two", venue="bitget", report=seen)]


def test_orders_of_others_concern_nobody() -> None:
    assert events_of("binance", report("somebody"), BOOKS) == []
    assert events_of("binance", report(""), BOOKS) == []


def test_a_trade_is_known_by_our_id() -> None:
    seen = fill("fa2", PERP)
    assert events_of("binance", seen, BOOKS) == [FillSeen(pair="one", venue="binance", fill=seen)]


def test_without_our_id_a_trade_is_known_by_the_venues_and_only_at_its_own_place() -> None:
    at_binance, at_bitget = fill(None, SPOT), fill(None, PERP)
    assert events_of("binance", at_binance, BOOKS) == [FillSeen(pair="one", venue="binance", fill=at_binance)]
    assert events_of("bitget", at_bitget, BOOKS) == [FillSeen(pair="two", venue="bitget", fill=at_bitget)]


def test_a_trade_that_is_not_ours_makes_the_pairs_of_its_instrument_look() -> None:
    assert events_of("binance", fill(None, PERP, order_id="88"), BOOKS) == moved("binance", "one", "two")
    assert events_of("binance", fill("somebody", PERP), BOOKS) == moved("binance", "one", "two")


def test_a_position_makes_the_pairs_of_its_instrument_look() -> None:
    seen = PositionReport(
        instrument=PERP,
        side=PositionSide.BOTH,
        quantity=D(-1),
        entry_price=None,
        mark=None,
        unrealised=None,
        liquidation_price=None,
    )
    assert events_of("bitget", seen, BOOKS) == moved("bitget", "two")


def test_a_balance_concerns_pairs_with_a_spot_leg_of_the_coin() -> None:
    def balance(asset: str) -> BalanceReport:
        return BalanceReport(wallet="spot", asset=asset, total=D(1), free=D(1))

    assert events_of("binance", balance("BTC"), BOOKS) == moved("binance", "one")
    assert events_of("bitget", balance("BTC"), BOOKS) == [], "no spot leg there"
    assert events_of("binance", balance("USDT"), BOOKS) == [], "it moves with every trade"
    assert events_of("binance", balance(""), BOOKS) == []


def test_after_a_gap_every_pair_at_the_venue_looks() -> None:
    gap = GapSeen(venue="bitget", instrument="", recv_us=0, text="a break")
    assert events_of("bitget", gap, BOOKS) == moved("bitget", "two", "three")


def test_the_venues_own_trades_are_told_from_orders() -> None:
    ours, by_hand = fill("fa1"), fill(None, trade_id="t2", order_id="88")
    forced = fill(None, trade_id="t3", order_id="99")
    adl = fill(None, trade_id="t4", cause="adl")
    record = LedgerRecord(record_id="99", kind="liquidation", asset="USDT", amount=D(-1), ts_ms=0)
    found = taken([ours, by_hand, forced, adl], [record])
    assert [(one.trade_id, one.cause) for one in found] == [("t3", "liquidation"), ("t4", "adl")]


def test_a_record_that_names_our_own_order_does_not_make_it_the_venues() -> None:
    record = LedgerRecord(record_id="77", kind="liquidation", asset="USDT", amount=D(-1), ts_ms=0, ref="t1")
    assert taken([fill("fa1")], [record]) == []
