"""What the requests of a call met on the wire: how long each took, and the worst status. What they waited
before, for our own limiter, is no fault of the venue's.

    with measured() as requests:
        await port.balances()
    max(requests.times_us, default=None)     # of the slowest request; empty where the port does not tell
    requests.broke                           # a server error, whatever its body said
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Final

SERVER_ERROR: Final = 500


class Requests:
    """Of one call, and of what it started. `times_us`: one of each request; `status`: the highest one."""

    def __init__(self) -> None:
        self.times_us: list[int] = []
        self.status = 0

    @property
    def broke(self) -> bool:
        """Whether the venue answered with a server error (HTTP 5xx). Its body may have a code that reads
        like a reasoned refusal (Binance -1001, Bitget 40725).
        """
        return self.status >= SERVER_ERROR


_REQUESTS: Final[ContextVar[Requests | None]] = ContextVar("requests", default=None)


@contextlib.contextmanager
def measured() -> Iterator[Requests]:
    """Collect what the requests of this task meet, and those of tasks that it starts meanwhile."""
    requests = Requests()
    token = _REQUESTS.set(requests)
    try:
        yield requests
    finally:
        _REQUESTS.reset(token)


def note(took_us: int) -> None:
    """One request has ended, in whatever way."""
    requests = _REQUESTS.get()
    if requests is not None:
        requests.times_us.append(took_us)


def answered(status: int) -> None:
    """One request was answered with this HTTP status."""
    requests = _REQUESTS.get()
    if requests is not None:
        requests.status = max(requests.status, status)
