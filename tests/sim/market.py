"""What the feed of the simulation tells: prices, instruments, funding; and what may be wrong with them.

Every quote goes through the feed's own judgement (`quote_of`): what is crossed or no number never gets to the
executors, who see a silence instead.
"""

from __future__ import annotations

import math
import random
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from libs.common.instant import MS_PER_HOUR, US_PER_MS, US_PER_SEC
from libs.common.messages import Funding, FundingHistory, Message, Quote, Settlement, VenueHealth
from libs.common.subjects import funding as funding_subject
from libs.common.subjects import history as history_subject
from libs.common.subjects import instrument as instrument_subject
from libs.common.subjects import md_health
from libs.common.subjects import quote as quote_subject
from libs.exchange.engine.commands import SettleFunding
from libs.exchange.engine.types import MarketStatus
from libs.exchange.port import QuoteSeen
from services.executor.world import Key
from services.feed.normalize import quote_of
from tests.sim.plan import START_PRICES, Misfortune
from tests.sim.terms import listing_key
from tests.sim.timeline import WALL0_US

if TYPE_CHECKING:
    from tests.sim.world import World

QUOTE_EVERY_US: Final = 4 * US_PER_SEC // 5
DESCRIBE_EVERY_US: Final = 10 * US_PER_SEC
FUNDING_EVERY_US: Final = 150 * US_PER_SEC
"""Market time runs like the wall's here: eight hours would never pass. Nothing opens a minute around one."""

TOLD_BEFORE_US: Final = 15 * US_PER_SEC
STRIDE: Final = 8
"""Prices move so much further between two rounds while these are rare."""

RATES: Final = ("0.0001", "-0.0001", "0.0007", "-0.0003", "0")
USUAL: Final = ("0.0003", "0.0003", "0.001", "-0.0007")
AS_USUAL: Final = 0.5
RATES_EVERY: Final = 2
"""Every second round of quotes tells the rates and marks too."""

FIRST_SETTLED_MS: Final = WALL0_US // US_PER_MS + 4 * MS_PER_HOUR


