"""Those who do not read: a frozen subscriber and a slow one; nobody else waits for them."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from libs.common.clock import mono_us, wall_us
from libs.common.instant import US_PER_SEC
from libs.common.nats_bus import NatsBus
from tests.helpers.buses import connected, reconnects
from tests.helpers.servers import RealServer, eventually, freeze, real_nats


@pytest.fixture
async def server() -> AsyncIterator[RealServer]:
    with real_nats() as nats:
        yield await nats.ready()


FROZEN_SUBSCRIBER = """
import asyncio, sys
from libs.common.nats_bus import NatsBus

async def main():
    bus = NatsBus(sys.argv[1], name="dashboard")
    await bus.connect()
    def show(frame):
        if frame.subject == "md.fresh":
            print("fresh", sum(one.reconnects for one in bus.counters.values()), flush=True)
    await bus.subscribe("md.>", show)
    print("ready", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


class Dashboard:
    """A subscriber to everything, in a process of its own that can be frozen."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def words(self) -> list[bytes]:
        assert self._process.stdout is not None
        async with asyncio.timeout(30):
            return (await self._process.stdout.readline()).split()

    def freeze(self) -> None:
        freeze(self._process.pid)

    def thaw(self) -> None:
        os.kill(self._process.pid, signal.SIGCONT)

    async def reconnects_when_fresh(self, feed: NatsBus) -> int:
        """Publish until it hears something new; how often it has reconnected by then."""
        answer = asyncio.ensure_future(self.words())
        while not answer.done():
            feed.publish("md.fresh", b"")
            await asyncio.wait((answer,), timeout=0.1)
        word, count = answer.result()
        assert word == b"fresh"
        return int(count)


@asynccontextmanager
async def dashboard(url: str) -> AsyncIterator[Dashboard]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", FROZEN_SUBSCRIBER, url, stdout=asyncio.subprocess.PIPE
    )
    try:
        made = Dashboard(process)
        assert await made.words() == [b"ready"]
        yield made
    finally:
        process.kill()
        await process.wait()


def slow_deadline(config: str) -> str:
    # Longer than the test: what keeps the others going must not be that the frozen one was thrown out.
    assert 'write_deadline: "2s"' in config
    return config.replace('write_deadline: "2s"', 'write_deadline: "10s"')


async def test_a_frozen_subscriber_stalls_nobody_and_hears_the_news_when_it_thaws() -> None:
    """Without `no_fast_producer_stall` the publisher is held up for seconds, or cut off."""
    with real_nats(slow_deadline) as server:
        await server.ready()
        async with (
            connected(server.url, "feed") as (feed, _),
            connected(server.url, "signal") as (reader, _),
            dashboard(server.url) as frozen,
        ):
            latencies_us: list[int] = []
            await reader.subscribe(
                "md.quote.>", lambda frame: latencies_us.append(frame.recv_us - int(frame.payload[:16]))
            )
            frozen.freeze()
            sent = 0
            started_us = mono_us()
            while mono_us() - started_us < 3.5 * US_PER_SEC:
                for _ in range(40):
                    assert feed.publish("md.quote.okx.X", b"%016d" % wall_us() + b"x" * 60_000)
                    sent += 1
                await asyncio.sleep(0.01)
            await feed.flush()
            await eventually(lambda: len(latencies_us) == sent)
            assert max(latencies_us) < 1.5 * US_PER_SEC  # 0.04 s; 2.6 s without the setting
            assert reconnects(feed) == reconnects(reader) == 0
            frozen.thaw()
            await frozen.reconnects_when_fresh(feed)


async def test_a_slow_consumer_is_cut_off_and_comes_back_by_itself(server: RealServer) -> None:
    async with connected(server.url, "feed") as (feed, _), dashboard(server.url) as slow:
        slow.freeze()
        async with asyncio.timeout(30):
            while "Slow Consumer" not in server.spec.log.read_text():  # write_deadline
                for _ in range(40):
                    assert feed.publish("md.quote.okx.X", b"x" * 60_000)
                await asyncio.sleep(0.02)
        slow.thaw()
        assert await slow.reconnects_when_fresh(feed) >= 1
        assert reconnects(feed) == 0
