"""A link between two processes, through us: it passes, crawls, freezes one way or both, or is cut.

Every service has a link of its own to the broker and the store, and who trades has one to the venue, so that
any two can be parted while all others talk on. TCP only: what goes through stays as it is, TLS included.
Bounded: at most `CONNECTIONS_MAX` connections, and one chunk of each way of each is held here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from enum import StrEnum
from typing import Final

CHUNK: Final = 65_536
CONNECTIONS_MAX: Final = 128
LOOPBACK: Final = "127.0.0.1"


class Way(StrEnum):
    """`UP`: from the client to the server."""

    UP = "up"
    DOWN = "down"


BOTH: Final = (Way.UP, Way.DOWN)
Hear = Callable[[Way, bytes], None]


class Link:
    """Listens on a port of its own (`listen`) before `port` of this machine.

    `hear` is told what was handed on.
    """

    def __init__(self, port: int, *, hear: Hear | None = None, listen: int = 0) -> None:
        self._server_port = port
        self._listen = listen
        self._hear = hear
        self._listener: asyncio.Server | None = None
        self._pipes: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._flows = {way: asyncio.Event() for way in Way}
        self._cut = False
        self._delay_sec = 0.0
        self._bytes_per_sec = 0.0
        self.refused = 0
        self.heal()

    @property
    def port(self) -> int:
        """Where clients come in."""
        assert self._listener is not None
        return int(self._listener.sockets[0].getsockname()[1])

    @property
    def is_cut(self) -> bool:
        """Whether nobody comes through at all."""
        return self._cut

    # --- what befalls it --------------------------------------------------------------------------

    def heal(self) -> None:
        """All passes again; what was held back by a freeze comes late, as on a real network."""
        self._cut, self._delay_sec, self._bytes_per_sec = False, 0.0, 0.0
        for flow in self._flows.values():
            flow.set()

    def cut(self) -> None:
        """All connections end, and new ones end at once, until it heals."""
        self._cut = True
        self._abort()

    def freeze(self, *ways: Way) -> None:
        """Not one more byte goes these ways (both when none is named); connections stay open."""
        for way in ways or BOTH:
            self._flows[way].clear()

    def slow(self, *, delay_sec: float, bytes_per_sec: float) -> None:
        """Each chunk of each way comes later, and no faster than that."""
        self._delay_sec, self._bytes_per_sec = delay_sec, bytes_per_sec

    # --- life ----------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Listen."""
        self._listener = await asyncio.start_server(self._accept, LOOPBACK, self._listen, limit=CHUNK)

    async def close(self) -> None:
        """End everything."""
        assert self._listener is not None
        self._listener.close()
        self._abort()
        for pipe in tuple(self._pipes):
            pipe.cancel()
        await asyncio.gather(*self._pipes, return_exceptions=True)

    def _abort(self) -> None:
        for writer in tuple(self._writers):
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if self._cut or len(self._pipes) >= CONNECTIONS_MAX:
            self.refused += 1
            writer.transport.abort()
            return
        self._pipes.add(task)
        try:
            # cancelled by `close` alone; asyncio's streams complain of tasks that end so (3.11)
            with suppress(OSError, asyncio.CancelledError):
                await self._join(reader, writer)
        finally:
            self._pipes.discard(task)
            writer.close()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection(LOOPBACK, self._server_port, limit=CHUNK)
        self._writers |= {writer, up_writer}
        ways = {
            asyncio.create_task(self._pump(Way.UP, reader, up_writer)),
            asyncio.create_task(self._pump(Way.DOWN, up_reader, writer)),
        }
        try:
            if not self._cut:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            self._writers -= {writer, up_writer}
            up_writer.close()

    async def _pump(self, way: Way, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        """Until one end closes. What was read before a freeze is not handed on within it."""
        while data := await source.read(CHUNK):
            if self._delay_sec or self._bytes_per_sec:
                crawl_sec = len(data) / self._bytes_per_sec if self._bytes_per_sec else 0.0
                await asyncio.sleep(self._delay_sec + crawl_sec)
            await self._flows[way].wait()
            target.write(data)
            if self._hear is not None:
                self._hear(way, data)
            await target.drain()


@asynccontextmanager
async def link_to(port: int, *, hear: Hear | None = None) -> AsyncIterator[Link]:
    """A link that is open in between."""
    link = Link(port, hear=hear)
    await link.open()
    try:
        yield link
    finally:
        await link.close()
