"""The simulated exchange as a service: serves, says the market's time every second, announces itself.

With FUNDARB_NATS_URL it is a service like the others (health, metrics, drain) and publishes `sys.clock`.
Without, it serves alone: somebody rehearses against it, and no servers are needed.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from libs.common import runtime_file
from libs.common.clock import wall_us
from libs.common.effects import Effect, Event, Publish, SetTimer, Started, TimerFired
from libs.common.guard import guard_loopback, peers_of
from libs.common.instant import US_PER_SEC, MarketClock, Now
from libs.common.messages import ClockState
from libs.common.run import Assembly, CannotStart, ServiceContext, serve
from libs.common.server_url import FILE_SUFFIX, NATS_ENV
from libs.common.subjects import CLOCK
from services.venue import options
from services.venue.keeping import BadState, Keeper
from services.venue.server import VenueServer

log = logging.getLogger(__name__)

USAGE: Final = 2


class ClockActor:
    """Says `sys.clock` every second: everybody's market time comes from here."""

    def __init__(self, clock: MarketClock) -> None:
        self._state = ClockState(market0_ms=clock.market0_ms, wall0_ms=clock.wall0_ms, speed=clock.speed)

    def handle(self, event: Event, now: Now) -> Iterable[Effect]:  # noqa: ARG002 - the actor's signature
        """Answer start and timer with the clock."""
        match event:
            case Started() | TimerFired():
                yield Publish(subject=CLOCK, message=self._state)
                yield SetTimer(name="clock", after_us=US_PER_SEC)
            case _:
                return


def build(env: dict[str, str]) -> VenueServer:
    """A venue as the environment asks for it, not yet listening. Raises BadOption, BadState."""
    wanted = options.from_env(env)
    market = options.market_of(wanted)
    keeper, begun_ms = None, wall_us() // 1_000
    if wanted.state:
        keeper = Keeper(Path(wanted.state), market=options.market_name(wanted))
        kept = keeper.load()
        begun_ms = kept.wall0_ms if kept is not None else begun_ms
    clock = options.clock_of(wanted, wall_ms=begun_ms)
    return VenueServer(
        market,
        clock,
        plan=wanted.plan,
        port=wanted.port,
        bind=wanted.bind,
        host=wanted.host,
        since_ms=begun_ms if keeper is not None else wanted.wall0_ms,
        keeper=keeper,
        users=wanted.users,
        deposits=wanted.deposits,
    )


async def launch(env: dict[str, str]) -> VenueServer:
    """Listen, and write `venue.json` when there is a runtime folder."""
    server = build(env)
    folder = Path(env[runtime_file.ENV_DIR]) if env.get(runtime_file.ENV_DIR) else None
    await server.start(folder=folder)
    if folder is not None:
        server.announce(folder, pid=os.getpid())
    log.info("venue on port %d, control on %d", server.port, server.control_port)
    return server


async def assemble(context: ServiceContext) -> Assembly:
    """The service: a server beside an actor that says the time."""
    try:
        server = await launch(dict(context.env))
    except (options.BadOption, BadState) as error:
        raise CannotStart(str(error), code=USAGE) from None
    return Assembly(actor=ClockActor(server.clock), close=server.stop)


async def _alone(env: dict[str, str]) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    server = await launch(env)
    print(
        f"venue: port {server.port}, control http://127.0.0.1:{server.control_port}, ca {server.ca_path}",
        flush=True,
    )
    try:
        await stop.wait()
    finally:
        await server.stop()
    return 0


def main() -> int:
    """`python -m services.venue.main [options]`, or `fundarb run venue`."""
    guard_loopback(peers_of(os.environ))  # a simulated exchange has no business outside, in any mode
    arguments = sys.argv[1:] if Path(sys.argv[0]).parent.name == "venue" else []
    env = options.environment(arguments, os.environ)
    try:
        options.from_env(env)
    except options.BadOption as error:
        sys.stderr.write(f"venue: {error}\n")
        return USAGE
    if env.get(NATS_ENV) or env.get(NATS_ENV + FILE_SUFFIX):
        return serve("venue", assemble, env=env)
    try:
        return asyncio.run(_alone(env))
    except (options.BadOption, BadState) as error:
        sys.stderr.write(f"venue: {error}\n")
        return USAGE


if __name__ == "__main__":
    sys.exit(main())
