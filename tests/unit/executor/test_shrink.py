"""Shrinking on risk's demand, and by our own looks when risk is away."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from libs.carry.shrink import ALONE_AFTER_US, EVERY_US
from libs.common.instant import US_PER_SEC
from libs.common.messages_exec import AccountBalance, AccountPosition, AccountStatus
from services.executor.model import OrderClass, Purpose, State
from tests.unit.executor.lender import LoanRig
from tests.unit.executor.rig import FLAT, PERP_KEY, Rig
from tests.unit.executor.scripted import times

ALONE_SEC = ALONE_AFTER_US / US_PER_SEC
STEP_SEC = EVERY_US / US_PER_SEC


def halves(quantity: str) -> tuple[Decimal, Decimal]:
    """Both legs of a forward pair of that size."""
    return Decimal(quantity), -Decimal(quantity)


def status(distance: float | None, **fields: Any) -> AccountStatus:
    """The perp's account, so far from liquidation."""
    mark = 100.0
    end = None if distance is None else mark * (1 + distance)
    held = AccountPosition(
        instrument=PERP_KEY[1], quantity=Decimal(-1), mark=mark, liquidation_price=end, leverage=3.0
    )
    values: dict[str, Any] = {"venue": "binance", "balances": (), "margin_ratio": 0.01, "wall_us": 0} | fields
    return AccountStatus(positions=(held,), liquidation_distance=distance, **values)


def test_a_share_is_one_of_what_was_opened_whatever_the_price() -> None:
    rig = Rig().opened()
    for book in rig.venues.books.values():
        book.bid, book.ask = Decimal("49.9"), Decimal("50.1")
    rig.run(2)
    rig.max_ratio = {rig.pair: 0.5}
    rig.until(lambda: rig.shown == halves("0.5"), 5)


def test_a_share_of_a_pair_that_was_filled_in_part_is_one_of_that_part() -> None:
    rig = Rig()
    rig.acts("perp", "half")
    rig.wish("open")
    rig.until(lambda: rig.state is State.ACTIVE, 10)
    rig.max_ratio = {rig.pair: 0.5}
    rig.until(lambda: rig.shown == halves("0.25"), 5)


def test_each_share_is_one_of_the_size_when_the_demand_began_also_over_a_restart() -> None:
    rig = Rig().opened()
    rig.max_ratio = {rig.pair: 0.75}
    rig.until(lambda: rig.shown == halves("0.75"), 5)
    rig.run(3)
    rig.restart()
    rig.run(5)
    assert rig.shown == halves("0.75"), "the same share again is no new demand"
    rig.max_ratio = {rig.pair: 0.5}
    rig.until(lambda: rig.shown == halves("0.5"), 5)


def test_a_crash_amid_a_shrink_does_not_shrink_twice() -> None:
    rig = Rig().opened()
    rig.acts("perp", *times(3, "none"))
    rig.max_ratio = {rig.pair: 0.5}
    rig.until(lambda: rig.shown[0] == Decimal("0.5"), 5)
    rig.restart()
    rig.until(lambda: rig.shown == halves("0.5"), 60)
    rig.run(10)
    assert rig.shown == rig.held == halves("0.5")


def test_it_never_grows_again_and_a_new_demand_is_a_share_of_what_is_left() -> None:
    rig = Rig().opened()
    rig.max_ratio = {rig.pair: 0.5}
    rig.until(lambda: rig.shown == halves("0.5"), 5)
    rig.max_ratio = {}
    rig.run(30)
    assert rig.shown == halves("0.5")
    assert {one.order_class for one in rig.sent[2:]} == {OrderClass.REDUCE}
    rig.max_ratio = {rig.pair: 0.5}
    rig.until(lambda: rig.shown == halves("0.25"), 5)


def test_nothing_is_opened_beyond_an_allowed_share() -> None:
    rig = Rig()
    rig.max_ratio = {rig.pair: 0.5}
    rig.run(1)
    rig.wish("open")
    rig.run(2)
    assert rig.sent == []
    assert "50% of its size" in rig.notes[-1]


