"""Links between processes: they carry, crawl, freeze either way, are cut, and heal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from libs.common.clock import mono_us
from tests.chaos.links import Link, Way, link_to

Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def echoing() -> AsyncIterator[Link]:
    """A link before a server that says back what it hears."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1_000):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with link_to(server.sockets[0].getsockname()[1]) as link:
        yield link
    server.close()


async def call(ends: Ends, text: bytes, *, sec: float = 5.0) -> bytes:
    ends[1].write(text)
    async with asyncio.timeout(sec):
        return await ends[0].read(1_000)


async def join(link: Link) -> Ends:
    return await asyncio.open_connection("127.0.0.1", link.port)


async def ended(ends: Ends) -> bool:
    """Whether nobody is at the other end any more."""
    try:
        return await call(ends, b"there?") == b""
    except ConnectionError:
        return True


async def test_a_link_carries_and_its_end_is_told() -> None:
    async with echoing() as link:
        ends = await join(link)
        assert await call(ends, b"one") == b"one"
        ends[1].write_eof()
        async with asyncio.timeout(5):
            assert await ends[0].read() == b""


@pytest.mark.parametrize("ways", [(), (Way.UP,), (Way.DOWN,)])
async def test_a_frozen_link_holds_back_and_hands_on_late(ways: tuple[Way, ...]) -> None:
    async with echoing() as link:
        ends = await join(link)
        assert await call(ends, b"one") == b"one"
        link.freeze(*ways)
        with pytest.raises(TimeoutError):
            await call(ends, b"two", sec=0.3)
        link.heal()
        async with asyncio.timeout(5):
            assert await ends[0].read(1_000) == b"two"


async def test_a_cut_link_ends_what_is_open_and_what_comes() -> None:
    async with echoing() as link:
        ends = await join(link)
        assert await call(ends, b"one") == b"one"
        link.cut()
        assert await ended(ends)
        assert await ended(await join(link))
        assert link.refused == 1
        link.heal()
        assert await call(await join(link), b"four") == b"four"


async def test_a_slow_link_takes_its_time() -> None:
    async with echoing() as link:
        ends = await join(link)
        link.slow(delay_sec=0.1, bytes_per_sec=1_000.0)
        begun_us = mono_us()
        assert await call(ends, b"x" * 200) == b"x" * 200
        assert mono_us() - begun_us >= 600_000, "0.1 s and 200 bytes at 1 kB/s, both ways"
