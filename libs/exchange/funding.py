"""The rate that settles next, with its interval by the fallback order of economics.md.

rate -> interval endpoint -> market info -> difference of the last two settlements; None when none has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

from libs.common.clock import mono_us
from libs.common.instant import MS_PER_DAY
from libs.common.subjects import Kind
from libs.exchange.client import Client, all_of
from libs.exchange.intervals import Interval, IntervalBook, hours_from_settlements, next_after
from libs.exchange.port import FundingSeen, Instrument, VenueError
from libs.exchange.rates import RateReader, Refused
from libs.exchange.record import rate_hours
from libs.exchange.units import float_of, int_of

if TYPE_CHECKING:
    from libs.exchange.adapter import CcxtMarketData

_PERPS: Final = frozenset({Kind.PERP})
_SETTLED_LOOKBACK_MS: Final = 3 * MS_PER_DAY


class FundingReader:
    """Reads rates of one venue and completes them."""

    def __init__(self, market: CcxtMarketData) -> None:
        self._market = market
        self._quirks = market.quirks
        self._rates = RateReader(market)
        self._refused = Refused()
        self._books: dict[str, IntervalBook] = {}
        # slug -> (next settlement it was derived for, hours, last settlement)
        self._settled: dict[str, tuple[int | None, float, int]] = {}

    async def fetch(self, slugs: Sequence[str], within_sec: float | None) -> list[FundingSeen]:
        """One observation for each perpetual among `slugs`; rate None where the answer lacked the symbol."""
        answers = await all_of(
            self._group(client, items, within_sec)
            for client, _, items in self._market.groups(slugs, kinds=_PERPS)
        )
        return [seen for answer in answers for seen in answer]

    async def _group(
        self, client: Client, items: list[Instrument], within_sec: float | None
    ) -> list[FundingSeen]:
        rates = await self._rates.read(client, items, within_sec=within_sec)
        await self._refresh(client, rates)
        recv_us = self._market.now_us()  # they came together
        found: dict[str, FundingSeen] = {}
        for item in items:
            rate = rates[item.slug]
            interval = self._interval(item, rate)
            if interval is not None or not rate:
                found[item.slug] = self._seen(item, rate, interval, self._next_ms(rate), recv_us=recv_us)
        missing = [item for item in items if item.slug not in found]
        asked = await all_of(self._by_settlements(item, rates[item.slug]) for item in missing)
        found |= {seen.instrument: seen for seen in asked}
        return [found[item.slug] for item in items]

    def _next_ms(self, rate: dict[str, Any]) -> int | None:
        stamp = int_of(rate.get(self._quirks.next_field))
        return stamp if stamp is not None and stamp > 0 else None

    async def _refresh(self, client: Client, rates: dict[str, dict[str, Any]]) -> None:
        """Ask again for intervals that are no part of the rates, when they may have changed."""
        quirks, book = self._quirks, self._book(client)
        if not (quirks.interval_endpoint or quirks.rate_interval_cached):
            return
        if all(rate_hours(quirks, rate) is not None for rate in rates.values() if rate):
            return
        nexts = [(slug, self._next_ms(rate)) for slug, rate in rates.items()]
        if not book.stale(nexts, mono_us=mono_us()):
            return
        if quirks.interval_endpoint:
            answer = await client.call("fetch_funding_intervals", client.exchange.fetch_funding_intervals())
            listed = {
                self._market.slug_of(client, symbol): rate_hours(quirks, row)
                for symbol, row in (answer.items() if isinstance(answer, dict) else ())
                if isinstance(row, dict)
            }
            hours = {slug: value for slug, value in listed.items() if slug is not None and value is not None}
        else:
            if book.known:  # else the markets were read a moment ago
                await self._market.load()
            found = {slug: item.interval_hours for slug, item in self._market.instruments.items()}
            hours = {slug: value for slug, value in found.items() if value is not None}
        book.read(hours, nexts, mono_us=mono_us())

    def _book(self, client: Client) -> IntervalBook:
        ccxt_id = client.spec.ccxt_id
        book = self._books.get(ccxt_id)
        if book is None:
            book = self._books[ccxt_id] = IntervalBook()
        return book

    def _interval(self, item: Instrument, rate: dict[str, Any]) -> Interval | None:
        """The first three of the fallback order: what is known without another request."""
        own = rate_hours(self._quirks, rate)
        if own is not None:
            return Interval(
                hours=own, source="endpoint" if self._quirks.bulk_funding == "intervals" else "rate"
            )
        if self._quirks.interval_endpoint:
            book = self._book(self._market.client_of(item.slug))
            if book.known:
                listed = book.hours(item.slug)
                hours = listed if listed is not None else self._quirks.unlisted_hours
                if hours is not None:
                    return Interval(hours=hours, source="endpoint")
        known = self._market.instrument(item.slug).interval_hours
        return None if known is None else Interval(hours=known, source="market")

    def known_hours(self, item: Instrument) -> float | None:
        """The interval known so far, for sizing history pages."""
        interval = self._interval(item, {})
        return interval.hours if interval is not None else None

    async def _by_settlements(self, item: Instrument, rate: dict[str, Any]) -> FundingSeen:
        """A history that is refused is the symbol's own trouble: its rate stays without an interval."""
        name, interval, next_ms = f"{item.venue} {item.slug}'s interval", None, self._next_ms(rate)
        try:
            interval, next_ms = await self._from_settlements(item, next_ms)
        except VenueError as error:
            self._refused.add(name, error)
        else:
            self._refused.answered(name)
        return self._seen(item, rate, interval, next_ms)

    async def _from_settlements(
        self, item: Instrument, next_ms: int | None
    ) -> tuple[Interval | None, int | None]:
        """The last resort, one request a symbol and settlement."""
        now_ms = self._market.market_ms()
        known = self._settled.get(item.slug)
        due = known is not None and next_after(known[2], known[1], known[2]) <= now_ms
        if known is None or known[0] != next_ms or due:
            prints = await self._market.fetch_settled(
                item.slug, since_ms=now_ms - _SETTLED_LOOKBACK_MS, until_ms=now_ms
            )
            hours = hours_from_settlements(seen.settled_ms for seen in prints)
            if hours is None:
                self._settled.pop(item.slug, None)
                return None, next_ms
            known = self._settled[item.slug] = (next_ms, hours, prints[-1].settled_ms)
        derived = next_ms if next_ms is not None else next_after(known[2], known[1], now_ms)
        return Interval(hours=known[1], source="settlements"), derived

    def _seen(
        self,
        item: Instrument,
        rate: dict[str, Any],
        interval: Interval | None,
        next_ms: int | None,
        *,
        source: Literal["stream", "poll"] = "poll",
        recv_us: int | None = None,
    ) -> FundingSeen:
        slug = item.slug
        mark, index = self._market.last_mark(slug)
        own_mark, own_index = float_of(rate.get("markPrice")), float_of(rate.get("indexPrice"))
        return FundingSeen(
            venue=self._market.venue,
            instrument=slug,
            recv_us=self._market.now_us() if recv_us is None else recv_us,
            ts_ms=int_of(rate.get("timestamp")),
            rate=float_of(rate.get("fundingRate")),
            interval_hours=interval.hours if interval is not None else None,
            interval_source=interval.source if interval is not None else None,
            next_ms=next_ms,
            mark=own_mark if own_mark is not None else mark,
            index=own_index if own_index is not None else index,
            mark_us=None if own_mark is not None else self._market.marked_us(slug),
            source=source,
        )

    def streamed(self, item: Instrument, raw: dict[str, Any]) -> FundingSeen | None:
        """A frame with a rate; None without one, and when it moves to a settlement whose interval may differ
        from the one known (the next poll asks the endpoint, and knows).
        """
        if float_of(raw.get("fundingRate")) is None:
            return None
        interval, next_ms = self._interval(item, raw), self._next_ms(raw)
        if interval is None:
            return None
        if interval.source != "rate" and next_ms is not None:
            book = self._book(self._market.client_of(item.slug))
            if book.next_ms(item.slug) != next_ms:
                return None
        return self._seen(item, raw, interval, next_ms, source="stream")
