"""Every service may hear what it says it wants to hear: its assembly against the access table.

A subscription that the broker refuses is fatal, and only seen where users are told apart: in containers and
in `fundarb up`. Here each service is put together as it really is, on memory in place of servers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest

from libs.common import subjects
from libs.common.access import BUS, bus_grant
from libs.common.assembly import Assembly, ServiceContext
from libs.common.clock import SystemClock
from libs.common.config.legs import pair_specs
from libs.common.config.schema import Channel, Config, Mode, Notify, Paths
from libs.common.memory_bus import MemoryBroker, MemoryBus
from libs.common.memory_store import MemoryStore
from libs.common.subjects import command
from libs.exchange.port import VenueError
from libs.exchange.trading import Trading
from services.executor import main as executor
from services.executor import paper
from services.feed import main as feed
from services.notifier import main as notifier
from services.recorder import main as recorder
from services.risk import main as risk
from services.signal import main as signal
from tests.unit.risk.world import CONFIG

Assemble = Callable[[ServiceContext], Awaitable[Assembly]]

RUNTIME = (subjects.CLOCK, command("reload"))
"""What the runtime itself subscribes to in every service."""


def covers(granted: str, wanted: str) -> bool:
    """Whether all that `wanted` matches is within `granted`."""
    have, want = granted.split("."), wanted.split(".")
    for at, token in enumerate(have):
        if token == ">":
            return len(want) > at
        if at >= len(want) or want[at] == ">":
            return False
        if token not in ("*", want[at]):
            return False
    return len(have) == len(want)


def context(service: str, config: Config) -> ServiceContext:
    return ServiceContext(
        service=service,
        config=config,
        clock=SystemClock(),
        bus=MemoryBus(MemoryBroker()),
        store=MemoryStore(),
        env={},
    )


async def executor_assembly(asked: ServiceContext) -> Assembly:
    """As `assemble` does in mode live, with venues that cannot be reached."""

    async def opener(venue: str) -> Trading:
        raise VenueError(venue, "network", "nobody is there")

    return await executor.assembly_of(asked, pair_specs(asked.config), asked.config, opener)


SERVICES: dict[str, Assemble] = {
    "feed": feed.assemble,
    "signal": signal.assemble,
    "risk": risk.assemble,
    "executor": executor_assembly,
    "recorder": recorder.assemble,
    "notifier": notifier.assemble,
}


def config_of(mode: Mode, folder: Path) -> Config:
    return msgspec.structs.replace(
        CONFIG,
        mode=mode,
        paths=Paths(logs=str(folder / "logs"), archive=str(folder / "archive")),
        notify=Notify(channels={"mail": Channel(url="json://127.0.0.1:1/x")}),
    )


@pytest.mark.parametrize("mode", [Mode.OBSERVER, Mode.PAPER, Mode.LIVE])
@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_may_hear_what_it_subscribes_to(service: str, mode: Mode, tmp_path: Path) -> None:
    if mode is Mode.OBSERVER and service in ("risk", "executor"):
        mode = Mode.DEMO  # neither runs for an observer
    assembly = await SERVICES[service](context(service, config_of(mode, tmp_path)))
    try:
        granted = bus_grant(service).subscribe
        wanted = {*assembly.subscriptions, *RUNTIME}
        refused = {one for one in wanted if not any(covers(grant, one) for grant in granted)}
        assert not refused, f"{service} subscribes to {refused}, and may hear {granted}"
        assert assembly.subscriptions
    finally:
        if assembly.close is not None:
            await assembly.close()


@pytest.mark.parametrize("pattern", [*paper.HEARD, subjects.PERMIT])
def test_so_may_the_executors_own_ears(pattern: str) -> None:
    assert any(covers(grant, pattern) for grant in bus_grant("executor").subscribe)


def test_every_service_of_the_table_is_asked_but_the_venue_and_people() -> None:
    assert SERVICES.keys() == BUS.keys() - {"venue", "operator"}


@pytest.mark.parametrize(
    ("granted", "wanted", "within"),
    [
        ("cmd.>", "cmd.*", True),
        ("cmd.*", "cmd.>", False),
        ("cmd.*", "cmd.halt", True),
        ("cmd.halt", "cmd.*", False),
        ("exec.pair.>", "exec.>", False),
        ("md.>", "md", False),
        ("md.>", "md.quote.>", True),
        ("sys.want.*", "sys.want.feed", True),
        ("sys.want.*", "sys.want.feed.x", False),
        ("sys.clock", "sys.clock", True),
    ],
)
def test_what_lies_within_what(granted: str, wanted: str, within: bool) -> None:  # noqa: FBT001
    assert covers(granted, wanted) is within
