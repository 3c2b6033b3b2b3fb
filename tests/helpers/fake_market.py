"""A venue in memory that keeps the `MarketData` port: scripted rows, honest paging, faults on demand.

It is no mock: calls are answered from a state of the world that moves with the clock, as a venue's are.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import msgspec

from libs.common.instant import MS_PER_HOUR, Clock
from libs.common.subjects import Kind, kind_of
from libs.exchange.port import (
    BookSeen,
    FundingSeen,
    GapSeen,
    Instrument,
    Observation,
    QuoteSeen,
    SettledSeen,
    VenueError,
)

Row = tuple[int, float]
Sink = Callable[[Observation], None]


class Listed(msgspec.Struct, kw_only=True):
    """The state of one instrument; `rows` are all its settlements, past and to come.

    Prints show `late_ms` after their settlement, stamped `jitter_ms` after it.
    """

    instrument: Instrument
    price: float = 100.0
    spread: float = 0.0002
    size: float = 50.0
    mark: float | None = None
    index: float | None = None
    rows: list[Row] = []
    interval_hours: float | None = 8.0
    jitter_ms: int = 0
    late_ms: int = 0


class FakeMarket:
    """One venue. `faults[method]` is a queue: an exception is raised, None lets a call pass.

    `left_out`: slugs that the answers of `fetch_funding` do without.
    """

    def __init__(
        self, venue: str, slugs: Sequence[str], clock: Clock, *, streams: Iterable[str] = ()
    ) -> None:
        self.venue = venue
        self.clock = clock
        self.listed = {slug: Listed(instrument=instrument_of(venue, slug)) for slug in slugs}
        self.faults: dict[str, deque[Exception | None]] = {}
        self.left_out: set[str] = set()
        self.calls: list[tuple[str, Any]] = []
        self.closed = False
        self.offset_ms = 12.0
        self._streams: frozenset[Literal["quote", "mark"]] = frozenset(
            kind for kind in ("quote", "mark") if kind in set(streams)
        )
        self._sinks: list[tuple[str, frozenset[str], Sink]] = []

    # --- scripting --------------------------------------------------------------------------------

    def fail(self, method: str, *outcomes: Exception | None) -> None:
        """The next calls of `method` end so."""
        self.faults.setdefault(method, deque()).extend(outcomes)

    def push(self, seen: Observation) -> None:
        """A stream's frame, or its gap, to everybody who streams that instrument."""
        for _, slugs, sink in self._sinks:
            if seen.instrument in slugs or isinstance(seen, GapSeen):
                sink(seen)

    def count(self, method: str) -> int:
        """How often it was called."""
        return sum(name == method for name, _ in self.calls)

    # --- the port ---------------------------------------------------------------------------------

    async def load(self) -> dict[str, Instrument]:
        self._called("load", None)
        return {slug: one.instrument for slug, one in self.listed.items()}

    async def fetch_funding(
        self, slugs: Sequence[str], *, within_sec: float | None = None
    ) -> list[FundingSeen]:
        del within_sec  # it answers at once
        self._called("fetch_funding", tuple(slugs))
        return [self.funding(slug) for slug in slugs if slug not in self.left_out]

    async def fetch_settled(self, slug: str, *, since_ms: int, until_ms: int) -> list[SettledSeen]:
        self._called("fetch_settled", (slug, since_ms))
        one, now = self.listed[slug], self.clock.now()
        shown_ms = min(until_ms, now.market_ms - one.late_ms)
        return [
            SettledSeen(
                venue=self.venue,
                instrument=slug,
                recv_us=now.wall_us,
                settled_ms=at + one.jitter_ms,
                rate=rate,
            )
            for at, rate in one.rows
            if since_ms <= at <= shown_ms
        ]

    async def fetch_quotes(self, slugs: Sequence[str]) -> list[QuoteSeen]:
        self._called("fetch_quotes", tuple(slugs))
        return [self.quote(slug) for slug in slugs]

    async def fetch_book(self, slug: str, *, depth: int = 100) -> BookSeen:
        self._called("fetch_book", slug)
        return self.book(slug, depth)

    async def fetch_clock_offset_ms(self) -> float:
        self._called("fetch_clock_offset_ms", None)
        return self.offset_ms

    def streams(self) -> frozenset[Literal["quote", "mark"]]:
        return self._streams

    async def stream(self, kind: Literal["quote", "mark"], slugs: Sequence[str], sink: Sink) -> None:
        entry = (kind, frozenset(slugs), sink)
        self._sinks.append(entry)
        try:
            await asyncio.Event().wait()
        finally:
            self._sinks.remove(entry)

    async def close(self) -> None:
        self.closed = True

    # --- observations as the venue would make them now ----------------------------------------------

    def funding(self, slug: str) -> FundingSeen:
        one, now = self.listed[slug], self.clock.now()
        ahead = next(((at, rate) for at, rate in one.rows if at > now.market_ms), None)
        return FundingSeen(
            venue=self.venue,
            instrument=slug,
            recv_us=now.wall_us,
            ts_ms=now.market_ms,
            rate=ahead[1] if ahead else None,
            interval_hours=one.interval_hours or self._interval_ahead(one, ahead),
            interval_source="endpoint",
            next_ms=ahead[0] if ahead else None,
            mark=one.price if one.mark is None else one.mark,
            index=one.price if one.index is None else one.index,
        )

    def quote(self, slug: str, *, source: Literal["stream", "poll"] = "poll") -> QuoteSeen:
        one, now = self.listed[slug], self.clock.now()
        half = one.price * one.spread / 2
        return QuoteSeen(
            venue=self.venue,
            instrument=slug,
            recv_us=now.wall_us,
            ts_ms=now.wall_us // 1_000,
            bid=one.price - half,
            ask=one.price + half,
            bid_size=one.size,
            ask_size=one.size,
            source=source,
        )

    def book(self, slug: str, depth: int = 100) -> BookSeen:
        one, now = self.listed[slug], self.clock.now()
        half = one.price * one.spread / 2
        return BookSeen(
            venue=self.venue,
            instrument=slug,
            recv_us=now.wall_us,
            ts_ms=now.wall_us // 1_000,
            bids=tuple((one.price - half * (1 + 2 * step), one.size) for step in range(min(depth, 5))),
            asks=tuple((one.price + half * (1 + 2 * step), one.size) for step in range(min(depth, 5))),
        )

    def _interval_ahead(self, one: Listed, ahead: Row | None) -> float | None:
        before = [at for at, _ in one.rows if ahead is not None and at < ahead[0]]
        return (ahead[0] - before[-1]) / MS_PER_HOUR if ahead is not None and before else None

    def _called(self, method: str, argument: object) -> None:
        self.calls.append((method, argument))
        queue = self.faults.get(method)
        if queue and (fault := queue.popleft()) is not None:
            raise fault


def instrument_of(venue: str, slug: str) -> Instrument:
    """A plain listing."""
    base, quote = slug.split("-")[:2]
    kind = kind_of(slug)
    settle = "" if kind is Kind.SPOT else quote
    symbol = f"{base}/{quote}" + (f":{settle}" if settle else "")
    return Instrument(
        venue=venue,
        slug=slug,
        symbol=symbol,
        venue_symbol=f"{base}{quote}",
        base=base,
        quote=quote,
        settle=settle or quote,
        kind=kind,
    )


def down(venue: str, error_class: str = "network", text: str = "connection refused") -> VenueError:
    """A failed call."""
    return VenueError(venue, error_class, text)
