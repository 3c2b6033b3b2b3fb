"""URLs of NATS and Redis as people give them, checked before anything connects and never shown whole.

The parsers of the clients put the piece that they stumble over into their message, which with an unencoded
`/` or `#` is a piece of the password; here every refusal is the same text.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from redis.asyncio.connection import BlockingConnectionPool
from redis.exceptions import RedisError

from libs.common.nats_link import parse_url
from libs.common.redis_store import address_of

LOGIN: Final = "user:password@ goes before the host, special characters as %XX"
NATS_SHAPE: Final = f"a NATS URL looks like nats://host:4222 or tls://host:4222; {LOGIN}"
REDIS_SHAPE: Final = f"a Redis URL looks like redis://host:6379/0 or unix:///path/to/socket; {LOGIN}"


NATS_ENV: Final = "FUNDARB_NATS_URL"
REDIS_ENV: Final = "FUNDARB_REDIS_URL"
FILE_SUFFIX: Final = "_FILE"


class BadUrl(ValueError):
    """A text that is no URL of the server; the message holds nothing of it."""


def nats_address(url: str) -> str:
    """Hosts and ports behind `url`, safe to show; `BadUrl` when there are none."""
    if any("://" not in one for one in url.split(",")):
        raise BadUrl(NATS_SHAPE)  # `foo` is likelier a slip than a host's name
    try:
        return parse_url(url).text
    except ValueError:
        raise BadUrl(NATS_SHAPE) from None


def redis_address(url: str) -> str:
    """Host and port, or socket path, behind `url`; `BadUrl` also for options unknown to the client."""
    try:
        address = address_of(url)
        pool = BlockingConnectionPool.from_url(url)
        pool.connection_class(**pool.connection_kwargs)  # looks at the options, connects nowhere
    except (ValueError, TypeError, RedisError):
        raise BadUrl(REDIS_SHAPE) from None
    if not address:
        raise BadUrl(REDIS_SHAPE)
    return address


def with_url_files(env: Mapping[str, str]) -> dict[str, str]:
    """`env` with the servers' URLs, also those in files that FUNDARB_{NATS,REDIS}_URL_FILE name.

    A container's secrets come as files. `BadUrl` names a file that cannot be read, or a URL given twice.
    """
    found = dict(env)
    for variable in (NATS_ENV, REDIS_ENV):
        path = env.get(variable + FILE_SUFFIX, "")
        if not path:
            continue
        if env.get(variable):
            raise BadUrl(f"{variable} and {variable}{FILE_SUFFIX} are both set: unset one")
        try:
            found[variable] = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is no text"
            raise BadUrl(f"{variable}{FILE_SUFFIX}: {path}: {why}") from None
    return found
