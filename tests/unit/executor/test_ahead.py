"""Orders made ready while their intents are written: let go by the desk only, all or none, never stale."""

from __future__ import annotations

from collections.abc import Awaitable
from decimal import Decimal

import pytest
from msgspec.structs import replace

from libs.exchange.trading_values import NeverSent, OrderRequest
from services.executor.calls import CountedTrading
from services.executor.events import SendOrders
from services.executor.model import OrderClass
from tests.unit.executor.desk_rig import HELD, LEGS, NO, PAIR, Leg, Office, Port


class QuickLeg(Leg):
    """A leg that can be dropped at once."""

    alive = True

    def drop(self, why: str) -> NeverSent:
        self._port.log.append(f"drop {self._port.venue}")
        return NeverSent(why=why)


class QuickPort(Port):
    """A port whose orders are ready without a wait. `quick`: a connection is idle."""

    quick = True

    def at_once(self, request: OrderRequest) -> QuickLeg | None:
        self.log.append(f"ready {self.venue}")
        self.on_prepare()
        if self.breaks == "at_once":
            raise KeyError("a market without a symbol")
        self.last = QuickLeg(request, self)
        return self.last if self.quick else None


class QuickOffice(Office):
    """An office whose ports are quick."""

    def __init__(self) -> None:
        super().__init__()
        self.quick = {venue: QuickPort(venue, self.log) for venue in ("a", "b")}
        self.ports = dict(self.quick)
        self.desk.tradings.update(self.quick)  # type: ignore[arg-type]

    async def request(self, *, order_class: OrderClass = OrderClass.REDUCE) -> SendOrders:
        fence = await self.hold()
        intents = tuple(self.intent(leg, order_class, fence) for leg in (0, 1))
        return SendOrders(pair=PAIR, intents=intents, legs=LEGS, standing=HELD)


def begun(office: QuickOffice, request: SendOrders) -> Awaitable[None]:
    left = office.desk.at_once(request)
    assert left is not None
    return left


async def test_what_was_made_ready_is_let_go_in_the_very_turn() -> None:
    office = QuickOffice()
    request = await office.request()
    office.desk.ahead(request)
    assert office.log == ["ready a", "ready b"]
    left = begun(office, request)
    assert office.log == ["ready a", "ready b", "release a", "release b"]
    await left
    assert {one.id: one.outcome for one in office.answers} == {"fa0": NO, "fa1": NO}
    await begun(office, request)  # a second time it would have to be made anew
    assert office.log.count("ready a") == 2


async def test_without_any_time_before_it_is_made_ready_then() -> None:
    office = QuickOffice()
    await begun(office, await office.request())
    assert office.log == ["ready a", "ready b", "release a", "release b"]


@pytest.mark.parametrize("why", ["no connection", "an error"])
async def test_where_one_leg_would_have_to_wait_none_is_let_go_at_once(why: str) -> None:
    office = QuickOffice()
    office.quick["b"].quick = why != "no connection"
    office.quick["b"].breaks = "at_once" if why == "an error" else ""
    request = await office.request()
    office.desk.ahead(request)
    assert office.desk.at_once(request) is None
    assert office.released == []
    assert office.log.count("drop a") == 2
    office.quick["b"].breaks = ""
    await office.desk.send(request)
    assert office.released == ["release a", "release b"]


async def test_a_port_that_is_not_quick_or_not_open_goes_its_own_way() -> None:
    office = QuickOffice()
    request = await office.request()
    del office.desk.tradings["b"]
    assert office.desk.at_once(request) is None
    office.desk.tradings["b"] = Port("b", office.log)  # type: ignore[assignment]
    assert office.desk.at_once(request) is None
    assert office.released == []


async def test_the_gate_is_asked_behind_what_was_made_ready() -> None:
    office = QuickOffice()
    request = await office.request(order_class=OrderClass.INCREASE)
    office.desk.ahead(request)
    office.quick["a"].allowed = False  # the venue's budget is used up meanwhile
    await begun(office, request)
    assert office.released == []
    assert [one.refusal.code for one in office.answers if one.refusal] == ["order_rate", "order_rate"]
    assert "abandon a" in office.log
    assert "abandon b" in office.log


@pytest.mark.parametrize("what", ["too old", "its connection has ended"])
async def test_what_is_stale_is_dropped_and_made_anew(what: str) -> None:
    office = QuickOffice()
    request = await office.request()
    office.desk.ahead(request)
    if what == "too old":
        office.clock.advance(sec=1.2)
    else:
        office.quick["b"].last.alive = False
    await begun(office, request)
    assert office.log[2:6] == ["drop a", "drop b", "ready a", "ready b"]
    assert office.released == ["release a", "release b"]


async def test_what_its_write_did_not_survive_is_dropped_by_the_next() -> None:
    office = QuickOffice()
    request = await office.request()
    office.desk.ahead(request)
    office.clock.advance(sec=1.2)
    office.desk.ahead(await office.request())
    assert office.log == ["ready a", "ready b", "drop a", "drop b", "ready a", "ready b"]
    assert office.released == []


@pytest.mark.parametrize("when", ["ahead", "at once"])
async def test_orders_that_got_the_ids_of_a_failed_write_are_made_as_they_are_now(when: str) -> None:
    office = QuickOffice()
    request = await office.request()
    office.desk.ahead(request)
    less = tuple(replace(one, quantity=one.quantity / 2) for one in request.intents)
    request = replace(request, intents=less)
    if when == "ahead":
        office.desk.ahead(request)
    await begun(office, request)
    assert office.log[2:6] == ["drop a", "drop b", "ready a", "ready b"]
    assert [office.quick[venue].last.request.quantity for venue in ("a", "b")] == [Decimal("0.5")] * 2
    assert office.released == ["release a", "release b"]


async def test_a_counted_port_is_as_quick_as_the_port_inside_and_no_quicker() -> None:
    office = QuickOffice()
    request = await office.request()
    counted = CountedTrading(office.quick["b"], office.clock)  # type: ignore[arg-type]
    office.desk.tradings["b"] = counted
    office.desk.ahead(request)
    await begun(office, request)
    assert office.released == ["release a", "release b"]
    assert counted.tally.reach(None).calls == 1
    office.desk.tradings["b"] = CountedTrading(Port("b", office.log), office.clock)  # type: ignore[arg-type]
    assert office.desk.at_once(request) is None
