"""Signal's part of `cmd.*`: `status` through the one door, and no silence in mode observer."""

from __future__ import annotations

import json

import pytest

from libs.common.commands import EVERY, VERBS
from libs.common.config.schema import Mode
from libs.common.effects import Audit, Effect, Received, Reply
from libs.common.instant import US_PER_MS
from libs.common.messages import Command
from services.signal.commands import OTHERS
from tests.unit.signal.trader import Trader
from tests.unit.signal.world import BTC, World, of

TRADING = sorted(VERBS.keys() - OTHERS - {"status"})


def say(world: World, verb: str, /, *, reply: str = "_INBOX.1", **fields: object) -> list[Effect]:
    return list(world.do(Received(subject=f"cmd.{verb}", message=Command(**fields), reply=reply)))  # type: ignore[arg-type]


def error_of(effects: list[Effect]) -> tuple[str, str]:
    (reply,) = of(Reply, effects)
    assert not reply.reply.ok
    assert reply.reply.service == "signal"
    assert reply.reply.error is not None
    return reply.reply.error.code, reply.reply.error.message


@pytest.mark.parametrize("mode", [Mode.OBSERVER, Mode.PAPER])
def test_a_status_that_is_late_is_refused_and_audited(mode: Mode) -> None:
    world = Trader(mode=mode)
    now_ms = world.now.wall_us // US_PER_MS
    assert of(Reply, say(world, "status", ts_ms=now_ms))[0].reply.ok
    effects = say(world, "status", ts_ms=now_ms - 31_000, actor="ann")
    assert error_of(effects)[0] == "late"
    (audit,) = of(Audit, effects)
    assert (audit.decision, audit.actor) == ("refused", "ann")


def test_a_status_that_is_said_twice_is_refused() -> None:
    world = World()
    assert of(Reply, say(world, "status", id="a"))[0].reply.ok
    assert error_of(say(world, "status", id="a"))[0] == "repeated"


def test_a_status_leaves_no_line_in_the_audit() -> None:
    assert of(Audit, say(World(), "status")) == []


@pytest.mark.parametrize("verb", TRADING)
def test_an_observer_answers_for_those_who_trade(verb: str) -> None:
    world = World()
    effects = say(world, verb, pair=BTC, confirm=True, actor="ann", reason="because")
    code, text = error_of(effects)
    assert code == "observer"
    assert text.startswith("mode observer trades nothing")
    (audit,) = of(Audit, effects)
    assert (audit.subject, audit.decision, audit.actor) == (f"cmd.{verb}", "refused", "ann")
    assert json.loads(audit.body)["reason"] == "because"


def test_nobody_waits_for_an_answer_and_there_is_a_line_all_the_same() -> None:
    effects = say(World(), "halt", reply="")
    assert [audit.decision for audit in of(Audit, effects)] == ["refused"]


def test_an_observer_answers_what_nobody_knows() -> None:
    effects = say(World(), "detonate", actor="ann")
    code, text = error_of(effects)
    assert (code, len(of(Audit, effects))) == ("unknown", 1)
    assert "'detonate'" in text


@pytest.mark.parametrize("verb", sorted(OTHERS))
def test_what_others_answer_is_theirs(verb: str) -> None:
    assert say(World(), verb) == []


@pytest.mark.parametrize("mode", [Mode.PAPER, Mode.LIVE, Mode.DEMO])
def test_where_risk_and_executor_run_they_answer_for_themselves(mode: Mode) -> None:
    world = Trader(mode=mode)
    assert world.actor.commands.subscriptions == ("cmd.status",)
    for verb in (*TRADING, "detonate"):
        assert of(Reply, say(world, verb, pair=BTC, confirm=True)) == []


def test_an_observer_hears_all_commands() -> None:
    assert World().actor.commands.subscriptions == (EVERY,)
