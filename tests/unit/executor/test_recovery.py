from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from libs.common.effects import TimerFired
from libs.common.store import Transition
from services.executor.events import LeaseHeld, LeaseLost
from services.executor.model import Intent, IntentState, Purpose, State
from services.executor.recovery import reload_name
from services.executor.resolve import window_us
from services.executor.writing import intents_key, pair_key
from tests.sim.timeline import run
from tests.unit.executor.rig import FLAT, PERP_KEY, SPOT_KEY, Rig
from tests.unit.executor.scripted import Act

W_SEC = window_us("binance") / 1e6


@pytest.mark.parametrize("after_ms", range(0, 30, 2))
def test_a_crash_at_any_moment_of_an_opening_ends_in_order(after_ms: int) -> None:
    rig = Rig()
    rig.wish("open")
    rig.run(after_ms / 1000)
    rig.restart()
    rig.until(lambda: rig.lane.ready and rig.state in (State.IDLE, State.ACTIVE), W_SEC + 20)
    assert rig.held == rig.shown
    assert rig.lane.state.delta == 0
    assert len({one.id for one in rig.sent}) == len(rig.sent)
    assert not any("stuck" in move for move in rig.moves)


def test_after_a_crash_every_open_order_is_in_doubt_and_nothing_is_sent() -> None:
    rig = Rig()
    rig.acts("perp", "lost")
    rig.acts("spot", "silent")
    rig.wish("open")
    rig.until(lambda: len(rig.sent) == 2, 1)
    rig.restart()
    rig.run(0.2)
    assert {one.state for one in rig.lane.intents.values()} == {IntentState.UNKNOWN}
    rig.run(W_SEC - 1)
    assert len(rig.sent) == 2, "W counts from recovery"
    assert not rig.lane.ready
    rig.until(lambda: rig.state is State.IDLE, 20)
    assert rig.shown == FLAT
    assert len(rig.told("unwind")) == 1


def lost(rig: Rig) -> tuple[Intent, float]:
    """An order that never arrives and has no answer, and when (monotonic, s) it left."""
    rig.acts("spot", "lost")
    rig.acts("perp", "reject")
    rig.wish("open")
    rig.until(lambda: len(rig.sent) == 2, 1)
    return rig.sent[0], rig.now.mono_us / 1e6


def over_sec(rig: Rig, order: Intent, sec: float) -> float:
    """When an order is given up durably (monotonic, s)."""
    rig.until(lambda: rig.state is State.IDLE and rig.lane.intents[order.id].state.is_final, sec)
    assert rig.lane.intents[order.id].state is IntentState.NOT_ACCEPTED
    return rig.now.mono_us / 1e6


