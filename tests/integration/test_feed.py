"""The feed in the real runtime against the simulated venue, over unmodified ccxt: faults come and go."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import TypeVar

import pytest

from libs.common import messages as m
from libs.common import subjects
from libs.common.actor import Runtime
from libs.common.assembly import ServiceContext
from libs.common.bus import Frame
from libs.common.clock import SystemClock
from libs.common.config.schema import Config, Exchange, Monitor, PairLegs, Timeouts
from libs.common.memory_bus import MemoryBroker, MemoryBus
from libs.common.memory_store import MemoryStore
from libs.common.metrics import Metrics
from libs.exchange.factory import open_market_data
from libs.exchange.port import MarketData
from services.feed.main import assembly_of
from services.feed.schedule import BACK_OFF, BackOff
from tests.helpers.servers import eventually
from tests.helpers.venue import Venue, running_venue

M = TypeVar("M", bound=m.Message)
BASES = ("BTC", "ETH")
VENUES = ("binance", "bitget")
PERP = "BTC-USDT-PERP"
WITHIN_SEC = 60.0  # this machine may be busy; none of it is measured


def config_of() -> Config:
    exchanges: dict[str, Exchange] = {}
    pairs: list[PairLegs] = []
    for venue in VENUES:
        exchanges[f"{venue}_spot"] = Exchange(id=venue, type="spot")
        exchanges[f"{venue}_perp"] = Exchange(id=venue, type="swap")
        pairs += [PairLegs(symbol=f"{base}/USDT", legs=(f"{venue}_spot", f"{venue}_perp")) for base in BASES]
    return Config(
        deployment="test",
        exchanges=exchanges,
        pairs=tuple(pairs),
        monitor=Monitor(interval_sec=1.0, book_interval_sec=2.0),
        timeouts=Timeouts(request_timeout_sec=10.0),
    )


class Ear:
    """Everything on `md.>`, decoded as its subject promises."""

    def __init__(self) -> None:
        self.heard: list[m.Message] = []

    def hear(self, frame: Frame) -> None:
        kind = m.type_of(frame.subject)
        assert kind is not None, frame.subject
        self.heard.append(m.decode(frame.payload, kind))

    def of(self, kind: type[M], venue: str, instrument: str = "") -> list[M]:
        return [
            one
            for one in self.heard
            if isinstance(one, kind)
            and getattr(one, "venue", "") == venue
            and instrument in ("", getattr(one, "instrument", ""))
        ]

    def reasons(self, venue: str) -> dict[str | None, str]:
        health = self.of(m.VenueHealth, venue)
        return {one.instrument: one.reason for one in health[-1].quarantined} if health else {}

    def forget(self) -> None:
        self.heard.clear()


@contextlib.asynccontextmanager
async def running_feed(venue: Venue) -> AsyncIterator[Ear]:
    """The feed as a process would run it, on a bus and a store in memory."""
    config, broker = config_of(), MemoryBroker(clock=SystemClock())
    bus, plain = MemoryBus(broker), MemoryBus(broker)
    await bus.connect()
    await plain.connect()
    clock = SystemClock(venue.server.clock)
    store = MemoryStore()
    context = ServiceContext(service="feed", config=config, clock=clock, bus=bus, store=store, env={})

    async def opener(name: str) -> MarketData:
        return await open_market_data(name, config=config, clock=clock, redirect=venue.redirect)

    ear, stop = Ear(), asyncio.Event()
    await plain.subscribe(subjects.ALL_MD, ear.hear)
    runtime = Runtime(
        service="feed",
        assembly=assembly_of(context, opener),
        clock=clock,
        bus=bus,
        store=store,
        metrics=Metrics(deployment="test", service="feed"),
    )
    running = asyncio.create_task(runtime.run(stop))
    try:
        yield ear
        assert not running.done(), "the feed ended by itself"
    finally:
        stop.set()
        code = await running
        await bus.close()
        await plain.close()
    assert code == 0


def flowing(ear: Ear, venue: str) -> bool:
    """Quotes, books, rates and history of everything."""
    perps, all_legs = 2, 4
    return (
        len({one.instrument for one in ear.of(m.Quote, venue)}) == all_legs
        and len({one.instrument for one in ear.of(m.Book, venue)}) == all_legs
        and len({one.instrument for one in ear.of(m.Funding, venue) if one.kind == "current"}) == perps
        and len({one.instrument for one in ear.of(m.FundingHistory, venue) if one.prints}) == perps
    )


def measured(ear: Ear, venue: str) -> bool:
    """The venue's clock has been compared with ours."""
    return ear.of(m.VenueHealth, venue)[-1].clock_offset_ms is not None


