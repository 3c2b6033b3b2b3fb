"""Events that come to an actor and effects that it answers with: plain values, no I/O.

    class Actor(Protocol):
        def handle(self, event: Event, now: Now) -> Iterable[Effect]: ...

The shell (`libs.common.actor`) takes one event from a bounded inbox, calls `handle` and carries out the
effects in order. Only `Persist` is a barrier. A `Request` is *started*, not awaited; its outcome comes
back as `Answered`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import msgspec

from libs.common.config.schema import Config
from libs.common.instant import Now
from libs.common.messages import AlertLevel, CommandReply, Message
from libs.common.store import Transition


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """What an actor handles. Subclass it for observations of a service's own shell."""


class Started(Event, frozen=True, kw_only=True):
    """First event of a life; timers and requests start from here."""


class Received(Event, frozen=True, kw_only=True):
    """A decoded bus message. `reply` is the subject to answer on, empty when nobody waits."""

    subject: str
    message: Message
    reply: str = ""


class TimerFired(Event, frozen=True, kw_only=True):
    """A timer set with `SetTimer`."""

    name: str


class Answered(Event, frozen=True, kw_only=True):
    """What became of a `Request`: `result`, or `error` in one line with the exception's class name."""

    request: Request
    result: Any = None
    error: str | None = None
    error_class: str | None = None


class Persisted(Event, frozen=True, kw_only=True):
    """Outcome of a `Persist` that asked for one (`tell`), or that failed.

    `conflict`: another version or fence was there and nothing was written; without it a failed write may or
    may not have happened. `repeated`: the change's `once` had happened before, so nothing was written.
    """

    token: str
    ok: bool
    error: str | None = None
    conflict: bool = False
    repeated: bool = False


class Draining(Event, frozen=True, kw_only=True):
    """SIGTERM: last words; the inbox takes no more from the bus."""


class Reloaded(Event, frozen=True, kw_only=True):
    """The config has changed while running; only settings that `config.reload` lets change differ."""

    config: Config


class Effect(msgspec.Struct, frozen=True, kw_only=True):
    """What an actor wants done."""


class Publish(Effect, frozen=True, kw_only=True):
    """Say `message` on `subject`."""

    subject: str
    message: Message


class Reply(Effect, frozen=True, kw_only=True):
    """Answer a command."""

    to: str
    reply: CommandReply


class Persist(Effect, frozen=True, kw_only=True):
    """A barrier: durable in the store before the next effect starts.

    `writes` maps key suffixes (without prefix) to JSON bytes; None deletes. `change` is a whole atomic
    transition in their place (versions, fence, hashes, streams). When the store fails the following
    effects of the same turn are dropped, and `Persisted(ok=False)` tells the actor.
    """

    token: str
    writes: dict[str, bytes | None] = {}
    change: Transition | None = None
    tell: bool = False


class SetTimer(Effect, frozen=True, kw_only=True):
    """`TimerFired(name)` after `after_us` of monotonic time; setting a name again replaces it."""

    name: str
    after_us: int


class CancelTimer(Effect, frozen=True, kw_only=True):
    """Forget a timer; unknown names are fine."""

    name: str


class Alert(Effect, frozen=True, kw_only=True):
    """Tell a person: published on `alert.{level}` and kept in the store's `alerts` stream."""

    level: AlertLevel
    key: str
    text: str
    context: dict[str, str] = {}


class Audit(Effect, frozen=True, kw_only=True):
    """A line of the store's `audit` stream: who asked for what, what was decided, and why.

    `body` is the command as it came (secrets are redacted by the shell), `decision` `done` or `refused`.
    """

    subject: str
    body: str
    decision: str
    reason: str
    actor: str = ""


class Measure(Effect, frozen=True, kw_only=True):
    """A metric's new value: gauges are set, counters increased by, histograms observed."""

    metric: str
    value: float
    labels: dict[str, str] = {}


class Forget(Effect, frozen=True, kw_only=True):
    """Drop a metric's series, so that what is gone is not shown as if it stood."""

    metric: str
    labels: dict[str, str] = {}


class Health(Effect, frozen=True, kw_only=True):
    """Problems in words, by key; an empty text clears the key. Any problem makes the service unwell."""

    key: str
    problem: str


class Note(Effect, frozen=True, kw_only=True):
    """A structured log line."""

    text: str
    level: AlertLevel = AlertLevel.INFO
    fields: dict[str, Any] = {}


class Request(Effect, frozen=True, kw_only=True):
    """Network or file work, started in order and answered as `Answered`. Subclass it per kind of work.

    The service's `main.py` registers one async handler for each subclass.
    """


class Actor(Protocol):
    """A pure state machine: same events in, same effects out."""

    def handle(self, event: Event, now: Now) -> Iterable[Effect]: ...


def lane_of(_event: Event) -> str:
    """Default lane: one for all. An executor names the pair, so that no pair waits for another."""
    return ""
