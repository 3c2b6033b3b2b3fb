"""Cases that have found a fault once, each as its whole plan: a number alone is another case as soon as plans
are drawn otherwise.

A line of `regressions.jsonl` is one plan. `make sim` prints the line of what it has found, made smaller.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec

from tests.sim.plan import Plan

FILE: Final = Path(__file__).with_name("regressions.jsonl")


def kept() -> list[Plan]:
    """All of them. A misfortune that has another name by now raises `msgspec.ValidationError`."""
    return msgspec.json.Decoder(Plan, strict=True).decode_lines(FILE.read_bytes())


def line_of(plan: Plan) -> str:
    """How a plan is kept."""
    return msgspec.json.encode(plan, order="sorted").decode()
