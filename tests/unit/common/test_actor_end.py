"""Faults that are survived, faults that end the service, and an orderly end."""

from __future__ import annotations

import asyncio

import pytest

from libs.common.assembly import Offer
from libs.common.effects import (
    Draining,
    Effect,
    Event,
    Measure,
    Persist,
    Persisted,
    Publish,
    Received,
    SetTimer,
    Started,
    TimerFired,
)
from libs.common.messages import Want, encode
from libs.common.store import Transition
from tests.helpers.servers import eventually
from tests.unit.common.runtime_rig import (
    Fetch,
    GatedStore,
    Orphan,
    Puppet,
    Rig,
    on_started,
    publish,
    running,
    seen_health,
)


async def test_one_fault_is_told_and_survived_three_end_the_process() -> None:
    def answer(event: Event) -> tuple[Effect, ...]:
        if isinstance(event, Received):
            raise ZeroDivisionError("api_key=abcdefgh in an error text")
        return ()

    async with running(Puppet(answer)) as rig:
        rig.other.publish("sys.want.x", encode(Want(service="x")))
        await eventually(lambda: rig.subjects("alert.") == ["alert.critical"])
        health = rig.beat.beat(lag_us=0)
        assert health.problems == ("actor: 1 faults in the last minute",)
        assert not rig.ended
        assert not any(b"abcdefgh" in frame.payload for frame in rig.frames)
        for _ in range(2):
            rig.other.publish("sys.want.x", encode(Want(service="x")))
        await eventually(lambda: rig.ended)
        assert rig.exit_code == 1
        assert rig.sample("fundarb_actor_faults_total") == 3


@pytest.mark.parametrize(
    "wrong",
    [
        Measure(metric="fundarb_no_such_thing", value=1),
        Publish(subject="md.health.not a token", message=seen_health()),
        Orphan(),
        Effect(),
    ],
)
async def test_a_malformed_effect_is_a_fault_and_the_others_happen(wrong: Effect) -> None:
    async with running(Puppet(on_started(wrong, publish("x")))) as rig:
        await eventually(lambda: "md.health.x" in rig.subjects())
        assert rig.sample("fundarb_actor_faults_total") == 1


async def test_the_end_drains_the_inbox_then_says_last_words() -> None:
    closed: list[str] = []

    async def close() -> None:
        closed.append("closed")

    def answer(event: Event) -> tuple[Effect, ...]:
        match event:
            case Draining():
                return (Persist(token="last", writes={"last": b"1"}), publish("bye"))
            case Received():
                return (Persist(token="p", writes={"p": b"1"}), publish("handled"))
            case _:
                return ()

    async with running(Puppet(answer), close=close, subscriptions=("sys.want.>",)) as rig:
        rig.other.publish("sys.want.x", encode(Want(service="x")))
        assert await rig.stopped() == 0
        assert rig.subjects("md.") == ["md.health.handled", "md.health.bye"]
        assert await rig.store.get("last") is not None
        assert closed == ["closed"]
        assert isinstance(rig.puppet.seen[-1], Draining)
        rig.runtime.offer(TimerFired(name="too late"))
        assert isinstance(rig.puppet.seen[-1], Draining)


async def test_the_end_comes_even_when_the_store_hangs_and_a_request_never_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("libs.common.actor.DRAIN_SEC_MAX", 0.6)
    monkeypatch.setattr("libs.common.actor.LAST_WORDS_SEC", 0.3)
    cancelled = asyncio.Event()

    async def fetch(request: Fetch) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    effects = on_started(Fetch(what="x"), Persist(token="p", writes={"k": b"1"}), publish("never"))
    async with running(Puppet(effects), handlers={Fetch: fetch}) as rig:
        rig.store.gate.clear()
        started = asyncio.get_running_loop().time()
        assert await rig.stopped() == 0
        assert asyncio.get_running_loop().time() - started < 5
        assert cancelled.is_set()


async def test_background_work_offers_events_and_its_death_ends_the_service() -> None:
    async def steady(offer: Offer) -> None:
        offer(TimerFired(name="from the stream"))
        await asyncio.Event().wait()

    dying = asyncio.Event()

    async def fragile(offer: Offer) -> None:
        await dying.wait()
        raise ConnectionError("the stream is gone")

    async with running(Puppet(), background=(steady, fragile)) as rig:
        await eventually(lambda: TimerFired(name="from the stream") in rig.puppet.seen)
        dying.set()
        await eventually(lambda: rig.ended)
        assert rig.exit_code == 1
        assert rig.subjects("alert.") == ["alert.critical"]


async def test_an_unexpected_store_error_opens_the_lane_again() -> None:
    class Odd(GatedStore):
        async def transition(self, change: Transition) -> bool:
            raise RuntimeError("a bug in the store")

    rig = Rig(Puppet(on_started(Persist(token="p", writes={"k": b"1"}), publish("never"))))
    rig.runtime._store = Odd()
    await rig.bus.connect()
    life = asyncio.create_task(rig.runtime.run(rig.stop))
    await eventually(lambda: bool(rig.puppet.of(Persisted)))
    assert rig.puppet.of(Persisted)[0].error == "RuntimeError: a bug in the store"
    rig.stop.set()
    assert await life == 0


async def test_after_its_end_a_timer_that_the_beat_wakes_is_not_handled() -> None:
    """The bus is closed by then: what a timer says would be lost, with a warning at each end."""

    def answer(event: Event) -> tuple[Effect, ...]:
        ticks = isinstance(event, Started | TimerFired)
        return (SetTimer(name="tick", after_us=10_000), publish("tick")) if ticks else ()

    async with running(Puppet(answer)) as rig:
        await eventually(lambda: len(rig.puppet.of(TimerFired)) > 2)
        assert await rig.stopped() == 0
        handled = len(rig.puppet.seen)
        rig.runtime.arm()
        await asyncio.sleep(0.1)
        assert len(rig.puppet.seen) == handled
