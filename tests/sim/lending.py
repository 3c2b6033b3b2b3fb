"""A venue that lends: loans on their way, interest by the hour, loans taken back, and what must hold."""

from __future__ import annotations

import random
from collections.abc import Iterable
from decimal import ROUND_FLOOR, Decimal
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from libs.common.instant import US_PER_SEC
from libs.common.subjects import SPOT, kind_of
from libs.exchange.engine.commands import AccrueInterest, Borrow, Refused, Repay, SetFees, Submit
from libs.exchange.engine.types import Balance, FeeRates, OrderType, Side, TimeInForce
from services.executor.events import MoveLoan
from services.executor.model import LOANS, Direction, Intent, IntentState, PairState, Purpose, State
from tests.sim.invariants import Violated
from tests.sim.plan import KEYS, PAIRS, Misfortune, SimPair
from tests.sim.terms import BOT, FEES, STEPS, USER_COINS, listing_key

if TYPE_CHECKING:
    from tests.sim.node import Node
    from tests.sim.world import World

LENDERS: Final = frozenset({"binance"})
"""The other venue lends nothing: there the reverse direction is refused by name."""

USER_DEBT: Final = Decimal(1)
SHARED: Final = 10
"""Steps by which a debt that two share may be divided otherwise: a payment goes to all interest first."""

INTEREST_EVERY_US: Final = 20 * US_PER_SEC
ANSWER_US_MAX: Final = 5 * US_PER_SEC
SAYS_NO: Final = "refused"
"""How an answer begins that proves that a loan was not carried out."""

ZERO: Final = Decimal(0)
FREE: Final = FeeRates(maker=ZERO, taker=ZERO)


