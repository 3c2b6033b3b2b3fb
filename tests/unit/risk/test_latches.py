"""Latches: stored before they are announced, announced when they cannot be, gone once the store says so."""

from __future__ import annotations

import pytest

from libs.common.effects import Effect, Persist, Publish, Reply
from libs.common.messages_exec import Breaker, Level, Permit
from services.risk.latches import BREAKERS, Latch, Latches, changes, decoded
from tests.unit.risk.rig import Rig, order
from tests.unit.risk.world import BTC

HALTED = {"global": ("reduce_only", ("operator_halt",))}


def latch(
    control: str = "x", level: Level = Level.NO_OPENS, scope: str = "global", since_us: int = 1
) -> Latch:
    return Latch(scope=scope, level=level, control=control, reason="r", since_us=since_us)


def announced(effects: list[Effect]) -> list[str]:
    """In the order in which it happened: writes, and what says that something is not normal."""
    found = []
    for one in effects:
        if isinstance(one, Persist):
            found.append("write")
        elif isinstance(one, Publish) and isinstance(one.message, Breaker):
            found.append(f"say {one.message.scope} {one.message.level}")
        elif isinstance(one, Publish) and isinstance(one.message, Permit) and one.message.breakers:
            found.append("permit")
    return found


async def test_it_is_written_before_it_is_said() -> None:
    rig = await Rig.started()
    begun = len(rig.effects)
    await rig.command("halt", reason="look")
    assert announced(rig.effects[begun:]) == ["write", "say global reduce_only", "permit"]
    assert list(await rig.store.hash_all(BREAKERS)) == ["global|operator_halt"]


async def test_a_control_that_latches_is_written_first_too() -> None:
    rig = await Rig.started()
    begun = len(rig.effects)
    for name in ("a", "b", "c"):
        await rig.hear("exec.order.x", order(name, "rejected", reason="no"))
    assert announced(rig.effects[begun:])[:2] == ["write", "say venue:binance no_opens"]


async def test_latches_survive_a_restart_of_everything() -> None:
    rig = await Rig.started()
    await rig.command("flatten", scope=f"pair:{BTC}", reason="leave", actor="anna", confirm=True)
    await rig.command("pause", scope="venue:bitget", reason="maintenance")
    before = {one.scope: one for one in rig.permit.breakers}
    again = Rig(store=rig.store)
    await again.run(0.0)
    first = again.published(Permit)[0]
    assert {one.scope for one in first.breakers} >= set(before), "the very first permit has them"
    await again.run(4.0)
    assert {one.scope: one for one in again.permit.breakers} == before
    assert again.alerts("operator_flatten") == []


async def test_a_store_that_refuses_makes_it_stricter_at_once_and_says_that_it_is_not_durable() -> None:
    rig = await Rig.started()
    rig.down = True
    reply = await rig.command("halt", reason="look")
    assert rig.shut() == HALTED
    assert "not durable" in rig.permit.breakers[0].reason
    assert reply is not None
    assert reply.error is not None
    assert (reply.ok, reply.error.code) == (False, "store")
    assert "in force now" in reply.error.message
    assert "not durable" in rig.problems()["latches"]
    assert "not durable" in rig.audits()[-1].reason
    rig.down = False
    await rig.run(2.0)
    assert rig.shut() == HALTED
    assert "not durable" not in rig.permit.breakers[0].reason
    assert rig.problems() == {}
    assert list(await rig.store.hash_all(BREAKERS)) == ["global|operator_halt"]


async def test_a_store_that_does_not_answer_holds_back_neither_permits_nor_the_halt() -> None:
    rig = await Rig.started()
    rig.hangs = True
    assert await rig.command("halt", reason="look") is None
    permits = len(rig.published(Permit))
    await rig.run(0.5)
    assert rig.shut() == HALTED
    assert len(rig.published(Permit)) >= permits + 2
    told = len(rig.effects)
    await rig.run(0.5)
    replies = [one.reply for one in rig.effects[told:] if isinstance(one, Reply)]
    assert [(one.ok, one.error and one.error.code) for one in replies] == [(False, "store")], "in time"
    await rig.release()
    await rig.run(0.5)
    assert "not durable" not in rig.permit.breakers[0].reason
    assert len([one for one in rig.effects if isinstance(one, Reply)]) == 1, "answered once"


