"""One connection to NATS: settings, state, publishing, subscriptions. `NatsBus` has two of them."""

from __future__ import annotations

import asyncio
import logging
from typing import Final, Protocol
from urllib.parse import unquote, urlsplit

import msgspec
from nats import errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as NatsSubscription

from libs.common.bus import PAYLOAD_BYTES_MAX, BusUnavailable, Frame, Handler, reply_of
from libs.common.clock import wall_us
from libs.common.nats_client import Client
from libs.common.subjects import Channel

log = logging.getLogger(__name__)

# A frozen server is noticed after (outstanding + 1) intervals at most; the defaults need minutes.
PING_INTERVAL_SEC: Final = 1
PINGS_OUTSTANDING_MAX: Final = 2
RECONNECT_WAIT_SEC: Final = 0.1
CANCEL_AGAIN_SEC: Final = 0.05
CONNECT_TIMEOUT_SEC: Final = 2
FLUSH_TIMEOUT_SEC: Final = 4.0
CLOSE_TIMEOUT_SEC: Final = 2.0


# What may wait for the socket. Control is small and must be fresh; a feed's start says everything at once.
UNSENT_BYTES_MAX: Final = {Channel.CONTROL: 2 * 1024 * 1024, Channel.DATA: 64 * 1024 * 1024}


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """A server's URL taken apart: `text` is safe to show."""

    servers: tuple[str, ...]
    user: str | None
    password: str | None
    text: str


def parse_url(url: str) -> Address:
    """`nats://user:password@host:port`, several with commas between; `ValueError` without the password."""
    parts = [urlsplit(one if "://" in one else f"nats://{one}") for one in url.split(",")]
    if any(part.scheme not in ("nats", "tls") or not part.hostname for part in parts):
        raise ValueError("a NATS URL looks like nats://host:4222 or tls://user:password@host:4222")
    hosts = [f"{part.hostname}:{part.port or 4222}" for part in parts]
    return Address(
        servers=tuple(f"{part.scheme}://{host}" for part, host in zip(parts, hosts, strict=True)),
        user=unquote(parts[0].username) if parts[0].username else None,
        password=unquote(parts[0].password) if parts[0].password else None,
        text=", ".join(hosts),
    )


class Counters(msgspec.Struct, kw_only=True):
    """What a metrics page and a test want to know of one connection."""

    reconnects: int = 0
    refused: int = 0
    oversized: int = 0
    slow_consumer: int = 0
    handler_errors: int = 0
    errors: int = 0


class Owner(Protocol):
    """Whom a connection tells; none of these may raise, since nats-py calls them in its loops."""

    def fatal(self, text: str) -> None: ...

    def state_may_have_changed(self) -> None: ...

    def answered_by_nobody(self, message: Msg) -> bool: ...


async def _ended(attempt: asyncio.Future[None]) -> None:
    """Cancel until it is over: the client's own `wait_for` can lose a cancellation (before Python 3.12) that
    comes as a connect fails, and would then go on trying for ever.
    """
    while not attempt.done():
        attempt.cancel()
        await asyncio.wait((attempt,), timeout=CANCEL_AGAIN_SEC)
    await asyncio.gather(attempt, return_exceptions=True)


