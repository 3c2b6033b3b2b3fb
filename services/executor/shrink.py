"""Shrinking on demand: both legs down to a share of the size that the pair had when the demand began.

Risk says the share in its permits (`max_ratio`); after 30 s without one the executor goes by the same
function of its own looks at the accounts (`libs.carry.shrink`). Nothing here makes a pair larger again.
"""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from services.executor import closing, holding
from services.executor.flatten import both_answer

if TYPE_CHECKING:
    from services.executor.lane import Draft, Lane

SLACK: Final = Decimal("1.02")
"""A pair this little above its allowed share is left alone: steps and fills are not exact."""


def on_tick(lane: Lane, draft: Draft) -> None:
    """Call it for a held pair at rest. `PairState.full` is what the share is one of: while nothing is
    demanded it follows the size, and from the demand on it stays, also over restarts.
    """
    state, world = draft.state, lane.world
    ratio, who = world.allowed(lane.pair, lane.keys, draft.now)
    if ratio >= 1:
        if state.full != state.hedged and world.permits.fresh(draft.now):
            draft.set(full=state.hedged)
        return
    full = state.full or state.hedged
    draft.set(full=full)
    reason = f"{who} {format(ratio, '.0%') if ratio > 0 else 'nothing'} of its size"
    if state.hedged <= full * ratio * SLACK or not both_answer(lane, draft, reason):
        return
    if ratio <= 0:
        closing.begin(draft, reason=reason, hard=True)
    else:
        holding.shrink(lane, draft, ratio, full, reason)
