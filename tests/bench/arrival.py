"""A relay in front of a venue that knows when bytes reached the machine: by the kernel's own receive stamps.

A venue's process stamps what it has got around to reading, after whatever it was doing; two requests that
arrive while it works on something else look as far apart as that took. The kernel stamps them as they come
(Linux, SO_TIMESTAMPNS), so the relay may read as late as it likes.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import time
from collections.abc import AsyncIterator
from typing import Final

SO_TIMESTAMPNS: Final = 35
_CHUNK: Final = 1 << 16
_STAMP: Final = struct.Struct("@qq")


class Relay:
    """Passes connections on to a port. `seen`: (connection, kernel stamp in ns) of what clients wrote, in
    order; `told`: (connection, ns) of what they were answered, just before it is handed to their socket.
    """

    def __init__(self, port: int) -> None:
        self.port = 0
        self.seen: list[tuple[int, int]] = []
        self.told: list[tuple[int, int]] = []
        self._target = port
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, listener: socket.socket) -> None:
        """Accept until cancelled."""
        loop = asyncio.get_running_loop()
        number = 0
        while True:
            client, _ = await loop.sock_accept(listener)
            number += 1
            client.setblocking(False)
            client.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            task = loop.create_task(self._pass_on(number, client))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass_on(self, number: int, client: socket.socket) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._target)
        ways = [
            asyncio.ensure_future(self._up(number, client, writer)),
            asyncio.ensure_future(self._down(number, reader, client)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            writer.close()
            client.close()

    async def _up(self, number: int, client: socket.socket, writer: asyncio.StreamWriter) -> None:
        while True:
            await _readable(client)
            data, extra, _, _ = client.recvmsg(_CHUNK, 256)
            if not data:
                return
            for level, kind, stamp in extra:
                if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
                    seconds, nanoseconds = _STAMP.unpack(stamp)
                    self.seen.append((number, seconds * 1_000_000_000 + nanoseconds))
            writer.write(data)

    async def _down(self, number: int, reader: asyncio.StreamReader, client: socket.socket) -> None:
        while data := await reader.read(_CHUNK):
            self.told.append((number, time.time_ns()))
            await asyncio.get_running_loop().sock_sendall(client, data)

    async def stop(self) -> None:
        """End all connections."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _readable(client: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    # the callback may come twice before the reader is taken off
    loop.add_reader(client, lambda: None if ready.done() else ready.set_result(None))
    try:
        await ready
    finally:
        loop.remove_reader(client)


@contextlib.asynccontextmanager
async def relaying(port: int) -> AsyncIterator[Relay]:
    """A relay to `port` on loopback, at `port` of its own."""
    relay = Relay(port)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        relay.port = listener.getsockname()[1]
        task = asyncio.ensure_future(relay.serve(listener))
        try:
            yield relay
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await relay.stop()
