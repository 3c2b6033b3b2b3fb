"""The end of a demo: nothing more is opened, and its last words wait for the books.

The books are told every two seconds and lag behind the pairs by as much; a fee or a payment of the last
second is compared with the accounts a moment later. A summary of what is known then would count what is half
booked.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from typing import TYPE_CHECKING, Final

from libs.common.bus import BusUnavailable
from libs.common.clock import mono_us, wall_us
from libs.common.instant import US_PER_MS, US_PER_SEC
from libs.common.messages import Command, encode
from libs.common.subjects import command
from libs.console.commanding import GATHER_SEC, actor

if TYPE_CHECKING:
    from libs.console.stack import Stack

log = logging.getLogger(__name__)

SETTLE_SEC: Final = 15.0
"""At most; an account whose residual is not known by then has none in the summary."""
REFUSED_SEC: Final = 30.0
"""So much longer when a venue refused its records: request budgets run for a minute, and free up by then."""
REFUSED: Final = "cannot be read"
"""In the executor's problems: an account, or the books of a venue."""
LOOK_EVERY_SEC: Final = 0.1


async def settle(stack: Stack, *, at_most_sec: float = SETTLE_SEC, refused_sec: float = REFUSED_SEC) -> bool:
    """Pause openings, then wait until books, pairs and accounts agree on one moment; whether they did.

    `refused_sec`: waited besides when the executor says meanwhile that a venue refuses what is compared.
    """
    end_us, began_us = mono_us() + int(at_most_sec * US_PER_SEC), wall_us()
    trades = stack.watch.trades
    if trades.books is None:  # no executor that was ever ready to trade
        return False
    await _pause(stack)
    refused = False
    while not trades.is_final(began_us):
        if not refused and _is_refused(stack):
            refused, end_us = True, end_us + int(refused_sec * US_PER_SEC)
        if mono_us() >= end_us:
            return False
        stack.check()
        await asyncio.sleep(LOOK_EVERY_SEC)
    return True


def _is_refused(stack: Stack) -> bool:
    beat = stack.watch.services.get("executor")
    return beat is not None and any(REFUSED in problem for problem in beat.problems)


async def _pause(stack: Stack) -> None:
    """Nothing is opened from now on; without an answer it is waited all the same."""
    if stack.bus is None:
        return
    said = Command(
        reason="the demo ends", actor=actor(), id=secrets.token_hex(8), ts_ms=wall_us() // US_PER_MS
    )
    try:
        await stack.bus.request(command("pause"), encode(said), timeout_sec=GATHER_SEC)
    except (BusUnavailable, TimeoutError) as error:
        log.warning("openings are not paused: %s", error)