class NatsLink:
    """One connection: settings, state, subscriptions."""

    def __init__(self, address: Address, *, name: str, channel: Channel, fast: bool, owner: Owner) -> None:
        self.channel = channel
        self.counters = Counters()
        self._address = address
        self._name = f"{name}/{channel.value}"
        self._fast = fast
        self._owner = owner
        self._started = False
        self._up = False
        self._closing = False
        self._refused_for_good: asyncio.Future[str] | None = None
        self._outbox: asyncio.Queue[tuple[str, bytes, str]] = asyncio.Queue()
        self._outbox_bytes = 0
        self._pump: asyncio.Task[None] | None = None
        self.client = Client(on_broken=owner.fatal)

    @property
    def connected(self) -> bool:
        return self._up and self.client.is_connected

    async def connect(self, timeout_sec: float) -> None:
        """Try until `timeout_sec` is over; a refused password ends it at once."""
        self._started = True
        refused = self._refused_for_good = asyncio.get_running_loop().create_future()
        attempt = asyncio.ensure_future(self._connect())
        await asyncio.wait((attempt, refused), timeout=timeout_sec, return_when=asyncio.FIRST_COMPLETED)
        self._refused_for_good = None
        if attempt.done() and attempt.exception() is None:
            self._up = True
            return
        await _ended(attempt)
        reason = refused.result() if refused.done() else str(self.client.last_error or "no answer")
        await self.close()
        raise BusUnavailable(f"NATS at {self._address.text} cannot be reached: {reason}")

    async def _connect(self) -> None:
        await self.client.connect(
            servers=list(self._address.servers),
            name=self._name,
            user=self._address.user,
            password=self._address.password,
            allow_reconnect=True,
            connect_timeout=CONNECT_TIMEOUT_SEC,
            ping_interval=PING_INTERVAL_SEC,
            max_outstanding_pings=PINGS_OUTSTANDING_MAX,
            max_reconnect_attempts=-1,
            reconnect_time_wait=RECONNECT_WAIT_SEC,  # type: ignore[arg-type]  # annotated int, used as a float
            pending_size=0,  # no publish is kept for later
            error_cb=self._on_error,
            disconnected_cb=self._on_disconnected,
            reconnected_cb=self._on_reconnected,
            closed_cb=self._on_closed,
        )
        await self.client.flush()
        if not self._fast:
            self._pump = asyncio.create_task(self._pump_outbox())
            self._pump.add_done_callback(self._pump_ended)

    def publish(self, subject: str, payload: bytes, reply: str) -> bool:
        if len(payload) > PAYLOAD_BYTES_MAX:
            self.counters.oversized += 1
            log.error("%s has %d bytes, more than %d: not sent", subject, len(payload), PAYLOAD_BYTES_MAX)
            return False
        if not self.connected or self._unsent_bytes >= UNSENT_BYTES_MAX[self.channel]:
            self.counters.refused += 1
            return False
        if self._fast:
            head = (
                f"PUB {subject} {reply} {len(payload)}\r\n" if reply else f"PUB {subject} {len(payload)}\r\n"
            )
            self.client.write(b"%b%b\r\n" % (head.encode(), payload))
        else:
            self._outbox.put_nowait((subject, bytes(payload), reply))
            self._outbox_bytes += len(payload)
        return True

    async def subscribe(self, pattern: str, handler: Handler) -> NatsSubscription:
        """Not flushed yet."""
        if not self.connected:
            raise BusUnavailable(f"not connected to NATS at {self._address.text}")

        def deliver(subject: str, reply: str, payload: bytes) -> None:
            frame = Frame(
                subject=subject, payload=payload, reply=reply_of(reply) if reply else "", recv_us=wall_us()
            )
            try:
                handler(frame)
            except Exception:
                self.counters.handler_errors += 1
                log.exception("a handler raised on %s", subject)

        async def queued(message: Msg) -> None:
            # Also on the fast path: what has headers, and so the server's "nobody subscribes".
            if not self._owner.answered_by_nobody(message):
                deliver(message.subject, message.reply, message.data)

        sid = self.client.next_sid
        if self._fast:
            self.client.inline[sid] = deliver
        try:
            return await self.client.subscribe(pattern, cb=queued)
        except errors.Error as error:
            self.client.inline.pop(sid, None)
            raise BusUnavailable(f"subscribing to {pattern} at {self._address.text}: {error}") from error

    async def unsubscribe(self, subscription: NatsSubscription) -> None:
        self.client.inline.pop(subscription._id, None)  # noqa: SLF001 - nats-py names it nowhere else
        try:
            await subscription.unsubscribe()
        except errors.Error as error:  # closed or draining: it gets nothing any more
            log.debug("unsubscribing: %s", error)

    async def flush(self) -> None:
        if not self.connected:
            raise BusUnavailable(f"not connected to NATS at {self._address.text}")
        try:
            async with asyncio.timeout(FLUSH_TIMEOUT_SEC):
                if self._pump is not None:
                    await self._outbox.join()
                await self.client.flush()
        except (TimeoutError, errors.Error, OSError) as error:
            raise BusUnavailable(f"NATS at {self._address.text} did not answer in time") from error

    async def close(self) -> None:
        self._closing = True
        self._up = False
        if self._pump is not None:
            self._pump.cancel()
        if not self._started:
            return
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_SEC):
                await self.client.close()
        except (TimeoutError, errors.Error, OSError) as error:
            log.warning("closing the connection %s: %s", self._name, error)

    @property
    def _unsent_bytes(self) -> int:
        return self._outbox_bytes + self.client.unsent_bytes

    async def _pump_outbox(self) -> None:
        """The ordinary path: nats-py's own publish, one after the other."""
        while True:
            subject, payload, reply = await self._outbox.get()
            self._outbox_bytes -= len(payload)
            try:
                if self.connected:
                    await self.client.publish(subject, payload, reply=reply)
                else:
                    self.counters.refused += 1
            except (errors.Error, OSError) as error:
                self.counters.refused += 1
                log.debug("publishing %s: %s", subject, error)
            finally:
                self._outbox.task_done()

    def _pump_ended(self, pump: asyncio.Task[None]) -> None:
        if not pump.cancelled() and not self._closing:
            self._owner.fatal(f"publishing ended: {pump.exception()}")

    # nats-py awaits these inside its loops: whatever they raised would end reading for good.

    async def _on_error(self, error: Exception) -> None:
        self.counters.errors += 1
        text = str(error) or type(error).__name__
        if isinstance(error, errors.SlowConsumerError):
            self.counters.slow_consumer += 1
        elif "permissions violation" in text.lower():
            self._owner.fatal(text)
        elif _is_refusal(text) and self._refused_for_good is not None and not self._refused_for_good.done():
            self._refused_for_good.set_result(text)
        log.log(logging.DEBUG if self._closing else logging.WARNING, "%s: %s", self._name, text)

    async def _on_disconnected(self) -> None:
        self._up = False
        self.client.drop_unsent()
        while not self._outbox.empty():
            self._outbox.get_nowait()
            self._outbox.task_done()
            self.counters.refused += 1
        self._outbox_bytes = 0
        self._owner.state_may_have_changed()

    async def _on_reconnected(self) -> None:
        self._up = True
        self.counters.reconnects += 1
        self._owner.state_may_have_changed()

    async def _on_closed(self) -> None:
        self._up = False
        if not self._closing:
            self._owner.fatal(
                f"the server closed the connection: {self.client.last_error or 'no reason given'}"
            )


def _is_refusal(text: str) -> bool:
    return "authorization violation" in text.lower() or "offers no tls" in text.lower()
