"""Quotes and order books synthesised from measured spreads and depth. Pure: same inputs, same book."""

from __future__ import annotations

import math
from typing import Final

import msgspec

from services.venue.dice import Dice
from services.venue.instruments import Instrument
from services.venue.recording import BookStatistics

LEVELS: Final = 50
REACH_BPS: Final = 60.0

# (spread factor, depth divisor) against ETH's recorded book. Not recorded: chosen so that the majors quote
# a few tenths of a basis point and the long tail one to two, as they do on the real venue.
MAJORS: Final = frozenset({"BNB", "DOGE", "SOL", "XRP"})
THINNESS: Final = {"recorded": (1.0, 1.0), "major": (6.0, 8.0), "tail": (20.0, 30.0)}


class Quote(msgspec.Struct, frozen=True):
    """Best bid and ask in whole ticks and whole steps."""

    bid_ticks: int
    ask_ticks: int
    bid_steps: int
    ask_steps: int


class Book(msgspec.Struct, frozen=True):
    """Levels as (ticks, steps), best first."""

    bids: tuple[tuple[int, int], ...]
    asks: tuple[tuple[int, int], ...]


def statistics_name(instrument: Instrument) -> str:
    """Which measured book stands for an instrument: BTC's own, ETH's for all others."""
    base = "BTC" if instrument.base == "BTC" else "ETH"
    return f"{base}-{instrument.kind}"


def _thinness(base: str) -> tuple[float, float]:
    if base in ("BTC", "ETH"):
        return THINNESS["recorded"]
    return THINNESS["major" if base in MAJORS else "tail"]


def quote(instrument: Instrument, statistics: BookStatistics, mid: float, dice: Dice) -> Quote:
    """Best levels around `mid`: at least one tick apart, the middle within half a tick of `mid`."""
    wider, thinner = _thinness(instrument.base)
    tick, step = float(instrument.tick), float(instrument.step)
    spread = mid * dice.quantile(statistics.spread_bps) * wider / 1e4
    width = max(1, round(spread / tick))
    bid = max(1, round(mid / tick - width / 2))
    sizes = [
        max(1, math.floor(dice.quantile(statistics.best_usd) / thinner / mid / step)) for _ in ("bid", "ask")
    ]
    return Quote(bid_ticks=bid, ask_ticks=bid + width, bid_steps=sizes[0], ask_steps=sizes[1])


def book(instrument: Instrument, statistics: BookStatistics, mid: float, dice: Dice) -> Book:
    """The whole book behind `quote` with the same dice: its best levels are the quote's."""
    best = quote(instrument, statistics, mid, dice)
    _, thinner = _thinness(instrument.base)
    return Book(
        bids=_side(
            instrument,
            statistics,
            mid,
            dice,
            best=(best.bid_ticks, best.bid_steps),
            thinner=thinner,
            direction=-1,
        ),
        asks=_side(
            instrument,
            statistics,
            mid,
            dice,
            best=(best.ask_ticks, best.ask_steps),
            thinner=thinner,
            direction=1,
        ),
    )


def _side(
    instrument: Instrument,
    statistics: BookStatistics,
    mid: float,
    dice: Dice,
    *,
    best: tuple[int, int],
    thinner: float,
    direction: int,
) -> tuple[tuple[int, int], ...]:
    """LEVELS levels from the best outwards, geometrically spaced to REACH_BPS, sized by the depth profile."""
    tick, step = float(instrument.tick), float(instrument.step)
    reach = max(LEVELS, round(mid * REACH_BPS / 1e4 / tick))
    ratio = reach ** (1 / (LEVELS - 1))
    levels = [best]
    inner_usd = cumulative_usd(statistics, abs(best[0] * tick - mid) / mid * 1e4)
    offset = 0
    for i in range(1, LEVELS):
        offset = max(offset + 1, round(ratio**i))
        ticks = best[0] + direction * offset
        if ticks < 1:
            break
        outer_usd = cumulative_usd(statistics, abs(ticks * tick - mid) / mid * 1e4)
        usd = (outer_usd - inner_usd) / thinner * (0.6 + 0.8 * dice.uniform())
        inner_usd = outer_usd
        levels.append((ticks, max(1, math.floor(usd / mid / step))))
    return tuple(levels)


def cumulative_usd(statistics: BookStatistics, distance_bps: float) -> float:
    """USD a side within a distance of the mid; linear between the measured distances, flat beyond them."""
    before_bps, before_usd = 0.0, 0.0
    for bps, usd in zip(statistics.distances_bps, statistics.depth_usd, strict=True):
        if distance_bps <= bps:
            return before_usd + (usd - before_usd) * (distance_bps - before_bps) / (bps - before_bps)
        before_bps, before_usd = bps, usd
    return before_usd
