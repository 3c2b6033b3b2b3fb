"""The one door for `cmd.*` in every service: what a command must be before anybody acts on it. Pure.

    desk = CommandDesk("executor", verbs=("open", "close"), pairs={spec.id: legs, ...})
    asked = desk.take(event, now)
    if not isinstance(asked, Asked):
        return asked                        # refused (audited and answered), or another service's verb
    return asked.done({"pair": asked.pair})     # or asked.refuse("busy", "the pair is being closed")

What cannot be decoded is refused one step earlier, by the runtime's intake.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

import msgspec

from libs.common.command_scopes import BadScope, Legs, Scope, Scopes
from libs.common.effects import Audit, Effect, Received, Reply
from libs.common.instant import MS_PER_DAY, MS_PER_SEC, US_PER_MS, Now
from libs.common.message import Message
from libs.common.messages_cmd import Command, CommandError, CommandReply
from libs.common.subjects import CMD, command

AGE_MS_MAX: Final = 30 * MS_PER_SEC
"""An older command is void: whoever sent it has meanwhile seen something else (risk.md)."""

AHEAD_MS_MAX: Final = 5 * MS_PER_SEC
"""An operator's own computer may be a little ahead; more is a wrong clock or a made-up stamp."""

ID_CHARS_MAX: Final = 128
ACTOR_CHARS_MAX: Final = 128
REASON_CHARS_MAX: Final = 500
IDS_MAX: Final = 10_000
"""So many ids are remembered; a command with `ts_ms` is too late long before its id is forgotten."""


EVERY: Final = f"{CMD}.*"
"""All commands, as the access table grants them: one token behind the family."""


class Verb(msgspec.Struct, frozen=True, kw_only=True):
    """What a verb needs. `one_pair`: exactly one pair, in place of any scope. `answerers`: without an `ok`
    of each of them it has not fully happened (`flatten` while risk is away is the executor's).
    """

    confirm: bool = False
    one_pair: bool = False
    answerers: tuple[str, ...] = ()


BY_RISK = Verb(answerers=("risk",))
BY_EXECUTOR = Verb(answerers=("executor",))
PAIR = Verb(one_pair=True, answerers=("executor",))
VERBS: Final[Mapping[str, Verb]] = {
    "status": Verb(),
    "positions": BY_EXECUTOR,
    "open": PAIR,
    "close": PAIR,
    "rebalance": PAIR,
    "pause": BY_RISK,
    "resume": BY_RISK,
    "halt": BY_RISK,
    "flatten": Verb(confirm=True),
    "reset": Verb(confirm=True, answerers=("risk", "executor")),
    "reload": Verb(),
    "ack": Verb(answerers=("notifier",)),
}
"""contract.md's verbs. Who answers which is the services' own: each names its verbs to its desk."""

