"""Seeds of the simulation: none violates an invariant, every misfortune and every move happens."""

from __future__ import annotations

import pytest

from tests.sim.campaign import Outcome, never_seen, outcome_of_seed

SEEDS = 500
CHUNK = 25

REGRESSIONS = (8, 22, 60, 64, 71, 75, 87, 98, 101, 105, 113, 169, 187, 267, 278, 3143, 3144, 3226, 3286)
"""Seeds that have found a fault once; run again even if SEEDS becomes smaller."""

_seen: list[Outcome] = []


def run(seeds: range | tuple[int, ...]) -> None:
    outcomes = [outcome_of_seed(seed) for seed in seeds]
    _seen.extend(outcomes)
    bad = [f"make sim SEEDS=1 SEED_START={one.seed}: {one.violation}" for one in outcomes if one.violation]
    assert not bad, "\n".join(bad)


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_seeds_hold_all_invariants(first: int) -> None:
    run(range(first, first + CHUNK))


def test_seeds_that_have_found_faults_find_none() -> None:
    run(tuple(seed for seed in REGRESSIONS if seed >= SEEDS))


def test_every_misfortune_and_every_move_has_happened() -> None:
    """After the seeds above, in the same process (pytest keeps a file on one worker)."""
    assert len(_seen) >= SEEDS
    assert never_seen(_seen) == []
