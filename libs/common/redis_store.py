"""`RedisStore`: the store in Redis or Valkey, 7 or newer.

Keys are `fundarb:{deployment}:...`; a value is stored as it is (so that `redis-cli GET` shows it) with its
version in the hash `_versions` (that of a deleted one stays there), the fences of leases in `_fences`. Every
change is one Lua script, atomic by the server. Nothing is ever retried here: a write whose answer was lost
may have happened, and doing it twice would book it twice. The caller reads again and decides.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
import redis.asyncio
from redis.asyncio.connection import BlockingConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    NoPermissionError,
    NoScriptError,
    RedisError,
    ResponseError,
)

from libs.common import clock
from libs.common.redis_fit import disk_words, durability_of, folder_of, free_of, unfit
from libs.common.redis_scripts import ACQUIRE, RELEASE, RENEW, TRANSITION, Argument, Script, flat, said
from libs.common.store import (
    STORE_ID,
    Durability,
    Entry,
    Lease,
    StoreConflict,
    StoreUnavailable,
    Transition,
    Versioned,
    check_change,
    check_key,
    entry_order,
    lease_until,
)

CONNECTIONS_MAX: Final = 8
RECONNECT_WAIT_SEC: Final = 0.1
SCAN_BATCH: Final = 1_000
_GLOB: Final = re.compile(r"([\\*?\[\]])")
_REFUSALS: Final = (AuthenticationError, AuthorizationError, NoPermissionError)


class RedisStore:
    """`Store` over redis-py. `url`: `redis://`, `rediss://` or `unix://`, credentials inside, never shown.

    `timeout_sec` limits each answer; `connect_timeout_sec` is how long `connect` waits for a slow start.
    """

    def __init__(
        self,
        url: str,
        *,
        deployment: str,
        timeout_sec: float = 2.0,
        connect_timeout_sec: float = 10.0,
        mono_us: Callable[[], int] = clock.mono_us,
    ) -> None:
        self.prefix = f"fundarb:{deployment}:"
        self.address = address_of(url)
        self._connect_timeout_sec = connect_timeout_sec
        self._mono_us = mono_us
        self._folder: Path | None = None  # beside the server's data, once it has told
        self._pool = BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS_MAX,
            timeout=timeout_sec,
            socket_timeout=timeout_sec,
            socket_connect_timeout=timeout_sec,
            # redis-py retries ten times by default, also a script whose answer was lost.
            retry=Retry(NoBackoff(), 0),
            driver_info=None,
        )
        self._redis = redis.asyncio.Redis(connection_pool=self._pool)

    async def connect(self) -> None:
        """Wait for the server, and refuse one that would throw away what it acknowledged."""
        try:
            async with asyncio.timeout(self._connect_timeout_sec):
                info = await self._first_info()
        except (RedisError, TimeoutError) as error:
            reason = "no answer in time" if isinstance(error, TimeoutError) else str(error)
            raise StoreUnavailable(f"the store at {self.address} cannot be reached: {reason}") from error
        if problem := unfit(info):
            raise StoreUnavailable(f"the store at {self.address} {problem}")

    async def _first_info(self) -> dict[str, Any]:
        """INFO as soon as the server answers; a refused login is for good."""
        while True:
            try:
                return await self._info()
            except _REFUSALS:
                raise
            except (RedisError, OSError):
                await asyncio.sleep(RECONNECT_WAIT_SEC)

    async def durability(self) -> Durability:
        with self._answering("durability"):
            info = await self._info("persistence")
            try:
                told = await self._execute("CONFIG", "GET", "appendfsync")
            except ResponseError:  # not for this user, or not at this provider
                told = {}
        fsync: bytes | None = told.get(b"appendfsync")
        return durability_of(info, fsync.decode() if fsync is not None else None)

    async def get(self, key: str) -> Versioned | None:
        check_key(key)
        with self._answering(key):
            pipe = self._redis.pipeline(transaction=True)
            pipe.get(self.prefix + key)
            pipe.hget(self.prefix + "_versions", key)
            value, version = await pipe.execute()
        if value is None:
            return None
        return Versioned(value=value, version=int(version or 1))

    async def put(self, key: str, value: bytes | None) -> int:
        check_key(key)
        return (await self._change(Transition(writes={key: value})))[0]

    async def compare_and_set(self, key: str, value: bytes, *, expect: int) -> int:
        check_key(key)
        return (await self._change(Transition(expect={key: expect}, writes={key: value})))[0]

    async def transition(self, change: Transition) -> bool:
        check_change(change)
        try:
            await self._change(change)
        except _Done:
            return False
        return True

    async def keys(self, prefix: str) -> list[str]:
        start = len(self.prefix)
        pattern = _GLOB.sub(r"\\\1", self.prefix + prefix) + "*"
        found: set[str] = set()
        with self._answering(prefix):
            async for raw in self._redis.scan_iter(match=pattern, count=SCAN_BATCH, _type="string"):
                found.add(raw.decode()[start:])
        return sorted(key for key in found if _is_value(key))

    async def hash_all(self, key: str) -> dict[str, bytes]:
        check_key(key)
        raw = await self._ask(key, "HGETALL", self.prefix + key)
        return {field.decode(): value for field, value in raw.items()}

    async def members(self, key: str) -> set[str]:
        check_key(key)
        return {member.decode() for member in await self._ask(key, "SMEMBERS", self.prefix + key)}

    async def append(self, stream: str, fields: dict[str, bytes], *, most: int | None = None) -> str:
        check_change(Transition(appends={stream: (fields,)}))
        flat = (part for pair in fields.items() for part in pair)
        bound = () if most is None else ("MAXLEN", "~", most)
        answer: bytes = await self._ask(stream, "XADD", self.prefix + stream, *bound, "*", *flat)
        return answer.decode()

    async def read(self, stream: str, *, after: str = "0", count: int = 100) -> list[Entry]:
        check_key(stream)
        entry_order(after)
        if count <= 0:
            return []
        raw = await self._ask(stream, "XRANGE", self.prefix + stream, f"({after}", "+", "COUNT", count)
        return [
            Entry(id=entry_id.decode(), fields={field.decode(): value for field, value in fields.items()})
            for entry_id, fields in raw
        ]

    async def trim(self, stream: str, *, before: str) -> int:
        check_key(stream)
        entry_order(before)
        return int(await self._ask(stream, "XTRIM", self.prefix + stream, "MINID", "=", before))

    async def acquire(self, name: str, *, owner: str, ttl_ms: int) -> Lease | None:
        asked_us = self._mono_us()
        fence = await self._run(f"lease:{name}", ACQUIRE, name, owner, ttl_ms)
        if fence is None:
            return None
        return Lease(name=name, owner=owner, fence=fence, until_mono_us=lease_until(asked_us, ttl_ms))

    async def renew(self, lease: Lease, *, ttl_ms: int) -> Lease | None:
        asked_us = self._mono_us()
        held = await self._run(f"lease:{lease.name}", RENEW, lease.name, lease.owner, lease.fence, ttl_ms)
        return msgspec.structs.replace(lease, until_mono_us=lease_until(asked_us, ttl_ms)) if held else None

    async def release(self, lease: Lease) -> None:
        await self._run(f"lease:{lease.name}", RELEASE, lease.name, lease.owner, lease.fence)

    async def store_id(self) -> str:
        key = self.prefix + STORE_ID
        kept: bytes | None = await self._ask(STORE_ID, "GET", key)
        if kept is None:  # a new store; two processes may be first at once
            await self._ask(STORE_ID, "SET", key, secrets.token_hex(8), "NX")
            kept = await self._ask(STORE_ID, "GET", key)
        if kept is None:
            raise StoreUnavailable(f"the store at {self.address} did not keep its id")
        return kept.decode()

    async def free_ratio(self) -> float:
        with self._answering("memory"):
            info = await self._info("server", "memory", "persistence")
        self._folder = folder_of(info, self.address)
        return free_of(info, self.address)

    async def close(self) -> None:
        with contextlib.suppress(RedisError, OSError):  # leaving anyway
            await self._redis.aclose()
            await self._pool.disconnect()

    async def _change(self, change: Transition) -> list[int]:
        """Versions of the writes, in order; `_Done` when `once` had happened, `StoreConflict` otherwise."""
        answer = await self._run("transition", TRANSITION, *flat(change))
        match answer[0]:
            case 1:
                return [int(version) for version in answer[1:]]
            case 0:
                raise _Done
            case _:
                raise StoreConflict(f"{answer[1].decode()}: {answer[2].decode()}")

    async def _run(self, about: str, script: Script, *arguments: Argument) -> Any:
        with self._answering(about):
            connection = await self._pool.get_connection()  # type: ignore[no-untyped-call]
            try:
                return await said(connection, "EVALSHA", script.sha, 0, self.prefix, *arguments)
            except NoScriptError:  # a server that was started anew, and has done nothing
                return await said(connection, "EVAL", script.text, 0, self.prefix, *arguments)
            finally:
                await self._pool.release(connection)

    async def _ask(self, about: str, *command: Argument) -> Any:
        with self._answering(about):
            return await self._execute(*command)

    async def _execute(self, *command: Argument) -> Any:
        return await self._redis.execute_command(*command)  # type: ignore[no-untyped-call]

    async def _info(self, *sections: str) -> dict[str, Any]:
        info: dict[str, Any] = await self._redis.info(*sections)
        return info

    @contextlib.contextmanager
    def _answering(self, about: str) -> Iterator[None]:
        """Any failure becomes `StoreUnavailable`; a key of another kind is the caller's `StoreConflict`."""
        try:
            yield
        except ResponseError as error:
            if "WRONGTYPE" in str(error):  # inside a pipeline other words come first
                raise StoreConflict(f"{about}: holds another kind ({error})") from error
            raise StoreUnavailable(f"the store at {self.address} refused {about}: {error}") from error
        except (RedisError, OSError, TimeoutError) as error:
            text = (str(error) or type(error).__name__) + disk_words(self._folder)
            raise StoreUnavailable(
                f"the store at {self.address} did not answer about {about}: {text}"
            ) from error


class _Done(Exception):
    """`once` had happened already."""


def address_of(url: str) -> str:
    """Host and port, or socket path, without credentials; `ValueError` for another kind of URL."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return parts.path
    if parts.scheme not in ("redis", "rediss") or not parts.hostname:
        raise ValueError("a Redis URL looks like redis://:password@host:6379/0 or unix:///path/to/socket")
    return f"{parts.hostname}:{parts.port or 6379}"


def _is_value(key: str) -> bool:
    try:
        check_key(key)
    except ValueError:
        return False
    return True
