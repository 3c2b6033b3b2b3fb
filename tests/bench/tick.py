"""From a tick at the feed to the evaluation on the bus, against the same hops by a hand-written client.

Ours: `md.quote` encoded and published by `NatsBus` -> nats-server -> `NatsBus`, the runtime, the real
`SignalActor` -> `signal.opportunity` -> nats-server -> an observer's `NatsBus`. The floor: the same two
hops with the same bytes by `RawNats`, with no work in the middle. The goal is about that one, so it pays
for the evaluation too; beside it stands the floor with decode, actor and encode in the middle, which
leaves the way alone.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from time import perf_counter

import uvloop

from libs.common import messages as m
from libs.common import subjects
from libs.common.actor import Runtime
from libs.common.assembly import Assembly, ServiceContext
from libs.common.clock import SystemClock
from libs.common.config.schema import Config, Exchange, Monitor
from libs.common.effects import Answered, Publish, Received, Request, Started
from libs.common.instant import MS_PER_HOUR
from libs.common.memory_store import MemoryStore
from libs.common.metrics import Metrics
from libs.common.nats_bus import NatsBus
from libs.common.subjects import Kind
from services.signal.actor import SignalActor
from services.signal.main import assemble
from services.signal.selection import LoadSelection, Stored
from tests.bench.raw_nats import RawNats
from tests.bench.report import Figure, Result, median, ratio_of
from tests.helpers.servers import real_nats

GOAL = 1.6
SPOT, PERP = "BTC-USDT", "BTC-USDT-PERP"
QUOTE = subjects.quote("binance", PERP)
CONFIG = Config(
    symbols=("BTC/USDT",),
    exchanges={
        "spot": Exchange(id="binance", type="spot"),
        "perp": Exchange(id="binance", type="swap"),
    },
    monitor=Monitor(interval_sec=3_600.0),  # no rounds in between: only what ticks cause
)
ANSWER_SEC_MAX = 10.0
Tick = Callable[[int], "asyncio.Future[float]"]


def quote_at(turn: int, clock: SystemClock, instrument: str = PERP) -> m.Quote:
    """Each tick moves the basis by 2 bps, so that each evaluation has something to say."""
    now, mid = clock.now(), 100.0 + 0.02 * (turn % 2)
    return m.Quote(
        venue="binance",
        instrument=instrument,
        bid=mid - 0.005,
        ask=mid + 0.005,
        bid_size=3.25,
        ask_size=1.5,
        ts_ms=now.market_ms,
        recv_us=now.wall_us,
    )


def setting(clock: SystemClock) -> list[tuple[str, m.Message]]:
    """All that an evaluation needs beside the tick."""
    now = clock.now()
    eight = 8 * MS_PER_HOUR
    last_ms = now.market_ms // eight * eight
    prints = tuple(
        m.Settlement(settled_ms=last_ms - place * eight, rate=0.0004, interval_hours=8.0)
        for place in reversed(range(90))
    )
    said: list[tuple[str, m.Message]] = []
    for slug, kind in ((SPOT, Kind.SPOT), (PERP, Kind.PERP)):
        info = m.InstrumentInfo(
            venue="binance",
            instrument=slug,
            symbol="BTC/USDT",
            base="BTC",
            quote="USDT",
            settle="USDT",
            kind=kind,
            recv_us=now.wall_us,
        )
        said.append((subjects.instrument("binance", slug), info))
        said.append((subjects.quote("binance", slug), quote_at(0, clock, slug)))
    funding = m.Funding(
        venue="binance",
        instrument=PERP,
        kind="current",
        rate=0.0004,
        interval_hours=8.0,
        interval_source="endpoint",
        next_ms=last_ms + eight,
        mark=100.0,
        ts_ms=now.market_ms,
        recv_us=now.wall_us,
    )
    history = m.FundingHistory(venue="binance", instrument=PERP, prints=prints, recv_us=now.wall_us)
    said.append((subjects.funding("binance", PERP), funding))
    said.append((subjects.history("binance", PERP), history))
    return said


@contextlib.asynccontextmanager
async def ours(url: str) -> AsyncIterator[Tick]:
    """The real chain."""
    clock, store = SystemClock(), MemoryStore()
    feed, signal, watcher = (NatsBus(url, name=name) for name in ("feed", "signal", "watcher"))
    for bus in (feed, signal, watcher):
        await bus.connect()
    context = ServiceContext(service="signal", config=CONFIG, clock=clock, bus=signal, store=store, env={})
    assembly: Assembly = await assemble(context)
    metrics = Metrics(deployment="bench", service="signal")
    runtime = Runtime(
        service="signal", assembly=assembly, clock=clock, bus=signal, store=store, metrics=metrics
    )
    stop, waiting = asyncio.Event(), Waiting()
    running = asyncio.create_task(runtime.run(stop))
    await watcher.subscribe(subjects.ALL_OPPORTUNITIES, lambda _frame: waiting.done())
    await asyncio.sleep(0.2)  # until its own subscriptions stand
    for subject, message in setting(clock):
        feed.publish(subject, m.encode(message))
    await feed.flush()

    def tick(turn: int) -> asyncio.Future[float]:
        future = waiting.start()
        feed.publish(QUOTE, m.encode(quote_at(turn, clock)))
        return future

    try:
        yield tick
    finally:
        stop.set()
        await running
        for bus in (feed, signal, watcher):
            await bus.close()


@contextlib.asynccontextmanager
async def raw(url: str, *, work: bool) -> AsyncIterator[Tick]:
    """The floor, with the same work in the middle or with none."""
    clock, waiting = SystemClock(), Waiting()
    feed, signal, watcher = [await RawNats.connect(url) for _ in range(3)]
    evaluate = evaluator(clock)
    payload = evaluate(m.encode(quote_at(1, clock)))
    subject = subjects.opportunity("BTC-USDT_binance-spot_binance-perp").encode().replace(b"signal", b"raw")

    def middle(message: bytes) -> None:
        signal.publish(subject, evaluate(message) if work else payload)

    await signal.subscribe(b"raw.quote", middle)
    await watcher.subscribe(subject, lambda _payload: waiting.done())

    def tick(turn: int) -> asyncio.Future[float]:
        future = waiting.start()
        feed.publish(b"raw.quote", m.encode(quote_at(turn, clock)))
        return future

    try:
        yield tick
    finally:
        for client in (feed, signal, watcher):
            client.close()


def evaluator(clock: SystemClock) -> Callable[[bytes], bytes]:
    """The actor alone: a quote's bytes in, the opportunity's bytes out."""
    actor = SignalActor(CONFIG)
    for effect in list(actor.handle(Started(), clock.now())):
        if isinstance(effect, LoadSelection):
            list(actor.handle(Answered(request=effect, result=Stored(value=None, version=0)), clock.now()))
    for subject, message in setting(clock):
        list(actor.handle(Received(subject=subject, message=message), clock.now()))

    def evaluate(payload: bytes) -> bytes:
        event = Received(subject=QUOTE, message=m.decode(payload, m.Quote))
        said = b""
        for effect in actor.handle(event, clock.now()):
            assert not isinstance(effect, Request)
            if isinstance(effect, Publish):
                said = m.encode(effect.message)
        return said

    return evaluate


class Waiting:
    """One tick at a time, from before it is encoded until its evaluation is observed; seconds."""

    def __init__(self) -> None:
        self._future: asyncio.Future[float] | None = None
        self._begun = 0.0

    def start(self) -> asyncio.Future[float]:
        self._future = asyncio.get_running_loop().create_future()
        self._begun = perf_counter()
        return self._future

    def done(self) -> None:
        if self._future is not None and not self._future.done():
            self._future.set_result(perf_counter() - self._begun)


async def measure(ticks: int, rounds: int) -> tuple[list[float], list[float], list[float]]:
    """Medians (us) of each round for ours, the floor with work and the bare floor, taken in turns."""
    medians: tuple[list[float], list[float], list[float]] = ([], [], [])
    with real_nats() as server:
        await server.ready()
        async with ours(server.url) as a, raw(server.url, work=True) as b, raw(server.url, work=False) as c:
            chains = (a, b, c)
            for turn in range(rounds + 1):  # the first round warms up
                taken: tuple[list[float], ...] = ([], [], [])
                for number in range(ticks):
                    # tick by tick in turns: whatever else this machine does meets all three alike
                    for chain, kept in zip(chains, taken, strict=True):
                        kept.append(await asyncio.wait_for(chain(number + 1), ANSWER_SEC_MAX) * 1e6)
                if turn:
                    for kept, all_kept in zip(taken, medians, strict=True):
                        all_kept.append(median(kept))
    return medians


def run(*, ticks: int = 1_500, rounds: int = 5) -> Result:
    """Ratios of the median way of a tick."""
    chain, floor, bare = uvloop.run(measure(ticks, rounds))
    return Result(
        bench="tick",
        note=f"tick -> NATS -> signal -> NATS, median of {rounds} rounds of {ticks} ticks, chains in turns",
        figures=(
            Figure(name="ratio", value=ratio_of(chain, bare), unit="x", goal=GOAL),
            Figure(name="ratio_same_work", value=ratio_of(chain, floor), unit="x"),
            Figure(name="ours_p50_us", value=median(chain), unit="us"),
            Figure(name="raw_same_work_p50_us", value=median(floor), unit="us"),
            Figure(name="raw_bare_hops_p50_us", value=median(bare), unit="us"),
        ),
    )
