"""I3 after every step: as soon as no order is open, what the pairs own is what the venue shows.

What the venue traded by itself (ADL, liquidation, delivery) belongs to nobody until a pair has booked it.
What the user trades by hand, and what a lost store knew, is left out.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from libs.common.subjects import SPOT, kind_of
from libs.exchange.engine.types import Side
from services.executor import booked
from services.executor.model import Intent
from services.executor.order import fills_complete
from services.executor.watch import trade_name
from services.executor.world import Key
from tests.sim.invariants import Violated
from tests.sim.plan import KEYS_OF
from tests.sim.terms import BOT, listing_key

if TYPE_CHECKING:
    from tests.sim.lending import Of
    from tests.sim.world import World

ZERO: Final = Decimal(0)


class Agreement:
    """`open`: by instrument the orders (and loans) whose end is not known, or whose trades are not."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.open: dict[Key, set[str]] = {key: set() for key in world.keys}
        self.sharers = {key: tuple(pair for pair in world.pairs if key in pair.keys) for key in world.keys}
        self.written_off: set[str] = set()

    def write_off(self, keys: Iterable[Key]) -> None:
        """Somebody has closed these by hand, and a reset took his word for it: with what the venue took."""
        for venue, name in keys:
            side = self.world.venues[venue]
            self.written_off.update(
                trade_name((venue, name), side.fill_report(fill))
                for fill in side.venue_made
                if side.instruments[fill.instrument] == name
            )

    def forget(self) -> None:
        """The store was lost."""
        for ids in self.open.values():
            ids.clear()

    def on_intent(self, intent: Intent) -> None:
        """An order was written."""
        key = KEYS_OF[intent.pair][intent.leg]
        ids = self.open[key]
        if intent.state.is_final and fills_complete(intent):
            ids.discard(intent.id)
        else:
            ids.add(intent.id)

    def look(self, pair: str) -> None:
        """A pair was written: its instruments agree, unless something is under way there."""
        for key in KEYS_OF[pair]:
            untold = key in self.world.meddled or key in self.world.user.left
            if self.world.stores == 1 and not untold and not self.open[key]:
                self._compare(key)

    def _compare(self, key: Key) -> None:
        world, (venue, name) = self.world, key
        side, lending = world.venues[venue], world.lending
        ours = self.owned(key)
        if kind_of(name) is SPOT:
            coin = name.split("-", maxsplit=1)[0]
            if coin in lending.recalled(venue) or self._is_confused(key):
                return  # coins that a recall took are missed at the next look at the account
            held = side.engine.balances(BOT).get(coin)
            shown = (ZERO if held is None else held.total) - lending.users_coins(venue, coin)
        else:
            figures = side.engine.position(BOT, listing_key(name))
            shown = ZERO if figures is None else figures.position.quantity
        expected = ours + self.unbooked(key)
        world.counts["agreements"] += 1
        if shown != expected:
            raise Violated("I3", f"{venue} {name}: ours {expected}, the venue shows {shown}, nothing is open")

    def _is_confused(self, key: Key) -> bool:
        """Whether the user has moved coins while the fate of a loan was open: a repayment that has arrived
        seems not to have, until its pair is halted for it.
        """
        states = [self.world.checker.states.get(pair.id) for pair in self.sharers[key]]
        return any(
            state is not None and self.world.user.confuses((state.pair, state.attempt)) for state in states
        )

    def owned(self, key: Key) -> Decimal:
        """What the pairs own of an instrument together, dust included."""
        dust = self.world.hash("dust")
        ours = ZERO
        for pair in self.sharers[key]:
            state = self.world.checker.states.get(pair.id)
            index = pair.keys.index(key)
            if state is not None:
                ours += state.legs[index].coins
            ours += Decimal(dust.get(f"{pair.id}|{index}", b"0").decode())
        return ours

    def unbooked(self, key: Key) -> Decimal:
        """What the venue traded by itself and no pair has taken over, signed."""
        return sum(self._left(key), ZERO)

    def _left(self, key: Key) -> Iterator[Decimal]:
        """The same, trade by trade."""
        side = self.world.venues[key[0]]
        states = [self.world.checker.states.get(pair.id) for pair in self.sharers[key]]
        mark_ms = booked.mark_ms((one for one in states if one is not None), key)
        for fill in side.venue_made:
            if side.instruments[fill.instrument] != key[1]:
                continue
            report = side.fill_report(fill)
            name = trade_name(key, report)
            if name in self.written_off or report.ts_ms < mark_ms:
                continue
            borne = sum((state.taken.get(name, ZERO) for state in states if state is not None), ZERO)
            yield (1 if fill.side is Side.BUY else -1) * (fill.quantity - borne)

    def unbooked_at(self, venue: str) -> bool:
        """Whether a venue has traded something by itself that nobody has booked, also to and fro."""
        keys = [key for key in self.world.keys if key[0] == venue and kind_of(key[1]) is not SPOT]
        return any(left for key in keys for left in self._left(key))

    def unbooked_recall(self, venue: str, but: Decimal = ZERO, hidden: Collection[Of] = ()) -> bool:
        """Whether coins that a recall has bought are in nobody's books. `but`: fewer of them that may not be:
        they have paid what an idle pair had left owed. `hidden`: whose purchases may not be.
        """
        side, states = self.world.venues[venue], self.world.checker.states.values()
        for fill in side.engine.fills(BOT) if self.world.lending.bought else ():
            if not set(self.world.lending.bought.get(fill.client_id, hidden)).issubset(hidden):
                name = trade_name((venue, side.instruments[fill.instrument]), side.fill_report(fill))
                borne = sum((state.taken.get(name, ZERO) for state in states), ZERO)
                if borne != fill.quantity and not 0 < fill.quantity - borne < but:
                    return True
        return False
