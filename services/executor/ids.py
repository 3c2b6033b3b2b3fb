"""Client order ids: each is sent at most once, ever, and ours are known even after a lost store."""

from __future__ import annotations

import functools
import hashlib
from typing import Final

LENGTH: Final = 26
"""The most that every supported venue takes; only `[a-z0-9]`."""

_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_PAIRS: Final = tuple(low + high for high in _DIGITS for low in _DIGITS)
"""Two digits at a time, the lower one first."""

_MARK_HEX: Final = 4


@functools.lru_cache(maxsize=64)
def mark_of(deployment: str) -> str:
    """`fa` and 4 hex digits of the deployment: what our ids begin with."""
    return "fa" + hashlib.sha256(deployment.encode()).hexdigest()[:_MARK_HEX]


def order_id(*, store_id: str, deployment: str, pair: str, leg: int, purpose: str, n: int) -> str:
    """The id of order number `n` of a pair.

    `store_id` is new with every store, so that a counter that restarts with a lost store makes other ids.
    """
    text = f"{store_id}.{deployment}.{pair}.{leg}.{purpose}.{n}"
    mark = mark_of(deployment)
    places = LENGTH - len(mark)
    number = int.from_bytes(hashlib.sha256(text.encode()).digest(), "big") % len(_DIGITS) ** places
    tail = []
    for _ in range(places // 2):
        number, digits = divmod(number, len(_PAIRS))
        tail.append(_PAIRS[digits])
    if places % 2:
        tail.append(_DIGITS[number])
    return mark + "".join(tail)


def is_ours(client_id: str, deployment: str) -> bool:
    """Whether an order on a venue carries this deployment's mark."""
    return client_id.startswith(mark_of(deployment))
