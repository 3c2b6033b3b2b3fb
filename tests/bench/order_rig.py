"""A whole chain in this process: feed's bus -> NATS -> signal -> NATS -> executor -> a venue's socket.

Everything in it is the real thing (buses, runtimes, actors, leases, permits, account, ccxt, TLS, the
simulated venue as a process of its own) but for two stand-ins: the rig says the quotes, and what signal would
ask for in its next round it asks for at once, with the evaluation that a tick has caused.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import itertools
import logging
import time
from collections.abc import AsyncIterator, Iterable
from decimal import Decimal
from typing import Any, cast

from libs.common import messages as m
from libs.common import subjects
from libs.common.actor import Runtime
from libs.common.assembly import Assembly, ServiceContext
from libs.common.build import BUILD_ENV, build
from libs.common.bus import Frame
from libs.common.clock import SystemClock, wall_us
from libs.common.config.legs import pair_specs
from libs.common.config.schema import Config, Exchange, Execution, Mode, Monitor
from libs.common.effects import Actor, Effect, Event, Publish, Received
from libs.common.instant import MS_PER_HOUR, US_PER_SEC, MarketClock, Now
from libs.common.memory_store import MemoryStore
from libs.common.messages_exec import PairStatus, Permit
from libs.common.metrics import Metrics
from libs.common.money import floor_to
from libs.common.nats_bus import NatsBus
from libs.common.redis_store import RedisStore
from libs.common.store import Store, Transition
from libs.exchange.factory import open_trading
from libs.exchange.live.adapter import CcxtTrading
from libs.exchange.redirect import Redirect
from services.executor.desk import Desk
from services.executor.events import SendOrders
from services.executor.keys import KeyWatch
from services.executor.lane import Lane
from services.executor.main import assembly_of, with_keys
from services.executor.with_books import WithBooks
from services.feed.listing import listing_of
from services.signal.main import assemble as assemble_signal
from tests.bench import tick
from tests.bench.order_site import LOOK_SEC, Site, both_arrived

PAIR = "BTC-USDT_binance-spot_binance-perp"
SPOT, PERP = tick.SPOT, tick.PERP
NOTIONAL = "1000"
DEPLOYMENT = "bench"
PERMIT_SEC = 0.25
WAIT_SEC = 10.0
READY_SEC = 60.0

ENV = {BUILD_ENV: "bench"}
CONFIG = Config(
    mode=Mode.DEMO,
    symbols=("BTC/USDT",),
    exchanges={
        "spot": Exchange(id="binance", type="spot"),
        "perp": Exchange(id="binance", type="swap"),
    },
    execution=Execution(collar_bps=50.0),
    monitor=Monitor(interval_sec=3_600.0),
)


class Noted(RedisStore):
    """Remembers the last change that orders were sent after: the floor writes the same bytes."""

    orders: Transition | None = None

    async def transition(self, change: Transition) -> bool:
        intents = [value or b"" for fields in change.hash_writes.values() for value in fields.values()]
        if any(b'"state":"sent"' in intent for intent in intents):
            self.orders = change
        return await super().transition(change)


class Asking:
    """The signal's actor; a tick of the perpetual that is worth saying is also asked for."""

    def __init__(self, signal: Actor) -> None:
        self._signal = signal
        self.said: m.Opportunity | None = None

    def handle(self, event: Event, now: Now) -> Iterable[Effect]:
        for effect in self._signal.handle(event, now):
            yield effect
            ticked = isinstance(event, Received) and event.subject == tick.QUOTE
            if ticked and isinstance(effect, Publish) and isinstance(effect.message, m.Opportunity):
                self.said = effect.message
                yield Publish(subject=subjects.intent(PAIR), message=an_intent(now))


def an_intent(now: Now) -> m.Intent:
    """To open the pair."""
    return m.Intent(
        pair=PAIR,
        action="open",
        direction="forward",
        notional_usd=NOTIONAL,
        reason="bench",
        expires_us=now.wall_us + 2 * US_PER_SEC,
    )


