"""Every store that keeps the contract: the one in memory and a real server."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator

import pytest

from libs.common.memory_store import MemoryStore
from libs.common.redis_store import RedisStore
from libs.common.store import Store
from tests.helpers.servers import RealServer, real_valkey

_deployments = itertools.count(1)


@pytest.fixture(scope="module")
def valkey() -> Iterator[RealServer]:
    with real_valkey() as server:
        asyncio.run(server.ready())
        yield server


@pytest.fixture(params=["memory", "redis"])
async def store(request: pytest.FixtureRequest, valkey: RealServer) -> AsyncIterator[Store]:
    made: Store = (
        MemoryStore()
        if request.param == "memory"
        else RedisStore(valkey.url, deployment=f"contract-{next(_deployments)}")
    )
    await made.connect()
    yield made
    await made.close()
