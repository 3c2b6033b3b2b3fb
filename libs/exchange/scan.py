"""Ranks the whole universe once, without keys: every venue's funding and quotes, every pair, every figure.

The figures are those of `libs.carry.evaluate`; here they are only fed and sorted. Two sources give the same
`Universe`: venues asked now (`survey`), and an archive as of its last settlement (`scan_archive`).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any, Final

import msgspec

from libs.carry.evaluate import (
    LegInput,
    PairTerms,
    evaluate,
    pair_terms,
    settled_carry,
    settled_once,
    settled_samples,
)
from libs.carry.ranking import ranked
from libs.common.clock import mono_us
from libs.common.config.schema import Config
from libs.common.instant import MS_PER_DAY, US_PER_SEC, Clock
from libs.common.messages import Opportunity, Settlement
from libs.common.subjects import Kind, pair_id
from libs.exchange.factory import open_market_data
from libs.exchange.port import FundingSeen, Instrument, MarketData, QuoteSeen, SettledSeen, VenueError
from libs.research.intervals import IntervalUnknown, derive_intervals

HISTORY_DAYS: Final = 31
HISTORY_AT_ONCE: Final = 8

LegKey = tuple[str, str]  # venue, instrument
Prints = Mapping[LegKey, tuple[Settlement, ...]]
Open = Callable[[str], Any]


class VenueReport(msgspec.Struct, frozen=True, kw_only=True):
    """How one venue answered; `problem` is one line, None when it did."""

    venue: str
    seconds: float
    perps: int = 0
    spots: int = 0
    problem: str | None = None


class Universe(msgspec.Struct, frozen=True, kw_only=True):
    """All legs of one scan, with what is known of each."""

    legs: tuple[LegInput, ...]
    market_ms: int


class Ranking(msgspec.Struct, frozen=True, kw_only=True):
    """Every pair, best first, and every refusal by its name."""

    pairs: int
    passing: int
    refusals: dict[str, int]
    opportunities: tuple[Opportunity, ...]
    market_ms: int


# --- asking venues -------------------------------------------------------------------------------


async def survey(market: MarketData, *, timeout_sec: float) -> tuple[VenueReport, tuple[LegInput, ...]]:
    """One venue's universe: markets, then funding of all perpetuals beside quotes of all that can pair.

    Never raises: what goes wrong is the report's `problem`, and the other venues go on.
    """
    started_us = mono_us()

    def report(**figures: Any) -> VenueReport:
        seconds = round((mono_us() - started_us) / US_PER_SEC, 3)
        return VenueReport(venue=market.venue, seconds=seconds, **figures)

    try:
        async with asyncio.timeout(timeout_sec):
            instruments = usable(await market.load())
            perps = [slug for slug, item in instruments.items() if item.kind is Kind.PERP]
            if not perps:
                return report(problem="no linear perpetuals listed"), ()
            funding, quotes = await asyncio.gather(
                market.fetch_funding(perps), market.fetch_quotes(list(instruments))
            )
    except VenueError as error:
        return report(problem=str(error)), ()
    except TimeoutError:
        return report(problem=f"{market.venue}: no answer within {timeout_sec:g} s"), ()
    legs = legs_of(instruments, funding, quotes)
    return report(perps=len(perps), spots=len(instruments) - len(perps)), legs


def usable(instruments: Mapping[str, Instrument]) -> dict[str, Instrument]:
    """Linear perpetuals that trade, and the spot markets of their bases in the same money."""
    perps = {slug: i for slug, i in instruments.items() if i.kind is Kind.PERP and i.refused is None}
    paired = {(item.base, item.quote) for item in perps.values()}
    spots = {
        slug: item
        for slug, item in instruments.items()
        if item.kind is Kind.SPOT and item.refused is None and (item.base, item.quote) in paired
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

    `told` hears of each venue as it answers. The ranking is None when no venue did.
    """
    deadline_us = mono_us() + round(timeout_sec * US_PER_SEC)

    def left_sec() -> float:
        return max(0.05, (deadline_us - mono_us()) / US_PER_SEC)

    markets = [
        await open_market_data(venue, config=config, clock=clock, redirect=redirect) for venue in venues
    ]
    try:

        async def one(market: MarketData) -> tuple[VenueReport, tuple[LegInput, ...]]:
            answer = await survey(market, timeout_sec=left_sec())
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
        ranking = with_history(config, universe, first, prints, eval_us=clock.now().wall_us)
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
    gate = asyncio.Semaphore(HISTORY_AT_ONCE)

    async def one(venue: str, slug: str) -> None:
        async with gate:
            try:
                seen = await markets[venue].fetch_settled(
                    slug, since_ms=market_ms - HISTORY_DAYS * MS_PER_DAY, until_ms=market_ms
                )
            except VenueError:
                return  # one leg without history is shown as such
        found[(venue, slug)] = settlements_of(seen)

    tasks = [asyncio.ensure_future(one(*key)) for key in keys]
    if tasks:
        _, late = await asyncio.wait(tasks, timeout=timeout_sec)
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


