"""An order that its venue denies was never accepted only where the venue's position says so as well."""

from __future__ import annotations

from decimal import Decimal

import pytest

from services.executor.model import IntentState, State
from tests.unit.executor.rig import PERP_KEY, Rig


@pytest.mark.parametrize("differs", ["0.3", "-0.3"])
def test_an_order_that_is_denied_beside_a_position_that_differs_is_foreign_and_nothing_is_sent(
    differs: str,
) -> None:
    rig = Rig().opened()
    rig.acts("perp", "lost")
    rig.wish("close")
    rig.run(0.5)
    lost = next(one for one in rig.lane.intents.values() if one.filled == 0)
    assert not lost.state.is_final
    rig.venues.held[PERP_KEY] += Decimal(differs)
    sent = len(rig.sent)
    rig.until(lambda: rig.lane.intents[lost.id].state.is_final, 120)
    assert rig.lane.intents[lost.id].state is IntentState.FOREIGN, "it may be what has moved the position"
    rig.until(lambda: rig.state is State.STUCK, 1)
    assert len(rig.sent) == sent, "an order beside one whose fate nobody knows may double it"
    rig.run(30)
    assert len(rig.sent) == sent
