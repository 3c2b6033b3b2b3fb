"""When to take, renew and give up the leases of pairs. Pure: the shell (or the simulation) asks the store.

Pairs that share an instrument have one lease together, named after the first of them: only who holds all of
them can tell whether the venue's position is what their fills add up to.

Renewed at a third of the time to live, given up at two thirds by the local clock (`Lease.until_mono_us`):
whoever cannot renew has stopped sending before another may begin.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal

import msgspec

from libs.common.instant import US_PER_MS, US_PER_SEC
from libs.common.store import Lease
from services.executor.world import Key

TTL_MS: Final = 6_000
RENEW_US: Final = TTL_MS * US_PER_MS // 3
RETRY_US: Final = US_PER_SEC // 2


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """Something to be asked of the store now, or (`lost`) to be told to the pairs of a group."""

    group: str
    what: Literal["acquire", "renew", "lost"]
    lease: Lease | None = None


def groups_of(keys: Mapping[str, Iterable[Key]]) -> dict[str, str]:
    """Pair -> group, named after its first pair: pairs connected by common (venue, instrument) legs."""
    group = {pair: pair for pair in keys}
    first: dict[Key, str] = {}
    for pair, legs in keys.items():
        for key in legs:
            mine, theirs = group[pair], group[first.setdefault(key, pair)]
            low = min(mine, theirs, key=list(keys).index)
            for name, current in group.items():
                if current in (mine, theirs):
                    group[name] = low
    return group


class Leases:
    """The leases of one executor. `keys`: pair -> its (venue, instrument) legs."""

    def __init__(self, keys: Mapping[str, Iterable[Key]]) -> None:
        self._group = groups_of(keys)
        self._next_us = dict.fromkeys(self._group.values(), 0)
        self._held: dict[str, Lease] = {}

    def pairs(self, group: str) -> list[str]:
        """The pairs of a group."""
        return [pair for pair, name in self._group.items() if name == group]

    def held(self, pair: str, now_us: int) -> Lease | None:
        """The lease of a pair while it may be used."""
        lease = self._held.get(self._group[pair])
        return lease if lease is not None and now_us < lease.until_mono_us else None

    def due(self, now_us: int) -> list[Due]:
        """What is to be done now, in the order of the pairs."""
        out: list[Due] = []
        for group, at_us in self._next_us.items():
            lease = self._held.get(group)
            if lease is not None and now_us >= lease.until_mono_us:
                out.append(Due(group=group, what="lost", lease=self._held.pop(group)))
                out.append(Due(group=group, what="acquire"))
            elif now_us >= at_us:
                out.append(Due(group=group, what="acquire" if lease is None else "renew", lease=lease))
            else:
                continue
            self._next_us[group] = now_us + RETRY_US
        return out

    def took(self, group: str, lease: Lease, now_us: int) -> None:
        """The store has given or prolonged it."""
        self._held[group] = lease
        self._next_us[group] = now_us + RENEW_US

    def lost(self, group: str, now_us: int) -> bool:
        """Another executor has it; whether it was held here."""
        self._next_us[group] = now_us + RETRY_US
        return self._held.pop(group, None) is not None

    def all_held(self) -> list[Lease]:
        """To be given back at an orderly end."""
        return list(self._held.values())
