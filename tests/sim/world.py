"""The world of one seed: venues, store, bus and the user, with misfortunes between them.

Everything random comes from one generator and one timeline, so that a seed replays to the same bytes.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Coroutine, Sequence
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from libs.common.effects import Alert, Request
from libs.common.instant import US_PER_SEC, Now
from libs.common.memory_store import Fault, MemoryStore
from libs.common.messages import Message, Want
from libs.common.store import Entry, Transition
from libs.exchange.trading_values import NeverSent, OrderRequest, Unknown
from services.executor.model import Intent as Order
from tests.sim.absence import Absences
from tests.sim.accounts import Accounts
from tests.sim.agreement import Agreement
from tests.sim.asking import Failed, no_answer, told_by
from tests.sim.debts import Debts
from tests.sim.invariants import Checker
from tests.sim.journal import Journal
from tests.sim.lending import Lending
from tests.sim.market import Market
from tests.sim.nakedness import Nakedness
from tests.sim.person import Person
from tests.sim.plan import Misfortune, Plan
from tests.sim.timeline import Timeline, run
from tests.sim.trouble import Trouble
from tests.sim.user import User

if TYPE_CHECKING:
    from tests.sim.adviser import Adviser
    from tests.sim.guardian import Guardian
    from tests.sim.node import Node
    from tests.sim.process import Process
    from tests.sim.venue import SimVenue

T = TypeVar("T")
MOST = 0.8
LOOK_EVERY_US = 2 * US_PER_SEC // 5
REQUEST_TIMEOUT_US = 5 * US_PER_SEC
LANDS_US_MAX = {"binance": 15 * US_PER_SEC, "bitget": 35 * US_PER_SEC}
"""The receive window, and what the venue may take for an order beyond it. What W has more than that is for
what shows it late, and for clocks.
"""


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
        self.pairs = plan.pairs
        self.keys = tuple(dict.fromkeys(key for pair in self.pairs for key in pair.keys))
        self.perps = tuple(key for key in self.keys if key[1].endswith("PERP"))
        self.active_us = plan.active_us  # and what absences have taken of it
        self.rng = random.Random(f"world {plan.seed}")  # noqa: S311 - a seed is what it is for
        self._late = random.Random(f"late {plan.seed}")  # noqa: S311 - as above
        self.time = Timeline()
        self.stores = 0
        self.meddled: set[tuple[str, str]] = set()
        self.venues: dict[str, SimVenue] = {}
        self.nodes: list[Node] = []
        self.counts: Counter[str] = Counter()
        self.guardians: list[Guardian] = []
        self.adviser: Adviser | None = None
        self.alerts: list[Alert] = []
        self.checker = Checker(self)
        self.lending = Lending(self)
        self.user = User(self)
        self.debts = Debts(self)
        self.market = Market(self)
        self.trouble = Trouble(self)
        self.absences = Absences(self)
        self.agreement = Agreement(self)
        self.journal = Journal(self)
        self.nakedness = Nakedness(self)
        self.accounts = Accounts(self)
        self.person = Person(self)
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
    def prices(self) -> dict[str, Decimal]:
        """Coin -> what it costs everywhere."""
        return self.market.prices

    @property
    def calm(self) -> bool:
        """Whether misfortunes are over."""
        return self.now.mono_us >= self.active_us

    def hits(self, kind: Misfortune, chance: float) -> bool:
        """Whether a misfortune strikes here; counted."""
        if kind not in self.plan.misfortunes or self.calm or self.rng.random() >= chance:
            return False
        self.counts[kind.value] += 1
        return True

    # --- what lies in the store, for the oracle -----------------------------------------------------

    def entries(self, stream: str) -> list[dict[str, bytes]]:
        """All entries of a stream."""
        return [entry.fields for entry in self.tail(stream, "0")]

    def tail(self, stream: str, after: str) -> list[Entry]:
        """All entries of a stream after one of them."""
        return self._peek(self.store.read(stream, after=after, count=10**9))

    def value(self, key: str) -> bytes | None:
        """A value."""
        found = self._peek(self.store.get(key))
        return None if found is None else found.value

    def _peek(self, reading: Coroutine[Any, Any, T]) -> T:
        """What lies there, also while nobody else can read it."""
        down, self.store.down = self.store.down, False
        try:
            return run(reading)
        finally:
            self.store.down = down

    def fence(self, group: str) -> int:
        """The newest fence that the store has given for a lease."""
        return self.store._fences.get(group, 0)

    def hash(self, key: str) -> dict[str, bytes]:
        """A hash."""
        return self._peek(self.store.hash_all(key))

    # --- delays -----------------------------------------------------------------------------------

    def store_us(self) -> int:
        """Half the way to the store and back."""
        if self.hits(Misfortune.STORE_SLOW, 0.02):
            return self.rng.randrange(100_000, 3_000_000)
        return self.rng.randrange(50, 400)

    def skew_us(self, most_us: int) -> int:
        """How wrong a clock is; most of a lively seed are so little wrong that permits are believed."""
        if self.plan.lively and self.rng.random() < MOST:
            most_us //= 10
        return self.rng.randrange(-most_us, most_us)

    def frozen_us(self) -> int:
        """How long a process stands still. After a long time nothing increases for a minute."""
        short = self.plan.lively and self.rng.random() < MOST
        return self.rng.randrange(1, 5 if short else 12) * US_PER_SEC

    def sign_us(self) -> int:
        """Signing, and getting a connection."""
        return self.rng.randrange(200, 3_000)

    def wire_us(self) -> int:
        """One way to a venue."""
        return self.rng.randrange(1_000, 60_000)

    def late_us(self, venue: str, rng: random.Random) -> int:
        """How late something lands of which nobody has heard."""
        if self.plan.late_to_window:
            return self._late.randrange(US_PER_SEC, LANDS_US_MAX[venue])
        return rng.randrange(US_PER_SEC, 9 * US_PER_SEC)

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
            self.time.after(self.late_us(venue, self.rng), lambda: self.land(venue, order, request))
            answer(Unknown(why="connection reset"), self.rng.randrange(1_000, US_PER_SEC))
            return

        def landed() -> None:
            if (why := self.trouble.garbled(executed=False)) is not None:
                answer(Unknown(why=why), self.wire_us())
                return
            outcome = self.land(venue, order, request)
            if (why := self.trouble.garbled(executed=True)) is not None:
                answer(Unknown(why=why), self.rng.randrange(1_000, REQUEST_TIMEOUT_US))
            else:
                answer(outcome, self.wire_us())

        self.time.after(self.wire_us(), landed)

    def land(self, venue: str, order: Order, request: OrderRequest) -> Any:
        """An order arrives at the venue."""
        return self.venues[venue].arrive(order, request)

    def call(self, node: Node, request: Request) -> None:
        """A query, cancel, look or set-up: on its way, done there, answered."""
        venue = self.venues[request.venue]  # type: ignore[attr-defined]  # every one of them names its venue
        asked_us = self.now.mono_us

        def failed(why: str) -> None:
            outcome = no_answer(request)
            error = None if outcome is not None else why
            node.later(self.wire_us(), lambda: node.answer(request, outcome, error=error))

        def done() -> None:
            if venue.is_down or self.hits(Misfortune.QUERY_FAILS, 0.08):
                failed("no answer in time")
                return
            try:
                result = told_by(venue, request, node.terms, asked_us)
            except Failed as error:
                failed(str(error))
                return
            node.later(self.wire_us(), lambda: node.answer(request, result))

        self.time.after(self.wire_us(), done)

    def stream(self, venue: str, event: Any) -> None:
        """The user stream tells every live executor: late, twice, or not at all."""
        copies = [self.wire_us()]
        if self.absences.is_away(venue) or self.hits(Misfortune.STREAM_LOST, 0.2):
            copies = []
        elif self.hits(Misfortune.STREAM_DOUBLED, 0.1):
            copies.append(self.wire_us() * 20)
        elif self.hits(Misfortune.STREAM_LATE, 0.1):
            copies = [self.rng.randrange(US_PER_SEC, 20 * US_PER_SEC)]
        elif self.hits(Misfortune.STREAM_REORDERED, 0.2):
            copies = [self.rng.randrange(60_000, 400_000)]
        for after_us in copies:
            for node in self.nodes:
                node.later(after_us, partial(node.hear_venue, venue, event))

    # --- bus --------------------------------------------------------------------------------------

    def processes(self) -> list[Process]:
        """All that live."""
        return [*self.nodes, *self.guardians, *([self.adviser] if self.adviser is not None else [])]

    def publish(self, messages: Sequence[tuple[str, Message]], *, by: Process | None = None) -> None:
        """Messages of one instant for who hears them: lost, late, doubled or reordered as the seed has it.

        `by` None is the feed.
        """
        if by is not None and self.trouble.is_parted(by):
            return
        if any(isinstance(message, Want) for _, message in messages):
            self.market.tell()
        for process in self.processes():
            kept = [one for one in messages if type(one[1]) in process.hears]
            if kept and not self.trouble.is_deaf(process):
                self._travel(process, kept)

    def _travel(self, process: Process, kept: list[tuple[str, Message]]) -> None:
        if self.hits(Misfortune.BUS_LOSES, 0.05):
            del kept[self.rng.randrange(len(kept))]
        if len(kept) > 1 and self.hits(Misfortune.BUS_REORDERS, 0.02):
            kept = self.rng.sample(kept, len(kept))
        if not kept:
            return
        delay_us = self.delay_us(process)
        process.later(delay_us, partial(process.hear, kept))
        if self.hits(Misfortune.BUS_DOUBLES, 0.03):
            process.later(delay_us * 3, partial(process.hear, kept))

    def delay_us(self, process: Process) -> int:
        """How long something that is said now is under way."""
        delay_us = self.rng.randrange(100, 2_000)
        if self.hits(Misfortune.BUS_LATE, 0.03):
            delay_us = self.rng.randrange(100_000, 5 * US_PER_SEC)
        return max(delay_us, self.trouble.backlog_us(process))

    def alerted(self, alert: Alert) -> None:
        """A process has told a person."""
        self.alerts.append(alert)

    # --- feed, user -------------------------------------------------------------------------------

    def start(self) -> None:
        """Set everything going that goes on by itself."""
        self.market.start()
        self.lending.start()
        self.person.start()
        self.user.start()
        self.absences.start()
        self._look()

    def _look(self) -> None:
        self.time.after(self.absences.paced_us(LOOK_EVERY_US), self._look)
        self.checker.opposites()
        self.nakedness.look(LOOK_EVERY_US)
