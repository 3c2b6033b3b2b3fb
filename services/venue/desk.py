"""One protocol's view of the market at one instant, with the data faults of the moment worked in."""

from __future__ import annotations

from typing import Final

import msgspec

from libs.common.instant import MarketClock
from services.venue import books
from services.venue.faults import ABSURD_RATE, RATES, Board, Kind, Where
from services.venue.instruments import Instrument, Protocol
from services.venue.market import MS_PER_HOUR, Day, Market, Settled

# Books and prices change this often in wall time, everywhere at once: within a step all streams and REST
# answers of both protocols are of one instant of the price path, or a basis would show that nobody recorded.
STEP_MS: Final = 250

# Taker volume a day in USD, by how deep the book is; not recorded.
_VOLUME_USD: Final = {"BTC": 12e9, "ETH": 9e9}
_VOLUME_USD_ELSE: Final = 150e6

_CROSSED: Final = frozenset({Kind.BOOK_CROSSED})
_MULTIPLIED: Final = frozenset({Kind.WRONG_MULTIPLIER})
_INTERVAL: Final = frozenset({Kind.INTERVAL_CHANGE})
_MAINTENANCE: Final = frozenset({Kind.MAINTENANCE})
_SKEW: Final = frozenset({Kind.CLOCK_SKEW})


class Instant(msgspec.Struct, frozen=True):
    """A wall time, its market time, and the number and market time of the prices' and books' state then."""

    wall_ms: int
    market_ms: int
    step: int
    step_market_ms: int


class Funding(msgspec.Struct, frozen=True):
    """What the venue says about a perpetual's next settlement; `rate` is the text on the wire."""

    rate: str | None
    interval_hours: float
    next_ms: int


class TopOfBook(msgspec.Struct, frozen=True):
    """Prices and sizes as they stand on the wire."""

    bid: str
    bid_size: str
    ask: str
    ask_size: str


Levels = list[list[str]]


