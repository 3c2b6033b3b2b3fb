"""Lanes, barriers and timers of the pure core, step by step under a manual clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from libs.common.core import ActorFault, Core, Turn
from libs.common.effects import (
    Alert,
    CancelTimer,
    Effect,
    Event,
    Note,
    Persist,
    Persisted,
    SetTimer,
    Started,
    TimerFired,
)
from libs.common.instant import ManualClock, Now
from libs.common.messages import AlertLevel


class Do(Event, frozen=True, kw_only=True):
    """An event that carries the effects its actor shall answer with."""

    lane: str = ""
    name: str = ""
    effects: tuple[Effect, ...] = ()


class Puppet:
    def __init__(self) -> None:
        self.seen: list[str] = []
        self.on_timer: Callable[[str], tuple[Effect, ...]] = lambda _name: ()

    def handle(self, event: Event, now: Now) -> Iterable[Effect]:
        match event:
            case Do():
                self.seen.append(event.name)
                return event.effects
            case TimerFired():
                self.seen.append(f"timer {event.name}")
                return self.on_timer(event.name)
            case Persisted():
                self.seen.append(f"persisted {event.token} {event.ok}")
                return ()
            case _:
                raise ValueError(f"cannot handle {type(event).__name__}")


def lane_of(event: Event) -> str:
    match event:
        case Do():
            return event.lane
        case TimerFired():
            return event.name.split(":")[0]
        case _:
            return ""


class Rig:
    def __init__(self, capacity: int = 100) -> None:
        self.puppet = Puppet()
        self.clock = ManualClock()
        self.core = Core(self.puppet, lane_of=lane_of, capacity=capacity)
        self.done: list[str] = []

    def offer(self, *events: Event) -> None:
        for event in events:
            self.core.offer(event, self.clock.now())

    def step(self) -> Turn | None:
        turn = self.core.step(self.clock.now())
        if turn is not None:
            self.record(turn)
        return turn

    def run(self) -> None:
        while self.step() is not None:
            pass

    def settle(self, lane: str, *, ok: bool = True) -> Turn:
        turn = self.core.settle(lane, ok=ok, error=None if ok else "store down", now=self.clock.now())
        self.record(turn)
        return turn

    def record(self, turn: Turn) -> None:
        self.done += [
            effect.text if isinstance(effect, Note) else type(effect).__name__ for effect in turn.effects
        ]


def note(text: str) -> Note:
    return Note(text=text)


def persist(token: str, *, tell: bool = False) -> Persist:
    return Persist(token=token, writes={"k": b"1"}, tell=tell)


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


def test_a_timer_behind_a_barrier_is_set_when_durable() -> None:
    rig = Rig()
    rig.offer(Do(name="a", effects=(persist("p"), SetTimer(name="t", after_us=1000))))
    rig.run()
    assert rig.core.next_timer_us() is None
    rig.clock.advance(sec=5)
    rig.settle("")
    assert rig.core.next_timer_us() == rig.clock.now().mono_us + 1000


def test_timers_fire_in_order_of_time_and_once() -> None:
    rig = Rig()
    rig.offer(
        Do(
            name="a",
            effects=(
                SetTimer(name="late", after_us=3000),
                SetTimer(name="early", after_us=1000),
                SetTimer(name="middle", after_us=2000),
            ),
        )
    )
    rig.run()
    assert rig.puppet.seen == ["a"]
    rig.clock.advance(us=2500)
    rig.run()
    assert rig.puppet.seen == ["a", "timer early", "timer middle"]
    rig.clock.advance(us=10_000)
    rig.run()
    rig.run()
    assert rig.puppet.seen[3:] == ["timer late"]
    assert rig.core.next_timer_us() is None


def test_a_replaced_or_cancelled_timer_never_fires_even_when_it_was_due() -> None:
    rig = Rig()
    rig.offer(Do(name="a", effects=(SetTimer(name="t", after_us=1000), SetTimer(name="u", after_us=1000))))
    rig.run()
    rig.clock.advance(us=5000)
    # Both are due now; what is handled first takes one away and moves the other.
    rig.core._timer_last = True
    rig.offer(Do(name="b", effects=(CancelTimer(name="t"), SetTimer(name="u", after_us=1000))))
    rig.run()
    assert rig.puppet.seen == ["a", "b"]
    rig.clock.advance(us=1000)
    rig.run()
    assert rig.puppet.seen == ["a", "b", "timer u"]


def test_a_timer_of_a_closed_lane_waits_for_it_and_can_still_be_cancelled() -> None:
    rig = Rig()
    rig.offer(
        Do(
            lane="x",
            name="1",
            effects=(
                SetTimer(name="x:keep", after_us=10),
                SetTimer(name="x:gone", after_us=10),
                persist("p"),
                CancelTimer(name="x:gone"),
            ),
        )
    )
    rig.run()
    rig.clock.advance(us=50)
    rig.run()
    assert rig.puppet.seen == ["1"]
    rig.settle("x")
    rig.run()
    assert rig.puppet.seen == ["1", "timer x:keep"]


def test_a_timer_that_rearms_itself_at_once_starves_nobody() -> None:
    rig = Rig()
    rig.puppet.on_timer = lambda name: (SetTimer(name=name, after_us=0),)
    rig.offer(Do(name="a", effects=(SetTimer(name="t", after_us=0),)), Do(name="b"), Do(name="c"))
    for _ in range(6):
        rig.step()
    assert [name for name in rig.puppet.seen if not name.startswith("timer")] == ["a", "b", "c"]


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


def test_many_replaced_timers_do_not_pile_up() -> None:
    rig = Rig()
    for number in range(2000):
        rig.offer(Do(name="a", effects=(SetTimer(name="t", after_us=1000 + number),)))
        rig.run()
    assert len(rig.core._timers._heap) < 200
