"""A scan of the whole universe, ranking included, against ccxt's own way to the same answers.

Five venues in their raw shapes, some hundred symbols each as spot and perpetual. The floor is what ccxt
alone needs: its unified calls (JSON decoding and `parse_tickers`, `parse_funding_rates`, ...) over canned
bodies. Ours: the same calls by the exchange port, then legs, pairs, economics, ranking, and the rows shown.
"""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any, cast

import aiohttp
import uvloop

from libs.carry.evaluate import LegInput
from libs.common.config.schema import Config
from libs.common.instant import ManualClock
from libs.common.subjects import Kind
from libs.exchange.adapter import CcxtMarketData
from libs.exchange.client import make_exchange
from libs.exchange.quirks import quirks_of
from libs.exchange.record import ClientSpec
from libs.exchange.scan import Ranking, Universe, legs_of, rank, usable
from tests.bench.canned import CannedSession
from tests.bench.payloads import NOW_MS, VENUES, answers, markets
from tests.bench.report import Figure, Result, median, ratio_of

GOAL = 1.3
SHOWN = 20  # as many as `fundarb scan` shows, every figure and sentence of them


def open_venue(venue: str, symbols: int, clock: ManualClock) -> CcxtMarketData:
    """The real port over real ccxt classes; markets are set, bodies are canned."""
    session = CannedSession(answers(venue, symbols))

    def opened(spec: ClientSpec) -> Any:
        exchange = make_exchange(
            spec, session=cast("aiohttp.ClientSession", session), timeout_sec=10.0, options={}
        )
        exchange.enableRateLimit = False  # the bodies are here: waiting for a limiter measures nothing
        listed = [item for item in markets(venue, symbols) if Kind(KIND[item["type"]]) in spec.kinds]
        exchange.set_markets(listed)
        return exchange

    market = CcxtMarketData(
        venue, quirks_of(venue), clock=clock, open_exchange=opened, close_shared=session.close
    )
    market.adopt_markets()
    return market


KIND = {"spot": "spot", "swap": "perp"}


async def scanned(opened: list[CcxtMarketData], clock: ManualClock) -> Ranking:
    """What `fundarb scan` does once markets are loaded."""
    legs: list[LegInput] = []
    for market in opened:
        instruments = usable(market.instruments)
        perps = [slug for slug, item in instruments.items() if item.kind is Kind.PERP]
        funding = await market.fetch_funding(perps)
        quotes = await market.fetch_quotes(list(instruments))
        legs += legs_of(instruments, funding, quotes)
    ranking = rank(Config(), Universe(legs=tuple(legs), market_ms=NOW_MS), {}, eval_us=clock.now().wall_us)
    assert len(ranking.opportunities[:SHOWN]) == SHOWN
    return ranking


async def parsed(opened: list[CcxtMarketData]) -> int:
    """ccxt alone: the unified calls that the port makes, with the same arguments, and nothing after them."""
    rows = 0
    for market in opened:
        quirks = market.quirks
        slugs = list(market.instruments)
        for client, kind, items in market.groups(slugs):
            symbols = [item.symbol for item in items]
            quotes = getattr(client.exchange, quirks.quote_calls[kind])
            asked = symbols if len(symbols) <= quirks.quote_symbols_max else None
            rows += len(await quotes(asked, dict(quirks.quote_params.get(kind, {}))))
            if kind is Kind.PERP:
                by_symbols = symbols if quirks.funding_by_symbols else None
                name = (
                    "fetch_funding_intervals" if quirks.bulk_funding == "intervals" else "fetch_funding_rates"
                )
                rows += len(await getattr(client.exchange, name)(by_symbols))
                if quirks.interval_endpoint:
                    rows += len(await client.exchange.fetch_funding_intervals())
    return rows


async def timed(work: Callable[[], Awaitable[Any]]) -> tuple[float, Any]:
    gc.collect()
    begun = perf_counter()
    outcome = await work()
    return perf_counter() - begun, outcome


async def measure(symbols: int, rounds: int) -> tuple[list[float], list[float], Ranking]:
    """Seconds of each round for ours and for the floor, and the last ranking."""
    clock = ManualClock(wall_us=NOW_MS * 1_000)
    ours: list[float] = []
    floor: list[float] = []
    outcome: Ranking | None = None
    for turn in range(rounds + 1):  # the first round warms up
        # Fresh clients for each, in turns: what one has learnt or opened must not make the other cheaper.
        for first in (True, False):
            opened = [open_venue(venue, symbols, clock) for venue in VENUES]
            if first == bool(turn % 2):
                alone, rows = await timed(lambda opened=opened: parsed(opened))  # type: ignore[misc]
                assert rows >= symbols * 3 * len(VENUES), f"ccxt parsed {rows} rows only"
                floor += [alone] if turn else []
            else:
                whole, outcome = await timed(lambda opened=opened: scanned(opened, clock))  # type: ignore[misc]
                ours += [whole] if turn else []
            for market in opened:
                await market.close()
    assert outcome is not None
    assert outcome.pairs == symbols * (len(VENUES) + len(VENUES) * (len(VENUES) - 1) // 2)
    return ours, floor, outcome


def run(*, symbols: int = 500, rounds: int = 5) -> Result:
    """Ratio of the medians."""
    ours, floor, outcome = uvloop.run(measure(symbols, rounds))
    return Result(
        bench="scan",
        note=f"{symbols} symbols x {len(VENUES)} venues, every pair ranked, median of {rounds} rounds",
        figures=(
            Figure(name="ratio", value=ratio_of(ours, floor), unit="x", goal=GOAL),
            Figure(name="ours_sec", value=median(ours), unit="s"),
            Figure(name="ccxt_parse_sec", value=median(floor), unit="s"),
            Figure(name="pairs", value=float(outcome.pairs), unit=""),
        ),
    )
