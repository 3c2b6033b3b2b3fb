"""A venue that lends: loans on their way, interest by the hour, loans taken back, and what must hold."""

from __future__ import annotations

import random
from decimal import ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from libs.common.instant import US_PER_SEC
from libs.common.subjects import SPOT, kind_of
from libs.exchange.engine.commands import AccrueInterest, Borrow, Refused, Repay, SetFees, Submit
from libs.exchange.engine.types import Balance, FeeRates, OrderType, Side, TimeInForce
from services.executor.events import MoveLoan
from services.executor.model import LOANS, Direction, Intent, State
from tests.sim.invariants import Violated
from tests.sim.plan import KEYS_OF, Misfortune, SimPair
from tests.sim.terms import BOT, FEES, STEPS, USER_COINS, listing_key

if TYPE_CHECKING:
    from tests.sim.node import Node
    from tests.sim.world import World

LENDERS: Final = frozenset({"binance"})
"""The other venue lends nothing: there the reverse direction is refused by name."""

USER_DEBT: Final = Decimal(1)
INTEREST_EVERY_US: Final = 20 * US_PER_SEC
ANSWER_US_MAX: Final = 5 * US_PER_SEC
SAYS_NO: Final = "refused"
"""How an answer begins that proves that a loan was not carried out."""

Of = tuple[str, int]
"""A pair and its attempt."""

ZERO: Final = Decimal(0)
FREE: Final = FeeRates(maker=ZERO, taker=ZERO)