class Chain:
    """One executor with a broker of its own. `tick` lets it send two orders; `idle` waits for their end."""

    def __init__(self, url: str, store: Store, place: Site) -> None:
        self.store = store
        self.site = place
        self.clock = SystemClock()
        self.buses = {
            name: NatsBus(url, name=name, connect_timeout_sec=WAIT_SEC)
            for name in ("feed", "signal", "executor", "watcher")
        }
        self.status: PairStatus | None = None
        self.trading: CcxtTrading | None = None
        self.lane: Lane | None = None
        self.desk: Desk | None = None
        self.runtimes: dict[str, Runtime] = {}
        self._stop = asyncio.Event()
        self._tasks: list[asyncio.Task[Any]] = []
        self._prices: dict[str, float] = {}
        self._turns = itertools.cycle((0, 0, 1, 1))  # both legs are said once a round

    # --- life -------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Everything, until the pair can be opened."""
        for bus in self.buses.values():
            await bus.connect()
        await self.buses["watcher"].subscribe(subjects.ALL_EXEC, self._hear)
        self._tasks.append(asyncio.create_task(self._permit()))
        observer = ServiceContext(
            service="signal",
            config=tick.CONFIG,
            clock=SystemClock(),
            bus=self.buses["signal"],
            store=MemoryStore(),
            env={},
        )
        signal = await assemble_signal(observer)
        self.asking = Asking(signal.actor)
        self._run(observer, dataclasses.replace(signal, actor=self.asking))
        config = with_keys(CONFIG, self.site.keys)
        context = ServiceContext(
            service="executor",
            config=config,
            clock=self.clock,
            bus=self.buses["executor"],
            store=self.store,
            env=ENV,
        )

        async def opener(venue: str) -> CcxtTrading:
            redirect = Redirect(port=self.site.relay.port, ca_path=self.site.ca_path)
            opened = await open_trading(venue, config=config, clock=SystemClock(), redirect=redirect)
            assert isinstance(opened, CcxtTrading)
            self.trading = opened
            return opened

        assembly = await assembly_of(context, pair_specs(config), config, opener)
        watching = assembly.actor
        assert isinstance(watching, KeyWatch)
        assert isinstance(watching.actor, WithBooks)
        self.lane = watching.actor.pairs.lanes[PAIR]
        self.desk = cast("Desk", cast("Any", assembly.at_once[SendOrders]).__self__)
        self._run(context, assembly)
        await asyncio.sleep(0.2)  # until the subscriptions stand
        await self._describe()
        await self._ready()

    def _run(self, context: ServiceContext, assembly: Assembly) -> None:
        runtime = Runtime(
            service=context.service,
            assembly=assembly,
            clock=context.clock,
            bus=context.bus,
            store=context.store,
            metrics=Metrics(deployment=DEPLOYMENT, service=context.service),
        )
        self.runtimes[context.service] = runtime
        self._tasks.append(asyncio.create_task(runtime.run(self._stop)))

    async def close(self) -> None:
        """End both services, orderly."""
        self._stop.set()
        permit, *services = self._tasks
        await asyncio.gather(*services)
        permit.cancel()
        await asyncio.gather(permit, return_exceptions=True)
        for bus in self.buses.values():
            await bus.close()
        await self.store.close()

    async def _permit(self) -> None:
        revision, name = 0, build(ENV)
        while True:
            revision += 1
            permit = Permit(risk_epoch=1, revision=revision, build=name, wall_us=wall_us())
            self.buses["feed"].publish(subjects.PERMIT, m.encode(permit))
            await asyncio.sleep(PERMIT_SEC)

    def _hear(self, frame: Frame) -> None:
        if m.type_of(frame.subject) is PairStatus:
            status = m.decode(frame.payload, PairStatus)
            if status.pair == PAIR and status.owner:
                self.status = status

    # --- what the feed says -----------------------------------------------------------------------

    async def _describe(self) -> None:
        """All that an evaluation and an order need beside quotes, with the venue's own steps."""
        assert self.trading is not None
        now = self.clock.now()
        for subject, message in tick.setting(SystemClock()):
            said = message
            if isinstance(message, m.InstrumentInfo):
                said = listing_of(self.trading.places.instrument(message.instrument), now)
            if not isinstance(message, m.Quote):
                self.buses["feed"].publish(subject, m.encode(said))
        await self.look()

    async def look(self) -> None:
        """Take the venue's prices over, and say that of the spot leg: quotes must be young. The pair forgets
        how often it was opened lately: rounds come faster than its budget of attempts allows.
        """
        assert self.trading is not None
        assert self.lane is not None
        self.lane.heed.attempts_us = ()
        for slug in (SPOT, PERP):
            item, place = self.trading.places.instrument(slug), self.trading.places.of(slug)
            ticker = await place.poll.exchange.fetch_ticker(item.symbol)
            self._prices[slug] = float(ticker["last"])
        self.say(SPOT)
        await self.buses["feed"].flush()

    def say(self, slug: str) -> None:
        """Publish a quote of it."""
        self.buses["feed"].publish(subjects.quote("binance", slug), m.encode(self.quote(slug)))

    def quote(self, slug: str) -> m.Quote:
        """Near the last price; each moves by 2 bps, so that there is something to evaluate."""
        now, mid = self.clock.now(), self._prices[slug] * (1 + 0.0002 * (next(self._turns) % 2))
        return m.Quote(
            venue="binance",
            instrument=slug,
            bid=round(mid * 0.99999, 2),
            ask=round(mid * 1.00001, 2),
            bid_size=30.25,
            ask_size=30.5,
            ts_ms=now.market_ms,
            recv_us=now.wall_us,
        )

    def collared(self, slug: str, side: str) -> Decimal:
        """A limit price that a taker of this side would give."""
        assert self.trading is not None
        tick_size = self.trading.places.instrument(slug).price_tick
        assert tick_size is not None
        factor = Decimal("1.002" if side == "buy" else "0.998")
        return floor_to(Decimal(repr(self._prices[slug])) * factor, tick_size)

    def hours_pass(self) -> None:
        """The executor's market time goes on by two hours: a pair with three unwinds within one hour would
        be left alone for a day.
        """
        now = self.clock.now()
        self.clock.market = MarketClock(
            market0_ms=now.market_ms + 2 * MS_PER_HOUR, wall0_ms=now.wall_us // 1_000
        )

    # --- rounds -----------------------------------------------------------------------------------

    async def _ready(self) -> None:
        """Ask until orders come out: leases, set-up and comparison take their time."""
        async with asyncio.timeout(READY_SEC):
            while not self.attempt:
                await self.look()
                self.say(PERP)
                await asyncio.sleep(0.5)
            await self.idle(self.attempt - 1)

    @property
    def attempt(self) -> int:
        """How often the pair was opened so far."""
        return 0 if self.status is None else self.status.attempt

    async def idle(self, before: int) -> None:
        """Wait until the attempt after `before` has ended."""
        async with asyncio.timeout(WAIT_SEC):
            while self.status is None or self.status.attempt <= before or self.status.state != "idle":  # noqa: ASYNC110 - said by another bus
                await asyncio.sleep(LOOK_SEC)

    async def order(self) -> float | None:
        """One tick; us until the last byte of both orders is at the venue's socket, None when others came in
        between or the gate kept them back.
        """
        await self.look()
        before, begin = self.attempt, len(self.site.relay.seen)
        started_ns = time.time_ns()
        self.say(PERP)
        found = await both_arrived(self.site.relay, begin, started_ns)
        await self.idle(before)
        return found


@contextlib.asynccontextmanager
async def chain(url: str, store: Store, place: Site) -> AsyncIterator[Chain]:
    """A chain that is ready."""
    await store.connect()
    made = Chain(url, store, place)
    log = logging.getLogger("libs.common.actor")
    level = log.level
    log.setLevel(logging.ERROR)  # every round ends in an alert, as it is meant to
    try:
        await made.start()
        yield made
    finally:
        await made.close()
        log.setLevel(level)
