"""Pairs that do nothing are looked after too: what venues show of idle and stuck ones, and late landings."""

from __future__ import annotations

from decimal import Decimal

import pytest

from libs.common.instant import US_PER_SEC
from services.executor.events import AccountLooked, AccountSeen, QueryOrder, ReadAccount
from services.executor.keeping import AGES_US
from services.executor.model import IntentState, State
from services.executor.translate import request_of
from services.executor.watch import AT_REST_US
from tests.unit.executor.rig import FLAT, PERP_KEY, SPOT_KEY, Rig

ROUND_SEC = AT_REST_US / US_PER_SEC + 7


def given_up(rig: Rig) -> None:
    """An attempt of which neither order arrived, as far as anybody could tell."""
    rig.acts("spot", "lost")
    rig.acts("perp", "lost")
    rig.wish("open")
    rig.until(lambda: any(one.state is IntentState.NOT_ACCEPTED for one in rig.lane.intents.values()), 120)
    rig.until(lambda: rig.state is State.IDLE, 60)


def lands(rig: Rig, leg: int) -> None:
    """The order of a leg has arrived after all, and filled; the stream said nothing of it."""
    rig.stream_on = False
    order = next(one for one in rig.sent if one.leg == leg)
    key = rig.keys[leg]
    rig.venues.acts[key].appendleft("fill")
    rig.venues.arrive(key, request_of(order, key[1]))


def test_a_contract_that_appears_under_an_idle_pair_halts_it_and_pages() -> None:
    rig = Rig()
    rig.run(1)
    rig.venues.held[PERP_KEY] += Decimal("0.5")
    took = rig.until(lambda: rig.state is State.STUCK, ROUND_SEC)
    assert took > 1
    assert "differs by 0.5" in rig.told("foreign")[0]


def test_coins_beside_an_idle_pair_are_the_users() -> None:
    rig = Rig()
    rig.venues.held[SPOT_KEY] += Decimal(3)
    rig.run(40)
    assert rig.state is State.IDLE
    assert rig.alerts == []


def test_a_look_while_nothing_is_wrong_changes_nothing() -> None:
    rig = Rig().opened()
    rig.wish("close")
    rig.until(lambda: rig.state is State.IDLE, 5)
    before = len(rig.moves)
    rig.run(60)
    assert rig.state is State.IDLE
    assert len(rig.moves) == before
    assert rig.alerts == []


@pytest.mark.parametrize("leg", [0, 1])
def test_an_order_that_landed_after_it_was_given_up_is_found_and_unwound(leg: int) -> None:
    rig = Rig()
    given_up(rig)
    lands(rig, leg)
    sec = AGES_US[0] / US_PER_SEC if leg == 0 else ROUND_SEC  # a contract shows in the next look
    rig.until(lambda: "unwinding>idle" in rig.moves, sec + 10)
    assert rig.shown == FLAT
    assert rig.held == FLAT
    assert rig.told("late_fill")
    assert rig.state is State.IDLE


def test_an_order_that_stays_away_is_asked_for_a_few_times_and_no_more() -> None:
    rig = Rig()
    given_up(rig)
    first = next(one for one in rig.sent if one.leg == 0)
    before = len(rig.requests)
    rig.run(4_000)
    asked = [one for one in rig.requests[before:] if isinstance(one, QueryOrder) and one.id == first.id]
    assert len(asked) == len(AGES_US)


def stuck(rig: Rig) -> None:
    """Halted, since somebody else has traded."""
    rig.venues.held[PERP_KEY] += Decimal("0.5")
    rig.until(lambda: rig.state is State.STUCK, ROUND_SEC)


def test_a_stuck_pair_tells_each_new_difference_once() -> None:
    rig = Rig().opened()
    stuck(rig)
    rig.run(60)
    assert rig.told("differs") == []  # what halted it is known
    rig.venues.held[PERP_KEY] += Decimal("0.25")
    rig.run(40)
    assert len(rig.told("differs")) == 1
    assert "now differs by 0.75" in rig.told("differs")[0]
    rig.run(60)
    assert len(rig.told("differs")) == 1
    assert rig.state is State.STUCK


def test_a_stuck_pair_whose_coins_go_is_told_and_one_that_gains_coins_is_not() -> None:
    rig = Rig().opened()
    stuck(rig)
    rig.venues.held[SPOT_KEY] += Decimal(5)
    rig.run(40)
    assert rig.told("differs") == []
    rig.venues.held[SPOT_KEY] = Decimal("0.4")
    rig.run(40)
    assert "BTC-USDT now differs by -0.6" in rig.told("differs")[0]


def test_pairs_that_the_books_tell_of_each_look_read_nothing_themselves() -> None:
    rig = Rig().opened()
    rig.run(2)
    looks(rig)
    before = len(rig.requests)
    for _ in range(12):
        rig.run(5)
        looks(rig)
    assert [one for one in rig.requests[before:] if isinstance(one, ReadAccount)] == []
    rig.run(8)  # the books are another executor's, or gone
    assert [one for one in rig.requests[before:] if isinstance(one, ReadAccount)]


def test_a_look_of_the_books_finds_what_the_venue_took() -> None:
    rig = Rig().opened()
    rig.run(2)
    rig.venues.held[PERP_KEY] += Decimal("0.5")
    looks(rig)
    rig.until(lambda: rig.state is State.STUCK, 7)


def looks(rig: Rig) -> None:
    """The books have read the account."""
    positions, balances = rig.venues.account(PERP_KEY[0])
    asked_us = rig.now.mono_us
    seen = AccountSeen(venue=PERP_KEY[0], positions=positions, balances=balances, asked_mono_us=asked_us)
    rig.run(0.01)
    rig.offer(AccountLooked(pair=rig.pair, seen=seen))
