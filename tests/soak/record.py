"""A run as JSON: all curves and facts, so that it can be judged and drawn again."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from tests.soak.curves import Curves
from tests.soak.judge import ALLOWED, Facts

DECIMALS: Final = 4


class Growth(msgspec.Struct, frozen=True, kw_only=True):
    """Of one curve's later part, an hour; `end` is its last value."""

    unit: str
    end: float
    per_hour: float
    low: float
    high: float


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """`soak.json`. `curves`: name -> (seconds, value); `growth`: name -> slope of what is judged by it."""

    seconds: float
    seed: int
    passed: bool
    reasons: list[str]
    growth: dict[str, Growth]
    answers: dict[str, int]
    facts: Facts
    curves: dict[str, list[tuple[float, float]]]


def growth_of(curves: Curves) -> dict[str, Growth]:
    """Name -> growth of every curve that has an allowance and enough points."""
    found = {}
    for kind, allowed in ALLOWED.items():
        for who, curve in curves.of(kind).items():
            if (one := curves.trend(curve)) is not None:
                found[f"{kind}/{who}"] = Growth(
                    unit=allowed.unit,
                    end=curve.values[-1],
                    per_hour=one.per_hour,
                    low=one.low,
                    high=one.high,
                )
    return found


def points_of(curves: Curves) -> dict[str, list[tuple[float, float]]]:
    """All curves as they are written."""
    return {
        name: [(round(sec, 1), round(value, DECIMALS)) for sec, value in curve.since(0.0)]
        for name, curve in sorted(curves.by_name.items())
    }


def curves_of(points: dict[str, list[tuple[float, float]]]) -> Curves:
    """Read back."""
    curves = Curves()
    for name, pairs in points.items():
        for sec, value in pairs:
            curves.add(sec, {name: value})
    return curves


def write(record: Record, path: Path) -> None:
    """The file, its folder too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=1))


def read(path: Path) -> Record:
    """`msgspec.DecodeError` and `OSError` as they come."""
    return msgspec.json.decode(path.read_bytes(), type=Record)
