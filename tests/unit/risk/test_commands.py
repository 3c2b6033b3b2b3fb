"""The operator's verbs: what the table of latches is afterwards, and what is answered and told."""

from __future__ import annotations

from typing import Any

import pytest

from libs.common.config.legs import Leg, PairSpec
from libs.common.effects import Received
from libs.common.instant import Now
from libs.common.messages import AlertLevel, Command
from libs.common.messages_exec import Level
from libs.common.subjects import Kind
from services.risk.commands import RiskCommands
from services.risk.latches import OPERATOR_FLATTEN, OPERATOR_HALT, OPERATOR_PAUSE, Latch, Latches
from services.risk.scopes import Scopes
from services.risk.taken import Situation, Taken

PAIR = "BTC-USDT_binance-spot_binance-perp"
SPEC = PairSpec(
    id=PAIR,
    symbol="BTC/USDT",
    first=Leg(exchange="spot", venue="binance", instrument="BTC-USDT", kind=Kind.SPOT),
    second=Leg(exchange="perp", venue="binance", instrument="BTC-USDT-PERP", kind=Kind.PERP),
)
NAKED = Latch(
    scope=f"pair:{PAIR}", level=Level.REDUCE_ONLY, control="naked_exposure", reason="80 USD", since_us=5
)


class Office:
    """Risk's desk with the table that the last command has left."""

    def __init__(self, *latches: Latch) -> None:
        self.desk = RiskCommands((SPEC,))
        self.latches = Latches(latches)
        self.holding: dict[tuple[str, str], str] = {}
        self.wall_us = 1_700_000_000_000_000

    def say(self, verb: str, reply: str = "inbox", **fields: Any) -> Taken:
        situation = Situation(
            scopes=Scopes((SPEC,)),
            latches=self.latches,
            breakers=(),
            pairs={},
            status=lambda: {"answer": 42},
            holding=self.holding,
        )
        event = Received(subject=f"cmd.{verb}", message=Command(**fields), reply=reply)
        self.wall_us += 1
        taken = self.desk.take(event, situation, Now(wall_us=self.wall_us, market_ms=0, mono_us=0))
        self.latches = taken.latches
        return taken

    def done(self, verb: str, **fields: Any) -> dict[str, Any]:
        """The result of a command that must have been obeyed, audited and told once."""
        taken = self.say(verb, **fields)
        assert taken.reply is not None
        assert taken.reply.ok, taken.reply
        assert [one.decision for one in taken.audits] == ["done"]
        assert [one.key for one in taken.alerts] == [f"risk:operator:{verb}"]
        return taken.reply.result

    def refused(self, verb: str, **fields: Any) -> tuple[str, str]:
        """Code and message of a command that must have changed nothing."""
        before = self.latches
        taken = self.say(verb, **fields)
        assert taken.reply is not None
        assert taken.reply.error is not None
        assert taken.latches is before
        assert taken.resets == ()
        assert [one.decision for one in taken.audits] == ["refused"]
        return taken.reply.error.code, taken.reply.error.message


@pytest.mark.parametrize(
    ("verb", "control", "level"),
    [
        ("pause", OPERATOR_PAUSE, Level.NO_OPENS),
        ("halt", OPERATOR_HALT, Level.REDUCE_ONLY),
        ("flatten", OPERATOR_FLATTEN, Level.FLATTEN),
    ],
)
def test_each_verb_latches_its_level_on_its_scope(verb: str, control: str, level: Level) -> None:
    office = Office()
    result = office.done(verb, scope="venue:binance", reason="why", actor="me", confirm=True)
    latch = office.latches.get("venue:binance", control)
    assert latch == Latch(
        scope="venue:binance",
        level=level,
        control=control,
        reason="why",
        actor="me",
        since_us=office.wall_us,
    )
    ends_by = "fundarb resume" if verb == "pause" else "fundarb reset"
    assert result.pop("text").startswith(f"venue:binance is now at {level.value}; `{ends_by}")
    assert result == {
        "scope": "venue:binance",
        "level": level.value,
        "changed": True,
        "ends_by": f"{ends_by} --scope venue:binance",
    }


def test_an_empty_halt_halts_everything() -> None:
    office = Office()
    taken = office.say("halt", reply="")
    assert office.latches.get("global", OPERATOR_HALT) is not None
    assert [one.level for one in taken.alerts] == [AlertLevel.WARNING]


