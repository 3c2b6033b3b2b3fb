"""When a critical item goes to the next channel, or is said again on the last one, and why. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from libs.common.instant import US_PER_SEC
from services.notifier.lane import Lane
from services.notifier.model import Item, Setting

REMINDERS_MAX: Final = 12
"""So often is said again on the last channel what nobody has acknowledged: one message is slept through."""

REMIND_US_MIN: Final = 60 * US_PER_SEC


def due(item: Item, lanes: Mapping[str, Lane], setting: Setting, *, wall_us: int) -> str:
    """The reason for which an item goes on now: to the next channel of the chain, at its end once more to the
    last; empty while it does not.

    Either the channel that it stands at cannot deliver it, or nobody acknowledged it in time.
    """
    chain = setting.chain
    if not chain or not item.urgent or item.acknowledged_by:
        return ""
    here = chain[item.stage]
    waited_us = wall_us - item.stage_us
    if item.stage + 1 >= len(chain):
        return _reminder(item, here, waited_us, setting, wall_us=wall_us)
    if here in item.waiting and lanes[here].down:
        return f"{here} does not deliver ({lanes[here].error})"
    if waited_us >= setting.acknowledge_us:
        return f"not acknowledged within {_minutes(waited_us)} on {here}"
    return ""


def _reminder(item: Item, here: str, waited_us: int, setting: Setting, *, wall_us: int) -> str:
    """Only of what has arrived there: nobody has slept through what still waits for its channel."""
    if here in item.waiting or item.reminders >= REMINDERS_MAX:
        return ""
    if waited_us < max(REMIND_US_MIN, setting.acknowledge_us):
        return ""
    count = f"reminder {item.reminders + 1} of {REMINDERS_MAX}"
    return f"still not acknowledged after {_minutes(wall_us - item.taken_us)} ({count})"


def _minutes(us: int) -> str:
    return f"{us / US_PER_SEC / 60:.0f} min"
