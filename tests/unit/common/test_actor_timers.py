"""Timers of the pure core, step by step under a manual clock."""

from __future__ import annotations

from libs.common.effects import (
    CancelTimer,
    SetTimer,
)
from tests.unit.common.core_rig import Do, Rig, persist


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


def test_many_replaced_timers_do_not_pile_up() -> None:
    rig = Rig()
    for number in range(2000):
        rig.offer(Do(name="a", effects=(SetTimer(name="t", after_us=1000 + number),)))
        rig.run()
    assert len(rig.core._timers._heap) < 200
