"""Accounts' streams through ccxt.pro: a fill is heard at once, and what the faults of user streams do."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.helpers.venue import Venue, running_venue

PERP = "BTC/USDT:USDT"
TRIES = 5
QUIET_SEC = 0.6
VENUES = ("binanceusdm", "bitget")
PROTOCOL = {"binanceusdm": "binance", "bitget": "bitget"}


@pytest.fixture
async def venue() -> AsyncIterator[Venue]:
    async with running_venue() as running:
        yield running


@contextlib.asynccontextmanager
async def heard(exchange: Any) -> AsyncIterator[asyncio.Queue[tuple[float, Any]]]:
    """(monotonic time, trade) of each trade that ccxt.pro tells, from when its stream is up."""
    trades: asyncio.Queue[tuple[float, Any]] = asyncio.Queue()

    async def listen() -> None:
        while True:
            for trade in await exchange.watch_my_trades(PERP):
                trades.put_nowait((time.monotonic(), trade))

    task = asyncio.create_task(listen())
    try:
        await asyncio.sleep(1.5)  # ccxt.pro tells nobody when it is subscribed
        yield trades
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def nothing(trades: asyncio.Queue[Any], *, sec: float = 1.5) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(sec):
            await trades.get()
        return False
    return True


@pytest.mark.parametrize("name", VENUES)
async def test_a_fill_is_heard_at_once_and_not_at_the_next_step(venue: Venue, name: str) -> None:
    async with venue.trader(name, pro=True) as exchange:
        await exchange.load_markets()
        async with heard(exchange) as trades:
            waits = []
            for _ in range(12):
                order = await exchange.create_order(PERP, "market", "buy", 0.01)
                answered = time.monotonic()
                async with asyncio.timeout(10):
                    told, trade = await trades.get()
                assert trade["order"] == order["id"]
                waits.append(told - answered)
                await asyncio.sleep(0.13)  # Bitget takes ten orders a second
                while not trades.empty():  # of an order that took several levels
                    trades.get_nowait()
    # Were it the next step's, half of the waits would be above 125 ms.
    assert sorted(waits)[6] < 0.05, waits


@pytest.mark.parametrize("name", VENUES)
async def test_a_gap_in_a_users_stream_loses_what_happened_in_it(venue: Venue, name: str) -> None:
    async with venue.trader(name, pro=True) as exchange:
        await exchange.load_markets()
        async with heard(exchange) as trades:
            venue.fault(kind="user_stream_gap", venue=PROTOCOL[name])
            lost = await exchange.create_order(PERP, "market", "buy", 0.01)
            assert await nothing(trades)
            assert venue.server.board.struck["user_stream_gap"] >= 1
            venue.clear_faults()
            order = await exchange.create_order(PERP, "market", "buy", 0.01)
            async with asyncio.timeout(10):
                _, trade = await trades.get()
            assert trade["order"] == order["id"] != lost["id"]
            assert (await exchange.fetch_order(lost["id"], PERP))["filled"] == 0.01


async def raw_user_stream(venue: Venue, exchange: Any) -> tuple[aiohttp.ClientSession, Any]:
    key = (await exchange.fapiPrivatePostListenKey())["listenKey"]
    session = venue.redirect.session()
    return session, await session.ws_connect(f"wss://fstream.binance.com/private/ws?listenKey={key}")


async def events(socket: Any) -> list[tuple[str, str]]:
    """(what, of which order) of the next events, until nothing more comes."""
    found: list[tuple[str, str]] = []
    with contextlib.suppress(TimeoutError):
        while True:
            async with asyncio.timeout(QUIET_SEC if found else 10):
                event = await socket.receive_json()
            order = event.get("o", {})
            found.append((order.get("x", event["e"]), order.get("c", "")))
    return found


async def test_a_user_stream_may_say_everything_twice_or_in_the_wrong_order(venue: Venue) -> None:
    async with venue.trader("binanceusdm") as exchange:
        await exchange.load_markets()
        session, socket = await raw_user_stream(venue, exchange)

        async def buy() -> list[tuple[str, str]]:
            await exchange.create_order(PERP, "market", "buy", 0.01, params={"clientOrderId": "a"})
            return await events(socket)

        async def said(expected: list[tuple[str, str]], **fault: Any) -> None:
            """On a busy machine a step of the venue may end between two frames of one order, and an order may
            meet two offers: one of a few tries is as the fault alone has it.
            """
            tries = []
            for _ in range(TRIES):
                venue.clear_faults()
                venue.fault(venue="binance", **fault)
                tries.append(await buy())
                if tries[-1] == expected:
                    return
            pytest.fail(f"{fault}: expected {expected}, were said {tries}")

        async with session, socket:
            (plain, _), *_ = Counter([tuple(await buy()) for _ in range(3)]).most_common(1)
            assert sorted(what for what, _ in plain) == ["ACCOUNT_UPDATE", "NEW", "TRADE", "TRADE_LITE"]
            await said([event for event in plain for _ in range(2)], kind="user_stream_duplicate")
            await said([plain[1], plain[0], *plain[2:]], kind="user_stream_reorder", count=1)
            # What waits for a next one that never comes is said at the next step.
            await said([*plain], kind="user_stream_reorder", count=4)


async def test_a_stream_of_nobodys_key_stays_silent(venue: Venue) -> None:
    async with venue.trader("binanceusdm") as exchange:
        await exchange.load_markets()
        session = venue.redirect.session()
        async with session, session.ws_connect(f"wss://fstream.binance.com/ws/{'x' * 64}") as socket:
            await exchange.create_order(PERP, "market", "buy", 0.01)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1.5):
                    await socket.receive_json()