class Desk:
    """What a protocol's handlers ask. Every method takes the instant and where the answer will be seen."""

    def __init__(self, protocol: Protocol, market: Market, clock: MarketClock, board: Board) -> None:
        self.protocol = protocol
        self.market = market
        self.clock = clock
        self.board = board
        self._restated: dict[str, list[tuple[int, int, list[Settled]]]] = {}

    def instant(self, wall_ms: int) -> Instant:
        """The instant of a wall time."""
        step = wall_ms // STEP_MS
        return Instant(wall_ms, self.clock.at(wall_ms * 1_000), step, self.clock.at(step * STEP_MS * 1_000))

    def step_instant(self, step: int) -> Instant:
        """The instant at which the books took a state."""
        return self.instant(step * STEP_MS)

    def ended(self, now: Instant) -> bool:
        """Whether the exchange is in maintenance: the recording is over, or a fault says so."""
        if self.market.ended(self.protocol, now.market_ms):
            return True
        return self.board.active(_MAINTENANCE, Where(self.protocol, "market")) is not None

    def server_ms(self, now: Instant, endpoint: str) -> int:
        """The venue's clock: wall time, skewed if a fault says so."""
        fault = self.board.strike(_SKEW, Where(self.protocol, endpoint))
        return now.wall_ms + (fault.offset_ms if fault is not None else 0)

    def _where(self, instrument: Instrument, endpoint: str) -> Where:
        return Where(self.protocol, endpoint, instrument.symbol)

    # --- funding -----------------------------------------------------------------------------

    def funding(self, instrument: Instrument, now: Instant, endpoint: str) -> Funding | None:
        """The next settlement, None for a delisted perpetual."""
        found = self.market.funding(self.protocol, instrument.symbol, now.market_ms)
        if found is None:
            return None
        where = self._where(instrument, endpoint)
        rate: str | None = f"{found.rate:.8f}"
        interval, next_ms = found.interval_hours, found.next_ms
        changed = self.board.strike(_INTERVAL, where)
        if changed is not None:
            interval = changed.interval_hours
            period = int(interval * MS_PER_HOUR)
            next_ms = (now.market_ms // period + 1) * period
        match self.board.strike(RATES, where):
            case None:
                pass
            case fault:
                rate = {Kind.RATE_NULL: None, Kind.RATE_NAN: "NaN", Kind.RATE_ABSURD: ABSURD_RATE}[fault.kind]
        return Funding(rate=rate, interval_hours=interval, next_ms=next_ms)

    def settled(self, instrument: Instrument, now: Instant, *, since_ms: int, until_ms: int) -> list[Settled]:
        """Settlements up to now: the recorded ones, or what really settled where a fault changed it."""
        until = min(until_ms, now.market_ms)
        found = self.market.settled(self.protocol, instrument.symbol, since_ms=since_ms, until_ms=until)
        for begin, end, rows in self._restated.get(instrument.symbol, ()):
            found = [row for row in found if not begin < row.settled_ms <= end]
            found += [row for row in rows if since_ms <= row.settled_ms <= until]
        return sorted(found, key=lambda row: row.settled_ms)

    def restate(self, symbol: str, *, since_ms: int, until_ms: int, settled: list[Settled]) -> None:
        """What really settled in (since, until], instead of the recording's."""
        spans = self._restated.setdefault(symbol, [])
        if spans and spans[-1][1] == since_ms:
            begin, _, rows = spans.pop()
            spans.append((begin, until_ms, [*rows, *settled]))
        else:
            spans.append((since_ms, until_ms, settled))

    # --- prices ------------------------------------------------------------------------------

    def _factor(self, instrument: Instrument, endpoint: str) -> float:
        if instrument.kind != "perp":
            return 1.0
        fault = self.board.strike(_MULTIPLIED, self._where(instrument, endpoint))
        return fault.factor if fault is not None else 1.0

    def mark(self, instrument: Instrument, now: Instant, endpoint: str) -> float:
        """The mark price of this step."""
        return self.market.mark(instrument, now.step_market_ms) * self._factor(instrument, endpoint)

    def index(self, instrument: Instrument, now: Instant, endpoint: str) -> float:
        """The index price of this step."""
        return self.market.index(instrument, now.step_market_ms) * self._factor(instrument, endpoint)

    def day(self, instrument: Instrument, now: Instant) -> Day:
        """The last 24 hours."""
        return self.market.day(instrument, now.step_market_ms)

    def price(self, instrument: Instrument, now: Instant) -> float:
        """What it trades at in this step."""
        return self.market.price(instrument, now.step_market_ms)

    def volume_usd(self, instrument: Instrument) -> float:
        """Synthesised turnover of a day."""
        share = 0.15 if instrument.kind == "spot" else 1.0
        return _VOLUME_USD.get(instrument.base, _VOLUME_USD_ELSE) * share

    def top(self, instrument: Instrument, now: Instant, endpoint: str) -> TopOfBook:
        """Best bid and ask."""
        factor = self._factor(instrument, endpoint)
        quote = self.market.quote(instrument, now.step_market_ms, now.step, factor=factor)
        bid, ask = quote.bid_ticks, quote.ask_ticks
        if self.board.strike(_CROSSED, self._where(instrument, endpoint)) is not None:
            bid, ask = ask, bid
        return TopOfBook(
            bid=price_text(instrument, bid),
            bid_size=size_text(instrument, quote.bid_steps),
            ask=price_text(instrument, ask),
            ask_size=size_text(instrument, quote.ask_steps),
        )

    def book(self, instrument: Instrument, now: Instant, endpoint: str, depth: int) -> tuple[Levels, Levels]:
        """Bids and asks, best first, at most `depth` levels each."""
        factor = self._factor(instrument, endpoint)
        book = self.market.book(instrument, now.step_market_ms, now.step, factor=factor)
        bids, asks = book.bids[:depth], book.asks[:depth]
        if self.board.strike(_CROSSED, self._where(instrument, endpoint)) is not None:
            bids, asks = asks, bids
        return _levels(instrument, bids), _levels(instrument, asks)

    def raw_book(self, instrument: Instrument, step: int) -> books.Book:
        """The book's state number `step`, untampered, for the differences of a depth stream."""
        return self.market.book(instrument, self.step_instant(step).step_market_ms, step)


def price_text(instrument: Instrument, ticks: int) -> str:
    """A price of so many ticks."""
    return f"{ticks * instrument.tick:.{instrument.price_decimals}f}"


def size_text(instrument: Instrument, steps: int) -> str:
    """A quantity of so many steps."""
    return f"{steps * instrument.step:.{instrument.quantity_decimals}f}"


def rounded(instrument: Instrument, price: float) -> str:
    """A price rounded to the instrument's digits."""
    return f"{price:.{instrument.price_decimals}f}"


def _levels(instrument: Instrument, levels: tuple[tuple[int, int], ...]) -> Levels:
    return [[price_text(instrument, ticks), size_text(instrument, steps)] for ticks, steps in levels]
