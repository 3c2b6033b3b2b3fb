"""The feed's hands: one client per venue, opened when needed; requests in, results or failures out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec

from libs.common import subjects
from libs.common.effects import Event
from libs.common.store import Store
from libs.exchange.port import MarketData, Observation, QuoteSeen, VenueError
from services.feed.prints import watermark_key
from services.feed.source import Source
from services.feed.work import (
    Failure,
    FetchSettled,
    Loaded,
    LoadVenue,
    MeasureClock,
    Observed,
    PollBook,
    PollFunding,
    PollQuotes,
    RecallWatermarks,
    StreamKind,
    VenueRequest,
)

# Loading reads every market of a venue, a first history is several pages: calls of their own patience.
PATIENCE: Final[dict[type[VenueRequest], float]] = {LoadVenue: 6.0, FetchSettled: 6.0}

Opener = Callable[[str], Awaitable[MarketData]]
Offer = Callable[[Event], None]


class VenueClients:
    """The clients of all venues: opened at the first load, and opened again when that failed."""

    def __init__(
        self, sources: tuple[Source, ...], *, opener: Opener, store: Store, timeout_sec: float
    ) -> None:
        self._sources = {source.venue: source for source in sources}
        self._opener = opener
        self._store = store
        self._timeout_sec = timeout_sec
        self._clients: dict[str, MarketData] = {}
        self._loaded: dict[str, asyncio.Future[Loaded]] = {}

    async def handle(self, request: VenueRequest) -> Any:
        """Do it; a venue's failure is an answer, never an exception."""
        patience_sec = self._timeout_sec * PATIENCE.get(type(request), 1.0)
        try:
            async with asyncio.timeout(patience_sec):
                return await self._do(request)
        except VenueError as error:
            return Failure(
                error_class=error.error_class, text=str(error), retry_after_sec=error.retry_after_sec
            )
        except TimeoutError:
            return Failure(
                error_class="timeout", text=f"{request.venue}: no answer within {patience_sec:g} s"
            )

    async def recall(self, request: RecallWatermarks) -> dict[str, int]:
        """What was said last, from the store."""
        kept = await self._store.get(watermark_key(request.venue))
        return {} if kept is None else msgspec.json.decode(kept.value, type=dict[str, int])

    async def stream(self, venue: str, kind: StreamKind, offer: Offer) -> None:
        """Push a venue's stream until cancelled; venues that do not stream this end at once."""
        loaded = await asyncio.shield(self._future(venue))
        slugs = [slug for slug, one in loaded.instruments.items() if one.refused is None]
        if kind == "mark":
            slugs = [slug for slug in slugs if subjects.kind_of(slug) is subjects.Kind.PERP]
        if kind in loaded.streams and slugs:
            await self._clients[venue].stream(kind, slugs, LatestFirst(offer))

    async def close(self) -> None:
        """Close every client; one that fails to close does not keep the others open."""
        await asyncio.gather(*(client.close() for client in self._clients.values()), return_exceptions=True)

    def _future(self, venue: str) -> asyncio.Future[Loaded]:
        if venue not in self._loaded:
            self._loaded[venue] = asyncio.get_running_loop().create_future()
        return self._loaded[venue]

    async def _client(self, venue: str) -> MarketData:
        client = self._clients.get(venue)
        if client is None:
            client = self._clients[venue] = await self._opener(venue)
        return client

    async def _do(self, request: VenueRequest) -> Any:
        client = await self._client(request.venue)
        match request:
            case LoadVenue():
                return await self._load(request.venue, client)
            case PollFunding():
                return await client.fetch_funding(request.slugs)
            case PollQuotes():
                return await client.fetch_quotes(request.slugs)
            case PollBook():
                return await client.fetch_book(request.slug)
            case FetchSettled():
                return await client.fetch_settled(
                    request.slug, since_ms=request.since_ms, until_ms=request.until_ms
                )
            case MeasureClock():
                return await client.fetch_clock_offset_ms()
            case _:
                raise ValueError(f"no way to do {request}")

    async def _load(self, venue: str, client: MarketData) -> Loaded:
        listed = await client.load()
        wanted = {slug: listed[slug] for slug in self._sources[venue].slugs if slug in listed}
        loaded = Loaded(instruments=wanted, streams=client.streams())
        future = self._future(venue)
        if not future.done():
            future.set_result(loaded)
        return loaded


class LatestFirst:
    """A stream's sink that keeps only the newest quote of an instrument until the loop comes round.

    Venues send bursts (633 frames in 10 ms were recorded): what is already outdated when its turn
    comes need not fill the inbox. Everything but quotes goes through as it is, in order.
    """

    def __init__(self, offer: Offer) -> None:
        self._offer = offer
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[str, QuoteSeen] = {}

    def __call__(self, seen: Observation) -> None:
        if not isinstance(seen, QuoteSeen):
            self._offer(Observed(observation=seen))
            return
        if not self._waiting:
            self._loop.call_soon(self._flush)
        self._waiting[seen.instrument] = seen

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for seen in waiting.values():
            self._offer(Observed(observation=seen))
