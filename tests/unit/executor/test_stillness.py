"""Books and account are compared as of one instant, and a wrong comparison is never a figure."""

from __future__ import annotations

from decimal import Decimal

import pytest

from libs.common.effects import Persist, Persisted
from libs.common.instant import US_PER_SEC
from libs.common.store import Transition
from libs.exchange.engine import commands as c
from services.executor.fetching import ANEW_US, UNTOLD_US_MAX
from services.executor.lane import Lane
from services.executor.model import IntentState
from services.executor.stillness import Stillness
from tests.property.pnl_terms import ME, VENUE
from tests.unit.executor.books_rig import BooksRig
from tests.unit.executor.build import at, intent

WRITE = Persist(token="x:1", change=Transition(hash_writes={"intents:x": {"fa0": b"{}"}}))
STATE_ONLY = Persist(token="x:2", change=Transition(writes={"pair:x": b"{}"}, appends={"journal": ({},)}))
WRITTEN = Persisted(token="x:1", ok=True)


def settled_in() -> BooksRig:
    """A venue that has been compared and is explained."""
    rig = BooksRig(seed=21)
    rig.run(1)
    for _ in range(6):
        rig.life.step()
        rig.run(0.5)
    rig.run(12)
    assert rig.books.residual_usd == 0
    return rig


def lane_of(rig: BooksRig) -> Lane:
    return next(iter(rig.life.lanes.values()))


def untold_trade(rig: BooksRig) -> None:
    """The venue has said that an order is over and filled, and none of its trades is in the ledger yet."""
    lane = lane_of(rig)
    one = intent(pair=lane.pair, state=IntentState.DONE, filled=Decimal(2), created_us=rig.now.wall_us, leg=0)
    lane.intents[one.id] = one
    rig.life.records = list  # type: ignore[method-assign]
    rig.life.tell(c.Withdraw(account=ME, asset="USDT", amount=Decimal(200)))  # what it has cost


def test_a_filled_order_whose_trades_are_not_booked_is_no_residual() -> None:
    rig = settled_in()
    untold_trade(rig)
    rig.run(60)
    assert rig.accountant.venues[VENUE].comparing.left.units == {}
    assert rig.books.residual_usd is None, "the account has moved, and was not compared since"
    assert rig.account.unexplained_usd == 0
    assert not rig.alerts


def test_trades_that_nobody_tells_any_more_are_one_in_the_end() -> None:
    rig = settled_in()
    untold_trade(rig)
    rig.life.wall_us += UNTOLD_US_MAX
    rig.run(30)
    assert rig.accountant.venues[VENUE].comparing.left.units == {"USDT": Decimal(-200)}
    assert [alert.key for alert in rig.alerts] == ["books:residual"]


def test_after_an_absence_old_trades_are_waited_for_as_if_they_were_new() -> None:
    """Nobody has asked meanwhile. Books that were opened without them would never be right again."""
    rig = settled_in()
    untold_trade(rig)
    lane = lane_of(rig)
    rig.life.wall_us += UNTOLD_US_MAX
    lane.heed.missing = dict.fromkeys(lane.intents, rig.now.mono_us)
    rig.run(50)
    assert rig.accountant.venues[VENUE].comparing.left.units == {}
    rig.run(ANEW_US // US_PER_SEC)
    assert rig.accountant.venues[VENUE].comparing.left.units == {"USDT": Decimal(-200)}


def test_nothing_is_compared_while_a_pair_is_written_or_with_a_look_from_before() -> None:
    rig = settled_in()
    rig.life.records = list  # type: ignore[method-assign]
    rig.life.tell(c.Withdraw(account=ME, asset="USDT", amount=Decimal(200)))
    lane = lane_of(rig)
    rig.accountant.stillness.begins(lane, WRITE, rig.now.mono_us)
    rig.run(30)
    told = rig.books
    assert told.residual_by_venue == {VENUE: 0}, "the ledger may lack what is being written"
    assert told.residual_usd is None
    rig.accountant.stillness.ended(lane, WRITTEN, rig.now.mono_us)
    rig.run(30)
    assert rig.books.residual_usd == 200
    assert rig.books.residual_by_venue == {VENUE: -200}


def test_what_a_later_comparison_explains_is_gone_at_once() -> None:
    rig = settled_in()
    records = rig.life.records
    rig.life.records = list  # type: ignore[method-assign]
    rig.life.tell(c.Withdraw(account=ME, asset="USDT", amount=Decimal(200)))
    rig.run(12)
    assert rig.books.residual_usd == 200
    assert rig.books.residual_by_venue == {VENUE: -200}
    rig.life.records = records  # type: ignore[method-assign]
    rig.run(12)
    assert rig.books.residual_usd == 0


def test_an_order_in_a_pair_moves_both_of_its_venues_until_it_has_ended_and_is_written() -> None:
    rig = BooksRig(seed=21)
    lane = lane_of(rig)
    still = Stillness({lane.pair: lane})
    venue, now = lane.keys[0][0], at(5)
    second = US_PER_SEC
    assert still.is_still(venue, 0, now)
    still.begins(lane, WRITE, 2 * second)
    assert not still.is_still(venue, 4 * second, now)
    still.ended(lane, WRITTEN, 3 * second)
    assert still.is_still(venue, 4 * second, now)
    assert not still.is_still(venue, 3 * second, now), "the write may lie behind what was read"
    assert still.is_still("elsewhere", 0, now)
    lane.intents["fa0"] = intent(pair=lane.pair, state=IntentState.UNKNOWN)
    assert not still.is_still(venue, 4 * second, now)


def test_a_write_of_a_pairs_state_alone_moves_nothing_and_ends_no_other() -> None:
    rig = BooksRig(seed=21)
    lane = lane_of(rig)
    still = Stillness({lane.pair: lane})
    venue, now, second = lane.keys[0][0], at(5), US_PER_SEC
    still.begins(lane, STATE_ONLY, 2 * second)
    assert still.is_still(venue, second, now)
    still.begins(lane, WRITE, 2 * second)
    still.ended(lane, Persisted(token=STATE_ONLY.token, ok=True), 3 * second)
    assert not still.is_calm(venue, now), "the other one is not over"
    still.ended(lane, Persisted(token=STATE_ONLY.token, ok=False), 4 * second)
    assert still.is_calm(venue, now), "what was to be written behind a failure never is"
    assert not still.is_still(venue, 4 * second, now)


@pytest.mark.parametrize(
    ("leased", "loaded", "expected"), [(False, False, True), (True, True, True), (True, False, False)]
)
def test_a_pair_that_has_yet_to_be_read_may_have_anything_under_way(
    *, leased: bool, loaded: bool, expected: bool
) -> None:
    rig = BooksRig(seed=21)
    lane = lane_of(rig)
    lane.lease, lane.loaded = (rig.lease if leased else None), loaded
    assert Stillness({lane.pair: lane}).is_still(lane.keys[0][0], 0, at(5)) is expected
