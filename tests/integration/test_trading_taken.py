"""What a venue does to positions by itself (ADL, liquidation, delivery) is told from what an order of anybody
did, by the executor's question for it and by the user stream.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import aiohttp
import pytest

from libs.common.clock import wall_us
from libs.common.instant import ManualClock
from libs.common.memory_store import MemoryStore
from libs.exchange.live.adapter import CcxtTrading
from libs.exchange.trading import Done, FillReport, MarginMode, PositionMode, Side, TradingEvent
from services.executor.desk import Desk
from services.executor.events import FindTaken
from services.executor.gate import Bounds
from services.executor.leases import Leases
from services.executor.permit import PermitView
from services.executor.setup import Terms
from services.venue import customers
from tests.helpers.trading import PERP, an_order, config_of, price_of, trading_on
from tests.helpers.venue import Venue, running_venue

VENUES = ("binance", "bitget")
TERMS = Terms(margin_mode=MarginMode.CROSS, leverage=3, position_mode=PositionMode.ONE_WAY)
BACK_MS = 60_000


@contextlib.asynccontextmanager
async def opened(venue: Venue, name: str) -> AsyncIterator[CcxtTrading]:
    """A port that knows nothing of what another one did."""
    async with trading_on(venue.redirect, config_of(customers.told(venue.server.keys["u1"])), name) as one:
        yield one


async def sell(trading: CcxtTrading, quantity: str) -> None:
    order = an_order(PERP, Side.SELL, await price_of(trading, PERP, "0.99"), quantity=quantity)
    assert isinstance(await trading.submit(order), Done)


async def strike(venue: Venue, name: str, kind: str, **fields: Any) -> None:
    """Over the control endpoint."""
    body = {"kind": kind, "venue": name, "symbol": "BTCUSDT", **fields}
    url = f"http://127.0.0.1:{venue.server.control_port}/strike"
    async with aiohttp.ClientSession() as session, session.post(url, json=body) as answer:
        assert await answer.json() == {"hit": {name: 1}}


async def taken(trading: CcxtTrading) -> list[tuple[str, Decimal]]:
    """(cause, quantity) of what the executor's desk finds; a short is bought back."""
    desk = Desk(
        store=MemoryStore(),
        clock=ManualClock(),
        permits=PermitView(build="b1"),
        leases=Leases({}),
        bounds=Bounds(leg_notional_max=Decimal(1), collar=Decimal(1)),
        terms=TERMS,
    )
    desk.tradings[trading.venue] = trading
    since_ms = wall_us() // 1_000 - BACK_MS
    asked = FindTaken(pair="p", venue=trading.venue, instrument=PERP, since_ms=since_ms)
    found = await desk.taken(asked)
    assert {one.side for one in found} <= {Side.BUY}
    return [(one.cause, one.quantity) for one in found]


@pytest.mark.parametrize("name", VENUES)
async def test_what_the_venue_took_is_found_and_nothing_else_is(name: str) -> None:
    async with running_venue() as venue, opened(venue, name) as trading:
        await sell(trading, "0.04")
        assert await taken(trading) == []
        await strike(venue, name, "adl", fraction=0.25)
        assert await taken(trading) == [("adl", Decimal("0.01"))]
        await strike(venue, name, "manual_close", fraction=0.5)
        assert await taken(trading) == [("adl", Decimal("0.01"))], "by hand is not by the venue"
        await strike(venue, name, "liquidation")
        assert await trading.positions() == []
        found = await taken(trading)
        assert found[0] == ("adl", Decimal("0.01"))
        assert {cause for cause, _ in found[1:]} == {"liquidation"}
        assert sum(quantity for _, quantity in found[1:]) == Decimal("0.015")
        async with opened(venue, name) as other:
            assert await taken(other) == found, "a port that sent none of the orders says the same"


@pytest.mark.parametrize("name", VENUES)
async def test_a_delivery_is_told_from_an_order(name: str) -> None:
    async with running_venue() as venue, opened(venue, name) as trading:
        await sell(trading, "0.01")
        await strike(venue, name, "delisting")
        async with asyncio.timeout(15):
            while await trading.positions():  # noqa: ASYNC110 - the venue delivers at its next step
                await asyncio.sleep(0.1)
        assert await taken(trading) == [("delivery", Decimal("0.01"))]


@pytest.mark.parametrize("name", VENUES)
async def test_the_stream_tells_what_the_venue_took(name: str) -> None:
    async with running_venue() as venue, opened(venue, name) as trading:
        heard: list[TradingEvent] = []
        task = asyncio.ensure_future(trading.stream(heard.append))
        try:
            await asyncio.sleep(2)  # subscribed; nothing says when
            await sell(trading, "0.02")
            await strike(venue, name, "adl", fraction=0.5)
            await strike(venue, name, "liquidation")

            def causes() -> set[str]:
                return {one.cause for one in heard if isinstance(one, FillReport)}

            async with asyncio.timeout(15):
                while causes() != {"order", "adl", "liquidation"}:  # noqa: ASYNC110 - the stream has no event
                    await asyncio.sleep(0.05)
            told = {one.trade_id: one for one in heard if isinstance(one, FillReport)}
            read = {
                one.trade_id: one for one in await trading.fills(PERP, since_ms=wall_us() // 1_000 - BACK_MS)
            }
            assert told.keys() <= read.keys()
            for number, one in told.items():
                same = ("side", "price", "quantity", "fee", "fee_asset", "cause", "order_id")
                assert [getattr(one, name) for name in same] == [getattr(read[number], name) for name in same]
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
