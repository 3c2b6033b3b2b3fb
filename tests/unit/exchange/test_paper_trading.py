"""The asynchronous half: an order acts when it is released, and streams hear what happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from libs.exchange.paper.trading import PaperTrading
from libs.exchange.trading import Prepared, Trading, send_together
from libs.exchange.trading_values import (
    Done,
    FillReport,
    Found,
    NeverSent,
    NotFound,
    Side,
    TimeInForce,
    TradingEvent,
)
from tests.helpers.paper import PERP, SPOT, Market, request

BUY, SELL = Side.BUY, Side.SELL


class Desk:
    """A trading port with its market, and what its stream has told."""

    def __init__(self) -> None:
        self.market = Market()
        self.trading = PaperTrading(self.market.paper, clock=self.market.clock)
        self.market.hear = self.trading.on_message
        self.heard: list[TradingEvent] = []

    async def held(self, client_id: str, *, slug: str = PERP) -> Prepared:
        prepared = await self.trading.prepare(request(slug, BUY, "1", "1000.1", client_id=client_id))
        assert not isinstance(prepared, NeverSent)
        return prepared


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    found = Desk()
    listening = asyncio.create_task(found.trading.stream(found.heard.append))
    await asyncio.sleep(0)
    found.trading.paper.take_events()
    yield found
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)


def test_it_is_a_trading_port() -> None:
    market = Market()
    port: Trading = PaperTrading(market.paper, clock=market.clock)
    assert port.venue == "binance"


async def test_a_prepared_order_is_nowhere_until_it_is_released(desk: Desk) -> None:
    order = await desk.held("fa01")
    assert isinstance(await desk.trading.query(PERP, "fa01"), NotFound)
    order.release()
    assert isinstance(desk.trading.paper.query(PERP, "fa01", desk.market.now), Found)  # in this very turn
    outcome = await order.outcome()
    assert isinstance(outcome, Done)
    assert outcome.report.status == "filled"
    for again in (order.release, lambda: order.abandon("too late").send(None)):
        with pytest.raises(RuntimeError, match="released"):
            again()


async def test_an_order_meets_the_market_of_its_release(desk: Desk) -> None:
    order = await desk.held("fa01")
    desk.market.quote(PERP, 1009.9, 1010.1)
    order.release()
    outcome = await order.outcome()
    assert isinstance(outcome, Done)
    assert outcome.report.filled == 0


async def test_an_abandoned_order_never_was(desk: Desk) -> None:
    order = await desk.held("fa01")
    assert await order.abandon("the gate said no") == NeverSent(why="the gate said no")
    assert await order.outcome() == NeverSent(why="the gate said no")
    with pytest.raises(RuntimeError):
        order.release()
    assert isinstance(await desk.trading.query(PERP, "fa01"), NotFound)
    assert desk.heard == []


async def test_waiting_for_an_outcome_may_be_cancelled_and_asked_again(desk: Desk) -> None:
    order = await desk.held("fa01")
    waiting = asyncio.create_task(order.outcome())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    order.release()
    assert isinstance(await order.outcome(), Done)


async def test_both_legs_go_or_none(desk: Desk) -> None:
    legs = [
        await desk.trading.prepare(request(SPOT, BUY, "1", "1000.1", client_id="fa01")),
        await desk.trading.prepare(request(PERP, SELL, "0.0001", "999.9", client_id="fa02")),
    ]
    assert all(isinstance(one, NeverSent) for one in await send_together(legs))
    assert isinstance(await desk.trading.query(SPOT, "fa01"), NotFound)
    legs[1] = await desk.trading.prepare(request(PERP, SELL, "1", "999.9", client_id="fa03"))
    legs[0] = await desk.trading.prepare(request(SPOT, BUY, "1", "1000.1", client_id="fa04"))
    assert all(isinstance(one, Done) for one in await send_together(legs))


async def test_the_stream_hears_a_resting_order_fill(desk: Desk) -> None:
    await desk.trading.submit(request(PERP, BUY, "1", "990", tif=TimeInForce.GTC, client_id="fa01"))
    await asyncio.sleep(0)
    assert [type(one).__name__ for one in desk.heard] == ["OrderReport"]
    desk.market.quote(PERP, 989.0, 989.9)
    await asyncio.sleep(0)
    fills = [one for one in desk.heard if isinstance(one, FillReport)]
    assert [one.client_id for one in fills] == ["fa01"]
    assert fills == await desk.trading.fills(PERP, since_ms=0)


async def test_nothing_is_kept_for_those_who_do_not_listen() -> None:
    market = Market()
    trading = PaperTrading(market.paper, clock=market.clock)
    await trading.submit(request(PERP, BUY, "1", "1000.1"))
    assert market.paper.take_events() == []


async def test_the_connection_that_there_is_not_is_always_good(desk: Desk) -> None:
    trading = desk.trading
    assert trading.clock_offset_ms() == 0.0
    assert trading.room(PERP, urgency="poll").allowed
    assert set(await trading.load()) == {SPOT, PERP}
    warm = asyncio.create_task(trading.keep_warm())
    await asyncio.sleep(0)
    assert not warm.done()
    warm.cancel()
    await trading.close()
    assert trading.snapshot() == desk.market.paper.snapshot()
