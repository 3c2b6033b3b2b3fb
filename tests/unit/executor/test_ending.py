"""An executor that is ended before it is assembled leaves nothing open: no client, no lease."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import certifi
import msgspec
import pytest

from libs.common.assembly import CannotStart, ServiceContext
from libs.common.clock import SystemClock
from libs.common.config.legs import pair_specs
from libs.common.config.schema import Config, Exchange, Mode, PairLegs
from libs.common.memory_bus import MemoryBus
from libs.common.memory_store import MemoryStore
from libs.exchange.factory import open_trading
from libs.exchange.paper.keeping import key_of
from libs.exchange.redirect import Redirect
from libs.exchange.trading import Trading
from services.executor.main import assemble, assembly_of
from services.executor.paper import LEASE

CONFIG = Config(
    exchanges={
        name: Exchange(id=ccxt_id, type="swap", api_key="k" * 16, secret="s" * 16, password="p" * 16)
        for name, ccxt_id in (("one", "binanceusdm"), ("other", "bitget"))
    },
    pairs=(PairLegs(symbol="ETH/USDT", legs=("one", "other")),),
)


def context(config: Config, store: MemoryStore) -> ServiceContext:
    clock, bus = SystemClock(), MemoryBus()
    return ServiceContext(service="executor", config=config, clock=clock, bus=bus, store=store, env={})


class Silent:
    """Takes connections and never says a word."""

    def __init__(self) -> None:
        self.called = asyncio.Event()
        self.port = 0

    async def hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.called.set()
        while await reader.read(1 << 16):
            pass
        writer.close()


@asynccontextmanager
async def silent_venue() -> AsyncIterator[Silent]:
    venue = Silent()
    server = await asyncio.start_server(venue.hear, "127.0.0.1", 0)
    venue.port = server.sockets[0].getsockname()[1]
    async with server:
        yield venue


def opener_to(port: int) -> Callable[[str], Awaitable[Trading]]:
    redirect = Redirect(port=port, ca_path=certifi.where())

    async def opener(name: str) -> Trading:
        return await open_trading(name, config=CONFIG, clock=SystemClock(), redirect=redirect)

    return opener


@pytest.fixture
async def complaints(caplog: pytest.LogCaptureFixture) -> AsyncIterator[list[str]]:
    """What ccxt and aiohttp say, as soon as they are let go, of clients that nobody has closed."""
    found: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, said: found.append(said["message"]))
    with caplog.at_level(logging.WARNING):
        yield found
        gc.collect()
        await asyncio.sleep(0)
    found += [one for one in caplog.messages if "requires to release" in one]
    assert found == []


@pytest.mark.usefixtures("complaints")
async def test_a_signal_that_comes_while_markets_are_loaded_closes_every_client() -> None:
    asked = context(CONFIG, MemoryStore())
    async with silent_venue() as venue:
        work = asyncio.create_task(assembly_of(asked, pair_specs(CONFIG), CONFIG, opener_to(venue.port)))
        async with asyncio.timeout(10):
            await venue.called.wait()
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
    assert work.cancelled()


@pytest.mark.usefixtures("complaints")
async def test_without_its_audit_stream_it_closes_every_client() -> None:
    store = MemoryStore()
    store.down = True
    nobody = opener_to(1)
    with pytest.raises(CannotStart, match="audit stream"):
        await assembly_of(context(CONFIG, store), pair_specs(CONFIG), CONFIG, nobody)


async def test_on_paper_the_lease_is_given_back_when_it_cannot_start() -> None:
    config = msgspec.structs.replace(CONFIG, mode=Mode.PAPER)
    store = MemoryStore()
    await store.put(key_of("binance"), b"nonsense")
    with pytest.raises(CannotStart, match="no paper account"):
        await assemble(context(config, store))
    assert await store.acquire(LEASE, owner="next", ttl_ms=1_000) is not None
