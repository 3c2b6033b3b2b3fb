"""The exchange port's public half: what feed, scan and check ask a venue for, in base units.

Nothing of ccxt's vocabulary (contracts, unified symbols as ids, raw payloads) gets past this page.
Observations carry None for what the venue did not give; judging them (NaN, absurd, crossed) is the
feed's pure work, deriving intervals by the fallback order is the adapter's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from typing import Literal, Protocol

import msgspec

from libs.common.subjects import Kind

IntervalSource = Literal["rate", "endpoint", "market", "settlements"]


class Instrument(msgspec.Struct, frozen=True, kw_only=True):
    """An instrument in base units. `symbol` is the unified symbol, `venue_symbol` the venue's own.

    `contract_size` is base units per contract (1 for spot); steps and minimums are already in base
    units (quantity) and quote units (notional). `refused` names why it cannot be traded here.
    """

    venue: str
    slug: str
    symbol: str
    venue_symbol: str
    base: str
    quote: str
    settle: str
    kind: Kind
    contract_size: Decimal = Decimal(1)
    price_tick: Decimal | None = None
    quantity_step: Decimal | None = None
    quantity_min: Decimal | None = None
    quantity_max: Decimal | None = None
    market_quantity_max: Decimal | None = None
    notional_min: Decimal | None = None
    taker: Decimal | None = None
    maker: Decimal | None = None
    expiry_ms: int | None = None
    interval_hours: float | None = None
    shortable: bool = True
    refused: str | None = None


class Observation(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Something seen on a venue; `recv_us` is wall time of arrival, `ts_ms` the venue's own market stamp."""

    venue: str
    instrument: str
    recv_us: int
    ts_ms: int | None = None


class QuoteSeen(Observation, frozen=True, kw_only=True, gc=False):
    """Best bid and ask; None where the venue gave none. `mark`: of the same answer, where it had one."""

    bid: float | None
    ask: float | None
    bid_size: float | None
    ask_size: float | None
    source: Literal["stream", "poll"]
    mark: float | None = None


class BookSeen(Observation, frozen=True, kw_only=True):
    """Levels as (price, base size), best first."""

    bids: tuple[tuple[float, float], ...]
    asks: tuple[tuple[float, float], ...]


class FundingSeen(Observation, frozen=True, kw_only=True, gc=False):
    """The rate settling next, with its interval (None only when no fallback had one).

    `mark_us`: wall time at which `mark` was seen when that was earlier, in another answer.
    """

    rate: float | None
    interval_hours: float | None
    interval_source: IntervalSource | None
    next_ms: int | None
    mark: float | None = None
    index: float | None = None
    mark_us: int | None = None
    source: Literal["stream", "poll"] = "poll"


class SettledSeen(Observation, frozen=True, kw_only=True, gc=False):
    """One settled print at `settled_ms` (the venue's stamp, jitter of up to 999 ms included)."""

    settled_ms: int
    rate: float | None


class GapSeen(Observation, frozen=True, kw_only=True):
    """A stream broke and was restored: what lies between was not seen. `instrument` may be empty (all)."""

    text: str


class VenueError(Exception):
    """A call failed. `error_class` is one of network, timeout, rate_limit, auth, maintenance, bad_payload,
    not_supported, exchange, and refused for a loan that the venue says it has not carried out; the text is
    one line and free of secrets. `retry_after_sec` is the venue's own hint for a `rate_limit`: asking sooner
    makes bans longer.
    """

    retry_after_sec: float | None = None

    def __init__(self, venue: str, error_class: str, text: str) -> None:
        super().__init__(f"{venue}: {text}")
        self.venue = venue
        self.error_class = error_class


class MarketData(Protocol):
    """Public data of one venue. Every call raises `VenueError` and nothing else."""

    venue: str

    async def load(self) -> dict[str, Instrument]:
        """All linear perps, dated linear futures and spot markets by slug; spot and derivatives together."""
        ...

    async def fetch_funding(
        self, slugs: Sequence[str], *, within_sec: float | None = None
    ) -> list[FundingSeen]:
        """One observation a perpetual, None for rates that were not answered. Where a venue answers symbol by
        symbol, those first in `slugs` are asked first, and with `within_sec` the rest are left out then.
        """
        ...

    async def fetch_settled(self, slug: str, *, since_ms: int, until_ms: int) -> list[SettledSeen]:
        """Settled prints oldest first, all pages."""
        ...

    async def fetch_quotes(self, slugs: Sequence[str]) -> list[QuoteSeen]: ...

    async def fetch_book(self, slug: str, *, depth: int = 100) -> BookSeen: ...

    async def fetch_clock_offset_ms(self) -> float:
        """Venue clock minus ours in ms, by the round trip's midpoint."""
        ...

    def streams(self) -> frozenset[Literal["quote", "mark"]]:
        """Which kinds this venue streams here; the rest is polled."""
        ...

    async def stream(
        self,
        kind: Literal["quote", "mark"],
        slugs: Sequence[str],
        sink: Callable[[Observation], None],
    ) -> None:
        """Push observations until cancelled. After each reconnect: a `GapSeen`, then REST reconciliation
        of the slugs, then live frames. Retries by itself with back-off; never raises but on cancellation.
        """
        ...

    async def close(self) -> None: ...


MarketDataFactory = Callable[[str], Awaitable[MarketData]]
