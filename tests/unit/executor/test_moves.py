"""Each move of a pair is told once, with the figures of the state that it ends; the journal has the same."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from libs.common.instant import US_PER_MS, US_PER_SEC
from libs.common.messages_exec import OrderEvent, PairStatus
from services.executor.model import Intent, IntentState, OrderClass, PairState, Purpose, State
from services.executor.moves import LATENCIES_MAX, Move, figures, latency_us
from services.executor.say import pair_status, said_of
from services.executor.translate import request_of
from services.executor.writing import JOURNAL
from tests.sim.timeline import run
from tests.unit.executor.rig import ANSWER_US, SPOT_KEY, Rig

ONE = Decimal(1)


def told(rig: Rig) -> list[PairStatus]:
    """What was said of moves, in order."""
    return [one for one in rig.spoken if isinstance(one, PairStatus) and one.from_state]


def kept(rig: Rig) -> list[tuple[int, Move]]:
    """(version, move) of the journal."""
    entries = run(rig.store.read(JOURNAL, count=10**6))
    return [
        (int(entry.fields["version"]), move)
        for entry in entries
        for move in msgspec.json.decode(entry.fields["moves"], type=list[Move])
    ]


def opens_and_closes(rig: Rig) -> None:
    rig.opened()
    rig.wish("close")
    rig.until(lambda: rig.state is State.IDLE, 5)


def loses_a_leg(rig: Rig) -> None:
    rig.acts("perp", "reject")
    rig.wish("open")
    rig.until(lambda: "unwinding>idle" in rig.moves, 15)


def fills_late(rig: Rig) -> None:
    """A lost attempt of which the spot leg lands when the pair is idle: two moves are one turn."""
    rig.acts("spot", "lost")
    rig.acts("perp", "lost")
    rig.wish("open")
    rig.until(lambda: any(one.state is IntentState.NOT_ACCEPTED for one in rig.lane.intents.values()), 120)
    rig.until(lambda: rig.state is State.IDLE, 60)
    rig.venues.acts[SPOT_KEY].appendleft("fill")
    order = next(one for one in rig.sent if one.leg == 0)
    rig.venues.arrive(SPOT_KEY, request_of(order, SPOT_KEY[1]))
    rig.until(lambda: "unwinding>idle" in rig.moves, 600)


@pytest.mark.parametrize("story", [opens_and_closes, loses_a_leg, fills_late])
def test_what_is_told_are_the_moves_of_the_journal_each_once(story: Callable[[Rig], None]) -> None:
    rig = Rig()
    story(rig)
    said, written = told(rig), kept(rig)
    assert [f"{one.from_state}>{one.state}" for one in said] == rig.moves
    for status, (version, move) in zip(said, written, strict=True):
        assert (status.version, status.trigger) == (version, move.trigger.value)
        assert status.in_state_ms == move.in_state_us // US_PER_MS
        assert (status.fills, status.latencies_us) == (move.fills, move.latencies_us)
    assert all(after.from_state == before.state for before, after in pairwise(said))


def test_two_moves_of_one_turn_are_two_messages_of_one_version() -> None:
    rig = Rig()
    fills_late(rig)
    found, (opening, unwinding) = rig.moves, told(rig)[-3:-1]
    assert found[-3:] == ["idle>opening", "opening>unwinding", "unwinding>idle"]
    assert opening.version == unwinding.version
    assert (opening.state, unwinding.state) == ("opening", "unwinding")
    assert opening.reason
    assert unwinding.reason
    assert [one for one in rig.spoken if isinstance(one, PairStatus)][-1].state == "idle"


def test_figures_are_those_of_the_state_that_ended_and_no_earlier_attempts() -> None:
    rig = Rig()
    for _ in range(3):
        opens_and_closes(rig)
        rig.run(2)
    said = {f"{one.from_state}>{one.state}": one for one in told(rig)}  # the last round's
    assert said["idle>opening"].fills == 0
    assert said["idle>opening"].latencies_us == ()
    for name in ("opening>active", "closing>idle"):
        assert said[name].fills == 2
        assert len(said[name].latencies_us) == 2
        assert all(ANSWER_US <= us < US_PER_SEC for us in said[name].latencies_us)
    assert said["active>closing"].fills == 0
    assert said["closing>idle"].attempt == 3
    assert pair_status(rig.lane, rig.now).fills == 0, "the state that it is in now has no orders"


def test_a_standing_pair_tells_the_orders_of_its_state_so_far() -> None:
    rig = Rig().opened()
    assert pair_status(rig.lane, rig.now).fills == 0
    rig.wish("close")
    rig.until(lambda: any(one.purpose is Purpose.CLOSE for one in rig.sent), 3)
    assert pair_status(rig.lane, rig.now).state == "closing"


def test_an_order_that_nobody_answered_took_until_it_was_given_up() -> None:
    rig = Rig()
    rig.acts("spot", "lost")
    rig.acts("perp", "lost")
    rig.wish("open")
    rig.until(lambda: rig.moves == ["idle>opening", "opening>idle"], 120)
    (last,) = [one for one in told(rig) if one.from_state == "opening"]
    assert last.fills == 0
    assert len(last.latencies_us) == 2
    assert min(last.latencies_us) > US_PER_SEC


def test_an_orders_event_tells_how_long_it_took_when_it_is_over() -> None:
    rig = Rig().opened()
    events = [one for one in rig.spoken if isinstance(one, OrderEvent)]
    assert {one.state: one.latency_us is None for one in events} == {"sent": True, "done": False}
    ends = [one.latency_us for one in events if one.state == "done"]
    assert [one.latencies_us for one in told(rig) if one.state == "active"] == [tuple(ends)]


def order(n: int, state: IntentState = IntentState.DONE, **fields: Any) -> Intent:
    """The n-th order of a pair, decided at second 1."""
    made = Intent(
        id=f"fa{n}",
        n=n,
        pair="p",
        leg=0,
        purpose=Purpose.OPEN,
        order_class=OrderClass.INCREASE,
        side="buy",
        quantity=ONE,
        price=None,
        tif="ioc",
        reduce_only=False,
        margin=False,
        fence=1,
        attempt=1,
        state=state,
        created_us=US_PER_SEC,
        over_us=US_PER_SEC + n,
    )
    return msgspec.structs.replace(made, **fields)


def test_what_was_never_sent_and_what_is_open_has_no_latency_and_a_loan_is_no_order() -> None:
    legs = Rig().lane.state.legs
    state = PairState(pair="p", legs=legs, since_n=2)
    orders = [
        order(2, fills={"t0": ONE}),
        order(3, fills={"t1": ONE, "t2": ONE}),
        order(4, IntentState.VOID),
        order(5, IntentState.WORKING, over_us=0, fills={"t3": ONE}),
        order(6, purpose=Purpose.BORROW),
        order(7, over_us=0),  # written before there was a stamp
        order(8, over_us=1),  # the clock was set back
    ]
    assert figures(state, orders) == (3, (3, 0))
    assert latency_us(orders[0]) == 2
    many = [order(n) for n in range(1, 2 * LATENCIES_MAX)]
    newest = tuple(range(LATENCIES_MAX, 2 * LATENCIES_MAX))
    assert figures(PairState(pair="p", legs=legs), many) == (0, newest)


def test_a_turn_without_a_move_is_told_as_it_stands() -> None:
    rig = Rig().opened()
    (status,) = said_of(rig.lane, rig.now, [])
    assert (status.state, status.from_state, status.trigger) == ("active", "", "")
