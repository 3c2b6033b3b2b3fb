"""The floor: a NATS client written by hand, as little of it as carries a message.

Text protocol only, no reconnect, no limits, no checks: nothing to use, something to compare with.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import cast
from urllib.parse import urlsplit

OnMessage = Callable[[bytes], None]


class RawNats(asyncio.Protocol):
    """Connected by `connect`; messages of the one subscription come to `on_message`."""

    def __init__(self, user: str | None, password: str | None) -> None:
        self._user, self._password = user, password
        self._buffer = b""
        self._transport: asyncio.WriteTransport | None = None
        self._pongs: list[asyncio.Future[None]] = []
        self._ready = asyncio.get_running_loop().create_future()
        self.on_message: OnMessage = lambda _payload: None

    @classmethod
    async def connect(cls, url: str) -> RawNats:
        """To a server of the embedded kind: user and password in the URL."""
        parts = urlsplit(url)
        loop = asyncio.get_running_loop()
        _, client = await loop.create_connection(
            lambda: cls(parts.username, parts.password), parts.hostname or "127.0.0.1", parts.port or 4222
        )
        await client._ready
        await client.flush()
        return client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)  # uvloop's is not registered as one

    def publish(self, subject: bytes, payload: bytes) -> None:
        self._write(b"PUB %b %d\r\n%b\r\n" % (subject, len(payload), payload))

    async def subscribe(self, pattern: bytes, on_message: OnMessage) -> None:
        self.on_message = on_message
        self._write(b"SUB %b 1\r\n" % pattern)
        await self.flush()

    async def flush(self) -> None:
        pong = asyncio.get_running_loop().create_future()
        self._pongs.append(pong)
        self._write(b"PING\r\n")
        await pong

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        at = 0
        while (end := buffer.find(b"\r\n", at)) >= 0:
            line = buffer[at:end]
            if line.startswith(b"MSG "):
                length = int(line.rsplit(b" ", 1)[1])
                if len(buffer) < end + 2 + length + 2:
                    break
                self.on_message(buffer[end + 2 : end + 2 + length])
                at = end + 2 + length + 2
                continue
            at = end + 2
            self._control(line)
        self._buffer = buffer[at:]

    def _control(self, line: bytes) -> None:
        if line.startswith(b"PING"):
            self._write(b"PONG\r\n")
        elif line.startswith(b"PONG"):
            self._pongs.pop(0).set_result(None)
        elif line.startswith(b"INFO"):
            login = {"verbose": False, "pedantic": False, "user": self._user, "pass": self._password}
            self._write(b"CONNECT %b\r\n" % json.dumps(login).encode())
            if not self._ready.done():
                self._ready.set_result(None)
        elif line.startswith(b"-ERR"):
            raise ConnectionError(line.decode())

    def _write(self, data: bytes) -> None:
        assert self._transport is not None
        self._transport.write(data)
