"""Permits: one each beat, rising, of an epoch that the store has given."""

from __future__ import annotations

from typing import Any

import pytest

from libs.common.assembly import CannotStart, ServiceContext
from libs.common.clock import SystemClock
from libs.common.config.schema import Config, Mode
from libs.common.effects import Answered, Effect, Event, Health, Publish, SetTimer, Started, TimerFired
from libs.common.instant import ManualClock
from libs.common.memory_bus import MemoryBroker, MemoryBus
from libs.common.memory_store import MemoryStore
from libs.common.messages_exec import Permit
from libs.common.store import StoreConflict
from services.executor.permit import PermitView
from services.risk.actor import BEAT, BEAT_US, RAISE, RaiseEpoch, RiskActor
from services.risk.main import EPOCH_KEY, EpochStore, assemble


class Life:
    """A risk actor and a clock."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.actor = RiskActor(build="b1")

    def tell(self, event: Event) -> list[Effect]:
        return list(self.actor.handle(event, self.clock.now()))

    def permits(self, event: Event) -> list[Permit]:
        said = [one.message for one in self.tell(event) if isinstance(one, Publish)]
        assert all(isinstance(one, Permit) for one in said)
        return [one for one in said if isinstance(one, Permit)]


def test_nothing_is_said_before_the_store_has_given_an_epoch() -> None:
    life = Life()
    assert life.tell(Started()) == [RaiseEpoch()]


def test_a_store_that_does_not_answer_is_asked_again_and_told() -> None:
    life = Life()
    effects = life.tell(Answered(request=RaiseEpoch(), error="down"))
    assert [type(one) for one in effects] == [Health, SetTimer]
    assert "down" in next(one.problem for one in effects if isinstance(one, Health))
    assert life.tell(TimerFired(name=RAISE)) == [RaiseEpoch()]


def test_permits_rise_by_beat_and_carry_epoch_build_and_time() -> None:
    life = Life()
    first = life.permits(Answered(request=RaiseEpoch(), result=7))[0]
    assert (first.risk_epoch, first.revision, first.build) == (7, 1, "b1")
    life.clock.advance(us=BEAT_US)
    second = life.permits(TimerFired(name=BEAT))[0]
    assert (second.revision, second.wall_us) == (2, first.wall_us + BEAT_US)
    assert second.breakers == ()


def test_every_beat_asks_for_the_next_one() -> None:
    life = Life()
    life.tell(Answered(request=RaiseEpoch(), result=1))
    assert SetTimer(name=BEAT, after_us=BEAT_US) in life.tell(TimerFired(name=BEAT))


def test_the_executor_takes_them_and_a_restart_outranks_them() -> None:
    life, view = Life(), PermitView(build="b1")
    old = life.permits(Answered(request=RaiseEpoch(), result=1)) + life.permits(TimerFired(name=BEAT))
    assert all(view.apply(one, life.clock.now()) for one in old)
    again = RiskActor(build="b1")
    said: list[Any] = list(again.handle(Answered(request=RaiseEpoch(), result=2), life.clock.now()))
    fresh: Any = next(one.message for one in said if isinstance(one, Publish))
    assert view.apply(fresh, life.clock.now()), "revision 1 of epoch 2 comes after revision 2 of epoch 1"
    assert not view.apply(old[-1], life.clock.now())


async def test_the_epoch_rises_at_each_start() -> None:
    store = MemoryStore()
    epochs = [await EpochStore(store).raise_epoch(RaiseEpoch()) for _ in range(3)]
    assert epochs == [1, 2, 3]


async def test_two_that_raise_it_at_once_do_not_get_the_same() -> None:
    class Late(MemoryStore):
        """Somebody else writes between the reading and the writing."""

        async def compare_and_set(self, key: str, value: bytes, *, expect: int) -> int:
            await self.put(key, b"5")
            return await super().compare_and_set(key, value, expect=expect)

    store = Late()
    with pytest.raises(StoreConflict):
        await EpochStore(store).raise_epoch(RaiseEpoch())
    kept = await store.get(EPOCH_KEY)
    assert kept is not None
    assert kept.value == b"5"


@pytest.mark.parametrize(("mode", "says"), [(Mode.LIVE, "does not exist yet"), (Mode.OBSERVER, "nothing is")])
async def test_it_refuses_live_and_has_nothing_to_do_for_an_observer(mode: Mode, says: str) -> None:
    context = ServiceContext(
        service="risk",
        config=Config(mode=mode),
        clock=SystemClock(),
        bus=MemoryBus(MemoryBroker()),
        store=MemoryStore(),
        env={},
    )
    with pytest.raises(CannotStart, match=says) as refused:
        await assemble(context)
    assert refused.value.code == 2
