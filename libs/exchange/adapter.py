"""`MarketData` over ccxt: public data of one venue in base units, nothing of ccxt's words outside."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final, Literal

from libs.common.clock import mono_us
from libs.common.instant import US_PER_MS, Clock
from libs.common.subjects import SPOT, Kind
from libs.exchange.client import Client, all_of
from libs.exchange.funding import FundingReader
from libs.exchange.history import read_all
from libs.exchange.port import (
    BookSeen,
    FundingSeen,
    Instrument,
    Observation,
    QuoteSeen,
    SettledSeen,
    VenueError,
)
from libs.exchange.record import ClientSpec, Quirks, market_hours
from libs.exchange.streams import Streamer
from libs.exchange.units import float_of, instrument_of, int_of

CLOCK_SAMPLES: Final = 3
BOOK_LEVELS_MAX: Final = 100
# (client, kind, settle): what one bulk call can serve
Group = tuple[Client, Kind, list[Instrument]]


class CcxtMarketData:
    """Public data of one venue; see port.MarketData for the contract.

    `open_exchange` makes a fresh ccxt instance of a record (streams get their own), `close_shared`
    ends what all of them share.
    """

    def __init__(
        self,
        venue: str,
        quirks: Quirks,
        *,
        clock: Clock,
        open_exchange: Callable[[ClientSpec], Any],
        close_shared: Callable[[], Awaitable[None]],
    ) -> None:
        self.venue = venue
        self.quirks = quirks
        self._clock = clock
        self._open_exchange = open_exchange
        self._close_shared = close_shared
        self._clients = [Client(venue, spec, open_exchange(spec)) for spec in quirks.clients]
        self._instruments: dict[str, Instrument] = {}
        self._client_of: dict[str, Client] = {}
        self._slugs: dict[tuple[str, str], str] = {}
        self._marks: dict[str, tuple[float | None, float | None]] = {}
        self._marked_us: dict[str, int] = {}
        self._funding = FundingReader(self)
        self._timekeeper: Client | None = None

    # --- instruments --------------------------------------------------------------------------

    async def load(self) -> dict[str, Instrument]:
        """Read all markets (again); see port.MarketData.load."""
        await all_of(client.call("load", client.exchange.load_markets(True)) for client in self._clients)
        for client in self._clients:
            if not client.exchange.markets:
                raise VenueError(self.venue, "bad_payload", "load: no markets in the answer")
        self.adopt_markets()
        return self.instruments

    @property
    def instruments(self) -> dict[str, Instrument]:
        """What the last `load` found, by slug."""
        return dict(self._instruments)

    def adopt_markets(self) -> None:
        """Instruments out of the markets that the clients hold. Of two markets with one slug (an inverse one
        and a linear one) the tradable one has the name.
        """
        found: dict[str, tuple[Instrument, Client]] = {}
        for client in self._clients:
            for market in client.exchange.markets.values():
                instrument = instrument_of(
                    self.venue,
                    market,
                    interval_hours=lambda m: market_hours(self.quirks, m.get("info")),
                    spot_shortable=self.quirks.spot_shortable,
                )
                if instrument is None or instrument.kind not in client.spec.kinds:
                    continue
                known = found.get(instrument.slug)
                if known is None or known[0].refused is not None:
                    found[instrument.slug] = (instrument, client)
        self._instruments = {slug: item[0] for slug, item in found.items()}
        self._client_of = {slug: item[1] for slug, item in found.items()}
        self._slugs = {(item[1].spec.ccxt_id, item[0].symbol): slug for slug, item in found.items()}

    def instrument(self, slug: str) -> Instrument:
        """One instrument, `VenueError` (not_supported) when the venue has none of that name."""
        known = self._instruments.get(slug)
        if known is None:
            raise VenueError(self.venue, "not_supported", f"no instrument {slug} here")
        return known

    def client_of(self, slug: str) -> Client:
        """Who serves an instrument."""
        self.instrument(slug)
        return self._client_of[slug]

    def slug_of(self, client: Client, symbol: str) -> str | None:
        """The slug of a unified symbol that `client` serves."""
        return self._slugs.get((client.spec.ccxt_id, symbol))

    def groups(self, slugs: Iterable[str], *, kinds: frozenset[Kind] = frozenset(Kind)) -> list[Group]:
        """Instruments of `kinds`, grouped by what one bulk call can ask for."""
        groups: dict[tuple[str, Kind, str], Group] = {}
        for slug in dict.fromkeys(slugs):
            item = self._instruments.get(slug) or self.instrument(slug)
            kind, client = item.kind, self._client_of[slug]
            if kind in kinds:
                key = (client.spec.ccxt_id, kind, "" if kind is SPOT else item.settle)
                group = groups.get(key)
                if group is None:
                    group = groups[key] = (client, kind, [])
                group[2].append(item)
        return list(groups.values())

    def now_us(self) -> int:
        """Wall time, for `recv_us`."""
        return self._clock.now().wall_us

    def market_ms(self) -> int:
        """Market time, for deciding about settlements."""
        return self._clock.now().market_ms

    # --- funding ------------------------------------------------------------------------------

    async def fetch_funding(
        self, slugs: Sequence[str], *, within_sec: float | None = None
    ) -> list[FundingSeen]:
        """See port.MarketData; perpetuals only, other slugs have no funding and are left out."""
        return await self._funding.fetch(slugs, within_sec)

    def funding_of(self, instrument: Instrument, raw: dict[str, Any]) -> FundingSeen | None:
        """A streamed rate as an observation, with the interval known so far (None: let the poll decide)."""
        return self._funding.streamed(instrument, raw)

    async def fetch_settled(self, slug: str, *, since_ms: int, until_ms: int) -> list[SettledSeen]:
        """See port.MarketData."""
        item, client = self.instrument(slug), self.client_of(slug)
        if item.kind is not Kind.PERP:
            raise VenueError(self.venue, "not_supported", f"{slug} pays no funding")

        async def fetch(since: int | None, limit: int, params: dict[str, Any]) -> list[dict[str, Any]]:
            asked = client.exchange.fetch_funding_rate_history(item.symbol, since, limit, params)
            rows = await client.call("fetch_settled", asked)
            if not isinstance(rows, list):
                raise VenueError(self.venue, "bad_payload", "fetch_settled: no rows in the answer")
            return [row for row in rows if isinstance(row, dict)]

        prints = await read_all(
            self.quirks.history,
            fetch,
            since_ms=since_ms,
            until_ms=until_ms,
            interval_hours=self._funding.known_hours(item),
        )
        recv_us = self.now_us()
        return [
            SettledSeen(
                venue=self.venue, instrument=slug, recv_us=recv_us, ts_ms=stamp, settled_ms=stamp, rate=rate
            )
            for stamp, rate in prints
        ]

    # --- prices -------------------------------------------------------------------------------

    async def fetch_quotes(self, slugs: Sequence[str]) -> list[QuoteSeen]:
        """See port.MarketData; bulk calls, one for each product."""
        answers = await all_of(self._quotes(*group) for group in self.groups(slugs))
        return [quote for answer in answers for quote in answer]

    async def _quotes(self, client: Client, kind: Kind, items: list[Instrument]) -> list[QuoteSeen]:
        method = getattr(client.exchange, self.quirks.quote_calls[kind])
        symbols = [item.symbol for item in items]
        asked = symbols if len(symbols) <= self.quirks.quote_symbols_max else None
        params = dict(self.quirks.quote_params.get(kind, {}))
        answer = await client.call("fetch_quotes", method(asked, params))
        found = answer if isinstance(answer, dict) else {}
        tickers = [found.get(symbol) for symbol in symbols]
        if not any(isinstance(ticker, dict) for ticker in tickers):
            raise VenueError(
                self.venue,
                "bad_payload",
                f"fetch_quotes: none of {len(symbols)} {kind} symbols in the answer",
            )
        recv_us = self.now_us()  # they came together
        return [
            self.quote_of(item, ticker if isinstance(ticker, dict) else {}, source="poll", recv_us=recv_us)
            for item, ticker in zip(items, tickers, strict=True)
        ]

    def quote_of(
        self,
        item: Instrument,
        ticker: dict[str, Any],
        *,
        source: Literal["stream", "poll"],
        recv_us: int | None = None,
    ) -> QuoteSeen:
        """A ccxt ticker in base units; remembers its mark and index, which funding answers often lack."""
        slug = item.slug
        mark, index = float_of(ticker.get("markPrice")), float_of(ticker.get("indexPrice"))
        now_us = self.now_us() if recv_us is None else recv_us
        if mark is not None or index is not None:
            self._marks[slug] = (mark, index)
            self._marked_us[slug] = now_us
        size = float(item.contract_size)
        bid_size, ask_size = float_of(ticker.get("bidVolume")), float_of(ticker.get("askVolume"))
        return QuoteSeen(
            venue=self.venue,
            instrument=slug,
            recv_us=now_us,
            ts_ms=int_of(ticker.get("timestamp")),
            bid=float_of(ticker.get("bid")),
            ask=float_of(ticker.get("ask")),
            bid_size=None if bid_size is None else bid_size * size,
            ask_size=None if ask_size is None else ask_size * size,
            source=source,
            mark=mark,
        )

    def last_mark(self, slug: str) -> tuple[float | None, float | None]:
        """Mark and index of the newest ticker, None where none had them."""
        return self._marks.get(slug, (None, None))

    def marked_us(self, slug: str) -> int | None:
        """When `last_mark` was seen, in wall time."""
        return self._marked_us.get(slug)

    async def fetch_book(self, slug: str, *, depth: int = BOOK_LEVELS_MAX) -> BookSeen:
        """See port.MarketData; never more than 100 levels a side."""
        item, client = self.instrument(slug), self.client_of(slug)
        limit = min(self.quirks.book_limit_max, BOOK_LEVELS_MAX)
        book = await client.call("fetch_book", client.exchange.fetch_order_book(item.symbol, limit))
        if not isinstance(book, dict):
            raise VenueError(self.venue, "bad_payload", "fetch_book: no book in the answer")
        size, stamp = float(item.contract_size), int_of(book.get("timestamp"))
        bids, asks = (_levels(book.get(side), size)[:depth] for side in ("bids", "asks"))
        return BookSeen(
            venue=self.venue, instrument=slug, recv_us=self.now_us(), ts_ms=stamp, bids=bids, asks=asks
        )

    async def fetch_clock_offset_ms(self) -> float:
        """See port.MarketData; the sample with the shortest round trip says most."""
        client = self._open_timekeeper()
        best: tuple[int, float] | None = None
        for _ in range(CLOCK_SAMPLES):
            wall_us, started_us = self.now_us(), mono_us()
            server_ms = await client.call("fetch_clock_offset", client.exchange.fetch_time())
            round_trip_us = mono_us() - started_us
            server = float_of(server_ms)
            if server is None:
                raise VenueError(self.venue, "bad_payload", "fetch_clock_offset: no time in the answer")
            offset_ms = server - (wall_us + round_trip_us / 2) / US_PER_MS
            if best is None or round_trip_us < best[0]:
                best = (round_trip_us, offset_ms)
        return best[1] if best is not None else 0.0

    def _open_timekeeper(self) -> Client:
        """An instance of its own without limiter: a wait for one's turn would count as the venue's."""
        if self._timekeeper is None:
            spec = self.quirks.clients[-1]
            self._timekeeper = Client(self.venue, spec, self._open_exchange(spec))
            self._timekeeper.exchange.enableRateLimit = False
        return self._timekeeper

    # --- streams ------------------------------------------------------------------------------

    def streams(self) -> frozenset[Literal["quote", "mark"]]:
        """See port.MarketData."""
        return frozenset(self.quirks.streams)

    async def stream(
        self, kind: Literal["quote", "mark"], slugs: Sequence[str], sink: Callable[[Observation], None]
    ) -> None:
        """See port.MarketData."""
        if kind not in self.quirks.streams:
            raise VenueError(self.venue, "not_supported", f"no {kind} stream here: poll")
        await Streamer(self, kind, sink).run(slugs)

    def open_stream_exchange(self, client: Client) -> Any:
        """A fresh instance that shares the markets of `client`: breaking it breaks nothing else."""
        exchange = self._open_exchange(client.spec)
        exchange.set_markets_from_exchange(client.exchange)
        return exchange

    async def close(self) -> None:
        """See port.MarketData."""
        with contextlib.suppress(VenueError):  # closing tells nobody anything any more
            clients = [*self._clients, *([self._timekeeper] if self._timekeeper is not None else [])]
            await all_of(client.call("close", client.close()) for client in clients)
        await self._close_shared()


def _levels(side: Any, size: float) -> tuple[tuple[float, float], ...]:
    """(price, base size) of the levels that are levels: finite and above zero."""
    rows = side if isinstance(side, list) else []
    levels = ((float_of(row[0]), float_of(row[1])) for row in rows if isinstance(row, list) and len(row) > 1)
    return tuple(
        (price, amount * size) for price, amount in levels if price and amount and price > 0 and amount > 0
    )
