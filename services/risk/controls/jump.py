"""Price jumps, in market time: what moves so fast is not entered. Pure.

a mid that moved by 5 % within 60 s, or legs 3 % apart (dated ones 30 %): symbol `no_opens`
10 % (dated legs: 30 %):                                                   symbol `reduce_only`
over after 10 calm minutes of market time
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from libs.carry.bounds import apart_max
from libs.common.config.legs import PairSpec
from libs.common.instant import MS_PER_SEC, Now
from libs.common.message import Message
from libs.common.messages import AlertLevel, Quote
from libs.common.messages_exec import Level
from libs.common.subjects import Kind
from services.risk.facts import Facts, Key
from services.risk.finding import Base, Finding
from services.risk.hysteresis import Extremes, Switch
from services.risk.scopes import GLOBAL, symbol_scope

WINDOW_MS: Final = 60 * MS_PER_SEC
JUMP: Final = 0.05
HARD: Final = 0.10
CALM_MS: Final = 600 * MS_PER_SEC
_LEVELS: Final = ((Level.REDUCE_ONLY, AlertLevel.CRITICAL), (Level.NO_OPENS, AlertLevel.WARNING))


class _Watch:
    """One instrument: its window, and a switch for each level."""

    def __init__(self) -> None:
        self.window = Extremes(WINDOW_MS)
        self.peak = 0.0  # the widest since the last look: a spike between two looks counts
        self.switches = {Level.NO_OPENS: Switch(leave=CALM_MS), Level.REDUCE_ONLY: Switch(leave=CALM_MS)}
        self.why = ""


class PriceJump(Base):
    """Windows over the mids of all legs."""

    name = "price_jump"

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._watches: dict[Key, _Watch] = {key: _Watch() for key in facts.legs}

    def observe(self, message: Message, now: Now) -> None:
        """Every quote counts, not only those that stand when somebody looks."""
        if not isinstance(message, Quote):
            return
        watch = self._watches.get((message.venue, message.instrument))
        if watch is not None:
            watch.window.add(now.market_ms, (message.bid + message.ask) / 2)
            watch.peak = max(watch.peak, watch.window.spread(now.market_ms))

    def judge(self, now: Now) -> Iterable[Finding]:
        """The stricter level of each symbol."""
        apart = self._apart()
        for key, watch in self._watches.items():
            moved = max(watch.peak, watch.window.spread(now.market_ms))
            watch.peak = 0.0
            gap, limit, other = apart.get(key, (0.0, 1.0, ""))
            hard_gap = max(HARD, limit)
            hard = not (moved < HARD and gap < hard_gap)
            soft = not (moved < JUMP and gap < limit)
            if soft:
                moved_text = f"its price moved by {moved:.1%} within 60 s of market time"
                watch.why = moved_text if not moved < JUMP else f"it is {gap:.1%} away from {other}"
            for level, over in ((Level.REDUCE_ONLY, hard), (Level.NO_OPENS, soft)):
                watch.switches[level].judge(now.market_ms, over=over, calm=not soft)
            for level, alert in _LEVELS:
                if watch.switches[level].on:
                    yield self._finding(key, level, watch.why, alert)
                    break

    def _apart(self) -> dict[Key, tuple[float, float, str]]:
        """Leg -> (distance to its pair's other leg, the limit, who that is); of the pair that is furthest."""
        found: dict[Key, tuple[float, float, str]] = {}
        for spec in self._facts.scopes.specs.values():
            gap, limit = self._gap(spec)
            for leg, other in (spec.legs, spec.legs[::-1]):
                key = (leg.venue, leg.instrument)
                if key not in found or gap / limit > found[key][0] / found[key][1]:
                    found[key] = (gap, limit, f"{other.venue} {other.instrument}")
        return found

    def _gap(self, spec: PairSpec) -> tuple[float, float]:
        limit = apart_max(dated=any(leg.kind is Kind.FUTURE for leg in spec.legs))
        mids = [self._facts.legs[leg.venue, leg.instrument].mid() for leg in spec.legs]
        first, second = mids
        if first is None or second is None or not (first > 0 and second > 0):
            return 0.0, limit
        return abs(first - second) / min(first, second), limit

    def _finding(self, key: Key, level: Level, reason: str, alert: AlertLevel) -> Finding:
        return Finding(
            scope=symbol_scope(*key),
            level=level,
            control=self.name,
            reason=reason,
            until="10 calm minutes of market time",
            alert=alert,
        )

    def reset(self, scope: str) -> None:
        """What has jumped is the new price."""
        for key in self._watches:
            if scope in (GLOBAL, symbol_scope(*key)):
                self._watches[key] = _Watch()
