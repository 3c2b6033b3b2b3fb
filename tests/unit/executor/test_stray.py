from __future__ import annotations

from decimal import Decimal

import pytest

from services.executor import events
from services.executor.model import IntentState, State
from services.executor.translate import request_of
from tests.unit.executor.rig import FLAT, PERP_KEY, Rig
from tests.unit.executor.scripted import times


def given_up(usd: str) -> Rig:
    """An attempt of which nothing is left but an order that its venue has denied twice."""
    rig = Rig()
    rig.acts("spot", "reject")
    rig.acts("perp", "lost")
    rig.wish("open", usd)
    rig.until(lambda: rig.moves == ["idle>opening", "opening>idle"], 120)
    return rig


def lands(rig: Rig) -> None:
    """It was on its way all the time."""
    (perp,) = (one for one in rig.sent if one.leg == 1)
    assert rig.lane.intents[perp.id].state is IntentState.NOT_ACCEPTED
    rig.venues.arrive(PERP_KEY, request_of(perp, PERP_KEY[1]))
    fill = rig.venues.trades[PERP_KEY][-1]
    rig.offer(events.FillSeen(pair=rig.pair, venue="binance", fill=fill))


@pytest.mark.parametrize("usd", ["100", "900"])
def test_a_fill_after_the_attempt_has_ended_is_unwound(usd: str) -> None:
    rig = given_up(usd)
    lands(rig)
    rig.until(lambda: rig.moves[2:] == ["idle>opening", "opening>unwinding", "unwinding>idle"], 10)
    assert rig.shown == FLAT == rig.held
    (text,) = rig.told("stray")
    assert "filled after its attempt had ended" in text


def test_a_given_up_pair_keeps_all_others_from_opening() -> None:
    rig = Rig()
    rig.acts("perp", "reject")
    rig.acts("spot", "fill", *times(60, "none"))
    rig.wish("open")
    rig.until(lambda: rig.state is State.STUCK, 200)
    assert rig.held == (Decimal(1), Decimal(0))
    why = rig.world.forbidden("another", (PERP_KEY, PERP_KEY), rig.now)
    assert why == f"{rig.pair} is stuck: nothing is opened until a person has looked"