READING: Final = frozenset({"status", "positions"})


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A command that may be acted on. End it with exactly one of `done` and `refuse`.

    `scope` is `global`, `venue:X`, `symbol:{venue}-{instrument}` or `pair:{id}`, `pairs` are those that it
    covers, `pair` its only one when it names one. `reason` and `actor` are single printable lines.
    """

    service: str
    verb: str
    command: Command
    scope: str
    pairs: tuple[str, ...]
    pair: str | None
    reason: str
    actor: str
    subject: str
    reply_to: str

    def done(self, result: Mapping[str, Any] | None = None, *, because: str = "") -> list[Effect]:
        """It has happened: audited, and answered with `result` (plain JSON values).

        What only reads leaves no line: a `status --watch` would push the acts of people out of sight.
        """
        answer = self.answer(result)
        return [answer] if self.verb in READING else [self.audit("done", because or self.reason), answer]

    def refuse(self, code: str, message: str) -> list[Effect]:
        """It has not happened, nothing has changed: audited, and answered with a code and a remedy."""
        return [
            self.audit("refused", f"{code}: {message}"),
            refusal(self.service, self.reply_to, code, message),
        ]

    def audit(self, decision: str, reason: str) -> Audit:
        """Its line in the audit stream, for who writes it himself (`notices.audit_entry`)."""
        return Audit(
            subject=self.subject,
            body=body_of(self.command),
            decision=decision,
            reason=reason,
            actor=self.actor,
        )

    def answer(self, result: Mapping[str, Any] | None = None) -> Reply:
        """The answer without an audit line, for who has written that before."""
        told = {"scope": self.scope, **(result or {})}
        return Reply(to=self.reply_to, reply=CommandReply(service=self.service, ok=True, result=told))


class CommandDesk:
    """What one service lets through. `pairs`: id -> its (venue, instrument) legs.

    `catches_unknown`: refuses what no service knows (one of them must, and that is risk).
    """

    def __init__(
        self,
        service: str,
        *,
        verbs: Iterable[str],
        pairs: Mapping[str, Legs],
        catches_unknown: bool = False,
    ) -> None:
        self.service = service
        self.verbs = frozenset(verbs)
        if strange := self.verbs - VERBS.keys():
            raise ValueError(f"no verbs of ours: {sorted(strange)}")
        self.scopes = Scopes(pairs)
        self._catches_unknown = catches_unknown
        self._ids: dict[str, None] = {}

    @property
    def subscriptions(self) -> tuple[str, ...]:
        """What its service subscribes to."""
        if self._catches_unknown:
            return (EVERY,)
        return tuple(command(verb) for verb in sorted(self.verbs))

    def remember(self, ids: Iterable[str]) -> None:
        """Ids of commands of an earlier life, oldest first: they are refused as repeated."""
        for one in ids:
            self._ids.pop(one, None)
            self._ids[one] = None
        while len(self._ids) > IDS_MAX:
            del self._ids[next(iter(self._ids))]

    def take(self, event: Received, now: Now, *, also: Collection[str] = ()) -> Asked | list[Effect]:
        """What to act on; else the effects that refuse it, none when it is for others. `also`: as `Scopes.of`
        has it.
        """
        family, _, verb = event.subject.partition(".")
        message = event.message
        if family != CMD or not isinstance(message, Command):
            return []
        if verb not in self.verbs and (verb in VERBS or not self._catches_unknown):
            return []
        try:
            return self._checked(event, verb, message, now, also)
        except _Refused as refused:
            audit = Audit(
                subject=event.subject,
                body=body_of(message),
                decision="refused",
                reason=f"{refused.code}: {refused}",
                actor=one_line(message.actor or "", ACTOR_CHARS_MAX),
            )
            return [audit, refusal(self.service, event.reply, refused.code, str(refused))]

    def _checked(
        self, event: Received, verb: str, message: Command, now: Now, also: Collection[str]
    ) -> Asked:
        rule = VERBS.get(verb)
        if rule is None:
            raise _Refused("unknown", f"there is no command {quoted(verb)}; there are {', '.join(VERBS)}")
        _check_lengths(message)
        _check_age(message, now)
        self._check_repeated(message)
        scope = self._scope(message, also)
        if rule.one_pair and scope.pair is None:
            raise _Refused("bad_request", f"{verb} needs `pair`: {self.scopes.some_pairs()}")
        if rule.confirm and not message.confirm:
            raise _Refused("confirm", f'{verb} needs "confirm": true (`fundarb {verb} --yes`)')
        return Asked(
            service=self.service,
            verb=verb,
            command=message,
            scope=scope.name,
            pairs=scope.pairs,
            pair=scope.pair,
            reason=one_line(message.reason or ""),
            actor=one_line(message.actor or ""),
            subject=event.subject,
            reply_to=event.reply,
        )

    def _scope(self, message: Command, also: Collection[str]) -> Scope:
        try:
            return self.scopes.of(pair=message.pair, scope=message.scope, also=also)
        except BadScope as bad:
            raise _Refused(bad.code, str(bad)) from None

    def _check_repeated(self, message: Command) -> None:
        """An id is used up by its first command, whatever becomes of that."""
        if message.id is None:
            return
        if message.id in self._ids:
            raise _Refused("repeated", f"id {quoted(message.id)} has been used: a new command needs a new id")
        self.remember((message.id,))


class _Refused(Exception):
    """Why a command is not let through: a code, and words with the remedy."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


def _check_lengths(message: Command) -> None:
    limits = (("id", ID_CHARS_MAX), ("actor", ACTOR_CHARS_MAX), ("reason", REASON_CHARS_MAX))
    for name, chars_max in limits:
        text: str | None = getattr(message, name)
        if text is not None and len(text) > chars_max:
            raise _Refused(
                "bad_request", f"`{name}` has {len(text)} characters, at most {chars_max} are read"
            )
    if message.id is not None and not (message.id and message.id.isascii() and message.id.isprintable()):
        raise _Refused("bad_request", f"`id` {quoted(message.id)} is not printable ASCII")


def _check_age(message: Command, now: Now) -> None:
    if message.ts_ms is None:
        return
    age_ms = now.wall_us // US_PER_MS - message.ts_ms
    if age_ms > AGE_MS_MAX:
        limit = f"at most {AGE_MS_MAX // MS_PER_SEC} s"
        raise _Refused("late", f"`ts_ms` is {seconds(age_ms)} old, {limit}: say it again if it still holds")
    if age_ms < -AHEAD_MS_MAX:
        raise _Refused("from_the_future", f"`ts_ms` is {seconds(-age_ms)} ahead: compare the clocks")


def refusal(service: str, reply_to: str, code: str, message: str) -> Reply:
    """The answer of who does nothing."""
    error = CommandError(code=code, message=message)
    return Reply(to=reply_to, reply=CommandReply(service=service, ok=False, error=error))


def body_of(message: Message) -> str:
    """A command as compact JSON: the fields that were said."""
    said = {
        field.name: value
        for field in msgspec.structs.fields(message)
        if (value := getattr(message, field.name)) != field.default
    }
    return msgspec.json.encode(said).decode()


def one_line(text: str, chars_max: int = REASON_CHARS_MAX) -> str:
    """Free text fit for a screen, a page and a chat: nothing that moves a cursor or hides a line."""
    return "".join(one if one.isprintable() else " " for one in text[:chars_max]).strip()


def quoted(text: str, chars_max: int = 60) -> str:
    """A stranger's text within a sentence, ASCII and short."""
    return ascii(text if len(text) <= chars_max else f"{text[:chars_max]}...")


def seconds(ms: int) -> str:
    """`31.2 s`; a stamp in seconds or microseconds in place of ms gives an age that is told as such."""
    return f"{ms / MS_PER_SEC:.1f} s" if ms < MS_PER_DAY else "more than a day (is it in ms?)"
