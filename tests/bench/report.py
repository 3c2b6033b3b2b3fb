"""What a benchmark answers: figures, and for each goal whether it was met in this run."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence

import msgspec


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One number; `goal` is the most that it should be, None for what only explains."""

    name: str
    value: float
    unit: str
    goal: float | None = None

    @property
    def met(self) -> bool | None:
        return None if self.goal is None else self.value <= self.goal


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """All figures of one benchmark, and what a reader must know to judge them."""

    bench: str
    note: str
    figures: tuple[Figure, ...]

    def as_json(self) -> dict[str, object]:
        """`{"ratio": 1.4, ..., "goals": {"ratio": {"goal": 1.6, "met": true}}}`."""
        goals = {one.name: {"goal": one.goal, "met": one.met} for one in self.figures if one.goal is not None}
        return {**{one.name: one.value for one in self.figures}, "goals": goals, "note": self.note}

    def as_text(self) -> str:
        """A line for each figure."""
        lines = [f"{self.bench}: {self.note}"]
        for one in self.figures:
            verdict = ""
            if one.goal is not None:
                verdict = f"   goal <= {one.goal:g}: {'met' if one.met else 'NOT MET'}"
            lines.append(f"  {one.name:<34} {one.value:>12,.3f} {one.unit:<6}{verdict}")
        return "\n".join(lines)


def median(values: Sequence[float]) -> float:
    """The middle one, rounded to what a clock can tell."""
    return round(statistics.median(values), 6)


def ratio_of(ours: Iterable[float], floor: Iterable[float]) -> float:
    """Median of the rounds' own ratios: both sides of a round ran side by side, in the same weather."""
    return round(statistics.median(a / b for a, b in zip(ours, floor, strict=True)), 4)
