"""Permits: one each beat, rising, whole, of an epoch that the store has given; commands; the other life."""

from __future__ import annotations

from typing import Any

import pytest

from libs.common.assembly import CannotStart, ServiceContext
from libs.common.clock import SystemClock
from libs.common.config.schema import Config, Mode
from libs.common.effects import Publish, Reply
from libs.common.memory_bus import MemoryBroker, MemoryBus
from libs.common.memory_store import MemoryStore
from libs.common.messages import Command
from libs.common.messages_exec import Breaker, Level, Permit
from libs.common.permit import PermitView
from libs.common.store import StoreConflict
from services.risk.actor import BEAT_US, Recall
from services.risk.keeper import EPOCH_KEY
from services.risk.main import RiskStore, assemble
from tests.unit.risk.rig import Rig
from tests.unit.risk.world import BTC, BUILD, CONFIG


async def test_nothing_is_said_before_the_store_has_given_epoch_and_latches() -> None:
    rig = Rig()
    rig.down = True
    await rig.run(3.0)
    assert rig.published(Permit) == []
    assert "down" in rig.problems()["store"]
    rig.down = False
    await rig.run(2.0)
    assert rig.permit.risk_epoch == 1
    assert rig.problems() == {}


async def test_permits_come_four_times_a_second_and_carry_epoch_build_and_time() -> None:
    rig = await Rig.started()
    before = len(rig.published(Permit))
    await rig.run(5.0)
    assert len(rig.published(Permit)) - before == 5 * 1_000_000 // BEAT_US
    assert rig.permit.wall_us == rig.clock.now().wall_us
    assert rig.permit.build == BUILD
    revisions = [one.revision for one in rig.published(Permit)]
    assert revisions == sorted(set(revisions))
    assert rig.permit.age_ms["md.health.binance"] <= 1_000


async def test_ten_good_beats_after_a_start_and_after_a_gap_of_its_own() -> None:
    rig = Rig()
    await rig.run(2.0)
    assert rig.shut() == {"global": ("no_opens", ("permit_heartbeat",))}
    await rig.run(1.0)
    assert rig.shut() == {}
    rig.clock.advance(sec=1.2)
    await rig.run(1.0)
    assert rig.shut() == {"global": ("no_opens", ("permit_heartbeat",))}
    assert "paused for 1." in rig.permit.breakers[0].reason
    assert rig.alerts("permit_heartbeat") == [("warning", "risk:permit_heartbeat:global")]
    await rig.run(3.0)
    assert rig.shut() == {}


async def test_a_change_goes_out_at_once_and_as_an_extra_permit_back_to_normal_too() -> None:
    rig = await Rig.started()
    permits, told = len(rig.published(Permit)), len(rig.published(Breaker))
    await rig.command("halt", reason="look")
    assert len(rig.published(Permit)) == permits + 1, "no time has gone by"
    assert rig.published(Breaker)[told:] == [rig.breaker("global")]
    assert any(isinstance(one, Publish) and one.subject == "risk.breaker.global" for one in rig.effects)
    await rig.command("reset", confirm=True)
    assert rig.published(Breaker)[-1].level is Level.NORMAL
    assert rig.shut() == {}


async def test_a_restart_outranks_the_life_before_it() -> None:
    rig, view = await Rig.started(), PermitView(build=BUILD)
    old = rig.permit
    assert view.apply(old, rig.clock.now())
    await rig.restart()
    assert (rig.permit.risk_epoch, rig.permit.revision) == (2, 1)
    assert view.apply(rig.permit, rig.clock.now()), "revision 1 of epoch 2 comes after all of epoch 1"
    assert not view.apply(old, rig.clock.now())
    assert view.refusal == "", "while the lease runs it is only a late message"
    assert not view.apply(old, rig.clock.advance(sec=1.1))
    assert "older life" in view.refusal


async def test_a_reset_raises_the_epoch_in_the_store() -> None:
    rig = await Rig.started()
    await rig.command("halt", scope=f"pair:{BTC}", reason="look")
    reply = await rig.command("reset", scope=f"pair:{BTC}", confirm=True)
    assert reply is not None
    assert reply.ok
    assert rig.permit.risk_epoch == 2
    kept = await rig.store.get(EPOCH_KEY)
    assert kept is not None
    assert kept.value == b"2"
    await rig.restart()
    assert rig.permit.risk_epoch == 3


async def test_commands_are_audited_in_the_step_that_makes_them_durable() -> None:
    rig = await Rig.started()
    await rig.command("halt", reason="look", actor="anna")
    lines = await rig.store.read("audit")
    assert [(one.fields["subject"], one.fields["decision"], one.fields["actor"]) for one in lines] == [
        (b"cmd.halt", b"done", b"anna")
    ]
    assert rig.audits() == [], "not a second time"
    await rig.command("flatten")
    assert [(one.subject, one.decision) for one in rig.audits()] == [("cmd.flatten", "refused")]


async def test_a_command_before_the_store_was_read_waits_for_it() -> None:
    rig = Rig()
    rig.down = True
    await rig.run(1.0)
    assert await rig.command("halt", reason="early") is None
    rig.down = False
    await rig.run(4.0)
    assert rig.shut() == {"global": ("reduce_only", ("operator_halt",))}


