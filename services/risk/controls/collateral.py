"""Liquidation distance and margin ratio: warn, shrink both legs, flatten; stepwise and paired. Pure.

Thresholds, the steps and the way back are `libs.carry.shrink`, which the executor applies too while it has no
permit. Each pair is judged by the distances of its own contracts and of coins that it has borrowed; where a
venue does not tell one, by the ratio of the account, which then concerns every pair there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from libs.carry.shrink import (
    CALM_US,
    DISTANCE_CALM,
    RATIO_CALM,
    Collateral,
    Squeeze,
    after,
    collateral_of,
)
from libs.common.instant import US_PER_SEC, Now
from libs.common.message import Message
from libs.common.messages import AlertLevel
from libs.common.messages_exec import AccountStatus, Level
from libs.common.subjects import SPOT
from services.risk.facts import Facts
from services.risk.finding import Base, Finding, Hold
from services.risk.hysteresis import Switch
from services.risk.scopes import pair_scope

_UNTIL: Final = f"{CALM_US // (60 * US_PER_SEC)} min above {DISTANCE_CALM:.0%} (ratio under {RATIO_CALM:.0%})"

BLIND_US: Final = 30 * US_PER_SEC
UNTOLD: Final = "tells neither how far liquidation is nor what maintenance margin it wants"
"""What nobody can watch is not enlarged, and a person is told."""

Key = tuple[str, str]
"""(pair, venue)."""


class Collaterals(Base):
    """Folds every look at an account into what its pairs may keep."""

    name = "collateral"

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._squeezes: dict[Key, Squeeze] = {}
        self._seen: dict[Key, Collateral] = {}
        self._warns: dict[Key, Switch] = {}
        self._blind: dict[Key, Switch] = {}
        self._instruments: dict[Key, frozenset[str]] = {}
        for spec in facts.scopes.specs.values():
            for leg in spec.legs:
                key, own = (spec.id, leg.venue), frozenset() if leg.kind is SPOT else {leg.instrument}
                self._instruments[key] = self._instruments.get(key, frozenset()) | own

    def observe(self, message: Message, now: Now) -> None:
        """One look at an account; one that is not trusted says nothing."""
        if not isinstance(message, AccountStatus) or not message.trusted:
            return
        for key, instruments in self._instruments.items():
            if key[1] != message.venue:
                continue
            coins = self._borrowed(*key)
            if not instruments and not coins and key not in self._seen:
                continue  # coins of one's own are nobody's collateral
            seen = collateral_of(message, instruments, coins)
            self._seen[key] = seen
            self._squeezes[key] = after(self._squeezes.get(key, Squeeze()), seen, now.mono_us)
            switch = self._warns.setdefault(key, Switch(leave=CALM_US))
            switch.judge(now.mono_us, over=seen.warns, calm=seen.is_calm)
            blind = self._blind.setdefault(key, Switch(enter=BLIND_US))
            blind.judge(now.mono_us, over=not seen.is_known)

    def _borrowed(self, pair: str, venue: str) -> frozenset[str]:
        """Coins that a pair owes at a venue, by its own word."""
        heard = self._facts.pairs.get(pair)
        legs = () if heard is None else heard.message.legs
        owing = (leg for leg in legs if leg.venue == venue and leg.borrowed > 0)
        return frozenset(leg.instrument.split("-", 1)[0] for leg in owing)

    def judge(self, now: Now) -> Iterable[Finding]:
        """The step of each pair and venue; the next one may fall due between two looks."""
        for key, seen in self._seen.items():
            pair, venue = key
            if pair not in self._facts.held():
                continue
            squeeze = self._squeezes[key]
            if seen.is_short:
                squeeze = self._squeezes[key] = after(squeeze, seen, now.mono_us)
            text = _text(seen, venue)
            if seen.is_exhausted:
                yield self._finding(pair, Level.FLATTEN, "flatten", text, latch=True)
            if squeeze.share < 1:
                step = f"{text}; it may keep {squeeze.share:.0%} of its size"
                yield self._finding(pair, Level.NO_OPENS, "shrink", step)
            elif self._blind[key].on:
                yield self._finding(pair, Level.NO_OPENS, "warn", f"{venue} {UNTOLD}", until="it tells")
            elif self._warns[key].on:
                yield self._finding(pair, Level.NORMAL, "warn", text)

    def max_ratio(self) -> dict[str, float]:
        """Pair -> share of its size that it may keep; only those below the whole."""
        found: dict[str, float] = {}
        for (pair, _), squeeze in self._squeezes.items():
            if squeeze.share < 1:
                found[pair] = min(float(squeeze.share), found.get(pair, 1.0))
        return found

    def _finding(
        self,
        pair: str,
        level: Level,
        step: str,
        reason: str,
        *,
        latch: bool = False,
        until: str = _UNTIL,
    ) -> Finding:
        return Finding(
            scope=pair_scope(pair),
            level=level,
            control=f"{self.name}_{step}",
            reason=reason,
            until="a reset" if latch else until,
            hold=Hold.LATCH if latch else Hold.WHILE,
            alert=AlertLevel.WARNING if step == "warn" else AlertLevel.CRITICAL,
        )

    def holding(self) -> Mapping[tuple[str, str], str]:
        """Still too near."""
        held = self._facts.held()
        return {
            (pair_scope(pair), f"{self.name}_flatten"): _text(seen, venue)
            for (pair, venue), seen in self._seen.items()
            if seen.is_exhausted and pair in held
        }

    def reset(self, scope: str) -> None:
        """What was lowered stays lowered until it is calm; a flatten whose cause is there comes back."""


def _text(seen: Collateral, venue: str) -> str:
    if seen.distance is not None and (seen.ratio is None or seen.ratio == 0):
        return f"liquidation at {venue} is {seen.distance:.1%} away"
    ratio = "not known" if seen.ratio is None else f"{seen.ratio:.1%}"
    distance = "" if seen.distance is None else f", liquidation {seen.distance:.1%} away"
    return f"the margin ratio at {venue} is {ratio}{distance}"
