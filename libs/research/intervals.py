"""Which interval a settled print covers, from the spacing of the prints alone. Pure.

Used where a source gives no interval. Three things look alike in a list of stamps and must be told apart:
a hole (a print is missing), a change of the interval, and the short step between two regimes.

- An interval is *established* by three equal steps in a row that are on the grid of 1, 2, 4, 8 h and
  end on whole multiples of it, as venues settle (8 h at 00, 08 and 16 UTC).
- A shorter step than the regimes around it is real: money was paid then.
- A step between the shorter and the longer regime, ending on the longer one's grid, is the change itself
  (Bybit's INJUSDT, 2026-02-26: hourly until 18:00, then 00:00, then every 8 h): the print covers the step.
- Every longer step is a hole. The print keeps the interval of its regime, never the hole's length: a
  missing settlement must not become a 16 h interval, since `daily = rate * 24 / h` would halve.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby, pairwise
from typing import Final

from libs.common.instant import MS_PER_HOUR
from libs.research.layout import hours, slot_of

GRID_HOURS: Final = (1, 2, 4, 8)
ESTABLISHED_STEPS: Final = 3


class IntervalUnknown(ValueError):
    """Too few prints to tell an interval from."""


def derive_intervals(stamps_ms: Sequence[int]) -> list[float]:
    """The interval in hours of each print; stamps oldest first, no two in one slot.

    `IntervalUnknown` when there are fewer than two prints: a rate is never stored without its interval.
    """
    if len(stamps_ms) < 2:
        raise IntervalUnknown("one print alone has no spacing to derive an interval from")
    slots = [slot_of(stamp) for stamp in stamps_ms]
    steps = [later - earlier for earlier, later in pairwise(slots)]
    regimes = _regimes(slots, steps)
    intervals = [
        _interval(step, before, after, slot)
        for step, (before, after), slot in zip(steps, _around(regimes), slots[1:], strict=True)
    ]
    # The first print's step is not in the data: it belongs to the regime that it opens.
    return [float(intervals[0]), *(float(interval) for interval in intervals)]


def _regimes(slots: Sequence[int], steps: Sequence[int]) -> list[int | None]:
    """For each step the established interval in ms that it is part of, None where none is."""
    regimes: list[int | None] = []
    for step, run in groupby(steps):
        count = len(list(run))
        ends = slots[len(regimes) + 1 : len(regimes) + 1 + count]
        established = count >= ESTABLISHED_STEPS and _on_grid(step) and all(end % step == 0 for end in ends)
        regimes += [step if established else None] * count
    if any(regimes):
        return regimes
    # Short or ragged series: the commonest step on the grid, the shortest of them when in doubt.
    on_grid = [step for step in steps if _on_grid(step)] or [min(steps)]
    usual = max(sorted(set(on_grid)), key=on_grid.count)
    return [usual if step == usual else None for step in steps]


def _on_grid(step_ms: int) -> bool:
    return step_ms % MS_PER_HOUR == 0 and step_ms // MS_PER_HOUR in GRID_HOURS


def _around(regimes: Sequence[int | None]) -> list[tuple[int, int]]:
    """For each step the established intervals at or before it, and at or after it."""
    known = [regime for regime in regimes if regime is not None]
    before: list[int] = []
    last = known[0]
    for regime in regimes:
        last = regime or last
        before.append(last)
    after: list[int] = []
    following = known[-1]
    for regime in reversed(regimes):
        following = regime or following
        after.append(following)
    return list(zip(before, reversed(after), strict=True))


def _interval(step_ms: int, before_ms: int, after_ms: int, end_slot: int) -> float:
    longer = max(before_ms, after_ms)
    if step_ms <= min(before_ms, after_ms):
        return hours(step_ms)
    if step_ms <= longer and end_slot % longer == 0:
        return hours(step_ms)
    return hours(after_ms)
