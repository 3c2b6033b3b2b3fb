"""When a critical item goes to the next channel, and why. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from libs.common.instant import US_PER_SEC
from services.notifier.lane import Lane
from services.notifier.model import Item, Setting


def due(item: Item, lanes: Mapping[str, Lane], setting: Setting, *, wall_us: int) -> str:
    """The reason for which an item goes on to the next channel of the chain now; empty while it does not.

    Either the channel that it stands at cannot deliver it, or nobody acknowledged it in time.
    """
    chain = setting.chain
    if not item.urgent or item.acknowledged_by or item.stage + 1 >= len(chain):
        return ""
    here = chain[item.stage]
    lane = lanes[here]
    if here in item.waiting and lane.down:
        return f"{here} does not deliver ({lane.error})"
    waited_us = wall_us - item.stage_us
    if waited_us >= setting.acknowledge_us:
        return f"not acknowledged within {waited_us / US_PER_SEC / 60:.0f} min on {here}"
    return ""
