"""Equity, residual and what is said of them: nothing that was not compared is a figure."""

from __future__ import annotations

from decimal import Decimal

import pytest

from libs.carry.identity import Contract, Explained
from libs.common.config.schema import Config
from libs.common.effects import Measure
from libs.common.messages_exec import BookSummary
from services.executor.books import Books, Opening
from services.executor.comparing import CENT, Shown, tolerances
from services.executor.permit import PermitView
from services.executor.summary import Totals, measures, summary_of, totals
from services.executor.world import World
from tests.property.pnl_life import Life
from tests.property.pnl_terms import PERP, VENUE
from tests.unit.executor.build import at

START = {"USDT": Decimal(1_000)}
BOOKS = Books(
    openings={venue: Opening(units=START, usd=Decimal(1_000), market_ms=1) for venue in ("one", "two")}
)


def shown(left: str | None, *, gained: int = 0, known: bool = True) -> Shown:
    """A venue whose account has so much more than at its opening, and `left` of it unexplained."""
    return Shown(
        units={"USDT": Decimal(1_000 + gained)},
        left=None if left is None else {"USDT": Decimal(left)},
        known=known,
    )


def found(**venues: Shown) -> Totals:
    return totals(BOOKS, {}, venues, World(Config(), PermitView(build="test"), deployment="test"))


def said(**venues: Shown) -> BookSummary:
    return summary_of(BOOKS, found(**venues), venues, at(1))


def residual_measured(**venues: Shown) -> list[float]:
    effects = measures(BOOKS, found(**venues), {})
    return [
        one.value
        for one in effects
        if isinstance(one, Measure) and one.metric == "fundarb_equity_residual_usd"
    ]


def test_venues_are_summed_by_absolute_value() -> None:
    told = said(one=shown("5"), two=shown("-5"))
    assert told.residual_usd == 10
    assert told.residual_by_venue == {"one": 5, "two": -5}
    assert residual_measured(one=shown("5"), two=shown("-5")) == [10.0]


def test_equity_is_what_the_accounts_show_whatever_the_lines_say() -> None:
    told = said(one=shown("0", gained=7), two=shown("0", gained=-3))
    assert told.equity_start_usd == 2_000
    assert told.equity_usd == 2_004
    assert told.equity_by_venue == {"one": 1_007, "two": 997}
    assert told.pnl.total == 0, "no line has explained it, and equity has not come from lines"


@pytest.mark.parametrize(
    "one", [shown(None, known=False), shown("0", known=False), shown(None), Shown(), shown("3", known=False)]
)
def test_a_residual_that_was_not_compared_is_none_and_never_0(one: Shown) -> None:
    told = said(one=one, two=shown("0"))
    assert told.residual_usd is None


def test_before_the_first_comparison_nothing_is_measured() -> None:
    assert residual_measured(one=shown(None), two=shown(None)) == []
    assert residual_measured(one=shown("-0.5", known=False), two=shown(None)) == [0.5]


def test_equity_is_none_while_an_account_was_not_seen() -> None:
    told = said(one=shown("0"), two=Shown())
    assert (told.equity_usd, told.equity_start_usd, told.residual_usd) == (None, None, None)


def test_comparisons_may_differ_by_what_venues_round_and_never_by_more_than_a_cent() -> None:
    life = Life(5)
    for _ in range(60):
        life.step()
    explained, look = life.books.explained[VENUE], life.look()
    held = sum(
        (abs(one.quantity) * look.marks[VENUE, name] for name, one in explained.contracts.items()),
        Decimal(0),
    )
    assert held > 0
    allowed = tolerances(life.world, explained, look)
    assert allowed["USDT"] == min(CENT, Decimal("0.0001") + held / 1_000_000)
    assert 0 < allowed["BTC"] * life.prices["BTC"] <= CENT
    large = Explained(contracts={PERP: Contract(asset="USDT", quantity=Decimal(-1_000))})
    assert tolerances(life.world, large, look)["USDT"] == CENT
