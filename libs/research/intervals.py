"""Intervals of archived prints, from their spacing alone (`libs.carry.intervals` has the rules). Pure."""

from __future__ import annotations

from collections.abc import Sequence

from libs.carry import intervals
from libs.carry.intervals import GRID_HOURS, IntervalUnknown
from libs.research.layout import slot_of

__all__ = ["GRID_HOURS", "IntervalUnknown", "derive_intervals"]


def derive_intervals(stamps_ms: Sequence[int]) -> list[float]:
    """The interval in hours of each print; stamps with their jitter, oldest first, no two in one slot.

    `IntervalUnknown` when there are fewer than two prints: a rate is never stored without its interval.
    """
    return intervals.derive_intervals([slot_of(stamp) for stamp in stamps_ms])
