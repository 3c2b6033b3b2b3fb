"""Ranks the whole universe once, without keys: every venue's funding and quotes, every pair, every figure.

Here venues are asked (`survey`) and become a `Universe`; `scan_rank` sorts it. The other source of one is an
archive as of its last settlement (`scan_archive`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from libs.carry.evaluate import LegInput, settled_once
from libs.common.clock import mono_us
from libs.common.config.schema import Config
from libs.common.instant import MS_PER_DAY, US_PER_SEC, Clock
from libs.common.messages import Opportunity, Settlement
from libs.common.subjects import PERP, SPOT, Kind
from libs.exchange.factory import open_market_data
from libs.exchange.port import FundingSeen, Instrument, MarketData, QuoteSeen, SettledSeen, VenueError
from libs.exchange.scan_rank import Judge, LegKey, Prints, Ranking, Universe, pairs_of, rank, ranking_of
from libs.research.intervals import IntervalUnknown, derive_intervals

HISTORY_DAYS: Final = 31
HISTORY_AT_ONCE: Final = 8
SURVEY_SHARE: Final = 0.6  # of the whole time, so that slow venues leave some for the histories of the others
RATES_SHARE: Final = 0.8  # of what the survey has left once markets are known: a part is better than nothing

log = logging.getLogger(__name__)
Bases = frozenset[tuple[str, str]]  # base and quote

__all__ = [
    "HISTORY_DAYS",
    "Judge",
    "LegKey",
    "Prints",
    "Ranking",
    "Universe",
    "VenueReport",
    "histories",
    "legs_of",
    "pairs_of",
    "rank",
    "ranking_of",
    "settlements_of",
    "survey",
    "survey_all",
    "usable",
]

Open = Callable[[str], Any]


class VenueReport(msgspec.Struct, frozen=True, kw_only=True):
    """How one venue answered; `problem` is one line, None when it did.

    `unrated` perpetuals came without a rate: refused, or not asked for want of time.
    """

    venue: str
    seconds: float
    perps: int = 0
    spots: int = 0
    unrated: int = 0
    problem: str | None = None


# --- asking venues -------------------------------------------------------------------------------


async def survey(
    market: MarketData, *, timeout_sec: float, listed: dict[str, Bases] | None = None
) -> tuple[VenueReport, tuple[LegInput, ...]]:
    """One venue's universe: markets, then funding of all perpetuals beside quotes of all that can pair.

    `listed` gathers the perpetuals of all venues: what most of them have is asked first. Never raises: what
    goes wrong is the report's `problem`, and the other venues go on.
    """
    started_us = mono_us()
    listed = {} if listed is None else listed

    def report(**figures: Any) -> VenueReport:
        seconds = round((mono_us() - started_us) / US_PER_SEC, 3)
        return VenueReport(venue=market.venue, seconds=seconds, **figures)

    try:
        async with asyncio.timeout(timeout_sec):
            instruments = usable(await market.load())
            listed[market.venue] = bases_of(instruments, Kind.PERP)
            perps = by_partners(market.venue, instruments, listed)
            if not perps:
                return report(problem="no linear perpetuals listed"), ()
            left_sec = timeout_sec - (mono_us() - started_us) / US_PER_SEC
            funding, quotes = await asyncio.gather(
                market.fetch_funding(perps, within_sec=left_sec * RATES_SHARE),
                market.fetch_quotes(list(instruments)),
            )
    except VenueError as error:
        return report(problem=str(error)), ()
    except TimeoutError:
        return report(problem=f"{market.venue}: no answer within {timeout_sec:.3g} s"), ()
    except Exception as error:
        log.exception("%s: a mistake in reading it", market.venue)
        text = f"a mistake in this program ({type(error).__name__}: {error})"
        return report(problem=f"{market.venue}: {text}"), ()
    unrated = sum(seen.rate is None for seen in funding)
    if unrated:
        log.warning("%s: %d of %d perpetuals without a rate", market.venue, unrated, len(perps))
    legs = legs_of(instruments, funding, quotes)
    return report(perps=len(perps), spots=len(instruments) - len(perps), unrated=unrated), legs


def bases_of(instruments: Mapping[str, Instrument], kind: Kind) -> Bases:
    """Base and quote of the instruments of a kind."""
    return frozenset((item.base, item.quote) for item in instruments.values() if item.kind is kind)


def by_partners(venue: str, instruments: Mapping[str, Instrument], listed: Mapping[str, Bases]) -> list[str]:
    """Perpetuals, first those that can be paired in most ways as far as the venues have told by now."""
    partners = [bases_of(instruments, Kind.SPOT)]
    partners += [bases for other, bases in listed.items() if other != venue]
    ways = {
        slug: sum((item.base, item.quote) in bases for bases in partners)
        for slug, item in instruments.items()
        if item.kind is Kind.PERP
    }
    return sorted(ways, key=lambda slug: -ways[slug])


def usable(instruments: Mapping[str, Instrument]) -> dict[str, Instrument]:
    """Linear perpetuals that trade, and the spot markets of their bases in the same money."""
    perps = {slug: i for slug, i in instruments.items() if i.kind is PERP and i.refused is None}
    paired = {(item.base, item.quote) for item in perps.values()}
    spots = {
        slug: item
        for slug, item in instruments.items()
        if item.kind is SPOT and item.refused is None and (item.base, item.quote) in paired
    }
    return perps | spots


def legs_of(
    instruments: Mapping[str, Instrument], funding: Sequence[FundingSeen], quotes: Sequence[QuoteSeen]
) -> tuple[LegInput, ...]:
    """Legs with what was seen of each; crossed and empty quotes are none."""
    rates = {seen.instrument: seen for seen in funding}
    prices = {seen.instrument: seen for seen in quotes}
    legs = []
    for slug, item in instruments.items():
        rate, price = rates.get(slug), prices.get(slug)
        bid, ask = (price.bid, price.ask) if price is not None else (None, None)
        if bid is None or ask is None or not 0 < bid <= ask:
            bid = ask = None
        legs.append(
            LegInput(
                venue=item.venue,
                instrument=slug,
                kind=item.kind,
                bid=bid,
                ask=ask,
                rate=rate.rate if rate is not None else None,
                interval_hours=rate.interval_hours if rate is not None else None,
                next_ms=rate.next_ms if rate is not None else None,
                base=item.base,
                quote=item.quote,
                settle=item.settle,
                shortable=item.shortable,
                notional_min=None if item.notional_min is None else float(item.notional_min),
                quantity_min=None if item.quantity_min is None else float(item.quantity_min),
            )
        )
    return tuple(legs)


async def survey_all(
    venues: Sequence[str],
    *,
    config: Config,
    clock: Clock,
    timeout_sec: float,
    told: Callable[[VenueReport], None],
    redirect: Any = None,
    top: int = 0,
) -> tuple[Universe, list[VenueReport], Ranking | None]:
    """All venues at once, then the ranking with the settled history of the `top` pairs.

    `told` hears of each venue as it answers. A venue that takes more than its share of the time is left out,
    so that the others' histories can be read. The ranking is None when no venue answered.
    """
    deadline_us = mono_us() + round(timeout_sec * US_PER_SEC)

    def left_sec() -> float:
        return max(0.05, (deadline_us - mono_us()) / US_PER_SEC)

    markets = [
        await open_market_data(venue, config=config, clock=clock, redirect=redirect) for venue in venues
    ]
    listed: dict[str, Bases] = {}
    try:

        async def one(market: MarketData) -> tuple[VenueReport, tuple[LegInput, ...]]:
            answer = await survey(market, timeout_sec=left_sec() * SURVEY_SHARE, listed=listed)
            told(answer[0])
            return answer

        answers = await asyncio.gather(*(one(market) for market in markets))
        reports = [report for report, _ in answers]
        universe = Universe(
            legs=tuple(leg for _, legs in answers for leg in legs), market_ms=clock.now().market_ms
        )
        if all(report.problem is not None for report in reports):
            return universe, reports, None
        first = rank(config, universe, {}, eval_us=clock.now().wall_us)
        by_venue = {market.venue: market for market in markets}
        prints = await histories(
            first.opportunities[:top], by_venue, universe.market_ms, timeout_sec=left_sec()
        )
        ranking = rank(config, universe, prints, eval_us=clock.now().wall_us)
        return universe, reports, ranking
    finally:
        await asyncio.gather(*(market.close() for market in markets))


async def histories(
    opportunities: Iterable[Opportunity],
    markets: Mapping[str, MarketData],
    market_ms: int,
    *,
    timeout_sec: float,
) -> dict[LegKey, tuple[Settlement, ...]]:
    """Settled prints of the perpetual legs, as many as arrive in time; what does not is `history_short`."""
    legs = [leg for item in opportunities for leg in (item.long, item.short) if leg.kind is Kind.PERP]
    keys = dict.fromkeys((leg.venue, leg.instrument) for leg in legs)
    found: dict[LegKey, tuple[Settlement, ...]] = {}
    gates = {venue: asyncio.Semaphore(HISTORY_AT_ONCE) for venue, _ in keys}

    async def one(venue: str, slug: str) -> None:
        async with gates[venue]:
            try:
                seen = await markets[venue].fetch_settled(
                    slug, since_ms=market_ms - HISTORY_DAYS * MS_PER_DAY, until_ms=market_ms
                )
            except VenueError:
                return  # one leg without history is shown as such
        found[(venue, slug)] = settlements_of(seen)

    tasks = [asyncio.ensure_future(one(*key)) for key in keys]
    if tasks:
        done, late = await asyncio.wait(tasks, timeout=timeout_sec)
        mistake = next((error for task in done if (error := task.exception()) is not None), None)
        if mistake is not None:
            log.error("a mistake in reading histories", exc_info=mistake)
        for task in late:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return found


def settlements_of(seen: Sequence[SettledSeen]) -> tuple[Settlement, ...]:
    """Prints with their intervals, derived from the spacing; rates that are none are left out."""
    rows = [(item.settled_ms, item.rate) for item in seen if item.rate is not None]
    try:
        hours = derive_intervals([stamp for stamp, _ in rows])
    except IntervalUnknown:
        return ()
    prints = (
        Settlement(settled_ms=stamp, rate=rate, interval_hours=step)
        for (stamp, rate), step in zip(rows, hours, strict=True)
    )
    return settled_once(prints)
