"""What the bus has shown of one instrument's market, and the book and mark that follow from it. Pure.

**The book** is the first of these that there is:

1. `md.book` as it came, when it is at least as new as the last quote;
2. the last quote's best levels, and behind them what a book younger than `BOOK_AGE_US_MAX` shows further
   away;
3. the last quote's best levels, and behind each `SYNTHETIC_LEVELS` more of the same size, each one the
   assumed slippage (`costs.slippage_bps`, at least a tick) further away than the one before.

So a paper fill is never better than what was displayed, whatever goes beyond the displayed size costs at
least what the carry's figures assume, and nobody gets more than `1 + SYNTHETIC_LEVELS` times the displayed
size. Sizes are cut down to whole steps and prices moved away to whole ticks. A picture older than
`AGE_US_MAX` is none: the book is empty then, an order finds nothing and expires.

**The mark** of a contract is the venue's own, while it is young, else the mid; of a coin the mid.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, Decimal, localcontext
from typing import Final

import msgspec

from libs.common.instant import US_PER_SEC
from libs.common.messages import Book, Funding, Quote
from libs.common.money import PRECISION
from libs.common.subjects import SPOT
from libs.exchange.engine.commands import Levels
from libs.exchange.engine.filters import HIGHEST
from libs.exchange.engine.types import ZERO
from libs.exchange.paper.listings import FINEST, price_of
from libs.exchange.port import Instrument

AGE_US_MAX: Final = 60 * US_PER_SEC
"""Twice the default cadence of polled venues (`monitor.interval_sec`)."""

BOOK_AGE_US_MAX: Final = 15 * US_PER_SEC
"""Books come every `monitor.book_interval_sec` (10)."""

SYNTHETIC_LEVELS: Final = 3
PRINT_SLACK_MS: Final = 60_000
"""A print's stamp may differ from the announced instant by jitter, never by a minute."""


Before = tuple[tuple[int, float], ...]
"""(announced settlement, last mark that was seen before it), oldest first."""


class Depth(msgspec.Struct, frozen=True):
    """A book without own orders, best first; either half may be empty."""

    bids: Levels = ()
    asks: Levels = ()


class Picture(msgspec.Struct):
    """The last of each kind of message about one instrument, ordered by when we got them.

    `changed`: the book is another one than when it was last taken over; `emptied`: that was because of its
    age. `before`: the last two settlements.
    """

    quote: Quote | None = None
    book: Book | None = None
    mark: float | None = None
    mark_us: int = 0
    before: Before = ()
    changed: bool = False
    emptied: bool = False

    # --- what comes in ------------------------------------------------------------------------------------

    def on_quote(self, quote: Quote) -> None:
        """A repetition of the same state (same stamp, same figures) confirms it and brings nothing new."""
        old = self.quote
        if old is not None and quote.recv_us < old.recv_us:
            return
        self.quote = quote
        if old is None or _figures(old) != _figures(quote):
            self.changed = True

    def on_book(self, book: Book) -> None:
        """As `on_quote`."""
        old = self.book
        if old is not None and book.recv_us < old.recv_us:
            return
        self.book = book
        if old is None or (old.ts_ms, old.bids, old.asks) != (book.ts_ms, book.bids, book.asks):
            self.changed = True

    def on_funding(self, funding: Funding, market_ms: int) -> None:
        """Marks come with current rates; the last one before a settlement is kept: its print brings none."""
        seen_us = funding.mark_us if funding.mark_us is not None else funding.recv_us
        if funding.mark is not None and funding.mark > 0 and seen_us >= self.mark_us:
            self.mark, self.mark_us = funding.mark, seen_us
        next_ms = funding.next_ms
        if next_ms is None or self.mark is None or market_ms > next_ms:
            return
        others = tuple(one for one in self.before if one[0] != next_ms)
        self.before = (*others[-1:], (next_ms, self.mark))

    # --- what follows from it -----------------------------------------------------------------------------

    def mark_at(self, settled_ms: int) -> Decimal | None:
        """The mark of a settlement, None when nobody saw one before it."""
        found = next((mark for at, mark in self.before if abs(at - settled_ms) <= PRINT_SLACK_MS), None)
        return None if found is None else price_of(found)

    def price(self, item: Instrument, wall_us: int) -> Decimal | None:
        """The mark by which positions and coins are valued now; None before anything was seen."""
        own = None if self.mark is None or item.kind is SPOT else price_of(self.mark)
        if own is not None and wall_us - self.mark_us <= AGE_US_MAX:
            return own
        middle = self._mid()
        return middle if middle is not None else own

    def _mid(self) -> Decimal | None:
        quote, book = self.quote, self.book
        if quote is not None and (book is None or book.recv_us < quote.recv_us):
            return price_of((quote.bid + quote.ask) / 2)
        if book is not None and book.bids and book.asks:
            return price_of((book.bids[0][0] + book.asks[0][0]) / 2)
        return None

    def is_old(self, wall_us: int) -> bool:
        """Whether nothing is known of the book any more."""
        seen = [one.recv_us for one in (self.quote, self.book) if one is not None]
        return not seen or wall_us - max(seen) > AGE_US_MAX

    def depth(self, item: Instrument, slippage: Decimal, wall_us: int) -> Depth:
        """The book as this module's first lines say; empty when it would be crossed or is too old."""
        quote, book = self.quote, self.book
        if self.is_old(wall_us):
            return Depth()
        if quote is None or (book is not None and book.recv_us >= quote.recv_us):
            pairs = ((), ()) if book is None else (book.bids, book.asks)
            found = Depth(half(pairs[0], item, up=False), half(pairs[1], item, up=True))
        else:
            young = book is not None and wall_us - book.recv_us <= BOOK_AGE_US_MAX
            bids, asks = (book.bids, book.asks) if book is not None and young else (None, None)
            found = Depth(
                _from_quote((quote.bid, quote.bid_size), bids, item, slippage, up=False),
                _from_quote((quote.ask, quote.ask_size), asks, item, slippage, up=True),
            )
        crossed = found.bids and found.asks and found.bids[0][0] >= found.asks[0][0]
        return Depth() if crossed else found


