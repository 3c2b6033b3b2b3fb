"""What else of a pair is open in the same direction counts as filled when an order claims to reduce."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec.structs import replace

from services.executor.lane import Draft
from services.executor.model import IntentState, Purpose, Side
from services.executor.reducing import standing_of, why_not
from tests.unit.executor.rig import Rig

D = Decimal
NOTHING = (D(0), D(0))


@pytest.mark.parametrize(("leg", "side"), [(0, "sell"), (1, "buy")])
def test_an_order_does_not_reduce_what_another_open_one_may_still_take(leg: int, side: Side) -> None:
    rig = Rig().opened()
    draft = Draft(rig.lane, rig.now)
    first = draft.order(leg, side, D("0.7"), Purpose.CLOSE, price=None)
    first = replace(first, state=IntentState.WORKING, filled=D("0.2"))
    draft.put(first)
    second = draft.order(leg, side, D("0.6"), Purpose.CLOSE, price=None)
    standing = standing_of(rig.lane, draft, (second,))
    left = (D("0.5"), D(0)) if leg == 0 else (D(0), D("0.5"))
    assert (standing.buys, standing.sells) == ((left, NOTHING) if side == "buy" else (NOTHING, left))
    assert "neither makes the leg smaller" in why_not(second, standing)
    assert why_not(replace(second, quantity=D("0.5")), standing) == ""


def test_what_is_sent_with_it_or_is_over_is_not_counted() -> None:
    rig = Rig().opened()
    draft = Draft(rig.lane, rig.now)
    over = draft.order(0, "sell", D("0.7"), Purpose.CLOSE, price=None)
    draft.put(replace(over, state=IntentState.REJECTED))
    pair = [draft.order(0, "sell", D(1), Purpose.CLOSE, price=None) for _ in range(2)]
    standing = standing_of(rig.lane, draft, pair)
    assert (standing.buys, standing.sells) == (NOTHING, NOTHING)
    assert why_not(pair[0], standing) == ""
