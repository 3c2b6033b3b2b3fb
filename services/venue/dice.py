"""Reproducible noise: a number in [0, 1) for any key, the same in every process and run."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15


class Dice:
    """SplitMix64 (Steele, Lea, Flood 2014) started from a seed and a name."""

    __slots__ = ("_state",)

    def __init__(self, seed: int, name: str) -> None:
        self._state = (seed * _GOLDEN + zlib.crc32(name.encode()) * 0xD1342543DE82EF95) & _MASK

    def uniform(self) -> float:
        """The next number in [0, 1)."""
        self._state = (self._state + _GOLDEN) & _MASK
        z = self._state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
        return ((z ^ (z >> 31)) >> 11) / (1 << 53)

    def normal(self) -> float:
        """Roughly standard normal (sum of twelve uniforms): enough for a price path."""
        return sum(self.uniform() for _ in range(12)) - 6.0

    def quantile(self, table: Sequence[float]) -> float:
        """A draw from a distribution given by equally spaced quantiles, its extreme ends cut off.

        The first and last quantile of a recording are single outliers (a 10 bps spread in one of 28,040
        frames), so draws stay between the second and the last but one.
        """
        place = 1 + self.uniform() * (len(table) - 3)
        low = int(place)
        share = place - low
        return table[low] * (1 - share) + table[low + 1] * share
