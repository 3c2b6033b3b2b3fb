"""The world of one seed: venues, store, bus, risk and the user, with misfortunes between them.

Everything random comes from one generator and one timeline, so that a seed replays to the same bytes.
"""

from __future__ import annotations

import random
from collections import Counter
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from libs.common.effects import Alert, Request
from libs.common.instant import US_PER_SEC, Now
from libs.common.memory_store import Fault, MemoryStore
from libs.common.messages import Message
from libs.common.messages_exec import Breaker, Level, Permit
from libs.common.store import Transition
from libs.common.subjects import PERMIT, quote
from libs.common.subjects import instrument as instrument_subject
from libs.exchange.trading_values import NeverSent, OrderRequest, QueryFailed, Unknown
from services.executor.events import (
    AccountSeen,
    CancelOrder,
    FetchFills,
    FindTaken,
    QueryOrder,
    ReadAccount,
)
from services.executor.model import Intent as Order
from tests.sim.invariants import Checker
from tests.sim.lending import Lending
from tests.sim.plan import BUILD, KEYS, PAIRS, START_PRICES, Misfortune, Plan
from tests.sim.timeline import Timeline, run

if TYPE_CHECKING:
    from tests.sim.node import Node
    from tests.sim.venue import SimVenue

QUOTE_EVERY_US = US_PER_SEC // 2
PERMIT_EVERY_US = US_PER_SEC // 4
REQUEST_TIMEOUT_US = 5 * US_PER_SEC


class ObservedStore(MemoryStore):
    """Tells the oracle of every change that it takes, also of those whose answer is lost."""

    def __init__(self, world: World, *, store_id: str) -> None:
        super().__init__(clock=world.time, store_id=store_id)
        self._world = world

    def _transition(self, change: Transition) -> bool:
        done = super()._transition(change)
        if done:
            self._world.counts["writes"] += 1
            self._world.checker.stored(change)
        return done


