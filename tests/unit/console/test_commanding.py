"""How answers to a command read: one line each, whatever a service puts into them."""

from __future__ import annotations

from typing import Any

import pytest

from libs.common.messages import CommandError, CommandReply
from libs.console.commanding import Answers, line, missing_of
from libs.console.output import OK, UNREACHABLE


@pytest.mark.parametrize(
    ("result", "said"),
    [
        ({}, ""),
        ({"scope": "global"}, ""),
        ({"scope": "venue:okx", "changed": False}, ": scope venue:okx, changed no"),
        ({"text": "it is done", "level": "flatten"}, ": it is done"),
        ({"scope": "global", "left_to": "risk", "empty": [], "none": None}, ": left_to risk"),
        ({"cleared": ["a: x", "b: y"]}, ": cleared a: x; b: y"),
        ({"pairs": {"P": {"state": "idle", "why": "not stuck", "at": ""}}}, ": P: state idle, why not stuck"),
        (
            {"pairs": {name: {"state": "idle"} for name in "ABCD"} | {"E": {"state": "stuck"}}},
            ": 4 pairs: state idle; E: state stuck",
        ),
    ],
)
def test_an_ok_is_one_line(result: dict[str, Any], said: str) -> None:
    assert line(CommandReply(service="executor", ok=True, result=result)) == f"executor: ok{said}"


def test_a_refusal_is_its_words_and_its_code() -> None:
    error = CommandError(code="busy", message="the pair is being closed")
    assert line(CommandReply(service="executor", ok=False, error=error)) == (
        "executor: refused: the pair is being closed (busy)"
    )
    assert line(CommandReply(service="risk", ok=False)) == "risk: refused: without a word"


@pytest.mark.parametrize(
    ("services", "missing", "code"),
    [(("executor", "risk"), (), OK), (("executor",), ("risk",), UNREACHABLE), (("risk",), (), OK)],
)
def test_a_flatten_that_is_left_to_risk_has_not_happened_without_its_word(
    services: tuple[str, ...], missing: tuple[str, ...], code: int
) -> None:
    left = {"executor": {"left_to": "risk"}}
    replies = tuple(CommandReply(service=one, ok=True, result=left.get(one, {})) for one in services)
    assert missing_of("flatten", replies) == missing
    assert Answers(replies=replies, missing=missing).exit_code == code


def test_a_flatten_that_the_executor_does_itself_needs_nobody_else() -> None:
    replies = (CommandReply(service="executor", ok=True, result={"pairs": {"P": {"begun": "flatten"}}}),)
    assert missing_of("flatten", replies) == ()
