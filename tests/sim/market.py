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

from libs.common.instant import US_PER_MS, US_PER_SEC
from libs.common.messages import Funding, Message, Quote
from libs.common.subjects import funding as funding_subject
from libs.common.subjects import instrument as instrument_subject
from libs.common.subjects import quote as quote_subject
from libs.exchange.engine.commands import SettleFunding
from libs.exchange.engine.types import MarketStatus
from libs.exchange.port import QuoteSeen
from services.executor.world import Key
from services.feed.normalize import quote_of
from tests.sim.plan import KEYS, START_PRICES, Misfortune
from tests.sim.terms import listing_key

if TYPE_CHECKING:
    from tests.sim.world import World

QUOTE_EVERY_US: Final = 4 * US_PER_SEC // 5
DESCRIBE_EVERY_US: Final = 10 * US_PER_SEC
FUNDING_EVERY_US: Final = 150 * US_PER_SEC
"""Market time runs like the wall's here: eight hours would never pass. Nothing opens a minute around one."""

TOLD_BEFORE_US: Final = 15 * US_PER_SEC
RATES: Final = ("0.0001", "-0.0001", "0.0007", "-0.0003", "0")
PERPS: Final = tuple(key for key in KEYS if key[1].endswith("PERP"))


class Market:
    """Prices move, instruments are described, funding is announced and paid."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.rng = random.Random(f"market {world.plan.seed}")  # noqa: S311 - a seed is what it is for
        self.prices: dict[str, Decimal] = dict(START_PRICES)
        self._silent_us: dict[Key | None, int] = {}  # None: the whole feed
        self._sick_us: dict[Key, int] = {}
        self._misread: dict[Key, int] = {}  # power of ten by which an instrument is described wrongly
        self._rates: dict[Key, Decimal] = {}

    def start(self) -> None:
        """Set everything going."""
        self.describe()
        self._quotes()
        self.world.time.after(self.rng.randrange(10, 100) * US_PER_SEC, self._announce)

    def describe(self) -> None:
        """Instruments, said again every 10 s, and at once when one changes by the venue's word."""
        world = self.world
        told: list[tuple[str, Message]] = []
        for key in KEYS:
            info = world.venues[key[0]].info(key[1])
            if key in self._misread:
                del self._misread[key]
            elif world.hits(Misfortune.WRONG_MULTIPLIER, 0.02):
                self._misread[key] = self.rng.choice((-1, 1))
                step = Decimal(info.quantity_step or "1").scaleb(self._misread[key])
                info = replace(info, quantity_step=str(step), quantity_min=str(step))
            told.append((instrument_subject(*key), info))
        world.publish(told)
        world.time.after(DESCRIBE_EVERY_US, self.describe)

    # --- prices -----------------------------------------------------------------------------------

    def _quotes(self) -> None:
        world = self.world
        for base, price in self.prices.items():
            step = Decimal(self.rng.randrange(-8, 9)) / 10_000
            if world.hits(Misfortune.MARGIN_SHOCK, 0.002):
                step = Decimal(self.rng.choice((-40, 40))) / 100
            elif world.hits(Misfortune.PRICE_SHOCK, 0.002):
                step = Decimal(self.rng.choice((-20, -5, 5, 20))) / 100
            start = START_PRICES[base]
            self.prices[base] = min(start * 3, max(start / 3, price * (1 + step))).quantize(Decimal("0.1"))
        now_us = world.now.mono_us
        self._fall_silent(now_us)
        told: list[tuple[str, Message]] = []
        for key in KEYS:
            seen = world.venues[key[0]].reprice(key[1], self.prices[key[1].split("-")[0]])
            silent = max(self._silent_us.get(None, 0), self._silent_us.get(key, 0))
            if now_us >= silent and (quote := self._as_seen(key, seen, now_us)) is not None:
                told.append((quote_subject(*key), quote))
        world.publish(told)
        world.time.after(QUOTE_EVERY_US, self._quotes)

    def _fall_silent(self, now_us: int) -> None:
        world = self.world
        if now_us >= self._silent_us.get(None, 0) and world.hits(Misfortune.FEED_SILENT, 0.005):
            self._silent_us[None] = now_us + self.rng.randrange(3, 30) * US_PER_SEC
        if world.hits(Misfortune.FEED_GAP, 0.01):
            self._silent_us[self.rng.choice(KEYS)] = now_us + self.rng.randrange(1, 20) * US_PER_SEC

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

    # --- funding ----------------------------------------------------------------------------------

    def _announce(self) -> None:
        """The rate that settles soon; now and then it is another one by then, or sooner."""
        world = self.world
        early_us = 0
        if world.hits(Misfortune.INTERVAL_CHANGE, 0.2):
            early_us = self.rng.randrange(1, 10) * US_PER_SEC
        told: list[tuple[str, Message]] = []
        for key in PERPS:
            self._rates[key] = Decimal(self.rng.choice(RATES))
            told.append((funding_subject(*key), self._funding(key, self._rates[key], early_us)))
            if world.hits(Misfortune.RATE_REVERSAL, 0.2):
                self._rates[key] = -self._rates[key]
        world.publish(told)
        world.time.after(TOLD_BEFORE_US - early_us, self._settle)
        world.time.after(FUNDING_EVERY_US, self._announce)

    def _funding(self, key: Key, rate: Decimal, early_us: int) -> Funding:
        now = self.world.now
        return Funding(
            venue=key[0],
            instrument=key[1],
            kind="current",
            rate=float(rate),
            interval_hours=4.0 if early_us else 8.0,
            interval_source="rate",
            next_ms=now.market_ms + (TOLD_BEFORE_US - early_us) // US_PER_MS,
            mark=float(self.prices[key[1].split("-")[0]]),
            ts_ms=now.market_ms,
            recv_us=now.wall_us,
        )

    def _settle(self) -> None:
        world = self.world
        for venue, name in PERPS:
            side = world.venues[venue]
            if side.engine.listing(listing_key(name)).status is MarketStatus.DELISTED:
                continue
            mark = self.prices[name.split("-")[0]]
            world.counts["settlements"] += side.engine.position("bot", listing_key(name)) is not None
            side.apply(
                SettleFunding(
                    instrument=listing_key(name),
                    rate=self._rates[venue, name],
                    mark=mark,
                    settled_ms=world.now.market_ms,
                )
            )
            side.hide_records(world.rng.randrange(1, 20) * US_PER_SEC)
