"""What the market tells the engine: listings, books, marks, and the trades of others, step by step.

Everything comes from the same seeded market that the public half shows: an order meets the very book that
streams and REST say for its step. Trades of others are drawn for markets with resting orders only: a day's
turnover spread evenly over wall time, whatever the market's speed (a queue must not melt by fast-forward).
"""

from __future__ import annotations

import math
from decimal import ROUND_DOWN, Decimal
from typing import TYPE_CHECKING, Final

import msgspec

from libs.exchange.engine.commands import PublicTrade, SetBook, SetListing, SetMark, Submit
from libs.exchange.engine.types import Listing, OrderType, Side, TimeInForce
from services.venue import listings
from services.venue.desk import STEP_MS, Instant
from services.venue.dice import Dice
from services.venue.faults import Kind, Where
from services.venue.instruments import Instrument

if TYPE_CHECKING:
    from services.venue.house import House

Levels = tuple[tuple[Decimal, Decimal], ...]

# Marks of markets in which nobody has anything, and listings, are looked at every so many steps.
SLOW_STEPS: Final = 4
# A book's version is step * this + how often it was set anew within the step.
_VERSIONS: Final = 100_000
_DAY_MS: Final = 86_400_000
_PARTIAL: Final = frozenset({Kind.PARTIAL_FILL})


