"""Many seeds: each one's outcome, what they have seen together, and a failing one made smaller."""

from __future__ import annotations

import multiprocessing
import statistics
import sys
import time
from collections import Counter
from typing import Final

import msgspec

from services.executor.pair import TABLE
from tests.sim.invariants import Violated
from tests.sim.plan import Misfortune, Plan, of_seed
from tests.sim.run import Seed
from tests.sim.shrink import shrink

PROGRESS_SEC: Final = 5.0


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What one seed was. `violation` is "" when everything held."""

    seed: int
    steps: int
    counts: dict[str, int]
    transitions: dict[str, int]
    violation: str = ""
    number: str = ""


def outcome_of(plan: Plan) -> Outcome:
    """Run one plan."""
    seed = Seed(plan)
    violation = number = ""
    try:
        seed.run()
    except Violated as violated:
        violation, number = str(violated), violated.number
    world = seed.world
    return Outcome(
        seed=plan.seed,
        steps=world.time.steps,
        counts=dict(world.counts),
        transitions=dict(world.checker.transitions),
        violation=violation,
        number=number,
    )


def outcome_of_seed(seed: int) -> Outcome:
    """Run one seed."""
    return outcome_of(of_seed(seed))


def smallest(seed: int) -> Plan:
    """The smallest plan found that violates what the seed violates."""
    return shrink(of_seed(seed), lambda plan: outcome_of(plan).number)


NOBODY_PULLS: Final = frozenset({"idle give_up stuck", "active give_up stuck"})
"""What the table has only because it has a row for every state. An idle pair is on the way to nothing, so no
tries of it can be used up. A held one whose tries are used up becomes UNWINDING first, and gives up there
(ADR 0021).
"""

SIGHTS: Final = (
    *("orders", "loans", "comparisons", "agreements", "settlements", "interest", "maker_fills"),
    *("signal open", "signal close", "commands", "cmd done", "cmd refused", "risk_twice"),
    "folds at crashes",
)
"""What must have been there for the invariants to mean anything."""

CONTROLS: Final = (
    *("permit_heartbeat", "data_age", "process_clock", "executor_silent", "build", "venue_errors"),
    *("unknown_orders", "order_failures", "churn", "price_jump", "reconcile", "stuck"),
    *("operator_pause", "operator_halt", "operator_flatten"),
)
"""Rows of risk's table that must have forbidden something."""


def never_seen(outcomes: list[Outcome]) -> list[str]:
    """Fault classes and transitions that did not happen in any of these seeds."""
    counts: Counter[str] = Counter()
    moves: Counter[str] = Counter()
    for one in outcomes:
        counts.update(one.counts)
        moves.update(one.transitions)
    table = {f"{state} {trigger} {target}" for (state, trigger), target in TABLE.items()}
    rows = (f"control {name}" for name in CONTROLS)
    kinds = [kind for kind in (*(kind.value for kind in Misfortune), *SIGHTS, *rows) if not counts[kind]]
    return [*kinds, *sorted(move for move in table - NOBODY_PULLS if not moves[move])]


def _of(counts: Counter[str], family: str) -> list[tuple[str, int]]:
    return [(name.removeprefix(family), n) for name, n in counts.items() if name.startswith(family)]


def report(outcomes: list[Outcome], seconds: float) -> str:
    """The figures of a run."""
    counts: Counter[str] = Counter()
    moves: Counter[str] = Counter()
    for one in outcomes:
        counts.update(one.counts)
        moves.update(one.transitions)
    steps = [one.steps for one in outcomes]
    events = f"{sum(steps):,} events (median {statistics.median(steps):,.0f} a seed)"
    rate = f"{len(outcomes) / seconds:.1f} seeds/s"
    lines = [
        f"{len(outcomes)} seeds in {seconds:.0f} s: {rate}, {events}, {counts['orders']:,} orders",
        "seen: " + ", ".join(f"{name} {counts[name]:,}" for name in SIGHTS),
        "misfortunes: " + ", ".join(f"{kind.value} {counts[kind.value]:,}" for kind in Misfortune),
        "permits: " + ", ".join(f"{name} {count:,}" for name, count in sorted(_of(counts, "control "))),
        "transitions: " + ", ".join(f"{name} {count:,}" for name, count in sorted(moves.items())),
    ]
    return "\n".join(lines)


def run_all(first: int, count: int, jobs: int) -> list[Outcome]:
    """All seeds on several processes, with progress on stderr."""
    outcomes: list[Outcome] = []
    said = time.perf_counter()
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        for outcome in pool.imap_unordered(outcome_of_seed, range(first, first + count), chunksize=4):
            outcomes.append(outcome)
            if outcome.violation:
                sys.stderr.write(f"seed {outcome.seed}: {outcome.violation}\n")
            if time.perf_counter() - said > PROGRESS_SEC:
                said = time.perf_counter()
                bad = sum(bool(one.violation) for one in outcomes)
                sys.stderr.write(f"{len(outcomes):,} of {count:,} seeds, {bad} violations\n")
    return sorted(outcomes, key=lambda one: one.seed)
