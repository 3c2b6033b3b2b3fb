"""A close sells min(own, free): what is not free is not sold blindly, and a person is told."""

from __future__ import annotations

from decimal import Decimal

import pytest

from libs.common.messages_exec import Breaker, Level
from libs.exchange.trading_values import BalanceReport, PositionReport
from services.executor.model import Purpose, State
from tests.unit.executor.rig import FLAT, SPOT_KEY, Rig


class Locking(Rig):
    """So many coins of the wallet lie in an order of the user's."""

    locked = Decimal(0)

    def locks(self, coins: str) -> None:
        self.locked = Decimal(coins)
        plain = type(self.venues).account

        def account(venue: str) -> tuple[tuple[PositionReport, ...], tuple[BalanceReport, ...]]:
            positions, balances = plain(self.venues, venue)
            rows = tuple(
                BalanceReport(
                    wallet=one.wallet, asset=one.asset, total=one.total, free=one.total - self.locked
                )
                if one.asset == "BTC"
                else one
                for one in balances
            )
            return positions, rows

        self.venues.account = account  # type: ignore[method-assign]


def sold(rig: Rig) -> list[Decimal]:
    return [one.quantity for one in rig.sent if one.leg == 0 and one.side == "sell"]


def test_no_more_is_sold_than_is_free_and_a_person_is_told() -> None:
    rig = Locking().opened()
    rig.locks("0.4")
    rig.run(8)
    rig.wish("close")
    rig.until(lambda: "closing>active" in rig.moves, 20)
    assert sold(rig) == [Decimal("0.6")]
    assert "1 BTC at binance are ours, 0.6 are free" in rig.told("free")[0]
    assert len(rig.told("free")) == 1
    left = (Decimal("0.4"), Decimal("-0.4"))
    assert rig.held == left == rig.shown, "the soft close failed: what could not be sold is hedged again"


def test_when_nothing_is_free_nothing_is_sent_for_the_coins() -> None:
    rig = Locking().opened()
    rig.locks("1")
    rig.run(8)
    rig.wish("close")
    rig.until(lambda: "closing>active" in rig.moves, 20)
    assert sold(rig) == []
    rig.locks("0")
    rig.run(70)
    rig.wish("close")
    rig.until(lambda: rig.state is State.IDLE, 10)
    assert rig.shown == FLAT


def test_a_hard_close_goes_on_until_a_person_has_to_come() -> None:
    rig = Locking().opened()
    rig.locks("0.4")
    rig.run(8)
    rig.breakers = (Breaker(scope="global", level=Level.FLATTEN, reason="loss of the day"),)
    rig.until(lambda: rig.state is State.STUCK, 150)
    assert sold(rig) == [Decimal("0.6")]
    assert rig.shown[1] == 0
    assert rig.told("stuck")


def test_the_users_coins_make_up_for_nothing() -> None:
    """Three of the user's beside ours, three locked: ours are as free as any."""
    rig = Locking().opened()
    rig.venues.held[SPOT_KEY] += Decimal(3)
    rig.locks("3")
    rig.run(8)
    rig.wish("close")
    rig.until(lambda: rig.state is State.IDLE, 10)
    assert sold(rig) == [Decimal(1)]
    assert rig.told("free") == []


@pytest.mark.parametrize("style", ["sequential", "maker_first"])
def test_no_style_leaves_the_other_leg_alone_for_coins_that_are_not_free(style: str) -> None:
    rig = Locking(style=style)
    rig.wish("open")
    if style == "maker_first":
        rig.until(lambda: len(rig.venues.resting()) == 1, 3)
        rig.run(0.05)
        rig.fill_resting("1")
    rig.until(lambda: rig.state is State.ACTIVE, 5)
    rig.locks("0.4")
    rig.run(8)
    rig.wish("close")
    rig.until(lambda: "closing>active" in rig.moves, 30)
    assert rig.shown == (Decimal("0.4"), Decimal("-0.4"))


def test_a_venue_that_says_there_are_no_funds_is_looked_at_before_the_next_try() -> None:
    rig = Locking().opened()
    rig.run(2)
    rig.locks("0.4")
    rig.acts("spot", "reject")
    rig.wish("close")
    rig.until(lambda: bool(rig.told("free")), 5)
    rig.run(0.5)
    assert sold(rig)[:2] == [Decimal(1), Decimal("0.6")]
    assert rig.orders(Purpose.CLOSE)
