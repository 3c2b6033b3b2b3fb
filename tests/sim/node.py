"""One executor process under virtual time: the real actor and core, with a shell made of scheduled steps.

What was handed to a venue still arrives there after a crash.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from libs.common.config.schema import Config
from libs.common.core import Core
from libs.common.effects import Answered, Request, Started
from libs.common.instant import US_PER_SEC, Now
from libs.common.messages import Funding, InstrumentInfo, Intent, Message, Quote
from libs.common.messages_exec import PairStatus, Permit
from libs.common.permit import CLOCKS_APART_US, WALL_AGE_US_MAX
from libs.common.store import StoreUnavailable
from libs.common.subjects import SPOT, kind_of
from libs.exchange.trading_values import FillReport, OrderReport, QueryFailed
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
from services.executor.reach import Tally
from services.executor.setup import SetUps, differences, terms_of
from services.executor.translate import request_of
from services.executor.with_books import WithBooks
from services.executor.world import Key
from services.executor.world import World as Shared
from tests.sim.accounts import Compared
from tests.sim.plan import BOUNDS, BUILD, Misfortune
from tests.sim.process import Process
from tests.sim.reading import read
from tests.sim.timeline import run
from tests.sim.world import World


class Node(Process):
    """An executor's life from its start to its crash."""

    service = "executor"
    hears = frozenset({Quote, Funding, InstrumentInfo, Intent, PairStatus, Permit})

    def __init__(self, name: str, world: World, config: Config, taken: tuple[str, ...] = ()) -> None:
        super().__init__(name, world)
        self.loads: dict[str, int] = {}  # pair -> its newest reading
        self.permits = PermitView(build=BUILD)
        self.heard_permit: tuple[int, Permit | None] = (0, None)
        if world.hits(Misfortune.CLOCK_SKEW, 0.5):
            self.skew_us = world.skew_us(2 * US_PER_SEC)
        self.terms = terms_of(config)
        self.verified: set[Key] = set()  # legs whose account was proven to be as it should be
        setups = SetUps(self.terms, world.keys)
        shared = Shared(config, self.permits, deployment=config.deployment, setups=setups)
        self.lanes = {pair.id: Lane(pair.id, pair.keys, pair.kinds, shared) for pair in world.pairs}
        self.calls = {slug: Tally() for slug in world.venues}
        self.books = Compared(self, shared)
        pairs = ExecutorActor(shared, self.lanes)
        pairs.commands.desk.remember(taken)
        self.verbs = pairs.commands.desk.verbs
        self.actor = WithBooks(pairs, self.books)
        self.core = Core(self.actor, lane_of=self.actor.lane_of)
        self.leases = Leases({**{pair: lane.keys for pair, lane in self.lanes.items()}, BOOKS_LANE: ()})
        self.offer(Started())
        self._lease_round()
        self.later(US_PER_SEC, self.pulse)

    def obeys(self, verb: str) -> bool:
        """Its own verbs."""
        return verb in self.verbs

    def hear(self, messages: Sequence[tuple[str, Message]]) -> None:
        """Permits go to the view at once, past the inbox. What the oracle goes by is its own reading of them:
        of those of this build whose stamp is young the one with the highest epoch and revision.
        """
        now = self.now
        for _, message in messages if self.alive else ():
            if isinstance(message, Permit):
                self.permits.apply(message, now)
                self._note(message, now)
        super().hear(messages)

    def _note(self, permit: Permit, now: Now) -> None:
        _, newest = self.heard_permit
        young = -CLOCKS_APART_US <= now.wall_us - permit.wall_us <= WALL_AGE_US_MAX
        order = (permit.risk_epoch, permit.revision)
        newer = newest is None or order > (newest.risk_epoch, newest.revision)
        if permit.build == BUILD and young and newer:
            self.heard_permit = (now.mono_us, permit)

    # --- effects ----------------------------------------------------------------------------------

    def _start(self, request: Request) -> None:
        match request:
            case SendOrders():
                if self.world.hits(Misfortune.SUSPENDED, 0.02):  # between the write and the wire
                    self.suspended_until_us = self.world.now.mono_us + self.world.frozen_us()
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
        if (tally := self.calls.get(getattr(request, "venue", ""))) is not None:
            refused = error_class == "refused"
            tally.note(failed=(error is not None and not refused) or isinstance(result, QueryFailed), ms=None)
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
