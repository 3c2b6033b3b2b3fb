"""Opens a venue, for data or for trading: session, certificates, redirection, ccxt only when it is needed."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, Final
from urllib.request import getproxies

from libs.common.config.legs import venue_slug
from libs.common.config.schema import Config, Exchange
from libs.common.instant import MS_PER_SEC, Clock
from libs.common.redact import REDACTOR
from libs.common.subjects import SPOT
from libs.exchange.port import MarketData
from libs.exchange.quirks import quirks_of
from libs.exchange.record import ClientSpec
from libs.exchange.trading import Trading

if TYPE_CHECKING:
    import aiohttp

    from libs.exchange.live.budget import Limit
    from libs.exchange.redirect import Redirect

KEEPALIVE_SEC: Final = 60.0
"""For trading connections, which are pinged more often than that; aiohttp's default is 15 s."""

BURST_SEC: Final = 30.0
BURST_WINDOW_SEC: Final = 60.0


class NoKeys(ValueError):
    """A venue is to be traded on, and the config has no keys for it."""


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


async def open_trading(
    venue: str, *, config: Config, clock: Clock, redirect: Redirect | None = None
) -> Trading:
    """The trading side of `venue` with the config's keys, closed by its `close()`; nothing is requested
    before `load`. Raises `UnknownVenue`, and `NoKeys` (a ValueError) with the names of what is missing.

    Orders have a session of their own, which holds them at their connection and keeps it open for longer.
    """
    quirks = quirks_of(venue)
    keys = {spec.ccxt_id: keys_of(config, venue, spec) for spec in quirks.clients}
    from libs.exchange.client import make_exchange  # noqa: PLC0415 - see open_market_data
    from libs.exchange.live.adapter import CcxtTrading  # noqa: PLC0415
    from libs.exchange.live.flight import OrderSession  # noqa: PLC0415
    from libs.exchange.live.record import RECORDS  # noqa: PLC0415
    from libs.exchange.live.wire import Held, hooked, tracing  # noqa: PLC0415

    settings: dict[str, Any] = {"keepalive_sec": KEEPALIVE_SEC, "trace_configs": [tracing()]}
    opener = open_session if redirect is None else redirect.session
    orders, others = hooked(opener(**settings)), opener()
    ordering = hooked(OrderSession(orders))
    options = user_options(config, venue)
    record = RECORDS[quirks.venue]
    desks = {desk.ccxt_id: desk for desk in record.desks}

    def open_exchange(spec: ClientSpec, for_orders: bool) -> Any:  # noqa: FBT001 - one of two kinds
        exchange = make_exchange(
            spec,
            session=ordering if for_orders else others,
            timeout_sec=config.timeouts.request_timeout_sec,
            options={**desks[spec.ccxt_id].settings(), **options},
            keys=keys[spec.ccxt_id],
            answers=Held,
        )
        exchange.number = str  # figures stay the text that the venue wrote: a float holds 15 digits
        exchange.enableRateLimit = not for_orders
        allow_burst(exchange, desks[spec.ccxt_id].limits)
        return exchange

    async def close_shared() -> None:
        await orders.close()
        await others.close()

    return CcxtTrading(
        venue,
        quirks,
        record,
        clock=clock,
        open_exchange=open_exchange,
        close_shared=close_shared,
        hedged=config.position.position_mode == "hedge",
    )


def allow_burst(exchange: Any, limits: Iterable[Limit]) -> None:
    """Where a venue counts weight by the minute, its limiter may let half of a minute's polls go at
    once: at a start and after a settlement they would else stand in line for many seconds. The used figure
    that the venue tells bounds them all the same (`Budget`).
    """
    if any(not one.orders and one.window_sec >= BURST_WINDOW_SEC for one in limits):
        tokens = BURST_SEC * MS_PER_SEC / exchange.rateLimit
        exchange.tokenBucket = {**exchange.tokenBucket, "capacity": tokens, "tokens": tokens}
        exchange.init_throttler()


def keys_of(config: Config, venue: str, spec: ClientSpec) -> dict[str, str]:
    """The keys of a venue for one ccxt class, as ccxt names them; registered as secrets.

    Of several exchanges at the venue the one whose type the class serves is taken, else any that has keys.
    """
    own = [one for one in config.exchanges.values() if venue_slug(one) == venue and one.api_key]

    def fits(one: Exchange) -> bool:
        return one.id == spec.ccxt_id or (one.type == "spot") == (SPOT in spec.kinds)

    found = next((one for one in own if fits(one)), own[0] if own else None)
    if found is None or not found.secret:
        raise NoKeys(f"{venue}: apiKey and secret are needed to trade there (exchanges.*)")
    if spec.ccxt_id in _NEED_PASSWORD and not found.password:
        raise NoKeys(f"{venue}: password (the API key's passphrase) is needed to trade there (exchanges.*)")
    REDACTOR.add(found.api_key, found.secret, found.password)
    if spec.ccxt_id == "hyperliquid":  # signs with a wallet's key
        return {"walletAddress": found.api_key, "privateKey": found.secret}
    return {"apiKey": found.api_key, "secret": found.secret, "password": found.password}


_NEED_PASSWORD: Final = frozenset({"bitget", "okx", "kucoin"})


def open_session(*, keepalive_sec: float = 15.0, **settings: Any) -> aiohttp.ClientSession:
    """One connection pool for all instances of a venue, with the certificates that ccxt ships.

    `trust_env`: whoever needs a proxy to reach his exchange has set HTTPS_PROXY; without one aiohttp would
    ask a thread about proxies before each request. `settings` are aiohttp's own.
    """
    import aiohttp  # noqa: PLC0415 - with ccxt only
    import certifi  # noqa: PLC0415

    context = ssl.create_default_context(cafile=certifi.where())
    connector = aiohttp.TCPConnector(ssl=context, keepalive_timeout=keepalive_sec)
    return aiohttp.ClientSession(connector=connector, trust_env=bool(getproxies()), **settings)


def user_options(config: Config, venue: str) -> dict[str, Any]:
    """Options for ccxt that the config gives the exchanges of a venue, later ones over earlier ones."""
    options: dict[str, Any] = {}
    for exchange in config.exchanges.values():
        if venue_slug(exchange) == venue:
            options |= exchange.options
    return options
