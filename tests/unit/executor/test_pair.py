from __future__ import annotations

from collections import deque
from decimal import Decimal

import pytest
from msgspec.structs import replace

from libs.common.subjects import SPOT, Kind
from services.executor.model import Leg, PairState, State, Trigger
from services.executor.pair import TABLE, IllegalTransition, diagram, next_state, target_of

SPECIFIED = {
    (State.IDLE, State.OPENING),
    (State.OPENING, State.ACTIVE),
    (State.OPENING, State.IDLE),
    (State.OPENING, State.UNWINDING),
    (State.ACTIVE, State.CLOSING),
    (State.ACTIVE, State.UNWINDING),
    (State.CLOSING, State.IDLE),
    (State.CLOSING, State.ACTIVE),
    (State.CLOSING, State.UNWINDING),
    (State.UNWINDING, State.ACTIVE),
    (State.UNWINDING, State.IDLE),
    (State.STUCK, State.IDLE),
    (State.STUCK, State.ACTIVE),
    *((state, State.STUCK) for state in State if state is not State.STUCK),
}


def test_the_table_has_the_specified_moves_and_no_others() -> None:
    assert {(source, target) for (source, _), target in TABLE.items()} == SPECIFIED


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("trigger", list(Trigger))
def test_every_trigger_moves_by_the_table_or_not_at_all(state: State, trigger: Trigger) -> None:
    target = TABLE.get((state, trigger))
    if target is not None:
        assert next_state(state, trigger) is target
        return
    before = dict(TABLE)
    with pytest.raises(IllegalTransition) as raised:
        next_state(state, trigger)
    assert (raised.value.state, raised.value.trigger) == (state, trigger)
    assert before == TABLE


def test_only_a_person_leaves_stuck() -> None:
    leaving = {trigger for (state, trigger) in TABLE if state is State.STUCK}
    assert leaving == {Trigger.RESET_IDLE, Trigger.RESET_ACTIVE}


@pytest.mark.parametrize(
    ("owed", "trigger", "target"),
    [
        ({"borrowed": Decimal(1)}, Trigger.RESET_IDLE, None),
        ({"interest": Decimal("0.00000001")}, Trigger.RESET_IDLE, None),
        ({}, Trigger.RESET_IDLE, State.IDLE),
        ({"borrowed": Decimal(1)}, Trigger.RESET_ACTIVE, State.ACTIVE),
    ],
)
def test_no_reset_forgets_a_debt(owed: dict[str, Decimal], trigger: Trigger, target: State | None) -> None:
    spot = replace(Leg(venue="binance", instrument="BTC-USDT", kind=SPOT), **owed)
    perp = Leg(venue="binance", instrument="BTC-USDT-PERP", kind=Kind.PERP)
    stuck = PairState(pair="p", legs=(spot, perp), state=State.STUCK)
    if target is not None:
        assert target_of(stuck, trigger) is target
        return
    with pytest.raises(IllegalTransition, match=r"p still owes .* of binance BTC-USDT: repay it first"):
        target_of(stuck, trigger)


def test_every_state_can_be_reached_and_left() -> None:
    seen, todo = {State.IDLE}, deque([State.IDLE])
    while todo:
        state = todo.popleft()
        for (source, _), target in TABLE.items():
            if source is state and target not in seen:
                seen.add(target)
                todo.append(target)
    assert seen == set(State)
    assert {source for source, _ in TABLE} == set(State)


def test_every_trigger_is_of_use() -> None:
    assert {trigger for _, trigger in TABLE} == set(Trigger)


def test_the_diagram_tells_every_move() -> None:
    lines = diagram().splitlines()
    assert lines[0] == "stateDiagram-v2"
    assert len(lines) == 2 + len(TABLE)
    assert "    closing --> active: restored" in lines
