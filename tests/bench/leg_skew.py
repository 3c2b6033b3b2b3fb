"""How far apart the two legs of a concurrent submit reach the venue.

The simulated venue runs as a process of its own behind a relay that has the kernel's receive stamps. Two
legs at two venues, at one venue on two hosts, and on one host; with answers that are late by 50 ms; after
idleness longer than aiohttp keeps a connection by default; and, to compare, plain ccxt calls side by side on
one instance with its limiter on.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import aiohttp
import uvloop

from libs.exchange.live.adapter import CcxtTrading
from libs.exchange.redirect import Redirect
from libs.exchange.trading import Done, OrderRequest, Side, send_together
from tests.bench.arrival import Relay, relaying
from tests.bench.report import Figure, Result
from tests.helpers.trading import PERP, SPOT, an_order, config_of, price_of, trading_on
from tests.helpers.venue import venue_process

GOAL_US = 150.0
PACE_SEC = 0.3  # Bitget takes ten orders a second

Leg = tuple[CcxtTrading, str, Side]


class Rig:
    """The two ports, the relay before the venue, and the venue's control endpoint."""

    def __init__(self, binance: CcxtTrading, bitget: CcxtTrading, relay: Relay, control_port: int) -> None:
        self._relay = relay
        self.binance = binance
        self.bitget = bitget
        self._control = f"http://127.0.0.1:{control_port}"
        self._session = aiohttp.ClientSession()
        self._prices: dict[tuple[str, str], Any] = {}

    async def close(self) -> None:
        await self._session.close()

    async def late(self, delay_ms: int) -> None:
        """Orders are matched and answered so late from now on."""
        url, fault = f"{self._control}/faults", {"kind": "delay", "delay_ms": delay_ms, "endpoint": "*order*"}
        async with self._session.delete(url) as answer:
            assert answer.status == 200
        async with self._session.post(url, json={"faults": [fault]}) as answer:
            assert answer.status == 200, await answer.text()

    def skew_us(self, begin: int) -> float | None:
        """Between the last bytes of the two requests that came after `begin` entries of the relay; None when
        a ping came in between.
        """
        arrived = dict(self._relay.seen[begin:])
        if len(arrived) != 2:
            return None
        first_ns, second_ns = arrived.values()
        return abs(first_ns - second_ns) / 1_000

    async def order(self, leg: Leg) -> OrderRequest:
        """An IOC far from the market: it is taken and expires."""
        trading, slug, side = leg
        key = (trading.venue, slug)
        if key not in self._prices:
            self._prices[key] = await price_of(trading, slug, "0.98")
        return an_order(slug, side, self._prices[key])

    async def submitted(self, legs: Sequence[Leg]) -> float | None:
        """One concurrent submit; us between its legs at the venue."""
        orders = [await self.order(leg) for leg in legs]
        begin = len(self._relay.seen)
        held = await asyncio.gather(*(leg[0].prepare(order) for leg, order in zip(legs, orders, strict=True)))
        outcomes = await send_together(held)
        assert all(isinstance(outcome, Done) for outcome in outcomes), outcomes
        return self.skew_us(begin)

    async def plain(self, legs: Sequence[Leg]) -> float | None:
        """The same by ccxt alone: both calls started in one turn, limiter on."""
        orders = [await self.order(leg) for leg in legs]
        calls = []
        for (trading, slug, side), order in zip(legs, orders, strict=True):
            exchange = trading.places.of(slug).trade.exchange
            exchange.enableRateLimit = True
            symbol = trading.places.instrument(slug).symbol
            params = {"clientOrderId": order.client_id, "timeInForce": "IOC"}
            amount, price = str(order.quantity), str(order.price)
            calls.append(exchange.create_order(symbol, "limit", side.value, amount, price, params))
        begin = len(self._relay.seen)
        await asyncio.gather(*calls)
        for trading, slug, _ in legs:
            trading.places.of(slug).trade.exchange.enableRateLimit = False
        return self.skew_us(begin)


