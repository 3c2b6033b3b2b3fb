"""Naked exposure, and pairs that are stuck: what the executor could not bring home. Pure.

    naked     |delta| above max($50, 5 % of the leg) for max(10 s, the I4 bound): global halt, page; manual
    stuck     the pair is halted while a person has not reset it; the whole system while it is naked too

I4 (execution.md): open timeout + the ladder's bound + one W for each order whose fate is not known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from libs.common.instant import US_PER_SEC, Now
from libs.common.message import Message
from libs.common.messages import AlertLevel
from libs.common.messages_exec import Level, PairStatus
from services.risk.facts import Facts
from services.risk.finding import Base, Finding, Hold, Quiet
from services.risk.scopes import GLOBAL, pair_scope

NAKED_USD_MIN: Final = 50.0
NAKED_SHARE: Final = 0.05
NAKED_SEC_MIN: Final = 10.0
LADDER_SEC: Final = 120.0
"""An unwinding that has not ended by then is STUCK (execution.md, opening)."""
UNKNOWN_SEC: Final = 60.0
"""W of a venue of which nothing better is known (execution.md, resolving)."""


def naked_usd(status: PairStatus) -> float:
    """What is not hedged. An executor without a price (a restart while the feed is down) tells 0 USD of any
    delta: then its share of a leg is valued by the size that the pair was opened with.
    """
    if any(leg.mid for leg in status.legs):
        return status.naked_usd
    return max(status.naked_usd, status.delta_ratio * float(status.notional_usd))


def is_naked(status: PairStatus) -> bool:
    """Whether the unhedged part is worth a page; NaN is."""
    return not naked_usd(status) <= max(NAKED_USD_MIN, NAKED_SHARE * float(status.notional_usd))


class Naked(Base):
    """Since when each pair has been naked, and how many orders of unknown fate came in the way."""

    name = "naked_exposure"

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._open_sec = facts.config.timeouts.open_timeout_sec
        self._since_us: dict[str, int] = {}
        self._unknown: dict[str, int] = {}
        self._why = ""

    def observe(self, message: Message, now: Now) -> None:
        """Each word on a pair."""
        if not isinstance(message, PairStatus) or message.pair not in self._facts.pairs:
            return
        if is_naked(message):
            self._since_us.setdefault(message.pair, now.mono_us)
            self._unknown[message.pair] = max(self._unknown.get(message.pair, 0), message.orders_unknown)
        else:
            self._since_us.pop(message.pair, None)
            self._unknown.pop(message.pair, None)

    def judge(self, now: Now) -> Iterable[Finding]:
        """What has lasted longer than it may, whether or not its executor still speaks."""
        self._why = self._lasting(now)
        if self._why:
            yield Finding(
                scope=GLOBAL,
                level=Level.REDUCE_ONLY,
                control=self.name,
                reason=self._why,
                until="a reset",
                hold=Hold.LATCH,
                alert=AlertLevel.CRITICAL,
            )

    def _lasting(self, now: Now) -> str:
        """The first pair that has been naked for too long, in words."""
        for pair, since_us in sorted(self._since_us.items()):
            unknown_sec = UNKNOWN_SEC * self._unknown.get(pair, 0)
            bound_sec = max(NAKED_SEC_MIN, self._open_sec + LADDER_SEC + unknown_sec)
            lasted_sec = (now.mono_us - since_us) / US_PER_SEC
            if lasted_sec > bound_sec:
                usd = naked_usd(self._facts.pairs[pair].message)
                return f"{pair} has been naked by {usd:.0f} USD for {lasted_sec:.0f} s"
        return ""

    def holding(self) -> Mapping[tuple[str, str], str]:
        """Still naked."""
        return {(GLOBAL, self.name): self._why} if self._why else {}

    def reset(self, scope: str) -> None:
        """Time counts anew from the next word on."""
        for pair in self._facts.scopes.pairs_in(scope):
            self._since_us.pop(pair, None)


class Stuck(Quiet):
    """STUCK is the executor's own state and ends by its own reset; nothing is stored here."""

    name = "stuck"

    def __init__(self, facts: Facts) -> None:
        self._facts = facts

    def judge(self, _now: Now) -> Iterable[Finding]:
        """The pair alone while it is hedged, everything while it is not."""
        for pair, status in sorted(self._facts.held().items()):
            if status.state != "stuck":
                continue
            yield self._finding(pair_scope(pair), status.reason)
            if is_naked(status):
                text = f"{pair} is stuck and naked by {naked_usd(status):.0f} USD: {status.reason}"
                yield self._finding(GLOBAL, text)

    def _finding(self, scope: str, reason: str) -> Finding:
        return Finding(
            scope=scope,
            level=Level.REDUCE_ONLY,
            control=self.name,
            reason=reason,
            until="the pair is reset",
            alert=AlertLevel.CRITICAL,
        )
