"""The trading floor of one paper account: its engine, what the bus shows of the markets, what is due by time.

Everything that happens to the engine goes through here, in this order: what was due before, then the market,
then the command. Books and marks are taken over when they matter: an instrument's own before an order in it,
at every message where something rests or is held. Pure: no clock, no I/O, no randomness.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

from msgspec.structs import replace

from libs.common.config.schema import Costs
from libs.common.instant import Now
from libs.common.messages import Book, Funding, FundingHistory, InstrumentInfo, Quote
from libs.common.subjects import SPOT, Kind, kind_of
from libs.exchange.engine.commands import (
    Booked,
    Command,
    Event,
    Ordered,
    Positioned,
    Refused,
    SetBook,
    SetFees,
    SetListing,
    SetMark,
    Submit,
)
from libs.exchange.engine.engine import Engine
from libs.exchange.engine.state import USD
from libs.exchange.engine.types import FeeRates, FeeSchedule, Listing, MarketStatus, PositionSide
from libs.exchange.paper.calendar import Calendar
from libs.exchange.paper.layout import Layout
from libs.exchange.paper.listings import fees_of, instrument_of, key_of, listing_of, slippage_of, slug_of
from libs.exchange.paper.pictures import Before, Depth, Picture
from libs.exchange.paper.reports import balance_report, fill_report, order_report, position_report
from libs.exchange.port import Instrument
from libs.exchange.trading_values import TradingEvent, Wallet

_MARKET = (Quote, Book, Funding, FundingHistory, InstrumentInfo)
_SHOWN: Final = (SetBook, SetFees, SetListing, SetMark)
_KEPT: Final = (Booked, Ordered, Positioned)


class Floor:
    """Wallets are the engine's accounts, by name. `events` are what a user stream would have told since they
    were last taken. `changes` counts what the account must not forget: all but books, marks and listings,
    which the bus shows again.
    """

    def __init__(
        self,
        venue: str,
        *,
        costs: Costs,
        layout: Layout,
        engine: Engine,
        calendar: Calendar,
        instruments: dict[str, Instrument] | None = None,
        before: dict[str, Before] | None = None,
        version: int = 0,
    ) -> None:
        self.venue = venue
        self.layout = layout
        self.engine = engine
        self.calendar = calendar
        self.instruments = {} if instruments is None else instruments
        self.version = version
        self.events: list[TradingEvent] = []
        self.changes = 0
        self._costs = costs
        self._pictures = {slug: Picture(before=marks) for slug, marks in (before or {}).items()}
        self._rates: dict[str, FeeRates] = {}
        self._slippage = {kind: slippage_of(costs, venue, kind) for kind in Kind}
        self._schedules: dict[str, FeeSchedule] = {
            account: spec.fees for account, spec in engine.accounts.items()
        }
        self._watched: frozenset[str] = frozenset()
        self._exposed: frozenset[str] = frozenset()
        self._changed = True
        for listing in engine.listings.values():
            calendar.expect(listing)

    # --- what comes in ------------------------------------------------------------------------------------

    def on_message(self, message: object, now: Now) -> None:
        """A message of the bus: market data of this venue, anything else changes nothing."""
        if not isinstance(message, _MARKET) or message.venue != self.venue:
            return
        self.advance(now)
        slug = message.instrument
        picture = self._pictures.setdefault(slug, Picture())
        match message:
            case Quote():
                picture.on_quote(message)
            case Book():
                picture.on_book(message)
            case InstrumentInfo():
                self._list(message, now)
            case Funding(kind="settled"):
                self.calendar.on_print(self, message, picture, now)
                return
            case FundingHistory():
                self.calendar.on_history(self, message, picture, now)
                return
            case Funding():
                picture.on_funding(message, now.market_ms)
        self._follow(slug, now)

    def apply(self, command: Command, now: Now) -> list[Event]:
        """Carry out a command after everything that was due before it. Raises `commands.Refused`."""
        self.advance(now)
        if isinstance(command, Submit):
            self.bring(slug_of(command.instrument), now)
        return self.tell(command, now)

    def advance(self, now: Now) -> None:
        """Interest of full hours and deliveries up to now, each once."""
        self.calendar.advance(self, now)

    def tell(self, command: Command, now: Now) -> list[Event]:
        """Give the engine a command as it is, and note what became of it."""
        events = self.engine.apply(command, now)
        if not isinstance(command, _SHOWN) or any(isinstance(event, _KEPT) for event in events):
            self.changes += 1
        if events:
            self._changed = True
            self.events.extend(self._reports(events))
        return events

    def _list(self, info: InstrumentInfo, now: Now) -> None:
        """List it or follow a change. What cannot be a leg is known to the port, not to the engine; what was
        delivered stays so.
        """
        slug, item = info.instrument, instrument_of(info)
        known = self.listing(slug)
        if known is not None and known.status is MarketStatus.DELISTED:
            return
        if kind_of(slug) is not info.kind:
            item = replace(item, refused=item.refused or f"its name says {kind_of(slug)}")
        self.instruments[slug] = item
        self._rates.pop(slug, None)
        if known is None and item.refused is not None:
            return
        listing = listing_of(item)
        if known is None or (known.base, known.quote) == (listing.base, listing.quote):
            self.tell(SetListing(listing=listing), now)
            self.calendar.expect(listing)

    def listing(self, slug: str) -> Listing | None:
        """An instrument as the engine lists it, None when it does not."""
        try:
            return self.engine.listing(key_of(slug))
        except Refused:
            return None

    # --- the market as the engine knows it ----------------------------------------------------------------

    def _follow(self, slug: str, now: Now) -> None:
        """Take over what has just been seen where it matters: resting orders first, then margins."""
        key = key_of(slug)
        if key in self.watched():
            self._show(slug, now)
        if key in self.exposed():
            self._mark(slug, now)

    def bring(self, slug: str, now: Now) -> None:
        """Fees, mark and book of a listed instrument as of now; nothing for any other."""
        if self.listing(slug) is not None:
            self._mark(slug, now)
            self._show(slug, now)

    def bring_coin(self, asset: str, now: Now) -> None:
        """The price that values a coin as collateral or debt."""
        slug = f"{asset}-{USD}"
        if asset != USD and self.listing(slug) is not None:
            self._mark(slug, now)

    def marks_before(self) -> dict[str, Before]:
        """Marks of settlements, by instrument."""
        return {slug: one.before for slug, one in self._pictures.items() if one.before}

    def price(self, slug: str, now: Now) -> Decimal | None:
        """The mark as of now; the engine's last one where nothing was seen since a restart."""
        item, picture = self.instruments.get(slug), self._pictures.get(slug)
        seen = None if item is None or picture is None else picture.price(item, now.wall_us)
        return seen if seen is not None else self.engine.mark(key_of(slug))

    def _mark(self, slug: str, now: Now) -> None:
        key, price = key_of(slug), self.price(slug, now)
        if price is not None and price != self.engine.mark(key):
            self.tell(SetMark(instrument=key, mark=price), now)

    def _show(self, slug: str, now: Now) -> None:
        """The book, when it is another one than the engine has: what orders ate of one stays eaten."""
        item, picture = self.instruments[slug], self._pictures.setdefault(slug, Picture())
        self._charge(item, now)
        old = picture.is_old(now.wall_us)
        if picture.emptied if old else not (picture.changed or picture.emptied):
            return
        depth = Depth() if old else picture.depth(item, self._slippage[item.kind], now.wall_us)
        picture.changed, picture.emptied = False, old
        self.version += 1
        book = SetBook(instrument=key_of(slug), bids=depth.bids, asks=depth.asks, version=self.version)
        self.tell(book, now)

    def rates(self, item: Instrument) -> FeeRates:
        """What fills in an instrument pay."""
        found = self._rates.get(item.slug)
        if found is None:
            found = self._rates[item.slug] = fees_of(item, self._costs)
        return found

    def _charge(self, item: Instrument, now: Now) -> None:
        """The engine knows one rate a kind of market: before anything can fill here it is this one's."""
        rates, name = self.rates(item), item.kind.value
        for wallet in self.layout.traders(item.kind):
            schedule = self._schedules[wallet]
            if getattr(schedule, name) != rates:
                self._schedules[wallet] = replace(schedule, **{name: rates})
                self.tell(SetFees(account=wallet, fees=self._schedules[wallet]), now)

    def watched(self) -> frozenset[str]:
        """Markets where something rests."""
        self._look()
        return self._watched

    def exposed(self) -> frozenset[str]:
        """Markets whose marks matter."""
        self._look()
        return self._exposed

    def _look(self) -> None:
        if self._changed:
            self._watched, self._exposed = self.engine.watched(), self.engine.exposed()
            self._changed = False

    # --- what is told -------------------------------------------------------------------------------------

    def _reports(self, events: list[Event]) -> Iterable[TradingEvent]:
        """Orders and fills as they happened, then positions and balances as they are afterwards."""
        moved: dict[tuple[Wallet, str], None] = {}
        touched: dict[tuple[Wallet, str, PositionSide], None] = {}
        for event in events:
            match event:
                case Ordered(order=order, fill=fill):
                    yield order_report(order)
                    if fill is not None:
                        yield fill_report(fill)
                case Positioned(position=position):
                    touched[self._wallet(position.account), position.instrument, position.side] = None
                case Booked(entry=entry):
                    moved[self._wallet(entry.account), entry.asset] = None
                case _:
                    pass  # settings and listings are read back, not streamed
        for wallet, key, side in touched:
            figures = self.engine.position(wallet, key, side)
            if figures is not None:
                yield position_report(figures)
        for wallet, asset in moved:
            yield balance_report(self.engine, wallet, asset)

    def _wallet(self, account: str) -> Wallet:
        return next(wallet for wallet in self.layout.wallets if wallet == account)

    def contract(self, slug: str) -> Instrument | None:
        """A listed contract, None for anything else."""
        item = self.instruments.get(slug)
        return item if item is not None and item.kind is not SPOT else None
