"""Trades that are not told: a pair acts all the same, and sells nothing that is not its own."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from libs.common.messages_exec import Breaker, Level
from libs.exchange.trading_values import Done
from services.executor.assumed import AFTER_US, is_unknown
from services.executor.events import FetchFills
from services.executor.model import Purpose, State
from services.executor.order import fills_complete
from services.executor.stall import PATIENCE_US
from services.executor.steps import TRIES_MAX
from tests.unit.executor.asking import done, refused
from tests.unit.executor.lender import LoanRig
from tests.unit.executor.rig import FLAT, PERP_KEY, SPOT_KEY, Rig
from tests.unit.executor.scripted import Act, times

FLATTEN = Breaker(scope="global", level=Level.FLATTEN, reason="x")
AFTER_SEC = AFTER_US / 1e6


class Untold(Rig):
    """The spot market's answers have no trades, and its books of them are away."""

    def start(self) -> None:
        super().start()
        arrive = self.venues.arrive

        def bare(key: Any, request: Any) -> Any:
            told = arrive(key, request)
            return Done(report=told.report) if key == SPOT_KEY and isinstance(told, Done) else told

        self.venues.arrive = bare  # type: ignore[method-assign]
        self.venues.fills_fail = 10**9
        self.stream_on = False


class UntoldLoan(Untold, LoanRig):
    """The same for borrowed coins."""


def tell(rig: Rig) -> None:
    rig.venues.fills_fail = 0
    rig.until(lambda: all(fills_complete(one) for one in rig.lane.intents.values()), 400)


@pytest.mark.parametrize("fee", ["0", "0.001", "0.004"])
def test_an_orphan_is_sold_although_its_trades_are_not_told(fee: str) -> None:
    rig = Untold(base_fee=fee)
    rig.venues.users_coins = Decimal(7)
    rig.acts("perp", "reject")
    rig.wish("open", "1000")
    rig.until(lambda: rig.moves[-1:] == ["unwinding>idle"], AFTER_SEC + 10)
    assert rig.orders(Purpose.UNWIND)
    left = rig.venues.held[SPOT_KEY]
    assert 0 <= left < Decimal("0.06"), "none of the user's coins is sold"
    tell(rig)
    rig.run(30)
    assert rig.lane.dust[0] + rig.held[0] == rig.venues.held[SPOT_KEY], (
        "what was assumed too much is ours again"
    )
    assert rig.state is State.IDLE


def test_a_flatten_is_obeyed_although_trades_are_not_told() -> None:
    rig = Untold(base_fee="0.001")
    rig.wish("open", "1000")
    rig.run(3)
    rig.breakers = (FLATTEN,)
    rig.until(lambda: rig.state is State.IDLE, AFTER_SEC + 10)
    assert rig.shown[1] == 0
    assert rig.held == FLAT


def test_a_hedged_pair_waits_for_its_trades_and_is_not_trimmed_for_an_assumed_fee() -> None:
    rig = Untold(base_fee="0.001")
    rig.wish("open", "1000")
    rig.run(60)
    assert len(rig.sent) == 2
    tell(rig)
    rig.until(lambda: rig.state is State.ACTIVE, 10)
    assert rig.held[0] == rig.venues.held[SPOT_KEY]
    assert rig.shown[1] == rig.held[1] == -10


def test_what_a_venue_takes_meanwhile_is_followed() -> None:
    rig = Untold(base_fee="0.001")
    rig.wish("open", "1000")
    rig.run(30)
    rig.venues.take(PERP_KEY, Decimal(9))
    rig.until(lambda: abs(rig.shown[0] + rig.shown[1]) < Decimal("0.1"), AFTER_SEC + 15)


def test_for_a_few_seconds_nothing_is_sent_before_the_fee_is_known() -> None:
    rig = Untold(base_fee="0.001")
    rig.acts("perp", "reject")
    rig.wish("open", "1000")
    rig.run(AFTER_SEC - 1)
    assert rig.orders(Purpose.UNWIND) == []


