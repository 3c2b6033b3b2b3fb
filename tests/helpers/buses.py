"""A NatsBus for tests that tells what it told its owner."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from libs.common.nats_bus import NatsBus

BACK_SEC = 15.0


both_paths = pytest.mark.parametrize("fast", [True, False], ids=["fast", "ordinary"])


class Told:
    """What a bus said to its owner."""

    def __init__(self) -> None:
        self.states: list[bool] = []
        self.fatal: list[str] = []


@asynccontextmanager
async def connected(
    url: str, name: str = "test", *, fast: bool = True
) -> AsyncIterator[tuple[NatsBus, Told]]:
    told = Told()
    bus = NatsBus(url, name=name, fast=fast, on_state=told.states.append, on_fatal=told.fatal.append)
    await bus.connect()
    try:
        yield bus, told
    finally:
        await bus.close()


def reconnects(bus: NatsBus) -> int:
    return sum(counters.reconnects for counters in bus.counters.values())
