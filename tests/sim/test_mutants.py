"""The oracle can see: every safety rule that is broken on purpose is noticed within a few seeds."""

from __future__ import annotations

import pytest

from tests.sim.campaign import outcome_of_seed
from tests.sim.mutants import MUTANTS, Mutant

SEEDS_MAX = 80


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_broken_rule_is_noticed(mutant: Mutant) -> None:
    found = set()
    with mutant.applied():
        for seed in range(mutant.first_seed, mutant.first_seed + SEEDS_MAX):
            found.add(outcome_of_seed(seed).number)
            if found & mutant.caught_by:
                return
    pytest.fail(f"{SEEDS_MAX} seeds did not notice it (they noticed {sorted(found - {''})})")
