"""A TCP proxy that can do to a connection what networks do: fall silent, inject, cut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

CHUNK = 65_536


class Proxy:
    """Stands before a server; `url` is the server's with the proxy's port."""

    def __init__(self, url: str) -> None:
        self._upstream = urlsplit(url)
        self._listener: asyncio.Server | None = None
        self._links: list[_Link] = []
        self.greeting = b""
        """When set, new connections get these bytes and no server."""
        self.said = bytearray()
        """All that clients said, in order of arrival."""

    @property
    def url(self) -> str:
        assert self._listener is not None
        host, port = self._listener.sockets[0].getsockname()[:2]
        login = self._upstream.netloc.rpartition("@")[0]
        return f"{self._upstream.scheme}://{login}@{host}:{port}{self._upstream.path}"

    @property
    def accepted(self) -> int:
        return len(self._links)

    def fall_silent(self) -> None:
        """Existing connections stay open, and not one more byte is taken or given; new ones work."""
        for link in self._links:
            link.silent = True
            link.flowing.clear()

    def fall_silent_down(self) -> None:
        """Existing connections still carry what the client says, and no answer."""
        for link in self._links:
            link.deaf = True

    def cut_on_answer(self) -> None:
        """Existing connections end instead of carrying the next answer."""
        for link in self._links:
            link.cut_next = True

    def inject(self, data: bytes) -> None:
        """Say `data` to every client as if the server had."""
        for link in self._links:
            link.client.write(data)

    def cut(self) -> None:
        """End every connection."""
        for link in self._links:
            link.client.transport.abort()

    async def open(self) -> None:
        self._listener = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=CHUNK)

    async def close(self) -> None:
        assert self._listener is not None
        self._listener.close()
        for link in self._links:
            link.end()
        self._links.clear()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(writer, self.said)
        self._links.append(link)
        if self.greeting:
            writer.write(self.greeting)
            return
        with suppress(OSError, asyncio.CancelledError):
            server_reader, server_writer = await asyncio.open_connection(
                self._upstream.hostname, self._upstream.port, limit=CHUNK
            )
            link.server = server_writer
            await asyncio.gather(link.pump(reader, server_writer), link.pump(server_reader, writer))


class _Link:
    def __init__(self, client: asyncio.StreamWriter, said: bytearray) -> None:
        self.client = client
        self.said = said
        self.server: asyncio.StreamWriter | None = None
        self.silent = False
        self.deaf = False
        self.cut_next = False
        self.flowing = asyncio.Event()
        self.flowing.set()

    async def pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(CHUNK):
                await self.flowing.wait()
                if target is not self.client:
                    self.said += data
                if target is self.client and self.cut_next:
                    self.client.transport.abort()
                    return
                if target is self.client and self.deaf:
                    continue
                target.write(data)
                await target.drain()
        finally:
            if not self.silent:
                target.close()

    def end(self) -> None:
        self.flowing.set()
        self.client.transport.abort()
        if self.server is not None:
            self.server.transport.abort()


@asynccontextmanager
async def proxied(url: str) -> AsyncIterator[Proxy]:
    """A proxy before the server at `url`."""
    proxy = Proxy(url)
    await proxy.open()
    try:
        yield proxy
    finally:
        await proxy.close()
