"""nats-py with the cures for what was measured to go wrong, and a short cut for speed.

Everything here leans on internals of nats-py 2.16.0 (pinned in pyproject). The cures are small overrides
that call the original; the short cut (`write`, inline dispatch) is used only with exactly that version.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import ParseResult

from nats import errors
from nats.aio import client as nats_client
from nats.aio.client import Srv
from nats.aio.transport import TcpTransport

log = logging.getLogger(__name__)

FAST_PATH_VERSION: Final = "2.16.0"
TCP_USER_TIMEOUT_MS: Final = 2_000

Deliver = Callable[[str, str, bytes], None]
"""(subject, reply, payload)"""


def fast_path_fits(version: str = nats_client.__version__) -> bool:
    """Whether the installed nats-py is the one whose internals the short cut knows."""
    if version == FAST_PATH_VERSION:
        return True
    log.warning("nats-py %s is not %s: the slower ordinary path is used", version, FAST_PATH_VERSION)
    return False


class Transport(TcpTransport):
    """A TCP transport that never outlives its peer.

    `TCP_USER_TIMEOUT` ends a connection whose bytes stay unacknowledged; closing drops what is unsent,
    because `wait_closed` else waits for a dead peer to take it (nats-io/nats.py#671), or a peer that
    thaws gets stale messages. Flush first when they matter.
    """

    async def connect(self, uri: ParseResult, buffer_size: int, connect_timeout: int) -> None:
        await super().connect(uri, buffer_size, connect_timeout)
        if self._io_writer is not None and hasattr(socket, "TCP_USER_TIMEOUT"):
            self._io_writer.get_extra_info("socket").setsockopt(
                socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, TCP_USER_TIMEOUT_MS
            )

    def __bool__(self) -> bool:
        return True  # nats-py puts its own transport in the place of one that says False

    def close(self) -> None:
        if self._io_writer is not None:
            self._io_writer.transport.abort()

    @property
    def unsent_bytes(self) -> int:
        """Bytes given to `write` that the kernel has not taken yet."""
        return 0 if self._io_writer is None else self._io_writer.transport.get_write_buffer_size()


class Client(nats_client.Client):
    """A connection that reports its own death and drops stale output."""

    def __init__(self, *, on_broken: Callable[[str], None]) -> None:
        super().__init__()
        self._on_broken = on_broken
        self.inline: dict[int, Deliver] = {}

    @property
    def next_sid(self) -> int:
        """The id that the next subscription will get."""
        return self._sid + 1

    @property
    def unsent_bytes(self) -> int:
        """What was published and has not left this process."""
        waiting = self._transport.unsent_bytes if isinstance(self._transport, Transport) else 0
        return waiting + sum(map(len, self._pending))

    def drop_unsent(self) -> None:
        """Forget output of the lost connection: nats-py would send it after the next connect.

        Subscriptions are replayed from their own list, so nothing but stale messages is lost.
        """
        self._pending = []
        self._pending_data_size = 0

    def write(self, frame: bytes) -> None:
        """Give one protocol frame to the socket now, after what is waiting: no task, no queue."""
        if self._pending:
            frame = b"".join((*self._pending, frame))
            self.drop_unsent()
        if self._transport is not None:
            self._transport.write(frame)

    async def _connect_to_server(self, s: Srv) -> None:
        if self._transport is None:
            self._transport = Transport()  # type: ignore[no-untyped-call]  # its __init__ lacks "-> None"
        await super()._connect_to_server(s)

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:  # noqa: FBT001, FBT002 - nats-py's signature
        wants_tls = self._current_server is not None and self._current_server.uri.scheme == "tls"
        if initial_connection and wants_tls and not info.get("tls_required"):
            raise errors.Error("nats: the server offers no TLS, and the password will not go in clear")
        await super()._process_info(info, initial_connection)

    async def _send_ping(self, future: asyncio.Future[bool] | None = None) -> None:
        # nats-py writes PING past what its flusher has not written yet: a flush would vouch for too little.
        if self._pending:
            self.write(b"")
        await super()._send_ping(future)

    async def _process_pong(self) -> None:
        # A flush that gave up has cancelled its future, and setting it would end the read loop.
        if self._pongs and self._pongs[0].done():
            self._pongs[0] = asyncio.get_running_loop().create_future()
        await super()._process_pong()

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes) -> None:
        deliver = self.inline.get(sid)
        if deliver is None or headers:
            await super()._process_msg(sid, subject, reply, data, headers)
            return
        self.stats["in_msgs"] += 1
        self.stats["in_bytes"] += len(data)
        deliver(subject.decode("utf-8", "replace"), reply.decode("utf-8", "replace"), data)

    async def _attempt_reconnect(self) -> None:
        try:
            await super()._attempt_reconnect()
        except Exception as error:
            # nats-py catches what it expects; anything else would leave it "reconnecting" for ever.
            log.exception("reconnecting to NATS ended in an unforeseen error")
            self._on_broken(f"reconnecting failed: {type(error).__name__}: {error}")
