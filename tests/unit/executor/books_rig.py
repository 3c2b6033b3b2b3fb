"""Drives the real accountant through `Core`, on a store in memory and an engine with a life of its own.

The life's pairs write their fills into the ledger stream, as lanes do; everything else the accountant asks
for itself. `life.books` is the oracle: the same lines, booked without store, lanes or restarts.
"""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from libs.common.codec import decode
from libs.common.core import Core
from libs.common.effects import Alert, Answered, Effect, Event, Persist, Publish, Received, Request, Started
from libs.common.instant import US_PER_SEC, Now
from libs.common.memory_store import MemoryStore
from libs.common.messages import Funding, Message
from libs.common.messages_exec import AccountStatus, BookSummary, LedgerKind, LedgerLine
from libs.common.metrics import check_effects
from libs.common.store import Lease, Transition
from libs.common.subjects import BOOKS, funding
from libs.exchange.engine.types import FeeRates
from services.executor.accountant import Accountant
from services.executor.actor import ExecutorActor
from services.executor.bookkeeper import Bookkeeper
from services.executor.books_work import FetchRecords, LoadBooks, Rates, ReadRates, TailStreams
from services.executor.events import LeaseHeld, LoadPair, ReadAccount
from services.executor.lane import Draft, Lane
from services.executor.ledger import STREAM
from services.executor.with_books import WithBooks
from tests.property.pnl_life import Life
from tests.property.pnl_terms import VENUE, market_of
from tests.sim.timeline import run

STEP_US = US_PER_SEC // 10


class StoredLife(Life):
    """A life whose fills go into a store's stream. Its own records are for the accountant to find."""

    def __init__(self, seed: int, store: MemoryStore) -> None:
        self.store = store
        super().__init__(seed)

    drops: LedgerKind | None = None
    dropped: LedgerLine | None = None
    hides_funding = False

    def _take(self, lane: Lane, draft: Draft, leg: int, quantity: Decimal) -> None:
        for index, payload in enumerate(draft.ledger):
            line = decode(payload, LedgerLine)
            if self.dropped is None and line.kind is self.drops:
                self.dropped = line
                del draft.ledger[index], draft.ledger_ids[index]
                break
        super()._take(lane, draft, leg, quantity)
        entries = tuple({"json": payload} for payload in draft.ledger)
        if entries:
            change = Transition(appends={STREAM: entries}, set_adds={"ledger_ids": tuple(draft.ledger_ids)})
            run(self.store.transition(change))