@pytest.mark.parametrize("each_sec", [4, 7, 15])
def test_w_goes_on_however_often_the_same_process_reads_a_pair_again(each_sec: int) -> None:
    rig = Rig()
    order, left_sec = lost(rig)
    for _ in range(int(W_SEC // each_sec) + 1):
        rig.run(each_sec)
        rig.offer(TimerFired(name=reload_name(rig.pair)))
    taken_sec = over_sec(rig, order, 30) - left_sec
    assert W_SEC < taken_sec < W_SEC + each_sec + 10


def test_w_goes_on_while_the_store_takes_no_word_of_its_end() -> None:
    rig = Rig()
    order, _ = lost(rig)
    rig.run(W_SEC)
    rig.store.full = True
    rig.run(20)
    assert rig.lane.heed.unstored_us is not None, "that it was given up could not be written"
    rig.store.full = False
    before_sec = rig.now.mono_us / 1e6
    assert over_sec(rig, order, 30) - before_sec < W_SEC - 5
    rig.run(1)
    assert order.id not in rig.lane.heed.sent_us


def test_w_goes_on_over_a_lease_that_was_lost_and_came_back() -> None:
    rig = Rig()
    order, left_sec = lost(rig)
    rig.run(10)
    lease = rig.lane.lease
    assert lease is not None
    rig.offer(LeaseLost(pair=rig.pair, text="the store is silent"))
    rig.run(5)
    rig.offer(LeaseHeld(pair=rig.pair, lease=lease, store_id=run(rig.store.store_id())))
    assert W_SEC < over_sec(rig, order, 30) - left_sec < W_SEC + 10


def test_a_pair_stands_after_a_restart_as_before() -> None:
    rig = Rig(base_fee="0.001").opened()
    before = rig.lane.state
    rig.restart()
    rig.until(lambda: rig.lane.ready, 5)
    assert rig.lane.state.legs == before.legs
    assert rig.state is State.ACTIVE
    rig.wish("close")
    rig.until(lambda: rig.state is State.IDLE, 5)


@pytest.mark.parametrize("act", ["half", "none"])
def test_a_close_goes_on_after_a_crash(act: Act) -> None:
    rig = Rig().opened()
    rig.acts("perp", act)
    rig.wish("close")
    rig.run(0.05)
    rig.restart()
    rig.until(lambda: rig.state is State.IDLE, 20)
    assert rig.shown == FLAT


def test_a_position_that_changed_while_nobody_looked_halts_the_pair() -> None:
    rig = Rig().opened()
    rig.venues.held[PERP_KEY] = Decimal("-0.4")
    rig.restart()
    rig.until(lambda: rig.state is State.STUCK, 20)
    assert len(rig.told("foreign")) == 1
    assert len(rig.sent) == 2


def test_what_cannot_be_read_stops_everything() -> None:
    rig = Rig().opened()
    stored = run(rig.store.get(pair_key(rig.pair)))
    assert stored is not None
    run(rig.store.transition(Transition(writes={pair_key(rig.pair): b"{broken"})))
    rig.restart()
    rig.run(5)
    rig.wish("close")
    rig.run(5)
    assert len(rig.sent) == 2
    assert "cannot be read" in rig.told("unreadable")[0]


def test_nothing_leaves_while_the_store_is_away() -> None:
    rig = Rig()
    rig.store.down = True
    rig.wish("open")
    rig.run(3)
    assert rig.sent == []
    rig.store.down = False
    rig.run(5)
    assert rig.state is State.IDLE
    rig.wish("open")
    rig.until(lambda: rig.state is State.ACTIVE, 5)


def test_answers_that_the_store_did_not_take_are_learned_again() -> None:
    rig = Rig()
    rig.wish("open")
    rig.until(lambda: len(rig.sent) == 2, 1)
    rig.store.down = True
    rig.run(5)
    assert len(rig.sent) == 2
    rig.store.down = False
    rig.until(lambda: rig.lane.ready and rig.state is State.ACTIVE, W_SEC + 20)
    assert rig.held == rig.shown == (Decimal(1), Decimal(-1))


def test_a_lost_store_makes_other_ids() -> None:
    first, second = Rig().opened(), Rig()
    second.store = type(second.store)(clock=second.clock, store_id="fedcba9876543210")
    second.restart()
    second.run(1)
    second.opened()
    assert not {one.id for one in first.sent} & {one.id for one in second.sent}


def test_a_restart_without_coins_that_are_ours_is_seen() -> None:
    rig = Rig().opened()
    rig.venues.held[SPOT_KEY] = Decimal("0.2")
    rig.restart()
    rig.until(lambda: rig.state is State.STUCK, 20)


def test_trades_missed_by_a_crash_are_booked_with_their_fees() -> None:
    rig = Rig(base_fee="0.001")
    rig.acts("spot", "silent")
    rig.wish("open")
    rig.until(lambda: len(rig.sent) == 2, 1)
    rig.restart()
    rig.until(lambda: rig.lane.ready and rig.state is State.ACTIVE, W_SEC + 10)
    assert rig.held == rig.shown
    bought = rig.orders(Purpose.OPEN)[0]
    assert bought.fee_base == bought.filled * Decimal("0.001")


def test_after_a_reload_the_newest_order_is_the_one_with_the_highest_number() -> None:
    """A wall clock that was set back between two orders must not make the older one the newest."""
    rig = Rig().opened()
    rig.wish("close")
    rig.until(lambda: rig.state is State.IDLE, 5)
    numbers = [one.n for one in rig.sent]
    assert numbers == [1, 2, 3, 4]
    key = intents_key(rig.pair)
    back: dict[str, bytes | None] = {
        one.id: msgspec.json.encode(msgspec.structs.replace(one, created_us=one.created_us - one.n * 10**9))
        for one in rig.lane.intents.values()
    }
    run(rig.store.transition(Transition(hash_writes={key: back})))
    rig.restart()
    rig.until(lambda: rig.lane.ready, 5)
    assert [one.n for one in rig.lane.intents.values()] == numbers


def test_orders_of_before_there_were_numbers_are_older_than_those_with_one() -> None:
    rig = Rig().opened()
    key = intents_key(rig.pair)
    newest, oldest = list(rig.lane.intents.values())
    old = msgspec.to_builtins(oldest)
    del old["n"]
    late = old | {"created_us": newest.created_us + 10**9}
    run(rig.store.transition(Transition(hash_writes={key: {oldest.id: msgspec.json.encode(late)}})))
    rig.restart()
    rig.until(lambda: rig.lane.ready, 5)
    assert list(rig.lane.intents) == [oldest.id, newest.id]
