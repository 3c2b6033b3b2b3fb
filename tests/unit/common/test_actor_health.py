"""What a service says of itself: its beat, its problems, what it lost, how late it is."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest

from libs.common.effects import (
    Alert,
    Effect,
    Event,
    Health,
    Note,
    Received,
    SetTimer,
    TimerFired,
)
from libs.common.messages import AlertLevel, Command, VenueHealth, Want, encode
from tests.helpers.servers import eventually
from tests.unit.common.runtime_rig import Answer, Puppet, on_started, publish, running, seen_health


async def test_alerts_are_published_and_kept_and_wait_for_a_store_that_is_away() -> None:
    alert = Alert(
        level=AlertLevel.WARNING, key="k", text="password=hunter22 leaked", context={"token": "abcdef"}
    )
    async with running(Puppet(on_started(SetTimer(name="t", after_us=0)))) as rig:
        rig.store.down = True
        rig.puppet.answer = lambda event: (alert,) if isinstance(event, Received) else ()
        rig.other.publish("sys.want.x", encode(Want(service="x")))
        await eventually(lambda: rig.subjects("alert.") == ["alert.warning"])
        await eventually(lambda: "wait for the store" in " ".join(rig.beat.beat(lag_us=0).problems))
        rig.store.down = False
        await eventually(lambda: len(rig.runtime.store_log) == 0)
        (entry,) = await rig.store.read("alerts")
        kept = json.loads(entry.fields["json"])
        assert (kept["key"], kept["service"], kept["level"]) == ("k", "svc", "warning")
        assert kept["text"] == "password=*** leaked"
        assert kept["context"] == {"token": "***"}
        assert rig.beat.beat(lag_us=0).ok


async def test_a_lost_bus_is_told_in_health_and_counted() -> None:
    answer: Answer = lambda event: (publish("x"),) if isinstance(event, TimerFired) else ()  # noqa: E731
    async with running(Puppet(answer)) as rig:
        assert rig.beat.beat(lag_us=0).ok
        rig.bus.cut()
        rig.runtime.offer(TimerFired(name="by hand"))
        await eventually(lambda: rig.runtime.lost == 1)
        health = rig.beat.beat(lag_us=0)
        assert health.problems == ("bus: not connected",)
        rig.bus.restore()
        assert rig.beat.beat(lag_us=0).ok


async def test_a_store_that_is_away_or_full_is_told_in_health(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("libs.common.beat.STORE_PROBE_SEC", 0.01)
    async with running(Puppet()) as rig:
        watch = asyncio.create_task(rig.beat.watch_store())
        rig.store.down = True
        await eventually(lambda: "store: not reachable" in " ".join(rig.beat.beat(lag_us=0).problems))
        rig.store.down, rig.store.full = False, True
        await eventually(lambda: rig.beat.beat(lag_us=0).problems == ("store: 100 % full",))
        rig.store.full = False
        await eventually(lambda: rig.beat.beat(lag_us=0).ok)
        watch.cancel()


async def test_problems_by_key_make_a_service_unwell_until_they_are_cleared() -> None:
    def answer(event: Event) -> tuple[Effect, ...]:
        if not isinstance(event, Received):
            return ()
        assert isinstance(event.message, Command)
        return (Health(key=event.message.scope or "", problem=event.message.reason or ""),)

    async with running(Puppet(answer)) as rig:
        for scope, reason in (("a", "old"), ("b", "data is 9 s old"), ("a", "")):
            rig.other.publish("cmd.x", encode(Command(scope=scope, reason=reason)))
        await eventually(lambda: len(rig.puppet.of(Received)) == 3)
        assert rig.beat.beat(lag_us=0).problems == ("data is 9 s old",)
        assert rig.pulse.report()[0] is False
        rig.other.publish("cmd.x", encode(Command(scope="b")))
        await eventually(lambda: rig.beat.beat(lag_us=0).ok)
        assert rig.pulse.report()[0] is True


async def test_overflow_keeps_control_and_the_newest_and_shows_what_was_dropped() -> None:
    async with running(Puppet(), inbox_capacity=10) as rig:
        for number in range(500):  # within one turn of the loop: the actor has no chance to keep up
            rig.other.publish("md.health.x", encode(seen_health(number)))
            if number % 100 == 0:
                rig.other.publish("cmd.halt", encode(Command(id=str(number))))
        await eventually(lambda: rig.runtime.core.idle)
        messages = [event.message for event in rig.puppet.of(Received)]
        assert [m.id for m in messages if isinstance(m, Command)] == ["0", "100", "200", "300", "400"]
        kept = [m.gaps for m in messages if isinstance(m, VenueHealth)]
        assert kept[-1] == 499
        health = rig.beat.beat(lag_us=0)
        assert health.inbox_dropped == 500 - len(kept) > 0
        assert "dropped" not in " ".join(health.problems), "the first beat has nothing to compare with"
        for number in range(50):
            rig.other.publish("md.health.x", encode(seen_health(number)))
        assert "market updates dropped" in " ".join(rig.beat.beat(lag_us=0).problems)


async def test_a_late_loop_and_a_waiting_inbox_are_lag() -> None:
    async with running(Puppet()) as rig:
        health = rig.beat.beat(lag_us=1_500_000)
        assert health.lag_ms >= 1_500
        assert "late: 1.5 s behind" in health.problems
        assert rig.beat.beat(lag_us=0).ok


async def test_health_is_on_the_bus_with_build_and_pid() -> None:
    async with running(Puppet()) as rig:
        rig.beat.beat(lag_us=0)
        (frame,) = [frame for frame in rig.frames if frame.subject == "sys.health.svc"]
        said = json.loads(frame.payload)
        assert (said["service"], said["build"], said["ok"]) == ("svc", "b", True)


async def test_a_note_is_a_log_line_with_fields(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        async with running(Puppet(on_started(Note(text="hello", fields={"n": 3})))):
            pass
    (record,) = [record for record in caplog.records if record.getMessage() == "hello"]
    assert record.fields == {"n": 3}  # type: ignore[attr-defined]


async def test_counters_of_trouble_are_there_before_the_first_trouble() -> None:
    """Prometheus's `increase` needs a value before it."""
    async with running(Puppet()) as rig:
        for level in AlertLevel:
            assert rig.sample("fundarb_alerts_total", level=level.value) == 0
        assert rig.sample("fundarb_actor_faults_total") == 0
        assert rig.sample("fundarb_store_failures_total") == 0
