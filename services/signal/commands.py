"""What signal answers of `cmd.*`: `status`, and in mode observer what nobody else is there to answer. Pure.

Where risk and executor run they answer for themselves. In mode observer neither does, and a command that
nobody answers looks like one that was lost: who says `halt` must hear that there is nothing to halt.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from libs.common.command_scopes import legs_of
from libs.common.commands import VERBS, Asked, CommandDesk
from libs.common.config.legs import PairSpec
from libs.common.effects import Effect, Received
from libs.common.instant import Now

OTHERS: Final = frozenset({"reload", "ack"})
"""Every service answers `reload` itself, the notifier `ack`."""

REFUSAL: Final = "observer"


class SignalCommands:
    """Signal's desk. `observes`: no risk and no executor runs in this mode."""

    def __init__(self, specs: Iterable[PairSpec], *, observes: bool) -> None:
        verbs = VERBS.keys() - OTHERS if observes else ("status",)
        self._desk = CommandDesk("signal", verbs=verbs, pairs=legs_of(specs), catches_unknown=observes)
        self.subscriptions = self._desk.subscriptions

    def take(self, event: Received, now: Now) -> Asked | list[Effect]:
        """A `status` to be answered; else what answers the command, nothing when it is for others."""
        asked = self._desk.take(event, now)
        if not isinstance(asked, Asked):
            return asked
        if asked.verb != "status":
            return asked.refuse(REFUSAL, observer_text(asked.verb))
        return asked if event.reply else []


def observer_text(verb: str) -> str:
    """Why a verb of those who trade is refused in mode observer, and what would do."""
    if verb == "positions":
        return "mode observer trades nothing: nothing is held, and `status` tells what would be"
    text = f"mode observer trades nothing: there is nothing that {verb} could act on"
    return f'{text}; `"mode": "paper"` trades without money'
