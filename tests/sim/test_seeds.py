"""Seeds of the simulation: none violates an invariant, every misfortune and every move happens."""

from __future__ import annotations

import multiprocessing
import statistics
from collections.abc import Iterator
from multiprocessing.pool import AsyncResult

import pytest

from tests.sim.campaign import Outcome, never_seen, outcome_of_seed

SEEDS = 500
CHUNK = 25
JOBS = 2
STEPS_MEDIAN_MIN = 500

REGRESSIONS = (
    *(8, 11, 22, 60, 64, 71, 75, 87, 96, 98, 101, 105, 113, 115, 140, 169, 187, 203, 267, 278, 449, 489),
    *(493, 406, 407, 430, 438, 53, 779, 1555, 1650, 1661, 3143, 3144, 3226, 3286, 3346),
    *(3584, 3733, 3890, 4119, 4579, 20190, 50064),
)
"""Seeds that have found a fault once; run again even if SEEDS becomes smaller."""

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


def test_seeds_that_have_found_faults_find_none() -> None:
    later = tuple(seed for seed in REGRESSIONS if seed >= SEEDS)
    assert bad(run(later)) == []


def test_every_misfortune_and_every_move_has_happened(chunks: Chunks) -> None:
    seen = [one for chunk in chunks.values() for one in chunk.get()]
    assert len(seen) == SEEDS
    assert never_seen(seen) == []
    assert statistics.median(one.steps for one in seen) >= STEPS_MEDIAN_MIN
