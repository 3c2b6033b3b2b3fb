"""The wire: posts to Feishu and Lark bots, everything else through apprise, the heartbeat.

An answer that does not confirm is a failure (`NotDelivered`); nothing is tried twice here.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Mapping
from typing import Final

import aiohttp
import apprise

from libs.common.clock import wall_us
from libs.common.config.schema import Channel
from libs.common.instant import US_PER_SEC
from libs.common.messages import AlertLevel
from services.notifier import feishu
from services.notifier.model import Notice
from services.notifier.wording import plain
from services.notifier.work import NotDelivered, PingHeartbeat, Send

TIMEOUT_SEC: Final = 15.0
APPRISE_SEC_MAX: Final = 60.0
ANSWER_BYTES_MAX: Final = 64 * 1024
_TYPES: Final = {
    AlertLevel.CRITICAL: apprise.NotifyType.FAILURE,
    AlertLevel.WARNING: apprise.NotifyType.WARNING,
    AlertLevel.INFO: apprise.NotifyType.INFO,
}


class BadChannel(ValueError):
    """A channel whose URL apprise does not understand."""


class Channels:
    """Handlers of `Send` and `PingHeartbeat`."""

    def __init__(self, channels: Mapping[str, Channel], *, heartbeat_url: str = "") -> None:
        self._channels = dict(channels)
        self._heartbeat_url = heartbeat_url
        self._apprise = {name: _opened(name, one) for name, one in channels.items() if one.type == "apprise"}
        self._session: aiohttp.ClientSession | None = None

    async def send(self, request: Send) -> None:
        """Deliver, or raise: `NotDelivered`, OSError, TimeoutError."""
        channel = self._channels[request.channel]
        if channel.type == "feishu":
            await self._post(channel, request.notice)
            return
        service = self._apprise[request.channel]
        async with asyncio.timeout(APPRISE_SEC_MAX):
            await asyncio.to_thread(_notify, service, request.notice)

    async def ping(self, _request: PingHeartbeat) -> None:
        """A GET that the outer watchdog waits for."""
        async with self._open().get(self._heartbeat_url) as answer:
            if answer.status >= 400:
                raise NotDelivered(f"HTTP {answer.status}")

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def _post(self, channel: Channel, notice: Notice) -> None:
        body = feishu.body(notice, secret=channel.secret, timestamp_sec=wall_us() // US_PER_SEC)
        try:
            async with self._open().post(
                channel.url, data=body, headers={"Content-Type": "application/json"}, allow_redirects=False
            ) as answer:
                feishu.check(answer.status, await answer.content.read(ANSWER_BYTES_MAX))
        except aiohttp.ClientError as error:
            raise NotDelivered(f"{type(error).__name__}: {error}") from error

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_SEC))
        return self._session


def _opened(name: str, channel: Channel) -> apprise.NotifyBase:
    service = apprise.Apprise.instantiate(channel.url, suppress_exceptions=True)
    if not isinstance(service, apprise.NotifyBase):
        raise BadChannel(
            f"notify.channels.{name}.url: apprise does not understand it; see docs/notifications.md"
        )
    return service


def _notify(service: apprise.NotifyBase, notice: Notice) -> None:
    """In a thread of its own: apprise blocks. Its reasons are in its log alone."""
    heard = _Listener(threading.get_ident())
    logger = logging.getLogger("apprise")
    logger.addHandler(heard)
    try:
        done = service.notify(body=plain(notice), title=notice.title, notify_type=_TYPES[notice.level])
    finally:
        logger.removeHandler(heard)
    if not done:
        raise NotDelivered("; ".join(heard.lines[-3:]) or "apprise says that it was not sent")


class _Listener(logging.Handler):
    """What apprise warns of in one thread."""

    def __init__(self, thread: int) -> None:
        super().__init__(logging.WARNING)
        self._ident = thread
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._ident:
            self.lines.append(record.getMessage()[:300])
