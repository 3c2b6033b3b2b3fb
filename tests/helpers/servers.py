"""Real servers for tests: the embedded ones, started, frozen, killed and started again by hand."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from nats.aio.client import Client

from libs.common.child import Child, ChildSpec
from libs.common.embedded import Server, nats_server, temporary_folder, valkey_server

READY_SEC = 20.0

NATS_ENV, REDIS_ENV = "FUNDARB_TEST_NATS_URL", "FUNDARB_TEST_REDIS_URL"
"""Servers that the contract suites are run on instead of embedded ones."""


async def receipt(client: Client) -> None:
    """Until the server has taken all that plain nats-py was given; its PING alone overtakes the rest."""
    await client._flush_pending(force_flush=True)
    await client.flush()


class RealServer:
    """One server process; it keeps port, password and data over a restart."""

    def __init__(self, server: Server) -> None:
        self.url = server.url
        self.urls = server.urls
        self.spec: ChildSpec = server.spec
        self.child = Child.start(self.spec)

    @property
    def config(self) -> Path:
        """The file it was started with; edit it before `start` to change the next life."""
        return Path(self.spec.argv[-1])

    async def ready(self) -> RealServer:
        assert self.spec.ready is not None
        async with asyncio.timeout(READY_SEC):
            while not await _answers(self.spec):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.02)
        return self

    def kill(self) -> None:
        """SIGKILL: no last words, nothing flushed."""
        self.child.kill_group()

    async def start(self) -> None:
        """Start it again, and wait until it answers."""
        self.child.kill_group()
        self.child = Child.start(self.spec)
        await self.ready()

    def freeze(self) -> None:
        freeze(self.child.pid)

    def thaw(self) -> None:
        os.kill(self.child.pid, signal.SIGCONT)


def freeze(pid: int) -> None:
    """Stop a process, and return when every thread of it stands: a signal takes its time."""
    os.kill(pid, signal.SIGSTOP)
    tasks = Path(f"/proc/{pid}/task")
    while any(_state(task) not in "TXZ" for task in tasks.iterdir()):
        time.sleep(0.001)


def _state(task: Path) -> str:
    try:
        return (task / "stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"  # a thread that has ended meanwhile


async def _answers(spec: ChildSpec) -> bool:
    try:
        async with asyncio.timeout(2.0):
            return spec.ready is None or await spec.ready()
    except (OSError, TimeoutError):
        return False


@contextmanager
def real_nats(change: Callable[[str], str] | None = None) -> Iterator[RealServer]:
    """A broker with the embedded settings, its config text changed by `change`. Await `ready` first."""
    with temporary_folder("fundarb-test-") as folder:
        yield from _running(nats_server(folder, env=os.environ), change)


@contextmanager
def real_valkey(change: Callable[[str], str] | None = None, *, durable: bool = True) -> Iterator[RealServer]:
    """A store with the embedded settings, its config text changed by `change`. Await `ready` first."""
    with temporary_folder("fundarb-test-") as folder:
        yield from _running(valkey_server(folder, env=os.environ, durable=durable), change)


def _running(server: Server, change: Callable[[str], str] | None) -> Iterator[RealServer]:
    spec = msgspec.structs.replace(server.spec, env={"PATH": os.environ.get("PATH", "")})
    config = Path(spec.argv[-1])
    if change is not None:
        config.write_text(change(config.read_text()))
    real = RealServer(msgspec.structs.replace(server, spec=spec))
    try:
        yield real
    finally:
        real.kill()


async def eventually(condition: Callable[[], bool], *, within_sec: float = 10.0) -> None:
    """Wait until `condition` holds; fail after `within_sec`."""
    async with asyncio.timeout(within_sec):
        while not condition():  # noqa: ASYNC110 - conditions are of many kinds
            await asyncio.sleep(0.005)
