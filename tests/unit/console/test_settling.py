"""The end of a demo: how long its summary waits for a comparison, and that it waits no longer."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from libs.common.bus import Frame
from libs.common.clock import wall_us
from libs.common.instant import US_PER_SEC
from libs.common.messages import ServiceHealth, encode
from libs.common.messages_exec import BookSummary
from libs.console.settling import settle
from libs.console.watch import Watch

SOON_SEC = 0.3
REFUSAL = "binance: its books cannot be read: the request weight of this minute is used up"


def stack_of(*problems: str) -> Any:
    """As much of a stack as is looked at: no bus, and an executor with these problems."""
    watch = Watch(started_us=wall_us())
    beat = ServiceHealth(
        service="executor",
        ok=not problems,
        problems=problems,
        build="test",
        pid=1,
        uptime_sec=1.0,
        lag_ms=0.0,
        inbox_depth=0,
        wall_us=wall_us(),
    )
    watch.feed(Frame(subject="sys.health.executor", payload=encode(beat), recv_us=wall_us()))
    watch.trades.take_books(BookSummary(pnl=watch.trades.pnl(""), market_ms=0, wall_us=wall_us()))
    return SimpleNamespace(watch=watch, bus=None, check=lambda: None)


async def compared(stack: Any, *, after_sec: float) -> None:
    """The books are told anew, with a figure."""
    await asyncio.sleep(after_sec)
    stack.watch.trades.take_books(
        BookSummary(
            pnl=stack.watch.trades.pnl(""),
            residual_usd=Decimal(0),
            market_ms=0,
            wall_us=wall_us() + 3 * US_PER_SEC,
        )
    )


async def test_a_comparison_that_comes_in_time_ends_the_wait() -> None:
    stack = stack_of()
    coming = asyncio.create_task(compared(stack, after_sec=SOON_SEC))
    assert await settle(stack, at_most_sec=60.0)
    await coming


async def test_without_a_refusal_it_is_waited_no_longer() -> None:
    assert not await settle(stack_of("no permit"), at_most_sec=SOON_SEC, refused_sec=60.0)


async def test_a_venue_that_refuses_its_records_is_waited_for_but_not_for_ever() -> None:
    stack = stack_of(REFUSAL)
    coming = asyncio.create_task(compared(stack, after_sec=2 * SOON_SEC))
    assert await settle(stack, at_most_sec=SOON_SEC, refused_sec=60.0)
    await coming
    assert not await settle(stack_of(REFUSAL), at_most_sec=SOON_SEC, refused_sec=SOON_SEC)
