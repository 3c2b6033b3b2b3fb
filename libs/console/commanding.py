"""What the operator's verbs share: one request on `cmd.{verb}`, the answers of a second, one line each.

Exit codes: 0 when all who must have answered said ok, 1 when somebody refused, 3 when somebody who must
answer did not. Nothing is sent before a `flatten` or `reset` is confirmed.
"""

from __future__ import annotations

import argparse
import asyncio
import getpass
import os
import secrets
import socket
import sys
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from libs.common.bus import BusUnavailable, Frame
from libs.common.clock import wall_us
from libs.common.commands import ACTOR_CHARS_MAX, VERBS
from libs.common.instant import US_PER_MS
from libs.common.messages import BadMessage, Command, CommandReply, ServiceHealth, decode, encode
from libs.common.nats_bus import NatsBus
from libs.common.runtime_file import Deployment
from libs.common.subjects import ALL_HEALTH, command
from libs.console import output
from libs.console.deployment import add_deployment
from libs.console.options import add_config, add_json
from libs.console.output import NO, OK, UNREACHABLE, USAGE, UserError
from libs.console.reach import CONNECT_SEC, add_nats, reached

GATHER_SEC: Final = 1.0
UNRECORDED: Final = "not in the audit stream yet: the store is slow or away"
BEAT_SEC: Final = 1.2
"""Who does not answer is listened for so long: every service beats each second."""

NAMED_MAX: Final = 3
OBSERVER: Final = "observer"
"""The code with which a verb of those who trade is refused where nobody trades."""

CONSEQUENCE: Final = {
    "flatten": "closes every position of {scope} at the market, and keeps it shut until a reset",
    "reset": "clears the latches of {scope}: what they kept shut may open again",
}


class Answers(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a command. `heard`: services whose beat was heard while somebody was missing."""

    replies: tuple[CommandReply, ...]
    missing: tuple[str, ...] = ()
    heard: frozenset[str] = frozenset()
    unreadable: int = 0

    @property
    def exit_code(self) -> int:
        """A refusal says more than a silence."""
        if self.unreadable or any(not one.ok for one in self.replies):
            return NO
        return UNREACHABLE if self.missing or not self.replies else OK


# --- arguments --------------------------------------------------------------------------------------


def add_common(parser: argparse.ArgumentParser) -> None:
    """Where to, why, and in which form the answers are wanted."""
    parser.add_argument("--reason", metavar="TEXT", help="why; kept in the audit and shown by `status`")
    add_nats(parser)
    add_deployment(parser)
    add_config(parser)
    add_json(parser)


def add_scope(parser: argparse.ArgumentParser) -> None:
    """`--scope S` or `--pair P`; neither is everything."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--scope",
        metavar="S",
        help="global (the default), venue:X, symbol:X-INSTRUMENT (symbol:binance-BTC-USDT-PERP) or pair:ID",
    )
    group.add_argument("--pair", metavar="ID", help="one pair, by its id or its alias (BTC-USDT_spot_perp)")


def add_yes(parser: argparse.ArgumentParser) -> None:
    """`--yes`: confirmed in advance, for scripts."""
    parser.add_argument("--yes", action="store_true", help="do not ask; needed where no terminal is there")


# --- the request ------------------------------------------------------------------------------------


def send(args: argparse.Namespace, **more: Any) -> int:
    """Send the verb that was called with its fields, print what is answered, answer the exit code."""
    output.quiet_logs()
    verb: str = args.verb
    name, known = reached(args)
    fields = {"pair": getattr(args, "pair", None), "scope": getattr(args, "scope", None), **more}
    if VERBS[verb].confirm:
        confirm(verb, _scope_of(fields), yes=args.yes)
        fields["confirm"] = True
    said = Command(
        reason=args.reason,
        actor=actor(),
        id=secrets.token_hex(8),
        ts_ms=wall_us() // US_PER_MS,
        **fields,
    )
    try:
        answers = asyncio.run(ask(known, verb, said))
    except BusUnavailable as error:
        raise UserError(f"deployment {name} does not answer: {error}", UNREACHABLE) from error
    if args.json:
        output.emit_json(report(verb, said, answers))
    else:
        for reply in answers.replies:
            output.emit_text(line(reply))
    if gap := silence(verb, name, known, answers):
        raise UserError(gap, answers.exit_code)
    return answers.exit_code


async def ask(known: Deployment, verb: str, said: Command) -> Answers:
    """Publish and gather. Raises `BusUnavailable`."""
    bus = NatsBus(known.nats_url, name=f"console-{verb}", connect_timeout_sec=CONNECT_SEC)
    await bus.connect()
    heard: set[str] = set()

    def beat(frame: Frame) -> None:
        try:
            heard.add(decode(frame.payload, ServiceHealth).service)
        except BadMessage:
            return  # whoever says that is no service that could be waited for

    try:
        await bus.subscribe(ALL_HEALTH, beat)
        frames = await bus.gather(command(verb), encode(said), timeout_sec=GATHER_SEC)
        replies, unreadable = _read(frames)
        missing = missing_of(verb, replies)
        if missing or not replies:
            await asyncio.sleep(BEAT_SEC)
    finally:
        await bus.close()
    return Answers(replies=replies, missing=missing, heard=frozenset(heard), unreadable=unreadable)


