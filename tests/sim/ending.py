"""What must hold when all is calm and everybody has had time (execution.md, I3, I9, I10, I13, I14)."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING

from libs.common.messages import AlertLevel
from libs.common.subjects import SPOT, Kind
from services.executor.model import PairState, Purpose, State
from services.executor.steps import TRIES_MAX
from tests.sim.invariants import Violated
from tests.sim.plan import SimPair
from tests.sim.terms import BOT, FEES, listing_key

if TYPE_CHECKING:
    from tests.sim.venue import SimVenue
    from tests.sim.world import World

ORDERS_PER_POSITION_MAX = 3 * TRIES_MAX
"""n of I14: three ladders used up. 76 is the most that 500 seeds have seen."""

ROUND_TRIPS_MAX = 3
FEES_USD_MIN = Decimal(1)
"""f of I14: what opening and closing both legs costs a taker, so many times, and a minimum for what is small.
500 seeds have paid for 1.3 of them at most.
"""


class Ending:
    """The last look at a world."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.checker = world.checker

    def at_end(self) -> None:
        """I3, I9, I10, I13, I14: all is calm, and everybody has had time."""
        for pair in self.world.pairs:
            state = self.checker.states.get(pair.id)
            if state is not None and state.state not in (State.IDLE, State.ACTIVE, State.STUCK):
                raise Violated("I13", f"{pair.id} is still {state.state}")
            if state is not None and state.state is State.STUCK and not self._paged(pair.id):
                raise Violated("I13", f"{pair.id} is stuck and nobody was paged")
            if state is not None and state.state is State.ACTIVE:
                self._held(pair, state)
        self.world.journal.check()
        self._nothing_rests()
        self._positions()
        self.world.debts.at_end(self.checker.states)
        for order_id in self.checker.given_up:
            self.checker.nowhere(order_id)
        self._orders_and_fees()

    def _orders_and_fees(self) -> None:
        """I14: no position has cost more orders, or more fees, than it may. The fees are the venues' own.

        What a recall has bought is sold again once, where the coins had been there.
        """
        durable = self.checker.durable
        for key, count in Counter((one.pair, one.attempt) for one in durable.values()).items():
            if count > ORDERS_PER_POSITION_MAX:
                raise Violated("I14", f"{count} orders for {key}")
        paid: dict[tuple[str, int], Decimal] = {}
        fair: dict[tuple[str, int], Decimal] = {}
        excess: dict[str, Decimal] = {}  # any pair with the coin may have booked it
        recalls = self.world.lending.bought
        for venue in self.world.venues.values():
            for fill in venue.engine.fills(BOT):
                if fill.client_id in recalls:
                    for one in self.world.agreement.sharers[venue.slug, venue.instruments[fill.instrument]]:
                        usd = FEES.spot.taker * fill.price * fill.quantity
                        excess[one.id] = excess.get(one.id, Decimal(0)) + usd
                if (intent := durable.get(fill.client_id)) is None:
                    continue
                key = (intent.pair, intent.attempt)
                fee = fill.fee if fill.fee_asset == "USDT" else fill.fee * fill.price
                paid[key] = paid.get(key, Decimal(0)) + fee
                if intent.purpose in (Purpose.OPEN, Purpose.HEDGE):
                    rate = (FEES.perp if fill.instrument.startswith(Kind.PERP.value) else FEES.spot).taker
                    fair[key] = fair.get(key, Decimal(0)) + 2 * rate * fill.price * fill.quantity
        for key, usd in paid.items():
            most = FEES_USD_MIN + ROUND_TRIPS_MAX * fair.get(key, Decimal(0)) + excess.get(key[0], Decimal(0))
            if usd > most:
                raise Violated("I14", f"{usd:.2f} USD of fees for {key}, {most:.2f} at most")

    def _held(self, pair: SimPair, state: PairState) -> None:
        """I13: what stays held is hedged, halted or not, and not what risk wants closed."""
        if usd := self.world.nakedness.naked_usd(pair, state):
            raise Violated("I13", f"{pair.id} is left naked by {usd:.0f} USD")
        if self.world.person.flattens(pair):
            raise Violated("I13", f"{pair.id} is still held, and risk flattens it")

    def _nothing_rests(self) -> None:
        """I13: no order of ours is left on a book, where it could fill unseen."""
        for venue in self.world.venues.values():
            left = [
                one.client_id
                for one in venue.engine.open_orders(BOT)
                if one.client_id in self.checker.wires  # those of a store that was lost too
            ]
            if left:
                raise Violated("I13", f"{left} still rest at {venue.slug}")

    def _paged(self, pair: str) -> bool:
        pages = (one for one in self.world.alerts if one.level is AlertLevel.CRITICAL)
        return any(one.key.startswith(f"{pair}:") for one in pages)

    def _positions(self) -> None:
        """I3: what pairs own is what venues show, unless a pair was stopped for that very reason."""
        stuck = {
            pair.id
            for pair in self.world.pairs
            if (s := self.checker.states.get(pair.id)) and s.state is State.STUCK
        }
        dust = self.world.hash("dust")
        for venue in self.world.venues.values():
            shown = {one.position.instrument: one.position.quantity for one in venue.engine.positions(BOT)}
            for name in venue.instruments.values():
                sharers = [pair for pair in self.world.pairs if (venue.slug, name) in pair.keys]
                if any(pair.id in stuck for pair in sharers):
                    continue
                ours = Decimal(0)
                for pair in sharers:
                    state = self.checker.states.get(pair.id)
                    for index, leg in enumerate(state.legs if state else ()):
                        if (leg.venue, leg.instrument) == (venue.slug, name):
                            ours += leg.coins + Decimal(dust.get(f"{pair.id}|{index}", b"0").decode())
                if self.world.stores == 1 and all(self._rests(pair) for pair in sharers):
                    ours += self.world.agreement.unbooked((venue.slug, name))  # the venue took dust
                self._agrees(venue, name, ours, shown.get(listing_key(name), Decimal(0)))

    def _rests(self, pair: SimPair) -> bool:
        state = self.checker.states.get(pair.id)
        return state is None or state.state is State.IDLE

    def _agrees(self, venue: SimVenue, name: str, ours: Decimal, shown: Decimal) -> None:
        listing = venue.engine.listing(listing_key(name))
        if listing.kind is not SPOT:
            if ours != shown:
                raise Violated("I3", f"{venue.slug} {name}: ours {ours}, the venue shows {shown}")
            return
        total = (
            venue.engine.balances(BOT)[listing.base].total
            if listing.base in venue.engine.balances(BOT)
            else Decimal(0)
        )
        users = self.world.lending.users_coins(venue.slug, listing.base)
        lost = self.world.lending.lost(venue.slug, listing.base)
        confused = (venue.slug, listing.base) in self.world.lending.lent and self.world.user.has_confused
        if confused:  # interest that a recall has paid cannot be told from what he moved
            interest = self.world.lending.accrued.get((venue.slug, listing.base), Decimal(0))
            lost += max(interest, self.world.lending.step(venue.slug, listing.base))
        known = self.world.stores == 1 and (venue.slug, name) not in self.world.meddled
        known = known and not confused and (venue.slug, name) not in self.world.user.left
        if total < users + ours - lost or (total > users + ours and known):
            # after a lost store nobody knows of coins that were ours: they are there, and never sold
            raise Violated(
                "I3", f"{venue.slug} {listing.base}: {total} there, the user's {users} and ours {ours}"
            )
