"""What is remembered over an absence, and looked for after it, broken on purpose: one rule at a time."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from libs.common.instant import US_PER_MS
from services.executor import recalled, watch
from services.executor.events import FindTaken
from tests.sim.mutants import Mutant
from tests.sim.plan import Misfortune

MINUTE_MS = 60_000


def _nothing_recalled(_whole: Any) -> Any:
    return lambda _world, _draft: None


def _a_minute_back(whole: Any) -> Any:
    """As if nobody were ever away for longer."""

    def missed(lane: Any, draft: Any, *given: Any) -> None:
        whole(lane, draft, *given)
        least_ms = draft.now.wall_us // US_PER_MS - MINUTE_MS
        draft.requests[:] = [
            replace(one, since_ms=max(one.since_ms, least_ms)) if isinstance(one, FindTaken) else one
            for one in draft.requests
        ]

    return missed


ABSENCE_MUTANTS = (
    Mutant(
        seed_start=9,
        name="a restarted executor waits for the feed before it reduces",
        misfortunes=frozenset(
            {Misfortune.FEED_AWAY, Misfortune.CRASH, Misfortune.CRASH_OPENING, Misfortune.CRASH_CLOSING}
        ),
        places=((recalled, "take", _nothing_recalled),),
        caught_by=frozenset({"I4"}),
    ),
    Mutant(
        name="what a venue took is looked for a minute back",
        misfortunes=frozenset({Misfortune.HOST_AWAY, Misfortune.ADL}),
        places=((watch, "_look_into", _a_minute_back),),
        caught_by=frozenset({"I9", "I13", "I3"}),
    ),
)
