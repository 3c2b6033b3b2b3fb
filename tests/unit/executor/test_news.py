"""In which coin a fee makes a leg smaller, and by which rule an order failed."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from libs.common.messages_exec import Breaker, Level
from libs.common.subjects import SPOT, kind_of
from libs.exchange.trading_values import FillReport
from services.executor.events import FillSeen
from services.executor.model import Purpose, State
from services.executor.say import order_event
from services.executor.translate import request_of
from tests.unit.executor.rig import FLAT, PERP_KEY, SPOT_KEY, Rig
from tests.unit.executor.scripted import Placed, Venues


class OwnCoin(Venues):
    """Venues whose contracts take their fees in the contract's own coin, beside the position."""

    def fill(self, placed: Placed, quantity: Decimal) -> tuple[FillReport, ...]:
        trades = super().fill(placed, quantity)
        if kind_of(placed.key[1]) is SPOT:
            return trades
        return tuple(
            msgspec.structs.replace(one, fee=one.quantity / 1_000, fee_asset="BTC") for one in trades
        )


def test_a_contracts_fee_in_its_own_coin_leaves_the_leg_as_it_is() -> None:
    rig = Rig()
    rig.venues = OwnCoin(rig.venues.books)
    rig.opened()
    assert rig.held == (Decimal(1), Decimal(-1)) == rig.shown


def test_a_spot_buys_fee_in_its_own_coin_is_missing_from_the_leg() -> None:
    rig = Rig(base_fee="0.001")
    rig.opened()
    assert rig.held == rig.shown
    bought = sum(
        (one.filled for one in rig.lane.intents.values() if one.leg == 0 and one.side == "buy"), Decimal(0)
    )
    assert rig.held[0] == bought * Decimal("0.999")


def test_what_was_rejected_says_by_which_rule() -> None:
    rig = Rig()
    rig.acts("perp", "reject")
    rig.wish("open")
    rig.until(lambda: rig.state is State.IDLE and len(rig.sent) > 2, 10)
    (rejected,) = [one for one in rig.orders(Purpose.OPEN) if one.leg == 1]
    assert order_event(rejected, PERP_KEY, rig.now).failure == "funds"
    assert order_event(rig.orders(Purpose.OPEN)[0], SPOT_KEY, rig.now).failure == ""


def test_what_the_gate_kept_back_says_by_which_rule() -> None:
    rig = Rig()
    rig.wish("open")
    rig._pump()  # decided, and on its way to the store
    rig.breakers = (Breaker(scope="global", level=Level.NO_OPENS, reason="x"),)
    rig.beat()
    rig.run(2)
    assert rig.sent == []
    assert {one.failure for one in rig.lane.intents.values()} == {"breaker"}


def test_a_rejected_order_that_fills_after_all_is_booked_paged_and_unwound() -> None:
    rig = Rig()
    rig.acts("perp", "reject")
    rig.wish("open")
    rig.until(lambda: rig.state is State.IDLE and len(rig.sent) > 2, 10)
    (rejected,) = [one for one in rig.orders(Purpose.OPEN) if one.leg == 1]
    rig.venues.arrive(PERP_KEY, request_of(rejected, PERP_KEY[1]))
    (trade,) = rig.venues.trades[PERP_KEY]
    rig.offer(FillSeen(pair=rig.pair, venue=PERP_KEY[0], fill=trade))
    rig.until(lambda: len(rig.told("late_fill")) == 1, 1)
    rig.until(lambda: rig.state is State.IDLE and rig.shown == FLAT, 10)
    assert rig.held == FLAT
