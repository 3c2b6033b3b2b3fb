"""What an account shows beyond what the books explain, look by look: money that came or went from outside.

    usd = sum over dollar coins: shown - opening - what the lines say        0, or its record is not read yet

A withdrawal is in the balance at once and in the records of its venue some time later. Until then risk must
not take it for a loss, and the records are asked for at once. One look alone proves nothing: the ledger may
be read back a second after a trade has moved the balance. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from libs.carry.identity import USD_COINS
from libs.carry.pnl import ZERO
from libs.common.instant import US_PER_SEC

LEAST_USD: Final = Decimal(1)
"""What is below is rounding, or a fee that is booked with its trade."""
EVERY_US: Final = 10 * US_PER_SEC
TRIES: Final = 4
"""A venue's records cost more of its budget than a look; what they do not tell by then waits for its turn."""


def in_dollars(found: Mapping[str, Decimal] | None) -> Decimal | None:
    """Of what one look leaves (asset -> units); None while there is nothing to compare it with."""
    if found is None:
        return None
    return sum((amount for asset, amount in found.items() if asset in USD_COINS), ZERO)


class Unexplained:
    """Folds the looks at one venue. `usd`: what two looks in a row agree on, None before the first."""

    def __init__(self) -> None:
        self.usd: Decimal | None = None
        self._last = ZERO
        self._asked_usd = ZERO
        self._asked_us = -EVERY_US
        self._tries = 0

    def look(self, usd: Decimal | None) -> None:
        """One more; None (not comparable, something is under way) changes nothing."""
        if usd is None:
            return
        least = min(abs(usd), abs(self._last))
        same = usd * self._last > 0 and least >= LEAST_USD
        self.usd = least.copy_sign(usd) if same else ZERO
        self._last = usd

    def wants_records(self, now_us: int) -> bool:
        """Whether the venue's records should be read now, counted as done; `now_us` is monotonic."""
        if not self.usd:
            self._asked_usd, self._tries = ZERO, 0
            return False
        if abs(self.usd - self._asked_usd) >= LEAST_USD:
            self._asked_usd, self._tries = self.usd, 0
        if self._tries >= TRIES or now_us - self._asked_us < EVERY_US:
            return False
        self._tries, self._asked_us = self._tries + 1, now_us
        return True
