"""What the trials of `permits` work with: pairs being opened, pairs held, a tap on permits, a silent risk."""

from __future__ import annotations

import asyncio
import itertools
import random
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, Literal

from libs.common import subjects
from libs.common.clock import wall_us
from libs.common.messages import Intent, encode
from libs.common.messages_exec import Permit
from libs.common.nats_bus import NatsBus
from tests.chaos.links import Way
from tests.chaos.trader import Trader
from tests.chaos.world import NATS, World, until

How = Literal["killed", "stopped", "partitioned"]
HALTED: Final = "LINK"
"""Halted by hand at the beginning: each life of risk has to know it."""

NOTIONAL_USD: Final = 600
OFFER_SEC: Final = 0.1
READY_SEC: Final = 75.0
"""What risk keeps shut for longer (the 5 min after slow calls of a venue) ends a world."""


class Tap:
    """When a permit was last handed to the executor (monotonic ns). A subject may lie across two chunks."""

    def __init__(self) -> None:
        self.last_ns = 0
        self._rest = b""

    def hear(self, way: Way, data: bytes) -> None:
        """Bytes of the executor's link to the broker."""
        if way is Way.DOWN:
            text = self._rest + data
            if subjects.PERMIT.encode() in text:
                self.last_ns = time.monotonic_ns()
                text = b""
            self._rest = text[-len(subjects.PERMIT) + 1 :]


class Bench:
    """A world with half of its pairs held and half of them being opened."""

    def __init__(self, world: World, tap: Tap, bus: NatsBus, *, seed: int) -> None:
        self.world, self.tap, self.bus = world, tap, bus
        self.trader = Trader(world, seed=seed)
        self.dice = random.Random(seed)  # noqa: S311 - a schedule, no secret
        self.halted = next(pair for pair in world.ids if pair.startswith(HALTED))
        self.trading = [pair for pair in world.ids if pair != self.halted]
        self.opening, self.held = self.trading[::2], self.trading[1::2]

    def intend(self, action: Literal["open", "close"], pair: str) -> None:
        """What signal would say; lost when the bus is away."""
        wanted = Intent(
            pair=pair,
            action=action,
            direction="forward",
            notional_usd=str(NOTIONAL_USD),
            reason="chaos",
            expires_us=wall_us() + 1_000_000,
        )
        self.bus.publish(subjects.intent(pair), encode(wanted))

    @asynccontextmanager
    async def offering(self) -> AsyncIterator[None]:
        """An opening is offered each 100 ms."""

        async def offer() -> None:
            for pair in itertools.cycle(self.opening):
                self.intend("open", pair)
                await asyncio.sleep(OFFER_SEC)

        task = asyncio.create_task(offer())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    # --- how things are --------------------------------------------------------------------------------

    async def states(self) -> dict[str, Any]:
        """Pair -> what the executor says of it."""
        return {pair: one for told in await self.trader.status() for pair, one in told["pairs"].items()}

    async def wait(
        self, wanted: Callable[[dict[str, Any]], bool], *, sec: float, what: str
    ) -> dict[str, Any]:
        """Until the executor's words are as wanted. TimeoutError."""
        end_ns = time.monotonic_ns() + int(sec * 1e9)
        while not wanted(found := await self.states()):
            if time.monotonic_ns() > end_ns:
                raise TimeoutError(f"not within {sec:g} s: {what}: {found}\n{self.world.tails()}")
        return found

    async def ready(self) -> dict[str, str]:
        """Until those that are to be opened are idle and may be; why not, when the time is over."""
        end_ns = time.monotonic_ns() + int(READY_SEC * 1e9)
        while True:
            told, shut = await self.states(), {}
            for pair in self.opening:
                one = told.get(pair, {"state": "nobody leads it", "opens": "", "orders_open": 0})
                if one["state"] == "active":
                    self.intend("close", pair)
                if one["orders_open"] or one["state"] != "idle":
                    shut[pair] = str(one["state"])
                elif one["opens"] != "ok" and "not been verified yet" not in one["opens"]:
                    shut[pair] = str(one["opens"])
            if not shut or time.monotonic_ns() > end_ns:
                return shut
            await self._reset()

    async def _reset(self) -> None:
        """What only a person undoes, but for the latch that is looked for."""
        permit = self.world.ear.permit
        latched = {one.scope for one in (permit.breakers if permit else ()) if one.latched}
        for scope in sorted(latched - {f"pair:{self.halted}"}):
            await self.trader.say("reset", scope=scope, confirm=True)

    async def silence(self, how: How) -> tuple[str, Callable[[], Awaitable[None]]]:
        """Risk is gone from now on. In words how, and what brings it back."""
        world, link = self.world, self.world.links["risk", NATS]
        if how == "partitioned":
            if self.dice.random() < 1 / 2:
                link.cut()
            else:
                link.freeze()
            what = "cut off" if link.is_cut else "frozen out"

            async def join() -> None:
                link.heal()

            return what, join
        world.signal("risk", signal.SIGSTOP)
        if how == "stopped":

            async def go_on() -> None:
                world.signal("risk", signal.SIGCONT)

            return how, go_on
        pid = world.supervisor.pids()["risk"]
        # dead for as long as a trial takes: the supervisor would have it back within a second
        link.cut()
        world.signal("risk", signal.SIGKILL)

        async def live() -> None:
            await until(
                lambda: world.supervisor.pids().get("risk") not in (pid, None), sec=30, what="a life of risk"
            )
            link.heal()

        return how, live

    def halts(self, permit: Permit) -> bool:
        """Whether a permit knows of the latch."""
        return any(one.scope == f"pair:{self.halted}" and one.latched for one in permit.breakers)

    async def prepare(self) -> None:
        """The latch that outlives everything."""
        await until(lambda: self.world.ear.permit is not None, sec=READY_SEC, what="a permit")
        await self.trader.say("halt", scope=f"pair:{self.halted}", reason="to be remembered")
        ear = self.world.ear
        await until(lambda: ear.permit is not None and self.halts(ear.permit), sec=30, what="the halt")
