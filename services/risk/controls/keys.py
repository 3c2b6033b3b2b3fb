"""A key that was sound at the start and is not any more: what an executor tells of its keys. Pure.

withdrawal enabled, permissions unreadable or no IP allow-list, found later: global halt, page; manual

Who can change a key can do more, so that a key that is sound again opens nothing by itself. When a reading
that failed counts as unreadable is the executor's matter (`services/executor/keys.py`): one that is tried
again is not told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from libs.common.instant import US_PER_SEC, Now
from libs.common.message import Message
from libs.common.messages import AlertLevel, ServiceHealth
from libs.common.messages_exec import Level
from services.risk.controls.silence import EXECUTOR
from services.risk.finding import Base, Finding, Hold
from services.risk.scopes import GLOBAL

TOLD_US: Final = 5 * US_PER_SEC
"""A pulse comes each second: so long after the last word nobody says it any more. One of several executors
that says nothing takes nothing back.
"""


class ApiKeys(Base):
    """When each problem of a key was told last, by any executor."""

    name = "api_key"

    def __init__(self) -> None:
        self._told_us: dict[str, int] = {}
        self._why = ""

    def observe(self, message: Message, now: Now) -> None:
        """The executors' pulses."""
        if isinstance(message, ServiceHealth) and message.service == EXECUTOR:
            self._told_us |= dict.fromkeys(message.key_problems, now.mono_us)

    def judge(self, now: Now) -> Iterable[Finding]:
        """Latched from the first word on."""
        self._told_us = {why: at_us for why, at_us in self._told_us.items() if now.mono_us - at_us <= TOLD_US}
        self._why = "; ".join(sorted(self._told_us))
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

    def holding(self) -> Mapping[tuple[str, str], str]:
        """An executor still says so."""
        text = f"{self._why} (mended? `fundarb reload` has the keys looked at)"
        return {(GLOBAL, self.name): text} if self._why else {}

    def reset(self, scope: str) -> None:
        """Nothing to forget: it is refused while an executor says so, and else nothing is remembered."""