class Market:
    """Prices move, instruments are described, funding is announced and paid."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.rng = random.Random(f"market {world.plan.seed}")  # noqa: S311 - a seed is what it is for
        self.prices: dict[str, Decimal] = dict(START_PRICES)
        self.coarsest: dict[Key, Decimal] = {}  # steps as they were described, rightly or not
        self._silent_us: dict[Key | None, int] = {}  # None: the whole feed
        self._sick_us: dict[Key, int] = {}
        self._misread: dict[Key, int] = {}  # power of ten by which an instrument is described wrongly
        self._rates: dict[Key, Decimal] = {}
        self._next_ms = FIRST_SETTLED_MS
        self._hours = 8.0
        self._usual = {key: self._drawn_usual() for key in self.world.perps}
        self._prints: dict[Key, tuple[Settlement, ...]] = {key: self._past(key) for key in self.world.perps}
        self._heard_us: dict[str, int] = {}
        self._errors: dict[str, int] = {}
        self._round = 0

    def start(self) -> None:
        """Set everything going."""
        self._change_rates()
        self._describe()
        self._quotes()
        self._health()
        self.world.time.after(self.rng.randrange(10, 180) * US_PER_SEC, self._announce)

    def _describe(self) -> None:
        """Said again every 10 s, and whenever somebody asks."""
        self.tell()
        self.world.time.after(self.world.absences.paced_us(DESCRIBE_EVERY_US), self._describe)

    def tell(self) -> None:
        """Instruments as the venues describe them now, and what has settled."""
        world = self.world
        told: list[tuple[str, Message]] = []
        for key in self.world.keys:
            info = world.venues[key[0]].info(key[1])
            if key in self._misread:
                del self._misread[key]
            elif world.hits(Misfortune.WRONG_MULTIPLIER, 0.02):
                self._misread[key] = self.rng.choice((-1, 1))
                step = Decimal(info.quantity_step or "1").scaleb(self._misread[key])
                info = replace(info, quantity_step=str(step), quantity_min=str(step))
            step = Decimal(info.quantity_step or 0)
            self.coarsest[key] = max(step, self.coarsest.get(key, step))
            told.append((instrument_subject(*key), info))
        world.publish(told)
        world.publish([(history_subject(*key), self._history(key)) for key in self.world.perps])

    def _health(self) -> None:
        """What the feed says of each venue, every second."""
        now_us = self.world.now.mono_us
        told: list[tuple[str, Message]] = []
        for slug, venue in self.world.venues.items():
            silent_us = now_us - self._heard_us.get(slug, 0)
            self._errors[slug] = self._errors.get(slug, 0) + (now_us < venue.down_until_us)
            told.append(
                (
                    md_health(slug),
                    VenueHealth(
                        venue=slug,
                        connected=now_us >= venue.down_until_us,
                        ages_sec={"quote": silent_us / US_PER_SEC},
                        errors={"timeout": self._errors[slug]} if self._errors[slug] else {},
                        recv_us=self.world.now.wall_us,
                    ),
                )
            )
        if not self._is_silent(None, now_us):  # a feed that is gone says nothing of venues either
            self.world.publish(told)
        self.world.time.after(self.world.absences.paced_us(US_PER_SEC), self._health)

    # --- prices -----------------------------------------------------------------------------------

    def _quotes(self) -> None:
        world = self.world
        pause_us = world.absences.paced_us(QUOTE_EVERY_US)
        stride = 1 if pause_us == QUOTE_EVERY_US else STRIDE
        for base, price in self.prices.items():
            step = Decimal(self.rng.randrange(-8, 9)) * stride / 10_000
            if world.hits(Misfortune.MARGIN_SHOCK, 0.002):
                step = Decimal(self.rng.choice((-40, 40))) / 100
            elif world.hits(Misfortune.PRICE_SHOCK, 0.002):
                step = Decimal(self.rng.choice((-20, -5, 5, 20))) / 100
            start = START_PRICES[base]
            self.prices[base] = min(start * 3, max(start / 3, price * (1 + step))).quantize(Decimal("0.1"))
        now_us = world.now.mono_us
        self._fall_silent(now_us)
        told: list[tuple[str, Message]] = []
        for key in self.world.keys:
            seen = world.venues[key[0]].reprice(key[1], self.prices[key[1].split("-")[0]])
            if not self._is_silent(key, now_us) and (quote := self._as_seen(key, seen, now_us)) is not None:
                told.append((quote_subject(*key), quote))
                self._heard_us[key[0]] = now_us
        self._round += 1
        if self._round % RATES_EVERY == 1:
            told += [
                (funding_subject(*key), self._current(key))
                for key in self.world.perps
                if not self._is_silent(key, now_us)
            ]
        world.publish(told)
        world.time.after(pause_us, self._quotes)

    def _fall_silent(self, now_us: int) -> None:
        world = self.world
        if now_us >= self._silent_us.get(None, 0) and world.hits(Misfortune.FEED_SILENT, 0.005):
            self._silent_us[None] = now_us + self.rng.randrange(3, 30) * US_PER_SEC
        if world.hits(Misfortune.FEED_GAP, 0.01):
            self._silent_us[self.rng.choice(self.world.keys)] = (
                now_us + self.rng.randrange(1, 20) * US_PER_SEC
            )

    def _as_seen(self, key: Key, quote: Quote, now_us: int) -> Quote | None:
        """The quote as the feed lets it through; None for one that means nothing."""
        bid: float = quote.bid
        ask: float = quote.ask
        sick = now_us < self._sick_us.get(key, 0)
        if not sick and self.world.hits(Misfortune.FEED_CROSSED, 0.004):
            bid, ask = ask * 1.01, bid
        elif sick or self.world.hits(Misfortune.FEED_NAN, 0.002):
            if not sick:
                self._sick_us[key] = now_us + self.rng.randrange(1, 6) * US_PER_SEC
            bid = math.nan
        else:
            return quote
        seen = QuoteSeen(
            venue=quote.venue,
            instrument=quote.instrument,
            ts_ms=quote.ts_ms,
            recv_us=quote.recv_us,
            source=quote.source,
            bid=bid,
            ask=ask,
            bid_size=quote.bid_size,
            ask_size=quote.ask_size,
        )
        judged = quote_of(seen, ts_ms=quote.ts_ms)
        return judged if isinstance(judged, Quote) else None

    def _is_silent(self, key: Key | None, now_us: int) -> bool:
        """Whether nothing is told of an instrument; None: of anything."""
        silent_us = max(self._silent_us.get(None, 0), self._silent_us.get(key, 0))
        return now_us < silent_us or self.world.absences.is_untold(key)

    # --- funding ----------------------------------------------------------------------------------

    def _drawn_usual(self) -> Decimal:
        """What an instrument has paid for a fortnight, and mostly goes on to pay in a lively seed."""
        return Decimal(self.rng.choice(USUAL)) if self.world.plan.lively else Decimal("0.0003")

    def _past(self, key: Key) -> tuple[Settlement, ...]:
        """A fortnight of settled prints, of one sign."""
        rate = float(self._usual[key])
        first_ms = FIRST_SETTLED_MS - 8 * MS_PER_HOUR
        return tuple(
            Settlement(settled_ms=first_ms - 8 * MS_PER_HOUR * n, rate=rate, interval_hours=8.0)
            for n in range(42, -1, -1)
        )

    def _history(self, key: Key) -> FundingHistory:
        return FundingHistory(
            venue=key[0], instrument=key[1], prints=self._prints[key], recv_us=self.world.now.wall_us
        )

    def _change_rates(self) -> None:
        """What would be paid now is another rate now and then, while wishes go on."""
        for key in self.world.perps:
            if not self.world.calm and (key not in self._rates or self.rng.random() < 0.5):
                self._rates[key] = self._next_rate(key)
        if not self.world.calm:
            first, last = (3, 15) if self.world.plan.lively else (5, 30)
            self.world.time.after(self.rng.randrange(first, last) * US_PER_SEC, self._change_rates)

    def _next_rate(self, key: Key) -> Decimal:
        """Any, or in a lively seed mostly what was paid before: it is worth opening, until it turns."""
        if self.world.plan.lively and self.rng.random() < AS_USUAL:
            return self._usual[key] * 2
        return Decimal(self.rng.choice(RATES))

    def _announce(self) -> None:
        """The rate that settles soon; now and then it is another one by then, or sooner."""
        world, early_us = self.world, 0
        self._hours = 8.0
        if world.hits(Misfortune.INTERVAL_CHANGE, 0.6 if world.plan.lively else 0.2):
            early_us, self._hours = self.rng.randrange(1, 10) * US_PER_SEC, 4.0
        self._next_ms = world.now.market_ms + (TOLD_BEFORE_US - early_us) // US_PER_MS
        world.publish([(funding_subject(*key), self._current(key)) for key in self.world.perps])
        for key in self.world.perps:
            if world.hits(Misfortune.RATE_REVERSAL, 0.2):
                self._rates[key] = -self._rates[key]
        world.time.after(TOLD_BEFORE_US - early_us, self._settle)
        world.time.after(FUNDING_EVERY_US, self._announce)

    def _current(self, key: Key) -> Funding:
        now = self.world.now
        return Funding(
            venue=key[0],
            instrument=key[1],
            kind="current",
            rate=float(self._rates[key]),
            interval_hours=self._hours,
            interval_source="rate",
            next_ms=self._next_ms,
            mark=float(self.prices[key[1].split("-")[0]]),
            ts_ms=now.market_ms,
            recv_us=now.wall_us,
            source="stream",
        )

    def _settle(self) -> None:
        world, now_ms = self.world, self.world.now.market_ms
        for venue, name in world.perps:
            side, rate = world.venues[venue], self._rates[venue, name]
            if side.engine.listing(listing_key(name)).status is MarketStatus.DELISTED:
                continue
            world.counts["settlements"] += side.engine.position("bot", listing_key(name)) is not None
            side.apply(
                SettleFunding(
                    instrument=listing_key(name),
                    rate=rate,
                    mark=self.prices[name.split("-")[0]],
                    settled_ms=now_ms,
                )
            )
            side.hide_records(world.rng.randrange(1, 20) * US_PER_SEC)
            paid = Settlement(settled_ms=now_ms, rate=float(rate), interval_hours=self._hours)
            self._prints[venue, name] = (*self._prints[venue, name], paid)
        self._hours, self._next_ms = 8.0, now_ms + 8 * MS_PER_HOUR
