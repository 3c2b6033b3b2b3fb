"""The floor's other two wires, by hand: RESP to the store, and one TLS connection for signed bytes.

As little as carries a request: nothing to use, something to compare with.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable
from typing import cast
from urllib.parse import urlsplit

from libs.common.redis_scripts import TRANSITION, flat
from libs.common.store import Transition


class RawRedis(asyncio.Protocol):
    """One connection, one command at a time. An error answer is raised; the bytes of any other are given."""

    def __init__(self) -> None:
        self._transport: asyncio.WriteTransport | None = None
        self._buffer = b""
        self._answer: asyncio.Future[bytes] | None = None

    @classmethod
    async def connect(cls, url: str) -> RawRedis:
        """To a server of the embedded kind (user and password in the URL), which learns the script."""
        parts = urlsplit(url)
        loop = asyncio.get_running_loop()
        _, client = await loop.create_connection(cls, parts.hostname or "127.0.0.1", parts.port or 6379)
        login = [parts.username] if parts.username else []
        await client.ask(packed(["AUTH", *login, parts.password or ""]))
        await client.ask(packed(["SCRIPT", "LOAD", TRANSITION.text]))
        return client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)

    def ask(self, command: bytes) -> asyncio.Future[bytes]:
        """Send a packed command; done with its answer."""
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(command)
        return self._answer

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not whole(self._buffer):
            return
        answer, self._buffer = self._buffer, b""
        if self._answer is None or self._answer.done():
            return
        if answer.startswith((b"-", b"*3\r\n:-1")):
            self._answer.set_exception(ConnectionError(answer.decode()))
        else:
            self._answer.set_result(answer)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


def whole(answer: bytes) -> bool:
    """Whether an answer is there to its end: a line, a bulk string, or an array of these."""
    at, wanted = 0, 1
    while wanted:
        end = answer.find(b"\r\n", at)
        if end < 0:
            return False
        kind, figure = answer[at : at + 1], answer[at + 1 : end]
        at, wanted = end + 2, wanted - 1
        if kind == b"*":
            wanted += int(figure)
        elif kind == b"$" and int(figure) >= 0:
            at += int(figure) + 2
    return at <= len(answer)


def packed(parts: Iterable[bytes | str | int]) -> bytes:
    """A command in RESP."""
    said = [one if isinstance(one, bytes) else str(one).encode() for one in parts]
    return b"*%d\r\n" % len(said) + b"".join(b"$%d\r\n%b\r\n" % (len(one), one) for one in said)


def evalsha(change: Transition, prefix: str) -> bytes:
    """One atomic change as the store's own script takes it."""
    return packed(["EVALSHA", TRANSITION.sha, 0, prefix, *flat(change)])


def repeatable(change: Transition) -> Transition:
    """The same writes without the conditions under which they may happen: for a prefix of their own."""
    return Transition(
        writes=change.writes,
        hash_writes=change.hash_writes,
        set_adds=change.set_adds,
        appends=change.appends,
    )


class RawOrders(asyncio.Protocol):
    """One TLS connection to the venue; `answer`: to the last request, `heard` when it has come."""

    def __init__(self) -> None:
        self._transport: asyncio.WriteTransport | None = None
        self.answer = b""
        self.heard = asyncio.Event()

    @classmethod
    async def connect(cls, port: int, ca_path: str, host: str) -> RawOrders:
        """By the venue's own certificate, as the real client does it."""
        context = ssl.create_default_context(cafile=ca_path)
        _, client = await asyncio.get_running_loop().create_connection(
            cls, "127.0.0.1", port, ssl=context, server_hostname=host
        )
        return client

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)

    def write(self, request: bytes) -> None:
        """In this turn of the loop."""
        assert self._transport is not None
        self.answer = b""
        self.heard.clear()
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self.answer += data
        if data.endswith(b"}"):
            self.heard.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None

    @property
    def is_open(self) -> bool:
        return self._transport is not None and not self._transport.is_closing()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