@pytest.mark.parametrize("fee", ["0", "0.001", "0.004"])
def test_borrowed_coins_are_bought_back_although_trades_are_not_told(fee: str) -> None:
    rig = UntoldLoan(base_fee=fee)
    rig.venues.users_coins = Decimal(7)
    rig.wish("open", "1000", direction="reverse")
    rig.run(3)
    rig.acts("spot", "half")
    rig.breakers = (FLATTEN,)
    rig.until(lambda: rig.state is State.IDLE, AFTER_SEC * 3 + 10)
    assert rig.lender.borrowed == 0
    assert rig.shown[1] == 0
    assert 0 <= rig.shown[0] < Decimal("0.2"), "none of the user's coins is repaid"
    tell(rig)
    rig.run(30)
    assert rig.state is State.IDLE
    assert rig.lane.state.legs[0].coins + rig.lane.dust[0] == rig.shown[0]


def test_nothing_is_said_to_wait_for_trades_once_a_fee_is_assumed() -> None:
    rig = Untold(base_fee="0.001")
    rig.acts("perp", "half")
    rig.wish("open", "1000")
    rig.until(lambda: rig.state is State.ACTIVE, AFTER_SEC + 5)
    rig.run(PATIENCE_US / 1e6 + 30)
    assert rig.told("stalled") == []
    assert rig.lane.heed.slow == ""
    assert not all(fills_complete(one) for one in rig.lane.intents.values())


def test_what_fills_after_a_fee_was_assumed_has_a_fee_too() -> None:
    rig = Untold(base_fee="0.001")
    rig.acts("perp", "half")
    rig.wish("open", "1000")
    rig.until(lambda: rig.state is State.ACTIVE, AFTER_SEC + 5)
    (buy,) = (one for one in rig.orders(Purpose.OPEN) if one.leg == 0)
    assert not is_unknown(buy)
    assert is_unknown(replace(buy, filled=buy.filled * 2))


def test_a_halt_ends_although_trades_are_not_told() -> None:
    rig = Untold(base_fee="0.001")
    rig.wish("open", "1000")
    rig.run(3)
    rig.venues.held[PERP_KEY] += 1
    rig.until(lambda: rig.state is State.STUCK, 30)
    rig.venues.held[PERP_KEY] -= 1
    rig.run(AFTER_SEC)
    assert done(rig, "reset", pair=rig.pair, confirm=True)["state"] == "active"
    rig.run(30)
    tell(rig)
    rig.run(30)
    assert rig.state is State.ACTIVE
    assert rig.held == rig.shown


@pytest.mark.parametrize("users", [0, 7])
def test_a_halt_with_an_orphan_ends_when_it_is_sold_by_hand_although_trades_are_not_told(users: int) -> None:
    rig = Untold(base_fee="0.001")
    rig.venues.users_coins = Decimal(users)
    rig.run(10)
    rig.acts("perp", "reject")
    rig.acts("spot", "fill", *times(TRIES_MAX, "none"))
    rig.wish("open", "1000")
    rig.until(lambda: rig.state is State.STUCK, 300)
    code, _ = refused(rig, "reset", pair=rig.pair, confirm=True)
    assert code == "coins", "the coins beyond the assumed fee may be anybody's"
    rig.venues.held[SPOT_KEY] = Decimal(0)
    assert done(rig, "reset", pair=rig.pair, confirm=True, coins="sold")["state"] == "idle"
    assert rig.held == FLAT
    tell(rig)
    rig.run(60)
    assert rig.state is State.IDLE
    assert rig.shown[0] == 0, "none of the user's coins is sold"


@pytest.mark.parametrize(("perp", "most"), [("reject", 10), ("fill", 62)])
def test_what_is_never_told_does_not_use_up_the_venues_budget(perp: Act, most: int) -> None:
    """Half a minute apart and more where a fee is assumed, 5 s where the pair waits: not twice a second."""
    rig = Untold(base_fee="0.001")
    rig.acts("perp", perp)
    rig.wish("open", "1000")
    rig.run(620)
    rig.requests.clear()
    rig.run(300)
    asked = [one for one in rig.requests if isinstance(one, FetchFills) and one.instrument == SPOT_KEY[1]]
    assert 3 <= len(asked) <= most
    assert any(one.urgent for one in asked) == (perp == "fill")
