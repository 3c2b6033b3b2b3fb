"""The scopes that breakers can have here, out of the configured pairs, and which of them concern which pair.

`global`, `venue:X`, `symbol:{venue}-{instrument}`, `pair:Z` (risk.md). Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from libs.common.config.legs import PairSpec
from libs.common.permit import scopes_of

GLOBAL: Final = "global"


def venue_scope(venue: str) -> str:
    """`venue:binance`."""
    return f"venue:{venue}"


def symbol_scope(venue: str, instrument: str) -> str:
    """`symbol:binance-BTC-USDT-PERP`."""
    return f"symbol:{venue}-{instrument}"


def pair_scope(pair: str) -> str:
    """`pair:BTC-USDT_binance-spot_binance-perp`."""
    return f"pair:{pair}"


class Scopes:
    """Everything that a breaker may be about, and nothing else. Immutable."""

    def __init__(self, specs: Iterable[PairSpec]) -> None:
        self.specs = {spec.id: spec for spec in specs}
        self.legs: dict[tuple[str, str], tuple[str, ...]] = {}
        for spec in self.specs.values():
            for leg in spec.legs:
                key = (leg.venue, leg.instrument)
                self.legs[key] = (*self.legs.get(key, ()), spec.id)
        self.venues = frozenset(venue for venue, _ in self.legs)
        self._of_pair = {
            spec.id: scopes_of(spec.id, tuple((leg.venue, leg.instrument) for leg in spec.legs))
            for spec in self.specs.values()
        }
        self._venue_of_symbol = {symbol_scope(*key): key[0] for key in self.legs}
        self.names = frozenset({GLOBAL}).union(*self._of_pair.values())

    def __contains__(self, scope: str) -> bool:
        return scope in self.names

    def of_pair(self, pair: str) -> frozenset[str]:
        """Every scope that concerns a configured pair. `KeyError` for another."""
        return self._of_pair[pair]

    def pairs_in(self, scope: str) -> tuple[str, ...]:
        """The configured pairs that a scope concerns."""
        return tuple(pair for pair, names in self._of_pair.items() if scope in names)

    def venue_of(self, scope: str) -> str | None:
        """The venue of a `symbol:` scope, None of any other."""
        return self._venue_of_symbol.get(scope)
