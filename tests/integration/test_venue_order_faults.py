"""Each fault that may befall an order on its way: was it carried out, and what does ccxt say of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import ccxt.async_support as ccxt
import pytest

from libs.exchange.engine.types import Order, OrderStatus
from tests.helpers.venue import Venue, running_venue

PERP = "BTC/USDT:USDT"
VENUES = ("binanceusdm", "bitget")
PROTOCOL = {"binanceusdm": "binance", "bitget": "bitget"}
ACCOUNT = {"binanceusdm": "u1:usdm", "bitget": "u1:unified"}
PLACE = {"binanceusdm": "/fapi/v1/order", "bitget": "/api/v3/trade/place-order"}


@pytest.fixture
async def venue() -> AsyncIterator[Venue]:
    async with running_venue() as running:
        yield running


def placed(venue: Venue, name: str, client_id: str) -> Order | None:
    engine = venue.server.houses[PROTOCOL[name]].engine  # type: ignore[index]
    found: Order | None = engine.order(ACCOUNT[name], client_id=client_id)
    return found


def fault(venue: Venue, name: str, **fields: Any) -> None:
    venue.fault(venue=PROTOCOL[name], method="POST", endpoint=PLACE[name], count=1, **fields)


async def submit(exchange: Any, client_id: str, amount: float = 0.01, **params: Any) -> Any:
    return await exchange.create_order(
        PERP, "market", "buy", amount, params={"clientOrderId": client_id, **params}
    )


async def until(condition: Any, *, sec: float = 10.0) -> None:
    async with asyncio.timeout(sec):
        while not condition():  # noqa: ASYNC110 - the venue tells nobody
            await asyncio.sleep(0.02)


# kind, was it processed, more fields, what ccxt raises on Binance, on Bitget.
CASES: list[tuple[str, bool, dict[str, Any], type[Exception], type[Exception]]] = [
    ("request_lost", False, {}, ccxt.ExchangeNotAvailable, ccxt.ExchangeNotAvailable),
    ("reply_lost", True, {}, ccxt.ExchangeNotAvailable, ccxt.ExchangeNotAvailable),
    ("http_5xx", False, {}, ccxt.OperationFailed, ccxt.ExchangeError),
    ("http_5xx", True, {"processed": True}, ccxt.OperationFailed, ccxt.ExchangeError),
    ("truncated", True, {}, ccxt.ExchangeError, ccxt.ExchangeError),
    ("truncated", False, {"processed": False}, ccxt.ExchangeError, ccxt.ExchangeError),
    ("operation_failed", False, {}, ccxt.OperationFailed, ccxt.ExchangeError),
    ("operation_failed", True, {"processed": True}, ccxt.OperationFailed, ccxt.ExchangeError),
    ("http_429", False, {}, ccxt.DDoSProtection, ccxt.DDoSProtection),
    ("http_418", False, {}, ccxt.DDoSProtection, ccxt.ExchangeError),
]


@pytest.mark.parametrize("name", VENUES)
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[1]}")
async def test_an_order_is_or_is_not_there_after_a_fault(
    venue: Venue, name: str, case: tuple[str, bool, dict[str, Any], type[Exception], type[Exception]]
) -> None:
    kind, processed, fields, on_binance, on_bitget = case
    async with venue.trader(name) as exchange:
        await exchange.load_markets()
        fault(venue, name, kind=kind, **fields)
        with pytest.raises(on_binance if name == "binanceusdm" else on_bitget):
            await submit(exchange, "struck1")
        assert venue.server.board.struck == {kind: 1}
        order = placed(venue, name, "struck1")
        assert (order is not None) is processed
        await submit(exchange, "after1")
        after = placed(venue, name, "after1")
        assert after is not None
        assert after.status is OrderStatus.FILLED
        sent = venue.server.arrivals.sent
        assert (sent[PROTOCOL[name], "struck1"], sent[PROTOCOL[name], "after1"]) == (1, 1)  # type: ignore[index]


@pytest.mark.parametrize("processed", [True, False])
@pytest.mark.parametrize("name", VENUES)
async def test_a_page_of_html_is_an_order_without_an_id_to_ccxt(
    venue: Venue,
    name: str,
    processed: bool,  # noqa: FBT001
) -> None:
    async with venue.trader(name) as exchange:
        await exchange.load_markets()
        fault(venue, name, kind="html_200", processed=processed)
        order = await submit(exchange, "page1")
        assert order["id"] is None
        assert (placed(venue, name, "page1") is not None) is processed


@pytest.mark.parametrize("name", VENUES)
async def test_an_order_may_be_answered_without_its_id(venue: Venue, name: str) -> None:
    async with venue.trader(name) as exchange:
        await exchange.load_markets()
        fault(venue, name, kind="order_without_id")
        order = await submit(exchange, "nameless1")
        assert order["id"] is None
        assert placed(venue, name, "nameless1") is not None


@pytest.mark.parametrize("name", VENUES)
async def test_a_late_landing_is_carried_out_long_after_the_client_was_told_of_a_reset(
    venue: Venue, name: str
) -> None:
    async with venue.trader(name) as exchange:
        await exchange.load_markets()
        fault(venue, name, kind="late_landing", delay_ms=1_500)
        begin = time.monotonic()
        with pytest.raises(ccxt.ExchangeNotAvailable):
            await submit(exchange, "late1")
        assert placed(venue, name, "late1") is None
        await until(lambda: placed(venue, name, "late1") is not None)
        assert time.monotonic() - begin >= 1.4


@pytest.mark.parametrize(("processed", "there"), [(True, True), (None, False)])
@pytest.mark.parametrize("name", VENUES)
async def test_a_delayed_order_is_carried_out_before_or_after_the_wait(
    venue: Venue,
    name: str,
    processed: bool | None,  # noqa: FBT001
    there: bool,  # noqa: FBT001
) -> None:
    async with venue.trader(name) as exchange:
        await exchange.load_markets()
        fault(venue, name, kind="delay", delay_ms=2_000, processed=processed)
        sending = asyncio.create_task(submit(exchange, "delayed1"))
        await asyncio.sleep(0.7)
        assert (placed(venue, name, "delayed1") is not None) is there
        assert (await sending)["id"]
        assert placed(venue, name, "delayed1") is not None


@pytest.mark.parametrize(
    ("name", "code", "error"),
    [
        ("binanceusdm", "-2019", ccxt.InsufficientFunds),
        ("binanceusdm", "-2022", ccxt.InvalidOrder),
        ("binanceusdm", "-5022", ccxt.OrderNotFillable),
        ("binanceusdm", "-4116", ccxt.InvalidOrder),
        ("binanceusdm", "-1008", ccxt.OperationFailed),
        ("binanceusdm", "-1021", ccxt.InvalidNonce),
        ("binanceusdm", "-1015", ccxt.DDoSProtection),
        ("bitget", "25202", ccxt.ExchangeError),
        ("bitget", "40786", ccxt.ExchangeError),
        ("bitget", "40762", ccxt.InsufficientFunds),
    ],
)
async def test_a_refusal_by_code_is_in_the_venues_words_and_changes_nothing(
    venue: Venue, name: str, code: str, error: type[Exception]
) -> None:
    async with venue.trader(name) as exchange:
        await exchange.load_markets()
        fault(venue, name, kind="rejection", code=code)
        with pytest.raises(error, match=code) as raised:
            await submit(exchange, "refused1")
        assert type(raised.value) is error
        assert placed(venue, name, "refused1") is None


@pytest.mark.parametrize("name", VENUES)
async def test_a_young_order_is_not_found_by_its_client_id_for_a_while(venue: Venue, name: str) -> None:
    async with venue.trader(name) as exchange:
        await exchange.load_markets()
        venue.fault(kind="not_found_window", venue=PROTOCOL[name], window_ms=2_000)
        order = await submit(exchange, "young1")
        query = {"clientOrderId": "young1"}
        with pytest.raises(ccxt.ExchangeError):
            await exchange.fetch_order(None, PERP, query)
        assert (await exchange.fetch_order(order["id"], PERP))["id"] == order["id"]
        await asyncio.sleep(2.2)
        assert (await exchange.fetch_order(None, PERP, query))["clientOrderId"] == "young1"
        assert venue.server.board.struck == {"not_found_window": 1}


@pytest.mark.parametrize("name", VENUES)
async def test_only_a_part_of_an_order_fills_and_the_rest_expires(venue: Venue, name: str) -> None:
    async with venue.trader(name) as exchange:
        await exchange.load_markets()
        venue.fault(kind="partial_fill", venue=PROTOCOL[name], fraction=0.25, count=1)
        order = await submit(exchange, "part1", 0.04)
        found = await exchange.fetch_order(order["id"], PERP)
        assert (found["filled"], found["amount"]) == (0.01, 0.04)
        ended = placed(venue, name, "part1")
        assert ended is not None
        assert not ended.is_open
        await submit(exchange, "whole1", 0.04)
        whole = placed(venue, name, "whole1")
        assert whole is not None
        assert whole.status is OrderStatus.FILLED


async def test_one_venue_in_maintenance_leaves_the_other_alone(venue: Venue) -> None:
    async with venue.trader("binanceusdm") as one, venue.trader("bitget") as other:
        await one.load_markets()
        await other.load_markets()
        venue.fault(kind="maintenance", venue="binance")
        with pytest.raises(ccxt.OnMaintenance):
            await submit(one, "down1")
        await submit(other, "up1")
        assert placed(venue, "binanceusdm", "down1") is None
        assert placed(venue, "bitget", "up1") is not None
        venue.clear_faults()
        await submit(one, "again1")


async def test_a_venue_whose_clock_is_skewed_refuses_what_was_signed_in_time(venue: Venue) -> None:
    async with venue.trader("binanceusdm") as exchange:
        await exchange.load_markets()
        venue.fault(kind="clock_skew", venue="binance", offset_ms=-20_000)
        with pytest.raises(ccxt.InvalidNonce):
            await submit(exchange, "early1")
        assert placed(venue, "binanceusdm", "early1") is None
