"""The feed on a manual clock: the real actor in the runtime's core, the real handlers, a scripted venue."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any, TypeVar

from libs.common import messages
from libs.common.config.schema import Config, Exchange, Monitor, PairLegs
from libs.common.core import Core
from libs.common.effects import (
    Answered,
    Effect,
    Event,
    Measure,
    Note,
    Persist,
    Publish,
    Received,
    Request,
    Started,
)
from libs.common.instant import ManualClock, MarketClock
from libs.common.memory_store import MemoryStore
from libs.common.messages import (
    Funding,
    FundingHistory,
    LegFigures,
    Message,
    Opportunity,
    Quote,
    VenueHealth,
)
from libs.common.store import StoreUnavailable
from libs.common.subjects import Kind
from libs.exchange.port import MarketData, Observation
from services.feed.actor import FeedActor, conflation_key, lane_of
from services.feed.clients import VenueClients
from services.feed.source import sources_of
from services.feed.work import Observed, RecallWatermarks
from tests.helpers.fake_market import FakeMarket

M = TypeVar("M", bound=Message)
START_MS = 1_771_516_800_000 - 60_000  # a minute before a settlement of Bybit's INJ, 2026-02-19 16:00 UTC


class BrokenStore(MemoryStore):
    """Takes nothing while `broken`."""

    broken = False

    async def put(self, key: str, value: bytes | None) -> int:
        if self.broken:
            raise StoreUnavailable("down")
        return await super().put(key, value)


def config_of(
    *venues: str, symbols: Iterable[str] = ("INJ/USDT",), interval_sec: float = 10.0, account: str = ""
) -> Config:
    """Each symbol as spot against perp on every venue."""
    exchanges: dict[str, Exchange] = {}
    pairs: list[PairLegs] = []
    for venue in venues:
        exchanges[f"{venue}s"] = Exchange(id=venue, type="spot", account=account)
        exchanges[f"{venue}p"] = Exchange(id=venue, type="swap", account=account)
        pairs += [PairLegs(symbol=symbol, legs=(f"{venue}s", f"{venue}p")) for symbol in symbols]
    return Config(exchanges=exchanges, pairs=tuple(pairs), monitor=Monitor(interval_sec=interval_sec))


class Rig:
    """Drives a feed in virtual time; requests are answered at once, in order."""

    def __init__(
        self,
        config: Config,
        markets: Iterable[FakeMarket],
        clock: ManualClock,
        *,
        store: BrokenStore | None = None,
    ) -> None:
        self.clock = clock
        self.store = store or BrokenStore()
        self.markets = {market.venue: market for market in markets}
        self.effects: list[Effect] = []
        sources = sources_of(config)
        self._clients = VenueClients(sources, opener=self._open, store=self.store, timeout_sec=5.0)
        actor = FeedActor(sources, monitor=config.monitor, market=clock.market)
        self._core = Core(actor, lane_of=lane_of, key_of=conflation_key)

    async def _open(self, venue: str) -> MarketData:
        return self.markets[venue]

    async def start(self) -> None:
        """The first life's first event, and all that follows from it at once."""
        await self.offer(Started())

    async def offer(self, event: Event) -> None:
        """One event and its consequences."""
        self._core.offer(event, self.clock.now())
        await self._settle()

    async def see(self, *seen: Observation) -> None:
        """What a stream pushed."""
        for one in seen:
            await self.offer(Observed(observation=one))

    async def hear(self, subject: str, message: Message) -> None:
        """A message off the bus, through its encoding."""
        kind = messages.type_of(subject)
        assert kind is type(message)
        await self.offer(Received(subject=subject, message=messages.decode(messages.encode(message), kind)))

    async def run(self, seconds: float, *, step_ms: int = 250) -> None:
        """Let time pass."""
        for _ in range(int(seconds * 1_000 / step_ms)):
            self.clock.advance(ms=step_ms)
            await self._settle()

    async def _settle(self) -> None:
        while (turn := self._core.step(self.clock.now())) is not None:
            while turn is not None:
                for effect in turn.effects:
                    await self._apply(effect)
                if (persist := turn.barrier) is None:
                    break
                turn = await self._persist(turn.lane, persist)

    async def _persist(self, lane: str, persist: Persist):  # type: ignore[no-untyped-def] # noqa: ANN202
        error = None
        try:
            for key, value in persist.writes.items():
                await self.store.put(key, value)
        except StoreUnavailable as down:
            error = str(down)
        return self._core.settle(lane, ok=error is None, error=error, now=self.clock.now())

    async def _apply(self, effect: Effect) -> None:
        self.effects.append(effect)
        if not isinstance(effect, Request):
            return
        handler = self._clients.recall if isinstance(effect, RecallWatermarks) else self._clients.handle
        outcome = handler(effect)  # type: ignore[arg-type]
        assert inspect.isawaitable(outcome)
        self._core.offer(Answered(request=effect, result=await outcome), self.clock.now())

    # --- what came of it ----------------------------------------------------------------------------

    def said(self, kind: type[M], instrument: str = "", *, venue: str = "") -> list[M]:
        """Messages of a type in order; every one survives its own encoding."""
        found: list[M] = []
        for effect in self.effects:
            if not isinstance(effect, Publish) or not isinstance(effect.message, kind):
                continue
            assert messages.type_of(effect.subject) is kind, effect.subject
            assert messages.decode(messages.encode(effect.message), kind) == effect.message
            fits = instrument in ("", getattr(effect.message, "instrument", ""))
            if fits and venue in ("", getattr(effect.message, "venue", "")):
                found.append(effect.message)
        return found

    def settled(self, instrument: str) -> list[tuple[int, float, float]]:
        """(settled_ms, rate, interval) of the settled prints said as events."""
        return [
            (one.settled_ms or 0, one.rate, one.interval_hours)
            for one in self.said(Funding, instrument)
            if one.kind == "settled"
        ]

    def current(self, instrument: str) -> list[Funding]:
        return [one for one in self.said(Funding, instrument) if one.kind == "current"]

    def history(self, instrument: str) -> FundingHistory:
        return self.said(FundingHistory, instrument)[-1]

    def quotes(self, instrument: str, *, venue: str = "") -> list[Quote]:
        return self.said(Quote, instrument, venue=venue)

    def health(self, venue: str) -> VenueHealth:
        return self.said(VenueHealth, venue=venue)[-1]

    def quarantined(self, venue: str) -> dict[str | None, str]:
        return {one.instrument: one.reason for one in self.health(venue).quarantined}

    def notes(self) -> list[str]:
        return [effect.text for effect in self.effects if isinstance(effect, Note)]

    def measured(self, metric: str) -> list[Measure]:
        return [effect for effect in self.effects if isinstance(effect, Measure) and effect.metric == metric]

    def forget(self) -> None:
        self.effects.clear()


