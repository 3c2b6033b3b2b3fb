"""Slippage: what fills cost beyond what was modelled, against the mid at which the order was decided. Pure.

more than max(3 x modelled, 5 bps) on 3 fills within an hour: symbol `no_opens` for an hour
more than 30 bps once: symbol `no_opens` until a reset
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from libs.carry.costs import leg_terms
from libs.common.instant import US_PER_SEC, Now
from libs.common.message import Message
from libs.common.messages import AlertLevel
from libs.common.messages_exec import FillEvent, Level
from services.risk.facts import Facts, Key
from services.risk.finding import Base, Finding, Hold
from services.risk.hysteresis import Window
from services.risk.scopes import GLOBAL, symbol_scope

MODELLED_TIMES: Final = 3.0
BPS_MIN: Final = 5.0
BPS_ONCE: Final = 30.0
FILLS_MAX: Final = 3
HOUR_US: Final = 3_600 * US_PER_SEC
SEEN_MAX: Final = 4_096
BPS: Final = 10_000.0


def slippage_bps(fill: FillEvent) -> float | None:
    """> 0 cost more than the mid; None where no mid was known at the decision."""
    if fill.mid is None or not fill.mid > 0:
        return None
    beyond = float(fill.price / fill.mid) - 1.0
    return BPS * (beyond if fill.side == "buy" else -beyond)


class Slippage(Base):
    """Counts dear fills by symbol."""

    name = "slippage"

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._windows: dict[Key, Window] = {}
        self._worst: dict[Key, float] = {}
        self._found: list[Finding] = []
        self._seen: dict[str, None] = {}

    def observe(self, message: Message, now: Now) -> None:
        """Each trade once."""
        if not isinstance(message, FillEvent):
            return
        key, bps = (message.venue, message.instrument), slippage_bps(message)
        name = f"{message.venue}:{message.instrument}:{message.trade}"
        if bps is None or key not in self._facts.legs or name in self._seen:
            return
        self._seen[name] = None
        if len(self._seen) > SEEN_MAX:
            del self._seen[next(iter(self._seen))]
        if bps > BPS_ONCE:
            text = f"a fill of order {message.order} cost {bps:.1f} bps beyond the mid"
            self._found.append(self._finding(key, text, "a reset", None))
        if bps > self._limit_bps(key):
            self._windows.setdefault(key, Window(HOUR_US)).add(now.mono_us)
            self._worst[key] = bps

    def _limit_bps(self, key: Key) -> float:
        modelled = leg_terms(self._facts.config.costs, key[0], self._facts.legs[key].kind).slip
        return max(BPS_MIN, MODELLED_TIMES * BPS * modelled)

    def judge(self, now: Now) -> Iterable[Finding]:
        """Latched: an hour outlasts restarts."""
        yield from self._found
        self._found.clear()
        for key, window in sorted(self._windows.items()):
            if (count := window.count(now.mono_us)) >= FILLS_MAX:
                text = f"{count} fills within an hour cost more than {self._limit_bps(key):.1f} bps"
                text += f" beyond the mid, the last {self._worst[key]:.1f}"
                yield self._finding(key, text, "an hour after the third", now.wall_us + HOUR_US)
                window.clear()

    def _finding(self, key: Key, reason: str, until: str, until_us: int | None) -> Finding:
        return Finding(
            scope=symbol_scope(*key),
            level=Level.NO_OPENS,
            control=self.name if until_us is not None else f"{self.name}_once",
            reason=reason,
            until=until,
            hold=Hold.LATCH,
            until_us=until_us,
            alert=AlertLevel.WARNING,
        )

    def reset(self, scope: str) -> None:
        """Counts begin anew."""
        for key, window in self._windows.items():
            if scope in (GLOBAL, symbol_scope(*key)):
                window.clear()
