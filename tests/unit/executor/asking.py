"""A person at a rig: commands, and what is answered and audited."""

from __future__ import annotations

from typing import Any

from libs.common.effects import Audit, Received, Reply
from libs.common.messages import Command, CommandReply
from libs.common.subjects import command
from tests.unit.executor.rig import Rig

ANSWER_SEC = 1.0
"""So long replies are gathered."""


def say(rig: Rig, verb: str, **fields: Any) -> None:
    """A command, without waiting."""
    rig.offer(Received(subject=command(verb), message=Command(**fields), reply="inbox"))


def ask(rig: Rig, verb: str, sec: float = ANSWER_SEC, **fields: Any) -> CommandReply:
    """A command, and the one answer that comes within the second."""
    before = len(replies(rig))
    say(rig, verb, **fields)
    rig.until(lambda: len(replies(rig)) > before, sec)
    rig.run(0.05)
    (answer,) = replies(rig)[before:]
    return answer


def done(rig: Rig, verb: str, **fields: Any) -> dict[str, Any]:
    """The result of a command that must succeed."""
    answer = ask(rig, verb, **fields)
    assert answer.ok, answer.error
    return answer.result


def refused(rig: Rig, verb: str, **fields: Any) -> tuple[str, str]:
    """Code and words of a command that must be refused."""
    answer = ask(rig, verb, **fields)
    assert answer.error is not None, answer.result
    return answer.error.code, answer.error.message


def replies(rig: Rig) -> list[CommandReply]:
    """All answers so far."""
    return [one.reply for one in rig.said if isinstance(one, Reply) and one.to]


def audits(rig: Rig) -> list[tuple[str, str]]:
    """(decision, reason) of all audit lines."""
    return [(one.decision, one.reason) for one in rig.said if isinstance(one, Audit)]
