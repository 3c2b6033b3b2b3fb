"""What becomes of an observation of one venue: published, or its instrument is shut out with a reason.

Pure. Prices of one asset on all venues meet in `Prices`, because a wrong multiplier shows only there.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from libs.common import subjects
from libs.common.effects import Effect, Note
from libs.common.instant import US_PER_SEC, MarketClock, Now
from libs.common.messages import AlertLevel, Quote
from libs.common.subjects import Kind, kind_of
from libs.exchange.port import BookSeen, FundingSeen, GapSeen, Observation, QuoteSeen
from services.feed.freshness import Freshness
from services.feed.normalize import (
    MULTIPLIER,
    Aspect,
    Nonsense,
    book_of,
    far_from_mark,
    far_from_reference,
    funding_of,
    is_price,
    market_stamp_ms,
    of_one_time,
    quote_of,
    roll_tolerance_ms,
)
from services.feed.prints import Prints
from services.feed.quarantine import Ward
from services.feed.schedule import Schedule
from services.feed.source import Source
from services.feed.work import FUNDING, QUOTES

# A price of another venue is compared while it is this young; a factor of two needs no closer match.
REFERENCE_AGE_US_MAX: Final = 90 * US_PER_SEC
# However many quotes are in doubt, one poll of all marks a second.
MARK_ASKED_US_MIN: Final = US_PER_SEC


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """A price and when it was seen, in market and in monotonic time."""

    value: float
    market_ms: int
    mono_us: int


class Prices:
    """Newest mids of every asset: base -> (venue, instrument) -> price."""

    def __init__(self) -> None:
        self._mids: dict[str, dict[tuple[str, str], Price]] = {}

    def put(self, venue: str, instrument: str, price: Price) -> None:
        """A sound mid."""
        self._mids.setdefault(instrument.split("-", 1)[0], {})[venue, instrument] = price

    def reference(self, venue: str, instrument: str, now: Now) -> tuple[str, float] | None:
        """(where, mid) to compare a derivative with: spot of its base, else the median of the others."""
        others = {
            key: price.value
            for key, price in self._mids.get(instrument.split("-", 1)[0], {}).items()
            if key != (venue, instrument) and now.mono_us - price.mono_us <= REFERENCE_AGE_US_MAX
        }
        spots = {key: mid for key, mid in others.items() if kind_of(key[1]) is Kind.SPOT}
        candidates = sorted((mid, key) for key, mid in (spots or others).items())
        if not candidates:
            return None
        mid, (where, what) = candidates[len(candidates) // 2]
        return f"{what} on {where}", mid


class Doubted(msgspec.Struct, frozen=True, kw_only=True):
    """A quote that waits for a mark of its own time."""

    quote: Quote
    mid: Price


class Intake:
    """One venue's observations."""

    def __init__(
        self,
        source: Source,
        *,
        prices: Prices,
        prints: Prints,
        ward: Ward,
        fresh: Freshness,
        schedule: Schedule,
    ) -> None:
        self._source = source
        self._prices = prices
        self._prints = prints
        self._ward = ward
        self._fresh = fresh
        self._schedule = schedule
        self._marks: dict[str, Price] = {}
        self._ticker_marks: set[str] = set()
        self._doubted: dict[str, Doubted] = {}
        self._asked_us: int | None = None

    def take(self, seen: Observation, market: MarketClock, now: Now) -> Iterable[Effect]:
        """An observation of an instrument that we want; of others nothing comes."""
        if isinstance(seen, GapSeen):
            yield from self._fresh.gap()
            fields = {"venue": seen.venue, "instrument": seen.instrument or "all", "what": seen.text}
            yield Note(
                text="a stream broke: what lies between was not seen", level=AlertLevel.WARNING, fields=fields
            )
            return
        if seen.instrument not in self._source.instruments:
            return
        match seen:
            case QuoteSeen():
                yield from self._quote(seen, market, now)
            case BookSeen():
                yield from self._book(seen, market, now)
            case FundingSeen():
                yield from self._funding(seen, market, now)
            case _:
                fields = {"venue": seen.venue, "type": type(seen).__name__}
                yield Note(
                    text="an observation that the feed does not know", level=AlertLevel.WARNING, fields=fields
                )

    def doubts(self, slug: str) -> bool:
        """Whether a quote of it waits for a mark."""
        return slug in self._doubted

    def ticker_mark_age_us(self, slug: str, now: Now) -> int | None:
        """Age of a mark that only tickers tell; None where rates or streams bring their own, or none came."""
        mark = self._marks.get(slug)
        return None if mark is None or slug not in self._ticker_marks else now.mono_us - mark.mono_us

    def asks(self, now: Now) -> bool:
        """Whether a mark was asked for just now: a question that should not wait for the next beat."""
        return self._asked_us == now.mono_us

    def bad(self, instrument: str | None, nonsense: Nonsense, now: Now) -> Iterable[Effect]:
        """Shut out, and say so once."""
        if self._ward.bad(instrument, nonsense, now):
            fields = {
                "venue": self._source.venue,
                "instrument": instrument or "all",
                "reason": nonsense.reason,
                "text": nonsense.text,
            }
            yield Note(text="quarantined", level=AlertLevel.WARNING, fields=fields)

    def clean(self, instrument: str | None, aspect: Aspect, now: Now) -> Iterable[Effect]:
        """Count it; say when the case is closed."""
        if self._ward.clean(instrument, aspect, now):
            fields = {"venue": self._source.venue, "instrument": instrument or "all", "aspect": aspect}
            yield Note(text="back from quarantine", fields=fields)

    def _quote(self, seen: QuoteSeen, market: MarketClock, now: Now) -> Iterable[Effect]:
        slug = seen.instrument
        quote = quote_of(seen, ts_ms=market_stamp_ms(seen.ts_ms, market, now))
        if isinstance(quote, Nonsense):
            yield from self.bad(slug, quote, now)
            return
        yield from self.clean(slug, "quote", now)
        if is_price(seen.mark) and seen.mark is not None:
            yield from self._mark(slug, _price(seen.mark, now), now)
        mid = _price((quote.bid + quote.ask) / 2, now)
        self._doubted.pop(slug, None)
        if self._doubtful(slug, mid):
            self._doubted[slug] = Doubted(quote=quote, mid=mid)
            self._ask_mark(now)
        else:
            yield from self._judge(quote, mid, now)

    def _judge(self, quote: Quote, mid: Price, now: Now) -> Iterable[Effect]:
        slug = quote.instrument
        strange = self._price_fault(slug, mid.value, now)
        if strange is not None:
            yield from self.bad(slug, strange, now)
            return
        yield from self.clean(slug, "price", now)
        self._prices.put(self._source.venue, slug, mid)
        self._fresh.seen("quote", slug, now)
        yield from self._source.tell(subjects.quote, quote)

    def _doubtful(self, slug: str, mid: Price) -> bool:
        """Far from a mark that is too old to say whether the quote is nonsense or the market has moved."""
        mark = self._marks.get(slug)
        if mark is None:
            return False
        fault = far_from_mark(mid.value, mark.value)
        told = fault is None or fault.reason == MULTIPLIER
        return not told and not _together(mid, mark)

    def _ask_mark(self, now: Now) -> None:
        if self._asked_us is None or now.mono_us - self._asked_us >= MARK_ASKED_US_MIN:
            self._asked_us = now.mono_us
            self._schedule.ask(FUNDING, at_us=now.mono_us)
            self._schedule.ask(QUOTES, at_us=now.mono_us)  # some venues give marks only in their tickers

    def _mark(self, slug: str, mark: Price, now: Now) -> Iterable[Effect]:
        """A mark; what waited for it is judged, unless it waited too long: then the next quote is."""
        known = self._marks.get(slug)
        if known is not None and mark.mono_us < known.mono_us:
            return
        self._marks[slug] = mark
        self._fresh.seen("mark", slug, msgspec.structs.replace(now, mono_us=mark.mono_us))
        doubted = self._doubted.get(slug)
        if doubted is not None and _together(doubted.mid, mark):
            del self._doubted[slug]
            yield from self._judge(doubted.quote, doubted.mid, now)

    def _price_fault(self, slug: str, mid: float, now: Now) -> Nonsense | None:
        if kind_of(slug) is Kind.SPOT:
            return None
        mark = self._marks.get(slug)
        fault = None if mark is None else far_from_mark(mid, mark.value)
        if fault is not None:
            return fault
        reference = self._prices.reference(self._source.venue, slug, now)
        return None if reference is None else far_from_reference(mid, reference[1], of=reference[0])

    def _book(self, seen: BookSeen, market: MarketClock, now: Now) -> Iterable[Effect]:
        book = book_of(seen, ts_ms=market_stamp_ms(seen.ts_ms, market, now))
        if isinstance(book, Nonsense):
            yield from self.bad(seen.instrument, book, now)
            return
        yield from self.clean(seen.instrument, "book", now)
        self._fresh.seen("book", seen.instrument, now)
        yield from self._source.tell(subjects.book, book)

    def _funding(self, seen: FundingSeen, market: MarketClock, now: Now) -> Iterable[Effect]:
        slug = seen.instrument
        if kind_of(slug) is not Kind.PERP:
            return
        funding = funding_of(
            seen,
            fallback=self._prints.interval_for(slug, seen.next_ms),
            ts_ms=market_stamp_ms(seen.ts_ms, market, now),
            market_ms=now.market_ms,
            tolerance_ms=roll_tolerance_ms(market.speed),
        )
        if isinstance(funding, Nonsense):
            yield from self.bad(slug, funding, now)
            return
        yield from self.clean(slug, "funding", now)
        if funding.mark is not None:
            (self._ticker_marks.discard if seen.mark_us is None else self._ticker_marks.add)(slug)
            yield from self._mark(slug, _earlier(funding.mark, seen.mark_us, market, now), now)
        if funding.next_ms is not None and funding.next_ms <= now.market_ms:
            return  # it has just settled: no longer the rate that comes next, and the print is fetched apart
        former = self._prints.current(funding, now)
        if former is not None:
            fields = {
                "venue": seen.venue,
                "instrument": slug,
                "from_h": former.hours,
                "to_h": funding.interval_hours,
            }
            yield Note(text="the funding interval changed", level=AlertLevel.WARNING, fields=fields)
        self._fresh.seen("funding", slug, now)
        yield from self._source.tell(subjects.funding, funding)


def _price(value: float, now: Now) -> Price:
    return Price(value=value, market_ms=now.market_ms, mono_us=now.mono_us)


def _earlier(value: float, wall_us: int | None, market: MarketClock, now: Now) -> Price:
    """A price seen at `wall_us`; None is now."""
    if wall_us is None:
        return _price(value, now)
    ago_us = max(0, now.wall_us - wall_us)
    return Price(value=value, market_ms=market.at(now.wall_us - ago_us), mono_us=now.mono_us - ago_us)


def _together(one: Price, other: Price) -> bool:
    return of_one_time(apart_us=one.mono_us - other.mono_us, apart_ms=one.market_ms - other.market_ms)
