"""The feed's process: venues in, `md.>` out.

Wires `FeedActor` to real (or simulated) venues.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from libs.common import subjects
from libs.common.assembly import Assembly, Background, ServiceContext
from libs.common.build import build
from libs.common.config.schema import Config, Mode
from libs.common.effects import Request
from libs.common.instant import Clock
from libs.common.run import serve
from libs.exchange.factory import open_market_data
from libs.exchange.port import MarketData
from libs.exchange.redirect import Redirect
from services.feed.actor import FeedActor, conflation_key, lane_of
from services.feed.clients import Offer, Opener, VenueClients
from services.feed.source import sources_of
from services.feed.work import (
    FetchSettled,
    LoadVenue,
    MeasureClock,
    PollBook,
    PollFunding,
    PollQuotes,
    RecallWatermarks,
    StreamKind,
)

STREAMED: tuple[StreamKind, ...] = ("quote", "mark")


def market_opener(config: Config, clock: Clock, env: Mapping[str, str]) -> Opener:
    """Real venues, or in mode demo the simulated ones on this machine."""
    redirect = Redirect.from_runtime_dir(env["FUNDARB_RUNTIME_DIR"]) if config.mode is Mode.DEMO else None

    async def opener(venue: str) -> MarketData:
        return await open_market_data(venue, config=config, clock=clock, redirect=redirect)

    return opener


async def assemble(context: ServiceContext) -> Assembly:
    """Everything that the runtime needs to run the feed."""
    return assembly_of(context, market_opener(context.config, context.clock, context.env))


def assembly_of(context: ServiceContext, opener: Opener) -> Assembly:
    """The feed on any way of opening venues."""
    config = context.config
    sources = sources_of(config)
    clients = VenueClients(
        sources, opener=opener, store=context.store, timeout_sec=config.timeouts.request_timeout_sec
    )
    handlers: dict[type[Request], Callable[[Any], Awaitable[Any]]] = dict.fromkeys(
        (LoadVenue, PollFunding, PollQuotes, PollBook, FetchSettled, MeasureClock), clients.handle
    )
    handlers[RecallWatermarks] = clients.recall
    return Assembly(
        actor=FeedActor(
            sources, monitor=config.monitor, market=context.clock.market, build=build(context.env)
        ),
        subscriptions=(subjects.CLOCK, subjects.want("feed"), subjects.ALL_OPPORTUNITIES, subjects.PERMIT),
        handlers=handlers,
        background=tuple(stream_of(clients, source.venue, kind) for source in sources for kind in STREAMED),
        lane_of=lane_of,
        conflate=conflation_key,
        close=clients.close,
        reloads=True,
    )


def stream_of(clients: VenueClients, venue: str, kind: StreamKind) -> Background:
    """One stream as a background task."""

    async def run(offer: Offer) -> None:
        await clients.stream(venue, kind, offer)

    return run


def main() -> int:
    """Run the feed until told to stop."""
    return serve("feed", assemble)


if __name__ == "__main__":
    raise SystemExit(main())
