"""USD-M's user stream through unmodified ccxt.pro, and its refusals through ccxt, over the wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any

import ccxt.async_support as ccxt
import pytest

from tests.helpers.venue import Venue, running_venue

SYMBOL = "BTC/USDT:USDT"
WAIT_SEC = 15.0


@pytest.fixture
async def venue() -> AsyncIterator[Venue]:
    async with running_venue() as one:
        yield one


@pytest.fixture
async def pro(venue: Venue) -> AsyncIterator[Any]:
    async with venue.trader("binanceusdm", pro=True) as one:
        await one.load_markets()
        yield one


async def until(watch: Callable[[], Any], done: Callable[[Any], bool]) -> Any:
    """What a stream says once it says what is waited for."""
    async with asyncio.timeout(WAIT_SEC):
        while True:
            found = await watch()
            if done(found):
                return found


async def connected(pro: Any) -> list[asyncio.Task[Any]]:
    """Watchers of everything, on a stream that is open."""
    tasks = [
        asyncio.create_task(until(lambda: pro.watch_orders(SYMBOL), lambda x: x[-1]["status"] == "closed")),
        asyncio.create_task(until(lambda: pro.watch_my_trades(SYMBOL), bool)),
        asyncio.create_task(until(pro.watch_balance, lambda x: x["USDT"]["total"] != 50_000)),
        asyncio.create_task(until(lambda: pro.watch_positions([SYMBOL]), bool)),
    ]
    for _ in range(int(WAIT_SEC * 50)):
        if any("listenKey" in url and client.connection for url, client in pro.clients.items()):
            return tasks
        await asyncio.sleep(0.02)
    raise AssertionError("no user stream")


async def test_a_fill_reaches_every_watcher(pro: Any) -> None:
    tasks = await connected(pro)
    book = await pro.fetch_order_book(SYMBOL, 5)
    # So little that the best level holds it: one fill, whose fee needs no rounding.
    order = await pro.create_order(
        SYMBOL, "limit", "buy", 0.002, book["asks"][0][0] * 1.02, {"timeInForce": "IOC"}
    )
    assert order["status"] == "closed"
    orders, trades, balance, positions = await asyncio.gather(*tasks)
    assert (orders[-1]["id"], orders[-1]["filled"]) == (order["id"], 0.002)
    assert trades[-1]["order"] == order["id"]
    paid = Decimal(trades[-1]["info"]["n"])
    assert paid == (Decimal(trades[-1]["info"]["L"]) * Decimal("0.002") * Decimal("0.0005"))
    assert balance["USDT"]["total"] == float(50_000 - paid)
    assert (positions[-1]["contracts"], positions[-1]["side"]) == (0.002, "long")


REFUSALS: list[tuple[str, dict[str, Any], type[Exception], str]] = [
    ("limit", {"amount": 90}, ccxt.InsufficientFunds, "-2019"),
    ("limit", {"reduceOnly": True}, ccxt.InvalidOrder, "-2022"),
    ("limit", {"price": 1.02, "postOnly": True}, ccxt.OrderNotFillable, "-5022"),
    ("limit", {"price": 0.98, "timeInForce": "FOK"}, ccxt.OrderNotFillable, "-5021"),
    ("limit", {"price": 0.5, "side": "sell"}, ccxt.BadRequest, "-4024"),
    ("limit", {"price": 1.5}, ccxt.BadRequest, "-4016"),
    ("market", {"amount": 9_999}, ccxt.BadRequest, "-4005"),
    ("limit", {"positionSide": "LONG"}, ccxt.OperationRejected, "-4061"),
    ("limit", {"clientOrderId": "x" * 37}, ccxt.BadRequest, "-4015"),
    ("limit", {"recvWindow": 60_001}, ccxt.ExchangeError, "-1131"),
]


@pytest.mark.parametrize(("kind", "changed", "error", "code"), REFUSALS)
async def test_a_refusal_is_the_class_that_the_real_host_name_makes_of_it(
    venue: Venue, kind: str, changed: dict[str, Any], error: type[Exception], code: str
) -> None:
    async with venue.trader("binanceusdm") as exchange:
        ask = (await exchange.fetch_order_book(SYMBOL, 5))["asks"][0][0]
        params = dict(changed)
        price = ask * params.pop("price", 0.98) if kind == "limit" else None
        amount, side = params.pop("amount", 0.01), params.pop("side", "buy")
        with pytest.raises(error) as caught:
            await exchange.create_order(SYMBOL, kind, side, amount, price, params)
        assert type(caught.value) is error
        assert f'"code":{code},' in str(caught.value)


async def test_a_client_id_in_use_a_wrong_clock_and_an_overload(venue: Venue) -> None:
    async with venue.trader("binanceusdm") as exchange:
        bid = (await exchange.fetch_order_book(SYMBOL, 5))["bids"][0][0]
        order = (SYMBOL, "limit", "buy", 0.01, bid * 0.9, {"clientOrderId": "same"})
        await exchange.create_order(*order)
        with pytest.raises(ccxt.InvalidOrder, match="-4116"):
            await exchange.create_order(*order)
        exchange.options["timeDifference"] = 60_000
        with pytest.raises(ccxt.InvalidNonce, match="-1021"):
            await exchange.create_order(*order)
        exchange.options["timeDifference"] = 0
        venue.fault(kind="operation_failed", venue="binance", endpoint="/fapi/v1/order", count=1)
        with pytest.raises(ccxt.OperationFailed, match="-1008"):
            await exchange.create_order(*order)
    async with venue.trader("binanceusdm", secret="wrong") as exchange:
        with pytest.raises(ccxt.AuthenticationError, match="-1022"):
            await exchange.fetch_positions()
