"""The venue of the order benches: a process of its own behind a relay that knows when bytes came."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp

from tests.bench.arrival import Relay, relaying
from tests.helpers.venue import venue_process

ARRIVAL_SEC_MAX = 2.0
LOOK_SEC = 0.001
SETTLE_SEC = 0.005
"""The last bytes of a request have come when so long nothing more did; answers are later than that."""


class Site:
    """The venue behind its relay, and its faults."""

    def __init__(self, relay: Relay, told: dict[str, Any]) -> None:
        self.relay = relay
        self.ca_path: str = told["ca_path"]
        self.keys = told["keys"]
        self._control = f"http://127.0.0.1:{told['control_port']}/faults"

    async def faults(self, *faults: dict[str, object]) -> None:
        """These from now on, and no others."""
        async with aiohttp.ClientSession() as session:
            async with session.delete(self._control) as answer:
                assert answer.status == 200
            async with session.post(self._control, json={"faults": list(faults)}) as answer:
                assert answer.status == 200, await answer.text()


@contextlib.asynccontextmanager
async def site() -> AsyncIterator[Site]:
    """A venue process at speed 1."""
    with (
        tempfile.TemporaryDirectory(prefix="fundarb-bench-") as name,
        venue_process(Path(name), speed="1") as told,
    ):
        async with relaying(told["port"]) as relay:
            yield Site(relay, told)


async def both_arrived(relay: Relay, begin: int, started_ns: int) -> float | None:
    """us from `started_ns` until requests on two connections were there; None when others came in between,
    or none at all.
    """
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(ARRIVAL_SEC_MAX):
            while len({number for number, _ in relay.seen[begin:]}) < 2:  # noqa: ASYNC110 - the kernel says it
                await asyncio.sleep(LOOK_SEC)
    await asyncio.sleep(SETTLE_SEC)
    stamps = dict(relay.seen[begin:])
    return (max(stamps.values()) - started_ns) / 1_000 if len(stamps) == 2 else None
