"""The hands: failures become answers, streams keep the newest quote, clients are opened once."""

from __future__ import annotations

import asyncio

import pytest

from libs.common.effects import Event
from libs.common.memory_store import MemoryStore
from libs.exchange.port import FundingSeen, MarketData, QuoteSeen
from services.feed.clients import LatestFirst, VenueClients
from services.feed.source import sources_of
from services.feed.work import (
    Failure,
    Loaded,
    LoadVenue,
    MeasureClock,
    Observed,
    PollQuotes,
    RecallWatermarks,
)
from tests.helpers.fake_market import FakeMarket, down
from tests.unit.feed.rig import PERP, SPOT, clock_at, config_of, market_of


class Hands:
    """Clients over one scripted venue."""

    def __init__(self, *, streams: tuple[str, ...] = ()) -> None:
        self.market: FakeMarket = market_of("bybit", clock_at(), streams=streams)
        self.opened = 0
        self.store = MemoryStore()
        self.clients = VenueClients(
            sources_of(config_of("bybit")), opener=self.open, store=self.store, timeout_sec=5.0
        )

    async def open(self, venue: str) -> MarketData:
        assert venue == "bybit"
        self.opened += 1
        return self.market


async def test_loading_keeps_what_is_wanted_and_opens_once() -> None:
    hands = Hands(streams=("quote",))
    loaded = await hands.clients.handle(LoadVenue(venue="bybit"))
    await hands.clients.handle(LoadVenue(venue="bybit"))
    assert isinstance(loaded, Loaded)
    assert list(loaded.instruments) == [SPOT, PERP]
    assert loaded.streams == {"quote"}
    assert hands.opened == 1


async def test_a_failure_is_an_answer() -> None:
    hands = Hands()
    limited = down("bybit", "rate_limit", "slow down")
    limited.retry_after_sec = 7.0
    hands.market.fail("fetch_quotes", limited, TimeoutError())
    request = PollQuotes(venue="bybit", slugs=(SPOT,))
    first = await hands.clients.handle(request)
    assert first == Failure(error_class="rate_limit", text="bybit: slow down", retry_after_sec=7.0)
    second = await hands.clients.handle(request)
    assert isinstance(second, Failure)
    assert (second.error_class, second.retry_after_sec) == ("timeout", None)
    assert [one.instrument for one in await hands.clients.handle(request)] == [SPOT]


async def test_a_defect_is_no_venue_failure() -> None:
    hands = Hands()
    hands.market.fail("fetch_clock_offset_ms", ZeroDivisionError("a bug"))
    with pytest.raises(ZeroDivisionError):
        await hands.clients.handle(MeasureClock(venue="bybit"))


async def test_watermarks_come_from_the_store() -> None:
    hands = Hands()
    assert await hands.clients.recall(RecallWatermarks(venue="bybit")) == {}
    await hands.store.put("feed:settled:bybit", b'{"INJ-USDT-PERP":5}')
    assert await hands.clients.recall(RecallWatermarks(venue="bybit")) == {PERP: 5}


async def test_a_burst_leaves_the_newest_quote_of_each_and_every_rate() -> None:
    offered: list[Event] = []
    market = Hands().market
    sink = LatestFirst(offered.append)
    for price in range(100, 200):
        market.listed[PERP].price = float(price)
        sink(market.quote(PERP, source="stream"))
        sink(market.quote(SPOT, source="stream"))
    sink(market.funding(PERP))
    sink(market.funding(PERP))
    await asyncio.sleep(0)
    seen = [event.observation for event in offered if isinstance(event, Observed)]
    quotes = [one for one in seen if isinstance(one, QuoteSeen)]
    assert [one.instrument for one in quotes] == [PERP, SPOT]
    assert quotes[0].bid == pytest.approx(199.0, rel=1e-3)
    assert sum(isinstance(one, FundingSeen) for one in seen) == 2


async def test_streams_start_with_the_instruments_and_end_when_told() -> None:
    hands = Hands(streams=("quote",))
    offered: list[Event] = []
    quotes = asyncio.create_task(hands.clients.stream("bybit", "quote", offered.append))
    marks = asyncio.create_task(hands.clients.stream("bybit", "mark", offered.append))
    await asyncio.sleep(0)
    hands.market.push(hands.market.quote(SPOT, source="stream"))
    assert not offered  # nothing is known yet
    await hands.clients.handle(LoadVenue(venue="bybit"))
    await asyncio.sleep(0.01)
    assert marks.done()  # this venue does not stream marks
    hands.market.push(hands.market.quote(SPOT, source="stream"))
    await asyncio.sleep(0)
    assert len(offered) == 1
    quotes.cancel()
    with pytest.raises(asyncio.CancelledError):
        await quotes
    await hands.clients.close()
    assert hands.market.closed
