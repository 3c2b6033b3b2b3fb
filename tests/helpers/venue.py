"""A running simulated venue for tests, in this process or as one of its own, and ccxt instances on it.

async with running_venue(speed=1.0) as venue:
    async with venue.exchange("binanceusdm") as exchange:
        await exchange.load_markets()
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import ccxt.async_support
import ccxt.pro

from libs.common.clock import wall_us
from libs.common.instant import MarketClock
from libs.exchange.redirect import Redirect
from services.venue import customers, options
from services.venue.faults import Fault, Kind, Plan
from services.venue.market import DEFAULT_START_MS
from services.venue.server import VenueServer

SERVERS = ("FUNDARB_NATS_URL", "FUNDARB_REDIS_URL")


class Venue:
    """A venue that tests can see into."""

    def __init__(self, server: VenueServer) -> None:
        self.server = server
        self.redirect: Redirect = server.redirect

    def fault(self, **fields: Any) -> None:
        """Put one fault on the board: `venue.fault(kind="http_429", venue="binance", count=1)`."""
        self.server.board.add([Fault(**{**fields, "kind": Kind(fields["kind"])})])

    def keys(self, name: str, user: str = "u1") -> dict[str, Any]:
        """A user's key as ccxt takes it."""
        return ccxt_keys(customers.told(self.server.keys[user]), name)

    @contextlib.asynccontextmanager
    async def trader(
        self, name: str, *, pro: bool = False, user: str = "u1", **config: Any
    ) -> AsyncIterator[Any]:
        """Like `exchange`, with the key of a user."""
        async with exchange_on(self.redirect, name, pro=pro, **(self.keys(name, user) | config)) as exchange:
            yield exchange

    def clear_faults(self) -> None:
        self.server.board.clear()

    @property
    def market_ms(self) -> int:
        return self.server.clock.at(wall_us())

    @contextlib.asynccontextmanager
    async def exchange(self, name: str, *, pro: bool = False, **config: Any) -> AsyncIterator[Any]:
        """An unmodified ccxt exchange whose session is redirected here."""
        async with exchange_on(self.redirect, name, pro=pro, **config) as exchange:
            yield exchange


def ccxt_keys(told: dict[str, dict[str, str]], name: str) -> dict[str, Any]:
    """What `venue.json` says about keys, as one of ccxt's exchanges takes it."""
    key = told["bitget" if name == "bitget" else "binance"]
    found = {"apiKey": key["api_key"], "secret": key["secret"]}
    return found | ({"password": key["passphrase"]} if "passphrase" in key else {})


@contextlib.asynccontextmanager
async def exchange_on(
    redirect: Redirect, name: str, *, pro: bool = False, **config: Any
) -> AsyncIterator[Any]:
    """An unmodified `ccxt.async_support` or `ccxt.pro` exchange on a redirect; Bitget in unified mode."""
    settings: dict[str, Any] = {"enableRateLimit": False, "timeout": 10_000, "options": {}}
    if name == "bitget":
        settings["options"] = {"uta": True, "defaultType": "swap", "defaultSubType": "linear"}
    settings["options"] |= config.pop("options", {})
    session: aiohttp.ClientSession = redirect.session()
    exchange = getattr(ccxt.pro if pro else ccxt.async_support, name)(
        {**settings, **config, "session": session}
    )
    try:
        yield exchange
    finally:
        await exchange.close()
        await session.close()


@contextlib.asynccontextmanager
async def running_venue(
    *,
    speed: float = 1.0,
    start_ms: int = DEFAULT_START_MS,
    seed: int = 0,
    data: str = "recorded",
    faults: Plan | None = None,
    users: int = 1,
    deposits: str = "",
) -> AsyncIterator[Venue]:
    """A venue in this process. Speed 1 keeps prices and rates still enough to compare."""
    wanted = options.Options(speed=speed, start_ms=start_ms, seed=seed, data=data)
    clock = MarketClock(market0_ms=start_ms, wall0_ms=wall_us() // 1_000, speed=speed)
    server = VenueServer(
        options.market_of(wanted),
        clock,
        plan=faults,
        users=users,
        deposits=customers.deposits_of(deposits) if deposits else customers.DEPOSITS,
    )
    await server.start()
    try:
        yield Venue(server)
    finally:
        await server.stop()


@contextlib.contextmanager
def venue_process(
    folder: Path, *, wait_sec: float = 30.0, env: dict[str, str] | None = None, **settings: str
) -> Iterator[dict[str, Any]]:
    """A venue as a process of its own; yields what `venue.json` says.

    `settings` are the venue's options (speed="1", start=...), `env` more variables: the URLs of servers make
    it a service, without them it serves alone.
    """
    kept = {name: value for name, value in os.environ.items() if name not in SERVERS}
    known = {
        **kept,
        "PYTHONSAFEPATH": "1",
        "FUNDARB_RUNTIME_DIR": str(folder),
        **{f"FUNDARB_VENUE_{name.upper()}": value for name, value in settings.items()},
        **(env or {}),
    }
    process = subprocess.Popen([sys.executable, "-m", "services.venue.main"], env=known)
    try:
        path = folder / "venue.json"
        for _ in range(int(wait_sec * 20)):
            if path.exists() or process.poll() is not None:
                break
            time.sleep(0.05)
        yield json.loads(path.read_text(encoding="utf-8"))
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(timeout=10)
