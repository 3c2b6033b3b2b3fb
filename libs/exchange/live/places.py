"""The ccxt instances of one account at one venue, and the instruments that they serve.

Each class of a venue is a place with two instances: one trades (no limiter: it would delay an order behind
others by the second), one polls the account (limiter on). Both share the markets.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from libs.common.clock import mono_us, wall_us
from libs.common.instant import US_PER_MS, Clock
from libs.common.subjects import Kind
from libs.exchange.client import Client, all_of
from libs.exchange.live.budget import Budget
from libs.exchange.live.record import Desk, TradingRecord
from libs.exchange.live.wire import CALL, Call
from libs.exchange.port import Instrument, VenueError
from libs.exchange.record import ClientSpec, Quirks, market_hours
from libs.exchange.trading_values import Room, Urgency
from libs.exchange.units import instrument_of
from libs.exchange.urgency import is_urgent

LOOKS: Final = frozenset({"balances", "positions"})
"""A look at the account. Risk lives on it: who is not looked at for 30 s opens nothing, so that looks may
use what opens may (about 5 % of Binance's minute). Settings, fees, records, lists of orders come after them.
"""

T = TypeVar("T")
Open = Callable[[ClientSpec, bool], Any]
"""Makes an authenticated ccxt instance of a record; True: for orders, without limiter."""


class Place:
    """One ccxt class of a venue: `trade` sends orders, `poll` reads the account."""

    def __init__(self, venue: str, spec: ClientSpec, desk: Desk, open_exchange: Open) -> None:
        self.spec = spec
        self.desk = desk
        self.budget = Budget(desk.host, desk.limits, mono_us=mono_us)
        self.trade = Client(venue, spec, open_exchange(spec, True))
        self.poll = Client(venue, spec, open_exchange(spec, False))
        for client in (self.trade, self.poll):
            client.exchange.budget = self.budget

    async def ask(
        self, name: str, work: Callable[[Any], Coroutine[Any, Any, T]], *, noted: Call | None = None
    ) -> T:
        """A call on the polling instance, when the budget has room for it; `VenueError` otherwise.

        `noted` gets the venue's own answer.
        """
        urgency: Urgency = "reduce" if is_urgent() else "increase" if name in LOOKS else "poll"
        self._demand(name, self.budget.room(urgency, 0))
        token = CALL.set(noted)
        try:
            return await self.poll.call(name, work(self.poll.exchange))
        finally:
            CALL.reset(token)

    def _demand(self, name: str, room: Room) -> None:
        if not room.allowed:
            error = VenueError(self.poll.venue, "rate_limit", f"{name}: {room.why}")
            error.retry_after_sec = room.wait_sec
            raise error

    async def load(self) -> None:
        """Read the markets. They are read whatever is used, but not while the venue wants to be left alone:
        asking on is what makes a ban longer.
        """
        self._demand("load", self.budget.asked())
        await self.poll.call("load", self.poll.exchange.load_markets(True))

    async def get(self, name: str, method: str, asked: dict[str, Any] | None = None) -> Any:
        """One of ccxt's implicit methods (`fapiPrivateGetIncome`) on the polling instance."""
        return await self.ask(name, lambda exchange: getattr(exchange, method)(dict(asked or {})))

    async def post(self, name: str, method: str, asked: dict[str, Any]) -> Any:
        """One of ccxt's implicit methods that change something, at once."""
        return await self.trade.call(name, getattr(self.trade.exchange, method)(asked))

    async def close(self) -> None:
        """End both instances."""
        await asyncio.gather(self.trade.close(), self.poll.close())


class Places:
    """All places of an account, and who serves which instrument."""

    def __init__(self, venue: str, quirks: Quirks, record: TradingRecord, open_exchange: Open) -> None:
        self.venue = venue
        self._quirks = quirks
        desks = {desk.ccxt_id: desk for desk in record.desks}
        self._refused = record.refused
        self.all = [Place(venue, spec, desks[spec.ccxt_id], open_exchange) for spec in quirks.clients]
        self.instruments: dict[str, Instrument] = {}
        self._place_of: dict[str, Place] = {}
        self._slugs: dict[tuple[str, str], str] = {}
        self._names: dict[tuple[str, str, bool], str] = {}
        self.clock: Clock | None = None

    def now_ms(self, *, market: bool) -> int:
        """Now on the venue's clock: of what is stamped in market time (a rehearsal has its own), or else."""
        return self.clock.now().market_ms if market and self.clock is not None else wall_us() // US_PER_MS

    async def load(self) -> None:
        """Read all markets, once a place."""
        await all_of(place.load() for place in self.all)
        self.adopt()

    def adopt(self) -> None:
        """Instruments out of the markets that the polling instances hold; the trading ones share them.

        Raises `VenueError` when there are none.
        """
        found: dict[str, tuple[Instrument, Place]] = {}
        for place in self.all:
            markets = place.poll.exchange.markets
            if not markets:
                raise VenueError(self.venue, "bad_payload", "load: no markets in the answer")
            place.trade.exchange.set_markets_from_exchange(place.poll.exchange)
            for market in markets.values():
                item = self._instrument(market, place)
                known = found.get(item.slug) if item is not None else None
                if item is not None and (known is None or known[0].refused is not None):
                    found[item.slug] = (item, place)
        self.instruments = {slug: item for slug, (item, _) in found.items()}
        self._place_of = {slug: place for slug, (_, place) in found.items()}
        self._slugs = {(place.spec.ccxt_id, item.symbol): slug for slug, (item, place) in found.items()}
        self._names = {
            (place.spec.ccxt_id, item.venue_symbol, item.kind is Kind.SPOT): slug
            for slug, (item, place) in found.items()
        }

    def _instrument(self, market: dict[str, Any], place: Place) -> Instrument | None:
        item = instrument_of(
            self.venue,
            market,
            interval_hours=lambda m: market_hours(self._quirks, m.get("info")),
            spot_shortable=self._quirks.spot_shortable,
        )
        return item if item is not None and item.kind in place.spec.kinds else None

    def refusal(self, item: Instrument) -> str | None:
        """Why orders in an instrument are not sent at all here."""
        return item.refused or self._refused.get(item.kind)

    def instrument(self, slug: str) -> Instrument:
        """One instrument, `VenueError` (not_supported) when the venue has none of that name."""
        known = self.instruments.get(slug)
        if known is None:
            raise VenueError(self.venue, "not_supported", f"no instrument {slug} here")
        return known

    def of(self, slug: str) -> Place:
        """Who serves an instrument."""
        self.instrument(slug)
        return self._place_of[slug]

    def serving(self, kind: Kind) -> Place:
        """The place of a kind of instruments; `VenueError` when there is none."""
        for place in self.all:
            if kind in place.spec.kinds:
                return place
        raise VenueError(self.venue, "not_supported", f"no {kind} here")

    def named(self, place: Place, venue_symbol: object, *, spot: bool) -> Instrument | None:
        """The instrument of a venue's own symbol at a place; a spot market and a perpetual may share it."""
        slug = self._names.get((place.spec.ccxt_id, str(venue_symbol), spot))
        return None if slug is None else self.instruments[slug]

    def find(self, place: Place, symbol: object) -> Instrument | None:
        """The instrument of a unified symbol at a place."""
        slug = self._slugs.get((place.spec.ccxt_id, str(symbol)))
        return None if slug is None else self.instruments[slug]

    async def close(self) -> None:
        """End all instances; the sessions belong to the factory."""
        with contextlib.suppress(VenueError):  # closing tells nobody anything any more
            await all_of(place.poll.call("close", place.close()) for place in self.all)
