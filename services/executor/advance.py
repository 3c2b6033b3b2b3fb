"""What a pair does next, decided when the fate of all its orders is known.

One rule comes before all others: while an order is unknown nothing is sent for the pair, since acting on half
of the truth risks the opposite naked leg. `advance` is called after every turn of the pair's lane.
"""

from __future__ import annotations

from typing import Final

from services.executor import closing, holding, opening, unwinding
from services.executor.lane import Draft, Lane
from services.executor.model import IntentState, State
from services.executor.steps import wake

_STEPS: Final = {
    State.OPENING: opening.advance,
    State.UNWINDING: unwinding.advance,
    State.CLOSING: closing.advance,
    State.ACTIVE: holding.advance,
}
STEPS_MAX: Final = 8
"""So many steps may follow one another without an order in between (a slice too small to send, idle)."""


def advance(lane: Lane, draft: Draft) -> None:
    """As far on as is possible now; else a timer for when it is."""
    if not lane.ready or lane.lease is None:
        return
    live = draft.live
    if any(intent.state is not IntentState.WORKING for intent in live):
        return
    if live and not opening.is_making(draft):
        return  # a resting order where none should rest: its cancel is under way
    if draft.unsettled:
        return  # selling what a fee has taken would sell the user's own coins; the trades are on their way
    for _ in range(STEPS_MAX):
        step = _STEPS.get(draft.state.state)
        if step is None or draft.sends:
            return
        wait_us = lane.not_before_us - draft.now.mono_us
        if wait_us > 0:
            wake(lane, draft, wait_us)
            return
        before = draft.state
        step(lane, draft)
        if draft.state == before:
            return