def clock_at(market_ms: int = START_MS, *, speed: float = 1.0) -> ManualClock:
    """Wall time is now-ish, market time as given; at speed 1 both are the same."""
    wall_ms = market_ms if speed == 1.0 else 1_795_000_000_000
    market = (
        MarketClock() if speed == 1.0 else MarketClock(market0_ms=market_ms, wall0_ms=wall_ms, speed=speed)
    )
    return ManualClock(wall_us=wall_ms * 1_000, market=market)


SPOT, PERP = "INJ-USDT", "INJ-USDT-PERP"


def hourly_rows(
    start_ms: int, count: int, *, hours: float = 8.0, rate: float = 0.0001
) -> list[tuple[int, float]]:
    """`count` settlements from `start_ms` on, each with a rate of its own."""
    step_ms = int(hours * 3_600_000)
    return [(start_ms + place * step_ms, round(rate + place * 1e-7, 10)) for place in range(count)]


def market_of(
    venue: str, clock: ManualClock, *, symbols: Iterable[str] = ("INJ/USDT",), streams: Iterable[str] = ()
) -> FakeMarket:
    """A venue that lists spot and perp of each symbol with 8-hourly prints 40 days back and 10 ahead."""
    slugs = [
        part for symbol in symbols for part in (symbol.replace("/", "-"), symbol.replace("/", "-") + "-PERP")
    ]
    market = FakeMarket(venue, slugs, clock, streams=streams)
    settlement_ms = -(-clock.now().market_ms // 28_800_000) * 28_800_000
    for slug, one in market.listed.items():
        if slug.endswith("-PERP"):
            one.rows = hourly_rows(settlement_ms - 120 * 28_800_000, 150)
    return market


async def started(*venues: str, streams: tuple[str, ...] = (), **changes: Any) -> Rig:
    """A feed on these venues, eleven seconds old."""
    clock = clock_at()
    markets = [market_of(venue, clock, streams=streams) for venue in venues]
    rig = Rig(config_of(*venues, **changes), markets, clock)
    await rig.start()
    await rig.run(11)
    return rig


def opportunity(*, passes: bool, venue: str = "bybit", allocated_usd: float = 0.0) -> Opportunity:
    def leg(instrument: str, kind: Kind, side: Any) -> LegFigures:
        return LegFigures(venue=venue, instrument=instrument, kind=kind, side=side)

    return Opportunity(
        pair=f"INJ-USDT_{venue}-spot_{venue}-perp",
        symbol="INJ/USDT",
        direction="forward",
        long=leg(SPOT, Kind.SPOT, "long"),
        short=leg(PERP, Kind.PERP, "short"),
        notional_usd=1_000.0,
        hold_days=30.0,
        forecast="flat",
        passes=passes,
        allocated_usd=allocated_usd,
        refusals=() if passes else ("daily_low",),
        market_ms=START_MS,
        eval_us=0,
    )
