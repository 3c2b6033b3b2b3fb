"""The state of the market at a market time. Pure: a recording, a seed and a time decide everything.

A perpetual's current rate is the one that settles next in its recorded series; missing settlements stay
missing; nothing wraps around: when a protocol's series end, its market has ended (`ended`).
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from typing import Final

import msgspec

from services.venue import books, instruments, prices
from services.venue.dice import Dice
from services.venue.instruments import Instrument, Kind, Protocol
from services.venue.recording import SOURCE_OF, Recording, Series

MS_PER_HOUR: Final = 3_600_000
MS_PER_DAY: Final = 24 * MS_PER_HOUR
# A delisted perpetual stays visible as SETTLING for a week, then it is gone.
SETTLING_MS: Final = 7 * MS_PER_DAY
# Series ending within a day of the last one were cut by the recorder, not delisted by the exchange.
SAME_END_MS: Final = MS_PER_DAY

# Basis starts 2023-01-01: read this much earlier than the sample's time it never runs over its end.
OWN_BASIS_LAG_STEPS: Final = 2_737

# Half a day before the crash of 2025-10-10/11, with 49 days of history before it and ten months after.
DEFAULT_START_MS: Final = 1_760_040_000_000  # 2025-10-09 20:00 UTC


class FundingNow(msgspec.Struct, frozen=True):
    """The rate that settles next; a fraction for one interval."""

    rate: float
    interval_hours: float
    next_ms: int


class Settled(msgspec.Struct, frozen=True):
    """A settlement that has happened."""

    settled_ms: int
    rate: float
    interval_hours: float
    mark: float


class Day(msgspec.Struct, frozen=True):
    """The last 24 hours."""

    open: float
    high: float
    low: float
    last: float


class Market:
    """Both protocols' instruments and prices over one recording."""

    def __init__(self, recording: Recording, *, seed: int = 0) -> None:
        self.recording = recording
        self.seed = seed
        self._paths = self._price_paths()
        self._series: dict[tuple[Protocol, str], Series] = {}
        self._instruments: dict[tuple[Protocol, Kind, str], Instrument] = {}
        self._ends: dict[Protocol, int] = {}
        self._pushes: dict[tuple[Protocol, str], list[tuple[int, float]]] = {}
        self.revision = 0
        for protocol in ("binance", "bitget"):
            self._list(protocol)

    def _price_paths(self) -> dict[str, prices.Path]:
        """One path per coin: Binance's marks, or any other source's, or a walk."""
        paths: dict[str, prices.Path] = {}
        by_preference = sorted(self.recording.series.values(), key=lambda series: series.source != "binance")
        for series in by_preference:
            path = prices.recorded(series.stamps_ms, series.marks)
            if path is not None:
                paths.setdefault(series.base, path)
        for series in by_preference:
            if series.base not in paths:
                dice = Dice(self.seed, f"walk {series.base}")
                paths[series.base] = prices.walk(series.stamps_ms, start=1.0, dice=dice)
        return paths

    def _list(self, protocol: Protocol) -> None:
        source = SOURCE_OF[protocol]
        mine = [series for (venue, _), series in self.recording.series.items() if venue == source]
        last_ms = max(series.stamps_ms[-1] for series in mine)
        self._ends[protocol] = min(
            series.stamps_ms[-1] for series in mine if series.stamps_ms[-1] > last_ms - SAME_END_MS
        )
        for series in mine:
            path = self._paths[series.base]
            window = (series.stamps_ms[0] - int(series.hours[0] * MS_PER_HOUR), series.stamps_ms[-1])
            self._series[protocol, series.symbol] = series
            for kind in ("spot", "perp"):
                self._instruments[protocol, kind, series.symbol] = instruments.make(
                    protocol,
                    kind,
                    series.symbol,
                    series.base,
                    prices=(min(path.prices), max(path.prices)),
                    window_ms=window,
                    recorded=self.recording.filters.get((kind, series.symbol)),
                )

    # --- what exists -------------------------------------------------------------------------

    def span_ms(self, protocol: Protocol) -> tuple[int, int]:
        """First settlement and end of a protocol's market."""
        mine = [series for (p, _), series in self._series.items() if p == protocol]
        return min(series.stamps_ms[0] for series in mine), self._ends[protocol]

    def ended(self, protocol: Protocol, market_ms: int) -> bool:
        """Whether the recording is over: the venue is in maintenance for good."""
        return market_ms >= self._ends[protocol]

    def listed(self, protocol: Protocol, kind: Kind, market_ms: int) -> list[Instrument]:
        """Instruments to be seen at a time, delisted ones for another week, by symbol."""
        return sorted(
            (
                found
                for (p, k, _), found in self._instruments.items()
                if p == protocol and k == kind and found.listed_ms <= market_ms < found.ended_ms + SETTLING_MS
            ),
            key=lambda instrument: instrument.symbol,
        )

    def find(self, protocol: Protocol, kind: Kind, symbol: str, market_ms: int) -> Instrument | None:
        """The instrument of a symbol, None when it is not to be seen at that time."""
        found = self._instruments.get((protocol, kind, symbol))
        if found is None or not found.listed_ms <= market_ms < found.ended_ms + SETTLING_MS:
            return None
        return found

    def known(self, protocol: Protocol, kind: Kind, symbol: str) -> Instrument | None:
        """The instrument of a symbol whether it is to be seen or not; None when there never was one."""
        return self._instruments.get((protocol, kind, symbol))

    def all(self, protocol: Protocol) -> list[Instrument]:
        """Everything that a protocol ever lists."""
        return [found for (p, _, _), found in self._instruments.items() if p == protocol]

    def replace(self, instrument: Instrument) -> None:
        """Other filters or another end for an instrument; `revision` tells who keeps copies."""
        self._instruments[instrument.protocol, instrument.kind, instrument.symbol] = instrument
        self.revision += 1

    @staticmethod
    def trading(instrument: Instrument, market_ms: int) -> bool:
        """Whether it trades, i.e. has not been delisted."""
        return market_ms < instrument.ended_ms

    # --- funding -----------------------------------------------------------------------------

    def funding(self, protocol: Protocol, symbol: str, market_ms: int) -> FundingNow | None:
        """The rate settling strictly after `market_ms`, None when there is no next settlement."""
        series = self._series[protocol, symbol]
        i = bisect_right(series.stamps_ms, market_ms)
        if i == len(series.stamps_ms):
            return None
        return FundingNow(series.rates[i], series.hours[i], series.stamps_ms[i])

    def settled(self, protocol: Protocol, symbol: str, *, since_ms: int, until_ms: int) -> list[Settled]:
        """Settlements with since <= time <= until, oldest first; a settlement has happened at its stamp."""
        series = self._series[protocol, symbol]
        begin = bisect_left(series.stamps_ms, since_ms)
        end = bisect_right(series.stamps_ms, until_ms)
        path = self._paths[series.base]
        return [
            Settled(stamp, series.rates[i], series.hours[i], path.at(stamp))
            for i, stamp in enumerate(series.stamps_ms[begin:end], start=begin)
        ]

    # --- prices ------------------------------------------------------------------------------

    def push(self, protocol: Protocol, base: str, factor: float, since_ms: int) -> float:
        """From a market time on all prices of a coin at one protocol are `factor` times as high; answers by
        how much they are pushed altogether. KeyError for a coin that is not there.
        """
        if base not in self._paths:
            raise KeyError(base)
        pushes = self._pushes.setdefault((protocol, base), [])
        pushes.append((since_ms, factor))
        return math.prod(one for _, one in pushes)

    def _pushed(self, instrument: Instrument, market_ms: int) -> float:
        pushes = self._pushes.get((instrument.protocol, instrument.base), ())
        return math.prod(factor for since_ms, factor in pushes if since_ms <= market_ms)

    def mark(self, instrument: Instrument, market_ms: int) -> float:
        """The perpetual's mark."""
        return self._paths[instrument.base].at(market_ms) * self._pushed(instrument, market_ms)

    def index(self, instrument: Instrument, market_ms: int) -> float:
        """The spot price, which is also the perpetual's index: mark / (1 + basis)."""
        return self.mark(instrument, market_ms) / (1.0 + self._basis(instrument, market_ms))

    def _basis(self, instrument: Instrument, market_ms: int) -> float:
        source = SOURCE_OF[instrument.protocol]
        own = self.recording.basis.get((source, instrument.base))
        if own is not None:
            first_step = 1_672_531_200_000 // own.step_ms  # 2023-01-01, where the recorded basis starts
            return prices.basis_at(own, market_ms, offset_steps=-first_step - OWN_BASIS_LAG_STEPS)
        btc = self.recording.basis[source, "BTC"]
        offset = int(Dice(self.seed, f"basis {instrument.base}").uniform() * len(btc.values))
        return prices.basis_at(btc, market_ms, offset_steps=offset)

    def price(self, instrument: Instrument, market_ms: int) -> float:
        """What it trades at: the mark of a perpetual, the index of a spot market."""
        return (
            self.mark(instrument, market_ms)
            if instrument.kind == "perp"
            else self.index(instrument, market_ms)
        )

    def day(self, instrument: Instrument, market_ms: int) -> Day:
        """Open, extremes and last price of the 24 hours before `market_ms`."""
        begin = market_ms - MS_PER_DAY
        low, high = self._paths[instrument.base].range(begin, market_ms)
        opened, last = self.price(instrument, begin), self.price(instrument, market_ms)
        return Day(open=opened, high=max(high, opened, last), low=min(low, opened, last), last=last)

    # --- books -------------------------------------------------------------------------------

    def _dice(self, instrument: Instrument, step: int) -> Dice:
        return Dice(self.seed + step, f"{instrument.protocol} {instrument.kind} {instrument.symbol}")

    def quote(self, instrument: Instrument, market_ms: int, step: int, *, factor: float = 1.0) -> books.Quote:
        """Best levels at a market time; `step` numbers the book's states, `factor` scales the price."""
        statistics = self.recording.books[books.statistics_name(instrument)]
        mid = self.price(instrument, market_ms) * factor
        return books.quote(instrument, statistics, mid, self._dice(instrument, step))

    def book(self, instrument: Instrument, market_ms: int, step: int, *, factor: float = 1.0) -> books.Book:
        """The whole book of the same state."""
        statistics = self.recording.books[books.statistics_name(instrument)]
        mid = self.price(instrument, market_ms) * factor
        return books.book(instrument, statistics, mid, self._dice(instrument, step))