class Tape:
    """Feeds a house's engine."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._market = house.desk.market
        self._versions: dict[str, int] = {}
        self._revision = -1
        self.listed: dict[str, Listing] = {}

    def step(self, now: Instant) -> None:
        """Books, others' trades and marks of what anybody has a stake in; now and then everything else."""
        engine = self._house.engine
        slow = now.step % SLOW_STEPS == 0
        if slow or self._revision != self._market.revision:
            self.list_all(now)
        watched, exposed = engine.watched(), engine.exposed()
        for key in sorted(watched | exposed):
            instrument = self._trading(key, now)
            if instrument is not None and (key in watched or instrument.kind == "perp"):
                self._book(key, instrument, now)
        for key in sorted(watched):
            instrument = self._trading(key, now)
            if instrument is not None:
                self._trades(key, instrument, now)
        for key in sorted(self.listed if slow else exposed):
            self._mark(key, now)

    def bring(self, key: str, now: Instant, *, anew: bool = False) -> None:
        """The book and mark of this step into the engine; `anew` even when it had them already."""
        instrument = self._trading(key, now)
        if instrument is not None:
            self._book(key, instrument, now, anew=anew)
            self._mark(key, now)

    def _trading(self, key: str, now: Instant) -> Instrument | None:
        instrument = self._house.instrument(key)
        if instrument is None or not self._market.trading(instrument, now.market_ms):
            return None
        return instrument if key in self.listed else None

    # --- listings and marks ------------------------------------------------------------------

    def list_all(self, now: Instant) -> None:
        """What is to be seen now is listed as it stands; what has ended is delisted by the timetable."""
        self._revision = self._market.revision
        for kind in ("perp", "spot"):
            for instrument in self._market.listed(self._house.protocol, kind, now.market_ms):
                trading = self._market.trading(instrument, now.market_ms)
                listing = listings.listing_of(instrument, trading=trading)
                known = self.listed.get(listing.key)
                if known is None or (trading and known != listing):
                    self.list_one(listing, now)
                    self._mark(listing.key, now)

    def list_one(self, listing: Listing, now: Instant, *, market_ms: int | None = None) -> None:
        """A market is new or has changed."""
        self.listed[listing.key] = listing
        self._house.tell(SetListing(listing=listing), now, market_ms=market_ms)

    def mark_at(self, instrument: Instrument, market_ms: int) -> Decimal:
        """What values a position or coin at a market time, as the wire says it: to 8 digits."""
        price = self._market.price(instrument, market_ms)
        return Decimal(f"{price:.8f}")

    def _mark(self, key: str, now: Instant) -> None:
        instrument = self._trading(key, now)
        if instrument is not None:
            mark = self.mark_at(instrument, now.step_market_ms)
            self._house.tell(SetMark(instrument=key, mark=mark), now)

    # --- books -------------------------------------------------------------------------------

    def _levels(self, instrument: Instrument, now: Instant) -> tuple[Levels, Levels]:
        book = self._market.book(instrument, now.step_market_ms, now.step)
        tick, step = instrument.tick, instrument.step
        bids = tuple((ticks * tick, steps * step) for ticks, steps in book.bids)
        return bids, tuple((ticks * tick, steps * step) for ticks, steps in book.asks)

    def _book(self, key: str, instrument: Instrument, now: Instant, *, anew: bool = False) -> None:
        if self._versions.get(key, -1) >= now.step * _VERSIONS and not anew:
            return
        bids, asks = self._levels(instrument, now)
        self._set(key, bids, asks, now)

    def _set(self, key: str, bids: Levels, asks: Levels, now: Instant) -> None:
        self._versions[key] = version = max(now.step * _VERSIONS, self._versions.get(key, -1) + 1)
        self._house.tell(SetBook(instrument=key, bids=bids, asks=asks, version=version), now)

    def shortened(self, order: Submit, now: Instant) -> Submit | None:
        """For the fault that fills only a part: the order as IOC before a book that holds only that part.

        None when the fault does not strike. Orders that never take, or all or nothing, are left alone.
        """
        instrument = self._trading(order.instrument, now)
        if instrument is None or order.tif in (TimeInForce.POST_ONLY, TimeInForce.FOK):
            return None
        where = Where(self._house.protocol, "order", instrument.symbol)
        fault = self._house.desk.board.strike(_PARTIAL, where)
        if fault is None:
            return None
        bids, asks = self._levels(instrument, now)
        buys = order.side is Side.BUY
        wanted = order.quantity
        if order.quote_quantity is not None:
            wanted = order.quote_quantity / asks[0][0]
        part = down(wanted * Decimal(str(fault.share)), instrument.step)
        cut = _first(asks if buys else bids, part)
        self._set(order.instrument, bids if buys else cut, cut if buys else asks, now)
        if order.type is OrderType.MARKET:
            return order
        return msgspec.structs.replace(order, tif=TimeInForce.IOC)

    # --- others' trades ----------------------------------------------------------------------

    def _trades(self, key: str, instrument: Instrument, now: Instant) -> None:
        """One trade a side and step, its size exponential around the turnover of a step."""
        quote = self._market.quote(instrument, now.step_market_ms, now.step)
        name = f"trades {instrument.protocol} {instrument.kind} {instrument.symbol}"
        dice = Dice(self._house.seed + now.step, name)
        mean_usd = self._house.desk.volume_usd(instrument) * STEP_MS / _DAY_MS / 2
        for taker, ticks in ((Side.SELL, quote.bid_ticks), (Side.BUY, quote.ask_ticks)):
            usd = -math.log(1.0 - dice.uniform()) * mean_usd
            price = ticks * instrument.tick
            steps = math.floor(usd / float(price) / float(instrument.step))
            if steps > 0:
                quantity = steps * instrument.step
                trade = PublicTrade(instrument=key, price=price, quantity=quantity, taker=taker)
                self._house.tell(trade, now)


def down(quantity: Decimal, step: Decimal) -> Decimal:
    """The largest multiple of `step` that is not above `quantity`."""
    return (quantity / step).to_integral_value(rounding=ROUND_DOWN) * step


def _first(levels: Levels, quantity: Decimal) -> Levels:
    """The best levels that hold `quantity` together, the last one cut."""
    kept: list[tuple[Decimal, Decimal]] = []
    for price, size in levels:
        if quantity <= 0:
            break
        kept.append((price, min(size, quantity)))
        quantity -= size
    return tuple(kept)