# --- pairing and ranking -------------------------------------------------------------------------


def pairs_of(legs: Iterable[LegInput]) -> list[tuple[LegInput, LegInput]]:
    """Spot with perpetual on each venue, perpetual with perpetual across venues; one base, one quote."""
    groups: dict[tuple[str, str], dict[Kind, dict[str, LegInput]]] = {}
    for leg in legs:
        group = groups.setdefault((leg.base, leg.quote), {})
        group.setdefault(leg.kind, {}).setdefault(leg.venue, leg)
    pairs = []
    for group in groups.values():
        perps, spots = group.get(Kind.PERP, {}), group.get(Kind.SPOT, {})
        pairs += [(spots[venue], perp) for venue, perp in perps.items() if venue in spots]
        pairs += combinations(perps.values(), 2)
    return pairs


def rank(config: Config, universe: Universe, prints: Prints, *, eval_us: int) -> Ranking:
    """Evaluate every pair of the universe and sort."""
    judge = Judge(config, market_ms=universe.market_ms, eval_us=eval_us)
    found = [judge.assess(first, second, prints) for first, second in pairs_of(universe.legs)]
    return ranking_of(found, market_ms=universe.market_ms)


def with_history(
    config: Config, universe: Universe, ranking: Ranking, prints: Prints, *, eval_us: int
) -> Ranking:
    """The same ranking, with those pairs judged again of which settled prints have come."""
    judge = Judge(config, market_ms=universe.market_ms, eval_us=eval_us)
    legs = {(leg.venue, leg.instrument): leg for leg in universe.legs}
    found = []
    for item in ranking.opportunities:
        keys = [(leg.venue, leg.instrument) for leg in (item.long, item.short)]
        if any(key in prints for key in keys):
            order = keys if item.direction == "forward" else keys[::-1]
            found.append(judge.assess(legs[order[0]], legs[order[1]], prints))
        else:
            found.append(item)
    return ranking_of(found, market_ms=universe.market_ms)


def ranking_of(opportunities: Iterable[Opportunity], *, market_ms: int) -> Ranking:
    """Sorted, ranked and counted."""
    ordered = ranked(opportunities)
    refusals = Counter(code for item in ordered for code in item.refusals)
    return Ranking(
        pairs=len(ordered),
        passing=sum(item.passes for item in ordered),
        refusals=dict(sorted(refusals.items(), key=lambda item: (-item[1], item[0]))),
        opportunities=tuple(ordered),
        market_ms=market_ms,
    )


class Judge:
    """Puts pairs through `libs.carry`; terms are worked out once for each pair of venues and kinds."""

    def __init__(self, config: Config, *, market_ms: int, eval_us: int) -> None:
        self._config = config
        self._market_ms = market_ms
        self._eval_us = eval_us
        self._terms: dict[tuple[str, Kind, str, Kind], PairTerms] = {}

    def terms(self, first: LegInput, second: LegInput) -> PairTerms:
        """Costs and thresholds of a pair under its own name."""
        pair = pair_id((first.venue, first.instrument), (second.venue, second.instrument))
        symbol = f"{first.base}/{first.quote}"
        key = (first.venue, first.kind, second.venue, second.kind)
        known = self._terms.get(key)
        if known is None:
            known = self._terms[key] = pair_terms(
                self._config,
                pair=pair,
                symbol=symbol,
                first=(first.venue, first.kind),
                second=(second.venue, second.kind),
            )
        return msgspec.structs.replace(known, pair=pair, symbol=symbol)

    def assess(self, first: LegInput, second: LegInput, prints: Prints) -> Opportunity:
        """One pair; settled carry only where every leg that pays has prints."""
        series = [
            prints.get((leg.venue, leg.instrument)) if leg.kind is Kind.PERP else None
            for leg in (first, second)
        ]
        paying = [leg.kind is Kind.PERP for leg in (first, second)]
        settled = None
        if all(known is not None or not pays for known, pays in zip(series, paying, strict=True)):
            settled = settled_carry(settled_samples(series[0], series[1]))
        return evaluate(
            self.terms(first, second),
            first,
            second,
            settled,
            market_ms=self._market_ms,
            eval_us=self._eval_us,
        )
