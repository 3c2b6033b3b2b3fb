"""The oracle can see: every safety rule that is broken on purpose is noticed within a few seeds."""

from __future__ import annotations

import msgspec
import pytest

from libs.common.instant import US_PER_SEC
from tests.sim.campaign import Outcome, outcome_of
from tests.sim.mutants import MUTANTS, Mutant
from tests.sim.mutants_absence import ABSENCE_MUTANTS
from tests.sim.mutants_risk import RISK_MUTANTS
from tests.sim.mutants_shared import SHARING_MUTANTS
from tests.sim.mutants_user import USER_MUTANTS
from tests.sim.mutants_waits import WAITING_MUTANTS
from tests.sim.plan import of_seed

SEEDS_MAX = 40
ACTIVE_US = 150 * US_PER_SEC


def outcome(mutant: Mutant, seed: int) -> Outcome:
    """A seed in which just that goes wrong which makes the broken rule matter."""
    plan = of_seed(seed)
    return outcome_of(
        msgspec.structs.replace(
            plan, misfortunes=mutant.misfortunes, active_us=ACTIVE_US, crowded=mutant.crowded
        )
    )


@pytest.mark.parametrize(
    "mutant",
    [*MUTANTS, *RISK_MUTANTS, *WAITING_MUTANTS, *ABSENCE_MUTANTS, *SHARING_MUTANTS, *USER_MUTANTS],
    ids=lambda mutant: mutant.name,
)
def test_a_broken_rule_is_noticed(mutant: Mutant) -> None:
    found = set()
    with mutant.applied():
        for later in range(SEEDS_MAX):
            found.add(outcome(mutant, (mutant.seed_start + later) % SEEDS_MAX).number)
            if found & mutant.caught_by:
                return
    pytest.fail(f"{SEEDS_MAX} seeds did not notice it (they noticed {sorted(found - {''})})")