async def test_what_the_venue_shows_is_what_the_bus_says() -> None:
    async with running_venue() as venue, running_feed(venue) as ear:
        await eventually(lambda: all(flowing(ear, name) for name in VENUES), within_sec=WITHIN_SEC)
        for name in VENUES:
            await eventually(lambda name=name: measured(ear, name), within_sec=WITHIN_SEC)  # type: ignore[misc]
            health = ear.of(m.VenueHealth, name)[-1]
            assert health.connected
            assert health.quarantined == ()
            assert health.clock_offset_ms is not None
            assert abs(health.clock_offset_ms) < 2_000
            history = ear.of(m.FundingHistory, name, PERP)[-1]
            stamps = [one.settled_ms for one in history.prints]
            assert stamps == sorted(set(stamps))
            assert all(stamp <= venue.market_ms for stamp in stamps)
            current = ear.of(m.Funding, name, PERP)[-1]
            assert current.next_ms is not None
            assert current.next_ms > venue.market_ms
            assert current.interval_hours == 8.0
            info = ear.of(m.InstrumentInfo, name, PERP)[-1]
            assert info.refused is None


async def test_a_nonsense_rate_quarantines_its_instrument_until_it_is_sound() -> None:
    async with running_venue() as venue, running_feed(venue) as ear:
        await eventually(lambda: all(flowing(ear, name) for name in VENUES), within_sec=WITHIN_SEC)
        for kind in ("rate_null", "rate_absurd", "rate_nan"):
            former = ear.reasons("binance").get(PERP)
            venue.clear_faults()
            venue.fault(kind=kind, venue="binance", symbol="BTCUSDT")
            await eventually(
                lambda former=former: ear.reasons("binance").get(PERP, former) != former,  # type: ignore[misc]
                within_sec=WITHIN_SEC,
            )
            ear.forget()
            await eventually(
                lambda: len(ear.of(m.Funding, "binance", "ETH-USDT-PERP")) > 2, within_sec=WITHIN_SEC
            )
            await eventually(lambda: len(ear.of(m.Funding, "bitget", PERP)) > 2, within_sec=WITHIN_SEC)
            await eventually(lambda: bool(ear.of(m.VenueHealth, "bitget")), within_sec=WITHIN_SEC)
            assert set(ear.reasons("binance")) == {PERP}
            assert ear.reasons("bitget") == {}
            assert all(abs(one.rate) < 0.05 for one in ear.of(m.Funding, "binance", PERP))
        venue.clear_faults()
        await eventually(lambda: ear.reasons("binance") == {}, within_sec=WITHIN_SEC)
        await eventually(lambda: bool(ear.of(m.Funding, "binance", PERP)), within_sec=WITHIN_SEC)


@pytest.mark.parametrize("kind", ["http_429", "html_200", "truncated"])
async def test_a_venue_in_trouble_leaves_the_other_alone_and_comes_back(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Half a minute of obedience after a 429 is the schedule's own test; here it may be shorter.
    monkeypatch.setitem(BACK_OFF, "rate_limit", BackOff(1, 2, whole_venue=True))
    async with running_venue() as venue, running_feed(venue) as ear:
        await eventually(lambda: all(flowing(ear, name) for name in VENUES), within_sec=WITHIN_SEC)
        venue.fault(kind=kind, venue="bitget", endpoint="/api/*")
        await eventually(lambda: bool(ear.of(m.VenueHealth, "bitget")[-1].errors), within_sec=WITHIN_SEC)
        ear.forget()
        await eventually(lambda: len(ear.of(m.Quote, "binance", PERP)) > 2, within_sec=WITHIN_SEC)
        await eventually(lambda: len(ear.of(m.VenueHealth, "binance")) > 1, within_sec=WITHIN_SEC)
        assert ear.of(m.VenueHealth, "binance")[-1].errors == {}
        venue.clear_faults()
        ear.forget()
        await eventually(lambda: bool(ear.of(m.Book, "bitget", PERP)), within_sec=WITHIN_SEC)
        await eventually(lambda: None not in ear.reasons("bitget"), within_sec=WITHIN_SEC)


async def test_a_cut_stream_is_a_gap_and_quotes_go_on() -> None:
    async with running_venue() as venue, running_feed(venue) as ear:
        await eventually(lambda: all(flowing(ear, name) for name in VENUES), within_sec=WITHIN_SEC)
        await eventually(
            lambda: any(one.source == "stream" for one in ear.of(m.Quote, "binance", PERP)),
            within_sec=WITHIN_SEC,
        )
        venue.fault(kind="ws_disconnect", venue="binance", count=1)
        await eventually(lambda: ear.of(m.VenueHealth, "binance")[-1].gaps > 0, within_sec=WITHIN_SEC)
        ear.forget()
        await eventually(
            lambda: any(one.source == "stream" for one in ear.of(m.Quote, "binance", PERP)),
            within_sec=WITHIN_SEC,
        )


async def test_at_the_demos_speed_settlements_are_said_once_each() -> None:
    async with running_venue(speed=2_880.0) as venue, running_feed(venue) as ear:

        def prints(name: str) -> list[int | None]:
            found = ear.of(m.Funding, name, PERP)
            return [one.settled_ms for one in found if one.kind == "settled"]

        await eventually(lambda: all(len(prints(name)) >= 2 for name in VENUES), within_sec=WITHIN_SEC)
        for name in VENUES:
            assert len(prints(name)) == len(set(prints(name)))
            newest = ear.of(m.FundingHistory, name, PERP)[-1].prints
            assert {one.settled_ms for one in newest} >= set(prints(name)[:1])
            assert ear.reasons(name) == {}
