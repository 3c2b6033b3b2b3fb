"""The floor of the order path with the decisions in it: our pure halves between wires written by hand.

The real signal and the real executor decide upon each round as they do in the chain (their actors, the core
with its lanes and barriers, the gate). What carries their decisions is as little as carries them: `RawNats`
in place of bus and intake, EVALSHA in RESP in place of the store's client, orders signed by hand and written
to connections of their own in place of the exchange port. What ours takes beyond it is what our shell costs.

It works on the actors of a chain whose own pumps sleep meanwhile. When the time has been taken the executor
is given the answers, and its pair ends the round by itself.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable

from libs.common import messages as m
from libs.common import subjects
from libs.common.actor import Runtime
from libs.common.core import Turn
from libs.common.effects import Effect, Persist, Publish, Received
from libs.common.memory_store import MemoryStore
from libs.common.store import Transition
from libs.exchange.trading import Rejected
from services.executor.desk import Desk
from services.executor.events import OrderAnswered, SendOrders
from tests.bench.order_hands import SIDES, Hands
from tests.bench.order_rig import DEPLOYMENT, PAIR, PERP, WAIT_SEC, Chain
from tests.bench.order_site import both_arrived
from tests.bench.raw_nats import RawNats
from tests.bench.raw_wires import RawRedis, evalsha
from tests.bench.tick import QUOTE

OPPORTUNITY, INTENT = subjects.opportunity(PAIR), subjects.intent(PAIR)
RAW = {OPPORTUNITY: b"core.opportunity", INTENT: b"core.intent"}


class Deciding:
    """Rounds on the actors of `made`. `redis`: where its state is written; None when its store is memory."""

    def __init__(self, made: Chain, clients: list[RawNats], redis: RawRedis | None) -> None:
        self._chain = made
        self._feed, self._signal, self._executor, self._quotes = clients
        self._redis = redis
        self._hands = Hands(made)
        self._runtime: Runtime = made.runtimes["executor"]
        assert made.desk is not None
        self._desk: Desk = made.desk
        self._sent: asyncio.Future[SendOrders]

    @classmethod
    async def on(cls, url: str, redis: RawRedis | None, made: Chain) -> Deciding:
        """Connected, on a chain that has sent orders already."""
        found = cls(made, [await RawNats.connect(url) for _ in range(4)], redis)
        await found._quotes.subscribe(b"core.quote", found._hear)
        await found._signal.subscribe(b"core.quote", found._evaluate)
        await found._executor.subscribe(b"core.intent", found._open)
        return found

    async def order(self) -> float | None:
        """us of one round, None when others came in between."""
        await self._hands.connect()
        await self._chain.look()
        self._sent = asyncio.get_running_loop().create_future()
        relay, before = self._chain.site.relay, self._chain.attempt
        begin, started_ns = len(relay.seen), time.time_ns()
        self._feed.publish(b"core.quote", m.encode(self._chain.quote(PERP)))
        found = await both_arrived(relay, begin, started_ns)
        async with asyncio.timeout(WAIT_SEC):
            request = await self._sent
            await self._hands.answered()
        for intent in request.intents:
            refused = Rejected(code="-2010", reason="funds", text="insufficient balance")
            self._desk.offer(OrderAnswered(pair=PAIR, id=intent.id, outcome=refused))
        await self._chain.idle(before)
        return found

    # --- the way ----------------------------------------------------------------------------------

    def _hear(self, payload: bytes) -> None:
        """The executor hears each quote."""
        turn = self._handled(Received(subject=QUOTE, message=m.decode(payload, m.Quote)))
        self._tell(turn.effects)

    def _evaluate(self, payload: bytes) -> None:
        event = Received(subject=QUOTE, message=m.decode(payload, m.Quote))
        for effect in self._chain.asking.handle(event, self._chain.clock.now()):
            if isinstance(effect, Publish):
                self._signal.publish(RAW[effect.subject], m.encode(effect.message))

    def _open(self, payload: bytes) -> None:
        turn = self._handled(Received(subject=INTENT, message=m.decode(payload, m.Intent)))
        self._tell(turn.effects[:-1])
        persist, request = turn.effects[-1], turn.behind[0]
        assert isinstance(persist, Persist), turn.effects
        assert persist.change is not None
        assert isinstance(request, SendOrders), turn.behind
        if self._redis is None:
            self._remember(persist.change)
            self._release(turn.lane, request, self._signed(request))
            return
        written = self._redis.ask(evalsha(persist.change, f"fundarb:{DEPLOYMENT}:"))
        orders = self._signed(request)

        def go(done: asyncio.Future[bytes]) -> None:
            if error := done.exception():
                self._sent.set_exception(error)
            else:
                self._release(turn.lane, request, orders)

        written.add_done_callback(go)

    def _handled(self, event: Received) -> Turn:
        """The turn of this event; what came just before it (a permit, a quote) is handled as ever."""
        now = self._chain.clock.now()
        self._runtime.core.offer(event, now)
        while (turn := self._runtime.core.step(now)) is not None:
            if turn.event is event:
                return turn
            self._runtime._carry_out(turn)
        raise AssertionError(f"{event.subject} waits behind a write")

    def _remember(self, change: Transition) -> None:
        assert isinstance(self._chain.store, MemoryStore)
        writing = self._chain.store.transition(change)
        try:
            writing.send(None)
        except StopIteration:
            return
        raise AssertionError("memory waits for nothing")

    def _signed(self, request: SendOrders) -> dict[str, bytes]:
        orders = {}
        for intent in request.intents:
            _, slug = request.legs[intent.leg]
            assert intent.side == SIDES[slug]
            assert intent.price is not None
            orders[slug] = self._hands.sign(slug, intent.id, intent.quantity, intent.price)
        return orders

    def _release(self, lane: str, request: SendOrders, orders: dict[str, bytes]) -> None:
        """The gate, the orders, and then what else the turn wanted."""
        turn = self._runtime.core.settle(lane, ok=True, now=self._chain.clock.now())
        assert turn.effects[0] == request, turn.effects
        refusal = self._desk.gate(request, self._chain.clock.now())
        assert refusal is None, refusal
        self._hands.write(orders)
        self._tell(turn.effects[1:])
        self._sent.set_result(request)

    def _tell(self, effects: Iterable[Effect]) -> None:
        for effect in effects:
            self._runtime._apply(effect)

    def close(self) -> None:
        self._hands.close()
        for client in (self._feed, self._signal, self._executor, self._quotes):
            client.close()
