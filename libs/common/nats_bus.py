"""`NatsBus`: the bus over a real NATS server.

Two connections, one for control and one for market data, so that a backlog of ticks cannot delay a halt.
Every setting here cures a measured fault and has a test in `tests/integration/test_nats_*.py`.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as NatsSubscription

from libs.common import subjects
from libs.common.access import BUS, inbox_of
from libs.common.bus import INBOX, BusUnavailable, Frame, Handler, check_pattern, check_subject, matches
from libs.common.nats_client import fast_path_fits
from libs.common.nats_link import CLOSE_TIMEOUT_SEC, Counters, NatsLink, parse_url
from libs.common.subjects import Channel

log = logging.getLogger(__name__)

T = TypeVar("T")

NO_SUBSCRIBER: Final = "503"

_DATA_PROBES: Final = ("md.x", "md.x.x", "md.x.x.x", "signal.evaluation", "signal.opportunity.x")


def channel_of_pattern(pattern: str) -> Channel:
    """A subscription that takes any market data takes all on that connection, and leaves control quick."""
    if any(matches(pattern, probe) for probe in _DATA_PROBES):
        return Channel.DATA
    return subjects.channel_of(pattern)


class BusSubscription:
    """A live subscription of a `NatsBus`."""

    def __init__(self, link: NatsLink, subscription: NatsSubscription) -> None:
        self._link = link
        self._subscription = subscription

    async def close(self) -> None:
        await self._link.unsubscribe(self._subscription)


class NatsBus:
    """`Bus` over NATS. `url` may hold credentials; they are never shown.

    - `inbox_prefix`: the user's private one, `_INBOX_feed` say, where the server grants no other
    - `on_state`: told when both connections are up, and when one is lost
    - `on_fatal`: told once, in words, of what no retry cures (a permission missing, a connection
      closed for good); the service ends, and its supervisor starts it again
    """

    def __init__(
        self,
        url: str,
        *,
        name: str,
        inbox_prefix: str | None = None,
        connect_timeout_sec: float = 10.0,
        on_state: Callable[[bool], None] | None = None,
        on_fatal: Callable[[str], None] | None = None,
        fast: bool = True,
    ) -> None:
        self._address = parse_url(url)
        user = self._address.user
        if inbox_prefix is None:  # a user of the access table may hear answers in its own inbox alone
            inbox_prefix = inbox_of(user) if user in BUS else INBOX
        if not inbox_prefix.startswith(INBOX):
            raise ValueError(f"an inbox prefix starts with {INBOX}, unlike {inbox_prefix!r}")
        check_subject(inbox_prefix)
        self._timeout_sec = connect_timeout_sec
        self.on_state = on_state
        self.on_fatal = on_fatal
        self.fast = fast and fast_path_fits()
        self._name = name
        self._links = self._new_links()
        self._told = False
        self._fatal = ""
        self._closed = False
        self._inbox = f"{inbox_prefix}.{secrets.token_hex(8)}"
        self._inbox_ready: asyncio.Lock = asyncio.Lock()
        self._inbox_open = False
        self._tokens = itertools.count(1)
        self._waiting: dict[str, Callable[[Frame | None], None]] = {}

    def _new_links(self) -> dict[Channel, NatsLink]:
        return {
            channel: NatsLink(self._address, name=self._name, channel=channel, fast=self.fast, owner=self)
            for channel in Channel
        }

    @property
    def connected(self) -> bool:
        return all(link.connected for link in self._links.values())

    @property
    def counters(self) -> dict[Channel, Counters]:
        """Per connection, live."""
        return {channel: link.counters for channel, link in self._links.items()}

    async def connect(self) -> None:
        if self._closed:
            raise BusUnavailable("this bus was closed; make a new one")
        outcomes = await asyncio.gather(
            *(link.connect(self._timeout_sec) for link in self._links.values()), return_exceptions=True
        )
        failed = next((one for one in outcomes if isinstance(one, BaseException)), None)
        if failed is not None:
            # a connection is good for one attempt; who waits for the server asks again
            old, self._links = self._links, self._new_links()
            await asyncio.gather(*(link.close() for link in old.values()))
            raise failed
        self.state_may_have_changed()

    def publish(self, subject: str, payload: bytes, *, reply: str = "") -> bool:
        check_subject(subject)
        if reply:
            check_subject(reply)
        return self._links[subjects.channel_of(subject)].publish(subject, payload, reply)

    async def subscribe(self, pattern: str, handler: Handler) -> BusSubscription:
        check_pattern(pattern)
        link = self._links[channel_of_pattern(pattern)]
        subscription = BusSubscription(link, await link.subscribe(pattern, handler))
        try:
            await link.flush()
        except BusUnavailable:
            await subscription.close()
            raise
        return subscription

    async def request(self, subject: str, payload: bytes, *, timeout_sec: float) -> Frame:
        first: asyncio.Future[Frame | None] = asyncio.get_running_loop().create_future()

        def take(frame: Frame | None) -> None:
            if not first.done():
                first.set_result(frame)

        with self._expect(take) as inbox:
            await self._ask(subject, payload, inbox)
            await asyncio.wait((first,), timeout=timeout_sec)
        if not first.done():
            raise BusUnavailable(f"no answer on {subject} within {timeout_sec:g} s")
        frame = first.result()
        if frame is None:
            raise BusUnavailable(f"nobody answers on {subject}")
        return frame

    async def gather(self, subject: str, payload: bytes, *, timeout_sec: float) -> list[Frame]:
        frames: list[Frame] = []
        nobody: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def take(frame: Frame | None) -> None:
            if frame is not None:
                frames.append(frame)
            elif not nobody.done():
                nobody.set_result(None)

        with self._expect(take) as inbox:
            await self._ask(subject, payload, inbox)
            await asyncio.wait((nobody,), timeout=timeout_sec)
        return frames

    async def flush(self) -> None:
        await asyncio.gather(*(link.flush() for link in self._links.values()))

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        receipts = [link.flush() for link in self._links.values() if link.connected]
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_SEC):
                await asyncio.gather(*receipts)
        except (BusUnavailable, TimeoutError) as error:
            log.warning("leaving NATS without its receipt: %s", str(error) or "no answer in time")
        await asyncio.gather(*(link.close() for link in self._links.values()))
        self.state_may_have_changed()

    def state_may_have_changed(self) -> None:
        """Called by the connections."""
        connected = self.connected
        if connected == self._told:
            return
        self._told = connected
        log.log(
            logging.INFO if connected or self._closed else logging.WARNING,
            "%s NATS at %s", "connected to" if connected else "lost", self._address.text,
        )  # fmt: skip
        if self.on_state is not None:
            _guarded(self.on_state, connected)

    def fatal(self, text: str) -> None:
        """Called by the connections, in a loop of nats-py that an exception would end."""
        if self._fatal or self._closed:
            return
        self._fatal = text
        log.critical("NATS at %s: %s", self._address.text, text)
        if self.on_fatal is not None:
            _guarded(self.on_fatal, text)

    def answered_by_nobody(self, message: Msg) -> bool:
        """Whether this is the server's word that a request has no subscriber; its asker is told."""
        if message.data or not message.headers or message.headers.get("Status") != NO_SUBSCRIBER:
            return False
        self._answer(message.subject, None)
        return True

    async def _ask(self, subject: str, payload: bytes, inbox: str) -> None:
        await self._open_inbox()
        if not self.publish(subject, payload, reply=inbox):
            raise BusUnavailable(
                f"the request on {subject} could not be sent to NATS at {self._address.text}"
            )

    async def _open_inbox(self) -> None:
        async with self._inbox_ready:
            if not self._inbox_open:
                await self.subscribe(f"{self._inbox}.*", lambda frame: self._answer(frame.subject, frame))
                self._inbox_open = True

    def _answer(self, subject: str, frame: Frame | None) -> None:
        take = self._waiting.get(subject)
        if take is not None:  # else it came too late
            take(frame)

    @contextmanager
    def _expect(self, take: Callable[[Frame | None], None]) -> Iterator[str]:
        inbox = f"{self._inbox}.{next(self._tokens)}"
        self._waiting[inbox] = take
        try:
            yield inbox
        finally:
            del self._waiting[inbox]


def _guarded(callback: Callable[[T], None], value: T) -> None:
    try:
        callback(value)
    except Exception:
        log.exception("a callback of the bus raised")
