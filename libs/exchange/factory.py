"""Opens the public data of a venue: session, certificates, redirection, and ccxt only when it is needed."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from libs.common.config.legs import venue_slug
from libs.common.config.schema import Config
from libs.common.instant import Clock
from libs.exchange.port import MarketData
from libs.exchange.quirks import quirks_of
from libs.exchange.record import ClientSpec

if TYPE_CHECKING:
    import aiohttp

    from libs.exchange.redirect import Redirect


async def open_market_data(
    venue: str, *, config: Config, clock: Clock, redirect: Redirect | None = None
) -> MarketData:
    """Public data of `venue` (a slug: `binance`, `binance-sub1`), closed by its `close()`.

    With `redirect` every host name leads to the simulated venue. Raises `UnknownVenue` (a ValueError with the
    nearest name). Nothing is requested before `load`.
    """
    quirks = quirks_of(venue)
    # ccxt costs 0.4 s and 100 MB: verbs and services that open no venue must not pay
    from libs.exchange.adapter import CcxtMarketData  # noqa: PLC0415
    from libs.exchange.client import make_exchange  # noqa: PLC0415

    session = redirect.session() if redirect is not None else open_session()
    options = user_options(config, venue)

    def open_exchange(spec: ClientSpec) -> Any:
        timeout_sec = config.timeouts.request_timeout_sec
        return make_exchange(spec, session=session, timeout_sec=timeout_sec, options=options)

    close: Callable[[], Awaitable[None]] = session.close
    return CcxtMarketData(venue, quirks, clock=clock, open_exchange=open_exchange, close_shared=close)


def open_session() -> aiohttp.ClientSession:
    """One connection pool for all instances of a venue, with the certificates that ccxt ships.

    `trust_env`: whoever needs a proxy to reach his exchange has set HTTPS_PROXY.
    """
    import aiohttp  # noqa: PLC0415 - with ccxt only
    import certifi  # noqa: PLC0415

    context = ssl.create_default_context(cafile=certifi.where())
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context), trust_env=True)


def user_options(config: Config, venue: str) -> dict[str, Any]:
    """Options for ccxt that the config gives the exchanges of a venue, later ones over earlier ones."""
    options: dict[str, Any] = {}
    for exchange in config.exchanges.values():
        if venue_slug(exchange) == venue:
            options |= exchange.options
    return options
