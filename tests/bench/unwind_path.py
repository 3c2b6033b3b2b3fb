"""From the rejection of one leg, answered at our socket, to the unwind's bytes at the venue's.

The real executor opens a pair at the simulated venue: the spot leg is filled, then the perpetual's order is
rejected. Time runs from the moment at which the relay hands the rejection to our socket until the kernel's
stamp of the unwind order's last byte, and has in it: TLS and ccxt reading the answer, the pair's turn, one
durable write (`appendfsync always`), ccxt signing the order, and the way out. What that write alone takes is
measured in the same rounds, by a client that does nothing else, with the bytes of the executor's own write.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence
from time import perf_counter

import uvloop

from tests.bench.order_rig import PERP, Noted, chain
from tests.bench.order_site import site
from tests.bench.raw_wires import RawRedis, evalsha, repeatable
from tests.bench.report import Figure, Result, median
from tests.helpers.servers import real_nats, real_valkey

GOAL_US = 5_000.0
PACE_SEC = 0.4  # two spot orders a round, of which Binance takes 100 in 10 s
SPOT_MS, PERP_MS = 20, 60
FAULTS: tuple[dict[str, object], ...] = (
    {"kind": "delay", "endpoint": "/api/v3/order", "method": "POST", "delay_ms": SPOT_MS},
    {"kind": "delay", "endpoint": "/fapi/v1/order", "method": "POST", "delay_ms": PERP_MS},
    {"kind": "rejection", "endpoint": "/fapi/v1/order", "method": "POST", "code": "-2019"},
)
"""The rejection is the last answer: what it takes to know the other leg's fate is no part of the figure."""

WARM = 3
TOGETHER_NS = 10_000_000
"""Bytes of one submit come within this, and nothing of the next."""

Stamps = Sequence[tuple[int, int]]


def reaction_us(seen: Stamps, told: Stamps) -> float | None:
    """us between the rejection and the unwind, of what a relay has noted since the tick; None when another
    request came in between. `seen`, `told`: (connection, ns) in order, as `Relay` has them.
    """
    if not seen:
        return None
    opened = dict(one for one in seen if one[1] < seen[0][1] + TOGETHER_NS)
    answered = {
        number: min((at for other, at in told if other == number and at > sent), default=0)
        for number, sent in opened.items()
    }
    if len(opened) != 2 or not all(answered.values()):
        return None
    rejecting = max(answered, key=lambda number: answered[number])
    after = [one for one in seen if one[1] >= seen[0][1] + TOGETHER_NS]
    if not after or after[0][1] < answered[rejecting]:
        return None
    unwind = dict(one for one in after if one[1] < after[0][1] + TOGETHER_NS)
    if len(unwind) != 1:
        return None
    # a long answer comes in pieces: time runs from the last one
    rejected = max(at for number, at in told if number == rejecting and at < after[0][1])
    return (next(iter(unwind.values())) - rejected) / 1_000


def percentile(values: Sequence[float], share: float) -> float:
    """The value that so large a share of them does not exceed."""
    return sorted(values)[math.ceil(len(values) * share) - 1]


async def measure(rounds: int) -> tuple[list[float], list[float]]:
    """us of each reaction, and of each durable write by hand."""
    reactions: list[float] = []
    writes: list[float] = []
    with real_nats() as nats, real_valkey() as valkey:
        await asyncio.gather(nats.ready(), valkey.ready())
        async with site() as place:
            await place.faults(*FAULTS)
            store = Noted(valkey.url, deployment="bench")
            async with chain(nats.url, store, place) as made:
                redis = await RawRedis.connect(valkey.url)
                for turn in range(-WARM, rounds):
                    due = asyncio.get_running_loop().time() + PACE_SEC
                    made.hours_pass()
                    await made.look()
                    seen, told, before = len(place.relay.seen), len(place.relay.told), made.attempt
                    made.say(PERP)
                    await made.idle(before)
                    assert made.status is not None
                    assert made.status.trigger == "unwound_flat", made.status
                    found = reaction_us(place.relay.seen[seen:], place.relay.told[told:])
                    assert store.orders is not None
                    write, begun = evalsha(repeatable(store.orders), "floor:"), perf_counter()
                    await redis.ask(write)
                    took_us = (perf_counter() - begun) * 1e6
                    await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
                    if turn >= 0 and found is not None:
                        reactions.append(found)
                        writes.append(took_us)
                redis.close()
    assert reactions, "no round was free of other requests"
    return reactions, writes


def run(*, rounds: int = 150) -> Result:
    """p50 and p99 of both. The goal is the reaction's p99 less the write's: 5 ms plus the fsync."""
    reactions, writes = uvloop.run(measure(rounds))
    p99, write_p99 = percentile(reactions, 0.99), percentile(writes, 0.99)
    return Result(
        bench="unwind_path",
        note=f"rejection at our socket -> durable write -> unwind at the venue's, {len(reactions)} rounds",
        figures=(
            Figure(name="p50_us", value=median(reactions), unit="us"),
            Figure(name="p99_us", value=round(p99, 1), unit="us"),
            Figure(name="write_p50_us", value=median(writes), unit="us"),
            Figure(name="write_p99_us", value=round(write_p99, 1), unit="us"),
            Figure(name="p99_less_write_p99_us", value=round(p99 - write_p99, 1), unit="us", goal=GOAL_US),
        ),
    )
