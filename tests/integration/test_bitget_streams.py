"""Bitget's private stream through unmodified ccxt.pro.

The venue takes topics in the order in which they are asked for, and positions are told on subscription: who
has been told them has every topic that was asked for before.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import Any

import ccxt
import pytest

from tests.helpers.venue import Venue, running_venue

SPOT, PERP = "BTC/USDT", "BTC/USDT:USDT"
WAIT_SEC = 15


@pytest.fixture
async def venue() -> AsyncIterator[Venue]:
    async with running_venue(speed=1.0) as running:
        yield running


async def told(watching: Awaitable[Any]) -> Any:
    async with asyncio.timeout(WAIT_SEC):
        return await watching


async def test_orders_trades_positions_and_balances_are_told(venue: Venue) -> None:
    async with venue.trader("bitget") as exchange, venue.trader("bitget", pro=True) as stream:
        await exchange.load_markets()
        await stream.load_markets()
        balance = asyncio.create_task(stream.watch_balance())
        assert (await told(balance))["USDT"]["total"] == 100_000.0
        watched = [
            asyncio.create_task(stream.watch_orders()),
            asyncio.create_task(stream.watch_my_trades()),
            asyncio.create_task(stream.watch_positions()),
        ]
        await told(watched[2])  # and so the topics before it are taken
        position = asyncio.create_task(stream.watch_positions())
        placed = await exchange.create_order(PERP, "market", "buy", 0.01, None, {"clientOrderId": "mine"})

        first = (await told(watched[0]))[-1]
        assert (first["id"], first["clientOrderId"], first["symbol"]) == (placed["id"], "mine", PERP)
        trade = (await told(watched[1]))[-1]
        assert (trade["order"], trade["symbol"], trade["side"], trade["amount"]) == (
            placed["id"],
            PERP,
            "buy",
            0.01,
        )
        assert trade["fee"]["currency"] == "USDT"
        assert trade["fee"]["cost"] > 0
        row = (await told(position))[-1]
        assert (row["symbol"], row["side"], row["contracts"]) == (PERP, "long", 0.01)
        order = first
        while order["status"] != "closed":
            order = (await told(stream.watch_orders()))[-1]
        assert (order["filled"], order["remaining"]) == (0.01, 0.0)
        assert (await told(stream.watch_balance()))["USDT"]["total"] < 100_000.0


async def test_a_spot_order_is_told_under_its_own_market(venue: Venue) -> None:
    async with venue.trader("bitget") as exchange, venue.trader("bitget", pro=True) as stream:
        await exchange.load_markets()
        await stream.load_markets()
        await told(stream.watch_balance())
        orders = asyncio.create_task(stream.watch_orders(SPOT))
        await told(asyncio.create_task(stream.watch_positions()))  # and the topic before it is taken
        bid = (await exchange.fetch_ticker(SPOT))["bid"]
        price = float(exchange.price_to_precision(SPOT, bid * 0.98))
        placed = await exchange.create_order(SPOT, "limit", "buy", 0.01, price)
        order = (await told(orders))[-1]
        assert (order["id"], order["symbol"], order["status"], order["price"]) == (
            placed["id"],
            SPOT,
            "open",
            price,
        )
        canceled = asyncio.create_task(stream.watch_orders(SPOT))
        await exchange.cancel_order(placed["id"], SPOT)
        assert (await told(canceled))[-1]["status"] == "canceled"


@pytest.mark.parametrize(
    ("config", "code"),
    [({"apiKey": "bg_nobody"}, "30011"), ({"password": "wrong"}, "30012"), ({"secret": "wrong"}, "30015")],
)
async def test_a_wrong_key_cannot_log_in(venue: Venue, config: dict[str, str], code: str) -> None:
    async with venue.trader("bitget", pro=True, **config) as stream:
        await stream.load_markets()
        with pytest.raises(ccxt.AuthenticationError, match=code):
            await told(stream.watch_orders())
