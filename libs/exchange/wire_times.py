"""How long the requests of a call took on the wire. What they waited before, for our own limiter, is no fault
of the venue's.

    with measured() as times_us:
        await port.balances()
    max(times_us, default=None)     # of the slowest request; empty where the port does not tell
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Final

_TIMES: Final[ContextVar[list[int] | None]] = ContextVar("request times", default=None)


@contextlib.contextmanager
def measured() -> Iterator[list[int]]:
    """Collect the times (us) of the requests of this task, and of tasks that it starts meanwhile."""
    times_us: list[int] = []
    token = _TIMES.set(times_us)
    try:
        yield times_us
    finally:
        _TIMES.reset(token)


def note(took_us: int) -> None:
    """One request has ended, in whatever way."""
    times_us = _TIMES.get()
    if times_us is not None:
        times_us.append(took_us)
