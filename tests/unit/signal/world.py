"""A market in messages: two pairs on two venues, and an actor that is driven by hand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec

from libs.common.config.legs import pair_specs
from libs.common.config.schema import Config, Exchange, Monitor, PairLegs, Position, Thresholds
from libs.common.effects import Answered, Effect, Event, Publish, Received, Request, Started, TimerFired
from libs.common.instant import ManualClock, MarketClock, Now
from libs.common.messages import (
    Evaluation,
    Funding,
    FundingHistory,
    InstrumentInfo,
    Message,
    Opportunity,
    Quarantine,
    Quote,
    Settlement,
    VenueHealth,
)
from libs.common.metrics import check_effects
from libs.common.subjects import Kind, kind_of
from services.signal.actor import SignalActor
from services.signal.selection import LoadSelection, SaveSelection, Stored
from services.signal.view import MarketView

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
WALL_US = 1_739_149_200_000_000  # 2025-02-10 01:00 UTC: an hour after a settlement
BTC = "BTC-USDT_binance-spot_binance-perp"
ETH = "ETH-USDT_binance-spot_binance-perp"
CROSS = "BTC-USDT_binance-perp_bybit-perp"

BUILD = "0.1.0+test"

E = TypeVar("E", bound=Effect)


def config(**changes: Any) -> Config:
    """Two spot/perp pairs on Binance and one perp/perp pair with Bybit."""
    given: dict[str, Any] = {
        "symbols": ("BTC/USDT", "ETH/USDT"),
        "exchanges": {
            "spot": Exchange(id="binance", type="spot"),
            "perp": Exchange(id="binance", type="swap"),
            "other": Exchange(id="bybit", type="swap"),
        },
        "pairs": (
            PairLegs(symbol="BTC/USDT", legs=("spot", "perp")),
            PairLegs(symbol="BTC/USDT", legs=("perp", "other")),
        ),
        "position": Position(),
        "thresholds": Thresholds(),
        "monitor": Monitor(interval_sec=30),
    }
    return Config(**(given | changes))


class World:
    """Clock, what the venues say, and the actor's answers."""

    def __init__(self, cfg: Config | None = None, *, speed: float = 1.0) -> None:
        self.config = cfg or config()
        market = MarketClock(market0_ms=WALL_US // 1000, wall0_ms=WALL_US // 1000, speed=speed)
        self.clock = ManualClock(wall_us=WALL_US, market=market)
        self.actor = SignalActor(self.config, build=BUILD)
        self.effects: list[Effect] = []

    @property
    def now(self) -> Now:
        return self.clock.now()

    # --- what happens to the actor --------------------------------------------------------------

    def do(self, event: Event) -> list[Effect]:
        """Handle one event; metric names are checked on the way."""
        found = list(self.actor.handle(event, self.now))
        check_effects(found)
        self.effects += found
        return found

    def say(self, message: Message) -> list[Effect]:
        subject = "md.x"
        if isinstance(message, Quote | Funding | FundingHistory | InstrumentInfo):
            subject = f"md.{type(message).__name__.lower()}.{message.venue}.{message.instrument}"
        return self.do(Received(subject=subject, message=message))

    def start(self, stored: Stored | None = None) -> list[Effect]:
        found = self.do(Started())
        self.do(Answered(request=LoadSelection(), result=stored or Stored(value=None, version=0)))
        return found

    def round(self) -> list[Effect]:
        return self.do(TimerFired(name="round"))

    def sweep(self) -> list[Effect]:
        return self.do(TimerFired(name="sweep"))

    def save(self, effects: Iterable[Effect], *, version: int) -> SaveSelection:
        """Answer the one save among the effects."""
        (request,) = of(SaveSelection, effects)
        self.do(Answered(request=request, result=version))
        return request

    def fail(self, request: Request, error_class: str) -> list[Effect]:
        return self.do(Answered(request=request, error="no", error_class=error_class))

    # --- what the venues say --------------------------------------------------------------------

    def quote(self, instrument: str, mid: float = 100.0, *, venue: str = "binance", **changes: Any) -> Quote:
        quote = Quote(
            venue=venue,
            instrument=instrument,
            bid=mid * 0.9999,
            ask=mid * 1.0001,
            bid_size=1.0,
            ask_size=1.0,
            ts_ms=self.now.market_ms,
            recv_us=self.now.wall_us,
        )
        return msgspec.structs.replace(quote, **changes)

    def funding(
        self, instrument: str, rate: float, *, venue: str = "binance", hours: float = 8.0, **changes: Any
    ) -> Funding:
        step_ms = int(hours * HOUR_MS)
        funding = Funding(
            venue=venue,
            instrument=instrument,
            kind="current",
            rate=rate,
            interval_hours=hours,
            interval_source="rate",
            next_ms=(self.now.market_ms // step_ms + 1) * step_ms,
            ts_ms=self.now.market_ms,
            recv_us=self.now.wall_us,
        )
        return msgspec.structs.replace(funding, **changes)

    def settled(self, instrument: str, rate: float, settled_ms: int, *, hours: float = 8.0) -> Funding:
        return self.funding(
            instrument, rate, hours=hours, kind="settled", settled_ms=settled_ms, next_ms=None
        )

    def history(
        self, instrument: str, rate: float, *, venue: str = "binance", hours: float = 8.0, days: float = 31.0
    ) -> FundingHistory:
        step_ms = int(hours * HOUR_MS)
        last_ms = self.now.market_ms // step_ms * step_ms
        prints = tuple(
            Settlement(settled_ms=last_ms - back * step_ms, rate=rate, interval_hours=hours)
            for back in reversed(range(int(days * 24 / hours)))
        )
        return FundingHistory(venue=venue, instrument=instrument, prints=prints, recv_us=self.now.wall_us)

    def info(self, instrument: str, *, venue: str = "binance", **changes: Any) -> InstrumentInfo:
        kind = kind_of(instrument)
        base, quote = instrument.split("-")[:2]
        info = InstrumentInfo(
            venue=venue,
            instrument=instrument,
            symbol=f"{base}/{quote}",
            base=base,
            quote=quote,
            settle="" if kind is Kind.SPOT else quote,
            kind=kind,
            recv_us=self.now.wall_us,
        )
        return msgspec.structs.replace(info, **changes)

    def health(self, venue: str = "binance", *barred: Quarantine, **changes: Any) -> VenueHealth:
        health = VenueHealth(
            venue=venue,
            connected=True,
            ages_sec={"quote": 0.1, "funding": 0.1},
            quarantined=barred,
            recv_us=self.now.wall_us,
        )
        return msgspec.structs.replace(health, **changes)

    def everything(self, btc: float = 0.0003, eth: float = 0.0005, other: float = 0.0003) -> None:
        """All that is needed to evaluate all three pairs, said now."""
        for message in self.all_messages(btc, eth, other):
            self.say(message)

    def all_messages(self, btc: float = 0.0003, eth: float = 0.0005, other: float = 0.0003) -> list[Message]:
        said: list[Message] = []
        for venue, instrument, rate in (
            ("binance", "BTC-USDT", None),
            ("binance", "ETH-USDT", None),
            ("binance", "BTC-USDT-PERP", btc),
            ("binance", "ETH-USDT-PERP", eth),
            ("bybit", "BTC-USDT-PERP", other),
        ):
            said.append(self.info(instrument, venue=venue))
            said.append(self.quote(instrument, venue=venue))
            if rate is not None:
                said.append(self.history(instrument, rate, venue=venue))
                said.append(self.funding(instrument, rate, venue=venue))
        return said

    def refresh(self) -> None:
        """Quotes again, so that they are fresh."""
        for venue, instrument in (
            ("binance", "BTC-USDT"),
            ("binance", "ETH-USDT"),
            ("binance", "BTC-USDT-PERP"),
            ("binance", "ETH-USDT-PERP"),
            ("bybit", "BTC-USDT-PERP"),
        ):
            self.say(self.quote(instrument, venue=venue))

    def view(self) -> MarketView:
        """A view by itself, with everything said."""
        view = MarketView(self.config, pair_specs(self.config))
        for message in self.all_messages():
            view.apply(message)
        return view


def of(kind: type[E], effects: Iterable[Effect]) -> list[E]:
    """Effects of one kind."""
    return [effect for effect in effects if isinstance(effect, kind)]


def opportunities(effects: Iterable[Effect]) -> dict[str, Opportunity]:
    """The last opportunity published of each pair."""
    said = [effect.message for effect in of(Publish, effects)]
    return {message.pair: message for message in said if isinstance(message, Opportunity)}


def evaluation(effects: Iterable[Effect]) -> Evaluation:
    """The one evaluation among the effects."""
    (found,) = [e.message for e in of(Publish, effects) if isinstance(e.message, Evaluation)]
    return found


def ready(world: World | None = None) -> World:
    """A world in which everything has been said once."""
    world = world or World()
    world.start()
    world.everything()
    world.effects.clear()
    return world
