"""The bus as services see it: `Bus`, and `MemoryBus` that behaves the same inside one process.

Payloads are bytes on purpose, also in memory: what does not survive encoding must fail in a unit test.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec


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


class Subscription(Protocol):
    """What `subscribe` answers; `close` ends it."""

    async def close(self) -> None: ...


class Bus(Protocol):
    """Core publish/subscribe with request-reply. At most once: what must not be lost goes through the store.

    `publish` is synchronous and never buffers while disconnected: it answers False, and the caller
    publishes its state again on its next beat. A buffered order would arrive as a stale order.
    """

    @property
    def connected(self) -> bool: ...

    async def connect(self) -> None:
        """Raise `BusUnavailable` with the address (never the password) when the server cannot be reached."""
        ...

    def publish(self, subject: str, payload: bytes, *, reply: str = "") -> bool: ...

    async def subscribe(self, pattern: str, handler: Handler) -> Subscription:
        """Active at the server when this returns. NATS wildcards: `*` one token, `>` the rest."""
        ...

    async def request(self, subject: str, payload: bytes, *, timeout_sec: float) -> Frame:
        """First reply, or `BusUnavailable`."""
        ...

    async def gather(self, subject: str, payload: bytes, *, timeout_sec: float) -> list[Frame]:
        """All replies that arrive within the time."""
        ...

    async def flush(self) -> None:
        """Wait until the server has seen all that was published and subscribed before."""
        ...

    async def close(self) -> None:
        """Drain, then leave. Closing twice is fine."""
        ...
