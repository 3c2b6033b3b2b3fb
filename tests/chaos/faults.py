"""What befalls the deployment, one kind a cycle: a target, a variant and a time, all by the dice of the seed.

Each is bounded and undone here; what was killed comes back by the supervisor. Answers in words what it did.
"""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Awaitable, Callable
from typing import Final

from tests.chaos.links import Link, Way
from tests.chaos.world import NATS, SECOND, SERVICES, VALKEY, VENUE, World

SEC_MIN, SEC_MAX = 2.0, 8.0
"""The longest is more than the lease of a pair (6 s) and than a broker's patience (4 s)."""

FROZEN_SEC_MAX: Final = 4.0
"""The supervisor ends a broker that has not answered for 5 s: that is a restart, another kind."""

Fault = Callable[[World, random.Random], Awaitable[str]]
TRADERS: Final = ("executor", "executor", "executor", "risk", "signal", "feed")
"""Who is struck: the executor as often as all the others together."""


def _executor(world: World, dice: random.Random) -> str:
    return dice.choice(
        [name for name, server in world.links if server == NATS and name.startswith("executor")]
    )


def _target(world: World, dice: random.Random) -> str:
    name = dice.choice(TRADERS)
    return _executor(world, dice) if name == "executor" else name


async def kill(world: World, dice: random.Random) -> str:
    """kill -9."""
    name = _target(world, dice)
    world.signal(name, signal.SIGKILL)
    await asyncio.sleep(1.0)
    await world.ok(name)
    return f"{name} killed"


async def stop(world: World, dice: random.Random) -> str:
    """SIGSTOP, and SIGCONT after a while: it wakes with old views, an old lease and a full socket."""
    name = _target(world, dice)
    return await _frozen(world, name, dice.uniform(SEC_MIN, SEC_MAX))


async def _frozen(world: World, name: str, seconds: float) -> str:
    world.signal(name, signal.SIGSTOP)
    try:
        await asyncio.sleep(seconds)
    finally:
        world.signal(name, signal.SIGCONT)
    return f"{name} stopped for {seconds:.1f} s"


async def restart(world: World, dice: random.Random) -> str:
    """An orderly end in the middle of the work."""
    name = _target(world, dice)
    world.signal(name, signal.SIGTERM)
    await asyncio.sleep(1.0)
    await world.ok(name)
    return f"{name} restarted"


async def _parted(link: Link, named: str, dice: random.Random) -> str:
    how = dice.choice(("cut", "frozen", "frozen up", "frozen down"))
    seconds = dice.uniform(SEC_MIN, SEC_MAX)
    match how:
        case "cut":
            link.cut()
        case "frozen":
            link.freeze()
        case "frozen up":
            link.freeze(Way.UP)
        case _:
            link.freeze(Way.DOWN)
    try:
        await asyncio.sleep(seconds)
    finally:
        link.heal()
    return f"{named} {how} for {seconds:.1f} s"


async def partition_bus(world: World, dice: random.Random) -> str:
    """A service and the broker."""
    name = _target(world, dice)
    return await _parted(world.links[name, NATS], f"{name} - {NATS}", dice)


async def partition_store(world: World, dice: random.Random) -> str:
    """A service and the store."""
    name = _target(world, dice)
    return await _parted(world.links[name, VALKEY], f"{name} - {VALKEY}", dice)


async def partition_venue(world: World, dice: random.Random) -> str:
    """The executor (or the feed) and all venues."""
    name = dice.choice((_executor(world, dice), _executor(world, dice), "feed"))
    return await _parted(world.links[name, VENUE], f"{name} - {VENUE}", dice)


async def slow(world: World, dice: random.Random) -> str:
    """A link that crawls."""
    name = _target(world, dice)
    server = dice.choice((NATS, VALKEY, VENUE) if name != "risk" else (NATS, VALKEY))
    delay_sec, kb_per_sec = dice.uniform(0.02, 0.25), dice.choice((20, 100, 500))
    seconds = dice.uniform(SEC_MIN, SEC_MAX)
    link = world.links[name, server]
    link.slow(delay_sec=delay_sec, bytes_per_sec=kb_per_sec * 1_000.0)
    try:
        await asyncio.sleep(seconds)
    finally:
        link.heal()
    return f"{name} - {server} {delay_sec * 1e3:.0f} ms late at {kb_per_sec} kB/s for {seconds:.1f} s"


