"""What one evaluation reads: the legs as seen, the terms as configured, and the case that gates judge."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from libs.carry.costs import LegTerms, leg_terms, venue_id
from libs.carry.funding import SettledCarry
from libs.carry.slippage import Depth
from libs.common.config.schema import Config
from libs.common.subjects import SPOT, Kind

Direction = Literal["forward", "reverse"]
Forecast = Literal["flat", "expected"]

QUOTE_AGE_MAX_SEC: Final = 2.0
MARK_AGE_MAX_SEC: Final = 5.0
FUNDING_AGE_MAX_SEC: Final = 120.0
POLLED_INTERVALS: Final = 2.5


class LegInput(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One leg as it is seen now. None is "not known"; ages are wall-clock seconds, None where just fetched.

    `rate` (fraction for one interval of `interval_hours`, > 0: longs pay) and `next_ms` (market time of the
    next settlement) concern perpetuals alone. `depth` comes from `slippage.depth_of`, None where no book is
    known. `described` is False while the instrument's own facts are missing. `refused` and `quarantine` say
    in words why the instrument must not be used. Minimums are in quote and base units.
    """

    venue: str
    instrument: str
    kind: Kind
    bid: float | None = None
    ask: float | None = None
    rate: float | None = None
    interval_hours: float | None = None
    next_ms: int | None = None
    depth: Depth | None = None
    described: bool = True
    base: str = ""
    quote: str = ""
    settle: str = ""
    expiry_ms: int | None = None
    shortable: bool = True
    refused: str | None = None
    quarantine: str | None = None
    notional_min: float | None = None
    quantity_min: float | None = None
    quote_age_sec: float | None = None
    quote_age_max_sec: float = QUOTE_AGE_MAX_SEC
    funding_age_sec: float | None = None
    mark_age_sec: float | None = None
    mark_age_max_sec: float = MARK_AGE_MAX_SEC

    @property
    def name(self) -> str:
        """For people: `binance BTC-USDT-PERP`."""
        return f"{self.venue} {self.instrument}"


class PairTerms(msgspec.Struct, frozen=True, kw_only=True):
    """What a pair's evaluation takes from the config, worked out once per pair (`pair_terms`)."""

    pair: str
    symbol: str
    first: LegTerms
    second: LegTerms
    same_venue: bool
    forecast: Forecast
    config: Config


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One pair in one direction with every figure that the gates judge; fractions of notional, days, USD."""

    terms: PairTerms
    long: LegInput
    short: LegInput
    settled: SettledCarry | None
    market_ms: int
    notional_usd: float
    hold_days: float
    days_left: float | None
    long_mid: float | None
    short_mid: float | None
    daily: float | None
    fillable: bool
    basis_entry: float | None
    net_daily_usd: float | None
    breakeven_days: float | None
    expected_net_usd: float | None
    expected_breakeven_days: float | None
    consecutive: int


class LegCase(msgspec.Struct, frozen=True):
    """One leg as the gates judge it by itself, whatever it is paired with."""

    leg: LegInput
    mid: float | None
    market_ms: int
    notional_usd: float


class Refusal(msgspec.Struct, frozen=True):
    """Why a pair is not opened: a stable code, and a sentence for people."""

    code: str
    text: str


def legs_of(case: Case) -> tuple[LegInput, LegInput]:
    """Long, then short."""
    return case.long, case.short


def linear(leg: LegInput) -> bool:
    """Settled in the money that it is priced in; a spot market always is."""
    return leg.kind is SPOT or leg.settle == leg.quote


def percent(fraction: float) -> str:
    """A fraction for people, with the four decimals that funding needs."""
    return f"{fraction * 100:.4f} %"


def bps(fraction: float) -> str:
    """A fraction for people, in basis points."""
    return f"{fraction * 10_000:.2f} bps"


def pair_terms(
    config: Config, *, pair: str, symbol: str, first: tuple[str, Kind], second: tuple[str, Kind]
) -> PairTerms:
    """Terms of a pair whose legs are (venue slug, kind), in the order of its id."""
    return PairTerms(
        pair=pair,
        symbol=symbol,
        first=leg_terms(config.costs, *first),
        second=leg_terms(config.costs, *second),
        same_venue=venue_id(first[0]) == venue_id(second[0]),
        forecast=config.thresholds.forecast or "flat",
        config=config,
    )


def quote_age_max_sec(source: Literal["stream", "poll"], poll_interval_sec: float) -> float:
    """How old a quote may be: 2 s streamed, two and a half of its intervals polled."""
    return QUOTE_AGE_MAX_SEC if source == "stream" else POLLED_INTERVALS * poll_interval_sec


def mark_age_max_sec(poll_interval_sec: float, *, streamed: bool) -> float:
    """How old a mark price may be: 5 s streamed; a polled one cannot be younger than its polls allow."""
    return MARK_AGE_MAX_SEC if streamed else max(MARK_AGE_MAX_SEC, POLLED_INTERVALS * poll_interval_sec)
