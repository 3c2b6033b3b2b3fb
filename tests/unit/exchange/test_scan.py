from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from libs.carry.evaluate import LegInput, evaluate, pair_terms
from libs.common.config.schema import Config
from libs.common.instant import MS_PER_HOUR
from libs.common.messages import Settlement
from libs.common.subjects import Kind
from libs.exchange.port import FundingSeen, Instrument, QuoteSeen, SettledSeen, VenueError
from libs.exchange.scan import Universe, legs_of, pairs_of, rank, settlements_of, survey, usable

NOW_MS = 1_700_020_000_000
NEXT_MS = NOW_MS + 3 * MS_PER_HOUR


def leg(venue: str, kind: Kind, base: str = "BTC", quote: str = "USDT", **changes: Any) -> LegInput:
    tail = "-PERP" if kind is Kind.PERP else ""
    values: dict[str, Any] = {"bid": 100.0, "ask": 100.01, "base": base, "quote": quote, "settle": quote}
    if kind is Kind.PERP:
        values |= {"rate": 0.0003, "interval_hours": 8.0, "next_ms": NEXT_MS}
    return LegInput(venue=venue, instrument=f"{base}-{quote}{tail}", kind=kind, **(values | changes))


def prints(rate: float, count: int = 100) -> tuple[Settlement, ...]:
    start = NEXT_MS - (count * 8) * MS_PER_HOUR
    return tuple(
        Settlement(settled_ms=start + n * 8 * MS_PER_HOUR, rate=rate, interval_hours=8.0)
        for n in range(count)
    )


def test_pairs_are_spot_with_perp_on_a_venue_and_perp_with_perp_across() -> None:
    legs = [
        leg("binance", Kind.SPOT),
        leg("binance", Kind.PERP),
        leg("okx", Kind.PERP),
        leg("bybit", Kind.PERP, quote="USDC"),
        leg("okx", Kind.SPOT, base="ETH"),
    ]
    names = [(a.venue, a.kind, b.venue, b.kind) for a, b in pairs_of(legs)]
    assert names == [
        ("binance", Kind.SPOT, "binance", Kind.PERP),
        ("binance", Kind.PERP, "okx", Kind.PERP),
    ]


def test_the_figures_are_those_of_the_one_evaluation() -> None:
    first, second = leg("binance", Kind.SPOT), leg("binance", Kind.PERP)
    universe = Universe(legs=(first, second), market_ms=NOW_MS)
    [found] = rank(Config(), universe, {}, eval_us=1).opportunities
    terms = pair_terms(
        Config(),
        pair=found.pair,
        symbol="BTC/USDT",
        first=("binance", Kind.SPOT),
        second=("binance", Kind.PERP),
    )
    assert found == evaluate(terms, first, second, None, market_ms=NOW_MS, eval_us=1)
    assert found.daily == pytest.approx(0.0009)
    assert "not_consecutive" in found.refusals


def test_pairs_with_history_pass_and_come_first() -> None:
    legs = (
        leg("binance", Kind.SPOT),
        leg("binance", Kind.PERP),
        leg("okx", Kind.SPOT),
        leg("okx", Kind.PERP, rate=0.0009),
    )
    history = {("binance", "BTC-USDT-PERP"): prints(0.0003)}
    ranking = rank(Config(), Universe(legs=legs, market_ms=NOW_MS), history, eval_us=1)
    assert ranking.pairs == 3
    assert ranking.passing == 1
    best = ranking.opportunities[0]
    assert (best.pair, best.rank, best.passes) == ("BTC-USDT_binance-spot_binance-perp", 1, True)
    assert best.history_days == pytest.approx(30, abs=1)
    assert sum(ranking.refusals.values()) >= 2


def instrument(slug: str, kind: Kind, **changes: Any) -> Instrument:
    base, quote = slug.split("-")[:2]
    values: dict[str, Any] = {"venue": "v", "symbol": slug, "venue_symbol": slug, "settle": quote}
    return Instrument(slug=slug, base=base, quote=quote, kind=kind, **(values | changes))


