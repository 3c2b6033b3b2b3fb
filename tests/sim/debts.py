"""What must hold of loans: none is lost or invented, none stays owed, and the user's own are not paid."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Final

from libs.common.subjects import SPOT
from services.executor.model import LOANS, Intent, IntentState, Leg, PairState, Purpose, State
from tests.sim.invariants import Violated
from tests.sim.plan import KEYS_OF, Misfortune

if TYPE_CHECKING:
    from tests.sim.lending import Of
    from tests.sim.world import World

SHARED: Final = 10
"""Steps by which a debt that the user shares may be divided otherwise: payments go to all interest first."""

ZERO: Final = Decimal(0)


class Debts:
    """The loans of one world, as the oracle judges them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.lending = world.lending
        self.answered: set[str] = set()
        self.mistaken: set[Of] = set()  # whose repayment was taken for done, and a recall had paid the debt

    def check_intent(self, intent: Intent) -> None:
        """I12: what is done was carried out, what was given up was not. A loan that is taken back beside a
        repayment which is unknown looks as if that had arrived, or as if it had not, and the debt is gone;
        one that is taken back with its coins before it is known, as if it had never been. So does a repayment
        where the user brings in coins.
        """
        if intent.purpose not in LOANS:
            return
        of = (intent.pair, intent.attempt)
        gone = of in self.lending.taken_early
        repaid = gone and intent.purpose is Purpose.REPAY
        if intent.state is IntentState.DONE and intent.id not in self.lending.landed and not repaid:
            raise Violated("I12", f"loan {intent.id} is taken for done, and the venue has not moved it")
        if intent.state is IntentState.DONE and intent.id not in self.lending.landed:
            self.mistaken.add(of)
        given_up = intent.state in (IntentState.NOT_ACCEPTED, IntentState.VOID)
        coins_came = intent.purpose is Purpose.REPAY and self.world.user.confuses(of)
        if given_up and intent.id in self.lending.landed and not (gone or coins_came):
            raise Violated("I12", f"loan {intent.id} was given up, and the venue has moved it")
        if intent.state.is_final:
            self.world.counts[f"{intent.purpose.value} {intent.state.value}"] += (
                intent.id not in self.answered
            )
            self.answered.add(intent.id)

    def check_state(self, before: PairState | None, after: PairState) -> None:
        """No debt is left when a pair comes to rest, and none of the user's is paid."""
        if after.state is not State.IDLE or before is None or before.state is State.IDLE:
            return
        for leg in after.legs:
            coin = leg.instrument.split("-")[0]
            if leg.kind is SPOT and (leg.venue, coin) in self.lending.lent and self.world.stores == 1:
                self._cleared(before, leg.venue, coin)

    def _cleared(self, rested: PairState, venue: str, coin: str) -> None:
        held = self.lending.balance(venue, coin)
        owed, step = held.borrowed + held.interest, self.lending.step(venue, coin)
        if owed < self.lending.users_debt:
            raise Violated(
                "I3", f"{venue}: {owed} {coin} are owed, the user's debt is {self.lending.users_debt}"
            )
        most = self.lending.users_debt_most + self._of_others(rested.pair, venue, coin)
        if owed > most + step * (SHARED if self.lending.users_debt else 1):
            raise Violated("I3", f"{venue}: {owed} {coin} stay owed, the user's and other pairs' are {most}")

    def _of_others(self, pair: str, venue: str, coin: str) -> Decimal:
        """What other pairs may owe of a coin at most: what they know of, loans on their way, and interest."""
        others = [one for name, one in self.world.checker.states.items() if name != pair]
        ours = sum((leg.owed for one in others for leg in one.legs if _is_of(leg, venue, coin)), ZERO)
        foreign = [one for one in self.world.checker.durable.values() if one.state is IntentState.FOREIGN]
        for one in (*self.world.checker.live(), *foreign):  # of those a person was told
            key, borrows = KEYS_OF[one.pair][one.leg], one.purpose is Purpose.BORROW
            if one.pair != pair and borrows and key[0] == venue and key[1].split("-")[0] == coin:
                ours += one.quantity
        return ours + self._shared(venue, coin)

    def _shared(self, venue: str, coin: str) -> Decimal:
        """Where two lend a coin, two pairs or the user too, what one of them pays goes to the other one's
        interest first: as much principal is nobody's then, and stays owed. It is never more than all
        interest so far.
        """
        plan = self.world.plan
        shared = plan.crowded or Misfortune.USER_LENDS in plan.misfortunes
        return self.lending.accrued.get((venue, coin), ZERO) if shared else ZERO

    def at_end(self, states: dict[str, PairState]) -> None:
        """What the pairs say they owe is what the venue shows, as far as interest is known to them."""
        stuck = [state for state in states.values() if state.state is State.STUCK]
        if stuck or self.world.stores > 1:
            return
        for venue, coin in self.lending.lent:
            ours = sum(
                (leg.owed for state in states.values() for leg in state.legs if _is_of(leg, venue, coin)),
                ZERO,
            )
            held = self.lending.balance(venue, coin)
            theirs = held.borrowed + held.interest - ours
            slack = self.lending.step(venue, coin) * (SHARED if self.lending.users_debt else 1)
            slack += self._shared(venue, coin)
            if not self.lending.users_debt - slack <= theirs <= self.lending.users_debt_most + slack:
                raise Violated(
                    "I3", f"{venue}: {held.borrowed} + {held.interest} {coin} are owed, ours {ours}"
                )


def _is_of(leg: Leg, venue: str, coin: str) -> bool:
    return leg.kind is SPOT and leg.venue == venue and leg.instrument.split("-")[0] == coin
