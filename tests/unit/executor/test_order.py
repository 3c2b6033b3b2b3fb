from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.exchange.trading_values import (
    Done,
    FillReport,
    NeverSent,
    OrderReport,
    OrderState,
    Outcome,
    Rejected,
    Unknown,
)
from services.executor.model import Intent, IntentState
from services.executor.order import (
    fills_complete,
    on_fill,
    on_outcome,
    on_report,
    on_restart,
    signed_change,
)
from tests.unit.executor.build import intent, report, trade

checked = settings(derandomize=True, max_examples=300, deadline=None)


def fold(start: Intent, news: list[OrderReport | FillReport]) -> Intent:
    for one in news:
        start = on_report(start, one) if isinstance(one, OrderReport) else on_fill(start, one, base="BTC")
    return start


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[OrderReport | FillReport], dict[str, Decimal]]:
    """What a venue says of one order: trades, cumulative reports; shuffled, some of them twice.

    Every trade and the last report are there at least once. Also what must come of it.
    """
    sizes = draw(st.lists(st.integers(1, 50), min_size=1, max_size=5))
    trades = [
        trade(
            f"t{n}",
            str(size),
            str(draw(st.integers(90, 110))),
            f"0.00{n + 1}",
            draw(st.sampled_from(["BTC", "USDT"])),
        )
        for n, size in enumerate(sizes)
    ]
    total = sum(sizes) + draw(st.integers(0, 3))
    news: list[OrderReport | FillReport] = list(trades)
    filled = quote = Decimal(0)
    for one in trades:
        filled, quote = filled + one.quantity, quote + one.quantity * one.price
        ends = one is trades[-1]
        status: OrderState = ("filled" if filled == total else "canceled") if ends else "partial"
        if ends or draw(st.booleans()):
            news.append(report(str(filled), str(quote / filled), status, quantity=str(total)))
    # what comes without its fee comes again with it
    again = draw(st.lists(st.sampled_from(trades), max_size=2))
    news += [trade(one.trade_id, str(one.quantity), str(one.price), None) for one in again]
    news += draw(st.lists(st.sampled_from(news), max_size=6))
    fee = sum((one.fee or Decimal(0) for one in trades if one.fee_asset == "BTC"), Decimal(0))
    expected = {"quantity": Decimal(total), "filled": filled, "quote": quote, "fee": fee}
    return draw(st.permutations(news)), expected


@checked
@given(history=histories())
def test_any_order_and_any_repetition_of_news_comes_to_the_same(
    history: tuple[list[OrderReport | FillReport], dict[str, Decimal]],
) -> None:
    news, expected = history
    after = fold(intent(quantity=expected["quantity"]), news)
    assert after.state is IntentState.DONE
    assert (after.filled, after.filled_quote, after.fee_base) == (
        expected["filled"],
        expected["quote"],
        expected["fee"],
    )
    assert fills_complete(after)
    assert fold(after, news) == after


@checked
@given(history=histories())
def test_totals_only_rise_and_changes_add_up(
    history: tuple[list[OrderReport | FillReport], dict[str, Decimal]],
) -> None:
    news, expected = history
    before = intent(quantity=expected["quantity"])
    base = quote = Decimal(0)
    for one in news:
        after = fold(before, [one])
        assert after.filled >= before.filled
        assert after.fee_base >= before.fee_base
        gained, paid = signed_change(before, after)
        base, quote = base + gained, quote + paid
        before = after
    assert base == expected["filled"] - expected["fee"]
    assert quote == expected["quote"]


def test_a_sell_gives_coins_and_takes_money() -> None:
    before = intent(side="sell")
    after = on_fill(before, trade("t", "2", "100", "0.01", "BTC"), base="BTC")
    assert signed_change(before, after) == (Decimal("-2.01"), Decimal(-200))


def test_what_is_filled_and_not_booked_by_any_trade_is_not_complete() -> None:
    assert fills_complete(intent())
    assert not fills_complete(intent(filled=Decimal("0.1")))


def test_a_trade_whose_fee_is_not_told_is_not_complete() -> None:
    after = on_fill(intent(), trade("t", "2", "100", None), base="BTC")
    assert after.filled == 2
    assert not fills_complete(after)
    told = on_fill(after, trade("t", "2", "100", "0.002", "BTC"), base="BTC")
    assert told.fee_base == Decimal("0.002")
    assert told.filled == 2
    assert fills_complete(told)
    assert on_fill(told, trade("t", "2", "100", "0.002", "BTC"), base="BTC") == told


DONE = Done(report=report("2", "100", "filled"))


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        (DONE, IntentState.DONE),
        (Done(report=report("0", None, "expired")), IntentState.DONE),
        (Done(report=report("0", None, "rejected")), IntentState.DONE),
        (Done(report=report("1", "100", "partial")), IntentState.WORKING),
        (Rejected(code="-2019", reason="funds", text="margin"), IntentState.REJECTED),
        (NeverSent(why="refused"), IntentState.VOID),
        (Unknown(why="no answer"), IntentState.UNKNOWN),
    ],
)
def test_what_an_answer_makes_of_an_order(outcome: Outcome, state: IntentState) -> None:
    assert on_outcome(intent(), outcome, base="BTC").state is state


@pytest.mark.parametrize("state", [state for state in IntentState if state.is_final])
@pytest.mark.parametrize(
    "outcome",
    [Rejected(code="1", reason="funds", text=""), NeverSent(why="x"), Unknown(why="x")],
)
def test_no_answer_reopens_what_is_final(state: IntentState, outcome: Outcome) -> None:
    assert on_outcome(intent(state=state), outcome, base="BTC") == intent(state=state)


def test_unknown_says_nothing_about_what_is_known_to_rest() -> None:
    resting = intent(state=IntentState.WORKING)
    assert on_outcome(resting, Unknown(why="x"), base="BTC") is resting


@pytest.mark.parametrize("given_up", [IntentState.NOT_ACCEPTED, IntentState.VOID])
def test_the_venues_word_is_stronger_than_a_conclusion(given_up: IntentState) -> None:
    concluded = intent(state=given_up)
    assert on_report(concluded, report("2", "100", "filled")).state is IntentState.DONE
    assert on_report(concluded, report("0", None, "open")).state is IntentState.WORKING


@pytest.mark.parametrize("final", [IntentState.DONE, IntentState.REJECTED, IntentState.FOREIGN])
def test_a_late_report_of_what_is_final_changes_figures_only(final: IntentState) -> None:
    after = on_report(intent(state=final), report("1", "100", "open"))
    assert after.state is final
    assert after.filled == 1


@pytest.mark.parametrize("state", list(IntentState))
def test_after_a_restart_everything_open_is_unknown(state: IntentState) -> None:
    after: Any = on_restart(intent(state=state))
    assert after.state is (state if state.is_final else IntentState.UNKNOWN)
