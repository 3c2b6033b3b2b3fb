"""Risk's own beat: ten good ones after a start, or after a gap of its own, before anything may increase.

Receivers take each permit for a second, and wait as long after a lapse of their own (`libs.common.permit`).
Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from libs.common.instant import US_PER_SEC, Now
from libs.common.message import Message
from libs.common.messages import AlertLevel
from libs.common.messages_exec import Level
from services.risk.finding import Base, Finding
from services.risk.scopes import GLOBAL

GOOD_BEATS: Final = 10
GAP_US: Final = US_PER_SEC
"""The lease of a permit: a longer pause between two beats has let it lapse."""


class Heartbeat(Base):
    """`beat` is called once for each regular permit."""

    name = "permit_heartbeat"

    def __init__(self) -> None:
        self._good = 0
        self._last_us: int | None = None
        self._why = "risk has started"
        self._gapped = False

    def beat(self, now: Now) -> None:
        """A permit goes out now."""
        if self._last_us is not None and now.mono_us - self._last_us > GAP_US:
            gap_sec = (now.mono_us - self._last_us) / US_PER_SEC
            self._good, self._why, self._gapped = 0, f"risk paused for {gap_sec:.1f} s", True
        else:
            self._good += 1
        self._last_us = now.mono_us

    def observe(self, _message: Message, _now: Now) -> None:
        """Nothing: it listens to itself."""

    def judge(self, _now: Now) -> Iterable[Finding]:
        """`no_opens` until enough permits have come in time."""
        if self._good > GOOD_BEATS:
            return
        yield Finding(
            scope=GLOBAL,
            level=Level.NO_OPENS,
            control=self.name,
            reason=self._why,
            until=f"{GOOD_BEATS} permits in time",
            alert=AlertLevel.WARNING if self._gapped else None,
        )

    def reset(self, _scope: str) -> None:
        """Nothing to decide: it takes two and a half seconds."""
