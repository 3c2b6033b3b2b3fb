"""A command is answered when its audit line is in the store, or says that it is not.

    answers.begin()                        # a turn begins: its lines are those of its own commands
    answers.record(audit, wall_us=...)     # queued for the store
    answers.give(to, reply)                # when that line is there, at most `RECORD_SEC` later

What was answered is then in the audit stream, whatever ends the process afterwards. Only the answer waits:
what the command does is done meanwhile, with or without the store. Risk writes its lines together with its
latches (`services/risk/keeper.py`), and gives answers alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

import msgspec

from libs.common.codec import encode
from libs.common.effects import Audit
from libs.common.messages_cmd import CommandReply
from libs.common.notices import AUDIT, audit_entry
from libs.common.store_log import StoreLog

RECORD_SEC: Final = 0.6
"""Whoever asks gathers answers for a second."""

STORE: Final = "store"
"""Code of answers that say themselves that the store is away: they do not wait for it."""

Send = Callable[[str, CommandReply], object]


class _Line:
    """One audit line on its way, and the answer that waits for it."""

    def __init__(self) -> None:
        self.kept: bool | None = None  # not known yet
        self._waiting: tuple[Send, str, CommandReply] | None = None
        self._late: asyncio.TimerHandle | None = None

    def settled(self, kept: bool) -> None:  # noqa: FBT001 - a `store_log.Then`
        self.kept = kept
        self._say(kept=kept)

    def wait(self, send: Send, to: str, reply: CommandReply) -> None:
        self._waiting = (send, to, reply)
        self._late = asyncio.get_running_loop().call_later(RECORD_SEC, lambda: self._say(kept=False))

    def _say(self, *, kept: bool) -> None:
        waiting, self._waiting = self._waiting, None
        if self._late is not None:
            self._late.cancel()
        if waiting is not None:
            send, to, reply = waiting
            send(to, msgspec.structs.replace(reply, recorded=kept))


class Answers:
    """What one service answers, in the order in which its lines become durable. `entries` carries them."""

    def __init__(self, service: str, entries: Callable[[], StoreLog], send: Send) -> None:
        self._service = service
        self._entries = entries
        self._send = send
        self._line: _Line | None = None

    def begin(self) -> None:
        """What is answered from here on has no line yet."""
        self._line = None

    def record(self, audit: Audit, *, wall_us: int) -> None:
        """Queue a line; the next answer is its."""
        self._line = line = _Line()
        entry = audit_entry(audit, service=self._service, wall_us=wall_us)
        self._entries().add(AUDIT, entry, line.settled)

    def give(self, to: str, reply: CommandReply) -> None:
        """Answer, after the line of the command if it has one. `to` "": a plain publish wants no answer."""
        line, self._line = self._line, None
        if not to:
            return
        if line is None or line.kept is not None:
            kept = line is None or bool(line.kept)
            self._send(to, msgspec.structs.replace(reply, recorded=kept))
        elif self._entries().failing or (reply.error is not None and reply.error.code == STORE):
            self._send(to, msgspec.structs.replace(reply, recorded=False))
        else:
            encode(reply)  # one that cannot be sent is a fault of its turn, not of the store's writer
            line.wait(self._send, to, reply)