def missing_of(verb: str, replies: Iterable[CommandReply]) -> tuple[str, ...]:
    """Who must have answered and has not. What one service leaves to another has not happened by its `ok`."""
    told = tuple(replies)
    left = (one.result.get("left_to") for one in told if one.ok)
    wanted = dict.fromkeys((*VERBS[verb].answerers, *(str(one) for one in left if one)))
    return tuple(one for one in wanted if one not in {reply.service for reply in told})


def _read(frames: list[Frame]) -> tuple[tuple[CommandReply, ...], int]:
    replies, unreadable = [], 0
    for frame in frames:
        try:
            replies.append(decode(frame.payload, CommandReply))
        except BadMessage:
            unreadable += 1
    return tuple(sorted(replies, key=lambda one: one.service)), unreadable


def actor() -> str:
    """`user@host`, as good as this machine knows it; the broker decides who may, not this."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"[:ACTOR_CHARS_MAX]


def confirm(verb: str, scope: str, *, yes: bool) -> None:
    """Come back only when a person, or `--yes`, has said so. Raises `UserError`."""
    if yes:
        return
    what = CONSEQUENCE[verb].format(scope=scope)
    if not (output.is_terminal(sys.stdin) and output.is_terminal(sys.stderr)):
        text = f"fundarb {verb}: it {what}; nothing was sent: add --yes when that is meant"
        raise UserError(text, USAGE)
    sys.stderr.write(f"{verb} {what}.\nType {verb} to go on: ")
    sys.stderr.flush()
    if sys.stdin.readline().strip() != verb:
        raise UserError("nothing was sent", NO)


# --- what is said of it -----------------------------------------------------------------------------


def line(reply: CommandReply) -> str:
    """One answer in one line."""
    return _outcome(reply) + ("" if reply.recorded else f" ({UNRECORDED})")


def _outcome(reply: CommandReply) -> str:
    if not reply.ok:
        error = reply.error
        why = "without a word" if error is None else f"{error.message} ({error.code})"
        return f"{reply.service}: refused: {why}"
    return f"{reply.service}: ok{_told(reply.result)}"


def _told(result: Mapping[str, Any]) -> str:
    """`text` is a service's own sentence; without it the figures are listed."""
    if text := result.get("text"):
        return f": {text}"
    figures = [
        _pairs_told(value) if name == "pairs" and isinstance(value, dict) else f"{name} {_plain(value)}"
        for name, value in result.items()
        if value not in (None, "", [], {}) and (name, value) != ("scope", "global")
    ]
    return f": {', '.join(figures)}" if figures else ""


def _pairs_told(pairs: Mapping[str, Any]) -> str:
    """Pairs that answer alike are named together: a reset of everything asks dozens."""
    alike: dict[str, list[str]] = {}
    for pair, one in pairs.items():
        alike.setdefault(_plain(one), []).append(pair)
    return "; ".join(f"{_some(names)}: {said}" for said, names in alike.items())


def _some(names: list[str]) -> str:
    return ", ".join(names) if len(names) <= NAMED_MAX else f"{len(names)} pairs"


def _plain(value: object) -> str:
    match value:
        case list():
            return "; ".join(_plain(one) for one in value)
        case dict():
            return ", ".join(f"{name} {_plain(one)}" for name, one in value.items() if one not in (None, ""))
        case bool():
            return "yes" if value else "no"
        case _:
            return str(value)


def silence(verb: str, name: str, known: Deployment, answers: Answers) -> str:
    """Why an answer is missing and what to do about it; empty when none is."""
    if any(one.error is not None and one.error.code == OBSERVER for one in answers.replies):
        return ""  # who should have answered does not run in this mode, and that has been said
    if answers.unreadable:
        return f"{answers.unreadable} answers to {verb} cannot be read: do all parts run the same version?"
    absent = answers.missing or (() if answers.replies else ("any service",))
    return "; ".join(_absent(one, verb, name, known, answers.heard) for one in absent)


def _absent(service: str, verb: str, name: str, known: Deployment, heard: frozenset[str]) -> str:
    if service in heard:
        text = f"{service} runs and has not answered {verb} within {GATHER_SEC:g} s"
        return f"{text}; it may still happen: see `fundarb status`"
    if service in known.pids:
        pid = known.pids[service]
        text = f"{service} is not heard (process {pid}), so that {verb} is not known to have happened"
        return f"{text}; `fundarb status` and its log say why"
    if not heard:
        return f"nobody answers {verb}: no service of deployment {name} is heard on the bus"
    if service == "any service":
        return f"nobody here answers {verb}; running: {', '.join(sorted(heard))}"
    running = f"only {', '.join(sorted(heard))}"
    return f"no {service} service runs in deployment {name} ({running}): mode observer trades nothing"


def report(verb: str, said: Command, answers: Answers) -> dict[str, Any]:
    """For scripts."""
    return {
        "verb": verb,
        "id": said.id,
        "scope": _scope_of({"pair": said.pair, "scope": said.scope}),
        **({} if said.direction is None else {"direction": said.direction}),
        "ok": answers.exit_code == OK,
        "replies": [msgspec.to_builtins(one) for one in answers.replies],
        "missing": list(answers.missing),
    }


def _scope_of(fields: Mapping[str, Any]) -> str:
    pair = fields.get("pair")
    return f"pair:{pair}" if pair else fields.get("scope") or "global"