def _figures(quote: Quote) -> tuple[float, ...]:
    return (quote.ts_ms, quote.bid, quote.ask, quote.bid_size, quote.ask_size)


Pairs = tuple[tuple[float, float], ...]


def half(pairs: Pairs, item: Instrument, *, up: bool) -> Levels:
    """Levels of one side in whole steps and ticks. `up`: prices rise from the best on (asks).

    What comes out of order ends it; a level of less than a step is left out.
    """
    levels: list[tuple[Decimal, Decimal]] = []
    step, tick = item.quantity_step or FINEST, item.price_tick or FINEST
    with localcontext() as context:
        context.prec = PRECISION
        for raw_price, raw_size in pairs:
            price, size = Decimal(repr(raw_price)), Decimal(repr(raw_size))
            if not (price.is_finite() and size.is_finite() and ZERO < price < HIGHEST and size < HIGHEST):
                break
            price = (price / tick).to_integral_value(ROUND_CEILING if up else ROUND_FLOOR) * tick
            size = (size / step).to_integral_value(ROUND_DOWN) * step
            if size <= 0 or price <= 0:
                continue
            if levels and price == levels[-1][0]:
                levels[-1] = (price, levels[-1][1] + size)
            elif levels and (price < levels[-1][0]) is up:
                break
            else:
                levels.append((price, size))
    return tuple(levels)


def _from_quote(
    best: tuple[float, float], behind: Pairs | None, item: Instrument, slippage: Decimal, *, up: bool
) -> Levels:
    """One side of a book that begins with a quote's best level."""
    top = half((best,), item, up=up)
    if not top:
        return ()
    if behind is not None:
        worse = tuple(pair for pair in behind if (pair[0] > best[0] if up else pair[0] < best[0]))
        found = half((best, *worse), item, up=up)
        if len(found) > 1:
            return found
    return (*top, *_further(top[0], item, slippage, up=up))


def _further(best: tuple[Decimal, Decimal], item: Instrument, slippage: Decimal, *, up: bool) -> Levels:
    """Synthetic levels behind the displayed one."""
    price, size = best
    tick = item.price_tick or FINEST
    levels: list[tuple[Decimal, Decimal]] = []
    with localcontext() as context:
        context.prec = PRECISION
        away = max((price * slippage / tick).to_integral_value(ROUND_CEILING), Decimal(1)) * tick
        for _ in range(SYNTHETIC_LEVELS):
            price = price + away if up else price - away
            if price <= 0:
                break
            levels.append((price, size))
    return tuple(levels)
