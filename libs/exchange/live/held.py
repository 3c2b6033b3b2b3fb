"""A signed order that waits for its release, and what becomes of it."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from typing import Any

from libs.exchange.live.places import Place
from libs.exchange.live.wire import CALL, Abandoned, Call, HeldTooLong
from libs.exchange.trading import Prepared
from libs.exchange.trading_outcomes import judge_order
from libs.exchange.trading_values import Done, NeverSent, OrderRequest, Outcome, Unknown

Read = Callable[[Any], Done | Unknown]
"""Reads ccxt's answer to an order."""


class HeldOrder:
    """An order whose ccxt call waits at its connection; see `trading.Prepared` for the contract."""

    def __init__(
        self, venue: str, request: OrderRequest, call: Call, task: asyncio.Task[Any], read: Read
    ) -> None:
        self.request = request
        self._venue = venue
        self._call = call
        self._task = task
        self._read = read

    def release(self) -> None:
        """See trading.Prepared. Counts against the venue's order limits by whoever prepared it."""
        self._call.release()

    async def outcome(self) -> Outcome:
        """See trading.Prepared. When the waiting is cancelled so is the call: what it did stays unknown."""
        try:
            await asyncio.wait({self._task})
        except asyncio.CancelledError:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            raise
        return self._concluded()

    async def abandon(self, why: str) -> NeverSent:
        """See trading.Prepared."""
        self._call.abandon(why)
        await asyncio.gather(self._task, return_exceptions=True)
        return NeverSent(why=why)

    def _concluded(self) -> Outcome:
        return concluded(self._venue, self._call, self._task, self._read)

    async def until_ready(self) -> NeverSent | None:
        """Wait until the order is signed and has its connection; why not, when it will never be.

        When this waiting is cancelled the order is dropped.
        """
        ready = self._call.ready
        try:
            await asyncio.wait({self._task, ready}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self._call.abandon("cancelled while it was prepared")
            await asyncio.gather(self._task, return_exceptions=True)
            raise
        if ready.done():
            return None
        found = self._concluded()
        return found if isinstance(found, NeverSent) else None


def concluded(venue: str, call: Call, task: asyncio.Task[Any], read: Read) -> Outcome:
    """What a call of ccxt that has ended proves of its order."""
    if task.cancelled():
        if call.released or call.stray:
            return Unknown(why="cancelled after it was let go")
        return NeverSent(why="cancelled before it was let go")
    error = task.exception()
    if error is None:
        return read(task.result())
    # let go a moment after it had been dropped: dropped it was
    if isinstance(error, HeldTooLong | Abandoned):
        return NeverSent(why=str(error))
    return judge_order(venue, call.failure(error))


async def hold(
    venue: str, request: OrderRequest, marker: str, order: Callable[[], Coroutine[Any, Any, Any]], read: Read
) -> HeldOrder | NeverSent:
    """Start a ccxt order and bring it to its connection. `marker`: the id by which its request is known."""
    call = Call(marker)
    context = contextvars.copy_context()
    context.run(CALL.set, call)
    task = asyncio.get_running_loop().create_task(order(), context=context)
    held = HeldOrder(venue, request, call, task, read)
    refused = await held.until_ready()
    return held if refused is None else refused


async def noted(work: Coroutine[Any, Any, Any]) -> tuple[Any, BaseException | None, Call]:
    """Await a ccxt call that is no order, with what was noted on the wire. Raises cancellation only."""
    call = Call()
    token = CALL.set(call)
    try:
        return await work, None, call
    except Exception as error:  # noqa: BLE001 - ccxt reads fields unchecked: anything may come out
        return None, error, call
    finally:
        CALL.reset(token)


class Counted:
    """A held order whose release counts against the venue's order limits."""

    def __init__(self, held: Prepared, place: Place) -> None:
        self.request = held.request
        self._held = held
        self._place = place

    def release(self) -> None:
        """See trading.Prepared."""
        self._held.release()
        self._place.budget.sent()

    async def outcome(self) -> Outcome:
        """See trading.Prepared."""
        return await self._held.outcome()

    async def abandon(self, why: str) -> NeverSent:
        """See trading.Prepared."""
        return await self._held.abandon(why)
