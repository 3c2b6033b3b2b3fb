"""From a tick at the feed to two signed orders at the venue's socket, without and with a durable intent.

Ours: `md.quote` -> nats-server -> the real signal -> `signal.intent` -> nats-server -> the real executor
(pair machine, [one atomic write: state, two intents, journal], gate, two signed orders) -> TLS. The floor
does the same work with nothing around it: the same two hops by `RawNats`, which decode and encode the same
messages (the executor hears the quote too, and the signal tells the opportunity before the intent, as ours
do); [the same write as one EVALSHA in hand-written RESP]; two orders built and signed by hand (during the
write, where there is one), each written to its own TLS connection. Both sides write to the same venue
behind the same relay, and time ends with the kernel's stamp of the later order's last byte. Without
durability ours keeps a MemoryStore; with it both sides have the same Valkey with `appendfsync always`.

A chain is one event loop and one interpreter, ours as well as the floor: what the executor does with the
quote comes before the signal's turn, and what the signal still does before the executor's. In processes of
their own, as they are deployed, these run beside one another where there is a core for each.

The goals are about that floor, so that ours pays for the evaluation, the decisions and the gate, of which the
floor has none. Beside it stands the floor that calls the same exchange port (checks, signing, connection):
what is left above that one is the way, the evaluation and the executor's own work. Venues limit orders, so
that rounds are far apart: all ways run with cold caches, and those with more Python in them suffer more.
"""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import urlsplit

import msgspec
import uvloop

from libs.common import messages as m
from libs.common.memory_store import MemoryStore
from libs.common.money import plain
from libs.exchange.trading import OrderRequest, Rejected, Side, send_together
from tests.bench.order_rig import PERP, SPOT, WAIT_SEC, Chain, Noted, an_intent, chain
from tests.bench.order_site import both_arrived, site
from tests.bench.raw_nats import RawNats
from tests.bench.raw_wires import RawOrders, RawRedis, evalsha
from tests.bench.report import Figure, Result, median, ratio_of
from tests.bench.tick import quote_at
from tests.helpers.servers import real_nats, real_valkey
from tests.helpers.trading import an_order

GOAL_PLAIN = 1.6
GOAL_DURABLE = 2.0
PACE_SEC = 0.7  # Binance takes 100 spot orders in 10 s, of which a quarter is kept for what reduces
HOSTS = {SPOT: "api.binance.com", PERP: "fapi.binance.com"}
FAULTS: tuple[dict[str, object], ...] = (
    {"kind": "delay", "endpoint": "*/order", "method": "POST", "delay_ms": 20},
    {"kind": "rejection", "endpoint": "/api/v3/order", "method": "POST", "code": "-2010"},
    {"kind": "rejection", "endpoint": "/fapi/v1/order", "method": "POST", "code": "-2019"},
)
"""Every order is refused, 20 ms after it came: the pair is idle again, and no answer meets an order."""

WARM = 3
REFUSALS = (b'"code":-2010', b'"code":-2019')
"""As the faults say: a whole order, with a good signature."""

WAYS = ("ours", "ours_durable", "raw", "raw_durable", "raw_port", "raw_port_durable")
Way = Callable[[], Awaitable[float | None]]


