"""The desk: both legs or none, the gate just before the wire, and what fails afterwards is unknown."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from libs.exchange.port import VenueError
from libs.exchange.trading_values import NeverSent, QueryFailed, Rejected, Unknown
from services.executor.events import CancelOrder, FindTaken, LoadPair, QueryOrder, ReadAccount, SetUp
from services.executor.model import OrderClass
from services.executor.writing import intents_key, pair_key
from tests.unit.executor.desk_rig import NO, PAIR, D, Office


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
    asked = FindTaken(pair=PAIR, venue="a", instrument="BTC-USDT-PERP", since_ms=0)  # its books are away
    assert [one.cause for one in await office.desk.taken(asked)] == ["adl"], "a trade names its own cause"
    office.ports["a"].cause = "order"
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


async def test_a_key_that_turned_bad_while_the_legs_were_signed_stops_what_increases() -> None:
    office, bad = Office(), [""]
    office.desk.bad_key = lambda: bad[0]

    def found() -> None:
        bad[0] = "a: the API key may withdraw"

    office.ports["a"].on_prepare = found
    await office.send()
    assert office.released == []
    assert {one.refusal.code for one in office.answers if one.refusal} == {"bad_key"}
    await office.send(order_class=OrderClass.REDUCE)
    assert office.released == ["release a", "release b"]


async def test_orders_that_wait_for_a_connection_while_their_pair_is_read_anew_are_held_back() -> None:
    """Their doubt began with that reading: they must not leave after it, under the very same fence."""
    office = Office()
    await office.desk.load(LoadPair(pair=PAIR, number=1))
    office.load = 1
    await office.send()
    assert office.released == ["release a", "release b"]
    office.log.clear()
    office.answers.clear()
    reads: list[asyncio.Task[Any]] = []

    def read_anew() -> None:
        reads.append(asyncio.ensure_future(office.desk.load(LoadPair(pair=PAIR, number=2))))

    office.ports["a"].on_prepare = read_anew
    office.ports["b"].pause = 5  # turns of the loop: the reading has begun before the legs are ready
    await office.send(order_class=OrderClass.REDUCE)
    assert len(reads) == 1
    assert office.released == []
    assert {one.refusal.code for one in office.answers if one.refusal} == {"reloaded"}
    office.load = 2
    office.ports["a"].on_prepare = lambda: None
    await office.send()
    assert office.released == ["release a", "release b"]
