"""Every store that keeps the contract: the one in memory and a real server."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Iterator

import pytest

from libs.common.memory_store import MemoryStore
from libs.common.redis_store import RedisStore
from libs.common.store import Store
from tests.helpers.servers import REDIS_ENV, real_valkey

_deployments = itertools.count(1)


@pytest.fixture(scope="module")
def valkey() -> Iterator[str]:
    """The address of a real one, by default of the embedded kind."""
    if outside := os.environ.get(REDIS_ENV):
        yield outside
        return
    with real_valkey() as server:
        asyncio.run(server.ready())
        yield server.url


@pytest.fixture(params=["memory", "redis"])
async def store(request: pytest.FixtureRequest, valkey: str) -> AsyncIterator[Store]:
    made: Store = (
        MemoryStore()
        if request.param == "memory"
        else RedisStore(valkey, deployment=f"contract-{next(_deployments)}")
    )
    await made.connect()
    yield made
    await made.close()
