"""Whose trades they were: what venues' rows say, and what is asked for where they say nothing."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from libs.common.clock import wall_us
from libs.common.subjects import Kind
from libs.exchange.live.causes import LAG_MS, Causes, cause_of
from libs.exchange.live.reports import forced_trade
from libs.exchange.port import Instrument, VenueError
from libs.exchange.trading_values import FillReport, Side


class Books:
    """The only place of an account, with lists by script: (method, what was asked) of every question."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.poll = self
        self.venue = "binance"

    def of(self, _slug: str) -> Books:
        return self

    async def get(self, _name: str, method: str, asked: dict[str, Any]) -> Any:
        self.asked.append((method, asked))
        found = self.answers[method]
        return found(asked) if callable(found) else found


def item(kind: Kind = Kind.PERP) -> Instrument:
    return Instrument(
        venue="binance",
        slug="BTC-USDT-PERP" if kind is Kind.PERP else "BTC-USDT",
        symbol="BTC/USDT:USDT",
        venue_symbol="BTCUSDT",
        base="BTC",
        quote="USDT",
        settle="USDT",
        kind=kind,
    )


def fill(order_id: str, *, ago_ms: int = 0) -> FillReport:
    return FillReport(
        trade_id=f"t{order_id}",
        order_id=order_id,
        client_id=None,
        instrument="BTC-USDT-PERP",
        side=Side.BUY,
        price=Decimal(1),
        quantity=Decimal(1),
        fee=None,
        fee_asset=None,
        liquidity=None,
        ts_ms=wall_us() // 1_000 - ago_ms,
    )


def causes(books: Books) -> Causes:
    return Causes(books)  # type: ignore[arg-type]  # what is asked of it is what a place answers


@pytest.mark.parametrize(
    ("info", "cause"),
    [
        ({"tradeSide": "sell_single"}, "order"),
        ({"tradeSide": "close"}, "order"),
        ({"tradeSide": "burst_close_long"}, "liquidation"),
        ({"tradeSide": "reduce_buy_single"}, "liquidation"),
        ({"tradeSide": "offset_close_short"}, "liquidation"),
        ({"tradeSide": "delivery_sell_single"}, "delivery"),
        ({"tradeSide": "dte_sys_adl_buy_in_single_side_mode"}, "adl"),
        ({"c": "autoclose-1596107620040000020"}, "liquidation"),
        ({"clientOrderId": "adl_autoclose"}, "adl"),
        ({"clientOrderId": "settlement_autoclose-1"}, "delivery"),
        ({"clientOrderId": "fa01autoclose"}, "order"),
        (None, "order"),
    ],
)
def test_a_row_says_whose_it_is(info: Any, cause: str) -> None:
    assert cause_of(info) == cause


async def test_only_orders_that_are_not_known_are_asked_for_from_the_first_of_them_on() -> None:
    rows = [{"orderId": 7, "clientOrderId": "adl_autoclose"}, {"orderId": 9, "clientOrderId": "web_1"}]
    books = Books(fapiPrivateGetAllOrders=rows)
    known = causes(books)
    known.note("BTC-USDT-PERP", "5", "order")
    fills = [fill("5"), fill("7"), fill("9")]
    for _ in range(2):
        found = await known.mark(item(), fills, margin=False)
        assert [one.cause for one in found] == ["order", "adl", "order"]
    asked = {"symbol": "BTCUSDT", "orderId": 7, "limit": 1_000}
    assert books.asked == [("fapiPrivateGetAllOrders", asked)], "what is known is not asked for again"


async def test_full_pages_go_on_behind_their_last_order() -> None:
    def page(asked: dict[str, Any]) -> list[dict[str, Any]]:
        first = asked["orderId"]
        return [
            {"orderId": one, "clientOrderId": "autoclose-1"}
            for one in range(first, min(first + 1_000, 1_501))
        ]

    books = Books(fapiPrivateGetAllOrders=page)
    found = await causes(books).mark(item(), [fill("1"), fill("1500")], margin=False)
    assert [one.cause for one in found] == ["liquidation", "liquidation"]
    assert [asked["orderId"] for _, asked in books.asked] == [1, 1_001]


async def test_what_no_list_of_orders_has_is_looked_for_among_the_forced_ones() -> None:
    forced = [{"orderId": 3, "clientOrderId": "autoclose-1"}]
    books = Books(fapiPrivateGetAllOrders=[], fapiPrivateGetForceOrders=forced)
    known = causes(books)
    fills = [fill("3"), fill("4", ago_ms=LAG_MS + 5_000), fill("6")]
    found = await known.mark(item(), fills, margin=False)
    assert [one.cause for one in found] == ["liquidation", "order", "order"]
    assert books.asked[1][1]["startTime"] == fills[1].ts_ms - LAG_MS
    books.asked.clear()
    await known.mark(item(), fills, margin=False)
    assert books.asked[0][1]["orderId"] == 6, "a young one may be late in the lists: it alone is asked for"


async def test_the_margin_desk_has_a_list_of_its_own() -> None:
    rows = [{"orderId": 3, "symbol": "BTCUSDT"}, {"orderId": 4, "symbol": "ETHUSDT"}]
    books = Books(sapiGetMarginForceLiquidationRec={"rows": rows, "total": 2})
    known = causes(books)
    found = await known.mark(item(Kind.SPOT), [fill("3"), fill("4")], margin=True)
    assert [one.cause for one in found] == ["liquidation", "order"]
    spot = [fill("8")]
    assert await known.mark(item(Kind.SPOT), spot, margin=False) == spot
    assert len(books.asked) == 1, "nobody liquidates coins that are owned"


async def test_an_answer_that_cannot_be_read_is_no_proof_of_an_order() -> None:
    with pytest.raises(VenueError):
        await causes(Books(fapiPrivateGetAllOrders={})).mark(item(), [fill("3")], margin=False)


def test_a_forced_trade_is_read_from_the_frame_of_its_order() -> None:
    frame = {"x": "CALCULATED", "t": 9, "L": "50", "l": "2", "n": "0.1", "N": "USDT", "T": 5, "m": False}
    raw = {"id": "3", "symbol": "BTC/USDT:USDT", "side": "buy", "info": frame}
    found = forced_trade(raw)
    assert found is not None
    assert (found["id"], found["order"], found["price"], found["amount"]) == ("9", "3", "50", "2")
    for other in ({"x": "TRADE"}, {"t": 0}, {"L": "0"}):
        assert forced_trade({**raw, "info": {**frame, **other}}) is None
