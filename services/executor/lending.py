"""What a process remembers of loans: the last look at a debt, a doubt, and who moves which loan now."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from libs.common.instant import US_PER_SEC
from services.executor.resolve import Doubt

CLAIM_US: Final = 10 * US_PER_SEC
"""A claim that nobody renews ends by itself: its pair was halted, or has lost its lease."""

REFUSED: Final = frozenset({"refused", "not_supported"})
"""Classes of a venue's error that say that a loan was not carried out (`port.VenueError`)."""

Asset = tuple[str, str]
"""(venue, coin)."""


class Debt(msgspec.Struct, frozen=True, kw_only=True):
    """What an account owes of an asset, and all coins of it that it has. `asked_us`: when the look began."""

    borrowed: Decimal
    interest: Decimal
    total: Decimal
    asked_us: int

    @property
    def owed(self) -> Decimal:
        """Principal and interest."""
        return self.borrowed + self.interest


class Memory(msgspec.Struct, kw_only=True):
    """A lane's loans as this process sees them; all of it can be lost. Times are monotonic.

    `seen`: the last look; `calm`: the last one that was taken over, since nothing was under way.
    `settled_us`: when the last loan's fate was known. `recalled_us`: since when the venue has shown less debt
    than is ours, `recalled`: by how much, `searched`: whether its trades have been read since; `bought`: what
    those have explained since the last calm look; `blind`: the last calm look did not tell which coins are no
    pair's, so that `Leg.others` is older. `persons`: what somebody has repaid by hand of a stuck pair's,
    `persons_told`: the most of it that was told.
    `told`: of a debt that is no pair's.
    """

    seen: Debt | None = None
    calm: Debt | None = None
    asked_us: int | None = None
    settled_us: int = 0
    doubt: Doubt | None = None
    recalled_us: int | None = None
    recalled: Decimal = Decimal(0)
    searched: bool = False
    bought: Decimal = Decimal(0)
    blind: bool = False
    persons: Decimal = Decimal(0)
    persons_told: Decimal = Decimal(0)
    told: bool = False


class _Claim(msgspec.Struct, kw_only=True):
    pair: str
    since_us: int
    until_us: int


class Claims:
    """One loan of an asset at a time: what balances show before and after it is nobody else's doing."""

    def __init__(self) -> None:
        self._held: dict[Asset, _Claim] = {}

    def take(self, asset: Asset, pair: str, now_us: int, *, for_us: int = CLAIM_US) -> bool:
        """Claim an asset, or keep the claim; False while another pair has it."""
        held = self._held.get(asset)
        if held is not None and held.pair != pair and now_us < held.until_us:
            return False
        since_us = held.since_us if held is not None and held.pair == pair else now_us
        until_us = now_us + for_us
        if held is not None and held.pair == pair:
            until_us = max(until_us, held.until_us)
        self._held[asset] = _Claim(pair=pair, since_us=since_us, until_us=until_us)
        return True

    def free(self, asset: Asset, pair: str, now_us: int) -> None:
        """Let others move it; looks that began before now do not show what has been moved."""
        held = self._held.get(asset)
        if held is not None and held.pair == pair:
            self._held[asset] = _Claim(pair="", since_us=now_us, until_us=now_us)

    def since_us(self, asset: Asset) -> int:
        """Looks that began before then may not show what was moved last."""
        held = self._held.get(asset)
        return 0 if held is None else held.since_us

    def is_others(self, asset: Asset, pair: str, now_us: int) -> bool:
        """Whether another pair is moving it now."""
        held = self._held.get(asset)
        return held is not None and held.pair not in ("", pair) and now_us < held.until_us
