"""Ranks a universe: every pair of its legs, best first, with every refusal counted.

The figures are those of `libs.carry.evaluate`. Order and counts come from `libs.carry.screen`, which agrees
with it; a pair is evaluated in full when somebody reads it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import combinations
from operator import attrgetter
from typing import overload

import msgspec

from libs.carry.evaluate import (
    LegInput,
    PairTerms,
    SettledCarry,
    evaluate,
    pair_terms,
    settled_carry,
    settled_samples,
)
from libs.carry.ranking import ranked
from libs.carry.screen import Row, Screen, codes_of, in_order, row_of
from libs.common.config.schema import Config
from libs.common.messages import Opportunity, Settlement
from libs.common.subjects import FUTURE, PERP, Kind, pair_id

LegKey = tuple[str, str]  # venue, instrument
Prints = Mapping[LegKey, tuple[Settlement, ...]]


class Universe(msgspec.Struct, frozen=True, kw_only=True):
    """All legs of one scan, with what is known of each."""

    legs: tuple[LegInput, ...]
    market_ms: int


class Ranking(msgspec.Struct, frozen=True, kw_only=True):
    """Every pair, best first, and every refusal by its name."""

    pairs: int
    passing: int
    refusals: dict[str, int]
    opportunities: Sequence[Opportunity]
    market_ms: int


class Ranked(Sequence[Opportunity]):
    """Pairs in their order; one that was only screened is evaluated each time it is read.

    Nothing changes in between: a scan's universe, config and times are values.
    """

    def __init__(self, rows: Sequence[Row], judged: Callable[[LegInput, LegInput], Opportunity]) -> None:
        self._rows = rows
        self._judged = judged

    def __len__(self) -> int:
        return len(self._rows)

    @overload
    def __getitem__(self, index: int) -> Opportunity: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Opportunity, ...]: ...
    def __getitem__(self, index: int | slice) -> Opportunity | tuple[Opportunity, ...]:
        places = range(len(self._rows))[index]
        return self._at(places) if isinstance(places, int) else tuple(self._at(place) for place in places)

    def _at(self, place: int) -> Opportunity:
        row = self._rows[place]
        found = row.found or self._judged(row.first, row.second)
        return msgspec.structs.replace(found, rank=place + 1) if found.passes else found


def pairs_of(legs: Iterable[LegInput]) -> list[tuple[LegInput, LegInput]]:
    """Spot with perpetual on each venue, perpetual with perpetual across venues; one base, one quote."""
    groups: dict[tuple[str, str], tuple[dict[str, LegInput], dict[str, LegInput]]] = {}
    for leg in legs:
        kind, key = leg.kind, (leg.base, leg.quote)
        group = groups.get(key)
        if group is None:
            group = groups[key] = ({}, {})
        if kind is not FUTURE:
            group[kind is PERP].setdefault(leg.venue, leg)
    pairs = []
    for spots, perps in groups.values():
        pairs += [(spots[venue], perp) for venue, perp in perps.items() if venue in spots]
        pairs += combinations(perps.values(), 2)
    return pairs


def rank(config: Config, universe: Universe, prints: Prints, *, eval_us: int) -> Ranking:
    """Every pair of the universe in its order; those of which history is known are evaluated with it."""
    judge = Judge(config, market_ms=universe.market_ms, eval_us=eval_us)
    screen = Screen(config, judge.terms, market_ms=universe.market_ms)
    screen.read(universe.legs)
    rows: list[Row] = []
    for first, second in pairs_of(universe.legs):
        settled = judge.settled(first, second, prints) if prints else None
        row = screen.row(first, second) if settled is None else None
        rows.append(row or row_of(first, second, judge.evaluated(first, second, settled)))
    masks = Counter(map(attrgetter("refused"), rows))
    refusals: Counter[str] = Counter()
    for mask, count in masks.items():
        refusals.update(dict.fromkeys(codes_of(mask), count))
    return Ranking(
        pairs=len(rows),
        passing=masks[0],
        refusals=by_count(refusals),
        opportunities=Ranked(in_order(rows), lambda a, b: judge.evaluated(a, b, None)),
        market_ms=universe.market_ms,
    )


def ranking_of(opportunities: Iterable[Opportunity], *, market_ms: int) -> Ranking:
    """Sorted, ranked and counted."""
    ordered = ranked(opportunities)
    return Ranking(
        pairs=len(ordered),
        passing=sum(item.passes for item in ordered),
        refusals=by_count(Counter(code for item in ordered for code in item.refusals)),
        opportunities=tuple(ordered),
        market_ms=market_ms,
    )


def by_count(refusals: Mapping[str, int]) -> dict[str, int]:
    """The most frequent first, ties by name."""
    return dict(sorted(refusals.items(), key=lambda item: (-item[1], item[0])))


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

    def settled(self, first: LegInput, second: LegInput, prints: Prints) -> SettledCarry | None:
        """Settled carry, only where every leg that pays has prints."""
        series = [
            prints.get((leg.venue, leg.instrument)) if leg.kind is Kind.PERP else None
            for leg in (first, second)
        ]
        paying = [leg.kind is Kind.PERP for leg in (first, second)]
        if all(known is not None or not pays for known, pays in zip(series, paying, strict=True)):
            return settled_carry(settled_samples(series[0], series[1]))
        return None

    def evaluated(self, first: LegInput, second: LegInput, settled: SettledCarry | None) -> Opportunity:
        """Every figure of one pair."""
        return evaluate(
            self.terms(first, second),
            first,
            second,
            settled,
            market_ms=self._market_ms,
            eval_us=self._eval_us,
        )

    def assess(self, first: LegInput, second: LegInput, prints: Prints) -> Opportunity:
        """One pair with what has settled of it."""
        return self.evaluated(first, second, self.settled(first, second, prints))
