"""Venue errors: more than 20 % of the last 50 calls, or a p99 over 3 s: `no_opens`; 5 min under 5 %. Pure.

The executor counts its private calls itself (`exec.account`). The feed counts its errors alone: they are held
against the calls that polling the venue's books takes in a minute, and against 50 where that is more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

from libs.common.instant import US_PER_SEC, Now
from libs.common.message import Message
from libs.common.messages import AlertLevel, VenueHealth
from libs.common.messages_exec import Level
from services.risk.facts import Facts
from services.risk.finding import Base, Finding
from services.risk.hysteresis import Switch
from services.risk.scopes import GLOBAL, venue_scope

SHARE_MAX: Final = 0.20
SHARE_CALM: Final = 0.05
CALLS_MIN: Final = 10
"""Two failures of three calls are no share of fifty yet."""
CALLS: Final = 50
P99_MS_MAX: Final = 3_000.0
CALM_US: Final = 300 * US_PER_SEC
MINUTE_US: Final = 60 * US_PER_SEC


class VenueErrors(Base):
    """One switch a venue, over both measurements."""

    name = "venue_errors"

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._switches = {venue: Switch(leave=CALM_US) for venue in facts.scopes.venues}
        self._counts: dict[str, deque[tuple[int, int]]] = {}
        self._why: dict[str, str] = {}
        polls = MINUTE_US / (facts.config.monitor.book_interval_sec * US_PER_SEC)
        self._calls = {
            venue: max(CALLS, polls * sum(where == venue for where, _ in facts.legs))
            for venue in facts.scopes.venues
        }

    def observe(self, message: Message, now: Now) -> None:
        """The feed's totals; a smaller one is a feed that has started anew."""
        if not isinstance(message, VenueHealth) or message.venue not in self._switches:
            return
        counts = self._counts.setdefault(message.venue, deque())
        total = sum(message.errors.values())
        if counts and total < counts[-1][1]:
            counts.clear()
        counts.append((now.mono_us, total))
        while len(counts) > 1 and now.mono_us - counts[1][0] >= MINUTE_US:
            counts.popleft()

    def judge(self, now: Now) -> Iterable[Finding]:
        """What says nothing (no calls, no feed) is neither an error nor calm."""
        for venue, switch in sorted(self._switches.items()):
            shares = [one for one in (self._executor(venue), self._feed(venue)) if one is not None]
            slow_ms = self._slow_ms(venue)
            worst = max(shares, default=None, key=lambda one: one[0])
            over = bool(worst and worst[0] > SHARE_MAX) or slow_ms > P99_MS_MAX
            calm = worst is not None and worst[0] < SHARE_CALM and slow_ms <= P99_MS_MAX
            if over:
                slow = f"the slowest of its calls take {slow_ms / 1_000:.1f} s"
                self._why[venue] = worst[1] if worst and worst[0] > SHARE_MAX else slow
            if switch.judge(now.mono_us, over=over, calm=calm):
                yield Finding(
                    scope=venue_scope(venue),
                    level=Level.NO_OPENS,
                    control=self.name,
                    reason=self._why[venue],
                    until=f"{CALM_US // MINUTE_US} min under {SHARE_CALM:.0%}",
                    alert=AlertLevel.WARNING,
                )

    def _executor(self, venue: str) -> tuple[float, str] | None:
        heard = self._facts.accounts.get(venue)
        if heard is None or heard.message.calls < CALLS_MIN:
            return None
        calls, failed = heard.message.calls, heard.message.calls_failed
        return failed / calls, f"{failed} of the last {calls} calls failed"

    def _feed(self, venue: str) -> tuple[float, str] | None:
        counts = self._counts.get(venue)
        if not counts:
            return None
        failed = counts[-1][1] - counts[0][1]
        return failed / self._calls[venue], f"{failed} calls of the feed failed within a minute"

    def _slow_ms(self, venue: str) -> float:
        heard = self._facts.accounts.get(venue)
        told = None if heard is None else heard.message.call_p99_ms
        return told or 0.0

    def reset(self, scope: str) -> None:
        """Judged afresh from here."""
        for venue, switch in self._switches.items():
            if scope in (GLOBAL, venue_scope(venue)):
                switch.reset()
                self._counts.pop(venue, None)
