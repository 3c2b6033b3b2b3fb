"""A residual becomes a figure when two comparisons in a row agree on it; the first clean one ends it. Pure.

    comparison:  0   a   a   b   0          pending: asked for again soon
    figure:      0   0   a   a   0

A payment may be in a balance seconds before it is in the books of its venue; what is left by one comparison
alone would stand in the equity until the next one has its turn. Venues round what they show of open contracts
(`tolerances`), so that two comparisons of the same gap differ in their last digits: they agree within that.
Where two differ by more, what both leave at the least is the figure.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from libs.common.instant import US_PER_SEC
from services.executor.model import ZERO

PAUSES_US: Final = (2 * US_PER_SEC, 10 * US_PER_SEC, 10 * US_PER_SEC)
"""After comparisons that left the same; then it waits for its turn: the user may have traded by hand."""

SOON_MAX: Final = 8
"""Comparisons in a row that leave something and are repeated soon, whether or not they agree."""

Units = Mapping[str, Decimal]
"""Asset -> units."""


class Twice:
    """Folds comparisons. `units`: asset -> units that two in a row have left; `settled`: whether the last
    comparison is what they show. Nothing is before the first one.
    """

    def __init__(self) -> None:
        self.units: dict[str, Decimal] = {}
        self.settled = False
        self.compared = False  # ever with a figure
        self._last: dict[str, Decimal] = {}
        self._times = 0  # in a row that agree
        self._row = 0  # in a row that left something

    def take(self, found: Units, tolerance: Units) -> int | None:
        """One more; answers after how many us the next should come, None for its turn."""
        if agree(found, {}, tolerance):
            self.units, self._last, self._times, self._row = dict(found), {}, 0, 0
            self.settled = self.compared = True
            return None
        same = self._row > 0 and agree(found, self._last, tolerance)
        if self._row > 0:
            self.units = dict(found) if same else _least(found, self._last)
            self.compared = True
        self._times = self._times + 1 if same else 1
        self._row += 1
        self._last = dict(found)
        self.settled = self._times > 1 or self._row > SOON_MAX
        if self._times > len(PAUSES_US) or self._row > SOON_MAX:
            return None
        return PAUSES_US[self._times - 1]


def agree(one: Units, other: Units, tolerance: Units) -> bool:
    """Whether two comparisons left the same, but for what the venue rounds."""
    return not differing_in(one, other, tolerance)


def differing_in(one: Units, other: Units, tolerance: Units) -> frozenset[str]:
    """Assets of which two comparisons left more or less than the same."""
    return frozenset(
        asset
        for asset in {*one, *other}
        if abs(one.get(asset, ZERO) - other.get(asset, ZERO)) > tolerance.get(asset, ZERO)
    )


def _least(one: Units, other: Units) -> dict[str, Decimal]:
    """What both leave: the lesser amount of each asset that is on the same side in both."""
    return {
        asset: min(units, other[asset], key=abs)
        for asset, units in one.items()
        if units * other.get(asset, ZERO) > 0
    }
