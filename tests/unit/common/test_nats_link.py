from __future__ import annotations

import asyncio

from libs.common.nats_link import _ended


async def test_an_attempt_that_loses_its_cancellation_is_cancelled_again() -> None:
    """The client's `asyncio.wait_for` swallows one that comes as a connect fails (before Python 3.12)."""
    lost = 0

    async def stubborn() -> None:
        nonlocal lost
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                if lost == 2:
                    raise
                lost += 1

    attempt = asyncio.ensure_future(stubborn())
    await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await _ended(attempt)
    assert attempt.cancelled()
    assert lost == 2
