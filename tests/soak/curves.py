"""What was measured over time: named curves, and how fast each of them grows. Pure.

A name is `kind/who`: `rss_mb/executor`, `stream/journal`. Times are seconds since the load began.
"""

from __future__ import annotations

import math
from array import array
from statistics import median
from typing import Final

import msgspec

LATER: Final = 0.6
"""The share of a run, its last, that is judged: imports, caches and pools fill in the first one."""

BLOCKS_MAX: Final = 40
BLOCKS_MIN: Final = 8
Z: Final = 2.576
"""Of the normal distribution: both bounds hold together in 99 of 100 runs whose blocks are independent."""

SEC_PER_HOUR: Final = 3_600.0


class Curve:
    """Seconds and values of one name. Arrays: the process that measures is measured too."""

    def __init__(self) -> None:
        self.sec = array("d")
        self.values = array("d")

    def add(self, sec: float, value: float) -> None:
        """One more; times only go forward."""
        self.sec.append(sec)
        self.values.append(value)

    def since(self, sec: float) -> list[tuple[float, float]]:
        """The points from a time on."""
        return [point for point in zip(self.sec, self.values, strict=True) if point[0] >= sec]


class Curves:
    """All curves of a run."""

    def __init__(self) -> None:
        self.by_name: dict[str, Curve] = {}
        self.until_sec = 0.0

    def add(self, sec: float, found: dict[str, float]) -> None:
        """One look at everything."""
        self.until_sec = max(self.until_sec, sec)
        for name, value in found.items():
            self.by_name.setdefault(name, Curve()).add(sec, value)

    def of(self, kind: str) -> dict[str, Curve]:
        """Who -> curve, of one kind."""
        start = f"{kind}/"
        return {name.removeprefix(start): one for name, one in self.by_name.items() if name.startswith(start)}

    def last(self, name: str) -> float:
        """The newest value; 0 of what was never seen."""
        curve = self.by_name.get(name)
        return curve.values[-1] if curve is not None else 0.0

    def trend(self, curve: Curve) -> Trend | None:
        """Of the later part of the run."""
        return trend(curve.since(self.until_sec * (1 - LATER)))


class Trend(msgspec.Struct, frozen=True, kw_only=True):
    """Growth an hour with its bounds, and by how much the last quarter lies above the first."""

    per_hour: float
    low: float
    high: float
    grown: float


def trend(points: list[tuple[float, float]]) -> Trend | None:
    """Theil's and Sen's slope of the medians of up to 40 blocks, with Sen's bounds (Kendall's variance).

    The median of all pairwise slopes: a third of wild blocks does not move it. Medians of blocks because
    neighbouring samples of a memory are nearly the same number, which would count as much evidence. None
    with too few points to say anything.
    """
    blocks = _blocks(points)
    count = len(blocks)
    if count < BLOCKS_MIN:
        return None
    slopes = sorted(
        (later[1] - earlier[1]) / (later[0] - earlier[0]) * SEC_PER_HOUR
        for place, earlier in enumerate(blocks)
        for later in blocks[place + 1 :]
    )
    spread = Z * math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    lower = max(0, math.floor((len(slopes) - spread) / 2))
    upper = min(len(slopes) - 1, math.ceil((len(slopes) + spread) / 2))
    quarter = max(1, count // 4)
    grown = median(y for _, y in blocks[-quarter:]) - median(y for _, y in blocks[:quarter])
    return Trend(per_hour=median(slopes), low=slopes[lower], high=slopes[upper], grown=grown)


def _blocks(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    size = max(1, math.ceil(len(points) / BLOCKS_MAX))
    found = []
    for start in range(0, len(points) - size + 1, size):
        block = points[start : start + size]
        found.append((median(x for x, _ in block), median(y for _, y in block)))
    return found
