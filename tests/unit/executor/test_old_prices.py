"""What a close may cost while the feed is silent and the market moves on."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from libs.common.messages import Funding
from libs.common.messages_exec import Breaker, Level
from libs.exchange.trading_values import OrderRequest, Outcome
from services.executor.lane import Draft
from services.executor.model import Intent, Purpose, State
from services.executor.old_prices import MOVED_MAX, WIDEST, last_collar, reducing_price
from services.executor.reducing import OLD_COLLAR, standing_of, why_not
from tests.unit.executor.lender import LoanRig
from tests.unit.executor.rig import PERP_KEY, SPOT_KEY, Rig

D = Decimal
NOTHING = (D(0), D(0))
FLATTEN = (Breaker(scope="global", level=Level.FLATTEN, reason="x"),)


def silenced(rise: str) -> LoanRig:
    """A reverse pair of 1,000 USD; the feed is silent since 10 s, and the market is so much higher."""
    rig = LoanRig().reversed("1000")
    arrive = rig.venues.arrive

    def checked(key: tuple[str, str], request: OrderRequest) -> Outcome:
        beside = request.price is not None and request.side.value == "buy"
        if beside and request.price is not None and request.price < rig.venues.books[key].ask:
            rig.venues.acts[key].appendleft("none")
        return arrive(key, request)

    rig.venues.arrive = checked  # type: ignore[method-assign]
    rig.feed_on = False
    rig.run(10)
    for book in rig.venues.books.values():
        book.bid *= D(rise)
        book.ask *= D(rise)
    return rig


def buys(rig: LoanRig) -> list[Intent]:
    return [one for one in rig.sent if one.leg == 0 and one.side == "buy"]


def marked(rig: Rig, mark: float, **fields: Any) -> None:
    """The feed's mark of the contract."""
    values: dict[str, Any] = {"recv_us": rig.now.wall_us} | fields
    said = Funding(
        venue=PERP_KEY[0],
        instrument=PERP_KEY[1],
        kind="current",
        rate=0.0,
        interval_hours=8.0,
        interval_source="rate",
        mark=mark,
        ts_ms=0,
        **values,
    )
    rig.world.on_funding(said, rig.now)


def test_what_the_contract_has_cost_is_newer_than_the_quote_of_the_coin() -> None:
    rig = silenced("1.06")
    rig.breakers = FLATTEN
    rig.run(30)
    assert rig.state is State.IDLE
    assert rig.held == NOTHING
    assert buys(rig)[-1].price == D("106.4")  # 0.5 % beyond the 105.9 that the contract has brought


def test_a_newer_mark_counts_and_an_older_one_does_not() -> None:
    rig = silenced("1.06")
    draft = Draft(rig.lane, rig.now)
    marked(rig, 120.0, recv_us=rig.now.wall_us - 60_000_000)
    assert reducing_price(rig.lane, draft, 0, "buy", D("0.005")) == D("100.6")
    marked(rig, 106.0)
    assert reducing_price(rig.lane, draft, 0, "buy", D("0.005")) == D("106.5")
    assert reducing_price(rig.lane, draft, 1, "sell", D("0.005")) == D("99.5")  # the worse of both is the bid
    assert reducing_price(rig.lane, draft, 1, "sell", None) is None
    marked(rig, 94.0)
    assert reducing_price(rig.lane, draft, 1, "sell", D("0.005")) == D("93.6")


def test_the_mark_of_the_accounts_own_position_counts() -> None:
    rig = silenced("1.06")
    shown = rig.venues.account

    def account(venue: str) -> Any:
        positions, balances = shown(venue)
        return tuple(replace(one, mark=D("107")) for one in positions), balances

    rig.venues.account = account  # type: ignore[method-assign]
    rig.breakers = FLATTEN
    rig.run(30)
    assert rig.world.marked[PERP_KEY][0] == D(107)
    assert rig.state is State.IDLE


def test_a_fresh_quote_is_all_that_counts() -> None:
    rig = LoanRig().reversed("1000")
    marked(rig, 130.0)
    draft = Draft(rig.lane, rig.now)
    assert reducing_price(rig.lane, draft, 0, "buy", D("0.005")) == D("100.6")
    assert [last_collar(rig.lane, draft, 0, tries) for tries in (2, 3, 30)] == [D("0.05")] * 3
    assert standing_of(rig.lane, draft, ()).collars == (D("0.1"), D("0.1"))


def test_with_nothing_newer_the_last_step_gets_wider() -> None:
    rig = silenced("1")
    rig.run(5)
    rig.breakers = FLATTEN
    rig.until(lambda: rig.held[1] == 0, 5)
    rig.venues.books[SPOT_KEY].ask = D("118")
    rig.run(60)
    assert rig.state is State.IDLE
    assert rig.held == NOTHING
    assert rig.refused == []
    prices = [one.price or D(0) for one in buys(rig)]
    assert prices == sorted(prices)
    assert prices[-1] > D(118)


def test_it_widens_to_a_bound_and_begins_again() -> None:
    rig = silenced("1")
    draft = Draft(rig.lane, rig.now)
    found = [last_collar(rig.lane, draft, 0, tries) for tries in range(2, 9)]
    assert found == [D(one) / 100 for one in (5, 10, 15, 20, 25, 5, 10)]
    assert max(found) == WIDEST


@pytest.mark.parametrize("mark", [1_000.0, 0.01])
def test_no_mark_takes_a_limit_further_than_half_the_price_and_the_gate_agrees(mark: float) -> None:
    rig = silenced("1")
    marked(rig, mark)
    draft = Draft(rig.lane, rig.now)
    buy = reducing_price(rig.lane, draft, 0, "buy", WIDEST)
    sell = reducing_price(rig.lane, draft, 0, "sell", WIDEST)
    assert buy is not None
    assert sell is not None
    assert (sell if mark < 1 else buy) == (D("50.0") if mark < 1 else D("150.1"))
    order = draft.order(0, "buy", D(1), Purpose.CLOSE, price=buy)
    standing = standing_of(rig.lane, draft, (order,))
    assert standing.collars == (OLD_COLLAR, OLD_COLLAR)
    assert why_not(order, standing) == ""
    assert "beyond the mid" in why_not(replace(order, price=D(156)), standing)
    assert MOVED_MAX < OLD_COLLAR