class BooksRig:
    """One executor's books at one venue. `said`: every message by subject, newest last."""

    def __init__(self, seed: int = 1, *, records_every_sec: int = 2) -> None:
        self._every_us = records_every_sec * US_PER_SEC
        self.store = MemoryStore()
        self.life = StoredLife(seed, self.store)
        self.said: dict[str, list[Message]] = {}
        self.effects: list[Effect] = []
        self.alerts: list[Alert] = []
        self.asked: list[Request] = []
        self.silent = False
        self.store_down = False
        self.lease: Lease | None = None
        self.start()

    def start(self) -> None:
        """A new process on the same store."""
        world, lanes = self.life.world, self.life.lanes
        self.accountant = Accountant(world, lanes, market_of=market_of, records_every_us=self._every_us)
        self.actor = WithBooks(ExecutorActor(world, {}), self.accountant)
        self.core = Core(self.actor, lane_of=self.actor.lane_of)
        self.keeper = Bookkeeper({}, self.store)
        self.offer(Started())
        if self.lease is not None:
            run(self.store.release(self.lease))
        self.lease = run(self.store.acquire("books", owner="rig", ttl_ms=10**9))
        assert self.lease is not None
        self.offer(LeaseHeld(pair="books", lease=self.lease, store_id="s"))

    @property
    def now(self) -> Now:
        """The life's time, which its own steps move as well."""
        us = self.life.wall_us
        return Now(wall_us=us, market_ms=us // 1_000, mono_us=us)

    @property
    def books(self) -> BookSummary:
        """The newest message."""
        found = self.said[BOOKS][-1]
        assert isinstance(found, BookSummary)
        return found

    @property
    def account(self) -> AccountStatus:
        """The newest message."""
        found = self.said[f"exec.account.{VENUE}"][-1]
        assert isinstance(found, AccountStatus)
        return found

    def lines(self) -> list[LedgerLine]:
        """What lies in the ledger stream."""
        entries = run(self.store.read(STREAM, count=10**6))
        return [decode(entry.fields["json"], LedgerLine) for entry in entries]

    def last_entry(self) -> str:
        """Id of the newest entry of the ledger stream."""
        return run(self.store.read(STREAM, count=10**6))[-1].id

    def run(self, seconds: float) -> None:
        """Let time pass."""
        for _ in range(int(seconds * US_PER_SEC / STEP_US)):
            self.life.wall_us += STEP_US
            self._pump()

    def hold(self, lane: Lane, quantity: Decimal) -> None:
        """A pair's first leg alone has so much."""
        lane.lease = self.lease
        first, second = lane.state.legs
        lane.state = replace(lane.state, legs=(replace(first, quantity=quantity), second))
        for effect in self.accountant.exposed(lane, self.now):
            self._carry_out("", effect)

    def announce(self, name: str, rate: str, settles_ms: int) -> None:
        """The feed tells a current rate."""
        message = Funding(
            venue=VENUE,
            instrument=name,
            kind="current",
            rate=float(rate),
            interval_hours=8,
            interval_source="rate",
            next_ms=settles_ms,
            mark=float(self.life.world.marks[VENUE, name]),
            ts_ms=self.now.market_ms,
            recv_us=self.now.wall_us,
        )
        self.offer(Received(subject=funding(VENUE, name), message=message))

    def offer(self, event: Event) -> None:
        """Something has come in."""
        self.core.offer(event, self.now)
        self._pump()

    # --- the shell --------------------------------------------------------------------------------

    def _pump(self) -> None:
        while (turn := self.core.step(self.now)) is not None:
            queue = deque((turn.lane, effect) for effect in turn.effects)
            while queue:
                lane, effect = queue.popleft()
                if isinstance(effect, Persist):
                    queue.extendleft((lane, one) for one in reversed(self._write(lane, effect)))
                else:
                    self._carry_out(lane, effect)

    def _write(self, lane: str, persist: Persist) -> tuple[Effect, ...]:
        assert persist.change is not None
        done = False if self.store_down else run(self.store.transition(persist.change))
        ok = not self.store_down
        told = self.core.settle(lane, ok=ok, error=None if ok else "down", repeated=not done, now=self.now)
        return told.effects

    def _carry_out(self, _lane: str, effect: Effect) -> None:
        check_effects([effect])
        self.effects.append(effect)
        match effect:
            case Publish(subject=subject, message=message):
                self.said.setdefault(subject, []).append(message)
            case Alert():
                self.alerts.append(effect)
            case Request():
                self.asked.append(effect)
                self._answer(effect)
            case _:
                pass

    def _answer(self, request: Request) -> None:
        if self.silent and isinstance(request, ReadAccount | FetchRecords):
            self.core.offer(Answered(request=request, error="no answer in time"), self.now)
            return
        result: Any
        match request:
            case LoadBooks():
                result = run(self.keeper.load(request))
            case TailStreams():
                result = run(self.keeper.tail(request))
            case ReadAccount():
                result = self.life.seen(self.now.mono_us)
            case FetchRecords(kind=kind, since_ms=since_ms):
                if kind == "transfer":
                    result = None
                else:
                    result = [
                        one
                        for one in self.life.records()
                        if one.kind == kind
                        and one.ts_ms >= since_ms
                        and not (kind == "funding" and self.life.hides_funding)
                    ]
            case ReadRates(instruments=names):
                taker = FeeRates(maker=Decimal("0.0002"), taker=Decimal("0.0005"))
                result = Rates(fees=dict.fromkeys(names, taker))
            case LoadPair():
                return
            case _:
                raise AssertionError(f"the rig does not know {type(request).__name__}")
        self.core.offer(Answered(request=request, result=result), self.now)
