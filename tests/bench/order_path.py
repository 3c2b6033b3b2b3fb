"""From a tick at the feed to two signed orders at the venue's socket, without and with a durable intent.

Ours: `md.quote` -> nats-server -> the real signal -> `signal.intent` -> nats-server -> the real executor
(pair machine, [one atomic write: state, two intents, journal], gate, two signed orders) -> TLS. Beside it run
two floors with clients written by hand (`RawNats`, [the same write as one EVALSHA in RESP], orders signed and
written by hand), the same messages on the same hops:

- `core` decides as ours does, with our own pure halves (`order_core`): evaluation, pair machine, gate. The
  goals are about this one: what it takes to carry the decisions beyond what raw protocol clients need for it.
- `bare` decides nothing (`order_floor`): ours pays for all of its decisions as well.

All sides write to the same venue behind the same relay, and time ends with the kernel's stamp of the later
order's last byte. Without durability the state is in a MemoryStore; with it all sides have the same Valkey
with `appendfsync always`.

A chain is one event loop and one interpreter, ours as well as the floors: what the executor does with the
quote comes before the signal's turn, and what the signal still does before the executor's. In processes of
their own, as they are deployed, these run beside one another where there is a core for each. Venues limit
orders, so that rounds are far apart: all ways run with cold caches.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import uvloop

from libs.common.memory_store import MemoryStore
from tests.bench.order_core import Deciding
from tests.bench.order_floor import Bare
from tests.bench.order_rig import DEPLOYMENT, Noted, chain
from tests.bench.order_site import site
from tests.bench.raw_wires import RawRedis
from tests.bench.report import Figure, Result, median, ratio_of
from tests.helpers.servers import real_nats, real_valkey

GOAL_PLAIN = 1.6
GOAL_DURABLE = 2.0
PACE_SEC = 0.7  # Binance takes 100 spot orders in 10 s, of which a quarter is kept for what reduces
FAULTS: tuple[dict[str, object], ...] = (
    {"kind": "delay", "endpoint": "*/order", "method": "POST", "delay_ms": 20},
    {"kind": "rejection", "endpoint": "/api/v3/order", "method": "POST", "code": "-2010"},
    {"kind": "rejection", "endpoint": "/fapi/v1/order", "method": "POST", "code": "-2019"},
)
"""Every order is refused, 20 ms after it came: the pair is idle again, and no answer meets an order."""

WARM = 3
WAYS = ("ours", "ours_durable", "core", "core_durable", "bare", "bare_durable")
Way = Callable[[], Awaitable[float | None]]


@contextlib.asynccontextmanager
async def ways() -> AsyncIterator[dict[str, Way]]:
    """All six, ready."""
    with real_nats() as first, real_nats() as second, real_valkey() as valkey:
        for server in (first, second, valkey):
            await server.ready()
        async with site() as place:
            await place.faults(*FAULTS)
            store = Noted(valkey.url, deployment=DEPLOYMENT)
            async with (
                chain(first.url, MemoryStore(), place) as plain,
                chain(second.url, store, place) as durable,
            ):
                redis = await RawRedis.connect(valkey.url)
                assert store.orders is not None
                floors = (
                    await Deciding.on(first.url, None, plain),
                    await Deciding.on(second.url, redis, durable),
                    await Bare.on(second.url, redis, store.orders, durable),
                )
                core, core_durable, bare = floors
                yield dict(
                    zip(
                        WAYS,
                        (
                            plain.order,
                            durable.order,
                            core.order,
                            core_durable.order,
                            bare.plain,
                            bare.durable,
                        ),
                        strict=True,
                    )
                )
                for floor in floors:
                    floor.close()
                redis.close()


async def measure(rounds: int) -> dict[str, list[float]]:
    """us by way, taken in turns: whatever else this machine does meets all alike."""
    taken: dict[str, list[float]] = {name: [] for name in WAYS}
    async with ways() as runs:
        for turn in range(-WARM, rounds):
            first_way = turn % len(WAYS)
            names = (*WAYS[first_way:], *WAYS[:first_way])
            due = asyncio.get_running_loop().time() + PACE_SEC
            found = {name: await runs[name]() for name in names}
            await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
            if turn >= 0 and all(value is not None for value in found.values()):
                for name, value in found.items():
                    taken[name].append(value or 0.0)
    assert taken["ours"], "no round was free of other requests"
    return taken


def run(*, rounds: int = 60) -> Result:
    """Medians of the rounds, and of the rounds' own ratios."""
    taken = uvloop.run(measure(rounds))
    figures = []
    for suffix, goal in (("", GOAL_PLAIN), ("_durable", GOAL_DURABLE)):
        ours, core, bare = (taken[name + suffix] for name in ("ours", "core", "bare"))
        figures += [
            Figure(name=f"ratio{suffix}", value=ratio_of(ours, core), unit="x", goal=goal),
            Figure(name=f"ratio_bare{suffix}", value=ratio_of(ours, bare), unit="x"),
        ]
    figures += [Figure(name=f"{name}_p50_us", value=median(taken[name]), unit="us") for name in WAYS]
    return Result(
        bench="order_path",
        note=(
            f"tick -> NATS -> signal -> NATS -> executor -> two orders on TLS, {len(taken['ours'])} rounds, "
            "against raw clients that carry the same decisions (core), or none (bare)"
        ),
        figures=tuple(figures),
    )
