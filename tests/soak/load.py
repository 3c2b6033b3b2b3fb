"""The load: an operator who opens and closes pairs without end, besides signal's own wishes."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections import Counter
from typing import Final

from libs.common.bus import Bus, BusUnavailable
from libs.common.clock import wall_us
from libs.common.instant import US_PER_MS
from libs.common.messages import Command, CommandReply, decode, encode
from libs.common.subjects import command
from libs.console.trades import Trades

ANSWER_SEC: Final = 1.0


class Operator:
    """Commands over the console's own connection; `answers` counts what came of them, in words."""

    def __init__(self, bus: Bus, trades: Trades, *, seed: int, every_sec: float) -> None:
        self._bus = bus
        self._trades = trades
        self._every_sec = every_sec
        self._dice = random.Random(seed)  # noqa: S311 - a schedule, no secret
        self.said: Counter[str] = Counter()
        self.answers: Counter[str] = Counter()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await asyncio.sleep(self._every_sec * self._dice.uniform(0.5, 1.5))
            verb, state = self._dice.choice((("open", "idle"), ("close", "active")))
            if pairs := [one.pair for one in self._trades.pairs.values() if one.state == state]:
                await self._say(verb, self._dice.choice(pairs))

    async def _say(self, verb: str, pair: str) -> None:
        body = Command(
            id=secrets.token_hex(8),
            ts_ms=wall_us() // US_PER_MS,
            actor="soak",
            pair=pair,
            direction="forward" if verb == "open" else None,
            reason="load",
        )
        self.said[verb] += 1
        try:
            frames = await self._bus.gather(command(verb), encode(body), timeout_sec=ANSWER_SEC)
        except (BusUnavailable, TimeoutError) as error:
            self.answers[f"{verb}: {type(error).__name__}"] += 1
            return
        for reply in (decode(frame.payload, CommandReply) for frame in frames):
            text = "ok" if reply.error is None else reply.error.message[:80]
            self.answers[f"{verb} {reply.service}: {text}"] += 1