def test_while_permits_come_only_risk_says_how_much() -> None:
    rig = Rig().opened()
    for _ in range(6):
        rig.world.on_account(status(0.07), rig.now)
        rig.run(STEP_SEC / 2)
    assert rig.shown == halves("1")


def test_without_risk_short_collateral_shrinks_both_legs_and_closes_at_last() -> None:
    rig = Rig().opened()
    rig.risk_on = False
    rig.world.on_account(status(0.07), rig.now)
    rig.run(ALONE_SEC - 2)
    assert rig.shown == halves("1"), "risk may come back"
    rig.until(lambda: rig.shown == halves("0.75"), 5)
    rig.run(1)
    assert len(rig.orders(Purpose.SHRINK)) == 2
    for _ in range(3):
        rig.run(STEP_SEC + 1)
        rig.world.on_account(status(0.07), rig.now)
    rig.until(lambda: rig.state is State.IDLE, 10)
    assert rig.shown == FLAT
    assert "without risk the collateral allows nothing" in rig.durable.reason


def test_a_restart_without_risk_waits_as_long_before_it_is_alone() -> None:
    rig = Rig().opened()
    rig.risk_on = False
    rig.restart()
    rig.world.on_account(status(0.07), rig.now)
    rig.run(ALONE_SEC - 2)
    assert rig.shown == halves("1")
    rig.until(lambda: rig.shown == halves("0.75"), 5)


def test_without_risk_the_stricter_of_its_last_word_and_our_own_counts() -> None:
    rig = Rig().opened()
    rig.max_ratio = {rig.pair: 0.5}
    rig.until(lambda: rig.shown == halves("0.5"), 5)
    rig.risk_on = False
    rig.world.on_account(status(0.07), rig.now)
    rig.run(ALONE_SEC + 5)
    assert rig.shown == halves("0.5")


def test_without_risk_used_up_collateral_is_a_hard_close() -> None:
    rig = Rig().opened()
    rig.risk_on = False
    rig.world.on_account(status(0.04), rig.now)
    rig.run(ALONE_SEC - 2)
    assert rig.state is State.ACTIVE
    rig.until(lambda: rig.state is State.IDLE, 5)
    assert "is used up" in rig.durable.reason


def wallet(dollars: float) -> tuple[AccountBalance, ...]:
    """A margin wallet that owes one coin of 100 dollars."""
    coin, zero = Decimal(1), Decimal(0)
    return (
        AccountBalance(wallet="margin", asset="USDT", total=Decimal(str(dollars)), free=zero, usd=dollars),
        AccountBalance(wallet="margin", asset="BTC", total=zero, free=zero, borrowed=coin, usd=-100.0),
    )


def test_without_risk_a_loan_that_is_about_to_be_called_is_a_hard_close() -> None:
    rig = LoanRig().reversed()
    rig.risk_on = False
    rig.world.on_account(status(0.5, balances=wallet(200.0)), rig.now)
    rig.run(ALONE_SEC + 2)
    assert rig.state is State.ACTIVE
    assert not rig.world.is_near(rig.keys)
    rig.world.on_account(status(0.5, balances=wallet(110.0 * 1.04)), rig.now)
    assert rig.world.is_near(rig.keys), "waits for no venue"
    rig.until(lambda: rig.state is State.IDLE, 20)
    assert rig.held == FLAT
    assert rig.lender.borrowed == 0


@pytest.mark.parametrize(
    ("fields", "what"),
    [({"venue": "bitget"}, "another venue's account"), ({"trusted": False}, "an account that was not read")],
)
def test_what_says_nothing_of_the_pair_shrinks_nothing(fields: dict[str, Any], what: str) -> None:
    rig = Rig().opened()
    rig.risk_on = False
    rig.world.on_account(status(0.07, **fields), rig.now)
    rig.run(ALONE_SEC + 5)
    assert rig.shown == halves("1"), what
