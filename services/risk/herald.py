"""Who is told what, and once: alerts when a control enters or leaves, metrics of every scope. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import msgspec

from libs.common.effects import Alert, Effect, Forget, Measure, Note
from libs.common.instant import Now
from libs.common.messages import AlertLevel
from libs.common.messages_exec import Breaker, Level
from services.risk.finding import Finding, Hold
from services.risk.latches import Key, Latch
from services.risk.scopes import Scopes

OPERATOR: Final = "operator_"
"""Controls of the operator begin so: who commands is told by the command's own alert."""


class _Told(msgspec.Struct, frozen=True):
    level: Level
    alert: AlertLevel | None
    reason: str
    since_us: int


class Herald:
    """Remembers what it has said. `since` is when a finding that lasts was found first (wall us)."""

    def __init__(self, scopes: Scopes) -> None:
        self._scopes = scopes
        self._told: dict[Key, _Told] = {}
        self._alerts: dict[Key, AlertLevel | None] = {}
        self._shown: dict[str, int] = {}
        self._asked: dict[Key, int] = {}

    def since_us(self, key: Key, now: Now) -> int:
        """Since when it is known here; now for what is new."""
        told = self._told.get(key)
        return now.wall_us if told is None else told.since_us

    def remember(self, latches: Iterable[Latch]) -> None:
        """Latches of an earlier life: a person was told when they began."""
        for latch in latches:
            self._told[latch.key] = _Told(latch.level, AlertLevel.WARNING, latch.reason, latch.since_us)

    def tell(self, findings: Iterable[Finding], latches: Iterable[Latch], now: Now) -> Iterator[Effect]:
        """Alerts for what has begun, got stricter, or ended since the last time."""
        current: dict[Key, _Told] = {}
        for one in findings:
            self._alerts[one.key] = one.alert
            former = current.get(one.key)
            if one.hold is Hold.WHILE and (former is None or former.level.rank < one.level.rank):
                since_us = self.since_us(one.key, now)
                current[one.key] = _Told(one.level, one.alert, one.reason, since_us)
        for latch in latches:
            alert = None if latch.control.startswith(OPERATOR) else self._alerts.get(latch.key)
            former = self._told.get(latch.key)
            alert = former.alert if former is not None and alert is None else alert
            current[latch.key] = _Told(latch.level, alert, latch.reason, latch.since_us)
        for key, told in current.items():
            before = self._told.get(key)
            if _is_first_sight(told):
                continue  # a start is no news; health names it while it lasts
            if before is None or before.level.rank < told.level.rank:
                yield _say(key, told, f"{key[0]}: {_effect(told.level)}{told.reason}", told.alert)
        for key, told in self._told.items():
            if key not in current and not _is_first_sight(told):
                ended = None if told.alert is None else AlertLevel.INFO
                yield _say(key, told, f"{key[0]}: over: {told.reason}", ended)
                self._alerts.pop(key, None)
        yield from self._measure_controls(current)
        self._told = current

    def _measure_controls(self, current: Mapping[Key, _Told]) -> Iterator[Effect]:
        """What each control asks for, apart: an alert of Prometheus names the control and its remedy."""
        ranks = {key: told.level.rank for key, told in current.items()}
        for (scope, control), rank in ranks.items():
            if self._asked.get((scope, control)) != rank:
                labels = {"scope": scope, "control": control}
                yield Measure(metric="fundarb_control_level", value=float(rank), labels=labels)
        for scope, control in self._asked.keys() - ranks.keys():
            yield Forget(metric="fundarb_control_level", labels={"scope": scope, "control": control})
        self._asked = ranks

    def measure(self, breakers: Mapping[str, Breaker]) -> Iterator[Effect]:
        """The level of every scope that is, or was, not normal, and of the large ones in any case."""
        wanted = {scope: 0 for scope in self._scopes.names if not scope.startswith("symbol:")}
        wanted |= dict.fromkeys(self._shown, 0)
        wanted |= {scope: one.level.rank for scope, one in breakers.items()}
        for scope, rank in wanted.items():
            if self._shown.get(scope) != rank:
                self._shown[scope] = rank
                yield Measure(metric="fundarb_breaker_level", value=float(rank), labels={"scope": scope})


def _is_first_sight(told: _Told) -> bool:
    return told.alert is None and told.reason.startswith("blind:")


def _effect(level: Level) -> str:
    return "" if level is Level.NORMAL else f"{level.value}, "


def _say(key: Key, told: _Told, text: str, alert: AlertLevel | None) -> Effect:
    scope, control = key
    if alert is None:
        return Note(text=text, fields={"control": control, "scope": scope, "level": told.level.value})
    return Alert(
        level=alert,
        key=f"risk:{control}:{scope}",
        text=text,
        context={"scope": scope, "control": control, "level": told.level.value},
    )
