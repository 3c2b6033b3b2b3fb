"""Which orders that are over stay in a pair's hash, so that late news of them finds its order. Pure.

    the newest RECENT of them, whatever they are
    NOT_ACCEPTED ones for KEPT_US: they are asked for again until then (`recheck`), and coins that one of them
      buys late would pass for the user's when nobody knew its id
    filled ones until each of their trades is booked (`order.fills_complete`)

At most KEPT_MAX of a pair, and what goes beyond that is told to a person. The journal has them all.

How large it gets: 0.7 kB an order and 45 B a trade of it. A hash has 32 orders, 25 to 50 kB, as a rule; at
its most 512 that are over, 400 kB a pair and some more for those with hundreds of trades.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from libs.common.instant import US_PER_SEC
from services.executor.model import LOANS, Intent, IntentState
from services.executor.order import fills_complete

RECENT: Final = 32

AGES_US: Final = (120 * US_PER_SEC, 600 * US_PER_SEC, 3_600 * US_PER_SEC)
"""So long after it was decided an order that was given up is asked for again, by the wall clock."""

RECHECK_US_MAX: Final = 1_800 * US_PER_SEC
"""So long (monotonic) a venue that does not answer is asked again."""

KEPT_US: Final = AGES_US[-1] + RECHECK_US_MAX + 300 * US_PER_SEC
"""By the wall clock since the order was decided: the last recheck with all its repetitions, and time for an
answer and a look.
"""

KEPT_MAX: Final = 512
"""With each second venue answer lost all that time there are fewer: an order needs W, 13 s at least, and two
not-founds to be given up, and both legs at once make 2 in that time."""


class Parting(msgspec.Struct, frozen=True, kw_only=True):
    """Ids of orders that go: `done` with, and `early`, those that were needed still. Oldest first."""

    done: tuple[str, ...] = ()
    early: tuple[str, ...] = ()


def parting(intents: Iterable[Intent], *, wall_us: int) -> Parting:
    """What of a pair's orders goes now; `intents` oldest first. Orders whose fate is open never do."""
    finals = [one for one in intents if one.state.is_final]
    older = finals[: max(0, len(finals) - RECENT)]
    needed = [one.id for one in older if is_needed(one, wall_us=wall_us)]
    early = needed[: max(0, len(needed) + RECENT - KEPT_MAX)]
    stays = frozenset(needed)
    return Parting(done=tuple(one.id for one in older if one.id not in stays), early=tuple(early))


def is_needed(intent: Intent, *, wall_us: int) -> bool:
    """Whether something may come of an order that is over. A clock that was set back keeps it longer."""
    if intent.purpose in LOANS:
        return False  # has no trades; what became of it is read off the debt
    if intent.state is IntentState.NOT_ACCEPTED and wall_us - intent.created_us < KEPT_US:
        return True
    return not fills_complete(intent)
