"""From when on a venue's own trades are asked for."""

from __future__ import annotations

from msgspec.structs import replace

from libs.common.instant import US_PER_MS, US_PER_SEC
from services.executor import booked
from services.executor.lane import Draft
from services.executor.model import State
from tests.unit.executor.rig import Rig

MINUTE_US = 60 * US_PER_SEC


def asked_from_us(rig: Rig) -> int:
    """The beginning of what is asked for of the perp."""
    return booked.since_ms(rig.lane, Draft(rig.lane, rig.now), 1) * US_PER_MS


def unseen_until_active() -> tuple[Rig, int]:
    """A pair that was opening while its venue was away, and has just become active; its first order."""
    rig = Rig().opened()
    first_us = min(one.created_us for one in rig.lane.intents.values())
    rig.clock.advance(sec=600)
    rig.lane.state = replace(rig.lane.state, since_us=rig.now.wall_us)
    return rig, first_us


def test_what_a_venue_took_in_an_earlier_state_is_asked_for() -> None:
    rig, first_us = unseen_until_active()
    rig.lane.agreed_ms.clear()
    assert asked_from_us(rig) <= first_us - MINUTE_US + US_PER_MS


def test_it_is_asked_for_from_before_the_last_look_that_agreed() -> None:
    rig, first_us = unseen_until_active()
    looked_us = first_us + 300 * US_PER_SEC
    rig.lane.agreed_ms[1] = (looked_us - booked.BACK_US) // US_PER_MS
    assert 0 <= looked_us - MINUTE_US - asked_from_us(rig) <= US_PER_MS


def test_what_is_booked_for_good_is_not_asked_for_again() -> None:
    rig, first_us = unseen_until_active()
    mark_ms = first_us // US_PER_MS + 1_000
    rig.lane.state = replace(rig.lane.state, booked_ms=(0, mark_ms))
    rig.lane.agreed_ms.clear()
    assert asked_from_us(rig) == mark_ms * US_PER_MS
    assert rig.state is State.ACTIVE