@contextlib.asynccontextmanager
async def rigged() -> AsyncIterator[Rig]:
    """A venue process and both ports on it, kept warm."""
    with (
        tempfile.TemporaryDirectory(prefix="fundarb-bench-") as name,
        venue_process(Path(name), speed="1") as said,
    ):
        config = config_of(said["keys"])
        async with (
            relaying(said["port"]) as relay,
            trading_on(Redirect(port=relay.port, ca_path=said["ca_path"]), config, "binance") as binance,
            trading_on(Redirect(port=relay.port, ca_path=said["ca_path"]), config, "bitget") as bitget,
        ):
            rig = Rig(binance, bitget, relay, said["control_port"])
            warm = [asyncio.ensure_future(trading.keep_warm()) for trading in (binance, bitget)]
            try:
                yield rig
            finally:
                for task in warm:
                    task.cancel()
                await asyncio.gather(*warm, return_exceptions=True)
                await rig.close()


async def repeated(
    work: Callable[[Sequence[Leg]], Awaitable[float | None]],
    legs: Sequence[Leg],
    *,
    rounds: int,
    pause_sec: float,
) -> list[float]:
    """Skews of so many rounds, those with a ping in between left out."""
    found = []
    for _ in range(rounds):
        await asyncio.sleep(pause_sec)
        skew = await work(legs)
        found += [] if skew is None else [skew]
    return found


async def measure(rounds: int, idle_sec: float, idle_rounds: int) -> dict[str, list[float]]:
    """Skews in us by scenario."""
    found: dict[str, list[float]] = {}
    async with rigged() as rig:
        pairs: dict[str, tuple[Leg, Leg]] = {
            "two_venues": ((rig.binance, SPOT, Side.BUY), (rig.bitget, PERP, Side.BUY)),
            "two_hosts": ((rig.binance, SPOT, Side.BUY), (rig.binance, PERP, Side.BUY)),
            "one_host": ((rig.bitget, SPOT, Side.BUY), (rig.bitget, PERP, Side.BUY)),
        }
        for name, legs in pairs.items():
            await repeated(rig.submitted, legs, rounds=2, pause_sec=PACE_SEC)  # warms up
            found[name] = await repeated(rig.submitted, legs, rounds=rounds, pause_sec=PACE_SEC)
        await rig.late(50)
        found["late_answers"] = await repeated(
            rig.submitted, pairs["one_host"], rounds=rounds, pause_sec=PACE_SEC
        )
        await rig.late(0)
        found["idle"] = await repeated(
            rig.submitted, pairs["two_venues"], rounds=idle_rounds, pause_sec=idle_sec
        )
        found["limiter"] = await repeated(
            rig.plain, pairs["one_host"], rounds=max(3, rounds // 4), pause_sec=PACE_SEC
        )
    return found


def run(*, rounds: int = 40, idle_sec: int = 20, idle_rounds: int = 3) -> Result:
    """Medians; `limiter_ratio` says how much longer plain ccxt with its limiter keeps the legs apart."""
    found = uvloop.run(measure(rounds, float(idle_sec), idle_rounds))
    p50 = {name: round(statistics.median(values), 1) for name, values in found.items()}
    goals = {"two_venues", "two_hosts", "one_host", "late_answers", "idle"}
    figures = [
        Figure(name=f"{name}_p50_us", value=value, unit="us", goal=GOAL_US if name in goals else None)
        for name, value in p50.items()
    ]
    every = sorted(found["two_venues"] + found["two_hosts"] + found["one_host"])
    figures.append(Figure(name="p95_us", value=round(every[int(len(every) * 0.95)], 1), unit="us"))
    ratio = round(p50["limiter"] / max(1.0, p50["one_host"]), 1)
    figures.append(Figure(name="limiter_ratio", value=ratio, unit="x"))
    return Result(
        bench="leg_skew",
        note=f"{rounds} concurrent submits each, {idle_rounds} after {idle_sec} s of idleness",
        figures=tuple(figures),
    )
