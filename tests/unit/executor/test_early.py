"""An opening is for ever: it waits while a pair that may have to book what the venue took is held up."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec.structs import replace

from libs.common.store import Lease
from libs.common.subjects import kind_of, pair_id
from services.executor.early import EARLY_US_MAX, Early
from services.executor.lane import Lane
from services.executor.model import IntentState, State
from services.executor.world import World
from tests.property.pnl_terms import OTHER, PERP, SPOT_NAME, VENUE
from tests.unit.executor.books_rig import BooksRig
from tests.unit.executor.build import at, intent

AWAY = "bitget"
PAST_SEC = EARLY_US_MAX / 1e6 + 1
LEASE = Lease(name="g", owner="rig", fence=1, until_mono_us=10**18)
ODD = {(VENUE, PERP)}


def across(world: World, leg: str = PERP) -> Lane:
    """A pair of this executor with its second leg at another venue, read from the store and compared."""
    keys = ((VENUE, leg), (AWAY, PERP))
    lane = Lane(pair_id(*keys), keys, (kind_of(leg), kind_of(PERP)), world)
    lane.state = replace(lane.state, state=State.ACTIVE)
    lane.lease, lane.loaded, lane.ready = LEASE, True, True
    return lane


def wait(early: Early, lane: Lane, sec: float) -> bool:
    return early.waits(ODD, None, [lane], at(sec))


def test_what_is_as_booked_does_not_wait() -> None:
    lane = across(BooksRig(seed=8).life.world)
    assert not Early().waits(frozenset(), None, [lane], at())


def test_a_pair_that_could_have_booked_it_has_a_minute() -> None:
    lane, early = across(BooksRig(seed=8).life.world), Early()
    assert wait(early, lane, 0)
    assert wait(early, lane, PAST_SEC - 2)
    assert not wait(early, lane, PAST_SEC)


@pytest.mark.parametrize("why", ["unknown", "not compared", "not read"])
def test_a_pair_that_is_held_up_has_its_minute_afterwards(why: str) -> None:
    lane, early = across(BooksRig(seed=8).life.world), Early()
    one = intent(pair=lane.pair, state=IntentState.UNKNOWN, leg=1)
    if why == "unknown":
        lane.intents[one.id] = one  # at its other venue
    lane.ready, lane.loaded = why != "not compared", why != "not read"
    assert wait(early, lane, 0)
    assert wait(early, lane, 5 * PAST_SEC)
    lane.intents.clear()
    lane.ready = lane.loaded = True
    assert wait(early, lane, 6 * PAST_SEC - 2)
    assert not wait(early, lane, 6 * PAST_SEC)


@pytest.mark.parametrize("why", ["elsewhere", "another's", "idle"])
def test_a_pair_that_will_not_book_it_holds_nothing_up(why: str) -> None:
    lane, early = across(BooksRig(seed=8).life.world, OTHER if why == "elsewhere" else PERP), Early()
    lane.ready = False
    if why == "another's":
        lane.lease = None
    if why == "idle":  # it waits for a pair that is stuck: only a person ends that
        lane.state = replace(lane.state, state=State.IDLE)
    assert wait(early, lane, 0)
    assert not wait(early, lane, PAST_SEC)


def test_the_books_of_a_venue_begin_when_a_recall_is_booked_however_long_an_order_elsewhere_is_unknown() -> (
    None
):
    rig = BooksRig(seed=8)
    lane = across(rig.life.world, SPOT_NAME)
    first, second = lane.state.legs
    lane.state = replace(lane.state, legs=(replace(first, borrowed=Decimal(1)), second))
    one = intent(pair=lane.pair, state=IntentState.UNKNOWN, leg=1)
    lane.intents[one.id] = one
    rig.life.world.lanes = {lane.pair: lane}
    rig.run(PAST_SEC + 10)
    assert VENUE not in rig.accountant.books.openings
    lane.intents.clear()
    lane.state = replace(lane.state, legs=(first, second))
    rig.run(8)
    assert VENUE in rig.accountant.books.openings