async def full_store(world: World, dice: random.Random) -> str:
    """No memory for one write more."""
    seconds = dice.uniform(SEC_MIN, SEC_MAX)
    before = (await world.master.config_get("maxmemory"))["maxmemory"]
    await world.master.config_set("maxmemory", "1mb")
    try:
        await asyncio.sleep(seconds)
    finally:
        await world.master.config_set("maxmemory", before)
    return f"the store full for {seconds:.1f} s"


async def full_disk(world: World, dice: random.Random) -> str:
    """The store's disk takes not one byte more: it ends itself at the next write, in each of its lives."""
    assert world.disk is not None
    seconds, before = dice.uniform(SEC_MIN, SEC_MAX), world.supervisor.restarts()[VALKEY]
    world.disk.fill()
    try:
        await asyncio.sleep(seconds)
    finally:
        world.disk.empty()
    await world.ok(VALKEY)
    ends = world.supervisor.restarts()[VALKEY] - before
    return f"the store's disk full for {seconds:.1f} s, which ended it {ends} times"


async def venue_down(world: World, dice: random.Random) -> str:
    """One venue answers nobody, or the machine of both stands still."""
    seconds = dice.uniform(SEC_MIN, SEC_MAX)
    venue = dice.choice(("binance", "bitget", "*", VENUE))
    if venue == VENUE:
        return await _frozen(world, VENUE, seconds)
    await world.control("/faults", method="POST", body={"faults": [{"kind": "maintenance", "venue": venue}]})
    try:
        await asyncio.sleep(seconds)
    finally:
        await world.control("/faults", method="DELETE", body={})
    return f"{venue} in maintenance for {seconds:.1f} s"


async def broker(world: World, dice: random.Random) -> str:
    """The broker is killed, or stands still."""
    return await _server(world, NATS, dice)


async def store(world: World, dice: random.Random) -> str:
    """The store is killed, or stands still."""
    return await _server(world, VALKEY, dice)


async def _server(world: World, name: str, dice: random.Random) -> str:
    if dice.random() < 1 / 3:
        return await _frozen(world, name, dice.uniform(SEC_MIN, FROZEN_SEC_MAX))
    world.signal(name, signal.SIGKILL)
    await asyncio.sleep(1.0)
    await world.ok(name)
    return f"{name} killed"


async def two(world: World, dice: random.Random) -> str:
    """One of two executors is killed, stopped or parted: the other takes over, the lost one comes back."""
    name = dice.choice(("executor", SECOND))
    match dice.choice(("kill", "stop", "store", "bus")):
        case "kill":
            world.signal(name, signal.SIGKILL)
            await asyncio.sleep(1.0)
            await world.ok(name)
            return f"{name} killed"
        case "stop":
            return await _frozen(world, name, dice.uniform(SEC_MIN, SEC_MAX))
        case "store":
            return await _parted(world.links[name, VALKEY], f"{name} - {VALKEY}", dice)
        case _:
            return await _parted(world.links[name, NATS], f"{name} - {NATS}", dice)


FULL_DISK: Final = "full_disk"
"""Needs a world with a small disk, and who runs it must be able to mount one."""

KINDS: Final[dict[str, Fault]] = {
    "kill": kill,
    "stop": stop,
    "restart": restart,
    "partition_bus": partition_bus,
    "partition_store": partition_store,
    "partition_venue": partition_venue,
    "slow": slow,
    "full_store": full_store,
    FULL_DISK: full_disk,
    "venue_down": venue_down,
    "broker": broker,
    "store": store,
    "two": two,
}


def services_of(kind: str) -> tuple[str, ...]:
    """Which processes a kind needs."""
    return (*SERVICES, SECOND) if kind == "two" else SERVICES
