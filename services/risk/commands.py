"""The operator's verbs as risk obeys them: pause, resume, halt, flatten, reset, and its status. Pure.

    commands = RiskCommands(specs)
    commands.remember(ids)                         # of an earlier life, see libs.common.command_memory
    taken = commands.take(event, situation, now)   # a `Take`

Each verb only says what the table of latches is afterwards; the actor makes that durable, with its audit
line, before anybody is answered and before it is announced.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec

from libs.common.command_scopes import legs_of
from libs.common.commands import ACTOR_CHARS_MAX, Asked, CommandDesk, body_of, one_line, refusal
from libs.common.commands import VERBS as KNOWN
from libs.common.config.legs import PairSpec
from libs.common.effects import Alert, Audit, Effect, Received, Reply
from libs.common.instant import Now
from libs.common.messages import AlertLevel, Command
from services.risk.latches import (
    OPERATOR_FLATTEN,
    OPERATOR_HALT,
    OPERATOR_PAUSE,
    Latch,
    Latches,
    operator_latch,
)
from services.risk.taken import Situation, Taken

CONTROL_OF: Final = {"pause": OPERATOR_PAUSE, "halt": OPERATOR_HALT, "flatten": OPERATOR_FLATTEN}
VERBS: Final = (*CONTROL_OF, "resume", "reset", "status")
ENDING: Final = ("reset", "resume")
NO_REASON: Final = "the operator gave no reason"
SHOWN_MAX: Final = 5


class RiskCommands:
    """Risk's desk: also the one that answers verbs that nobody knows."""

    def __init__(self, specs: Iterable[PairSpec]) -> None:
        self._desk = CommandDesk("risk", verbs=VERBS, pairs=legs_of(specs), catches_unknown=True)
        self.subscriptions = self._desk.subscriptions

    def remember(self, ids: Iterable[str]) -> None:
        """Ids of commands of an earlier life, oldest first: they are refused as repeated."""
        self._desk.remember(ids)

    def take(self, event: Received, situation: Situation, now: Now) -> Taken:
        """What becomes of one `cmd.*`; nothing at all when it is another service's."""
        asked = self._desk.take(event, now, also=_left(event, situation))
        if not isinstance(asked, Asked):
            refused = _unchanged(asked, situation.latches)
            return msgspec.structs.replace(refused, alerts=_unheard(event, refused))
        return _WORK[asked.verb](asked, situation, now)

    def too_early(self, event: Received, why: str) -> Iterable[Effect]:
        """Refuse what cannot be taken now, before it was looked at; verbs of other services are theirs."""
        verb, said = event.subject.rpartition(".")[2], event.message
        if not isinstance(said, Command) or (verb in KNOWN and verb not in VERBS):
            return
        yield Audit(
            subject=event.subject,
            body=body_of(said),
            decision="refused",
            reason=f"not_ready: {why}",
            actor=one_line(said.actor or "", ACTOR_CHARS_MAX),
        )
        yield refusal("risk", event.reply, "not_ready", f"{why}: say it again")


def _left(event: Received, situation: Situation) -> frozenset[str]:
    """Scopes that have left the config and are latched still: a person may end that, and nothing else."""
    if event.subject.rpartition(".")[2] not in ENDING:
        return frozenset()
    return frozenset(one.scope for one in situation.latches if one.scope not in situation.scopes)


def _status(asked: Asked, situation: Situation, _now: Now) -> Taken:
    return _done(asked, situation.latches, situation.status())


def _restrict(asked: Asked, situation: Situation, now: Now) -> Taken:
    """pause, halt, flatten: one latch more. Said twice it is one latch, since the first time."""
    reason = asked.reason or NO_REASON
    control = CONTROL_OF[asked.verb]
    latch = operator_latch(control, asked.scope, reason=reason, actor=asked.actor, since_us=now.wall_us)
    latches = situation.latches.add(latch)
    changed = latches.get(*latch.key) != situation.latches.get(*latch.key)
    was = "is now" if changed else "has been"
    text = f"{asked.scope} {was} at {latch.level.value}; `{ending(latch)}` ends it"
    result = {"text": text, "level": latch.level.value, "changed": changed, "ends_by": ending(latch)}
    level = AlertLevel.INFO if asked.verb == "pause" else AlertLevel.WARNING
    return _done(asked, latches, result, told=(_told(asked, f"{asked.scope}: {reason}", level),))


