"""The bare floor of the order path: the same hops, messages, write and orders, and nothing decided."""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal

import msgspec

from libs.common import messages as m
from libs.common.store import Transition
from tests.bench.order_hands import SIDES, Hands
from tests.bench.order_rig import PERP, WAIT_SEC, Chain, an_intent
from tests.bench.order_site import both_arrived
from tests.bench.raw_nats import RawNats
from tests.bench.raw_wires import RawRedis, evalsha, repeatable
from tests.bench.tick import quote_at

QUANTITY = Decimal("0.01")


class Bare:
    """Two hops by hand, then the orders: at once, or after the write that a real opening has made."""

    def __init__(self, made: Chain, clients: list[RawNats], redis: RawRedis, opening: Transition) -> None:
        self._chain = made
        self._feed, self._signal, self._executor, self._quotes = clients
        assert made.asking.said is not None
        self._said = made.asking.said
        self._redis = redis
        self._write = evalsha(repeatable(opening), "floor:")
        self._hands = Hands(made)
        self._number = 500_000

    @classmethod
    async def on(cls, url: str, redis: RawRedis, opening: Transition, made: Chain) -> Bare:
        """Connected, on a chain that has sent orders already."""
        found = cls(made, [await RawNats.connect(url) for _ in range(4)], redis, opening)
        await found._quotes.subscribe(b"raw.quote", _hear)
        await found._signal.subscribe(b"raw.quote", found._evaluate)
        await found._executor.subscribe(b"raw.intent", lambda _: None)
        return found

    def _evaluate(self, payload: bytes) -> None:
        """What a signal says of a quote, without looking at it."""
        quote, now = m.decode(payload, m.Quote), self._chain.clock.now()
        assert quote.instrument == PERP
        said = msgspec.structs.replace(self._said, eval_us=now.wall_us)
        self._signal.publish(b"raw.opportunity", m.encode(said))
        self._signal.publish(b"raw.intent", m.encode(an_intent(now)))

    async def plain(self) -> float | None:
        """us of one round without durability."""
        return await self._run(durable=False)

    async def durable(self) -> float | None:
        """us of one round with a durable write before the orders."""
        return await self._run(durable=True)

    async def _run(self, *, durable: bool) -> float | None:
        await self._hands.connect()
        done: asyncio.Future[asyncio.Future[None]] = asyncio.get_running_loop().create_future()

        def take(payload: bytes) -> None:
            assert m.decode(payload, m.Intent).action == "open"
            if durable:
                done.set_result(asyncio.ensure_future(self._after_write()))
            else:
                self._hands.write(self._signed())
                done.set_result(asyncio.ensure_future(self._hands.answered()))

        self._executor.on_message = take
        relay = self._chain.site.relay
        begin, started_ns = len(relay.seen), time.time_ns()
        self._feed.publish(b"raw.quote", m.encode(quote_at(0, self._chain.clock)))
        found = await both_arrived(relay, begin, started_ns)
        async with asyncio.timeout(WAIT_SEC):
            await (await done)
        return found

    async def _after_write(self) -> None:
        """The orders are signed while the write is under way."""
        written = self._redis.ask(self._write)
        orders = self._signed()
        await written
        self._hands.write(orders)
        await self._hands.answered()

    def _signed(self) -> dict[str, bytes]:
        orders = {}
        for slug, side in SIDES.items():
            self._number += 1
            price = self._chain.collared(slug, side)
            orders[slug] = self._hands.sign(slug, f"fatest{self._number}", QUANTITY, price)
        return orders

    def close(self) -> None:
        self._hands.close()
        for client in (self._feed, self._signal, self._executor, self._quotes):
            client.close()


def _hear(payload: bytes) -> None:
    assert m.decode(payload, m.Quote).instrument == PERP
