"""As `mutants`: the rules by which two pairs live on the coins and debts of one wallet."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from services.executor import opening, watch
from tests.sim.mutants import Mutant
from tests.sim.plan import Misfortune

RECALLED: Final = frozenset({Misfortune.LOAN_RECALLED, Misfortune.LOAN_RECALLED_EARLY})


def _nobody_opposes(_whole: Any) -> Any:
    return lambda *_args, **_kwargs: ""


def _nothing_was_taken(_whole: Any) -> Any:
    return lambda *_args, **_kwargs: Decimal(0)


SHARING_MUTANTS: Final = (
    Mutant(
        name="opposite_on_one_coin",
        places=((opening, "opposed", _nobody_opposes),),
        caught_by=frozenset({"I3"}),
        crowded=True,
    ),
    Mutant(
        name="another_ones_recall_is_foreign",
        places=((watch, "taken_of", _nothing_was_taken),),
        caught_by=frozenset({"I9"}),
        misfortunes=RECALLED | {Misfortune.REPLY_LOST},  # so that who was recalled cannot book it at once
        crowded=True,
        seed_start=38,
    ),
)