class Floor:
    """Two hops by hand, then the orders: at once or after one durable write, by hand or by the port."""

    def __init__(self, made: Chain, clients: list[RawNats], redis: RawRedis, write: bytes) -> None:
        self._chain = made
        self._feed, self._signal, self._executor, self._quotes = clients
        assert made.asking.said is not None
        self._said = made.asking.said
        self._redis = redis
        self._write = write
        assert made.trading is not None
        self._trading = made.trading
        self._secret = self._trading.places.of(SPOT).trade.exchange.secret.encode()
        self._heads = {slug: self._head(slug) for slug in (SPOT, PERP)}
        self._open: dict[str, RawOrders] = {}
        self._number = 500_000

    async def subscribe(self) -> None:
        """The two hops, and the quote that the executor hears."""
        await self._quotes.subscribe(b"raw.quote", _hear)
        await self._signal.subscribe(b"raw.quote", self._evaluate)
        await self._executor.subscribe(b"raw.intent", lambda _: None)

    def _evaluate(self, payload: bytes) -> None:
        """What a signal says of a quote, without looking at it."""
        quote, now = m.decode(payload, m.Quote), self._chain.clock.now()
        assert quote.instrument == PERP
        said = msgspec.structs.replace(self._said, eval_us=now.wall_us)
        self._signal.publish(b"raw.opportunity", m.encode(said))
        self._signal.publish(b"raw.intent", m.encode(an_intent(now)))

    def way(self, *, durable: bool, port: bool) -> Way:
        """One of the four floors."""

        async def run() -> float | None:
            return await self._run(durable=durable, port=port)

        return run

    async def _run(self, *, durable: bool, port: bool) -> float | None:
        if not port:
            await self._connect()
        heard: asyncio.Future[asyncio.Future[None]] = asyncio.get_running_loop().create_future()

        def take(payload: bytes) -> None:
            assert m.decode(payload, m.Intent).action == "open"
            if durable or port:
                heard.set_result(asyncio.ensure_future(self._act(durable=durable, port=port)))
            else:
                self._blurt()
                heard.set_result(asyncio.ensure_future(self._answered()))

        self._executor.on_message = take
        relay = self._chain.site.relay
        begin, started_ns = len(relay.seen), time.time_ns()
        self._feed.publish(b"raw.quote", m.encode(quote_at(0, self._chain.clock)))
        found = await both_arrived(relay, begin, started_ns)
        async with asyncio.timeout(WAIT_SEC):
            await (await heard)
        return found

    async def _act(self, *, durable: bool, port: bool) -> None:
        written = self._redis.ask(self._write) if durable else None
        if port:
            if written is not None:
                await written
            held = await asyncio.gather(*(self._trading.prepare(self._order(slug)) for slug in (SPOT, PERP)))
            outcomes = await send_together(held)
            assert all(isinstance(outcome, Rejected) for outcome in outcomes), outcomes
        else:
            await self._blurt_after(written)
            await self._answered()

    async def _blurt_after(self, written: asyncio.Future[bytes] | None) -> None:
        orders = {slug: self._sign(slug) for slug in self._open}
        if written is not None:
            await written
        for slug, client in self._open.items():
            client.write(orders[slug])

    def _blurt(self) -> None:
        orders = {slug: self._sign(slug) for slug in self._open}
        for slug, client in self._open.items():
            client.write(orders[slug])

    async def _answered(self) -> None:
        for client in self._open.values():
            await client.heard.wait()
            # refused in the venue's own words: a whole order with a good signature has arrived
            assert client.answer.startswith(b"HTTP/1.1 400"), client.answer
            assert any(code in client.answer for code in REFUSALS), client.answer

    async def _connect(self) -> None:
        """Before the time runs: a venue closes what was idle."""
        place = self._chain.site
        for slug, host in HOSTS.items():
            if slug not in self._open or not self._open[slug].is_open:
                self._open[slug] = await RawOrders.connect(place.relay.port, place.ca_path, host)

    def _order(self, slug: str) -> OrderRequest:
        side = Side.BUY if slug == SPOT else Side.SELL
        return an_order(slug, side, self._chain.collared(slug, "buy" if slug == SPOT else "sell"))

    def _head(self, slug: str) -> tuple[bytes, str]:
        """Request line and headers, and the fields between the timestamp and the signature, as ccxt says."""
        order, exchange = self._order(slug), self._trading.places.of(slug).trade.exchange
        figures = {
            "symbol": self._trading.places.instrument(slug).venue_symbol,
            "side": order.side.value.upper(),
            "type": "LIMIT",
            "quantity": plain(order.quantity),
            "price": plain(order.price or order.quantity),
            "timeInForce": "IOC",
        }
        room = {"newClientOrderId": order.client_id}
        api = ["private" if slug == SPOT else "fapiPrivate"]
        request = exchange.sign("order", api, "POST", {**figures, **room})
        fields = {
            **request["headers"],
            "Host": HOSTS[slug],
            "Content-Length": len(request["body"]),
            "User-Agent": exchange.userAgent or "raw",
            "Accept": "*/*",
            "Accept-Encoding": "gzip, deflate",
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        line = f"POST {urlsplit(request['url']).path} HTTP/1.1\r\n{head}\r\n"
        return line.encode(), "&".join(f"{name}={value}" for name, value in figures.items())

    def _sign(self, slug: str) -> bytes:
        """An order of this instant, by hand; its id has the length of the one in `_head`."""
        head, fields = self._heads[slug]
        self._number += 1
        body = (
            f"timestamp={time.time_ns() // 1_000_000}&{fields}&newClientOrderId=fatest{self._number:06d}"
            f"&recvWindow=10000"
        ).encode()
        return head + body + b"&signature=" + hmac.digest(self._secret, body, "sha256").hex().encode()

    def close(self) -> None:
        for client in self._open.values():
            client.close()


def _hear(payload: bytes) -> None:
    assert m.decode(payload, m.Quote).instrument == PERP


@contextlib.asynccontextmanager
async def floor(url: str, store_url: str, made: Chain, store: Noted) -> AsyncIterator[Floor]:
    """On the broker and the store of a chain that has sent orders already."""
    assert store.orders is not None
    clients = [await RawNats.connect(url) for _ in range(4)]
    redis = await RawRedis.connect(store_url)
    found = Floor(made, clients, redis, evalsha(store.orders, "floor:"))
    try:
        await found.subscribe()
        yield found
    finally:
        found.close()
        redis.close()
        for client in clients:
            client.close()


async def measure(rounds: int) -> dict[str, list[float]]:
    """us by way, taken in turns: whatever else this machine does meets all alike."""
    taken: dict[str, list[float]] = {name: [] for name in WAYS}
    with real_nats() as first, real_nats() as second, real_valkey() as valkey:
        for server in (first, second, valkey):
            await server.ready()
        async with site() as place:
            await place.faults(*FAULTS)
            store = Noted(valkey.url, deployment="bench")
            async with (
                chain(first.url, MemoryStore(), place) as plain_chain,
                chain(second.url, store, place) as durable_chain,
                floor(second.url, valkey.url, durable_chain, store) as raw,
            ):
                ways: dict[str, Way] = dict(
                    zip(
                        WAYS,
                        (
                            plain_chain.order,
                            durable_chain.order,
                            raw.way(durable=False, port=False),
                            raw.way(durable=True, port=False),
                            raw.way(durable=False, port=True),
                            raw.way(durable=True, port=True),
                        ),
                        strict=True,
                    )
                )
                for turn in range(-WARM, rounds):
                    first_way = turn % len(WAYS)
                    names = (*WAYS[first_way:], *WAYS[:first_way])
                    due = asyncio.get_running_loop().time() + PACE_SEC
                    found = {name: await ways[name]() for name in names}
                    await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
                    if turn >= 0 and all(value is not None for value in found.values()):
                        for name, value in found.items():
                            taken[name].append(value or 0.0)
    assert taken["ours"], "no round was free of other requests"
    return taken


def without_client(ours: list[float], port: list[float], raw: list[float]) -> list[float]:
    """us of each round, the exchange client's share put at that of a raw write."""
    return [a - b + c for a, b, c in zip(ours, port, raw, strict=True)]


def run(*, rounds: int = 60) -> Result:
    """Medians of the rounds, and of the rounds' own ratios."""
    taken = uvloop.run(measure(rounds))
    figures = []
    for suffix, goal in (("", GOAL_PLAIN), ("_durable", GOAL_DURABLE)):
        ours, raw, port = (taken[name + suffix] for name in ("ours", "raw", "raw_port"))
        bare = without_client(ours, port, raw)
        figures += [
            Figure(name=f"ratio{suffix}", value=ratio_of(ours, raw), unit="x", goal=goal),
            Figure(name=f"ratio_same_port{suffix}", value=ratio_of(ours, port), unit="x"),
            Figure(name=f"ratio_without_client{suffix}", value=ratio_of(bare, raw), unit="x"),
        ]
    figures += [Figure(name=f"{name}_p50_us", value=median(taken[name]), unit="us") for name in WAYS]
    return Result(
        bench="order_path",
        note=(
            f"tick -> NATS -> signal -> NATS -> executor -> two orders on TLS, {len(taken['ours'])} rounds; "
            "raw: same hops and messages, same write, signed by hand; raw_port: by the exchange port"
        ),
        figures=tuple(figures),
    )
