"""The private stream beside what is there already: open positions, and frames that cannot be read."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Callable
from decimal import Decimal

import pytest
from ccxt.async_support.base.ws.cache import ArrayCacheBySymbolById

from libs.exchange.live.adapter import CcxtTrading
from libs.exchange.live.stream import KEPT
from libs.exchange.port import GapSeen
from libs.exchange.trading import Done, FillReport, PositionReport, Side, TradingEvent
from services.venue import customers
from tests.helpers.trading import PERP, an_order, config_of, price_of, trading_on
from tests.helpers.venue import running_venue


async def sell(trading: CcxtTrading) -> None:
    order = an_order(PERP, Side.SELL, await price_of(trading, PERP, "0.99"))
    assert isinstance(await trading.submit(order), Done)


@contextlib.asynccontextmanager
async def heard_by(trading: CcxtTrading) -> AsyncIterator[list[TradingEvent]]:
    """What the stream tells, from the moment at which it tells anything of a new position on."""
    heard: list[TradingEvent] = []
    task = asyncio.ensure_future(trading.stream(heard.append))
    try:
        await asyncio.sleep(2)  # subscribed; nothing says when
        yield heard
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(15):
        while not reached():  # noqa: ASYNC110 - the stream has no event
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("name", ["binance", "bitget"])
async def test_a_stream_that_starts_beside_an_open_position_tells_how_it_changes(name: str) -> None:
    async with running_venue() as venue:
        config = config_of(customers.told(venue.server.keys["u1"]))
        async with trading_on(venue.redirect, config, name) as trading:
            await sell(trading)
            async with heard_by(trading) as heard:
                await sell(trading)

                def grown() -> bool:
                    held = [one.quantity for one in heard if isinstance(one, PositionReport)]
                    return Decimal("-0.02") in held

                await until(grown)
                assert not [one for one in heard if isinstance(one, GapSeen)]


async def test_no_task_of_ccxts_dies_unseen_beside_open_positions() -> None:
    """Binance's margin desk begins a snapshot of positions as well, which fails on figures that are text."""
    lost: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: lost.append(f"{context['message']}: {context!r}"))
    async with running_venue() as venue:
        config = config_of(customers.told(venue.server.keys["u1"]))
        async with trading_on(venue.redirect, config, "binance") as trading:
            await sell(trading)
            async with heard_by(trading):
                await sell(trading)
            gc.collect()  # what nobody has asked for its error says so when it goes
            await asyncio.sleep(0)
    loop.set_exception_handler(None)
    assert lost == []


@pytest.mark.parametrize("name", ["binance", "bitget"])
async def test_of_what_was_told_little_is_kept(name: str) -> None:
    """Each row is some kB, and all of them are looked through ten times a second."""
    gc.collect()
    older = {id(one) for one in gc.get_objects() if isinstance(one, ArrayCacheBySymbolById)}
    async with running_venue() as venue:
        config = config_of(customers.told(venue.server.keys["u1"]))
        async with trading_on(venue.redirect, config, name) as trading, heard_by(trading) as heard:
            await sell(trading)
            await until(lambda: any(isinstance(one, FillReport) for one in heard))
            kept = [one for one in gc.get_objects() if isinstance(one, ArrayCacheBySymbolById)]
            sizes = {one._deque.maxlen for one in kept if id(one) not in older and len(one)}
    assert sizes
    assert sizes <= set(KEPT.values()), "ccxt keeps 1,000 by default"
