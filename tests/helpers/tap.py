"""A tap between a client and a simulated venue: both ends speak TLS, what clients write is kept in clear."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from libs.exchange.redirect import EXCHANGE_HOSTS, Redirect
from services.venue import certificate


class Tap:
    """`written`: bytes of each connection, oldest first."""

    def __init__(self, target: Redirect) -> None:
        self.redirect = target
        self.written: list[bytearray] = []
        self._target = target
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client's connection."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        host = writer.get_extra_info("ssl_object").server_hostname or "api.binance.com"
        trust = ssl.create_default_context(cafile=self._target.ca_path)
        up = await asyncio.open_connection("127.0.0.1", self._target.port, ssl=trust, server_hostname=host)
        kept = bytearray()
        self.written.append(kept)
        ways = [
            asyncio.create_task(_pass_on(reader, up[1], kept)),
            asyncio.create_task(_pass_on(up[0], writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            writer.close()
            up[1].close()

    def posts(self, marker: str) -> list[bytes]:
        """Whole requests with a text in them that clients have written so far."""
        found = []
        for kept in self.written:
            for part in bytes(kept).split(b"POST /")[1:]:
                request = b"POST /" + part.split(b"GET /")[0]
                found += [request] if marker.encode() in request else []
        return found

    async def stop(self) -> None:
        """End all connections."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _pass_on(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, kept: bytearray | None = None
) -> None:
    while data := await reader.read(1 << 16):
        if kept is not None:
            kept += data
        writer.write(data)
        await writer.drain()


@contextlib.asynccontextmanager
async def tapping(target: Redirect) -> AsyncIterator[Tap]:
    """A tap in front of a venue; its `redirect` is where clients go."""
    with tempfile.TemporaryDirectory(prefix="fundarb-tap-") as name:
        authority, context = certificate.in_folder(Path(name), EXCHANGE_HOSTS, since_ms=None)
        tap = Tap(target)
        server = await asyncio.start_server(tap.serve, "127.0.0.1", 0, ssl=context)
        tap.redirect = Redirect(port=server.sockets[0].getsockname()[1], ca_path=str(authority))
        try:
            yield tap
        finally:
            server.close()
            await tap.stop()
            await server.wait_closed()
