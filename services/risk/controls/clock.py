"""Clocks: a venue's against ours (warn at 250 ms, `no_opens` at 500 ms), and those of our own processes.

Orders are stamped, and permits expire, by these clocks. Offsets come from the feed's and the executor's own
measurements. Of a process the least apparent distance of its last pulses counts: what a pulse spent under way
looks like a clock that is behind. Pure.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

from libs.common.instant import US_PER_MS, US_PER_SEC, Now
from libs.common.message import Message
from libs.common.messages import AlertLevel, ServiceHealth
from libs.common.messages_exec import Level
from libs.common.permit import CLOCKS_APART_US
from services.risk.facts import Facts
from services.risk.finding import Base, Finding, Quiet
from services.risk.hysteresis import Switch
from services.risk.scopes import GLOBAL, venue_scope

WARN_MS: Final = 250.0
OFFSET_MS_MAX: Final = 500.0
CALM_US: Final = 60 * US_PER_SEC
PULSES: Final = 5
PROCESS_CALM_US: Final = 10 * US_PER_SEC
FORGOTTEN_US: Final = 10 * US_PER_SEC
"""A process that says nothing any more has no clock; its silence is another row's matter."""

Process = tuple[str, int]
"""(service, pid): each of several executors has a clock of its own."""


class VenueClock(Quiet):
    """One switch for the warning and one for the breaker of each venue."""

    name = "clock_offset"

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._warns = {venue: Switch(leave=CALM_US) for venue in facts.scopes.venues}
        self._shuts = {venue: Switch(leave=CALM_US) for venue in facts.scopes.venues}
        self._worst: dict[str, float] = {}

    def judge(self, now: Now) -> Iterable[Finding]:
        """Both measurements count; one that is not there neither opens nor shuts."""
        for venue in sorted(self._facts.scopes.venues):
            offset_ms = self._offset_ms(venue)
            if offset_ms is not None:
                calm = abs(offset_ms) < WARN_MS
                shuts = self._shuts[venue].judge(
                    now.mono_us, over=not abs(offset_ms) < OFFSET_MS_MAX, calm=calm
                )
                self._warns[venue].judge(now.mono_us, over=not calm, calm=calm)
                if not calm or not shuts:
                    self._worst[venue] = offset_ms
            if self._shuts[venue].on:
                yield self._finding(venue, Level.NO_OPENS)
            elif self._warns[venue].on:
                yield self._finding(venue, Level.NORMAL)

    def _offset_ms(self, venue: str) -> float | None:
        health, account = self._facts.venues.get(venue), self._facts.accounts.get(venue)
        told = [
            None if health is None else health.message.clock_offset_ms,
            None if account is None else account.message.clock_offset_ms,
        ]
        return max((one for one in told if one is not None), key=abs, default=None)

    def _finding(self, venue: str, level: Level) -> Finding:
        offset_ms = self._worst.get(venue, 0.0)
        return Finding(
            scope=venue_scope(venue),
            level=level,
            control=self.name,
            reason=f"the clock of {venue} and ours are {abs(offset_ms):.0f} ms apart",
            until=f"{CALM_US // US_PER_SEC} s under {WARN_MS:.0f} ms",
            alert=AlertLevel.WARNING,
        )


class ProcessClock(Base):
    """Processes that differ by more than 250 ms cannot judge each other's stamps: `no_opens`."""

    name = "process_clock"

    def __init__(self) -> None:
        self._apart_us: dict[Process, deque[int]] = {}
        self._heard_us: dict[Process, int] = {}
        self._switch = Switch(leave=PROCESS_CALM_US)
        self._why = ""

    def observe(self, message: Message, now: Now) -> None:
        """Each pulse is a look at that process's clock."""
        if isinstance(message, ServiceHealth):
            process = message.service, message.pid
            pulses = self._apart_us.setdefault(process, deque(maxlen=PULSES))
            pulses.append(now.wall_us - message.wall_us)
            self._heard_us[process] = now.mono_us
            for gone in [one for one, us in self._heard_us.items() if now.mono_us - us > FORGOTTEN_US]:
                del self._heard_us[gone], self._apart_us[gone]

    def judge(self, now: Now) -> Iterable[Finding]:
        """Five pulses in a row that all differ."""
        apart = [
            f"{process[0]} {least_us / US_PER_MS:+.0f} ms"
            for process, pulses in sorted(self._apart_us.items())
            if len(pulses) == PULSES and now.mono_us - self._heard_us[process] <= FORGOTTEN_US
            if abs(least_us := min(pulses, key=abs)) > CLOCKS_APART_US
        ]
        if apart:
            self._why = f"clocks of our processes differ from risk's: {', '.join(apart)}"
        if self._switch.judge(now.mono_us, over=bool(apart)):
            yield Finding(
                scope=GLOBAL,
                level=Level.NO_OPENS,
                control=self.name,
                reason=self._why,
                until=f"{PROCESS_CALM_US // US_PER_SEC} s within {CLOCKS_APART_US // US_PER_MS} ms",
                alert=AlertLevel.WARNING,
            )

    def reset(self, scope: str) -> None:
        """Nothing to decide."""
