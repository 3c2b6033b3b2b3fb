"""From when on a venue's records are read: books that were opened before their wall time was kept."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from libs.common.instant import MS_PER_HOUR, US_PER_MS, MarketClock, Now
from libs.common.store import Transition
from services.executor.books import KEY, Opening
from services.executor.cursors import opened_ms
from tests.sim.timeline import run
from tests.unit.executor.books_rig import BooksRig
from tests.unit.executor.test_away import HOUR_US, deposit

WALL_MS = 1_700_000_000_000


@pytest.mark.parametrize("speed", [1.0, 60.0, 720.0])
@pytest.mark.parametrize("hours", [0, 3, 500])
def test_an_opening_without_wall_time_is_found_by_its_market_time(speed: float, hours: int) -> None:
    clock = MarketClock(market0_ms=WALL_MS, wall0_ms=WALL_MS, speed=speed)
    born_us = (WALL_MS + hours * MS_PER_HOUR) * US_PER_MS
    born = Now(wall_us=born_us, market_ms=clock.at(born_us), mono_us=0)
    old = Opening(units={}, usd=Decimal(0), market_ms=clock.at(WALL_MS * US_PER_MS))
    assert opened_ms(old, born, clock.at) == WALL_MS
    kept = Opening(units={}, usd=Decimal(0), market_ms=old.market_ms, wall_ms=7)
    assert opened_ms(kept, born, clock.at) == 7
    assert opened_ms(None, born, clock.at) == born_us // US_PER_MS


def test_money_that_was_moved_while_it_was_away_is_explained_in_books_of_an_earlier_version() -> None:
    rig = BooksRig(seed=9)
    rig.life.wall_us += 5 * HOUR_US  # no record of this kind is young enough to begin with
    rig.run(90)
    stored = run(rig.store.get(KEY))
    assert stored is not None
    books = json.loads(stored.value)
    assert books["openings"]
    assert not [name for name in books["cursors"] if not name.endswith(("|funding", "|interest"))]
    for opening in books["openings"].values():
        assert opening.pop("wall_ms") > 0
    run(rig.store.transition(Transition(writes={KEY: json.dumps(books).encode()})))
    rig.life.wall_us += HOUR_US // 2
    deposit(rig, 5_000)
    rig.life.wall_us += 3 * HOUR_US
    rig.start()
    rig.run(150)
    assert rig.books.residual_usd == 0
