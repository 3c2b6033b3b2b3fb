"""The pair machine's table: (state, trigger) -> state. What is not in it cannot happen.

The machine that pulls the triggers is `machine`; the docs' diagram is generated from this table.
"""

from __future__ import annotations

from typing import Final

from services.executor.model import PairState, State, Trigger

TABLE: Final[dict[tuple[State, Trigger], State]] = {
    (State.IDLE, Trigger.OPEN): State.OPENING,
    (State.OPENING, Trigger.OPENED): State.ACTIVE,
    (State.OPENING, Trigger.NOTHING_FILLED): State.IDLE,
    (State.OPENING, Trigger.ORPHAN): State.UNWINDING,
    (State.ACTIVE, Trigger.CLOSE): State.CLOSING,
    (State.ACTIVE, Trigger.LEG_LOST): State.UNWINDING,
    (State.CLOSING, Trigger.CLOSED): State.IDLE,
    (State.CLOSING, Trigger.RESTORED): State.ACTIVE,
    (State.CLOSING, Trigger.RESTORE_FAILED): State.UNWINDING,
    (State.UNWINDING, Trigger.UNWOUND_HEDGED): State.ACTIVE,
    (State.UNWINDING, Trigger.UNWOUND_FLAT): State.IDLE,
    (State.STUCK, Trigger.RESET_IDLE): State.IDLE,
    (State.STUCK, Trigger.RESET_ACTIVE): State.ACTIVE,
    # any -> STUCK: only a person leaves it
    **{
        (state, trigger): State.STUCK
        for state in State
        if state is not State.STUCK
        for trigger in (Trigger.GIVE_UP, Trigger.FOREIGN)
    },
}


class IllegalTransition(Exception):
    """A trigger that does not exist in this state; nothing has changed."""

    def __init__(self, state: State, trigger: Trigger, why: str = "") -> None:
        super().__init__(why or f"{trigger} does not happen in state {state}")
        self.state = state
        self.trigger = trigger


def next_state(state: State, trigger: Trigger) -> State:
    """Where `trigger` leads from `state`; raises `IllegalTransition`."""
    try:
        return TABLE[state, trigger]
    except KeyError:
        raise IllegalTransition(state, trigger) from None


def target_of(pair: PairState, trigger: Trigger) -> State:
    """Where `trigger` leads this pair; raises `IllegalTransition`.

    A pair at rest owes nothing: a reset that took one for idle while coins are owed would leave the debt to
    nobody. What a person has repaid by hand must have been taken over from the venue before.
    """
    owing = [f"{leg.owed:f} of {leg.venue} {leg.instrument}" for leg in pair.legs if leg.owed]
    if trigger is Trigger.RESET_IDLE and owing:
        why = f"{pair.pair} still owes {' and '.join(owing)}: repay it first"
        raise IllegalTransition(pair.state, trigger, why)
    return next_state(pair.state, trigger)


def diagram() -> str:
    """The table as Mermaid text, for the docs."""
    lines = ["stateDiagram-v2", "    [*] --> idle"]
    lines += [
        f"    {state} --> {target}: {trigger}"
        for (state, trigger), target in sorted(TABLE.items(), key=lambda item: (*item[0], item[1]))
    ]
    return "\n".join(lines)
