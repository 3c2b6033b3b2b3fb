from __future__ import annotations

import asyncio

import pytest

from libs.common.nats_client import Client, Transport
from libs.common.nats_link import _ended


class Written(Transport):
    """A transport that keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # nats-py's lacks "-> None"
        self.taken: list[bytes] = []

    def write(self, payload: bytes) -> None:
        self.taken.append(payload)


async def test_a_ping_does_not_overtake_a_subscription_that_waits() -> None:
    """Its PONG is the receipt for all before it; nats-py's own would vouch for what is still here."""
    client = Client(on_broken=pytest.fail)
    client._transport = wire = Written()
    client._flush_queue = asyncio.Queue()
    await client._send_command(b"SUB cmd.* 1\r\n")
    await client._send_ping()
    assert b"".join(wire.taken) == b"SUB cmd.* 1\r\nPING\r\n"
    assert client._pending == []


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
