"""The bus as services see it: `Bus`, and the rules that every implementation shares.

`NatsBus` (`nats_bus.py`) speaks to a server, `MemoryBus` (`memory_bus.py`) behaves the same inside one
process. Payloads are bytes on purpose, also in memory: what does not survive encoding must fail in a
unit test.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, Protocol

import msgspec

INBOX: Final = "_INBOX"
"""Reply subjects start with it: a handler answers nowhere else (see `reply_of`)."""

PAYLOAD_BYTES_MAX: Final = 64 * 1024
"""Same limit as the server's `max_payload`, which closes the connection of a client that exceeds it."""

# Printable ASCII but for the two wildcards, the dot and white space.
_WORD: Final = r"[!-)+\-/-=?-~]+"
_SUBJECT: Final = re.compile(rf"\A{_WORD}(?:\.{_WORD})*\Z")
_PATTERN: Final = re.compile(rf"\A(?:(?:{_WORD}|\*)\.)*(?:{_WORD}|\*|>)\Z")


class Frame(msgspec.Struct, frozen=True, kw_only=True):
    """One message off the bus: `reply` is empty when nobody waits, `recv_us` is wall time of arrival."""

    subject: str
    payload: bytes
    reply: str = ""
    recv_us: int


Handler = Callable[[Frame], None]
"""Called inline for each frame: must return quickly, never block, never raise."""


class BusUnavailable(Exception):
    """Not connected, or the server did not answer in time."""


def check_subject(subject: str) -> None:
    """`ValueError` unless one can publish on `subject`; a line break in it would inject commands."""
    if not _SUBJECT.match(subject):
        raise ValueError(
            f"{subject!r} is no subject to publish on (no wildcards, no spaces, no empty tokens)"
        )


def check_pattern(pattern: str) -> None:
    """`ValueError` unless one can subscribe to `pattern`."""
    if not _PATTERN.match(pattern):
        raise ValueError(f"{pattern!r} is no subscription (`*` for one token, `>` for the rest, at the end)")


def matches(pattern: str, subject: str) -> bool:
    """Whether a subscription to `pattern` gets what is published on `subject`.

    >>> matches("md.*.binance.>", "md.quote.binance.BTC-USDT"), matches("md.>", "md")
    (True, False)
    """
    wanted = pattern.split(".")
    tokens = subject.split(".")
    if wanted[-1] == ">":
        wanted.pop()
        if len(tokens) <= len(wanted):
            return False
    elif len(wanted) != len(tokens):
        return False
    return all(want in ("*", token) for want, token in zip(wanted, tokens, strict=False))


def reply_of(subject: str) -> str:
    """The reply subject of a frame, empty unless it is an inbox.

    Whoever may send a command could else name `risk.permit` as his reply subject, and make a service
    with the right to publish there say things in his place.
    """
    return subject if subject.startswith(INBOX) and _SUBJECT.match(subject) else ""


class Subscription(Protocol):
    """What `subscribe` answers; `close` ends it."""

    async def close(self) -> None: ...


class Bus(Protocol):
    """Core publish/subscribe with request-reply. At most once: what must not be lost goes through the store.

    `publish` is synchronous and never buffers while disconnected: it answers False, and the caller
    publishes its state again on its next beat. A buffered order would arrive as a stale order. False is
    also the answer to a payload above `PAYLOAD_BYTES_MAX` and to more than the connection can take; a
    malformed subject is a `ValueError`. A handler that raises is counted and logged, never fatal.
    """

    @property
    def connected(self) -> bool: ...

    async def connect(self) -> None:
        """Raise `BusUnavailable` with the address (never the password) when the server cannot be reached; it
        may be asked again then.
        """
        ...

    def publish(self, subject: str, payload: bytes, *, reply: str = "") -> bool: ...

    async def subscribe(self, pattern: str, handler: Handler) -> Subscription:
        """Active at the server when this returns. NATS wildcards: `*` one token, `>` the rest."""
        ...

    async def request(self, subject: str, payload: bytes, *, timeout_sec: float) -> Frame:
        """First reply; `BusUnavailable` in time, at once when nobody subscribes to `subject`."""
        ...

    async def gather(self, subject: str, payload: bytes, *, timeout_sec: float) -> list[Frame]:
        """All replies that arrive within the time; at once empty when nobody subscribes to `subject`."""
        ...

    async def flush(self) -> None:
        """Wait until the server has seen all that was published and subscribed before."""
        ...

    async def close(self) -> None:
        """Drain, then leave. Closing twice is fine."""
        ...
