"""A residual becomes a figure when two comparisons in a row agree on it; the first clean one ends it. Pure.

    comparison:  0   a   a   b   0          pending: asked for again soon
    figure:      0   0   a   a   0

A payment may be in a balance seconds before it is in the books of its venue; what is left by one comparison
alone would stand in the equity until the next one has its turn.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from libs.common.instant import US_PER_SEC

PAUSES_US: Final = (2 * US_PER_SEC, 10 * US_PER_SEC, 10 * US_PER_SEC)
"""After comparisons that left the same; then it waits for its turn: the user may have traded by hand."""


class Twice:
    """Folds comparisons. `units`: asset -> units that two in a row have left."""

    def __init__(self) -> None:
        self.units: dict[str, Decimal] = {}
        self._last: dict[str, Decimal] = {}
        self._times = 0

    def take(self, found: Mapping[str, Decimal]) -> int | None:
        """One more; answers after how many us the next should come, None for its turn."""
        self._times = self._times + 1 if found == self._last else 1
        self._last = dict(found)
        if not found or self._times > 1:
            self.units = self._last
        if not found or self._times > len(PAUSES_US):
            return None
        return PAUSES_US[self._times - 1]