class Lending:
    """The loans of one world. `landed`: ids of loans that the venue has carried out."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.rng = random.Random(f"lending {world.plan.seed}")  # noqa: S311 - a seed is what it is for
        self.lent = [
            (venue, name.split("-")[0])
            for venue, name in world.keys
            if venue in LENDERS and not name.endswith("PERP")
        ]
        self.landed: set[str] = set()
        self.bought: dict[str, tuple[Of, ...]] = {}  # a recall's purchase -> whose loans it may have met
        self.taken: dict[tuple[str, str], Decimal] = {}  # coins of the wallet that recalls have taken
        self.left_to_user: set[tuple[str, str]] = set()
        self.taken_early: set[Of] = set()  # whose loan was taken amid orders
        self.taken_stuck: set[str] = set()  # ... and while a person was waited for
        self.hour = 0
        self._refuses_us: dict[str, int] = {}  # venue -> until when it takes no repayment
        self.accrued: dict[tuple[str, str], Decimal] = {}  # interest on all debts of a coin so far
        self.users_debt = ZERO
        self.users_loan = ZERO
        self.users_debt_most = ZERO
        self.recalled_of: set[Of] = set()

    def start(self) -> None:
        """The user may have a debt of his own; interest goes on."""
        world = self.world
        if Misfortune.USER_DEBT in world.plan.misfortunes:
            world.counts[Misfortune.USER_DEBT.value] += 1
            self.users_debt = self.users_loan = self.users_debt_most = USER_DEBT
            for venue, coin in self.lent:
                world.venues[venue].apply(Borrow(account=BOT, asset=coin, amount=USER_DEBT))
        world.time.after(INTEREST_EVERY_US, self._interest)

    def users_coins(self, venue: str, coin: str) -> Decimal:
        """What the user has there: his own, and what he has borrowed."""
        own = USER_COINS if self.world.venues[venue].has_user_coins else ZERO
        own += self.world.user.brought.get((venue, coin), ZERO)
        return own + (self.users_loan if (venue, coin) in self.lent else ZERO)

    def lost(self, venue: str, coin: str) -> Decimal:
        """Coins that a recall may have taken and nobody buys back: its loan lay in a store that was lost, or
        a person who had closed the other leg has reset the pair. He was told which coins are left to him.
        """
        left = self.world.stores > 1 or (venue, coin) in self.left_to_user
        return self.taken.get((venue, coin), ZERO) if left else ZERO

    def recalled(self, venue: str) -> frozenset[str]:
        """Coins of which a recall has taken or bought some."""
        coins = {coin for slug, coin in self.taken if slug == venue}
        bought = {coin for slug, coin in self.lent if slug == venue and self.bought}
        return frozenset(coins | bought)

    def direction(self, pair: SimPair) -> Direction:
        """A wish in either direction, also where nothing is lent."""
        return "reverse" if self.rng.random() < 0.4 else "forward"

    # --- on its way -----------------------------------------------------------------------------------------

    def send(self, node: Node, request: MoveLoan) -> None:
        """A loan leaves: it may be lost, land late, be refused, or its answer may be lost."""
        world, loan = self.world, request.intent
        world.checker.released(node, loan)
        world.counts["loans"] += 1
        lost = "no answer in time"

        def answer(error: str | None, after_us: int) -> None:
            says_no = error is not None and error.startswith(SAYS_NO)
            kind = "refused" if says_no else "network"
            node.later(after_us, lambda: node.answer(request, error=error, error_class=kind))

        def landed() -> None:
            error = self._land(request)
            if world.hits(Misfortune.LOAN_REPLY_LOST, 0.2):
                answer(lost, self.rng.randrange(1_000, ANSWER_US_MAX))
            else:
                answer(error, world.wire_us())

        if world.venues[request.venue].is_down or world.hits(Misfortune.REQUEST_LOST, 0.04):
            answer(lost, ANSWER_US_MAX)
        elif world.hits(Misfortune.LATE_LANDING, 0.05):
            world.time.after(world.late_us(request.venue, self.rng), lambda: self._late(request))
            answer("connection reset", self.rng.randrange(1_000, US_PER_SEC))
        else:
            world.time.after(world.wire_us(), landed)

    def _late(self, request: MoveLoan) -> None:
        self._land(request)

    def _land(self, request: MoveLoan) -> str | None:
        world, amount = self.world, abs(request.amount)
        if world.venues[request.venue].is_down:
            return "HTTP 503"
        if world.hits(Misfortune.LOAN_REJECTED, 0.15):
            return f"{SAYS_NO}: the pool has not enough of it" if self.rng.random() < 0.7 else "HTTP 500"
        kind = Borrow if request.amount > 0 else Repay
        if kind is Repay and self._refuses(request.venue):
            return f"{SAYS_NO}: repayments are suspended"
        try:
            world.venues[request.venue].apply(kind(account=BOT, asset=request.asset, amount=amount))
        except Refused as refused:
            return f"{SAYS_NO}: {refused}"
        if request.id in self.landed:
            raise Violated("I2", f"loan {request.id} was carried out twice")
        self.landed.add(request.id)
        if kind is Borrow and world.hits(Misfortune.REPAY_REFUSED, 0.8):
            self._keep(request)
        return None

    def _refuses(self, venue: str) -> bool:
        """Whether a venue takes no repayment now."""
        return self.world.now.mono_us < self._refuses_us.get(venue, 0)

    def _keep(self, request: MoveLoan) -> None:
        """What was just lent cannot be sold, nor anything bought against it, and is not taken back either."""
        self._refuses_us[request.venue] = self.world.now.mono_us + self.rng.randrange(20, 60) * US_PER_SEC
        for key in request.legs:
            self.world.trouble.shut(key, self.rng.randrange(10, 30))

    # --- the venue's own doing ------------------------------------------------------------------------------

    def _interest(self) -> None:
        """An hour's interest, sometimes much of it."""
        world = self.world
        if world.calm:
            return
        world.time.after(world.absences.paced_us(INTEREST_EVERY_US), self._interest)
        self.hour += 1
        rate = Decimal(self.rng.choice(("0.00001", "0.0001", "0.001")))
        for venue, coin in self.lent:
            owed = self.balance(venue, coin).borrowed
            world.counts["interest"] += bool(owed)
            self.accrued[venue, coin] = self.accrued.get((venue, coin), ZERO) + owed * rate
            world.venues[venue].apply(AccrueInterest(asset=coin, hourly_rate=rate, hour_ms=self.hour))
        self.users_debt_most += self.users_debt * rate + Decimal("1e-8")

    def recall(self) -> None:
        """Now and then the venue takes a loan of ours back: it buys the coins, or takes what is there. Mostly
        from a pair that rests, else whatever the pair does: between the loan and the sale, or while it pays.
        """
        world = self.world
        for pair in world.pairs:
            state = world.checker.states.get(pair.id)
            if state is None:
                continue
            rests = state.state is State.ACTIVE and not self._moves(pair.id)
            kind = Misfortune.LOAN_RECALLED if rests else Misfortune.LOAN_RECALLED_EARLY
            for leg in state.legs:
                if self._refuses(leg.venue):
                    continue  # who takes nothing back recalls nothing
                if self.users_debt and not (rests and self._all_rest(leg.venue, leg.instrument)):
                    continue  # nobody can tell whose debt was paid while ours is on its way
                if leg.kind is SPOT and leg.borrowed > 0 and world.hits(kind, 0.2):
                    whole = self.rng.random() < 0.5
                    step = STEPS[leg.instrument.split("-")[0], SPOT][0]
                    wanted = leg.borrowed if whole else leg.borrowed / 2
                    amount = (wanted / step).to_integral_value(rounding=ROUND_FLOOR) * step
                    of = self._borrowers(leg.venue, leg.instrument)
                    if not self._take_back(leg.venue, leg.instrument, amount, of=of):
                        world.counts[kind.value] -= 1  # nothing was left to be taken
                        continue
                    self.recalled_of.update(of)
                    if not rests:
                        self.taken_early.add((pair.id, state.attempt))
                    self.taken_early.update(one for one in of if self._moves(one[0]))
                    if state.state is State.STUCK:
                        self.taken_stuck.add(pair.id)

    def _all_rest(self, venue: str, instrument: str) -> bool:
        """Whether no pair with an instrument is about to do anything."""
        states = self.world.checker.states
        sharers = [pair for pair in self.world.agreement.sharers[venue, instrument] if pair.id in states]
        rest = (State.IDLE, State.ACTIVE)
        return all(states[one.id].state in rest and not self._moves(one.id) for one in sharers)

    def _borrowers(self, venue: str, instrument: str) -> tuple[Of, ...]:
        """Whose loans lie behind the debt that a venue takes back: it does not know of pairs."""
        states, key = self.world.checker.states, (venue, instrument)
        sharers = [(pair, states[pair.id]) for pair in self.world.pairs if pair.id in states]
        return tuple(
            (pair.id, state.attempt)
            for pair, state in sharers
            if key in pair.keys and (state.legs[pair.keys.index(key)].borrowed > 0 or self._moves(pair.id))
        )

    def _moves(self, pair: str) -> bool:
        return any(one.pair == pair and one.purpose in LOANS for one in self.world.checker.live())

    def _take_back(self, venue: str, instrument: str, amount: Decimal, *, of: tuple[Of, ...]) -> bool:
        """Whether something was taken back."""
        engine_side, coin = self.world.venues[venue], instrument.split("-", maxsplit=1)[0]
        held, step = self.balance(venue, coin), STEPS[coin, SPOT][0]
        free, owed = held.free, held.borrowed + held.interest - self.users_debt
        if owed < max(step, amount / 100):
            return False  # it was taken back a moment ago, but for interest
        if self.users_debt and (
            self.users_debt < amount or Misfortune.USER_MOVES in self.world.plan.misfortunes
        ):
            return False  # whose it was nobody could tell
        amount = min(amount, (owed / step).to_integral_value(rounding=ROUND_FLOOR) * step)
        try:
            if free < amount or self.rng.random() < 0.6:
                name = f"recall{len(self.bought)}"
                self.bought[name] = of
                engine_side.apply(SetFees(account=BOT, fees=replace(FEES, spot=FREE)))
                engine_side.apply(
                    Submit(
                        account=BOT,
                        instrument=listing_key(instrument),
                        side=Side.BUY,
                        type=OrderType.MARKET,
                        tif=TimeInForce.IOC,
                        quantity=amount,
                        client_id=name,
                    )
                )
                placed = engine_side.engine.order(BOT, client_id=name)
                amount = placed.filled if placed is not None else ZERO
                self.world.counts["recall_bought"] += 1
            else:
                self.world.counts["recall_taken"] += 1
                self.taken[venue, coin] = self.taken.get((venue, coin), ZERO) + amount
                self.users_loan -= amount if self.users_debt else ZERO
            interest = self.balance(venue, coin).interest  # ours too; it is paid first
            if amount:
                engine_side.apply(Repay(account=BOT, asset=coin, amount=amount))
            if self.users_debt:  # one debt at the venue: as long as the user owes enough, it was his
                self.users_debt -= amount
                self.users_debt_most -= max(ZERO, amount - interest)
        except Refused:
            return False
        finally:
            engine_side.apply(SetFees(account=BOT, fees=FEES))
        return amount > 0

    def balance(self, venue: str, coin: str) -> Balance:
        """An asset of our account."""
        return self.world.venues[venue].engine.balances(BOT).get(coin, Balance())

    def step(self, venue: str, coin: str) -> Decimal:
        """The least that can be bought of a coin, as far as anybody could know: the venue may have made its
        step coarser meanwhile, or described it so.
        """
        names = (name for slug, name in self.world.keys if slug == venue and kind_of(name) is SPOT)
        name = next(name for name in names if name.split("-")[0] == coin)
        listing = self.world.venues[venue].engine.listing(listing_key(name))
        described = self.world.market.coarsest.get((venue, name), ZERO)
        return max(STEPS[coin, SPOT][0], listing.quantity_step, described)

    def slack(self, intent: Intent, step: Decimal) -> Decimal:
        """By how much a purchase of owed coins may exceed them: fee and step, or the venue's minimum.

        `step`: as whoever buys knows it; the venue may have changed it since.
        """
        if not intent.margin or intent.side == "sell":
            return ZERO
        venue, name = KEYS_OF[intent.pair][intent.leg]
        listing = self.world.venues[venue].engine.listing(listing_key(name))
        least = (listing.notional_min or ZERO) / (intent.mid or Decimal(1))
        return max(intent.quantity * FEES.spot.taker, least) + max(step, listing.quantity_step) * 2
