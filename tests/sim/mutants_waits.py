"""How long is waited, what is remembered of it, and what is done when a market refuses, broken on purpose:
one safety rule at a time.
"""

from __future__ import annotations

from typing import Any

import msgspec

from libs.common.instant import US_PER_SEC
from services.executor import holding, lane, news, resolve, slicing, steps
from services.executor.model import ZERO, Intent
from services.executor.writing import JOURNAL
from tests.sim.mutants import Mutant
from tests.sim.plan import Misfortune


def _ten_seconds(_whole: Any) -> Any:
    """What is enough for a fast venue, everywhere."""
    return lambda _venue: 10 * US_PER_SEC


def _never_denied(_whole: Any) -> Any:
    """However often a venue says that it has no such order, it is asked again."""
    return lambda _lane, _intent: False


def _journal_of_the_ended(whole: Any) -> Any:
    """Orders come into the journal when they have ended: by then it is whole again."""

    def change_of(*given: Any) -> Any:
        change = whole(*given)
        [entry] = change.appends[JOURNAL]
        told = msgspec.json.decode(entry["intents"], type=dict[str, msgspec.Raw])
        ended = {key: one for key, one in told.items() if _has_ended(bytes(one))}
        written = {**entry, "intents": msgspec.json.encode(ended)}
        return msgspec.structs.replace(change, appends={**change.appends, JOURNAL: (written,)})

    return change_of


def _nothing_is_kept(_whole: Any) -> Any:
    return lambda _lane, _draft: (ZERO, ZERO)


def _all_at_once(_whole: Any) -> Any:
    """Each leg by itself, down to the goal of its plan."""

    def over(lane: Any, draft: Any, _first: Any = None) -> list[int]:
        return [leg for leg in (0, 1) if steps.reducible(lane, draft, leg) > 0]

    return over


def _has_ended(written: bytes) -> bool:
    return written == b"null" or msgspec.json.decode(written, type=Intent).state.is_final


WAITING_MUTANTS = (
    Mutant(
        name="W is 10 s for every venue",
        seed_start=8,
        misfortunes=frozenset({Misfortune.LATE_LANDING}),
        places=((resolve, "window_us", _ten_seconds),),
        caught_by=frozenset({"I12"}),
    ),
    Mutant(
        name="an order that its venue denies stays unknown",
        misfortunes=frozenset({Misfortune.REQUEST_LOST, Misfortune.HTTP_429}),
        places=((news, "is_denied", _never_denied),),
        caught_by=frozenset({"I4"}),
    ),
    Mutant(
        name="a leg that cannot follow has the hedged part closed with it",
        seed_start=14,
        misfortunes=frozenset({Misfortune.ADL, Misfortune.FOLLOW_REFUSED}),
        places=((holding, "hedged_goals", _nothing_is_kept), (slicing, "over", _all_at_once)),
        caught_by=frozenset({"I4"}),
    ),
    Mutant(
        name="the journal tells of orders when they have ended",
        misfortunes=frozenset({Misfortune.CRASH_OPENING, Misfortune.CRASH_UNWINDING}),
        places=((lane, "change_of", _journal_of_the_ended),),
        caught_by=frozenset({"I10"}),
    ),
)