class World:
    """Everything outside the executors. `check` is called after each step of the timeline."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.rng = random.Random(f"world {plan.seed}")  # noqa: S311 - a seed is what it is for
        self.time = Timeline()
        self.stores = 0
        self.meddled: set[tuple[str, str]] = set()
        self.venues: dict[str, SimVenue] = {}
        self.nodes: list[Node] = []
        self.prices: dict[str, Decimal] = dict(START_PRICES)
        self.counts: Counter[str] = Counter()
        self.risk_revision = 0
        self.risk_until_us = {"dead": 0, "breaker": 0}
        self.breakers: tuple[Breaker, ...] = ()
        self.feed_silent_until_us = 0
        self.alerts: list[Alert] = []
        self.checker = Checker(self)
        self.lending = Lending(self)
        self.new_store()

    def new_store(self) -> None:
        """An empty store with an id of its own; the one before is gone for good."""
        self.stores += 1
        self.store = ObservedStore(self, store_id=f"{self.plan.seed:012x}{self.stores:04x}")
        self.store.fault = self._store_fault

    @property
    def now(self) -> Now:
        """The three times."""
        return self.time.now()

    @property
    def calm(self) -> bool:
        """Whether misfortunes are over."""
        return self.now.mono_us >= self.plan.active_us

    def hits(self, kind: Misfortune, chance: float) -> bool:
        """Whether a misfortune strikes here; counted."""
        if kind not in self.plan.misfortunes or self.calm or self.rng.random() >= chance:
            return False
        self.counts[kind.value] += 1
        return True

    # --- what lies in the store, for the oracle -----------------------------------------------------

    def entries(self, stream: str) -> list[dict[str, bytes]]:
        """All entries of a stream."""
        return [entry.fields for entry in run(self.store.read(stream, count=10**9))]

    def value(self, key: str) -> bytes | None:
        """A value."""
        found = run(self.store.get(key))
        return None if found is None else found.value

    def fence(self, group: str) -> int:
        """The newest fence that the store has given for a lease."""
        return self.store._fences.get(group, 0)

    def hash(self, key: str) -> dict[str, bytes]:
        """A hash."""
        return run(self.store.hash_all(key))

    # --- delays -----------------------------------------------------------------------------------

    def store_us(self) -> int:
        """Half the way to the store and back."""
        if self.hits(Misfortune.STORE_SLOW, 0.02):
            return self.rng.randrange(100_000, 3_000_000)
        return self.rng.randrange(50, 400)

    def sign_us(self) -> int:
        """Signing, and getting a connection."""
        return self.rng.randrange(200, 3_000)

    def wire_us(self) -> int:
        """One way to a venue."""
        return self.rng.randrange(1_000, 60_000)

    def _store_fault(self, operation: str) -> Fault:
        if operation == "transition" and self.hits(Misfortune.STORE_UNANSWERED, 0.02):
            return Fault.UNANSWERED
        return Fault.NONE

    # --- orders on their way ----------------------------------------------------------------------

    def send(self, node: Node, order: Order, venue: str, request: OrderRequest) -> None:
        """An order leaves: it may be lost, land late, or its answer may be."""
        sent_us = self.now.mono_us
        pair, order_id = order.pair, order.id

        def answer(outcome: Any, after_us: int) -> None:
            node.later(after_us, lambda: node.answered(order_id, pair, outcome, sent_us))

        if self.hits(Misfortune.NEVER_SENT, 0.02):
            answer(NeverSent(why="connection refused"), 1_000)
            return
        self.checker.released(node, order)
        self.counts["orders"] += 1
        if self.hits(Misfortune.REQUEST_LOST, 0.04) or self.venues[venue].is_down:
            answer(Unknown(why="no answer in time"), REQUEST_TIMEOUT_US)
            return
        if self.hits(Misfortune.LATE_LANDING, 0.03):
            self.time.after(
                self.rng.randrange(US_PER_SEC, 9 * US_PER_SEC), lambda: self.land(venue, order, request)
            )
            answer(Unknown(why="connection reset"), self.rng.randrange(1_000, US_PER_SEC))
            return

        def landed() -> None:
            outcome = self.land(venue, order, request)
            if self.hits(Misfortune.REPLY_LOST, 0.06):
                answer(
                    Unknown(why="connection reset after send"), self.rng.randrange(1_000, REQUEST_TIMEOUT_US)
                )
            else:
                answer(outcome, self.wire_us())

        self.time.after(self.wire_us(), landed)

    def land(self, venue: str, order: Order, request: OrderRequest) -> Any:
        """An order arrives at the venue."""
        return self.venues[venue].arrive(order, request)

    def call(self, node: Node, request: Request) -> None:
        """A query, cancel or read: on its way, done there, answered."""
        venue = self.venues[request.venue]  # type: ignore[attr-defined]  # every one of them names its venue
        asked_us = self.now.mono_us

        def done() -> None:
            if venue.is_down or self.hits(Misfortune.QUERY_FAILS, 0.08):
                if isinstance(request, QueryOrder | CancelOrder):
                    node.later(
                        self.wire_us(), lambda: node.answer(request, QueryFailed(why="no answer in time"))
                    )
                else:
                    node.later(self.wire_us(), lambda: node.answer(request, error="no answer in time"))
                return
            match request:
                case QueryOrder():
                    result: Any = venue.query(request.instrument, request.id)
                case CancelOrder():
                    result = venue.cancel(request.instrument, request.id)
                case FetchFills():
                    result = venue.fills(request.instrument, request.since_ms)
                case FindTaken():
                    result = venue.taken(request.instrument, request.since_ms)
                case ReadAccount():
                    positions, balances, orders = venue.account()
                    result = AccountSeen(
                        venue=request.venue,
                        positions=positions,
                        balances=balances,
                        open_orders=orders,
                        asked_mono_us=asked_us,
                    )
                case _:
                    raise AssertionError(f"no venue answers {type(request).__name__}")
            node.later(self.wire_us(), lambda: node.answer(request, result))

        self.time.after(self.wire_us(), done)

    def stream(self, venue: str, event: Any) -> None:
        """The user stream tells every live executor: late, twice, or not at all."""
        copies = [self.wire_us()]
        if self.hits(Misfortune.STREAM_LOST, 0.2):
            copies = []
        elif self.hits(Misfortune.STREAM_DOUBLED, 0.1):
            copies.append(self.wire_us() * 20)
        elif self.hits(Misfortune.STREAM_LATE, 0.1):
            copies = [self.rng.randrange(US_PER_SEC, 20 * US_PER_SEC)]
        for after_us in copies:
            for node in self.nodes:
                node.later(after_us, partial(node.hear_venue, venue, event))

    # --- bus --------------------------------------------------------------------------------------

    def publish(self, subject: str, message: Message) -> None:
        """A message for the executors: lost, late or doubled as the seed will have it."""
        for node in self.nodes:
            if self.hits(Misfortune.BUS_LOSES, 0.03):
                continue
            delay_us = self.rng.randrange(100, 2_000)
            if self.hits(Misfortune.BUS_LATE, 0.02):
                delay_us = self.rng.randrange(100_000, 5 * US_PER_SEC)
            node.later(delay_us, partial(node.hear, subject, message))
            if self.hits(Misfortune.BUS_DOUBLES, 0.02):
                node.later(delay_us * 3, partial(node.hear, subject, message))

    def heard(self, node: Node, subject: str, message: Message) -> None:
        """An executor has said something."""
        self.counts["said"] += 1

    def alerted(self, alert: Alert) -> None:
        """An executor has told a person."""
        self.alerts.append(alert)

    # --- feed, risk, user -------------------------------------------------------------------------

    def start(self) -> None:
        """Set everything going that goes on by itself."""
        self.describe()
        self._quotes()
        self.lending.start()
        self._permit()

    def describe(self) -> None:
        """Instruments, said again every 10 s."""
        for venue, name in KEYS:
            self.publish(instrument_subject(venue, name), self.venues[venue].info(name))
        self.time.after(10 * US_PER_SEC, self.describe)

    def _quotes(self) -> None:
        for base, price in self.prices.items():
            step = Decimal(self.rng.randrange(-8, 9)) / 10_000
            if self.hits(Misfortune.PRICE_SHOCK, 0.002):
                step = Decimal(self.rng.choice((-40, -20, 20, 40))) / 100
            start = START_PRICES[base]
            self.prices[base] = min(start * 3, max(start / 3, price * (1 + step))).quantize(Decimal("0.1"))
        silent = self.now.mono_us < self.feed_silent_until_us
        if not silent and self.hits(Misfortune.FEED_SILENT, 0.005):
            self.feed_silent_until_us = self.now.mono_us + self.rng.randrange(3, 30) * US_PER_SEC
        for key in KEYS:
            seen = self.venues[key[0]].reprice(key[1], self.prices[key[1].split("-")[0]])
            if not silent:
                self.publish(quote(*key), seen)
        self.time.after(QUOTE_EVERY_US, self._quotes)

    def _permit(self) -> None:
        self.time.after(PERMIT_EVERY_US, self._permit)
        self.checker.look_for_naked(PERMIT_EVERY_US)
        now_us = self.now.mono_us
        if now_us < self.risk_until_us["dead"]:
            return
        if self.hits(Misfortune.RISK_DEAD, 0.005):
            self.risk_until_us["dead"] = now_us + self.rng.randrange(1, 40) * US_PER_SEC
            return
        if now_us >= self.risk_until_us["breaker"] and self.breakers:
            self._set_breakers(())
        elif not self.breakers:
            self._misfortune_of_risk(now_us)
        self.risk_revision += 1
        permit = Permit(
            risk_epoch=1,
            revision=self.risk_revision,
            build=BUILD,
            wall_us=self.now.wall_us,
            breakers=self.breakers,
        )
        self.publish(PERMIT, permit)

    def _misfortune_of_risk(self, now_us: int) -> None:
        pair = self.rng.choice(PAIRS)
        scopes = ("global", f"pair:{pair.id}", f"venue:{pair.keys[0][0]}")
        for kind, level, chance in (
            (Misfortune.RISK_HALTS, Level.REDUCE_ONLY, 0.01),
            (Misfortune.RISK_FLAPS, Level.NO_OPENS, 0.03),
            (Misfortune.RISK_FLATTENS, Level.FLATTEN, 0.004),
        ):
            if self.hits(kind, chance):
                self._set_breakers((Breaker(scope=self.rng.choice(scopes), level=level, reason=kind.value),))
                seconds = self.rng.randrange(1, 3 if kind is Misfortune.RISK_FLAPS else 30)
                self.risk_until_us["breaker"] = now_us + seconds * US_PER_SEC
                return

    def _set_breakers(self, breakers: tuple[Breaker, ...]) -> None:
        self.breakers = breakers
