"""Makes a failing seed smaller: fewer misfortunes, a shorter time, the same invariant violated."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from libs.common.instant import US_PER_SEC
from tests.sim.plan import Plan

Fails = Callable[[Plan], str]
"""The number of the invariant that a plan violates, "" when it holds all of them."""


def shrink(plan: Plan, fails: Fails) -> Plan:
    """The smallest plan found that still violates what `plan` violates."""
    wanted = fails(plan)
    if not wanted:
        return plan
    for kind in sorted(plan.misfortunes):
        smaller = msgspec.structs.replace(plan, misfortunes=plan.misfortunes - {kind})
        if fails(smaller) == wanted:
            plan = smaller
    seconds = plan.active_us // US_PER_SEC
    low = 1
    while low < seconds:
        middle = (low + seconds) // 2
        if fails(msgspec.structs.replace(plan, active_us=middle * US_PER_SEC)) == wanted:
            seconds = middle
        else:
            low = middle + 1
    shorter = msgspec.structs.replace(plan, active_us=seconds * US_PER_SEC)
    return shorter if fails(shorter) == wanted else plan
