"""A clock that was ahead for a while hides neither what a venue takes nor trades of our own."""

from __future__ import annotations

from decimal import Decimal

from services.executor import booked
from services.executor.events import FetchFills
from services.executor.model import State
from tests.unit.executor.lender import LoanRig
from tests.unit.executor.rig import Rig
from tests.unit.executor.test_booked import SMALL, booked_ids, made_ids, took
from tests.unit.executor.test_fetching import Terse

AHEAD_US = 4 * booked.BACK_US


class Ahead:
    """Our clock is ahead of the venues' within the block."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig

    def __enter__(self) -> Rig:
        self._by(AHEAD_US)
        return self.rig

    def __exit__(self, *_: object) -> None:
        self._by(-AHEAD_US)

    def _by(self, us: int) -> None:
        clock, now = self.rig.clock, self.rig.now
        clock.set_wall(by_us=us)
        if us > 0:
            true_us = now.wall_us - now.mono_us
            self.rig.venues.wall_ms = lambda: (true_us + self.rig.now.mono_us) // 1_000


def test_what_is_booked_meanwhile_hides_nothing_that_the_venue_takes_later() -> None:
    rig = Rig().opened("500")
    with Ahead(rig):
        rig.run(20)
        took(rig, 2)
    took(rig, 2)
    assert booked_ids(rig) == made_ids(rig)
    assert rig.state is State.ACTIVE
    assert rig.held == rig.shown


def test_of_a_pair_that_was_opened_meanwhile_the_venue_s_trades_are_found() -> None:
    rig = Rig()
    with Ahead(rig):
        rig.opened("500")
    took(rig, 2, SMALL * 10)
    assert rig.state is State.ACTIVE
    assert rig.held == rig.shown


def test_trades_of_orders_that_were_made_meanwhile_are_asked_for_from_before_they_were() -> None:
    rig = Terse(base_fee="0.001")
    rig.stream_on = False
    rig.venues.fills_fail = 10**9
    with Ahead(rig):
        made_ms = rig.venues.wall_ms()
        rig.wish("open")
        rig.run(2)
    rig.requests.clear()
    rig.run(300)
    asked = [one.since_ms for one in rig.requests if isinstance(one, FetchFills)]
    assert asked
    assert max(asked) <= made_ms


def test_a_recall_of_a_pair_that_was_opened_meanwhile_is_found() -> None:
    rig = LoanRig()
    with Ahead(rig):
        rig.reversed()
    rig.restart()
    rig.lender.buy_back(Decimal(1), rig.venues.wall_ms())
    rig.until(lambda: rig.state is State.IDLE or rig.state is State.STUCK, 60)
    assert rig.state is State.IDLE
