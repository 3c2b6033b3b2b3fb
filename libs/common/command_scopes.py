"""What a command is about: `global`, a venue, a symbol or a pair, checked against the config. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Final

import msgspec

from libs.common.config.legs import PairSpec
from libs.common.subjects import leg_name, pair_stem

Legs = tuple[tuple[str, str], ...]
GLOBAL: Final = "global"
NAMES_MAX: Final = 8
_SHOWN_CHARS_MAX: Final = 60


def legs_of(specs: Iterable[PairSpec]) -> dict[str, Legs]:
    """The pairs of a config, as `Scopes` and `CommandDesk` want them."""
    return {spec.id: tuple((leg.venue, leg.instrument) for leg in spec.legs) for spec in specs}


class BadScope(Exception):
    """A scope that is not there, or not to be understood; the text names those that are."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """`name` as risk publishes it, the pairs that it covers in the config's order, `pair` if it names one."""

    name: str
    pairs: tuple[str, ...]
    pair: str | None = None


class Scopes:
    """The scopes of one config. `pairs`: id -> its (venue, instrument) legs."""

    def __init__(self, pairs: Mapping[str, Legs]) -> None:
        self._pairs = dict(pairs)
        self._aliases = _aliases(pairs)
        venues: dict[str, list[str]] = {}
        symbols: dict[str, list[str]] = {}
        for pair, legs in pairs.items():
            for venue in dict.fromkeys(venue for venue, _ in legs):
                venues.setdefault(venue, []).append(pair)
            for venue, instrument in legs:
                symbols.setdefault(f"{venue}-{instrument}", []).append(pair)
        self._covers = {"venue": venues, "symbol": symbols}

    def of(self, *, pair: str | None, scope: str | None, also: Collection[str] = ()) -> Scope:
        """What `pair` and `scope` of a command mean together; neither is `global`. Raises `BadScope`.

        `also`: names that are no longer in the config and may be meant nevertheless; they cover no pair.
        """
        if (left := f"pair:{pair}" if scope is None and pair is not None else scope) in also:
            return Scope(name=str(left), pairs=())
        if pair is not None:
            named = self._pair(pair)
            if scope is not None and self._named(scope) != named:
                text = "`pair` and `scope` name different things: give one of them"
                raise BadScope("conflict", text)
            return named
        return self._named(GLOBAL if scope is None else scope)

    def some_pairs(self) -> str:
        """A few pairs, for a refusal."""
        return _some(self._pairs)

    def _named(self, scope: str) -> Scope:
        if scope == GLOBAL:
            return Scope(name=GLOBAL, pairs=tuple(self._pairs))
        kind, _, name = scope.partition(":")
        if kind == "pair":
            return self._pair(name)
        known = self._covers.get(kind)
        if known is None:
            text = f"{_shown(scope)} is no scope: global, venue:X, symbol:X-INSTRUMENT or pair:ID"
            raise BadScope("bad_scope", text)
        if name not in known:
            raise BadScope(
                "unknown_scope", f"there is no {kind} {_shown(name)} here; there are {_some(known)}"
            )
        return Scope(name=f"{kind}:{name}", pairs=tuple(known[name]))

    def _pair(self, name: str) -> Scope:
        if name in self._pairs:
            return Scope(name=f"pair:{name}", pairs=(name,), pair=name)
        meant = self._aliases.get(name, ())
        if len(meant) == 1:
            return self._pair(meant[0])
        if meant:
            raise BadScope("ambiguous", f"{_shown(name)} could be {' or '.join(meant[:NAMES_MAX])}")
        raise BadScope(
            "unknown_pair", f"there is no pair {_shown(name)} here; there are {_some(self._pairs)}"
        )


def _aliases(pairs: Mapping[str, Legs]) -> dict[str, list[str]]:
    """`BTC-USDT_spot_perp`: a pair's id without its venues."""
    found: dict[str, list[str]] = {}
    for pair, legs in pairs.items():
        tails = (leg_name(venue, name).removeprefix(f"{venue}-") for venue, name in legs)
        found.setdefault("_".join([pair_stem(legs[0][1]), *tails]), []).append(pair)
    return found


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    more = len(listed) - NAMES_MAX
    return ", ".join(listed[:NAMES_MAX]) + (f" and {more} more" if more > 0 else "") if listed else "none"


def _shown(text: str) -> str:
    return ascii(text if len(text) <= _SHOWN_CHARS_MAX else f"{text[:_SHOWN_CHARS_MAX]}...")
