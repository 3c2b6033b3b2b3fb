"""Streams that mend themselves, over real ccxt.pro sockets: order, gaps, silence, bursts, cancellation."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any, Literal

import msgspec
import pytest
from aiohttp import web

from libs.exchange.adapter import CcxtMarketData
from libs.exchange.port import FundingSeen, GapSeen, Observation, QuoteSeen, VenueError
from libs.exchange.quirks import BINANCE, VENUES, quirks_of
from libs.exchange.record import Quirks
from tests.integration.loopback import Loopback, loopback, opened, perp

SLUG = "BTC-USDT-PERP"
MARKETS = [perp("BTC", "BTCUSDT"), perp("ETH", "ETHUSDT")]


def frame(bid: float, symbol: str = "BTCUSDT") -> str:
    row = {"e": "bookTicker", "s": symbol, "b": str(bid), "B": "1", "a": str(bid + 1), "A": "2"}
    return json.dumps(row | {"u": 1, "T": 1700000000000, "E": 1700000000001})


def ticker(bid: float, symbol: str = "BTCUSDT") -> dict[str, str]:
    return {"symbol": symbol, "bidPrice": str(bid), "bidQty": "1", "askPrice": str(bid + 1), "askQty": "2"}


def impatient(silent_sec: float) -> Quirks:
    streams = {kind: msgspec.structs.replace(s, silent_sec=silent_sec) for kind, s in BINANCE.streams.items()}
    return msgspec.structs.replace(BINANCE, streams=streams)


class Watched:
    """What a stream has pushed, and a way to wait for it."""

    def __init__(self) -> None:
        self.seen: list[Observation] = []
        self._news = asyncio.Event()

    def __call__(self, seen: Observation) -> None:
        self.seen.append(seen)
        self._news.set()

    async def until(self, enough: Callable[[list[Observation]], bool], *, within_sec: float = 15.0) -> None:
        async with asyncio.timeout(within_sec):
            while not enough(self.seen):
                self._news.clear()
                await self._news.wait()

    def bids(self) -> list[float | None]:
        return [item.bid for item in self.seen if isinstance(item, QuoteSeen)]

    def gaps(self) -> list[GapSeen]:
        return [item for item in self.seen if isinstance(item, GapSeen)]


@contextlib.asynccontextmanager
async def streaming(
    data: CcxtMarketData, slugs: list[str], kind: Literal["quote", "mark"] = "quote"
) -> AsyncIterator[Watched]:
    watched = Watched()
    task = asyncio.create_task(data.stream(kind, slugs, watched))
    try:
        yield watched
        assert not task.done(), "a stream ends by cancellation only"
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def answer_subscriptions(server: Loopback, *frames: str) -> None:
    """Confirm each subscription and push `frames` after it."""

    async def on_frame(socket: web.WebSocketResponse, text: str) -> None:
        asked = json.loads(text)
        await socket.send_str(json.dumps({"result": None, "id": asked["id"]}))
        for item in frames:
            await socket.send_str(item)

    server.on_frame = on_frame


async def test_frames_become_quotes_in_order_of_arrival() -> None:
    async with loopback() as server, opened(server, "binance", markets=MARKETS) as data:
        answer_subscriptions(server, frame(100.0))
        async with streaming(data, [SLUG]) as watched:
            await watched.until(lambda seen: len(seen) >= 1)
            await server.sockets[0].send_str(frame(101.0))
            await watched.until(lambda seen: len(seen) >= 2)
        first = watched.seen[0]
        assert isinstance(first, QuoteSeen)
        assert (first.instrument, first.bid, first.ask, first.source) == (SLUG, 100.0, 101.0, "stream")
        assert watched.bids() == [100.0, 101.0]
        [subscription] = [q["frame"] for _, q in server.asked if "SUBSCRIBE" in q.get("frame", "")][:1]
        assert "btcusdt@bookTicker" in subscription


async def test_a_burst_is_conflated_and_its_newest_state_of_every_symbol_arrives() -> None:
    async with loopback() as server, opened(server, "binance", markets=MARKETS) as data:
        burst = [frame(float(n), "BTCUSDT" if n % 2 else "ETHUSDT") for n in range(1, 401)]
        answer_subscriptions(server, *burst)
        async with streaming(data, [SLUG, "ETH-USDT-PERP"]) as watched:

            def newest(seen: list[Observation]) -> bool:
                last = {item.instrument: item.bid for item in seen if isinstance(item, QuoteSeen)}
                return last == {SLUG: 399.0, "ETH-USDT-PERP": 400.0}

            await watched.until(newest)
            assert len(watched.seen) <= 400


async def test_after_a_drop_come_a_gap_the_polled_truth_and_live_frames_again() -> None:
    async with loopback() as server, opened(server, "binance", markets=MARKETS) as data:
        answer_subscriptions(server, frame(100.0))
        server.serve("/fapi/v1/ticker/bookTicker", [ticker(150.0), ticker(7.0, "ETHUSDT")])
        async with streaming(data, [SLUG]) as watched:
            await watched.until(lambda seen: len(seen) >= 1)
            answer_subscriptions(server)  # the new connection stays quiet for now
            await server.sockets[0].close()
            await watched.until(lambda seen: len(seen) >= 3)
            await server.sockets[-1].send_str(frame(151.0))
            await watched.until(lambda seen: len(seen) >= 4)
        kinds = [type(item).__name__ for item in watched.seen]
        assert kinds == ["QuoteSeen", "GapSeen", "QuoteSeen", "QuoteSeen"]
        assert watched.bids() == [100.0, 150.0, 151.0]
        assert [item.source for item in watched.seen if isinstance(item, QuoteSeen)] == [
            "stream",
            "poll",
            "stream",
        ]
        assert watched.gaps()[0].instrument == SLUG
        assert server.connections == 2


async def test_a_gap_is_told_once_even_when_the_first_way_back_fails() -> None:
    async with loopback() as server, opened(server, "binance", markets=MARKETS) as data:
        answer_subscriptions(server, frame(100.0))
        server.serve("/fapi/v1/ticker/bookTicker", (503, "busy", {}))
        async with streaming(data, [SLUG]) as watched:
            await watched.until(lambda seen: len(seen) >= 1)
            await server.sockets[0].close()
            await server.until(lambda: server.count("bookTicker") >= 1)
            server.serve("/fapi/v1/ticker/bookTicker", [ticker(150.0)])
            await watched.until(lambda _: 150.0 in watched.bids())
            assert len(watched.gaps()) == 1


async def test_a_silent_socket_is_left_when_the_market_moved_meanwhile() -> None:
    async with (
        loopback() as server,
        opened(server, "binance", markets=MARKETS, quirks=impatient(1.0)) as data,
    ):
        answer_subscriptions(server, frame(100.0))
        server.serve("/fapi/v1/ticker/bookTicker", [ticker(150.0), ticker(7.0, "ETHUSDT")])
        async with streaming(data, [SLUG]) as watched:
            await watched.until(lambda _: bool(watched.gaps()))
            assert "silent" in watched.gaps()[0].text
            assert 150.0 in watched.bids()


async def test_a_quiet_market_is_confirmed_by_polls_and_not_reconnected() -> None:
    async with (
        loopback() as server,
        opened(server, "binance", markets=MARKETS, quirks=impatient(0.5)) as data,
    ):
        answer_subscriptions(server, frame(100.0))
        server.serve("/fapi/v1/ticker/bookTicker", [ticker(100.0), ticker(7.0, "ETHUSDT")])
        async with streaming(data, [SLUG]) as watched:
            await watched.until(lambda seen: len(seen) >= 4)
        assert watched.gaps() == []
        assert server.connections == 1
        assert set(watched.bids()) == {100.0}


async def test_nonsense_frames_end_in_reconnects_and_never_in_an_exception() -> None:
    async with (
        loopback() as server,
        opened(server, "binance", markets=MARKETS, quirks=impatient(1.0)) as data,
    ):
        answer_subscriptions(server, "{", "[]", '{"e": "bookTicker"}', '"x"', "<html>", frame(100.0))
        server.serve("/fapi/v1/ticker/bookTicker", [ticker(150.0), ticker(7.0, "ETHUSDT")])
        async with streaming(data, [SLUG]) as watched:
            await watched.until(lambda _: bool(watched.bids()))


async def test_a_venue_that_refuses_connections_is_tried_again_until_it_takes_them() -> None:
    async with loopback() as server:
        port = server.port
    gone = Loopback()
    gone.port = port
    async with opened(gone, "binance", markets=MARKETS) as data, streaming(data, [SLUG]) as watched:
        await asyncio.sleep(0.6)  # the first back-off is half a second: refused at least once
        assert watched.seen == []
        async with loopback(port) as server:
            answer_subscriptions(server, frame(100.0))
            server.serve("/fapi/v1/ticker/bookTicker", [ticker(150.0)])
            await watched.until(lambda _: 100.0 in watched.bids())


async def test_marks_carry_the_rate_and_its_next_settlement() -> None:
    next_ms = 1700006400000
    row = {
        "e": "markPriceUpdate",
        "E": 1,
        "s": "BTCUSDT",
        "p": "11794.15",
        "i": "11784.6",
        "P": "0",
        "r": "0.00038167",
    }
    premium = {
        "symbol": "BTCUSDT",
        "markPrice": "1",
        "lastFundingRate": "0.0001",
        "nextFundingTime": next_ms,
        "time": 1,
    }
    async with loopback() as server, opened(server, "binance", markets=MARKETS) as data:
        server.serve("/fapi/v1/premiumIndex", [premium])
        server.serve("/fapi/v1/fundingInfo", [{"symbol": "BTCUSDT", "fundingIntervalHours": 4}])
        await data.fetch_funding([SLUG])
        # a frame of the next but one settlement may come with another interval: the next poll prices it
        later = json.dumps(row | {"T": next_ms + 14_400_000})
        answer_subscriptions(
            server, later, json.dumps(row | {"r": None, "T": next_ms}), json.dumps(row | {"T": next_ms})
        )
        async with streaming(data, [SLUG], "mark") as watched:
            await watched.until(lambda seen: len(seen) >= 1)
        [seen] = watched.seen
        assert isinstance(seen, FundingSeen)
        assert (seen.rate, seen.interval_hours, seen.next_ms) == (0.00038167, 4.0, next_ms)
        assert (seen.mark, seen.index) == (11794.15, 11784.6)


async def test_symbols_are_spread_over_connections_by_the_chunk() -> None:
    small = msgspec.structs.replace(BINANCE.streams["quote"], chunk=1)
    quirks = msgspec.structs.replace(BINANCE, streams={"quote": small})
    async with loopback() as server, opened(server, "binance", markets=MARKETS, quirks=quirks) as data:

        async def on_frame(socket: web.WebSocketResponse, text: str) -> None:
            for name in json.loads(text)["params"]:
                await socket.send_str(frame(100.0, name.split("@")[0].upper()))

        server.on_frame = on_frame
        async with streaming(data, [SLUG, "ETH-USDT-PERP"]) as watched:
            await watched.until(lambda seen: {item.instrument for item in seen} == {SLUG, "ETH-USDT-PERP"})
        assert server.connections == 2


async def test_cancelling_closes_the_sockets() -> None:
    async with loopback() as server, opened(server, "binance", markets=MARKETS) as data:
        answer_subscriptions(server, frame(100.0))
        async with streaming(data, [SLUG]) as watched:
            await watched.until(lambda seen: len(seen) >= 1)
        await server.until(lambda: not server.sockets)


async def test_a_kind_that_the_venue_does_not_stream_is_told() -> None:
    async with loopback() as server, opened(server, "htx", markets=MARKETS) as data:
        assert data.streams() == frozenset()
        with pytest.raises(VenueError, match="no quote stream here"):
            await data.stream("quote", [SLUG], lambda _: None)


@pytest.mark.parametrize("venue", VENUES)
async def test_every_stream_of_the_table_exists_in_ccxt_pro(venue: str) -> None:
    market: Any = perp("BTC", "BTCUSDT")
    async with loopback() as server, opened(server, venue, markets=[market]) as data:
        exchange = data.client_of(SLUG).exchange
        for stream in quirks_of(venue).streams.values():
            has: dict[str, Any] = exchange.has
            name = "".join(part.capitalize() for part in stream.method.split("_"))
            assert has[name[0].lower() + name[1:]] is True
            assert isinstance(getattr(exchange, stream.store), dict)
