"""Which interval a settled print was paid for, from the spacing of the prints and what was said meanwhile.

Pure. Three things look alike in a list of instants and must be told apart: a hole (a print is missing), a
change of the interval, and the short step between two regimes.

- The regimes are the cheapest story that explains all steps: a step of the regime's own length costs
  nothing, a hole, an extra print and a change of the regime cost something (below). A few holes therefore
  never make a regime, several equal steps in a row on the grid do.
- A shorter step than the regimes around it is real: money was paid then.
- A step between the shorter and the longer regime, ending on the longer one's grid, is the change itself
  (Bybit's INJUSDT, 2026-02-26: hourly until 18:00, then 00:00, then every 8 h): the print covers the step.
- Every longer step is a hole. The print keeps the interval of its regime, never the hole's length: a
  missing settlement must not become a 24 h interval, since `daily = rate * 24 / h` would shrink by it.
- What the venue said before a settlement (`hints`) is the regime of that print, and what it says now
  (`current_hours`) is the regime that follows the last one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby, pairwise
from typing import Final, NamedTuple

MS_PER_HOUR: Final = 3_600_000
GRID_HOURS: Final = (1, 2, 4, 8)
# Costs of a story. Three steps of 4 or 8 h end an hourly regime (three outages of just that length, all on
# the grid, are the less likely story), and seven of 2 h do; two outages of any length, or six settlements
# lost singly, never do. A regime that is left and comes back needs twice the evidence.
CHANGE_COST: Final = 6.5
EXTRA_COST: Final = 2.25
HOLE_COST: Final = 1.0
LONG_HOLE_COST: Final = 2.5
LONG_HOLE_RATIO: Final = 4
CONTRADICTION_COST: Final = 1_000.0  # of what the venue itself said


class IntervalUnknown(ValueError):
    """Too few prints to tell an interval from."""


class Step(NamedTuple):
    """The way to a print from the one before: its length, whether it ends on its own grid, what was said."""

    length_ms: int
    on_grid: bool
    hint_ms: int | None


def derive_intervals(
    instants_ms: Sequence[int],
    *,
    hints: Mapping[int, float] | None = None,
    current_hours: float | None = None,
) -> list[float]:
    """The interval in hours of each print; settlement instants (no jitter) oldest first, none twice.

    `hints`: instant -> hours that the venue gave for that settlement; `current_hours`: for the next one.
    `IntervalUnknown` for a lone print of which nothing was said: a rate never stands without an interval.
    """
    said = {at: _ms(hours) for at, hours in (hints or {}).items()}
    current_ms = None if current_hours is None else _ms(current_hours)
    if len(instants_ms) < 2:
        only = said.get(instants_ms[0], current_ms) if instants_ms else None
        if only is None:
            raise IntervalUnknown("one print alone has no spacing to derive an interval from")
        return [only / MS_PER_HOUR]
    steps = [_step(before, after, said.get(after)) for before, after in pairwise(instants_ms)]
    around = _around(_regimes(steps, current_ms), current_ms)
    intervals = [
        _interval(step, before, after, at)
        for step, (before, after), at in zip(steps, around, instants_ms[1:], strict=True)
    ]
    # The first print's step is not in the data: it belongs to the regime that it opens.
    first = said.get(instants_ms[0], intervals[0])
    return [interval / MS_PER_HOUR for interval in (first, *intervals)]


def _ms(hours: float) -> int:
    return round(hours * MS_PER_HOUR)


def _step(before_ms: int, after_ms: int, hint_ms: int | None) -> Step:
    length_ms = after_ms - before_ms
    # Venues settle 8 h intervals at 00, 08 and 16 UTC: steps that end elsewhere are rather holes.
    return Step(length_ms, after_ms % length_ms == 0, hint_ms)


def _regimes(steps: Sequence[Step], current_ms: int | None) -> list[int | None]:
    """For each step the regime in ms that it shows, None where it shows none (a hole, an extra print)."""
    states = {hours * MS_PER_HOUR for hours in GRID_HOURS}
    states |= {step.hint_ms for step in steps if step.hint_ms is not None}
    if current_ms is not None:
        states.add(current_ms)
    story = _cheapest(steps, sorted(states), current_ms)
    regimes = [
        step.hint_ms or (state if step.length_ms == state else None)
        for step, state in zip(steps, story, strict=True)
    ]
    if any(regimes) or current_ms is not None:
        return regimes
    # Nothing on any grid: the commonest whole length, the shortest of them when in doubt.
    lengths = [step.length_ms for step in steps]
    usable = [length for length in lengths if length in states] or [min(lengths)]
    usual = max(sorted(set(usable)), key=usable.count)
    return [usual if length == usual else None for length in lengths]


def _cheapest(steps: Sequence[Step], states: Sequence[int], current_ms: int | None) -> list[int]:
    """The regime of each step in the cheapest story (Viterbi, over runs of equal steps)."""
    runs = [(step, len(list(run))) for step, run in groupby(steps)]
    costs = dict.fromkeys(states, 0.0)
    origins: list[dict[int, int]] = []
    for step, count in runs:
        # A run never changes its regime in the middle: where its steps are equal that explains nothing.
        best = min(states, key=lambda state: costs[state])
        changed = costs[best] + CHANGE_COST
        origins.append({state: state if costs[state] <= changed else best for state in states})
        costs = {state: min(costs[state], changed) + count * _cost(step, state, states) for state in states}
    if current_ms is not None:
        costs = {state: cost + CHANGE_COST * (state != current_ms) for state, cost in costs.items()}
    state = min(states, key=lambda one: costs[one])
    story: list[int] = []
    for (_, count), origin in zip(reversed(runs), reversed(origins), strict=True):
        story += [state] * count
        state = origin[state]
    return story[::-1]


def _cost(step: Step, regime_ms: int, states: Sequence[int]) -> float:
    if step.hint_ms is not None:
        return 0.0 if step.hint_ms == regime_ms else CONTRADICTION_COST
    if step.length_ms < regime_ms:
        return EXTRA_COST
    if step.length_ms == regime_ms:
        return 0.0
    # A length that is no interval speaks for no regime: it costs the same in all of them.
    likely_an_interval = step.on_grid and step.length_ms in states
    if likely_an_interval and step.length_ms >= LONG_HOLE_RATIO * regime_ms:
        return LONG_HOLE_COST
    return HOLE_COST


def _around(regimes: Sequence[int | None], current_ms: int | None) -> list[tuple[int, int]]:
    """For each step the regimes at or before it, and at or after it."""
    known = [regime for regime in (*regimes, current_ms) if regime is not None]
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


def _interval(step: Step, before_ms: int, after_ms: int, at_ms: int) -> int:
    if step.hint_ms is not None:  # nobody pays for hours before the last settlement
        return min(step.length_ms, step.hint_ms)
    longer = max(before_ms, after_ms)
    if step.length_ms <= min(before_ms, after_ms):
        return step.length_ms
    if step.length_ms <= longer and at_ms % longer == 0:
        return step.length_ms
    return after_ms
