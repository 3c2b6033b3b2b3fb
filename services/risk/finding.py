"""What a control finds, and what a control is: observe what is said, judge when asked. Pure.

    control.observe(message, now)        # every message that reaches risk
    control.judge(now) -> findings       # four times a second, and after each word of the executor
    control.reset(scope)                 # a person has decided: forget what led to it

A finding holds for as long as it is found; one with `latch` is kept in the store until its end or a reset.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Protocol

import msgspec

from libs.common.instant import Now
from libs.common.message import Message
from libs.common.messages import AlertLevel
from libs.common.messages_exec import Level


class Hold(StrEnum):
    """How a finding ends."""

    WHILE = "while"  # with its condition, through the control's hysteresis
    LATCH = "latch"  # a person's reset, or `until_us`


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """`scope` is at `level` for `reason`; at `normal` it is a warning and forbids nothing.

    `until`: in words, what ends it. `until_us`: wall time at which a latch ends by itself (None: a person
    does). `alert`: how loudly a person is told when it begins; None is a line in the log.
    """

    scope: str
    level: Level
    control: str
    reason: str
    until: str
    hold: Hold = Hold.WHILE
    until_us: int | None = None
    alert: AlertLevel | None = None

    @property
    def key(self) -> tuple[str, str]:
        """What tells it from others: (scope, control)."""
        return self.scope, self.control


class Control(Protocol):
    """One row of the control set."""

    name: str

    def observe(self, message: Message, now: Now, /) -> None:
        """Take in what concerns it."""
        ...

    def judge(self, now: Now, /) -> Iterable[Finding]:
        """What holds now."""
        ...

    def reset(self, scope: str, /) -> None:
        """A person has reset the scope: counts begin anew."""
        ...

    def holding(self) -> Mapping[tuple[str, str], str]:
        """(scope, control) of its latches whose condition held at the last look -> the condition, in words:
        a reset of them would be undone at once.
        """
        ...


class Base:
    """What most controls need not say."""

    def holding(self) -> Mapping[tuple[str, str], str]:
        """No latch of it has a condition that lasts."""
        return {}


class Quiet(Base):
    """A control without memory of messages of its own, and nothing to reset: it reads the facts."""

    def observe(self, message: Message, now: Now, /) -> None:
        """Nothing beyond the facts."""

    def reset(self, scope: str, /) -> None:
        """Nothing to forget."""