async def test_nothing_is_eased_before_the_store_has_it() -> None:
    rig = await Rig.started()
    await rig.command("halt", reason="look")
    rig.down = True
    reply = await rig.command("reset", confirm=True)
    assert reply is not None
    assert not reply.ok
    assert rig.shut() == HALTED
    assert rig.permit.risk_epoch == 1
    rig.down = False
    await rig.run(3.0)
    assert rig.shut() == HALTED, "who was told no is not obeyed later"
    rig.hangs = True
    await rig.command("reset", confirm=True)
    await rig.run(2.0)
    assert rig.shut() == HALTED
    await rig.release()
    assert rig.shut() == {}


async def test_a_write_whose_outcome_is_not_known_is_repaired() -> None:
    rig = await Rig.started()
    await rig.command("halt", reason="look")
    rig.hangs = True
    await rig.command("reset", confirm=True)
    # it was carried out, and its answer got lost
    await rig.store.transition(rig._held[0][1].change)  # type: ignore[arg-type]
    rig.down = True
    await rig.release()
    rig.down = False
    assert rig.shut() == HALTED
    await rig.run(5.0)
    assert rig.shut() == HALTED
    assert list(await rig.store.hash_all(BREAKERS)) == ["global|operator_halt"]


async def test_what_cannot_be_read_halts_everything_until_a_reset_deletes_it() -> None:
    rig = await Rig.started()
    await rig.command("pause", scope="venue:bitget", reason="kept")
    now = rig.clock.now().wall_us
    found = decoded({"venue:x|y": b"{nonsense", **await rig.store.hash_all(BREAKERS)}, now_us=now)
    assert {(one.scope, one.level) for one in found} == {
        ("global", Level.REDUCE_ONLY),
        ("venue:bitget", Level.NO_OPENS),
    }
    assert changes(found, found.remove("global")) == {"venue:x|y": None}


def test_the_table_is_a_value() -> None:
    one, other = latch("x"), latch("y", Level.FLATTEN)
    table = Latches().add(one).add(other)
    assert [found.control for found in table.of("global")] == ["y", "x"]
    assert table.remove("global", "y") == Latches([one])
    assert table.remove("global") == Latches()
    assert len(table) == 2, "the former one is as it was"
    assert table.remove("elsewhere") is table


def test_a_weaker_latch_never_takes_the_place_of_a_stricter_one() -> None:
    strict = latch("x", Level.FLATTEN, since_us=1)
    table = Latches([strict]).add(latch("x", Level.NO_OPENS, since_us=2))
    assert table.get("global", "x") == strict
    stricter = Latches([latch("x")]).add(strict)
    assert stricter.get("global", "x") == strict


def test_since_when_it_holds_is_kept() -> None:
    table = Latches([latch("x", since_us=5)]).add(latch("x", since_us=9))
    found = table.get("global", "x")
    assert found is not None
    assert found.since_us == 5


@pytest.mark.parametrize("removed", [None, "x", "y"])
def test_changes_make_the_one_table_out_of_the_other(removed: str | None) -> None:
    before = Latches([latch("x"), latch("y"), latch("z", scope="venue:a")])
    after = before.remove("global", removed).add(latch("new"))
    stored = {f"{one.scope}|{one.control}": value for one in before if (value := encoded(one)) is not None}
    for field, value in changes(before, after).items():
        if value is None:
            del stored[field]
        else:
            stored[field] = value
    assert decoded(stored, now_us=0) == after


def encoded(one: Latch) -> bytes | None:
    return changes(Latches(), Latches([one]))[f"{one.scope}|{one.control}"]
