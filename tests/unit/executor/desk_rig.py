"""A desk with two venues that do as the test says, a lease and a fresh permit."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from libs.common.effects import Event
from libs.common.instant import ManualClock
from libs.common.memory_store import MemoryStore
from libs.common.messages_exec import Permit
from libs.exchange.port import VenueError
from libs.exchange.trading_values import (
    AccountSettings,
    Cause,
    FeeRates,
    FillReport,
    MarginMode,
    NeverSent,
    OrderRequest,
    Outcome,
    PositionMode,
    Rejected,
    Room,
    Side,
)
from services.executor.desk import Desk
from services.executor.events import (
    OrderAnswered,
    SendOrders,
)
from services.executor.gate import Bounds
from services.executor.leases import Leases
from services.executor.model import Intent, IntentState, OrderClass, Purpose
from services.executor.permit import PermitView
from services.executor.reducing import Standing
from services.executor.setup import Terms

D = Decimal
PAIR = "p"
LEGS = (("a", "BTC-USDT"), ("b", "BTC-USDT-PERP"))
HELD = Standing(held=(D(-1), D(1)))  # what the legs' orders close
NO = Rejected(code="1", reason="funds", text="no")
TERMS = Terms(margin_mode=MarginMode.CROSS, leverage=3, position_mode=PositionMode.ONE_WAY)


class Leg:
    """A prepared order that notes what is done to it."""

    def __init__(self, request: OrderRequest, port: Port) -> None:
        self.request = request
        self._port = port

    def release(self) -> None:
        self._port.log.append(f"release {self._port.venue}")
        if self._port.breaks == "release":
            raise RuntimeError("the connection is gone")

    async def outcome(self) -> Outcome:
        if self._port.breaks == "outcome":
            raise RuntimeError("a parser fell over")
        return NO

    async def abandon(self, why: str) -> NeverSent:
        self._port.log.append(f"abandon {self._port.venue}")
        return NeverSent(why=why)


class Port:
    """A venue's port by script. `breaks`: at which step it fails."""

    def __init__(self, venue: str, log: list[str]) -> None:
        self.venue, self.log = venue, log
        self.breaks = ""
        self.allowed = True
        self.pause = 1  # turns of the loop
        self.on_prepare: Callable[[], None] = lambda: None
        self.reads = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.leverage = 20

    async def prepare(self, request: OrderRequest) -> Leg | NeverSent:
        for _ in range(self.pause):
            await asyncio.sleep(0)
        self.on_prepare()
        if self.breaks == "prepare":
            raise KeyError("a market without a symbol")
        if self.breaks == "refuse":
            return NeverSent(why="too small")
        return Leg(request, self)

    def room(self, _instrument: str, *, urgency: str, orders: int = 1) -> Room:
        self.log.append(f"room {urgency} {orders}")
        return Room(allowed=self.allowed, weight_used=1.0, orders_used=1.0, why="used up")

    async def positions(self) -> list[Any]:
        self.reads += 1
        await self.gate.wait()
        return []

    async def balances(self) -> list[Any]:
        return []

    async def fee_rates(self, _instrument: str) -> FeeRates:
        return FeeRates(maker=D(0), taker=D("0.001"))

    async def settings(self, instrument: str) -> AccountSettings:
        fields = {name: getattr(TERMS, name) for name in ("margin_mode", "position_mode")}
        return AccountSettings(instrument=instrument, leverage=self.leverage, **fields)

    async def configure(self, instrument: str, *, leverage: int, **_: Any) -> AccountSettings:
        self.log.append(f"configure {leverage}")
        self.leverage = leverage
        return await self.settings(instrument)

    async def fills(self, instrument: str, *, since_ms: int, margin: bool) -> list[FillReport]:
        assert not margin
        return [
            FillReport(
                trade_id="t",
                order_id="o",
                client_id=None,
                instrument=instrument,
                side=Side.BUY,
                price=D(1),
                quantity=D(1),
                fee=None,
                fee_asset=None,
                liquidity=None,
                ts_ms=since_ms,
                cause=self.cause,
            )
        ]

    cause: Cause = "adl"  # of its trades

    async def records(self, _kind: str, *, since_ms: int) -> list[Any]:
        raise VenueError(self.venue, "not_supported" if since_ms else "network", "no such books")


class Office:
    """A desk with two venues, a lease and a fresh permit."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.load = 0
        self.clock = ManualClock()
        self.permits = PermitView(build="b1")
        self.leases = Leases({PAIR: LEGS})
        self.store = MemoryStore()
        self.ports = {venue: Port(venue, self.log) for venue in ("a", "b")}
        self.desk = Desk(
            store=self.store,
            clock=self.clock,
            permits=self.permits,
            leases=self.leases,
            bounds=Bounds(leg_notional_max=D(1_000), collar=D("0.01")),
            terms=TERMS,
        )
        self.desk.tradings.update(self.ports)  # type: ignore[arg-type]
        self.answers: list[OrderAnswered] = []
        self.desk.offer = self.offer
        self.beat()

    def offer(self, event: Event) -> None:
        assert isinstance(event, OrderAnswered)
        self.answers.append(event)

    def beat(self) -> None:
        now = self.clock.now()
        self.permits.apply(Permit(risk_epoch=1, revision=now.wall_us, build="b1", wall_us=now.wall_us), now)

    async def hold(self) -> int:
        """Take the lease; its fence."""
        lease = await self.store.acquire(PAIR, owner="me", ttl_ms=6_000)
        assert lease is not None
        now_us = self.clock.now().mono_us
        lease = msgspec.structs.replace(lease, until_mono_us=now_us + 4_000_000)
        self.leases.took(PAIR, lease, now_us)
        return lease.fence

    async def send(self, *, order_class: OrderClass = OrderClass.INCREASE, fence: int | None = None) -> None:
        held = await self.hold()
        intents = tuple(self.intent(leg, order_class, held if fence is None else fence) for leg in (0, 1))
        await self.desk.send(SendOrders(pair=PAIR, intents=intents, legs=LEGS, standing=HELD, load=self.load))

    def intent(self, leg: int, order_class: OrderClass, fence: int) -> Intent:
        return Intent(
            id=f"fa{leg}",
            pair=PAIR,
            leg=leg,
            purpose=Purpose.OPEN,
            order_class=order_class,
            side="buy" if leg == 0 else "sell",
            quantity=D(1),
            price=D(100),
            tif="ioc",
            reduce_only=False,
            margin=False,
            fence=fence,
            attempt=1,
            state=IntentState.SENT,
            created_us=self.clock.now().wall_us,
            mid=D(100),
        )

    @property
    def released(self) -> list[str]:
        return [line for line in self.log if line.startswith("release")]

    @property
    def outcomes(self) -> dict[str, type[Any]]:
        return {one.id: type(one.outcome) for one in self.answers}
