"""What would be held, in the store: one writer, restarts, lost stores."""

from __future__ import annotations

import pytest

from libs.common.effects import (
    Alert,
    Answered,
    Health,
    SetTimer,
    TimerFired,
)
from libs.common.memory_store import MemoryStore
from services.signal.main import SelectionStore
from services.signal.selection import LoadSelection, SaveSelection, Stored
from services.signal.selection import decode as held_of
from services.signal.selection import encode as selection_of
from tests.unit.signal.world import BTC, ETH, World, evaluation, of, ready


def test_a_selection_is_saved_against_the_version_that_was_read() -> None:
    world = World()
    world.start(Stored(value=selection_of({}), version=4))
    world.everything()
    effects = world.round()
    (save,) = of(SaveSelection, effects)
    assert save.expect == 4
    assert set(held_of(save.value).held) == {BTC, ETH}
    assert {alert.key for alert in of(Alert, effects)} == {f"signal:{BTC}", f"signal:{ETH}"}


def test_an_unchanged_selection_is_not_written_again() -> None:
    world = ready()
    world.save(world.round(), version=1)
    assert of(SaveSelection, world.round()) == []


def test_one_write_at_a_time() -> None:
    world = ready()
    assert len(of(SaveSelection, world.round())) == 1
    world.say(world.funding("BTC-USDT-PERP", -0.0001))
    assert of(SaveSelection, world.round()) == []


def test_a_restart_goes_on_where_the_last_process_stopped() -> None:
    world = ready()
    saved = world.save(world.round(), version=1)
    again = World()
    again.start(Stored(value=saved.value, version=1))
    again.everything()
    effects = again.round()
    assert evaluation(effects).selected == (BTC, ETH)
    assert of(Alert, effects) == []  # nothing opens a second time
    assert of(SaveSelection, effects) == []


def test_nothing_is_opened_before_the_store_has_answered() -> None:
    world = World()
    world.do(TimerFired(name="sweep"))
    world.everything()
    effects = world.round()
    assert evaluation(effects).selected == ()
    assert of(SaveSelection, effects) == []


def test_a_store_that_is_away_is_a_problem_and_asked_again() -> None:
    world = World()
    effects = world.fail(LoadSelection(), "StoreUnavailable")
    assert [p.key for p in of(Health, effects)] == ["selection"]
    assert [t.name for t in of(SetTimer, effects)] == ["reload"]
    assert len(of(LoadSelection, world.do(TimerFired(name="reload")))) == 1


def test_a_write_of_unknown_outcome_keeps_ours_when_the_store_comes_back() -> None:
    for landed in (False, True):
        world = ready()
        (save,) = of(SaveSelection, world.round())
        world.fail(save, "StoreUnavailable")
        stored = Stored(value=save.value, version=1) if landed else Stored(value=None, version=0)
        world.do(loaded(stored))
        world.clock.advance(sec=1)
        effects = world.round()
        assert evaluation(effects).selected == (BTC, ETH)
        assert of(Alert, effects) == []  # it goes on with what it knows, and opens nothing a second time
        assert [s.expect for s in of(SaveSelection, effects)] == ([] if landed else [0])


def loaded(stored: Stored) -> Answered:
    return Answered(request=LoadSelection(), result=stored)


def test_a_second_writer_is_noticed_and_the_store_wins() -> None:
    world = ready()
    (save,) = of(SaveSelection, world.round())
    effects = world.fail(save, "StoreConflict")
    assert [a.key for a in of(Alert, effects)] == ["signal:conflict"]
    assert "one signal service" in of(Health, effects)[0].problem
    world.do(loaded(Stored(value=selection_of({}), version=9)))
    (again,) = of(SaveSelection, world.round())
    assert again.expect == 9


def test_nothing_is_written_on_top_of_what_was_not_read_again() -> None:
    world = ready()
    (save,) = of(SaveSelection, world.round())
    world.fail(save, "StoreConflict")
    effects = world.round()
    assert not of(SaveSelection, effects)
    assert "reload" not in {timer.name for timer in of(SetTimer, effects)}  # a round does not put it off
    assert of(LoadSelection, world.do(TimerFired(name="reload")))


def test_a_lost_store_is_given_what_we_know() -> None:
    world = ready()
    world.do(loaded(Stored(value=selection_of({}), version=7)))
    (save,) = of(SaveSelection, world.round())
    assert save.expect == 7
    world.fail(save, "StoreConflict")
    world.clock.advance(sec=1)
    world.do(loaded(Stored(value=None, version=0)))
    (again,) = of(SaveSelection, world.round())
    assert again.expect == 0
    since = {pair: one.holding.since_ms for pair, one in held_of(again.value).held.items()}
    assert since == {
        pair: one.holding.since_ms for pair, one in held_of(save.value).held.items()
    }  # nothing began anew


def test_a_selection_that_cannot_be_read_is_begun_anew_and_said() -> None:
    world = World()
    world.start(Stored(value=b"{not json", version=3))
    assert [a.key for a in of(Alert, world.effects)] == ["signal:selection"]
    world.everything()
    (save,) = of(SaveSelection, world.round())
    assert save.expect == 3


async def test_the_selection_in_a_store() -> None:
    store = MemoryStore()
    await store.connect()
    door = SelectionStore(store)
    assert await door.load(LoadSelection()) == Stored(value=None, version=0)
    assert await door.save(SaveSelection(value=b"{}", expect=0)) == 1
    assert await door.load(LoadSelection()) == Stored(value=b"{}", version=1)
    with pytest.raises(Exception, match="selection"):
        await door.save(SaveSelection(value=b"[]", expect=0))
    await store.close()


# --- people and the rest --------------------------------------------------------------------------
