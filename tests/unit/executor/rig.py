"""Drives the real `ExecutorActor` through `Core` with scripted venues, a real store in memory and real gates.

    rig = Rig()
    rig.acts("perp", "reject")
    rig.open()
    rig.run(5)
    assert rig.moves == ["idle>opening", ...]

Time moves only in `run` and `until`. Quotes and permits come by themselves, as in life.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Literal, Self

import msgspec

from libs.common import effects
from libs.common.config.schema import Config, Execution, Limits, Position, Timeouts
from libs.common.core import Core
from libs.common.effects import Alert, Answered, Effect, Event, Note, Persist, Received, Request, Started
from libs.common.instant import US_PER_SEC, ManualClock, Now
from libs.common.memory_store import MemoryStore
from libs.common.messages import Intent, Message
from libs.common.messages_exec import Breaker, Permit
from libs.common.store import StoreConflict, StoreUnavailable, Transition
from libs.common.subjects import PERMIT, intent, kind_of, pair_id
from services.executor import events
from services.executor import model as m
from services.executor.actor import ExecutorActor
from services.executor.gate import Bounds, LeaseView, verdict
from services.executor.lane import Lane
from services.executor.loading import load_pair
from services.executor.permit import PermitView
from services.executor.translate import request_of
from services.executor.world import Key, World
from services.executor.writing import JOURNAL, pair_key
from tests.sim.timeline import run
from tests.unit.executor.scripted import SILENCE, Act, Book, Venues, described

SPOT_KEY: Key = ("binance", "BTC-USDT")
PERP_KEY: Key = ("binance", "BTC-USDT-PERP")
BOUNDS = Bounds(leg_notional_max=Decimal(100_000), collar=Decimal("0.01"))
FLAT = (Decimal(0), Decimal(0))
STEP_US, ANSWER_US, SILENCE_US = 1_000, 10_000, US_PER_SEC

Name = Literal["spot", "perp"]


class Rig:
    """One pair, spot long and perp short, of one executor. Quantities at 100 USDT a coin."""

    def __init__(
        self, *, base_fee: str = "0", keys: tuple[Key, Key] = (SPOT_KEY, PERP_KEY), **execution: Any
    ) -> None:
        self.keys = keys
        self.pair = pair_id(*keys)
        self.clock = ManualClock()
        self.config = Config(
            deployment="rig",
            position=Position(notional_usd=5_000.0),
            timeouts=Timeouts(open_timeout_sec=10.0, poll_interval_sec=0.5),
            execution=Execution(**{"collar_bps": 20.0, "slice_interval_sec": 1.0} | execution),
            limits=Limits(max_naked_usd=1_000.0),
        )
        books = {key: Book(bid=Decimal("99.9"), ask=Decimal("100.1")) for key in keys}
        self.venues = Venues(books, base_fee=Decimal(base_fee))
        self.venues.wall_ms = lambda: self.now.wall_us // 1_000
        self.store = MemoryStore(clock=self.clock, store_id="0123456789abcdef")
        self.bounds = BOUNDS
        self.feed_on = self.risk_on = self.stream_on = True
        self.breakers: tuple[Breaker, ...] = ()
        self.max_ratio: dict[str, float] = {}
        self.sent: list[m.Intent] = []
        self.refused: list[str] = []
        self.alerts: list[Alert] = []
        self.notes: list[str] = []
        self.spoken: list[Message] = []
        self.said: list[effects.Reply | effects.Audit] = []
        self.requests: list[Request] = []
        self._heap: list[tuple[int, int, int, Callable[[], None]]] = []
        self._count, self._life, self._revision = itertools.count(), 0, 0
        self.start()
        self.durable = self.lane.state
        self._quotes()
        self._permit()
        self.run(1)

    # --- life -------------------------------------------------------------------------------------

    def start(self) -> None:
        """A new process; what an earlier one waited for never reaches it."""
        self._life += 1
        self.permits = PermitView(build="rig")
        shared = World(self.config, self.permits, deployment="rig")
        kinds = kind_of(self.keys[0][1]), kind_of(self.keys[1][1])
        self.lane = Lane(self.pair, self.keys, kinds, shared)
        self.world = shared
        self.actor = ExecutorActor(shared, {self.pair: self.lane})
        self.core = Core(self.actor, lane_of=self.actor.lane_of)
        self.offer(Started())
        if self.feed_on:
            self.describe()
        lease = run(self.store.acquire(self.pair, owner=f"x{self._life}", ttl_ms=10**9))
        if lease is None:
            raise AssertionError("the lease is free in a rig")
        self.offer(events.LeaseHeld(pair=self.pair, lease=lease, store_id=run(self.store.store_id())))

    def describe(self) -> None:
        """The feed tells what the instruments are like."""
        for key in self.keys:
            self.hear(described(key, self.venues.base_fee), "md.instrument")

    def restart(self) -> None:
        """kill -9, and a new life that has the lease."""
        if self.lane.lease is not None:
            run(self.store.release(self.lane.lease))
        self.start()

    @property
    def now(self) -> Now:
        return self.clock.now()

    def run(self, sec: float) -> None:
        """So much time passes."""
        self.until(lambda: False, sec, must=False)

    def until(self, done: Callable[[], bool], sec: float, *, must: bool = True) -> float:
        """Time passes until something holds; how long it took. Fails when it does not within `sec`."""
        begun_us = self.now.mono_us
        end_us = begun_us + int(sec * US_PER_SEC)
        while True:
            self._pump()
            if done():
                return (self.now.mono_us - begun_us) / US_PER_SEC
            dues = (self.core.next_timer_us(), self._heap[0][0] if self._heap else None)
            next_us = min((due for due in dues if due is not None), default=end_us)
            if next_us >= end_us:
                self.clock.advance(us=end_us - self.now.mono_us)
                if must:
                    raise AssertionError(f"not within {sec} s: {self.lane.state}")
                return sec
            self.clock.advance(us=max(0, next_us - self.now.mono_us))
            while self._heap and self._heap[0][0] <= self.now.mono_us:
                _, _, life, work = heapq.heappop(self._heap)
                if life in (0, self._life):
                    work()

    def later(self, us: int, work: Callable[[], None], *, life: int | None = None) -> None:
        """Something happens in a while; by default in this process, while it lives (0: whatever lives)."""
        entry = (self.now.mono_us + us, next(self._count), self._life if life is None else life, work)
        heapq.heappush(self._heap, entry)

    # --- wishes and looks ---------------------------------------------------------------------------

    def acts(self, leg: Name, *acts: Act) -> None:
        """What becomes of the next orders of a leg."""
        self.venues.acts[self.keys[("spot", "perp").index(leg)]].extend(acts)

    def wish(self, action: Literal["open", "close"], usd: str = "100", **fields: Any) -> None:
        """Signal's intent."""
        values: dict[str, Any] = {
            "direction": "forward",
            "expires_us": self.now.wall_us + 5 * US_PER_SEC,
        } | fields
        wanted = Intent(pair=self.pair, action=action, notional_usd=usd, reason="carry", **values)
        self.hear(wanted, intent(self.pair))

    def opened(self, usd: str = "100") -> Self:
        """With a hedged position to begin with."""
        self.wish("open", usd)
        self.until(lambda: self.state is m.State.ACTIVE, 5)
        return self

    @property
    def state(self) -> m.State:
        """Where the pair is, durably."""
        return self.durable.state

    @property
    def held(self) -> tuple[Decimal, Decimal]:
        """What the pair believes to own, durably."""
        return self.durable.legs[0].quantity, self.durable.legs[1].quantity

    @property
    def shown(self) -> tuple[Decimal, Decimal]:
        """What the venues say."""
        return self.venues.held[self.keys[0]], self.venues.held[self.keys[1]]

    @property
    def moves(self) -> list[str]:
        """All moves that became durable."""
        entries = run(self.store.read(JOURNAL, count=10**6))
        moves = [move for entry in entries for move in msgspec.json.decode(entry.fields["moves"])]
        return [f"{move['source']}>{move['target']}" for move in moves]

    def orders(self, purpose: m.Purpose) -> list[m.Intent]:
        """What left for a purpose, as it is now."""
        return [self.lane.intents[one.id] for one in self.sent if one.purpose is purpose]

    def told(self, key: str) -> list[str]:
        """Texts of the alerts whose key has this in it."""
        return [alert.text for alert in self.alerts if key in alert.key]

    def fill_resting(self, quantity: str) -> None:
        """Others trade with what rests."""
        placed = self.venues.resting()[0]
        trades = self.venues.fill(placed, Decimal(quantity))
        if self.stream_on:
            venue = placed.key[0]
            for trade in trades:
                self.offer(events.FillSeen(pair=self.pair, venue=venue, fill=trade))
            self.offer(events.OrderSeen(pair=self.pair, venue=venue, report=placed.report()))

    # --- the shell ----------------------------------------------------------------------------------

    def offer(self, event: Event) -> None:
        self.core.offer(event, self.now)

    def hear(self, message: Message, subject: str) -> None:
        """A bus message; permits go to the view past the inbox."""
        if isinstance(message, Permit):
            self.permits.apply(message, self.now)
        self.offer(Received(subject=subject, message=message))

    def _pump(self) -> None:
        while (turn := self.core.step(self.now)) is not None:
            self._carry_out(turn.lane, turn.effects)

    def _carry_out(self, lane: str, turn: tuple[Effect, ...]) -> None:
        for effect in turn:
            match effect:
                case Persist():
                    self.later(STEP_US, lambda effect=effect: self._write(lane, effect))  # type: ignore[misc]
                case events.SendOrders():
                    self.later(STEP_US, lambda effect=effect: self._send(effect))  # type: ignore[misc]
                case Request():
                    self.requests.append(effect)
                    self.later(ANSWER_US, lambda effect=effect: self._serve(effect))  # type: ignore[misc]
                case Alert():
                    self.alerts.append(effect)
                case Note(text=text):
                    self.notes.append(text)
                case effects.Publish(message=message):
                    self.spoken.append(message)
                case effects.Reply() | effects.Audit():
                    self.said.append(effect)
                case _:
                    pass

    def _write(self, lane: str, persist: Persist) -> None:
        error, conflict = None, False
        try:
            change = persist.change or Transition(writes=persist.writes)
            run(self.store.transition(change))
            if written := change.writes.get(pair_key(self.pair)):
                self.durable = msgspec.json.decode(written, type=m.PairState)
        except StoreUnavailable as unavailable:
            error = str(unavailable) or "unavailable"
        except StoreConflict as refused:
            error, conflict = str(refused), True
        turn = self.core.settle(lane, ok=error is None, error=error, conflict=conflict, now=self.now)
        self._carry_out(turn.lane, turn.effects)

    def _send(self, request: events.SendOrders) -> None:
        lease = self.lane.lease
        view = LeaseView() if lease is None else LeaseView(fence=lease.fence, until_mono_us=10**18)
        legs, now = request.legs, self.now
        around: dict[str, Any] = {
            "legs": legs,
            "permits": self.permits,
            "lease": view,
            "rate": "",
            "now": now,
        }
        refusal = verdict(request.intents, bounds=self.bounds, standing=request.standing, **around)
        for one in request.intents:
            if refusal is not None:
                self.refused.append(refusal.code)
                self.offer(events.OrderAnswered(pair=self.pair, id=one.id, refusal=refusal))
                continue
            self.sent.append(one)
            key = legs[one.leg]
            script = self.venues.acts[key]
            after_us = SILENCE_US if script and script[0] in SILENCE else ANSWER_US
            outcome = self.venues.arrive(key, request_of(one, key[1]))
            answer = events.OrderAnswered(
                pair=self.pair, id=one.id, outcome=outcome, sent_mono_us=now.mono_us
            )
            self.later(after_us, lambda answer=answer: self.offer(answer))  # type: ignore[misc]

    def _serve(self, request: Request) -> None:
        error: str | None = None
        result: Any = None
        match request:
            case events.QueryOrder(id=order_id):
                result = self.venues.query(order_id)
            case events.CancelOrder(id=order_id):
                result = self.venues.cancel(order_id)
            case events.FetchFills(venue=venue, instrument=name):
                result = self.venues.told_trades((venue, name))
            case events.ListOrders(venue=venue, instrument=name, margin=margin):
                result = self.venues.listed((venue, name), margin=margin)
            case events.FindTaken(venue=venue, instrument=name, since_ms=since_ms):
                taken = [one for one in self.venues.trades[venue, name] if one.cause != "order"]
                result = [one for one in taken if not one.ts_ms or one.ts_ms >= since_ms]
            case events.ReadAccount(venue=venue):
                positions, balances = self.venues.account(venue)
                result = events.AccountSeen(
                    venue=venue,
                    positions=positions,
                    balances=balances,
                    asked_mono_us=self.now.mono_us - ANSWER_US,
                )
            case events.LoadPair(pair=pair):
                try:
                    result = run(load_pair(self.store, pair))
                except StoreUnavailable as down:
                    error = str(down) or "unavailable"
            case _:
                raise AssertionError(f"the rig does not know {type(request).__name__}")
        error = error or ("no answer in time" if result is None else None)
        self.offer(Answered(request=request, result=result, error=error))

    # --- what comes by itself -----------------------------------------------------------------------

    def _quotes(self) -> None:
        self.later(US_PER_SEC // 2, self._quotes, life=0)
        if self.feed_on:
            self.say_quotes()

    def say_quotes(self) -> None:
        """The books as they are now."""
        for key, book in self.venues.books.items():
            self.hear(book.quote(key, self.now), "md.quote")

    def _permit(self) -> None:
        self.later(US_PER_SEC // 4, self._permit, life=0)
        if self.risk_on:
            self.beat()

    def beat(self) -> None:
        """A permit with the whole state of risk."""
        self._revision += 1
        values = {"revision": self._revision, "wall_us": self.now.wall_us, "max_ratio": self.max_ratio}
        self.hear(Permit(risk_epoch=1, build="rig", breakers=self.breakers, **values), PERMIT)  # type: ignore[arg-type]
