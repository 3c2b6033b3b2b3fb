"""The books of an executor in the simulation, and I8: what they say explains every account to the last digit.

The real accountant compares a venue's account with the ledger whenever nothing moves; here each comparison is
looked at. What it leaves unexplained must be nothing, unless something has happened of which the ledger
cannot know (yet): a trade that the venue made and nobody has booked, a line that the venue's books do not
show yet. What the user trades by hand, and what a lost store knew, is not explained. Orders of ours excuse
nothing: while one is under way, or not booked to its last trade, nothing is to be compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from libs.common.effects import Effect
from libs.common.instant import US_PER_SEC, Now
from services.executor.accountant import Accountant
from services.executor.books import Opening
from services.executor.model import State
from services.executor.rounds import Round
from services.executor.world import World as Shared
from tests.sim.invariants import Violated
from tests.sim.plan import Misfortune
from tests.sim.terms import ROUNDED_TO

if TYPE_CHECKING:
    from tests.sim.node import Node
    from tests.sim.world import World

ROUND_US_MAX: Final = 8 * US_PER_SEC
RECORDS_EVERY_US: Final = 7 * US_PER_SEC


class Compared(Accountant):
    """The real one; the oracle hears of each comparison."""

    def __init__(self, node: Node, shared: Shared) -> None:
        super().__init__(
            shared,
            node.lanes,
            market_of=node.world.time.market.at,
            records_every_us=RECORDS_EVERY_US,
            reach_of=lambda venue: node.calls[venue].reach(),
        )
        self._node = node

    def keep(self, now: Now) -> Iterator[Effect]:
        """The books are written, among them openings that are new."""
        self._node.world.accounts.on_openings(self.books.openings)
        yield from super().keep(now)

    def on_round(self, done: Round, now: Now) -> Iterator[Effect]:
        """A venue's lines have been compared with its account."""
        self._node.world.accounts.on_compared(done, now)
        yield from super().on_round(done, now)


class Accounts:
    """When each venue was compared last, and with what result."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.compared_us: dict[str, int] = {}
        self._openings: dict[str, Opening] = {}
        self._early: set[str] = set()  # venues whose books did not show yet all that their opening has in it

    def on_openings(self, openings: Mapping[str, Opening]) -> None:
        """Where the books begin. What a venue has paid and does not tell yet is a part of it, and stays."""
        for venue, opening in openings.items():
            if self._openings.get(venue) != opening:
                self._openings[venue] = opening
                self._early.discard(venue)
                if self.world.venues[venue].hides_records:
                    self._early.add(venue)

    def on_compared(self, done: Round, now: Now) -> None:
        """I8, at a quiet moment."""
        world, venue = self.world, done.venue
        world.counts["comparisons"] += 1
        self.compared_us[venue] = now.mono_us
        left = {asset: units for asset, units in done.residual.items() if abs(units) > self._rounded(venue)}
        if left and not self._excused(venue) and not world.user.explains(venue, left):
            raise Violated("I8", f"{venue}: the books do not explain {left}")

    def _rounded(self, venue: str) -> Decimal:
        """What the venue may have rounded away: half a digit for each position."""
        side = self.world.venues[venue]
        return ROUNDED_TO * len(side.instruments) if self.world.plan.rounded else Decimal(0)

    def _excused(self, venue: str) -> bool:
        """Whether the ledger cannot know all of this venue at this moment."""
        world = self.world
        if world.stores > 1 or self._meddled(venue) or venue in self._early:
            return True
        if world.venues[venue].hides_records or world.agreement.unbooked_at(venue):
            return True
        return world.agreement.unbooked_recall(venue)

    def _meddled(self, venue: str) -> bool:
        return any(key[0] == venue for key in self.world.meddled)

    def compared_since(self, mono_us: int) -> bool:
        """Whether every venue has been compared since then."""
        return all(self.compared_us.get(venue, -1) >= mono_us for venue in self._due())

    def _due(self) -> list[str]:
        """Venues whose books must come to an end: a pair that was stopped books nothing any more."""
        states = self.world.checker.states
        stuck = {key[0] for pair in self.world.pairs if _is_stuck(states.get(pair.id)) for key in pair.keys}
        return [venue for venue in self.world.venues if venue not in stuck]

    def at_end(self, rest_us: int) -> None:
        """I8: whatever went wrong on the way has only delayed it."""
        late = [venue for venue in self._due() if self.compared_us.get(venue, -1) < rest_us]
        if late:
            raise Violated("I8", f"the books of {late} were not compared after all had come to rest")
        self._recalls_booked()

    def _recalls_booked(self) -> None:
        """That a purchase for a loan is not booked yet excuses a comparison for a while, not for ever. With a
        debt of the user's own in the wallet it may have been his loan; where he took out coins while a
        repayment was unknown, it seemed to have arrived.
        """
        world = self.world
        users = {Misfortune.USER_DEBT, Misfortune.USER_LENDS} & world.plan.misfortunes
        if world.stores > 1 or users:
            return
        hidden = {of for of in world.debts.mistaken if world.user.confuses(of)}
        for venue in self._due():
            coins = [coin for slug, coin in world.lending.lent if slug == venue]
            least = max((world.lending.step(venue, coin) for coin in coins), default=Decimal(0))
            if not self._meddled(venue) and world.agreement.unbooked_recall(venue, least, hidden):
                raise Violated("I8", f"{venue}: what a recall has bought is in nobody's books")


def _is_stuck(state: object) -> bool:
    return getattr(state, "state", None) is State.STUCK
