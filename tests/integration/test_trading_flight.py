"""Orders written by hand into ccxt's connections: once, only when released, and never beside their answer."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

import aiohttp
import msgspec
import pytest
from yarl import URL

from libs.exchange.live import flight
from libs.exchange.live.adapter import CcxtTrading
from libs.exchange.live.flight import Flight
from libs.exchange.live.held import Counted, HeldOrder
from libs.exchange.trading import Done, Found, NeverSent, NotFound, OrderRequest, QueryFailed, Side, Unknown
from services.venue import customers
from tests.helpers.tap import Tap, tapping
from tests.helpers.trading import PERP, an_order, config_of, price_of, trading_on
from tests.helpers.venue import Venue, running_venue

ORDER = {"binance": "/fapi/v1/order", "bitget": "/api/v3/trade/place-order"}
both = pytest.mark.parametrize("name", sorted(ORDER))


@contextlib.asynccontextmanager
async def opened(name: str, *, timeout_sec: float = 5.0) -> AsyncIterator[tuple[Venue, CcxtTrading, Tap]]:
    async with running_venue() as venue, tapping(venue.redirect) as tap:
        config = config_of(customers.told(venue.server.keys["u1"]), timeout_sec=timeout_sec)
        async with trading_on(tap.redirect, config, name) as trading:
            yield venue, trading, tap


async def resting(trading: CcxtTrading) -> OrderRequest:
    return an_order(PERP, Side.BUY, await price_of(trading, PERP, "0.98"))


async def prepared(trading: CcxtTrading, order: OrderRequest) -> Counted:
    held = await trading.prepare(order)
    assert isinstance(held, Counted)
    return held


@both
async def test_nothing_is_written_before_the_release_and_all_of_it_at_once(name: str) -> None:
    async with opened(name) as (_, trading, tap):
        order = await resting(trading)
        held = await prepared(trading, order)
        assert isinstance(held._held, Flight)
        await asyncio.sleep(0.2)
        assert tap.posts(order.client_id) == []
        held.release()
        with pytest.raises(Exception, match="written once"):
            held.release()
        assert isinstance(await held.outcome(), Done)
        assert len(tap.posts(order.client_id)) == 1


@both
async def test_a_connection_that_has_ended_gets_none_of_it(name: str) -> None:
    async with opened(name) as (_, trading, tap):
        order = await resting(trading)
        held = await prepared(trading, order)
        assert isinstance(held._held, Flight)
        transport = held._held._connection.transport
        assert transport is not None
        transport.abort()
        held.release()
        outcome = await held.outcome()
        assert isinstance(outcome, NeverSent)
        assert "had ended" in outcome.why
        assert tap.posts(order.client_id) == []
        assert isinstance(await trading.query(PERP, order.client_id), NotFound | QueryFailed)


@both
async def test_a_late_answer_is_nobody_else_s(name: str) -> None:
    async with opened(name, timeout_sec=0.8) as (venue, trading, _):
        first, second = await resting(trading), await resting(trading)
        venue.fault(venue=name, endpoint=ORDER[name], count=1, kind="delay", delay_ms=1_500)
        assert isinstance(await trading.submit(first), Unknown)
        done = await trading.submit(second)
        assert isinstance(done, Done)
        assert done.report.client_id == second.client_id
        await asyncio.sleep(1.2)
        found = await trading.query(PERP, first.client_id)
        assert isinstance(found, Found), "it did land"


@both
async def test_a_dropped_order_gives_its_connection_back(name: str) -> None:
    async with opened(name) as (_, trading, tap):
        await trading.submit(await resting(trading))
        count = len(tap.written)
        for _ in range(5):
            held = await prepared(trading, await resting(trading))
            await held.abandon("not now")
        assert isinstance(await trading.submit(await resting(trading)), Done)
        assert len(tap.written) <= count + 1


@both
async def test_a_cancelled_wait_leaves_it_unknown_and_its_connection_unused(name: str) -> None:
    async with opened(name) as (venue, trading, _):
        order, other = await resting(trading), await resting(trading)
        venue.fault(venue=name, endpoint=ORDER[name], count=1, kind="delay", delay_ms=500)
        held = await prepared(trading, order)
        held.release()
        waiting = asyncio.create_task(held.outcome())
        await asyncio.sleep(0.1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await asyncio.sleep(0.6)
        done = await trading.submit(other)
        assert isinstance(done, Done)
        assert done.report.client_id == other.client_id
        assert isinstance(await trading.query(PERP, order.client_id), Found)


@both
async def test_a_shape_that_ccxt_builds_otherwise_is_left_to_it(
    name: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(name) as (_, trading, tap):
        await trading.submit(await resting(trading))
        exchange = trading.places.of(PERP).trade.exchange
        exchange.headers = {"X-More": "1"}  # ccxt sends it from now on
        with caplog.at_level(logging.ERROR):
            assert isinstance(await trading.submit(await resting(trading)), Done)
        assert "in another way than before" in caplog.text
        order = await resting(trading)
        held = await prepared(trading, order)
        assert isinstance(held._held, HeldOrder), "ccxt's own way"
        held.release()
        assert isinstance(await held.outcome(), Done)
        assert b"X-More: 1" in tap.posts(order.client_id)[0]


async def test_with_another_aiohttp_everything_is_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aiohttp, "__version__", "4.0.0")
    async with opened("binance") as (_, trading, _tap):
        held = await prepared(trading, await resting(trading))
        assert isinstance(held._held, HeldOrder)
        held.release()
        assert isinstance(await held.outcome(), Done)


async def test_the_venue_s_cookies_go_with_an_order() -> None:
    async with opened("binance") as (_, trading, tap):
        order = await resting(trading)
        session = trading.places.of(PERP).trade.exchange.session
        session.cookie_jar.update_cookies({"__cf": "a b", "x": "1"}, URL("https://fapi.binance.com/"))
        assert isinstance(await trading.submit(order), Done)
        asked = aiohttp.ClientRequest(
            "GET",
            URL("https://fapi.binance.com/"),
            cookies=session.cookie_jar.filter_cookies(URL("https://fapi.binance.com/")),
            loop=asyncio.get_running_loop(),
            session=session.session,
        )
        assert f"Cookie: {asked.headers['Cookie']}\r\n".encode() in tap.posts(order.client_id)[0]


async def test_what_would_go_by_a_proxy_has_no_route() -> None:
    async with opened("binance") as (_, trading, _tap):
        held = await prepared(trading, await resting(trading))
        assert isinstance(held._held, Flight)
        route = held._held._route
        how = {"data": b"x", "headers": {}, "timeout": route.timeout, "proxy": "http://127.0.0.1:1"}
        assert flight._route(route.session, route.request.url, how) is None
        assert flight._route(route.session, route.request.url, {**how, "proxy": None}) is not None
        assert msgspec.structs.asdict(route)["timeout"].total == 5.0
        await held.abandon("done")
