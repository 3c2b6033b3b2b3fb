"""Orders are no larger than the venue takes at once, and a close above that comes to its end."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from msgspec.structs import replace

from libs.common.messages import InstrumentInfo
from libs.common.messages_exec import Breaker, Level
from libs.exchange.trading_values import OrderRequest, Outcome, Rejected
from services.executor.lane import Draft
from services.executor.model import IntentState, Purpose, State
from services.executor.portions import learned, slices_of
from services.executor.sizing import order_max
from services.executor.world import Key, rules_of
from tests.unit.executor.lender import LoanRig
from tests.unit.executor.rig import PERP_KEY, SPOT_KEY, Rig
from tests.unit.executor.scripted import STEP, described, times

D = Decimal
NOTHING = (D(0), D(0))
FLATTEN = (Breaker(scope="global", level=Level.FLATTEN, reason="x"),)


def told(rig: Rig, key: Key, most: str | None, market: str | None) -> None:
    """The feed names maxima."""
    info = replace(described(key, D(0)), quantity_max=most, market_quantity_max=market)
    rig.hear(info, "md.instrument")
    rig.run(0.001)


def strict(rig: Rig, which: Key, most: Decimal | None, market: Decimal | None) -> list[OrderRequest]:
    """The venue refuses what is larger; the orders that it refused."""
    arrive, refused = rig.venues.arrive, []

    def checked(key: Key, request: OrderRequest) -> Outcome:
        cap = most if request.price is not None else market
        if key == which and cap is not None and request.quantity > cap:
            refused.append(request)
            return Rejected(code="-1013", reason="filter", text="Filter failure: LOT_SIZE")
        return arrive(key, request)

    rig.venues.arrive = checked  # type: ignore[method-assign]
    return refused


def test_a_close_by_force_goes_by_several_market_orders() -> None:
    rig = Rig().opened("5000")
    told(rig, SPOT_KEY, "1000", "0.9")
    refused = strict(rig, SPOT_KEY, D(1000), D("0.9"))
    rig.acts("spot", "none", "none")
    rig.breakers = FLATTEN
    rig.run(200)
    assert rig.state is State.IDLE
    assert (rig.held, rig.shown) == (NOTHING, NOTHING)
    assert refused == []
    markets = [one for one in rig.sent if one.leg == 0 and one.price is None]
    assert len(markets) > 50  # more than the tries of a ladder
    assert max(one.quantity for one in markets) == D("0.9")


@pytest.mark.parametrize("market", [20, 3])
def test_an_unknown_maximum_of_market_orders_is_found(market: int) -> None:
    rig = Rig().opened("5000")
    refused = strict(rig, SPOT_KEY, None, D(market))
    rig.acts("spot", *times(5, "none"))
    rig.breakers = FLATTEN
    rig.run(200)
    assert rig.state is State.IDLE
    assert rig.held == NOTHING
    assert 1 <= len(refused) <= 5


def test_an_unknown_maximum_of_all_orders_is_found() -> None:
    rig = Rig().opened("5000")
    refused = strict(rig, SPOT_KEY, D(13), D(13))
    rig.breakers = FLATTEN
    rig.run(200)
    assert rig.state is State.IDLE
    assert rig.held == NOTHING
    assert len(refused) < 15


def test_borrowed_coins_are_bought_back_part_by_part() -> None:
    rig = LoanRig().reversed("5000")
    told(rig, SPOT_KEY, "7", None)
    refused = strict(rig, SPOT_KEY, D(7), D(7))
    rig.breakers = FLATTEN
    rig.run(200)
    assert rig.state is State.IDLE
    assert rig.held == NOTHING
    assert refused == []


@pytest.mark.parametrize("key", [SPOT_KEY, PERP_KEY])
def test_slices_of_openings_and_soft_closes_are_small_enough(key: Key) -> None:
    rig = Rig()
    told(rig, key, "3", "3")
    refused = strict(rig, key, D(3), D(3))
    rig.wish("open", "5000")
    rig.until(lambda: rig.state is State.ACTIVE, 60)
    whole = rig.held[0]
    assert whole > D("49.9")
    assert whole == -rig.held[1]
    rig.wish("close")
    rig.until(lambda: rig.state is State.IDLE, 60)
    assert rig.held == NOTHING
    assert refused == []
    assert State.UNWINDING.value not in "".join(rig.moves)
    assert max(one.quantity for one in rig.sent) <= 3


def test_a_part_leaves_no_rest_that_is_too_small() -> None:
    rig = Rig().opened("1000")
    told(rig, SPOT_KEY, "5", None)
    draft = Draft(rig.lane, rig.now)
    sold = [draft.order(0, "sell", D(one), Purpose.CLOSE, price=D(99)).quantity for one in ("5", "5.01", "6")]
    assert sold == [D(5), D("2.505"), D(5)]
    told(rig, SPOT_KEY, "0.0001", None)  # below the least: nonsense
    assert Draft(rig.lane, rig.now).order(0, "sell", D(5), Purpose.CLOSE, price=D(99)).quantity == 5


def test_what_a_filter_teaches() -> None:
    rig = Rig().opened("1000")
    draft = Draft(rig.lane, rig.now)
    assert learned(draft, 0, market=True) is None
    first = draft.order(0, "sell", D(8), Purpose.CLOSE, price=None)
    draft.put(replace(first, state=IntentState.REJECTED, failure="funds"))
    assert learned(draft, 0, market=True) is None
    draft.put(replace(first, state=IntentState.REJECTED, failure="filter"))
    assert learned(draft, 0, market=True) == 4
    assert (learned(draft, 0, market=False), learned(draft, 1, market=True)) == (None, None)
    second = draft.order(0, "sell", D(8), Purpose.CLOSE, price=None)
    assert second.quantity == 4
    draft.put(replace(second, state=IntentState.DONE, filled=D(4)))
    assert learned(draft, 0, market=True) == 8


def test_a_market_order_has_the_smaller_maximum_and_old_messages_have_none() -> None:
    info = described(SPOT_KEY, D(0))
    plain = rules_of(info)
    assert (order_max(plain, market=True), order_max(plain, market=False)) == (None, None)
    both = rules_of(replace(info, quantity_max="9", market_quantity_max="2"))
    assert (order_max(both, market=True), order_max(both, market=False)) == (D(2), D(9))
    assert order_max(rules_of(replace(info, quantity_max="0")), market=True) is None
    assert slices_of(D(50), both, plain) == 6
    assert slices_of(D(50), plain, plain) == 1
    raw = msgspec.json.decode(msgspec.json.encode(info))
    old = {name: value for name, value in raw.items() if name not in ("quantity_max", "market_quantity_max")}
    assert len(old) == len(raw) - 2
    assert msgspec.json.decode(msgspec.json.encode(old), type=InstrumentInfo) == info


@pytest.mark.parametrize("times_coarser", [10, 100])
def test_a_step_that_was_told_wrongly_is_found(times_coarser: int) -> None:
    rig = Rig().opened("4999.7")
    arrive, refused = rig.venues.arrive, []
    step = STEP * times_coarser

    def checked(key: Key, request: OrderRequest) -> Outcome:
        if key == SPOT_KEY and request.quantity % step:
            refused.append(request)
            return Rejected(code="-1013", reason="filter", text="Filter failure: LOT_SIZE")
        return arrive(key, request)

    rig.venues.arrive = checked  # type: ignore[method-assign]
    rig.breakers = FLATTEN
    rig.run(30)
    assert rig.held[0] < step
    assert 1 <= len(refused) <= 12


@pytest.mark.parametrize("usd", ["104.9", "100.4", "109.9"])
def test_refusals_that_were_not_of_the_step_leave_nothing_behind(usd: str) -> None:
    """A band of prices refuses the limits of the ladder; the market order that follows sells all."""
    rig = Rig().opened(usd)
    arrive = rig.venues.arrive

    def checked(key: Key, request: OrderRequest) -> Outcome:
        if key == SPOT_KEY and request.price is not None:
            return Rejected(code="-1013", reason="filter", text="Filter failure: PERCENT_PRICE")
        return arrive(key, request)

    rig.venues.arrive = checked  # type: ignore[method-assign]
    rig.breakers = FLATTEN
    rig.until(lambda: rig.state is State.IDLE, 30)
    assert rig.shown == NOTHING


@pytest.mark.parametrize("which", [SPOT_KEY, PERP_KEY])
@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_a_soft_close_with_a_step_that_was_told_wrongly_keeps_the_hedge(which: Key, direction: str) -> None:
    """It fails, and is told; what was taken from the one leg is brought back on the other."""
    rig = Rig().opened("4999.7") if direction == "forward" else LoanRig().reversed("4999.7")
    arrive = rig.venues.arrive

    def checked(key: Key, request: OrderRequest) -> Outcome:
        if key == which and request.quantity % (STEP * 100):
            return Rejected(code="-1013", reason="filter", text="Filter failure: LOT_SIZE")
        return arrive(key, request)

    rig.venues.arrive = checked  # type: ignore[method-assign]
    rig.wish("close")
    rig.run(100)
    first, second = rig.shown
    assert rig.state is State.ACTIVE
    assert abs(first + second) <= STEP * 100
    assert "LOT_SIZE" in rig.told("close")[0]
