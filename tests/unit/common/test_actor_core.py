"""Lanes, barriers and bounds of the pure core, step by step under a manual clock."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from libs.common.core import ActorFault, Core
from libs.common.effects import (
    Alert,
    Effect,
    Event,
    Started,
)
from libs.common.instant import ManualClock, Now
from libs.common.messages import AlertLevel
from tests.unit.common.core_rig import Do, Puppet, Rig, lane_of, note, persist


def test_effects_after_a_persist_start_only_when_it_is_durable() -> None:
    rig = Rig()
    rig.offer(Do(name="a", effects=(note("before"), persist("p"), note("after"))))
    turn = rig.step()
    assert turn is not None
    assert turn.barrier == persist("p")
    assert rig.done == ["before", "Persist"]
    rig.settle("")
    assert rig.done == ["before", "Persist", "after"]
    assert rig.core.idle


def test_a_failed_persist_drops_the_rest_and_tells_before_anything_else() -> None:
    rig = Rig()
    rig.offer(Do(name="a", effects=(persist("p"), note("order sent"))), Do(name="b"))
    rig.run()
    assert rig.puppet.seen == ["a"]
    rig.settle("", ok=False)
    rig.run()
    assert rig.puppet.seen == ["a", "persisted p False", "b"]
    assert "order sent" not in rig.done


def test_success_is_told_only_when_asked_for() -> None:
    rig = Rig()
    rig.offer(Do(name="a", effects=(persist("p"),)), Do(name="b", effects=(persist("q", tell=True),)))
    rig.run()
    rig.settle("")
    rig.run()
    rig.settle("")
    rig.run()
    assert rig.puppet.seen == ["a", "b", "persisted q True"]


def test_a_closed_lane_delays_no_other() -> None:
    rig = Rig()
    rig.offer(
        Do(lane="x", name="x1", effects=(persist("p"), note("x1 after"))),
        Do(lane="x", name="x2"),
        Do(lane="y", name="y1", effects=(note("y1 done"),)),
        Do(lane="x", name="x3"),
        Do(lane="y", name="y2"),
    )
    rig.run()
    assert rig.puppet.seen == ["x1", "y1", "y2"]
    assert rig.done == ["Persist", "y1 done"]
    assert (rig.core.depth(), rig.core.barriers) == (2, 1)
    rig.settle("x")
    rig.offer(Do(lane="x", name="x4"))
    rig.run()
    assert rig.puppet.seen == ["x1", "y1", "y2", "x2", "x3", "x4"]


def test_two_barriers_in_one_turn_are_passed_one_after_the_other() -> None:
    rig = Rig()
    rig.offer(Do(name="a", effects=(persist("p"), note("1"), persist("q"), note("2"))), Do(name="b"))
    rig.run()
    assert rig.done == ["Persist"]
    turn = rig.settle("")
    assert turn.barrier == persist("q")
    rig.run()
    assert rig.puppet.seen == ["a"], "the lane is still closed"
    rig.settle("")
    rig.run()
    assert rig.done == ["Persist", "1", "Persist", "2"]
    assert rig.puppet.seen == ["a", "b"]


def test_events_held_by_a_second_close_of_the_lane_keep_their_order() -> None:
    rig = Rig()
    rig.offer(
        Do(name="1", effects=(persist("p"),)),
        Do(name="2", effects=(persist("q"),)),
        Do(name="3"),
    )
    rig.run()
    rig.settle("")
    rig.step()
    rig.offer(Do(name="4"))
    rig.run()
    rig.settle("")
    rig.run()
    assert rig.puppet.seen == ["1", "2", "3", "4"]


def test_several_lanes_closed_at_once_settle_in_any_order() -> None:
    rig = Rig()
    for lane in "abc":
        rig.offer(Do(lane=lane, name=lane, effects=(persist(lane), note(f"{lane} sent"))))
    rig.run()
    assert rig.core.barriers == 3
    for lane in "cab":
        rig.settle(lane)
    assert rig.done == ["Persist"] * 3 + ["c sent", "a sent", "b sent"]


def test_an_actor_that_raises_has_no_effects_and_the_next_event_is_handled() -> None:
    rig = Rig()
    rig.offer(Started(), Do(name="b"))
    with pytest.raises(ActorFault) as caught:
        rig.step()
    assert isinstance(caught.value.__cause__, ValueError)
    assert caught.value.event == Started()
    rig.run()
    assert rig.puppet.seen == ["b"]


def test_an_actor_that_raises_halfway_through_its_effects_has_none_of_them() -> None:
    class Half:
        def handle(self, event: Event, now: Now) -> Iterable[Effect]:
            yield Alert(level=AlertLevel.INFO, key="k", text="t")
            raise KeyError("oops")

    core = Core(Half())
    clock = ManualClock()
    core.offer(Started(), clock.now())
    with pytest.raises(ActorFault):
        core.step(clock.now())
    assert core.step(clock.now()) is None


def test_a_lane_held_by_a_slow_store_stays_bounded() -> None:
    rig = Rig(capacity=8)
    core = Core(rig.puppet, lane_of=lane_of, key_of=lambda e: getattr(e, "name", None), capacity=8)
    rig.core = core
    rig.offer(Do(name="first", effects=(persist("p"),)))
    rig.run()
    for number in range(1000):
        rig.offer(Do(name=f"n{number % 20}"))
        rig.run()
    assert core.depth() <= 8
    assert core.depth() + core.inbox.dropped == 1000
    rig.settle("")
    rig.run()
    assert rig.puppet.seen[-1] == "n19"


def test_a_lane_held_by_a_slow_store_loses_data_and_no_control() -> None:
    puppet, clock = Puppet(), ManualClock()
    core = Core(
        puppet,
        lane_of=lane_of,
        key_of=lambda e: "tick" if getattr(e, "name", "") == "tick" else None,
        capacity=4,
    )
    core.offer(Do(name="first", effects=(persist("p"),)), clock.now())
    core.step(clock.now())
    for number in range(30):
        for name in (f"command {number}", "tick", "tick"):
            core.offer(Do(name=name), clock.now())
            core.step(clock.now())
    core.settle("", ok=True, now=clock.now())
    while core.step(clock.now()) is not None:
        pass
    commands = [name for name in puppet.seen if name.startswith("command")]
    assert commands == [f"command {number}" for number in range(30)]
    assert puppet.seen[-1] == "tick"
    assert len(puppet.seen) + core.inbox.dropped == 91


def test_waiting_time_and_depth_are_told() -> None:
    rig = Rig()
    rig.offer(Do(name="a"), Do(name="b"))
    rig.clock.advance(us=700)
    assert rig.core.oldest_us() == 0
    turn = rig.step()
    assert turn is not None
    assert turn.waited_us == 700
    assert rig.core.depth() == 1
