"""Takes Alertmanager's webhook and puts it into the alerts stream: an answer of 200 means it is durable.

Anything else makes Alertmanager send it again. While the store is away the alerts go to the actor directly.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from typing import Final

from aiohttp import web

from libs.common.assembly import Offer
from libs.common.clock import wall_us
from libs.common.effects import Received
from libs.common.messages import AlertRaised
from libs.common.notices import ALERTS, alert_entry
from libs.common.store import Store, StoreUnavailable
from libs.common.subjects import alert as alert_subject
from services.notifier.alertmanager import BadWebhook, alerts_of

log = logging.getLogger(__name__)

BODY_BYTES_MAX: Final = 512 * 1024
PATH: Final = "/alertmanager"


class Webhook:
    """A small HTTP server; `run` serves until it is cancelled."""

    def __init__(self, store: Store, *, host: str, port: int, token: str = "") -> None:
        self._store = store
        self._host = host
        self.port = port
        self._token = token
        self._offer: Offer | None = None
        self.ready = asyncio.Event()

    async def run(self, offer: Offer) -> None:
        """Serve. An OSError (the address is taken) ends the service, and its supervisor tries again."""
        self._offer = offer
        app = web.Application(client_max_size=BODY_BYTES_MAX)
        app.router.add_post(PATH, self._take)
        runner = web.AppRunner(app, access_log=None, handle_signals=False)
        await runner.setup()
        try:
            site = web.TCPSite(runner, self._host, self.port)
            await site.start()
            self.port = runner.addresses[0][1]
            log.info("Alertmanager's webhook is taken at %s:%d%s", self._host, self.port, PATH)
            self.ready.set()
            await asyncio.Event().wait()
        finally:
            await runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        said = request.headers.get("Authorization", "").encode()
        if self._token and not hmac.compare_digest(said, f"Bearer {self._token}".encode()):
            return web.Response(status=401, text="the token is missing or wrong\n")
        try:
            alerts = alerts_of(await request.read(), wall_us=wall_us())
        except BadWebhook as error:
            return web.Response(status=400, text=f"{error}\n")
        try:
            for raised in alerts:
                await self._store.append(ALERTS, alert_entry(raised))
        except StoreUnavailable as error:
            self._tell(alerts)
            return web.Response(status=503, text=f"not kept, send it again: {error}\n")
        self._tell(alerts)
        return web.Response(text="kept\n")

    def _tell(self, alerts: tuple[AlertRaised, ...]) -> None:
        if self._offer is not None:
            for raised in alerts:
                self._offer(Received(subject=alert_subject(raised.level.value), message=raised))
