"""As `mutants`: the rules by which what the user does with his coins and loans is not taken for ours."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from services.executor import debt_watch, loan_fate
from services.executor.rounds import VenueBooks
from tests.sim.mutants import Mutant
from tests.sim.plan import Misfortune


def _coins_are_a_proof(whole: Any) -> Any:
    """As many coins as were asked for have come, so they were lent."""

    def lent(loan: Any, change: Any, gone: Any, owed: Any) -> loan_fate.Fate:
        came = gone is not None and -gone >= loan.quantity
        return loan_fate.Fate.MOVED if came else whole(loan, change, gone, owed)

    return lent


def _nobody_repays_by_hand(_whole: Any) -> Any:
    return lambda *_args: False


def _any_round_will_do(whole: Any) -> Any:
    """The books are opened though their venue's lines were not read just then."""

    def on_caught_up(self: VenueBooks, now: Any) -> Iterator[Any]:
        self._whole = True
        yield from whole(self, now)

    return on_caught_up


USER_MUTANTS: Final = (
    Mutant(
        name="coins that came were lent",
        places=((loan_fate, "_lent", _coins_are_a_proof),),
        caught_by=frozenset({"I12"}),
        misfortunes=frozenset({Misfortune.USER_MOVES, Misfortune.REQUEST_LOST, Misfortune.LOAN_REJECTED}),
        seed_start=10,
    ),
    Mutant(
        name="a stuck pair's loan that was repaid by hand was another one's",
        places=((debt_watch, "_is_persons", _nobody_repays_by_hand),),
        caught_by=frozenset({"I9"}),
        misfortunes=frozenset({Misfortune.STUCK_REPAID, Misfortune.REPAY_REFUSED}),
        crowded=True,
        seed_start=14,
    ),
    Mutant(
        name="books are opened beside lines that nobody has read",
        places=((VenueBooks, "on_caught_up", _any_round_will_do),),
        caught_by=frozenset({"I8"}),
        misfortunes=frozenset({Misfortune.USER_MOVES, Misfortune.QUERY_FAILS, Misfortune.LOAN_REPLY_LOST}),
        seed_start=8,
    ),
)
