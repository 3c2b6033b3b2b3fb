"""The adapter on the simulated venue: two protocols, redirected by host name, with faults in between."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from libs.common.clock import SystemClock
from libs.common.config.schema import Config
from libs.common.instant import MS_PER_DAY, MS_PER_HOUR
from libs.common.subjects import Kind
from libs.exchange.factory import open_market_data
from libs.exchange.port import GapSeen, MarketData, Observation, QuoteSeen, VenueError
from libs.exchange.redirect import Redirect
from services.venue.main import launch
from services.venue.server import VenueServer

VENUES = ("binance", "bitget")


class World:
    """A running venue, and the way to it."""

    def __init__(self, server: VenueServer, folder: Path) -> None:
        self.server = server
        self.redirect = Redirect.from_runtime_dir(folder)
        self.clock = SystemClock(server.clock)

    async def open(self, venue: str) -> MarketData:
        return await open_market_data(venue, config=Config(), clock=self.clock, redirect=self.redirect)


@pytest.fixture
async def start(tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    servers: list[VenueServer] = []

    async def launched(*faults: dict[str, Any], **options: str) -> World:
        env = {"FUNDARB_RUNTIME_DIR": str(tmp_path)}
        env |= {f"FUNDARB_VENUE_{name.upper()}": value for name, value in options.items()}
        if faults:
            env["FUNDARB_VENUE_FAULTS"] = json.dumps({"seed": 1, "faults": list(faults)})
        servers.append(await launch(env))
        return World(servers[-1], tmp_path)

    yield launched
    for server in servers:
        await server.stop()


@pytest.mark.parametrize("venue", VENUES)
async def test_a_venue_answers_everything_that_the_port_asks(start: Any, venue: str) -> None:
    world = await start(speed="60")
    data = await world.open(venue)
    try:
        found = await data.load()
        perps = [slug for slug, item in found.items() if item.kind is Kind.PERP]
        assert len(perps) >= 10
        assert all(item.quantity_step and item.price_tick for item in found.values())
        assert all(found[slug].quantity_max and found[slug].market_quantity_max for slug in perps)
        now_ms = world.clock.now().market_ms
        for seen in await data.fetch_funding(perps):
            assert seen.rate is not None
            assert seen.interval_hours in (1.0, 2.0, 4.0, 8.0)
            assert seen.next_ms is not None
            assert seen.interval_hours is not None
            assert now_ms - 60_000 < seen.next_ms <= now_ms + seen.interval_hours * MS_PER_HOUR + 60_000
        quotes = await data.fetch_quotes(list(found))
        assert {quote.instrument for quote in quotes} == set(found)
        assert all(quote.bid and quote.ask and quote.bid < quote.ask for quote in quotes)
        book = await data.fetch_book(perps[0])
        assert book.bids[0][0] < book.asks[0][0]
        assert list(book.bids) == sorted(book.bids, reverse=True)
        settled = await data.fetch_settled(perps[0], since_ms=now_ms - 31 * MS_PER_DAY, until_ms=now_ms)
        stamps = [item.settled_ms for item in settled]
        assert len(stamps) > 60
        assert stamps == sorted(set(stamps))
        assert abs(await data.fetch_clock_offset_ms()) < 1_000
    finally:
        await data.close()


@pytest.mark.parametrize("venue", VENUES)
async def test_quotes_stream_and_come_back_after_the_connection_is_cut(start: Any, venue: str) -> None:
    world = await start({"kind": "ws_disconnect", "venue": venue, "after_sec": 3.0, "count": 1}, speed="60")
    data = await world.open(venue)
    seen: list[Observation] = []
    try:
        await data.load()
        task = asyncio.create_task(data.stream("quote", ["BTC-USDT-PERP"], seen.append))
        async with asyncio.timeout(25):
            while not any(isinstance(item, GapSeen) for item in seen[:-3]):  # noqa: ASYNC110 - a list has no event
                await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    finally:
        await data.close()
    at = next(index for index, item in enumerate(seen) if isinstance(item, GapSeen))
    before, after = seen[:at], seen[at + 1 :]
    assert all(isinstance(item, QuoteSeen) and item.source == "stream" for item in before)
    assert isinstance(after[0], QuoteSeen)
    assert after[0].source == "poll"
    assert any(isinstance(item, QuoteSeen) and item.source == "stream" for item in after)


@pytest.mark.parametrize(
    ("kind", "error_class"),
    [
        ("html_200", "bad_payload"),
        ("truncated", None),
        ("http_429", "rate_limit"),
        ("http_5xx", None),
        ("drop", "network"),
    ],
)
@pytest.mark.parametrize("venue", VENUES)
async def test_transport_faults_reach_us_as_venue_errors(
    start: Any, venue: str, kind: str, error_class: str | None
) -> None:
    world = await start({"kind": kind, "venue": venue}, speed="60")
    data = await world.open(venue)
    try:
        with pytest.raises(VenueError) as caught:
            await data.load()
        if error_class is not None:
            assert caught.value.error_class == error_class, str(caught.value)
    finally:
        await data.close()


@pytest.mark.parametrize("kind", ["rate_null", "rate_nan", "rate_absurd"])
@pytest.mark.parametrize("venue", VENUES)
async def test_nonsense_rates_pass_as_none_or_as_they_are_for_the_feed_to_judge(
    start: Any, venue: str, kind: str
) -> None:
    world = await start({"kind": kind, "venue": venue}, speed="60")
    data = await world.open(venue)
    try:
        found = await data.load()
        perps = [slug for slug, item in found.items() if item.kind is Kind.PERP]
        seen = await data.fetch_funding(perps)
        if kind == "rate_absurd":
            assert any(item.rate is not None and abs(item.rate) > 1 for item in seen)
        else:
            assert any(item.rate is None for item in seen)
    finally:
        await data.close()


async def test_a_host_that_is_not_mapped_is_not_reached(start: Any) -> None:
    world = await start()
    data = await world.open("okx")
    try:
        with pytest.raises(VenueError) as caught:
            await data.load()
        assert caught.value.error_class == "network"
    finally:
        await data.close()
