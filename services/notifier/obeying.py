"""The operator's verbs as the notifier obeys them: `ack` and `status`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from libs.common.commands import Asked
from libs.common.effects import Effect
from services.notifier.desk import Desk
from services.notifier.lane import Lane

KEYS_SHOWN: Final = 50
"""Of a storm of critical alerts; the bus carries no answer beyond 64 KB."""


def obey(asked: Asked, desk: Desk, lanes: Mapping[str, Lane], store_problem: str) -> list[Effect]:
    """The effects of a command; what `ack` changes is written before it is answered."""
    if asked.verb != "ack":
        keys = desk.unacknowledged()
        told = {"unacknowledged": keys[:KEYS_SHOWN], "unacknowledged_count": len(keys)}
        return asked.done({**told, "channels": _states(lanes)})
    if desk.position is None:
        return asked.refuse("unavailable", f"the store cannot be read ({store_problem}): try again")
    key = asked.command.key or ""
    open_keys = desk.unacknowledged()
    if key != "*" and key not in open_keys:
        there = f"there are {', '.join(open_keys[:10])}" if open_keys else "there is none"
        return asked.refuse("unknown", f"no critical alert {key!r} waits to be acknowledged; {there}")
    return asked.done({"acknowledged": desk.acknowledge(key, by=asked.actor or "operator")})


def _states(lanes: Mapping[str, Lane]) -> dict[str, str]:
    return {name: f"fails: {lane.error}" if lane.failures else "ok" for name, lane in lanes.items()}
