"""Executor silent: nobody says what happens to what is held. And a build that is not ours. Pure.

no `sys.health.executor` for 5 s, or no `exec.account` of a venue for 30 s, with a pair not idle:
global `no_opens`, page; over after 60 s heard
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from libs.common.instant import US_PER_SEC, Now
from libs.common.messages import AlertLevel
from libs.common.messages_exec import Level
from services.risk.facts import Facts
from services.risk.finding import Finding, Quiet
from services.risk.hysteresis import Switch
from services.risk.scopes import GLOBAL

HEALTH_US_MAX: Final = 5 * US_PER_SEC
ACCOUNT_US_MAX: Final = 30 * US_PER_SEC
HEARD_US: Final = 60 * US_PER_SEC
EXECUTOR: Final = "executor"
OBEYING: Final = ("executor", "signal")


class ExecutorSilent(Quiet):
    """With nothing held silence is harmless: nobody is there to open anything either."""

    name = "executor_silent"

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._switch = Switch(leave=HEARD_US)
        self._why = ""

    def judge(self, now: Now) -> Iterable[Finding]:
        """What was held when it was last heard counts as held."""
        why = self._silence(now) if self._facts.held() else ""
        self._why = why or self._why
        if self._switch.judge(now.mono_us, over=bool(why)):
            yield Finding(
                scope=GLOBAL,
                level=Level.NO_OPENS,
                control=self.name,
                reason=self._why,
                until=f"{HEARD_US // US_PER_SEC} s heard",
                alert=AlertLevel.CRITICAL,
            )

    def _silence(self, now: Now) -> str:
        age_us = self._facts.since_us(self._facts.services.get(EXECUTOR), now)
        if age_us > HEALTH_US_MAX:
            return f"nothing was heard of the executor for {age_us // US_PER_SEC} s while pairs are held"
        for venue in sorted(self._facts.held_venues()):
            age_us = self._facts.since_us(self._facts.accounts.get(venue), now)
            if age_us > ACCOUNT_US_MAX:
                return f"no exec.account of {venue} for {age_us // US_PER_SEC} s while pairs are held there"
        return ""


class Build(Quiet):
    """Who obeys permits of another build does not read what this one means by them: `no_opens`."""

    name = "build"

    def __init__(self, facts: Facts, *, build: str) -> None:
        self._facts = facts
        self._build = build

    def judge(self, now: Now) -> Iterable[Finding]:
        """Only of who has been heard lately."""
        for service in OBEYING:
            heard = self._facts.services.get(service)
            if heard is None or heard.age_us(now) > HEALTH_US_MAX or heard.message.build == self._build:
                continue
            yield Finding(
                scope=GLOBAL,
                level=Level.NO_OPENS,
                control=self.name,
                reason=f"{service} runs build {heard.message.build}, risk {self._build}",
                until="both run the same build",
                alert=AlertLevel.WARNING,
            )
            return
