"""How answers to a command read: one line each, whatever a service puts into them."""

from __future__ import annotations

from typing import Any

import pytest

from libs.common.messages import CommandError, CommandReply
from libs.console.commanding import line


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
