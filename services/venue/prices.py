"""Price paths: recorded marks joined by geometric interpolation, or a seeded walk where there are none."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise

import msgspec

from services.venue.dice import Dice
from services.venue.recording import Basis

HOURLY_VOLATILITY = 0.006


class Path(msgspec.Struct, frozen=True):
    """A price at known times; in between it moves on the straight line of its logarithm."""

    stamps_ms: tuple[int, ...]
    prices: tuple[float, ...]

    def at(self, market_ms: int) -> float:
        """The price at a market time; the first or last one outside the path."""
        i = bisect_right(self.stamps_ms, market_ms)
        if i == 0:
            return self.prices[0]
        if i == len(self.stamps_ms):
            return self.prices[-1]
        begin, end = self.stamps_ms[i - 1], self.stamps_ms[i]
        low, high = self.prices[i - 1], self.prices[i]
        if market_ms == begin:
            return low
        return low * math.exp(math.log(high / low) * (market_ms - begin) / (end - begin))

    def range(self, begin_ms: int, end_ms: int) -> tuple[float, float]:
        """Lowest and highest price between two times, both included."""
        i, j = bisect_right(self.stamps_ms, begin_ms), bisect_right(self.stamps_ms, end_ms)
        seen = (self.at(begin_ms), self.at(end_ms), *self.prices[i:j])
        return min(seen), max(seen)


def recorded(stamps_ms: Sequence[int], marks: Sequence[float | None]) -> Path | None:
    """The path through the recorded marks, None when there are none."""
    known = [(stamp, mark) for stamp, mark in zip(stamps_ms, marks, strict=True) if mark is not None]
    if not known:
        return None
    return Path(stamps_ms=tuple(t for t, _ in known), prices=tuple(m for _, m in known))


def walk(stamps_ms: Sequence[int], *, start: float, dice: Dice) -> Path:
    """A log-normal walk with 0.6 % volatility an hour."""
    price = start
    prices = [price]
    for begin, end in pairwise(stamps_ms):
        hours = (end - begin) / 3_600_000
        price *= math.exp(HOURLY_VOLATILITY * math.sqrt(hours) * dice.normal())
        prices.append(price)
    return Path(stamps_ms=tuple(stamps_ms), prices=tuple(prices))


def basis_at(basis: Basis, market_ms: int, *, offset_steps: int) -> float:
    """The basis at a market time, interpolated; the recorded cycle starts `offset_steps` in at the epoch."""
    place = market_ms / basis.step_ms
    step = math.floor(place)
    share = place - step
    count = len(basis.values)
    begin = basis.values[(step + offset_steps) % count]
    end = basis.values[(step + 1 + offset_steps) % count]
    return begin * (1 - share) + end * share