def test_said_twice_it_is_one_latch_since_the_first_time() -> None:
    office = Office()
    office.done("halt", reason="a")
    first = office.latches.get("global", OPERATOR_HALT)
    assert first is not None
    again = office.done("halt", reason="a")
    assert again["changed"] is False
    assert again["text"] == "global has been at reduce_only; `fundarb reset` ends it"
    assert office.latches.get("global", OPERATOR_HALT) == first


def test_flatten_and_reset_do_nothing_without_confirmation() -> None:
    office = Office(NAKED)
    assert office.refused("flatten")[0] == "confirm"
    assert office.refused("reset", pair=PAIR)[0] == "confirm"


def test_resume_undoes_only_the_pause_of_its_scope() -> None:
    office = Office(NAKED)
    office.done("pause")
    office.done("halt")
    office.done("pause", pair=PAIR)
    result = office.done("resume")
    assert {one.key for one in office.latches} == {
        NAKED.key,
        ("global", OPERATOR_HALT),
        (f"pair:{PAIR}", OPERATOR_PAUSE),
    }
    assert result["still"][0] == "global reduce_only (operator_halt): fundarb reset"
    assert f"pair:{PAIR} no_opens (operator_pause): fundarb resume --scope pair:{PAIR}" in result["still"]


def test_resume_of_what_is_not_paused_says_what_is() -> None:
    office = Office(NAKED)
    assert office.refused("resume") == ("not_paused", "global is not paused by an operator; nothing is")
    office.done("pause", pair=PAIR)
    code, text = office.refused("resume")
    assert code == "not_paused"
    assert f"fundarb resume --scope pair:{PAIR}" in text


def test_reset_clears_the_scope_and_leaves_the_pause_and_other_scopes() -> None:
    office = Office(NAKED)
    for verb in ("pause", "halt", "flatten"):
        office.done(verb, confirm=True)
    taken = office.say("reset", confirm=True)
    assert taken.reply is not None
    assert taken.reply.ok
    assert taken.resets == ("global",)
    assert {one.key for one in office.latches} == {("global", OPERATOR_PAUSE), NAKED.key}
    assert [one.partition(":")[0] for one in taken.reply.result["cleared"]] == [
        "operator_flatten",
        "operator_halt",
    ]
    assert len(taken.reply.result["still"]) == 2


def test_reset_of_a_scope_without_latches_still_raises_the_epoch() -> None:
    """The executor answers the same command and may have left STUCK by it: nothing is refused here."""
    office = Office()
    taken = office.say("reset", pair=PAIR, confirm=True)
    assert taken.reply is not None
    assert taken.reply.ok
    assert taken.reply.result["cleared"] == []
    assert taken.resets == (f"pair:{PAIR}",)


def test_reset_is_refused_by_name_while_a_condition_holds() -> None:
    office = Office(NAKED)
    office.done("halt", pair=PAIR)
    office.holding[NAKED.key] = "80 USD of naked exposure, 50 are allowed"
    code, text = office.refused("reset", pair=PAIR, confirm=True)
    assert code == "still_holds"
    assert "naked_exposure: 80 USD of naked exposure" in text
    del office.holding[NAKED.key]
    office.done("reset", pair=PAIR, confirm=True)
    assert len(office.latches) == 0


def test_status_is_answered_without_a_line() -> None:
    taken = Office().say("status")
    assert taken.reply is not None
    assert taken.reply.result["answer"] == 42
    assert taken.audits == ()


def test_other_services_verbs_are_left_to_them_and_unknown_ones_are_refused() -> None:
    office = Office()
    assert office.say("open", pair=PAIR) == Taken(latches=office.latches)
    assert office.refused("sell_all")[0] == "unknown"


@pytest.mark.parametrize("verb", ["pause", "halt", "flatten"])
def test_a_refused_brake_that_nobody_waits_for_is_told(verb: str) -> None:
    office = Office()
    alerts = office.say(verb, reply="", pair="nonsense").alerts
    assert [(one.level, one.key) for one in alerts] == [(AlertLevel.WARNING, f"risk:refused:{verb}")]
    assert office.say(verb, pair="nonsense").alerts == ()
    assert office.say("resume", reply="", pair="nonsense").alerts == ()


def test_a_command_of_an_earlier_life_is_not_obeyed_again() -> None:
    office = Office()
    office.desk.remember(["a"])
    assert office.refused("halt", id="a")[0] == "repeated"
