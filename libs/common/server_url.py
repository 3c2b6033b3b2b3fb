"""URLs of NATS and Redis as people give them, checked before anything connects and never shown whole.

The parsers of the clients put the piece that they stumble over into their message, which with an unencoded
`/` or `#` is a piece of the password; here every refusal is the same text.
"""

from __future__ import annotations

from typing import Final

from redis.asyncio.connection import BlockingConnectionPool
from redis.exceptions import RedisError

from libs.common.nats_link import parse_url
from libs.common.redis_store import address_of

LOGIN: Final = "user:password@ goes before the host, special characters as %XX"
NATS_SHAPE: Final = f"a NATS URL looks like nats://host:4222 or tls://host:4222; {LOGIN}"
REDIS_SHAPE: Final = f"a Redis URL looks like redis://host:6379/0 or unix:///path/to/socket; {LOGIN}"


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
