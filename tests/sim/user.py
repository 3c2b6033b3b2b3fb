"""The user's own doings at a venue that lends: he brings in and takes out coins, borrows and repays.

None of that is ours: what he has brought in is never sold, and what he has borrowed never repaid. Where he
moves coins while the fate of a loan is open, or a recall is, nobody can tell which was which: then a pair may
be halted, and he is told.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from decimal import ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING, Final

from libs.common.instant import US_PER_SEC
from libs.common.subjects import SPOT
from libs.exchange.engine.commands import Borrow, Deposit, Refused, Repay, Submit, Withdraw
from libs.exchange.engine.types import OrderType, Side
from services.executor.model import LOANS, IntentState, PairState, Purpose, State
from tests.sim.plan import KEYS_OF, Misfortune
from tests.sim.terms import BOT, STEPS, USER_COINS, listing_key

if TYPE_CHECKING:
    from services.executor.world import Key
    from tests.sim.lending import Of
    from tests.sim.world import World

Coin = tuple[str, str]
"""(venue, coin)."""

SIZES: Final = tuple(map(Decimal, ("0.009", "0.3", "0.5", "1", "1.3", "3")))
"""What he moves, in loans of ours: also exactly as much."""

LOAN: Final = Decimal("0.04")
"""About what a pair lends."""

PAUSE_SEC: Final = (1, 6)
TOLD_US_MAX: Final = 90 * US_PER_SEC
"""A balance shows at once what the venue's books are asked for some seconds later."""

RESET_US_MAX: Final = 5 * US_PER_SEC
"""What a reset takes, and what its pair misses after that is told."""

ZERO: Final = Decimal(0)


