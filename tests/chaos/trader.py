"""The person at the desk: opens and closes every pair again and again, and remembers what was answered.

Also undoes by hand what breakers latch, since a run is to go on: each reset is counted and reported.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import msgspec

from libs.common import subjects
from libs.common.bus import BusUnavailable
from libs.common.messages import Command, CommandReply, decode, encode
from tests.chaos.world import World, now_ms

ANSWER_SEC: Final = 1.0
EVERY_SEC: Final = 3.5
"""Between two words on a pair: risk allows 20 openings of a pair a minute."""

VERBS_WITHOUT_TRACE: Final = frozenset({"status", "positions"})


class Answered(msgspec.Struct, frozen=True):
    """A command that somebody has answered: its line must be in the audit of each who did."""

    id: str
    verb: str
    services: tuple[str, ...]


class Trader:
    """Commands over the operator's own connection. `answered`: all but those that only read."""

    def __init__(self, world: World, *, seed: int) -> None:
        self._world = world
        self._dice = random.Random(seed)  # noqa: S311 - a schedule, no secret
        self._numbers = 0
        self.answered: list[Answered] = []
        self.refusals: Counter[str] = Counter()
        self.resets = 0

    async def say(self, verb: str, **fields: Any) -> list[CommandReply]:
        """One command and the answers of a second; none when the bus is away."""
        self._numbers += 1
        name = f"chaos-{id(self):x}-{self._numbers}"
        body = encode(Command(id=name, ts_ms=now_ms(), actor="chaos", **fields))
        try:
            frames = await self._world.bus.gather(subjects.command(verb), body, timeout_sec=ANSWER_SEC)
        except (BusUnavailable, TimeoutError):
            return []
        replies = [decode(frame.payload, CommandReply) for frame in frames]
        if replies and verb not in VERBS_WITHOUT_TRACE:
            self.answered.append(Answered(name, verb, tuple(sorted(one.service for one in replies))))
        for one in replies:
            if one.error is not None:
                self.refusals[f"{verb}: {one.error.message[:100]}"] += 1
        return replies

    async def status(self) -> list[dict[str, Any]]:
        """What each executor says of itself; empty while none answers."""
        return [one.result for one in await self.say("status") if one.service == "executor" and one.ok]

    @asynccontextmanager
    async def trading(self) -> AsyncIterator[None]:
        """Every pair is opened and closed without end in between."""
        tasks = [asyncio.create_task(self._trade(pair)) for pair in self._world.ids]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            for task in tasks:
                with suppress(asyncio.CancelledError):
                    await task

    async def _trade(self, pair: str) -> None:
        await asyncio.sleep(self._dice.random() * EVERY_SEC)
        while True:
            replies = await self.say("open", pair=pair, direction="forward")
            if not any(one.ok for one in replies):
                await self.say("close", pair=pair)
            await asyncio.sleep(EVERY_SEC - ANSWER_SEC + self._dice.random())

    async def tidy(self, stuck: tuple[str, ...]) -> None:
        """Reset what only a person may reset."""
        permit = self._world.ear.permit
        scopes = {one.scope for one in (permit.breakers if permit is not None else ()) if one.latched}
        for scope in sorted(scopes | {f"pair:{pair}" for pair in stuck}):
            self.resets += 1
            await self.say("reset", scope=scope, confirm=True, reason="the next cycle")
