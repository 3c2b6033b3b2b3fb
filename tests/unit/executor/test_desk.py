"""The desk: both legs or none, the gate just before the wire, and what fails afterwards is unknown."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from libs.common.effects import Event
from libs.common.instant import ManualClock
from libs.common.memory_store import MemoryStore
from libs.common.messages_exec import Permit
from libs.exchange.port import VenueError
from libs.exchange.trading_values import (
    AccountSettings,
    FeeRates,
    FillReport,
    MarginMode,
    NeverSent,
    OrderRequest,
    Outcome,
    PositionMode,
    QueryFailed,
    Rejected,
    Room,
    Side,
    Unknown,
)
from services.executor.desk import Desk
from services.executor.events import (
    CancelOrder,
    FindTaken,
    LoadPair,
    OrderAnswered,
    QueryOrder,
    ReadAccount,
    SendOrders,
    SetUp,
)
from services.executor.gate import Bounds
from services.executor.lane import intents_key, pair_key
from services.executor.leases import Leases
from services.executor.model import Intent, IntentState, OrderClass, Purpose
from services.executor.permit import PermitView
from services.executor.setup import Terms

D = Decimal
PAIR = "p"
LEGS = (("a", "BTC-USDT"), ("b", "BTC-USDT-PERP"))
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
        self.on_prepare: Callable[[], None] = lambda: None
        self.reads = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.leverage = 20

    async def prepare(self, request: OrderRequest) -> Leg | NeverSent:
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
                cause="adl",
            )
        ]

    async def records(self, _kind: str, *, since_ms: int) -> list[Any]:
        raise VenueError(self.venue, "not_supported" if since_ms else "network", "no such books")


class Office:
    """A desk with two venues, a lease and a fresh permit."""

    def __init__(self) -> None:
        self.log: list[str] = []
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
        await self.desk.send(SendOrders(pair=PAIR, intents=intents, legs=LEGS))

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


async def test_both_legs_are_released_together_and_each_is_answered() -> None:
    office = Office()
    await office.send()
    assert office.log[-2:] == ["release a", "release b"]
    assert {one.id: one.outcome for one in office.answers} == {"fa0": NO, "fa1": NO}
    assert all(one.refusal is None and one.sent_mono_us is not None for one in office.answers)


@pytest.mark.parametrize("breaks", ["prepare", "refuse"])
async def test_a_leg_that_is_not_ready_keeps_back_the_other_and_both_are_proven_unsent(breaks: str) -> None:
    office = Office()
    office.ports["b"].breaks = breaks
    await office.send()
    assert office.released == []
    assert "abandon a" in office.log
    assert office.outcomes == {"fa0": NeverSent, "fa1": NeverSent}


async def test_a_venue_that_is_not_open_keeps_back_the_other_leg() -> None:
    office = Office()
    del office.desk.tradings["b"]
    await office.send()
    assert office.released == []
    assert len(office.answers) == 2
    assert all(isinstance(one.outcome, NeverSent) or one.refusal is not None for one in office.answers)


@pytest.mark.parametrize("breaks", ["release", "outcome"])
async def test_what_fails_once_a_leg_was_let_go_is_unknown_and_the_other_goes_on(breaks: str) -> None:
    office = Office()
    office.ports["a"].breaks = breaks
    await office.send()
    assert office.released == ["release a", "release b"]
    assert office.outcomes == {"fa0": Unknown, "fa1": Rejected}


async def test_the_gate_sees_what_happened_while_the_legs_were_signed() -> None:
    office = Office()
    office.ports["a"].on_prepare = lambda: (office.clock.advance(sec=1.5), None)[1]
    await office.send()
    assert office.released == []
    assert [one.refusal.code for one in office.answers if one.refusal] == ["no_permit", "no_permit"]


async def test_what_reduces_needs_no_permit_and_no_budget() -> None:
    office = Office()
    office.clock.advance(sec=10)
    office.ports["a"].allowed = False
    await office.send(order_class=OrderClass.REDUCE)
    assert office.released == ["release a", "release b"]
    assert not [line for line in office.log if line.startswith("room")]


async def test_what_increases_waits_for_the_budget() -> None:
    office = Office()
    office.ports["b"].allowed = False
    await office.send()
    assert office.released == []
    assert {one.refusal.code for one in office.answers if one.refusal} == {"order_rate"}


@pytest.mark.parametrize("order_class", list(OrderClass))
async def test_a_lease_that_runs_out_while_the_legs_are_signed_stops_everything(
    order_class: OrderClass,
) -> None:
    office = Office()
    office.ports["b"].on_prepare = lambda: (office.clock.advance(sec=5), None)[1]
    await office.send(order_class=order_class)
    assert office.released == []
    assert {one.refusal.code for one in office.answers if one.refusal} == {"lease"}


async def test_orders_of_an_older_fence_never_leave() -> None:
    office = Office()
    await office.send(order_class=OrderClass.REDUCE, fence=99)
    assert office.released == []
    assert {one.refusal.code for one in office.answers if one.refusal} == {"lease"}


async def test_a_closed_venue_answers_queries_with_a_failure_and_readings_with_an_error() -> None:
    office = Office()
    office.desk.tradings.clear()
    fields: dict[str, Any] = {"pair": PAIR, "id": "fa0", "venue": "a", "instrument": "X", "margin": False}
    assert isinstance(await office.desk.query(QueryOrder(**fields)), QueryFailed)
    assert isinstance(await office.desk.cancel(CancelOrder(**fields)), QueryFailed)
    with pytest.raises(VenueError, match="not open"):
        await office.desk.account(ReadAccount(venue="a", pair=PAIR))


async def test_who_asks_while_an_account_is_read_gets_the_next_reading() -> None:
    office = Office()
    port = office.ports["a"]
    port.gate.clear()
    ask = ReadAccount(venue="a", pair=PAIR)
    first = [asyncio.create_task(office.desk.account(ask)) for _ in range(5)]
    await asyncio.sleep(0.01)
    assert port.reads == 1
    asked_us = office.clock.advance(sec=1).mono_us
    late = [asyncio.create_task(office.desk.account(ask)) for _ in range(5)]
    await asyncio.sleep(0.01)
    port.gate.set()
    early, later = await asyncio.gather(*first), await asyncio.gather(*late)
    assert port.reads == 2
    assert {one.asked_mono_us for one in early} == {0}
    assert all(one.asked_mono_us >= asked_us for one in later), "its evidence is younger than the question"


async def test_settings_are_changed_where_they_differ_and_only_read_beneath_a_position() -> None:
    office = Office()
    leg: dict[str, Any] = {"pair": PAIR, "venue": "b", "instrument": "BTC-USDT-PERP"}
    found = await office.desk.set_up(SetUp(**leg, change=False))
    assert found.settings is not None
    assert found.settings.leverage == 20
    assert "configure 3" not in office.log
    found = await office.desk.set_up(SetUp(**leg))
    assert found.settings is not None
    assert found.settings.leverage == 3
    await office.desk.set_up(SetUp(**leg))
    assert office.log.count("configure 3") == 1, "what is right already is left alone"


async def test_a_spot_leg_has_fees_and_no_settings() -> None:
    found = await Office().desk.set_up(SetUp(pair=PAIR, venue="a", instrument="BTC-USDT"))
    assert found.settings is None
    assert found.fees is not None
    assert found.fees.taker == D("0.001")


async def test_a_venue_without_books_of_liquidations_is_told_by_its_trades_alone() -> None:
    office = Office()
    found = await office.desk.taken(FindTaken(pair=PAIR, venue="a", instrument="BTC-USDT-PERP", since_ms=1))
    assert [one.cause for one in found] == ["adl"]
    with pytest.raises(VenueError):  # books that could not be read are no proof of anything
        await office.desk.taken(FindTaken(pair=PAIR, venue="a", instrument="BTC-USDT-PERP", since_ms=0))


async def test_a_pair_is_loaded_as_it_lies_in_the_store() -> None:
    office = Office()
    empty = await office.desk.load(LoadPair(pair=PAIR))
    assert (empty.state, empty.version, empty.intents, empty.dust) == (None, 0, {}, (D(0), D(0)))
    await office.store.put(pair_key(PAIR), b"{}")
    assert intents_key(PAIR) != pair_key(PAIR)
    loaded = await office.desk.load(LoadPair(pair=PAIR))
    assert (loaded.state, loaded.version) == (b"{}", 1)
