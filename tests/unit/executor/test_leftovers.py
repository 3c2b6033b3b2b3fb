"""Orders of ours that outlived the store: found by their id, cancelled, told; nothing opens before that."""

from __future__ import annotations

from decimal import Decimal

import pytest

from libs.common.memory_store import MemoryStore
from libs.common.messages import AlertLevel
from libs.common.subjects import Kind
from libs.exchange.trading_values import OrderRequest, OrderType, Side, TimeInForce
from services.executor import events
from services.executor.ids import order_id
from services.executor.lane import Lane
from services.executor.model import IntentState, State
from services.executor.resolve import window_us
from services.executor.world import Key
from tests.unit.executor.build import intent
from tests.unit.executor.rig import FLAT, PERP_KEY, SPOT_KEY, Rig

W_SEC = window_us("binance") / 1e6


def posted() -> Rig:
    """A maker whose post rests on the perpetual."""
    rig = Rig(style="maker_first")
    rig.wish("open")
    rig.until(lambda: len(rig.venues.resting()) == 1, 2)
    return rig


def lose_the_store(rig: Rig) -> None:
    """kill -9 of everything, and a store that is new and empty."""
    rig.store = MemoryStore(clock=rig.clock, store_id="fedcba9876543210")
    rig.lane.lease = None
    rig.restart()
    rig.durable = rig.lane.blank()


def rest(rig: Rig, key: Key, client_id: str, *, margin: bool = False) -> None:
    """Somebody's order that rests at a venue."""
    rig.venues.acts[key].append("rest")
    rig.venues.arrive(
        key,
        OrderRequest(
            client_id=client_id,
            instrument=key[1],
            side=Side.BUY,
            type=OrderType.LIMIT,
            quantity=Decimal(1),
            price=Decimal(90),
            tif=TimeInForce.POST_ONLY,
            margin=margin,
        ),
    )


def ours(n: int, deployment: str = "rig") -> str:
    """An id of a store that is gone."""
    return order_id(store_id="gone", deployment=deployment, pair="p", leg=0, purpose="open", n=n)


def test_a_post_of_a_lost_store_is_cancelled_and_told_before_anything_else() -> None:
    rig = posted()
    lose_the_store(rig)
    rig.until(lambda: rig.lane.ready, 5)
    assert rig.venues.resting() == []
    told = rig.told("leftover")
    assert len(told) == 1
    assert "no pair remembers it" in told[0]
    assert [one.level for one in rig.alerts if "leftover" in one.key] == [AlertLevel.CRITICAL]


def test_the_pair_is_not_ready_while_orders_cannot_be_listed_or_cancelled() -> None:
    rig = posted()
    rig.venues.lists_fail, rig.venues.cancel_fails = 6, 2
    lose_the_store(rig)
    rig.run(1.5)
    assert not rig.lane.ready
    assert "earlier store" in rig.lane.blocked
    sent = len(rig.sent)
    rig.wish("open")
    rig.until(lambda: not rig.venues.resting(), 8)
    assert len(rig.sent) == sent
    rig.until(lambda: rig.lane.ready, 5)
    assert len(rig.told("leftover")) == 1, "each order is told once"


@pytest.mark.parametrize(("key", "margin"), [(SPOT_KEY, False), (SPOT_KEY, True), (PERP_KEY, False)])
def test_every_desk_of_both_legs_is_searched(key: Key, *, margin: bool) -> None:
    rig = Rig()
    rest(rig, key, ours(1), margin=margin)
    lose_the_store(rig)
    rig.until(lambda: rig.lane.ready, 5)
    assert rig.venues.resting() == []


def test_what_others_have_posted_stays() -> None:
    """The user's own orders, and those of another deployment."""
    rig = Rig()
    rest(rig, PERP_KEY, "web1234")
    rest(rig, SPOT_KEY, ours(1, deployment="another"))
    lose_the_store(rig)
    rig.until(lambda: rig.lane.ready, 5)
    assert len(rig.venues.resting()) == 2
    assert rig.alerts == []


def test_what_lands_after_the_search_is_found_by_the_next_one() -> None:
    rig = Rig()
    lose_the_store(rig)
    rig.until(lambda: rig.lane.ready, 5)
    rest(rig, PERP_KEY, ours(2))
    rig.run(W_SEC + 3)
    assert rig.venues.resting() == []
    assert rig.lane.ready
    assert len(rig.told("leftover")) == 1


def test_a_pair_that_the_store_knows_asks_for_nothing() -> None:
    rig = Rig().opened()
    rig.restart()
    rig.requests.clear()
    rig.until(lambda: rig.lane.ready, 5)
    assert not any(isinstance(one, events.ListOrders) for one in rig.requests)


def test_what_filled_before_the_cancel_halts_the_pair() -> None:
    rig = posted()
    rig.stream_on = False
    rig.fill_resting("0.4")
    lose_the_store(rig)
    rig.until(lambda: rig.state is State.STUCK, 20)
    assert rig.venues.resting() == []
    assert "0.4 filled" in rig.told("leftover")[0]
    assert rig.shown != FLAT


def test_orders_of_a_pair_on_the_same_instrument_are_known() -> None:
    """Before all sharers were read nobody knows whose an order is: none is cancelled."""
    rig = Rig()
    lose_the_store(rig)
    other = Lane("other", (PERP_KEY, ("binance", "BTC-USDC-PERP")), (Kind.PERP, Kind.PERP), rig.world)
    rig.actor.lanes["other"] = rig.world.lanes["other"] = other  # type: ignore[index]
    rest(rig, PERP_KEY, ours(3))
    rig.run(3)
    assert not rig.lane.ready
    assert len(rig.venues.resting()) == 1
    other.intents = {ours(3): intent(state=IntentState.DONE)}
    other.loaded = True
    rig.until(lambda: rig.lane.ready, 5)
    assert len(rig.venues.resting()) == 1