ALL = {
    item.slug: item
    for item in (
        instrument("BTC-USDT", Kind.SPOT),
        instrument("BTC-USDT-PERP", Kind.PERP, quantity_min=Decimal("0.001")),
        instrument("XRP-USDT", Kind.SPOT),
        instrument("BTC-USD-PERP", Kind.PERP, refused="inverse"),
        instrument("BTC-USDT-241227", Kind.FUTURE),
    )
}


def test_only_what_can_pair_is_asked_for() -> None:
    assert set(usable(ALL)) == {"BTC-USDT", "BTC-USDT-PERP"}


@pytest.mark.parametrize(("bid", "ask"), [(None, 1.0), (2.0, 1.0), (0.0, 1.0), (-1.0, 1.0), (1.0, None)])
def test_a_crossed_or_empty_quote_is_none(bid: float | None, ask: float | None) -> None:
    quote = QuoteSeen(
        venue="v", instrument="BTC-USDT", recv_us=1, bid=bid, ask=ask, bid_size=1, ask_size=1, source="poll"
    )
    [found] = legs_of({"BTC-USDT": ALL["BTC-USDT"]}, [], [quote])
    assert (found.bid, found.ask) == (None, None)


def test_settled_prints_get_their_intervals_from_their_spacing() -> None:
    stamps = [NOW_MS // MS_PER_HOUR * MS_PER_HOUR + n * 4 * MS_PER_HOUR for n in range(6)]
    seen = [
        SettledSeen(venue="v", instrument="i", recv_us=1, settled_ms=stamp, rate=0.0001 if n != 2 else None)
        for n, stamp in enumerate(stamps)
    ]
    found = settlements_of(seen)
    assert {item.interval_hours for item in found} == {4.0}
    assert len(found) == 5
    assert settlements_of(seen[:1]) == ()


class Scripted:
    """A venue by the port, as bad as it is told to be."""

    venue = "v"

    def __init__(
        self, *, load: Exception | None = None, funding: Exception | None = None, hang: bool = False
    ) -> None:
        self._load, self._funding, self._hang = load, funding, hang

    async def load(self) -> dict[str, Instrument]:
        if self._hang:
            await asyncio.sleep(30)
        if self._load is not None:
            raise self._load
        return ALL

    async def fetch_funding(
        self, slugs: Sequence[str], *, within_sec: float | None = None
    ) -> list[FundingSeen]:
        assert within_sec is not None
        if self._funding is not None:
            raise self._funding
        return [
            FundingSeen(
                venue="v",
                instrument=slug,
                recv_us=1,
                rate=None,
                interval_hours=None,
                interval_source=None,
                next_ms=None,
            )
            for slug in slugs
        ]

    async def fetch_quotes(self, slugs: Sequence[str]) -> list[QuoteSeen]:
        return []


@pytest.mark.parametrize(
    ("market", "problem"),
    [
        (Scripted(load=VenueError("v", "network", "load: cannot connect")), "v: load: cannot connect"),
        (Scripted(funding=VenueError("v", "bad_payload", "fetch_funding: none")), "v: fetch_funding: none"),
        (Scripted(hang=True), "v: no answer within 0.2 s"),
    ],
)
async def test_a_venue_that_fails_is_reported_and_raises_nothing(market: Any, problem: str) -> None:
    report, legs = await survey(market, timeout_sec=0.2)
    assert report.problem == problem
    assert legs == ()


async def test_a_venue_that_knows_nothing_is_ranked_with_named_refusals() -> None:
    report, legs = await survey(Scripted(), timeout_sec=5)  # type: ignore[arg-type]  # the three calls of a survey
    assert (report.problem, report.perps, report.spots) == (None, 1, 1)
    ranking = rank(Config(), Universe(legs=legs, market_ms=NOW_MS), {}, eval_us=1)
    assert ranking.refusals["no_data"] == 1
    assert ranking.passing == 0
