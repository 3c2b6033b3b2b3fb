"""When to take, renew and give up the leases of pairs. Pure: the shell (or the simulation) asks the store.

Renewed at a third of the time to live, given up at two thirds by the local clock (`Lease.until_mono_us`):
whoever cannot renew has stopped sending before another may begin.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Literal

import msgspec

from libs.common.instant import US_PER_MS, US_PER_SEC
from libs.common.store import Lease

TTL_MS: Final = 6_000
RENEW_US: Final = TTL_MS * US_PER_MS // 3
RETRY_US: Final = US_PER_SEC // 2


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """Something to be asked of the store now, or (`lost`) to be told to the pair."""

    pair: str
    what: Literal["acquire", "renew", "lost"]
    lease: Lease | None = None


class Leases:
    """The leases of one executor's pairs."""

    def __init__(self, pairs: Iterable[str]) -> None:
        self._next_us = dict.fromkeys(pairs, 0)
        self._held: dict[str, Lease] = {}

    def held(self, pair: str, now_us: int) -> Lease | None:
        """The lease of a pair while it may be used."""
        lease = self._held.get(pair)
        return lease if lease is not None and now_us < lease.until_mono_us else None

    def due(self, now_us: int) -> list[Due]:
        """What is to be done now, in the order of pairs."""
        out: list[Due] = []
        for pair, at_us in self._next_us.items():
            lease = self._held.get(pair)
            if lease is not None and now_us >= lease.until_mono_us:
                out.append(Due(pair=pair, what="lost", lease=self._held.pop(pair)))
                self._next_us[pair] = now_us
                out.append(Due(pair=pair, what="acquire"))
            elif now_us >= at_us:
                out.append(Due(pair=pair, what="acquire" if lease is None else "renew", lease=lease))
            else:
                continue
            self._next_us[pair] = now_us + RETRY_US
        return out

    def took(self, pair: str, lease: Lease, now_us: int) -> None:
        """The store has given or prolonged it."""
        self._held[pair] = lease
        self._next_us[pair] = now_us + RENEW_US

    def lost(self, pair: str, now_us: int) -> bool:
        """Another executor has it; whether it was held here."""
        self._next_us[pair] = now_us + RETRY_US
        return self._held.pop(pair, None) is not None

    def all_held(self) -> list[Lease]:
        """To be given back at an orderly end."""
        return list(self._held.values())