async def test_status_says_levels_reasons_ages_latches_and_limits() -> None:
    rig = await Rig.started()
    await rig.command("pause", scope="venue:binance", reason="maintenance", actor="anna")
    reply = await rig.command("status")
    assert reply is not None
    found: dict[str, Any] = reply.result
    assert found["breakers"][0]["scope"] == "venue:binance"
    assert found["breakers"][0]["until"] == "resume"
    assert "maintenance (by anna)" in found["breakers"][0]["reason"]
    assert found["latches"][0]["durable"] is True
    assert found["limits"]["max_notional_usd"] == 5_000.0
    assert found["equity"]["known_usd"] == 20_000.0
    assert found["nothing_because"] == "", "other venues may open"
    await rig.command("halt", reason="look")
    reply = await rig.command("status")
    assert reply is not None
    assert "global is reduce_only: operator_halt: look" in reply.result["nothing_because"]


async def test_another_life_that_has_written_is_noticed_and_its_latches_are_taken_over() -> None:
    rig = await Rig.started()
    other = Rig(store=rig.store)
    await other.run(0.25)
    await other.command("halt", scope="venue:bitget", reason="theirs")
    reply = await rig.command("halt", scope="venue:binance", reason="ours")
    assert reply is not None
    assert not reply.ok, "the store has another epoch"
    await rig.run(2.0)
    assert set(rig.shut()) >= {"venue:binance", "venue:bitget"}
    assert rig.permit.risk_epoch == 3
    assert any("another life" in getattr(one, "text", "") for one in rig.effects)


async def test_who_hung_does_not_obey_what_the_life_after_it_has_obeyed() -> None:
    """A process that slept finds commands in its backlog; by now a person may have said the opposite."""
    rig = await Rig.started()
    other = Rig(store=rig.store)
    await other.run(0.25)
    asked = Command(scope="global", confirm=True, id="once")
    other.offer("cmd.reset", asked, reply="there")
    await other.pump()
    await other.command("halt", reason="the second thought")
    rig.hangs = True
    rig.offer("cmd.pause", Command(scope="venue:bitget"))
    await rig.pump()
    rig.offer("cmd.reset", Command(scope="venue:bitget", confirm=True), reply="waits")
    await rig.pump()
    await rig.release()
    await rig.run(0.25)
    epoch = rig.permit.risk_epoch
    repeated = await rig.command("reset", scope="global", confirm=True, id="once")
    assert repeated is not None
    assert repeated.error is not None
    assert repeated.error.code == "repeated"
    await rig.run(2.0)
    answers = [one.reply for one in rig.effects if isinstance(one, Reply) and one.to == "waits"]
    assert [one.ok for one in answers] == [False]
    assert rig.permit.risk_epoch == epoch, "what was decided without the other life is not done"
    assert rig.breaker("global") is not None


async def test_who_knows_a_lost_store_writes_nothing_to_the_one_that_replaces_it() -> None:
    """The version that it knows fits there by chance: its permits would outrank the other life's."""
    rig = await Rig.started(store=MemoryStore(store_id="0" * 16))
    await rig.command("reset", scope="global", confirm=True)
    other = Rig(store=MemoryStore(store_id="1" * 16))
    await other.run(0.25)
    await other.command("reset", scope="global", confirm=True, id="once")
    versions = [await one.store.get(EPOCH_KEY) for one in (rig, other)]
    assert versions[0] == versions[1]
    rig.store = other.store
    await rig.command("reset", scope="global", confirm=True, id="once")
    assert await other.store.get(EPOCH_KEY) != versions[1], "it has read what the store holds"
    repeated = [one.reply for one in rig.effects if isinstance(one, Reply)][-1]
    assert not repeated.ok
    lines = await other.store.read("audit")
    assert [one.fields["decision"] for one in lines] == [b"done"]


async def test_the_epoch_rises_at_each_start() -> None:
    store = RiskStore(MemoryStore(), SystemClock())
    epochs = [(await store.recall(Recall())).epoch for _ in range(3)]
    assert epochs == [1, 2, 3]


async def test_two_that_raise_it_at_once_do_not_get_the_same() -> None:
    class Late(MemoryStore):
        """Somebody else writes between the reading and the writing."""

        async def compare_and_set(self, key: str, value: bytes, *, expect: int) -> int:
            await self.put(key, b"5")
            return await super().compare_and_set(key, value, expect=expect)

    store = Late()
    with pytest.raises(StoreConflict):
        await RiskStore(store, SystemClock()).recall(Recall())
    kept = await store.get(EPOCH_KEY)
    assert kept is not None
    assert kept.value == b"5"


def context(config: Config) -> ServiceContext:
    return ServiceContext(
        service="risk",
        config=config,
        clock=SystemClock(),
        bus=MemoryBus(MemoryBroker()),
        store=MemoryStore(),
        env={},
    )


@pytest.mark.parametrize(
    ("config", "says"),
    [(Config(mode=Mode.OBSERVER), "nothing is traded"), (Config(mode=Mode.PAPER), "names no pair")],
)
async def test_it_has_nothing_to_do_for_an_observer_or_without_pairs(config: Config, says: str) -> None:
    with pytest.raises(CannotStart, match=says) as refused:
        await assemble(context(config))
    assert refused.value.code == 2


async def test_it_hears_what_its_controls_need() -> None:
    assembly = await assemble(context(CONFIG))
    assert {"exec.>", "sys.health.>", "md.quote.>", "md.health.>", "cmd.*"} <= set(assembly.subscriptions)
