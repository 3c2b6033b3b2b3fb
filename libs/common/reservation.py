"""A share of something limited, taken in the same atomic step as what needs it: `Reservation`. Pure.

One hash has a field for each holder, in words that `redis-cli HGETALL` shows: `pairs=1 usd_cents=500000`.
Amounts are whole numbers, so that Lua's doubles (exact up to 2**53) and Python add up alike.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import msgspec

AMOUNT_MAX: Final = 2**53 - 1
_AMOUNT: Final = re.compile(r"([^ =]+)=([0-9]+)")
_NAME: Final = re.compile(r"\A[^ =]+\Z")


class Reservation(msgspec.Struct, frozen=True, kw_only=True):
    """`field` of the hash `key` takes `amounts` (counter -> whole number) in place of what it had.

    It is refused when a counter's sum over all fields would be above its entry in `limits`; counters without
    one are only kept. Sums that are above their limit already stand in nobody's way who does not add to them.
    """

    key: str
    field: str
    amounts: dict[str, int]
    limits: dict[str, int] = {}

    @property
    def value(self) -> bytes:
        """What the field will hold."""
        return value_of(self.amounts)


def value_of(amounts: Mapping[str, int]) -> bytes:
    """Amounts as a field holds them; `ValueError` for what a script could not count exactly."""
    for name, amount in amounts.items():
        if not _NAME.match(name) or not 0 <= amount <= AMOUNT_MAX:
            raise ValueError(f"{name!r}={amount} cannot be reserved")
    if not amounts:
        raise ValueError("a reservation of nothing is none: delete the field")
    return " ".join(f"{name}={amount}" for name, amount in sorted(amounts.items())).encode()


def over(wish: Reservation, held: Mapping[str, bytes]) -> str:
    """Why the hash with these fields has no room for a wish, in the script's words; empty when it has."""
    sums: dict[str, int] = {}
    for field, value in held.items():
        if field == wish.field:
            continue
        for name, amount in _AMOUNT.findall(value.decode()):
            sums[name] = sums.get(name, 0) + int(amount)
    for name, amount in sorted(wish.amounts.items()):
        limit, total = wish.limits.get(name), sums.get(name, 0) + amount
        if limit is not None and total > limit:
            return f"no room: {name} would be {total} of {limit}"
    return ""
