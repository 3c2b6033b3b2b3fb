"""Seeds of the simulation: none violates an invariant, every misfortune and every move happens."""

from __future__ import annotations

import multiprocessing
import statistics
from collections.abc import Iterator
from multiprocessing.pool import AsyncResult

import msgspec
import pytest

from tests.sim.campaign import Outcome, never_seen, outcome_of, outcome_of_seed
from tests.sim.regressions import FILE, kept, line_of

SEEDS = 500
CHUNK = 25
JOBS = 2
STEPS_MEDIAN_MIN = 500
ORDERS_MEAN_MIN = 25
OPENED_MEAN_MIN = 3.5
"""A seed, on average: what nobody trades nobody tests. 500 seeds had 41 orders and 4.1 openings."""

REGRESSIONS_MIN = 99

OPENED = "opening opened active"

Chunks = dict[int, "AsyncResult[list[Outcome]]"]


def run(seeds: tuple[int, ...]) -> list[Outcome]:
    """In one process."""
    return [outcome_of_seed(seed) for seed in seeds]


def bad(outcomes: list[Outcome]) -> list[str]:
    """The commands that repeat what has failed."""
    found = [one for one in outcomes if one.violation]
    return [f"make sim SEEDS=1 SEED_START={one.seed}: {one.violation}" for one in found]


@pytest.fixture(scope="module")
def chunks() -> Iterator[Chunks]:
    """First seed -> its chunk, under way in processes of their own."""
    with multiprocessing.get_context("spawn").Pool(JOBS) as pool:
        firsts = range(0, SEEDS, CHUNK)
        yield {one: pool.apply_async(run, (tuple(range(one, one + CHUNK)),)) for one in firsts}


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_seeds_hold_all_invariants(first: int, chunks: Chunks) -> None:
    assert bad(chunks[first].get()) == []


def test_plans_that_have_found_faults_find_none() -> None:
    plans = kept()
    assert len(plans) >= REGRESSIONS_MIN
    found = [(plan, outcome_of(plan).violation) for plan in plans]
    assert [f"{line_of(plan)}: {violation}" for plan, violation in found if violation] == []


def test_what_found_a_fault_is_kept_as_it_was() -> None:
    """Each line decodes to what is written there: nothing of it has become a default meanwhile."""
    lines = FILE.read_text().splitlines()
    written = [msgspec.json.decode(line) for line in lines]
    meant = [msgspec.json.decode(line_of(plan)) for plan in kept()]
    assert [one | line for one, line in zip(meant, written, strict=True)] == meant
    assert len(set(lines)) == len(lines)


def test_every_misfortune_and_every_move_has_happened(chunks: Chunks) -> None:
    seen = [one for chunk in chunks.values() for one in chunk.get()]
    assert len(seen) == SEEDS
    assert never_seen(seen) == []
    assert statistics.median(one.steps for one in seen) >= STEPS_MEDIAN_MIN


def test_seeds_trade(chunks: Chunks) -> None:
    seen = [one for chunk in chunks.values() for one in chunk.get()]
    assert statistics.mean(one.counts.get("orders", 0) for one in seen) >= ORDERS_MEAN_MIN
    assert statistics.mean(one.transitions.get(OPENED, 0) for one in seen) >= OPENED_MEAN_MIN
