"""What is due in market time: funding, hourly interest, delistings. Each once and in order at any speed.

A settlement takes the recorded rate and the recorded mark of its instant. While the fault `interval_change`
lasts, a perpetual settles at the multiples of the new interval instead, at the rate that settles next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Final

from libs.common.instant import MS_PER_HOUR
from libs.exchange.engine.commands import AccrueInterest, SetMark, SettleFunding
from services.venue import listings
from services.venue.desk import Instant
from services.venue.faults import Kind, Where
from services.venue.instruments import Instrument
from services.venue.market import Settled

if TYPE_CHECKING:
    from services.venue.house import House

_INTERVAL: Final = frozenset({Kind.INTERVAL_CHANGE})

# At one instant: interest, then funding, then the end of a market.
Due = tuple[int, int, str, Callable[[], None]]


class Timetable:
    """Knows up to when everything has been done."""

    def __init__(self, house: House, done_ms: int) -> None:
        self._house = house
        self.done_ms = done_ms

    def run(self, now: Instant) -> None:
        """Do everything that is due in (done, now]."""
        since_ms, until_ms = self.done_ms, now.market_ms
        if until_ms <= since_ms:
            return
        self.done_ms = until_ms
        due = [
            *self._interest(since_ms, until_ms, now),
            *self._funding(since_ms, until_ms, now),
            *self._ends(since_ms, until_ms, now),
        ]
        for _, _, _, act in sorted(due, key=lambda one: one[:3]):
            act()

    # --- interest ----------------------------------------------------------------------------

    def _interest(self, since_ms: int, until_ms: int, now: Instant) -> Iterator[Due]:
        first = since_ms // MS_PER_HOUR + 1
        for hour in range(first, until_ms // MS_PER_HOUR + 1):
            stamp = hour * MS_PER_HOUR
            yield stamp, 0, "", partial(self._accrue, stamp, now)

    def _accrue(self, hour_ms: int, now: Instant) -> None:
        """One hour on every coin that somebody owes."""
        engine = self._house.engine
        owed = {
            asset
            for account in engine.accounts
            for asset, balance in engine.balances(account).items()
            if balance.borrowed > 0
        }
        for asset in sorted(owed):
            rate = self._house.borrow_rate_hourly(asset)
            accrue = AccrueInterest(asset=asset, hourly_rate=rate, hour_ms=hour_ms)
            self._house.tell(accrue, now, market_ms=hour_ms)

    # --- funding -----------------------------------------------------------------------------

    def _funding(self, since_ms: int, until_ms: int, now: Instant) -> Iterator[Due]:
        house = self._house
        exposed = house.engine.exposed()
        changing = house.desk.board.holds(_INTERVAL)
        for instrument in house.desk.market.all(house.protocol):
            if instrument.kind != "perp" or not since_ms < instrument.ended_ms:
                continue
            key = listings.key_of("perp", instrument.symbol)
            if not changing and key not in exposed:
                continue
            for one in self.settlements(instrument, since_ms, until_ms):
                if key in exposed:
                    yield one.settled_ms, 1, key, partial(self._settle, key, one, now)

    def settlements(self, instrument: Instrument, since_ms: int, until_ms: int) -> list[Settled]:
        """What really settles in (since, until]; the public history follows where it is not as recorded."""
        desk = self._house.desk
        fault = desk.board.active(_INTERVAL, Where(desk.protocol, "settlement", instrument.symbol))
        if fault is None:
            span = {"since_ms": since_ms + 1, "until_ms": until_ms}
            return desk.market.settled(desk.protocol, instrument.symbol, **span)
        period_ms = int(fault.interval_hours * MS_PER_HOUR)
        found = []
        for number in range(since_ms // period_ms + 1, until_ms // period_ms + 1):
            stamp = number * period_ms
            rate = desk.market.funding(desk.protocol, instrument.symbol, stamp - 1)
            if rate is not None:
                mark = desk.market.mark(instrument, stamp)
                found.append(Settled(stamp, rate.rate, fault.interval_hours, mark))
        desk.restate(instrument.symbol, since_ms=since_ms, until_ms=until_ms, settled=found)
        return found

    def _settle(self, key: str, one: Settled, now: Instant) -> None:
        settle = SettleFunding(
            instrument=key,
            rate=Decimal(f"{one.rate:.8f}"),
            mark=Decimal(f"{one.mark:.8f}"),
            settled_ms=one.settled_ms,
        )
        self._house.tell(settle, now, market_ms=one.settled_ms)

    # --- delistings --------------------------------------------------------------------------

    def _ends(self, since_ms: int, until_ms: int, now: Instant) -> Iterator[Due]:
        market = self._house.desk.market
        for instrument in market.all(self._house.protocol):
            ends = since_ms < instrument.ended_ms <= until_ms
            if ends and not market.ended(instrument.protocol, instrument.ended_ms):  # else: all maintenance
                key = listings.key_of(instrument.kind, instrument.symbol)
                yield instrument.ended_ms, 2, key, partial(self.delist, instrument, now)

    def delist(self, instrument: Instrument, now: Instant) -> None:
        """Settle positions at the mark of the last moment, cancel orders, end the market."""
        house = self._house
        key = listings.key_of(instrument.kind, instrument.symbol)
        if key not in house.tape.listed:
            return
        end_ms = instrument.ended_ms
        house.tell(
            SetMark(instrument=key, mark=house.tape.mark_at(instrument, end_ms)), now, market_ms=end_ms
        )
        house.tape.list_one(listings.listing_of(instrument, trading=False), now, market_ms=end_ms)
