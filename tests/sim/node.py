"""One executor process under virtual time: the real actor and core, with a shell made of scheduled steps.

Everything between two scheduled steps is what a process does without awaiting; a crash between any two of
them is a crash at that await. What was handed to a venue still arrives there after the crash.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from libs.common.config.schema import Config
from libs.common.core import ActorFault, Core, Turn
from libs.common.effects import (
    Alert,
    Answered,
    Effect,
    Event,
    Persist,
    Publish,
    Received,
    Request,
    Started,
)
from libs.common.instant import US_PER_SEC, Now
from libs.common.messages import Message
from libs.common.messages_exec import Permit
from libs.common.store import StoreConflict, StoreUnavailable, Transition
from libs.common.subjects import SPOT, kind_of
from libs.exchange.trading_values import FillReport, OrderReport
from services.executor.actor import ExecutorActor
from services.executor.books_work import LANE as BOOKS_LANE
from services.executor.books_work import FetchRecords, LoadBooks, ReadRates, TailStreams
from services.executor.events import (
    CancelOrder,
    FetchFills,
    FillSeen,
    FindTaken,
    LeaseHeld,
    LeaseLost,
    ListOrders,
    LoadPair,
    MoveLoan,
    OrderAnswered,
    OrderSeen,
    QueryOrder,
    ReadAccount,
    SendOrders,
    SetUp,
    SetUpDone,
)
from services.executor.gate import LeaseView, Refusal, verdict
from services.executor.lane import Lane
from services.executor.leases import TTL_MS, Due, Leases
from services.executor.permit import PermitView
from services.executor.setup import SetUps, differences, terms_of
from services.executor.translate import request_of
from services.executor.with_books import WithBooks
from services.executor.world import Key
from services.executor.world import World as Shared
from tests.sim.accounts import Compared
from tests.sim.invariants import Violated
from tests.sim.plan import BOUNDS, BUILD, KEYS, PAIRS, Misfortune
from tests.sim.reading import read
from tests.sim.timeline import run
from tests.sim.world import World


class Node:
    """An executor's life from its start to its crash."""

    def __init__(self, name: str, world: World, config: Config) -> None:
        self.name = name
        self.world = world
        self.alive = True
        self.loads: dict[str, int] = {}  # pair -> its newest reading
        self.frozen_until_us = 0
        self.permits = PermitView(build=BUILD)
        self.heard_permit: tuple[int, Permit | None] = (0, None)
        self.fuse: int | None = None  # dies at so many awaits from now
        self.skew_us = 0
        if world.hits(Misfortune.CLOCK_SKEW, 0.5):
            self.skew_us = world.rng.randrange(-2 * US_PER_SEC, 2 * US_PER_SEC)
        self.terms = terms_of(config)
        self.verified: set[Key] = set()  # legs whose account was proven to be as it should be
        setups = SetUps(self.terms, KEYS)
        shared = Shared(config, self.permits, deployment=config.deployment, setups=setups)
        self.lanes = {pair.id: Lane(pair.id, pair.keys, pair.kinds, shared) for pair in PAIRS}
        self.books = Compared(self, shared)
        self.actor = WithBooks(ExecutorActor(shared, self.lanes), self.books)
        self.core = Core(self.actor, lane_of=self.actor.lane_of)
        self.leases = Leases({**{pair: lane.keys for pair, lane in self.lanes.items()}, BOOKS_LANE: ()})
        self._alarm_us: int | None = None
        self.offer(Started())
        self._lease_round()

    @property
    def now(self) -> Now:
        """The times as this process reads them."""
        now = self.world.now
        if not self.skew_us:
            return now
        wall_us = now.wall_us + self.skew_us
        return Now(wall_us=wall_us, market_ms=self.world.time.market.at(wall_us), mono_us=now.mono_us)

    # --- events -----------------------------------------------------------------------------------

    def offer(self, event: Event) -> None:
        """Something has come in."""
        if self.alive:
            self.core.offer(event, self.now)
            self.pump()

    def hear(self, messages: Sequence[tuple[str, Message]]) -> None:
        """Bus messages of one instant. Permits go to the view at once, past the inbox."""
        if not self.alive:
            return
        for subject, message in messages:
            if isinstance(message, Permit) and self.permits.apply(message, self.now):
                self.heard_permit = (self.now.mono_us, message)
            self.core.offer(Received(subject=subject, message=message), self.now)
        self.pump()

    def pump(self) -> None:
        """Handle what waits, as a process does between two awaits."""
        while self.alive and (turn := self._step()) is not None:
            for effect in turn.effects:
                self._carry_out(turn.lane, effect)
        self._arm()

    def _step(self) -> Turn | None:
        """An actor that raises has no place to go on from: that violates everything."""
        try:
            return self.core.step(self.now)
        except ActorFault as fault:
            if isinstance(fault.__cause__, Violated):
                raise fault.__cause__ from None
            raise Violated("FAULT", f"{fault}: {fault.__cause__!r}") from fault

    def _arm(self) -> None:
        due_us = self.core.next_timer_us()
        if due_us is None or not self.alive:
            return
        if (
            self._alarm_us is not None
            and self._alarm_us <= due_us
            and self._alarm_us > self.world.now.mono_us
        ):
            return
        self._alarm_us = due_us
        self.later(due_us - self.world.now.mono_us, self.pump)

    def later(self, us: int, work: Callable[[], None]) -> None:
        """Do something in this process, if it still lives then; a suspended one does it afterwards."""

        def due() -> None:
            left_us = self.frozen_until_us - self.world.now.mono_us
            if not self.alive:
                return
            if self.fuse is not None:
                self.fuse -= 1
                if self.fuse <= 0:
                    self.world.trouble.kill(self)
                    return
            if left_us > 0:
                self.world.time.after(left_us, due)
            else:
                work()

        self.world.time.after(us, due)

    # --- effects ----------------------------------------------------------------------------------

    def _carry_out(self, lane: str, effect: Effect) -> None:
        match effect:
            case Persist():
                self.later(self.world.store_us(), lambda: self._write(lane, effect))
            case Request():
                self._start(effect)
            case Publish(subject=subject, message=message):
                self.world.heard(self, subject, message)
            case Alert():
                self.world.alerted(effect)
            case _:
                pass

    def _write(self, lane: str, persist: Persist) -> None:
        """The store takes the change now; the process learns of it a little later (or dies in between)."""
        error, conflict, done = None, False, True
        change = persist.change or Transition(writes=persist.writes)
        try:
            done = run(self.world.store.transition(change))
        except StoreUnavailable as unavailable:
            error = str(unavailable) or "unavailable"
        except StoreConflict as refused:
            error, conflict = str(refused), True

        def told() -> None:
            turn = self.core.settle(
                lane, ok=error is None, error=error, conflict=conflict, repeated=not done, now=self.now
            )
            for effect in turn.effects:
                self._carry_out(turn.lane, effect)
            self.pump()

        self.later(self.world.store_us(), told)

    def _start(self, request: Request) -> None:
        match request:
            case SendOrders():
                if self.world.hits(Misfortune.SUSPENDED, 0.02):  # between the write and the wire
                    self.frozen_until_us = (
                        self.world.now.mono_us + self.world.rng.randrange(1, 12) * US_PER_SEC
                    )
                self.later(self.world.sign_us(), lambda: self._send(request))
            case LoadPair() | LoadBooks() | TailStreams():
                self.later(self.world.store_us(), lambda: self._read(request))
            case QueryOrder() | CancelOrder() | FetchFills() | FindTaken() | ReadAccount() | ListOrders():
                self.world.call(self, request)
            case FetchRecords() | ReadRates() | SetUp():
                self.world.call(self, request)
            case MoveLoan():
                self.later(self.world.sign_us(), lambda: self._lend(request))
            case _:
                raise AssertionError(f"the simulation does not know {type(request).__name__}")

    def answer(
        self, request: Request, result: Any = None, error: str | None = None, error_class: str | None = None
    ) -> None:
        """The outcome of a request reaches the actor."""
        if isinstance(request, SetUp) and isinstance(result, SetUpDone) and self.alive:
            spot = kind_of(request.instrument) is SPOT
            if spot or (result.settings is not None and not differences(self.terms, result.settings)):
                self.verified.add((request.venue, request.instrument))
        self.offer(Answered(request=request, result=result, error=error, error_class=error_class))

    def _send(self, request: SendOrders) -> None:
        """Gate and wire in one turn, as the desk does it."""
        if (refusal := self._gate(request)) is not None:
            for intent in request.intents:
                self.offer(OrderAnswered(pair=request.pair, id=intent.id, refusal=refusal))
            return
        for intent in request.intents:
            venue, instrument = request.legs[intent.leg]
            self.world.send(self, intent, venue, request_of(intent, instrument))

    def _gate(self, request: SendOrders) -> Refusal | None:
        now = self.now
        lease = self.leases.held(request.pair, now.mono_us)
        view = LeaseView()
        if lease is not None:
            view = LeaseView(fence=lease.fence, until_mono_us=lease.until_mono_us)
        refusal = verdict(
            request.intents,
            legs=request.legs,
            permits=self.permits,
            lease=view,
            bounds=BOUNDS,
            rate="",
            now=now,
            standing=request.standing,
            loads=(request.load, self.loads.get(request.pair, 0)),
        )
        if refusal is not None:
            self.world.checker.held_back(request.intents, refusal)
        return refusal

    def _lend(self, request: MoveLoan) -> None:
        """Gate and wire in one turn, as for orders."""
        asked = SendOrders(pair=request.pair, intents=(request.intent,), legs=request.legs, load=request.load)
        if (refusal := self._gate(asked)) is not None:
            self.answer(request, refusal)
            return
        self.world.lending.send(self, request)

    def answered(self, intent_id: str, pair: str, outcome: Any, sent_us: int) -> None:
        """An order's answer reaches the process."""
        latency_us = self.world.now.mono_us - sent_us
        self.offer(
            OrderAnswered(
                pair=pair, id=intent_id, outcome=outcome, latency_us=latency_us, sent_mono_us=sent_us
            )
        )

    def _read(self, request: LoadPair | LoadBooks | TailStreams) -> None:
        if isinstance(request, LoadPair):
            self.loads[request.pair] = max(request.number, self.loads.get(request.pair, 0))
        try:
            found = read(self.world, request)
        except StoreUnavailable as error:
            self.answer(request, error=str(error) or "unavailable")
        else:
            self.answer(request, found)

    # --- leases -----------------------------------------------------------------------------------

    def _lease_round(self) -> None:
        for due in self.leases.due(self.world.now.mono_us):
            self._lease(due)
        self.later(200_000, self._lease_round)

    def _lease(self, due: Due) -> None:
        now, store, group = self.world.now, self.world.store, due.group
        if due.what == "lost":
            self._lost(group, "the lease could not be renewed in time")
            return
        store_id = ""
        try:
            if due.lease is None:
                got = run(store.acquire(group, owner=self.name, ttl_ms=TTL_MS))
                store_id = run(store.store_id())
            else:
                got = run(store.renew(due.lease, ttl_ms=TTL_MS))
        except StoreUnavailable:
            return
        if got is None:
            if self.leases.lost(group, now.mono_us):
                self._lost(group, "another executor has taken it")
            return
        self.leases.took(group, got, now.mono_us)
        if due.lease is None:
            for pair in self.leases.pairs(group):
                self.offer(LeaseHeld(pair=pair, lease=got, store_id=store_id))

    def _lost(self, group: str, text: str) -> None:
        for pair in self.leases.pairs(group):
            self.offer(LeaseLost(pair=pair, text=text))

    def hear_venue(self, venue: str, event: Any) -> None:
        """The user stream tells something; what is not of our orders is looked up by order id, or skipped."""
        match event:
            case OrderReport(client_id=client_id):
                if pair := self.pair_of(client_id):
                    self.offer(OrderSeen(pair=pair, venue=venue, report=event))
            case FillReport(client_id=client_id):
                if pair := self.pair_of(client_id or ""):
                    self.offer(FillSeen(pair=pair, venue=venue, fill=event))

    def pair_of(self, client_id: str) -> str:
        """The pair that an order of ours belongs to, "" when it is none of those known here."""
        return next((lane.pair for lane in self.lanes.values() if client_id in lane.intents), "")

    def crash(self) -> None:
        """kill -9."""
        self.alive = False
