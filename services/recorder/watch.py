"""What changed in the health of venues and services: each change is told once. Pure."""

from __future__ import annotations

from typing import Final

import msgspec

from libs.common.instant import US_PER_SEC
from libs.common.messages import Quarantine, ServiceHealth, VenueHealth
from services.recorder.story import quarantine

SILENT_US: Final = 5 * US_PER_SEC
"""A service says its pulse every second."""


class Health(msgspec.Struct, frozen=True):
    """The pulse of one process as far as a change of it is worth a line; `mono_us` is when it was heard."""

    pid: int
    ok: bool
    problems: tuple[str, ...]
    mono_us: int

    @classmethod
    def of(cls, health: ServiceHealth, mono_us: int) -> Health:
        return cls(health.pid, health.ok, health.problems, mono_us)


class HealthWatch:
    """Services: first heard, restarted, unwell, well again, silent."""

    def __init__(self) -> None:
        self._last: dict[str, Health] = {}
        self._silent: set[str] = set()

    def changes(self, service: str, health: Health) -> list[str]:
        """What is new about a service with this pulse."""
        before = self._last.get(service)
        self._last[service] = health
        told: list[str] = []
        if before is None:
            told.append(f"{service} runs (pid {health.pid})")
        elif service in self._silent:
            told.append(f"{service} is heard again")
        if before is not None and before.pid != health.pid:
            told.append(f"{service} was restarted (pid {before.pid} -> {health.pid})")
        self._silent.discard(service)
        was_ok, old_problems = (True, ()) if before is None else (before.ok, before.problems)
        if health.ok and not was_ok:
            told.append(f"{service} is well again")
        elif not health.ok and (was_ok or health.problems != old_problems):
            told.append(f"{service} is unwell: {'; '.join(health.problems) or 'no reason given'}")
        return told

    def silent(self, mono_us: int) -> list[str]:
        """Services whose pulse stopped since this was asked last."""
        fresh = [
            (name, mono_us - health.mono_us)
            for name, health in self._last.items()
            if name not in self._silent and mono_us - health.mono_us > SILENT_US
        ]
        self._silent.update(name for name, _ in fresh)
        return [f"{name} has said nothing for {age_us // US_PER_SEC} s" for name, age_us in fresh]


class VenueWatch:
    """Venues: connected or not, and what is quarantined."""

    def __init__(self) -> None:
        self._connected: dict[str, bool] = {}
        self._shut: dict[str, dict[tuple[str | None, str], Quarantine]] = {}

    def changes(self, health: VenueHealth) -> list[tuple[str, str]]:
        """(word, text) of each change."""
        told: list[tuple[str, str]] = []
        if self._connected.get(health.venue) is not health.connected:
            state = "is connected" if health.connected else "is not connected"
            told.append(("venue", f"{health.venue} {state}"))
        self._connected[health.venue] = health.connected
        before = self._shut.get(health.venue, {})
        shut = {(one.instrument, one.reason): one for one in health.quarantined}
        told += [
            ("quarantined", quarantine(health.venue, one)) for key, one in shut.items() if key not in before
        ]
        told += [
            ("released", quarantine(health.venue, one)) for key, one in before.items() if key not in shut
        ]
        self._shut[health.venue] = shut
        return told
