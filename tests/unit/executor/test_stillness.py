"""Books and account are compared as of one instant, and a wrong comparison is never a figure."""

from __future__ import annotations

from decimal import Decimal

import pytest

from libs.common.instant import US_PER_SEC
from libs.exchange.engine import commands as c
from services.executor.fetching import UNTOLD_US_MAX
from services.executor.lane import Lane
from services.executor.model import IntentState
from services.executor.stillness import Stillness
from services.executor.twice import PAUSES_US, Twice
from tests.property.pnl_terms import ME, VENUE
from tests.unit.executor.books_rig import BooksRig
from tests.unit.executor.build import at, intent

A, B = {"ETH": Decimal(1)}, {"ETH": Decimal(2)}


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
    assert rig.accountant.venues[VENUE].left.units == {}
    assert rig.books.residual_usd == 0
    assert rig.account.unexplained_usd == 0
    assert not rig.alerts


def test_trades_that_nobody_tells_any_more_are_one_in_the_end() -> None:
    rig = settled_in()
    untold_trade(rig)
    rig.life.wall_us += UNTOLD_US_MAX
    rig.run(30)
    assert rig.accountant.venues[VENUE].left.units == {"USDT": Decimal(-200)}
    assert [alert.key for alert in rig.alerts] == ["books:residual"]


def test_nothing_is_compared_while_a_pair_is_written_or_with_a_look_from_before() -> None:
    rig = settled_in()
    rig.life.records = list  # type: ignore[method-assign]
    rig.life.tell(c.Withdraw(account=ME, asset="USDT", amount=Decimal(200)))
    lane = lane_of(rig)
    rig.accountant.stillness.begins(lane, rig.now.mono_us)
    rig.run(30)
    assert rig.books.residual_usd == 0, "the ledger may lack what is being written"
    rig.accountant.stillness.ended(lane, rig.now.mono_us)
    rig.run(30)
    assert rig.books.residual_usd == -200


def test_what_a_later_comparison_explains_is_gone_at_once() -> None:
    rig = settled_in()
    records = rig.life.records
    rig.life.records = list  # type: ignore[method-assign]
    rig.life.tell(c.Withdraw(account=ME, asset="USDT", amount=Decimal(200)))
    rig.run(12)
    assert rig.books.residual_usd == -200
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
    still.begins(lane, 2 * second)
    assert not still.is_still(venue, 4 * second, now)
    still.ended(lane, 3 * second)
    assert still.is_still(venue, 4 * second, now)
    assert not still.is_still(venue, 3 * second, now), "the write may lie behind what was read"
    assert still.is_still("elsewhere", 0, now)
    lane.intents["fa0"] = intent(pair=lane.pair, state=IntentState.UNKNOWN)
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


def test_two_in_a_row_make_a_figure_and_one_clean_comparison_ends_it() -> None:
    one, said = Twice(), []
    for found in (A, {}, A, A, B, A, B, B, {}):
        one.take(found)
        said.append(one.units)
    assert said == [{}, {}, {}, A, A, A, A, B, {}]


def test_what_is_left_is_compared_again_soon_and_a_few_times_only() -> None:
    one = Twice()
    assert [one.take(A) for _ in range(5)] == [*PAUSES_US, None, None]
    assert one.take(B) == PAUSES_US[0]
    assert one.take({}) is None
