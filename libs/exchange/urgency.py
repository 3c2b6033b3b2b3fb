"""Which reads may draw on the reserve of a venue's request budget: those that an order's fate hangs on.

    with reading(urgent=True):
        await port.positions()

Bound to the task and to what it starts meanwhile, since one read of a port is many requests. Resolving an
unknown order, coming back after a restart, looking before a forced close and finding the trades of an own
order are as urgent as the order that they come before; looks by the clock, fees, records and rights are not.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Final

_URGENT: Final[ContextVar[bool]] = ContextVar("urgent", default=False)


@contextlib.contextmanager
def reading(*, urgent: bool) -> Iterator[None]:
    """Reads in here are urgent, or are not, whatever they are around it."""
    token = _URGENT.set(urgent)
    try:
        yield
    finally:
        _URGENT.reset(token)


def is_urgent() -> bool:
    """Whether what is read now may draw on the reserve."""
    return _URGENT.get()
