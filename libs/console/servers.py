"""NATS and Redis that the user runs himself: their URLs checked, and both asked before anything starts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import urlsplit

from libs.common.bus import BusUnavailable
from libs.common.nats_bus import NatsBus
from libs.common.redact import REDACTOR
from libs.common.redis_store import RedisStore
from libs.common.server_url import (
    NATS_ENV,
    REDIS_ENV,
    BadUrl,
    nats_address,
    redis_address,
    with_url_files,
)
from libs.common.store import StoreUnavailable
from libs.console.output import UNREACHABLE, USAGE, UserError, warn

ASK_SEC: Final = 8.0  # a server may be starting beside us; who waits longer waits for a wrong address


def nats_url(given: str | None, env: Mapping[str, str]) -> str | None:
    """`--nats`, else its variable, else None; `UserError` for what is no URL of NATS."""
    return _url(given, env, "--nats", NATS_ENV, nats_address)


def redis_url(given: str | None, env: Mapping[str, str]) -> str | None:
    """`--redis`, else its variable, else None; `UserError` for what is no URL of Redis."""
    return _url(given, env, "--redis", REDIS_ENV, redis_address)


def _url(
    given: str | None, env: Mapping[str, str], flag: str, variable: str, address_of: Callable[[str], str]
) -> str | None:
    try:
        url = with_url_files(env).get(variable, "") if given is None else given
    except BadUrl as error:
        raise UserError(str(error), USAGE) from error
    if given is None and not url:
        return None
    REDACTOR.add_url(url)
    try:
        address_of(url)
    except BadUrl as error:
        raise UserError(f"{variable if given is None else flag}: {error}", USAGE) from error
    if given is not None and any(urlsplit(one).password for one in given.split(",")):
        warn(f"{flag}: other users see this password in the process list; set {variable} instead")
    return url


async def ask(nats: str | None, redis: str | None, *, deployment: str) -> None:
    """Whether the servers that were given answer and let us in; `UserError` names those that do not."""
    asked = [*([_ask_nats(nats)] if nats else []), *([_ask_redis(redis, deployment)] if redis else [])]
    problems = [problem for problem in await asyncio.gather(*asked) if problem]
    if problems:
        raise UserError("; ".join(problems), UNREACHABLE)


async def _ask_nats(url: str) -> str:
    bus = NatsBus(url, name="console", connect_timeout_sec=ASK_SEC)
    try:
        await bus.connect()
    except BusUnavailable as error:
        return str(error)
    await bus.close()
    return ""


async def _ask_redis(url: str, deployment: str) -> str:
    store = RedisStore(url, deployment=deployment, connect_timeout_sec=ASK_SEC)
    try:
        await store.connect()
    except StoreUnavailable as error:
        return str(error)
    finally:
        await store.close()
    return ""