def _resume(asked: Asked, situation: Situation, _now: Now) -> Taken:
    """Undoes the pause of exactly this scope, nothing else."""
    if (asked.scope, OPERATOR_PAUSE) not in situation.latches:
        paused = [one for one in situation.latches if one.control == OPERATOR_PAUSE]
        text = f"{asked.scope} is not paused by an operator; {_also(paused, 'nothing is')}"
        return _unchanged(asked.refuse("not_paused", text), situation.latches)
    latches = situation.latches.remove(asked.scope, OPERATOR_PAUSE)
    told = _told(asked, asked.scope, AlertLevel.INFO)
    result = _after(f"{asked.scope} is no longer paused", still(asked.scope, latches))
    return _done(asked, latches, result, told=(told,))


def _reset(asked: Asked, situation: Situation, _now: Now) -> Taken:
    """Clears the latches of exactly this scope; a pause is left to `resume`.

    All or nothing: while the condition of one of them holds, the scope stays as it is.
    """
    cleared = [one for one in situation.latches.of(asked.scope) if one.control != OPERATOR_PAUSE]
    if holds := [one for one in cleared if one.key in situation.holding]:
        named = "; ".join(f"{one.control}: {situation.holding[one.key]}" for one in holds)
        text = f"{asked.scope} stays latched, because what latched it still holds: {named}"
        return _unchanged(asked.refuse("still_holds", text), situation.latches)
    latches = situation.latches
    for one in cleared:
        latches = latches.remove(*one.key)
    named = ", ".join(one.control for one in cleared) or "nothing was latched"
    result = _after(f"{asked.scope} is reset ({named})", still(asked.scope, latches))
    result["cleared"] = [f"{one.control}: {one.reason}" for one in cleared]
    told = _told(asked, f"{asked.scope} ({named})", AlertLevel.WARNING)
    return _done(asked, latches, result, resets=(asked.scope,), told=(told,))


_WORK: Final[Mapping[str, Callable[[Asked, Situation, Now], Taken]]] = {
    "pause": _restrict,
    "halt": _restrict,
    "flatten": _restrict,
    "resume": _resume,
    "reset": _reset,
    "status": _status,
}


def ending(latch: Latch) -> str:
    """The operator's command that ends a latch."""
    verb = "resume" if latch.control == OPERATOR_PAUSE else "reset"
    return f"fundarb {verb}" + ("" if latch.scope == "global" else f" --scope {latch.scope}")


def still(scope: str, latches: Latches) -> list[str]:
    """What is latched afterwards, this scope first: why an `ok` may not yet mean that anything opens."""
    rest = sorted(latches, key=lambda one: (one.scope != scope, -one.level.rank, one.scope))
    return [f"{one.scope} {one.level.value} ({one.control}): {ending(one)}" for one in rest]


def _after(text: str, rest: list[str]) -> dict[str, Any]:
    """What was done, and what is latched nevertheless."""
    more = f"; still {'; '.join(rest[:SHOWN_MAX])}" if rest else ""
    more += f" and {len(rest) - SHOWN_MAX} more" if len(rest) > SHOWN_MAX else ""
    return {"text": text + more, "still": rest}


def _also(latches: list[Latch], nothing: str) -> str:
    return ", ".join(f"{one.scope} is: {ending(one)}" for one in latches[:SHOWN_MAX]) or nothing


def _told(asked: Asked, text: str, level: AlertLevel) -> Alert:
    who = asked.actor or "an operator"
    return Alert(level=level, key=f"risk:operator:{asked.verb}", text=f"{who} said {asked.verb}: {text}")


def _done(
    asked: Asked,
    latches: Latches,
    result: Mapping[str, Any],
    *,
    resets: tuple[str, ...] = (),
    told: tuple[Alert, ...] = (),
) -> Taken:
    done = _unchanged(asked.done(result), latches)
    return msgspec.structs.replace(done, alerts=told, resets=resets)


def _unchanged(effects: Iterable[Effect], latches: Latches) -> Taken:
    """The desk's effects in the actor's hands: it writes the audit line before it answers."""
    audits: list[Audit] = []
    reply = None
    for effect in effects:
        if isinstance(effect, Audit):
            audits.append(effect)
        elif isinstance(effect, Reply):
            reply = effect.reply
    return Taken(latches=latches, reply=reply, audits=tuple(audits))


def _unheard(event: Received, refused: Taken) -> tuple[Alert, ...]:
    """A refused command that should have made things safer, and whose sender waits for no answer."""
    verb = event.subject.rpartition(".")[2]
    if event.reply or verb not in CONTROL_OF or refused.reply is None or refused.reply.error is None:
        return ()
    text = f"{event.subject} was refused, and nobody waited for the answer: {refused.reply.error.message}"
    return (Alert(level=AlertLevel.WARNING, key=f"risk:refused:{verb}", text=text),)