class Lending:
    """The loans of one world. `landed`: ids of loans that the venue has carried out."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.rng = random.Random(f"lending {world.plan.seed}")  # noqa: S311 - a seed is what it is for
        self.landed: set[str] = set()
        self.answered: set[str] = set()
        self.bought: dict[str, tuple[str, int]] = {}  # a recall's purchase -> (pair, attempt) of the loan
        self.taken: dict[tuple[str, str], Decimal] = {}  # coins of the wallet that recalls have taken
        self.left_to_user: set[tuple[str, str]] = set()
        self.taken_early: set[tuple[str, int]] = set()  # (pair, attempt) whose loan was taken amid its orders
        self.taken_stuck: set[str] = set()  # ... and while a person was waited for
        self.hour = 0
        self._refuses_us: dict[str, int] = {}  # venue -> until when it takes no repayment
        self.users_debt = ZERO
        self.users_loan = ZERO
        self.users_debt_most = ZERO

    def start(self) -> None:
        """The user may have a debt of his own; interest goes on."""
        world = self.world
        if Misfortune.USER_DEBT in world.plan.misfortunes:
            world.counts[Misfortune.USER_DEBT.value] += 1
            self.users_debt = self.users_loan = self.users_debt_most = USER_DEBT
            for venue, coin in _lent():
                world.venues[venue].apply(Borrow(account=BOT, asset=coin, amount=USER_DEBT))
        world.time.after(INTEREST_EVERY_US, self._interest)

    def users_coins(self, venue: str, coin: str) -> Decimal:
        """What the user has there: his own, and what he has borrowed."""
        own = USER_COINS if self.world.venues[venue].has_user_coins else ZERO
        return own + (self.users_loan if (venue, coin) in _lent() else ZERO)

    def lost(self, venue: str, coin: str) -> Decimal:
        """Coins that a recall may have taken and nobody buys back: its loan lay in a store that was lost, or
        a person who had closed the other leg has reset the pair. He was told which coins are left to him.
        """
        left = self.world.stores > 1 or (venue, coin) in self.left_to_user
        return self.taken.get((venue, coin), ZERO) if left else ZERO

    def recalled(self, venue: str) -> frozenset[str]:
        """Coins of which a recall has taken or bought some."""
        coins = {coin for slug, coin in self.taken if slug == venue}
        bought = {coin for slug, coin in _lent() if slug == venue and self.bought}
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
        for venue, coin in _lent():
            owed = self.balance(venue, coin).borrowed
            world.counts["interest"] += bool(owed)
            world.venues[venue].apply(AccrueInterest(asset=coin, hourly_rate=rate, hour_ms=self.hour))
        self.users_debt_most += self.users_debt * rate + Decimal("1e-8")

    def recall(self) -> None:
        """Now and then the venue takes a loan of ours back: it buys the coins, or takes what is there. Mostly
        from a pair that rests, else whatever the pair does: between the loan and the sale, or while it pays.
        """
        world = self.world
        for pair in PAIRS:
            state = world.checker.states.get(pair.id)
            if state is None:
                continue
            rests = state.state is State.ACTIVE and not self._moves(pair.id)
            kind = Misfortune.LOAN_RECALLED if rests else Misfortune.LOAN_RECALLED_EARLY
            for leg in state.legs:
                if self._refuses(leg.venue):
                    continue  # who takes nothing back recalls nothing
                if not rests and self.users_debt:
                    continue  # nobody can tell whose debt was paid while ours is on its way
                if leg.kind is SPOT and leg.borrowed > 0 and world.hits(kind, 0.2):
                    whole = self.rng.random() < 0.5
                    step = STEPS[leg.instrument.split("-")[0], SPOT][0]
                    wanted = leg.borrowed if whole else leg.borrowed / 2
                    amount = (wanted / step).to_integral_value(rounding=ROUND_FLOOR) * step
                    of = (pair.id, state.attempt)
                    if not self._take_back(leg.venue, leg.instrument, amount, of=of):
                        world.counts[kind.value] -= 1  # nothing was left to be taken
                        continue
                    if not rests:
                        self.taken_early.add(of)
                    if state.state is State.STUCK:
                        self.taken_stuck.add(pair.id)

    def _moves(self, pair: str) -> bool:
        return any(one.pair == pair and one.purpose in LOANS for one in self.world.checker.live())

    def _take_back(self, venue: str, instrument: str, amount: Decimal, *, of: tuple[str, int]) -> bool:
        """Whether something was taken back."""
        engine_side, coin = self.world.venues[venue], instrument.split("-", maxsplit=1)[0]
        held, step = self.balance(venue, coin), STEPS[coin, SPOT][0]
        free, owed = held.free, held.borrowed + held.interest - self.users_debt
        if owed < max(step, amount / 100):
            return False  # it was taken back a moment ago, but for interest
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
            if amount:
                engine_side.apply(Repay(account=BOT, asset=coin, amount=amount))
            if self.users_debt:  # one debt at the venue: as long as the user owes enough, it was his
                self.users_debt -= amount
                self.users_debt_most -= amount
        except Refused:
            return False
        finally:
            engine_side.apply(SetFees(account=BOT, fees=FEES))
        return amount > 0

    def balance(self, venue: str, coin: str) -> Balance:
        """An asset of our account."""
        return self.world.venues[venue].engine.balances(BOT).get(coin, Balance())

    def _step(self, venue: str, coin: str) -> Decimal:
        """The least that can be bought of a coin: the venue may have made its step coarser meanwhile."""
        names = (name for slug, name in KEYS if slug == venue and kind_of(name) is SPOT)
        name = next(name for name in names if name.split("-")[0] == coin)
        listing = self.world.venues[venue].engine.listing(listing_key(name))
        return max(STEPS[coin, SPOT][0], listing.quantity_step)

    def slack(self, intent: Intent, step: Decimal) -> Decimal:
        """By how much a purchase of owed coins may exceed them: fee and step, or the venue's minimum.

        `step`: as whoever buys knows it; the venue may have changed it since.
        """
        if not intent.margin or intent.side == "sell":
            return ZERO
        venue, name = next(pair.keys for pair in PAIRS if pair.id == intent.pair)[intent.leg]
        listing = self.world.venues[venue].engine.listing(listing_key(name))
        least = (listing.notional_min or ZERO) / (intent.mid or Decimal(1))
        return max(intent.quantity * FEES.spot.taker, least) + max(step, listing.quantity_step) * 2

    # --- what must hold -------------------------------------------------------------------------------------

    def check_intent(self, intent: Intent) -> None:
        """I12: what is done was carried out, what was given up was not. A loan that is taken back beside a
        repayment which is unknown looks as if that had arrived, or as if it had not, and the debt is gone.
        """
        if intent.purpose not in LOANS:
            return
        gone = intent.purpose is Purpose.REPAY and (intent.pair, intent.attempt) in self.taken_early
        if intent.state is IntentState.DONE and intent.id not in self.landed and not gone:
            raise Violated("I12", f"loan {intent.id} is taken for done, and the venue has not moved it")
        given_up = intent.state in (IntentState.NOT_ACCEPTED, IntentState.VOID)
        if given_up and intent.id in self.landed and not gone:
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
            if leg.kind is SPOT and (leg.venue, coin) in _lent() and self.world.stores == 1:
                self._cleared(leg.venue, coin)

    def _cleared(self, venue: str, coin: str) -> None:
        held = self.balance(venue, coin)
        owed, step = held.borrowed + held.interest, self._step(venue, coin)
        if owed < self.users_debt:
            raise Violated("I3", f"{venue}: {owed} {coin} are owed, the user's debt is {self.users_debt}")
        if owed > self.users_debt_most + step * (SHARED if self.users_debt else 1):
            raise Violated("I3", f"{venue}: {owed} {coin} stay owed, the user's are {self.users_debt_most}")

    def at_end(self, states: dict[str, PairState]) -> None:
        """What the pairs say they owe is what the venue shows, as far as interest is known to them."""
        stuck = [state for state in states.values() if state.state is State.STUCK]
        if stuck or self.world.stores > 1:
            return
        for venue, coin in _lent():
            ours = sum(
                (
                    leg.owed
                    for state in states.values()
                    for leg in state.legs
                    if leg.kind is SPOT and (leg.venue, leg.instrument.split("-")[0]) == (venue, coin)
                ),
                ZERO,
            )
            held = self.balance(venue, coin)
            theirs = held.borrowed + held.interest - ours
            slack = self._step(venue, coin) * (SHARED if self.users_debt else 1)
            if not self.users_debt - slack <= theirs <= self.users_debt_most + slack:
                raise Violated(
                    "I3", f"{venue}: {held.borrowed} + {held.interest} {coin} are owed, ours {ours}"
                )


def _lent() -> Iterable[tuple[str, str]]:
    return [
        (venue, name.split("-")[0]) for venue, name in KEYS if venue in LENDERS and not name.endswith("PERP")
    ]