class User:
    """`brought`: coins that he has brought in since the beginning, less those that he took out."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.lending = world.lending
        self.rng = random.Random(f"user {world.plan.seed}")  # noqa: S311 - a seed is what it is for
        self.brought: dict[Coin, Decimal] = {}
        self.moved_amid: set[Of] = set()  # whose loans, orders or coins were under way
        self.moved_beside: set[Of] = set()  # who rested with a loan
        self.moved: dict[Coin, list[tuple[int, Decimal]]] = {}  # when he moved how much, the newest last
        self.left: set[Key] = set()  # where coins of a stuck pair become his, with its next reset
        self.repaid: dict[Of, int] = {}  # stuck pairs whose loan he has repaid, and when

    def start(self) -> None:
        """He does something every few seconds, where he does anything."""
        kinds = {Misfortune.USER_MOVES, Misfortune.USER_LENDS, Misfortune.STUCK_REPAID}
        if kinds & self.world.plan.misfortunes:
            self._later()

    def _later(self) -> None:
        self.world.time.after(self.rng.randrange(*PAUSE_SEC) * US_PER_SEC, self._act)

    def _act(self) -> None:
        world = self.world
        if world.calm:
            return
        self._later()
        venue, coin = self.rng.choice(self.lending.lent)
        if world.hits(Misfortune.USER_MOVES, 0.3):
            self._move(venue, coin)
        if world.hits(Misfortune.USER_LENDS, 0.3) and self._all_rest(venue, coin):
            self._lend(venue, coin)
        for pair in world.pairs:
            state = world.checker.states.get(pair.id)
            stuck = (
                state is not None and state.state is State.STUCK and any(leg.borrowed for leg in state.legs)
            )
            if state is not None and stuck and world.hits(Misfortune.STUCK_REPAID, 0.3):
                self._repay(state)

    # --- what he does ---------------------------------------------------------------------------------------

    def _amount(self, coin: str) -> Decimal:
        live = [one.quantity for one in self.world.checker.live() if one.purpose in LOANS]
        lent = [leg.borrowed for state in self.world.checker.states.values() for leg in state.legs]
        loan = self.rng.choice([*live, *(one for one in lent if one), *([] if live else [LOAN])])
        step = STEPS[coin, SPOT][0]
        return max(step, (loan * self.rng.choice(SIZES) / step).to_integral_value(ROUND_FLOOR) * step)

    def _move(self, venue: str, coin: str) -> None:
        """Coins come in, or go."""
        amount, side = self._amount(coin), self.world.venues[venue]
        own = self.brought.get((venue, coin), ZERO) + (USER_COINS if side.has_user_coins else ZERO)
        comes = own < amount or self.rng.random() < 0.5
        if not comes and self.lending.balance(venue, coin).free < amount:
            return  # a recall has taken them
        kind = Deposit if comes else Withdraw
        try:
            side.apply(kind(account=BOT, asset=coin, amount=amount))
        except Refused:
            return
        self.world.counts["user_deposits" if comes else "user_withdrawals"] += 1
        signed = amount if comes else -amount
        self._note(venue, coin, signed)
        self.brought[venue, coin] = self.brought.get((venue, coin), ZERO) + signed
        for state in self._with(venue, coin):
            rests = state.state in (State.IDLE, State.ACTIVE) and not self._moves(state.pair)
            (self.moved_beside if rests else self.moved_amid).add((state.pair, state.attempt))

    def _lend(self, venue: str, coin: str) -> None:
        """He borrows, or repays some of what he owes."""
        lending, amount = self.lending, self._amount(coin)
        borrows = lending.users_debt < amount or self.rng.random() < 0.4
        interest = lending.balance(venue, coin).interest
        if not borrows and lending.balance(venue, coin).free < amount:
            return
        kind = Borrow if borrows else Repay
        try:
            self.world.venues[venue].apply(kind(account=BOT, asset=coin, amount=amount))
        except Refused:
            return
        self.world.counts["user_borrows" if borrows else "user_repays"] += 1
        signed = amount if borrows else -amount
        lending.users_debt += signed
        lending.users_loan += signed
        lending.users_debt_most += amount if borrows else -max(ZERO, amount - interest)

    def _repay(self, stuck: PairState) -> None:
        """He pays what a stuck pair owes, with coins that he brings in for it, and closes its contract, or
        leaves that for later.
        """
        for leg in stuck.legs:
            coin, key = leg.instrument.split("-")[0], (stuck.pair, stuck.attempt)
            side = self.world.venues[leg.venue]
            if leg.kind is not SPOT or not leg.borrowed or key in self.repaid:
                continue
            held = self.lending.balance(leg.venue, coin)
            amount = min(leg.owed, held.borrowed + held.interest - self.lending.users_debt)
            if amount <= 0:
                continue
            try:
                side.apply(Deposit(account=BOT, asset=coin, amount=amount))
                self._note(leg.venue, coin, amount)
                side.apply(Repay(account=BOT, asset=coin, amount=amount))
            except Refused:
                continue
            self.repaid[key] = self.world.now.mono_us
            self.left.add((leg.venue, leg.instrument))
            self.world.counts["user_repaid_stuck"] += 1
            if self.rng.random() < 0.7:
                self._close(stuck)

    def _close(self, stuck: PairState) -> None:
        """By hand, whatever contract a stuck pair holds."""
        for leg in stuck.legs:
            if leg.kind is SPOT or not leg.quantity:
                continue
            self.world.meddled.add((leg.venue, leg.instrument))
            self.world.counts["user_orders"] += 1
            order = Submit(
                account=BOT,
                instrument=listing_key(leg.instrument),
                side=Side.SELL if leg.quantity > 0 else Side.BUY,
                type=OrderType.MARKET,
                quantity=abs(leg.quantity),
                client_id=f"user{self.world.counts['user_orders']}",
            )
            try:
                self.world.venues[leg.venue].apply(order)
            except Refused:
                continue

    def _note(self, venue: str, coin: str, amount: Decimal) -> None:
        self.moved.setdefault((venue, coin), []).append((self.world.now.mono_us, amount))

    def explains(self, venue: str, left: Mapping[str, Decimal]) -> bool:
        """Whether what is not explained are moves of his, one after the other, which a look has shown and the
        venue's books have not been asked for yet.
        """
        return all(units in self._untold(venue, coin) for coin, units in left.items())

    def _untold(self, venue: str, coin: str) -> set[Decimal]:
        since_us = self.world.now.mono_us - TOLD_US_MAX
        late = [amount for moved_us, amount in self.moved.get((venue, coin), ()) if moved_us > since_us]
        return {sum(late[i:j], ZERO) for i in range(len(late)) for j in range(i + 1, len(late) + 1)}

    # --- whom it may confuse --------------------------------------------------------------------------------

    def confuses(self, of: Of) -> bool:
        """Whether what a pair was taken for in this attempt may be what the user did: he moved coins while
        something of it was under way, or beside a loan of it that was recalled.
        """
        recalled = of in self.lending.recalled_of or of in self.lending.taken_early
        return of in self.moved_amid or (of in self.moved_beside and recalled)

    def is_at_it(self, of: Of) -> bool:
        """Whether he has just repaid a pair's loan: a reset meanwhile may have looked before."""
        repaid_us = self.repaid.get(of)
        return repaid_us is not None and self.world.now.mono_us - repaid_us < RESET_US_MAX

    @property
    def has_confused(self) -> bool:
        """Whether he has ever taken out coins, it may be as many, while a loan of ours was recalled."""
        return bool(
            (self.moved_amid | self.moved_beside) & (self.lending.recalled_of | self.lending.taken_early)
        )

    def _with(self, venue: str, coin: str) -> list[PairState]:
        """The pairs with that coin there."""
        spot = [
            name
            for name, keys in KEYS_OF.items()
            if any(key[0] == venue and key[1].split("-")[0] == coin for key in keys)
        ]
        return [state for name, state in self.world.checker.states.items() if name in spot]

    def _moves(self, pair: str) -> bool:
        return any(one.pair == pair and one.purpose in LOANS for one in self.world.checker.live())

    def _all_rest(self, venue: str, coin: str) -> bool:
        """What he lends amid loans of ours is like theirs to the last digit, and hides what a recall has
        taken that is yet to be booked: nobody could tell.
        """
        held = self.lending.balance(venue, coin)
        ours = [
            leg.borrowed
            for state in self._with(venue, coin)
            for leg in state.legs
            if leg.kind is SPOT and leg.venue == venue
        ]
        if sum(ours, ZERO) > held.borrowed + held.interest - self.lending.users_debt:
            return False
        return all(
            state.state in (State.IDLE, State.ACTIVE, State.STUCK)
            and not self._moves(state.pair)
            and not self._is_unverified(state)
            for state in self._with(venue, coin)
        )

    def _is_unverified(self, state: PairState) -> bool:
        """Whether the next look is to tell whether all of a repayment has arrived."""
        return any(
            one.purpose is Purpose.REPAY and one.state is IntentState.DONE and one.owed_after is None
            for one in self.world.checker.durable.values()
            if (one.pair, one.attempt) == (state.pair, state.attempt)
        )
