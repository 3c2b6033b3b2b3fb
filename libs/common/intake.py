"""From frames off the bus to events: decoding, and what becomes of frames that cannot be read."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from libs.common.answering import Answers
from libs.common.bus import Bus, Frame
from libs.common.clock import mono_us
from libs.common.command_body import BadBody, check_body
from libs.common.effects import Audit, Event, Received
from libs.common.instant import US_PER_SEC
from libs.common.log import RateLimit, fields
from libs.common.messages import (
    AlertRaised,
    BadMessage,
    Command,
    CommandError,
    CommandReply,
    Evaluation,
    Message,
    Opportunity,
    Quote,
    ServiceHealth,
    decode,
    encode,
    type_of,
)
from libs.common.redact import REDACTOR
from libs.common.store_log import StoreLog
from libs.common.subjects import CMD

log = logging.getLogger(__name__)

COMMAND_BYTES_MAX: Final = 16 * 1024
SUBJECTS_MAX: Final = 20_000
_QUOTED_CHARS: Final = 300

# Where a message says when it was made (wall us): what the age on arrival is measured from.
_STAMPS: Final[dict[type[Message], str]] = {
    Quote: "recv_us",
    Opportunity: "eval_us",
    Evaluation: "eval_us",
    ServiceHealth: "wall_us",
    AlertRaised: "wall_us",
}


class Intake:
    """`take` is a bus handler: quick, and it never raises."""

    def __init__(
        self,
        *,
        service: str,
        bus: Bus,
        offer: Callable[[Event], None],
        entries: StoreLog,
    ) -> None:
        self._service = service
        self._bus = bus
        self._offer = offer
        self._answers = Answers(service, lambda: entries, self._send)
        self._types: dict[str, type[Message] | None] = {}
        self._limit = RateLimit(every_us=10 * US_PER_SEC)
        self.bad = 0
        self.lag_us_max = 0

    def take(self, frame: Frame) -> None:
        """Offer the frame's message; count, log and (for a command) refuse what cannot be read."""
        payload = frame.payload
        if frame.subject.startswith(f"{CMD}."):
            if len(payload) > COMMAND_BYTES_MAX:
                self._refuse(frame, "too_large", f"a command has at most {COMMAND_BYTES_MAX} bytes")
                return
            payload = payload.strip() or b"{}"
        kind = self._kind(frame.subject)
        if kind is None:
            self._refuse(frame, "unknown", f"nothing is known about the subject {frame.subject}")
            return
        try:
            message = decode(payload, kind)
            if isinstance(message, Command):
                check_body(payload, frame.subject.rpartition(".")[2])
        except (BadMessage, BadBody, RecursionError) as error:
            self._refuse(frame, "bad_request", str(error))
            return
        stamp = _STAMPS.get(kind)
        if stamp is not None:
            self.lag_us_max = max(self.lag_us_max, frame.recv_us - getattr(message, stamp))
        self._offer(Received(subject=frame.subject, message=message, reply=frame.reply))

    def _kind(self, subject: str) -> type[Message] | None:
        if subject not in self._types:
            if len(self._types) >= SUBJECTS_MAX:  # somebody invents subjects
                self._types.clear()
            self._types[subject] = type_of(subject)
        return self._types[subject]

    def _refuse(self, frame: Frame, code: str, text: str) -> None:
        self.bad += 1
        text = REDACTOR.text(text)
        family = frame.subject.split(".", 2)[:2]
        if (silenced := self._limit.allow(".".join(family), mono_us())) is not None:
            shown = REDACTOR.text(frame.payload[:_QUOTED_CHARS].decode(errors="replace"))
            named = fields(subject=frame.subject, payload=shown, silenced=silenced)
            log.warning("not understood: %s", text, extra=named)
        if not frame.subject.startswith(f"{CMD}."):
            return
        body = frame.payload[:COMMAND_BYTES_MAX].decode(errors="replace")
        refused = Audit(subject=frame.subject, body=body, decision="refused", reason=f"{code}: {text}")
        self._answers.record(refused, wall_us=frame.recv_us)
        error = CommandError(code=code, message=text)
        self._answers.give(frame.reply, CommandReply(service=self._service, ok=False, error=error))

    def _send(self, to: str, reply: CommandReply) -> None:
        self._bus.publish(to, encode(reply))
