"""Orders, trades and balances of spot and margin as unmodified ccxt.pro hears them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from tests.helpers.venue import Venue, running_venue

SYMBOL = "BTC/USDT"
WAIT_SEC = 20.0


@pytest.fixture
async def venue() -> AsyncIterator[Venue]:
    async with running_venue(deposits="binance.spot.USDT=50000,binance.margin.USDT=20000") as running:
        yield running


async def until(watch: Callable[[], Any], wanted: Callable[[Any], bool]) -> Any:
    """What a watching call gives first that is wanted."""
    async with asyncio.timeout(WAIT_SEC):
        while not wanted(found := await watch()):
            pass
    return found


async def listening(exchange: Any, kind: str) -> None:
    """Subscribe and wait for the subscription."""
    await exchange.load_markets()
    async with asyncio.timeout(WAIT_SEC):
        await exchange.authenticate({"type": kind})


@pytest.mark.parametrize("kind", ["spot", "margin"])
async def test_an_order_s_life_is_heard(venue: Venue, kind: str) -> None:
    params = {"type": kind}
    mode = {"marginMode": "cross"} if kind == "margin" else {}
    async with venue.trader("binance", pro=True) as exchange:
        await listening(exchange, kind)
        orders = asyncio.create_task(
            until(
                lambda: exchange.watch_orders(None, None, None, params),
                lambda found: found[-1]["status"] == "canceled",
            )
        )
        trades = asyncio.create_task(exchange.watch_my_trades(None, None, None, params))
        balances = asyncio.create_task(
            until(
                lambda: exchange.watch_balance(params),
                lambda found: found.get("BTC", {}).get("free") == 0.00999,
            )
        )
        await asyncio.sleep(0)
        bought = await exchange.create_order(
            SYMBOL, "market", "buy", 0.01, None, {**mode, "clientOrderId": "fa1"}
        )
        async with asyncio.timeout(WAIT_SEC):
            heard = await trades
            balance = await balances
        assert [one["order"] for one in heard] == [bought["id"]] * len(heard)
        assert heard[0]["fee"]["currency"] == "BTC"
        assert balance["BTC"]["free"] == 0.00999
        rests = await exchange.create_order(
            SYMBOL, "limit", "buy", 0.01, 90_000, {**mode, "clientOrderId": "fa2"}
        )
        await exchange.cancel_order(rests["id"], SYMBOL, mode)
        async with asyncio.timeout(WAIT_SEC):
            heard = await orders
        last = heard[-1]
        assert (last["id"], last["clientOrderId"], last["status"]) == (rests["id"], "fa2", "canceled")


async def test_a_transfer_is_heard_as_a_balance(venue: Venue) -> None:
    async with venue.trader("binance", pro=True) as exchange:
        await listening(exchange, "spot")
        task = asyncio.create_task(
            until(
                lambda: exchange.watch_balance({"type": "spot"}),
                lambda found: found.get("USDT", {}).get("free") == 49_000,
            )
        )
        await asyncio.sleep(0)
        await exchange.transfer("USDT", 1_000, "spot", "swap")
        assert (await task)["USDT"]["free"] == 49_000


async def test_a_fill_is_heard_at_once_not_at_the_next_step(venue: Venue) -> None:
    """The push of an order's report does not wait for the market's step: many land well within one."""
    async with venue.trader("binance", pro=True) as exchange:
        await listening(exchange, "spot")
        delays = []
        loop = asyncio.get_running_loop()
        for number in range(8):
            name = f"fa{number}"
            task = asyncio.create_task(
                until(exchange.watch_my_trades, lambda found: found[-1]["info"]["c"] == name)  # noqa: B023
            )
            await asyncio.sleep(0)
            await exchange.create_order(SYMBOL, "market", "buy", 0.001, None, {"clientOrderId": name})
            answered = loop.time()
            await task
            delays.append(loop.time() - answered)
        assert sorted(delays)[len(delays) // 2] < 0.05, delays
