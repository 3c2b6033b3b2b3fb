from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec.structs import replace

from libs.common.instant import US_PER_SEC
from libs.common.messages_exec import Breaker, Level
from services.executor.model import IntentState, Purpose, State
from services.executor.neighbours import in_doubt
from services.executor.resolve import window_us
from tests.unit.executor.rig import FLAT, PERP_KEY, SPOT_KEY, Rig
from tests.unit.executor.scripted import Act, times

OPEN_TIMEOUT_SEC = 10.0
LADDER_SEC = 3.0
"""Bound of an unwind whose orders fill."""


def unwound(rig: Rig, sec: float) -> float:
    """Until no leg is naked any more and the pair rests."""
    rig.until(lambda: rig.state is State.UNWINDING, sec)
    return rig.until(lambda: rig.state in (State.IDLE, State.ACTIVE), sec)


def test_both_legs_go_together_and_stand() -> None:
    rig = Rig().opened()
    first, second = rig.orders(Purpose.OPEN)
    assert (first.leg, first.side, second.leg, second.side) == (0, "buy", 1, "sell")
    assert first.created_us == second.created_us
    assert rig.held == (Decimal(1), Decimal(-1)) == rig.shown
    assert rig.moves == ["idle>opening", "opening>active"]
    assert rig.alerts == []
    assert first.price == Decimal("100.3"), "20 bps above the ask of 100.1"
    assert second.price == Decimal("99.8"), "20 bps below the bid of 99.9, towards the book"


@pytest.mark.parametrize(
    ("act", "word", "bound_sec"),
    [
        ("reject", "margin is insufficient", OPEN_TIMEOUT_SEC + LADDER_SEC),
        ("none", "not filled in full", OPEN_TIMEOUT_SEC + LADDER_SEC),
        ("never_sent", "connection refused", OPEN_TIMEOUT_SEC + LADDER_SEC),
        ("lost", "the venue never had it", OPEN_TIMEOUT_SEC + LADDER_SEC + window_us("binance") / 1e6 + 10),
    ],
)
@pytest.mark.parametrize("leg", ["spot", "perp"])
def test_a_leg_that_fails_leaves_no_orphan(leg: str, act: Act, word: str, bound_sec: float) -> None:
    rig = Rig()
    rig.acts(leg, act)  # type: ignore[arg-type]
    rig.wish("open")
    rig.until(lambda: rig.state is State.IDLE and len(rig.moves) == 3, bound_sec)
    assert rig.moves == ["idle>opening", "opening>unwinding", "unwinding>idle"]
    assert rig.shown == FLAT == rig.held
    texts = rig.told("unwind")
    assert len(rig.alerts) == len(texts) == 1
    assert word in texts[0]
    assert all(one.attempt == 1 for one in rig.lane.intents.values()), "fees are booked to the attempt"


@pytest.mark.parametrize("act", ["silent", "silent_half"])
def test_an_order_whose_answer_is_lost_is_found_and_nothing_is_sent_meanwhile(act: Act) -> None:
    rig = Rig()
    rig.stream_on = False
    rig.acts("perp", act)
    rig.wish("open")
    rig.until(lambda: len(rig.sent) == 2, 1)
    rig.run(0.5)
    assert len(rig.sent) == 2
    rig.until(lambda: rig.state is State.ACTIVE, 5)
    perp = rig.orders(Purpose.OPEN)[1]
    assert perp.state is IntentState.DONE
    assert rig.held == rig.shown
    assert rig.lane.state.delta == 0


def test_nothing_is_unwound_before_the_unknown_leg_is_resolved() -> None:
    rig = Rig()
    rig.acts("perp", "lost")
    rig.wish("open")
    rig.run(window_us("binance") / 1e6)
    assert len(rig.sent) == 2, "unwinding now would risk the opposite naked leg"
    assert rig.state is State.OPENING
    assert unwound(rig, 15) < LADDER_SEC


@pytest.mark.parametrize(("keep", "held"), [(True, Decimal("0.5")), (False, Decimal(0))])
def test_a_half_filled_leg_keeps_what_is_hedged_or_nothing(*, keep: bool, held: Decimal) -> None:
    rig = Rig(keep_partial=keep)
    rig.acts("perp", "half")
    rig.wish("open")
    unwound(rig, 5)
    assert rig.held == (held, -held) == rig.shown
    assert rig.state is (State.ACTIVE if keep else State.IDLE)
    (text,) = rig.told("unwind")
    assert ("the excess is unwound" if keep else "what was filled is unwound") in text
    excess = [(0, "sell")]  # first: what is hedged goes when it is gone
    assert [(one.leg, one.side) for one in rig.orders(Purpose.UNWIND)] == (
        excess if keep else [*excess, (0, "sell"), (1, "buy")]
    )


def test_a_hedged_part_below_what_a_venue_takes_is_not_kept() -> None:
    rig = Rig()
    rig.acts("perp", "half")
    rig.wish("open", "8")  # a half is 4 USD, the venues take 5
    unwound(rig, 5)
    assert rig.state is State.IDLE
    assert abs(rig.shown[0]) <= Decimal("0.04"), "spot below the minimum is dust"
    assert rig.lane.dust == rig.shown


def test_both_legs_failed_is_no_unwind() -> None:
    rig = Rig()
    rig.acts("spot", "none")
    rig.acts("perp", "reject")
    rig.wish("open")
    rig.run(3)
    assert rig.moves == ["idle>opening", "opening>idle"]
    assert rig.alerts == []
    assert rig.lane.state.unwinds_ms == ()


def test_both_legs_half_filled_stand_without_an_unwind() -> None:
    rig = Rig()
    rig.acts("spot", "half")
    rig.acts("perp", "half")
    rig.opened()
    assert rig.held == (Decimal("0.5"), Decimal("-0.5"))
    assert rig.moves == ["idle>opening", "opening>active"]


def test_slices_follow_one_another_with_pauses() -> None:
    rig = Rig(slices=4, slice_interval_sec=2.0)
    rig.wish("open")
    took = rig.until(lambda: rig.state is State.ACTIVE, 20)
    assert 6.0 <= took < 8.0
    assert [one.quantity for one in rig.sent] == [Decimal("0.25")] * 8
    assert rig.held == (Decimal(1), Decimal(-1))


def test_a_slice_that_fails_ends_the_opening_and_keeps_those_before() -> None:
    rig = Rig(slices=4)
    rig.acts("perp", "fill", "fill", "reject")
    rig.wish("open")
    unwound(rig, 10)
    assert rig.state is State.ACTIVE
    assert rig.held == (Decimal("0.5"), Decimal("-0.5")) == rig.shown
    assert len(rig.orders(Purpose.OPEN)) == 6


def test_a_large_position_is_sliced_so_that_no_slice_is_more_than_may_be_naked() -> None:
    rig = Rig()
    rig.wish("open", "3500")
    rig.until(lambda: rig.state is State.ACTIVE, 30)
    sizes = [one.quantity * Decimal(100) for one in rig.orders(Purpose.OPEN)]
    assert len(sizes) == 8
    assert max(sizes) <= 1_000


def test_in_sequence_the_thin_leg_goes_first_and_the_other_follows_what_it_got() -> None:
    rig = Rig(style="sequential")
    rig.venues.books[PERP_KEY].size = Decimal(1)
    rig.run(1)
    rig.acts("perp", "half")
    rig.wish("open")
    rig.until(lambda: len(rig.sent) == 1, 2)
    assert rig.sent[0].leg == 1
    rig.until(lambda: rig.state is State.ACTIVE, 5)
    assert rig.held == (Decimal("0.5"), Decimal("-0.5"))


def test_in_sequence_a_thin_leg_that_fails_costs_nothing() -> None:
    rig = Rig(style="sequential")
    rig.venues.books[PERP_KEY].size = Decimal(1)
    rig.run(1)
    rig.acts("perp", "reject")
    rig.wish("open")
    rig.run(3)
    assert rig.moves == ["idle>opening", "opening>idle"]
    assert len(rig.sent) == 1


def test_a_fee_in_coins_is_bought_on_top() -> None:
    rig = Rig(base_fee="0.001").opened()
    bought = rig.orders(Purpose.OPEN)[0].quantity
    assert bought == Decimal("1.002")
    assert rig.held[0] == bought * Decimal("0.999")
    assert abs(rig.lane.state.delta) < Decimal("0.002")
    assert rig.held == rig.shown


def test_dust_on_the_other_side_of_zero_is_bought_back() -> None:
    rig = Rig()
    rig.lane.dust = (Decimal(0), Decimal("0.002"))
    rig.venues.held[PERP_KEY] = Decimal("0.002")
    rig.opened()
    assert rig.held == (Decimal(1), Decimal(-1)) == rig.shown
    assert rig.lane.dust == FLAT


@pytest.mark.parametrize("level", [Level.NO_OPENS, Level.REDUCE_ONLY, Level.FLATTEN])
def test_nothing_is_opened_against_risks_word(level: Level) -> None:
    rig = Rig()
    rig.breakers = (Breaker(scope="venue:binance", level=level, reason="errors"),)
    rig.run(1)
    rig.wish("open")
    rig.run(2)
    assert rig.sent == []
    assert rig.moves == []
    assert any("errors" in note for note in rig.notes)


def test_nothing_is_opened_without_a_permit() -> None:
    rig = Rig()
    rig.risk_on = False
    rig.run(2)
    rig.wish("open")
    rig.run(2)
    assert rig.sent == []
    assert any("the last permit came" in note for note in rig.notes)


def test_a_permit_that_lapses_between_slices_ends_the_opening() -> None:
    rig = Rig(slices=4, slice_interval_sec=3.0)
    rig.wish("open")
    rig.run(1)
    rig.risk_on = False
    rig.until(lambda: rig.state is State.ACTIVE, 10)
    assert rig.held == (Decimal("0.25"), Decimal("-0.25"))
    assert rig.refused == [], "a slice that would be refused is not begun"
    assert len(rig.sent) == 2
    assert len(rig.sent) == 2


def test_a_wish_that_came_too_late_is_void() -> None:
    rig = Rig()
    rig.wish("open", expires_us=rig.now.wall_us - 1)
    rig.run(2)
    assert rig.sent == []
    assert "an intent to open came too late" in rig.notes[-1]


@pytest.mark.parametrize("usd", ["0", "-5", "NaN", "Infinity", "much", "3"])
def test_a_notional_that_is_none_opens_nothing(usd: str) -> None:
    rig = Rig()
    rig.wish("open", usd)
    rig.run(2)
    assert rig.sent == []
    assert "not opened" in rig.notes[-1]


def test_old_prices_open_nothing() -> None:
    rig = Rig()
    rig.feed_on = False
    rig.run(3)
    rig.wish("open")
    rig.run(2)
    assert rig.sent == []
    assert "a quote is missing or too old" in rig.notes[-1]


def test_a_held_pair_is_not_opened_again() -> None:
    rig = Rig().opened()
    rig.wish("open")
    rig.run(2)
    assert len(rig.sent) == 2
    assert "the pair is active" in rig.notes[-1]


def test_the_users_coins_are_never_part_of_it() -> None:
    rig = Rig()
    rig.venues.users_coins = Decimal(5)
    rig.acts("perp", "reject")
    rig.wish("open")
    rig.until(lambda: len(rig.moves) == 3, 5)
    assert rig.venues.held[SPOT_KEY] == 0
    (sold,) = rig.orders(Purpose.UNWIND)
    assert sold.quantity == 1


@pytest.mark.parametrize(
    ("limits", "why"),
    [
        ({}, "position.notional_usd"),
        ({"max_notional_usd": 900.0}, "limits.max_notional_usd"),
        ({"max_notional_per_venue_usd": 1_900.0}, "limits.max_notional_per_venue_usd"),
    ],
)
def test_slices_do_not_get_around_the_limits(limits: dict[str, float], why: str) -> None:
    rig = Rig()
    rig.world.config = replace(rig.config, limits=replace(rig.config.limits, **limits))
    rig.wish("open", "1000" if limits else "5600")
    rig.run(30)
    assert rig.sent == []
    assert why in rig.notes[-1]


def test_no_slice_is_begun_on_old_prices() -> None:
    rig = Rig(slices=4, slice_interval_sec=5.0)
    rig.wish("open")
    rig.run(1)
    rig.feed_on = False
    rig.until(lambda: rig.state is State.ACTIVE, 10)
    assert rig.held == (Decimal("0.25"), Decimal("-0.25")) == rig.shown
    assert len(rig.sent) == 2


@pytest.mark.parametrize("style", ["concurrent", "maker_first"])
def test_an_opening_is_not_gone_on_with_after_a_long_downtime(style: str) -> None:
    rig = Rig(slices=4, slice_interval_sec=5.0, style=style)
    rig.wish("open")
    rig.until(lambda: rig.held == (Decimal("0.25"), Decimal("-0.25")), 20)
    rig.run(1)
    before = len(rig.sent)
    rig.clock.advance(us=3600 * US_PER_SEC)
    rig.restart()
    rig.until(lambda: rig.state is State.ACTIVE, 20)
    assert len(rig.sent) == before


def test_a_venue_with_an_unknown_order_takes_no_opens() -> None:
    rig = Rig()
    assert in_doubt(rig.lane) == ""
    rig.acts("perp", "lost")
    rig.wish("open")
    rig.run(5)
    assert in_doubt(rig.lane) == f"an order of {rig.pair} at binance is unknown"
    rig.until(lambda: rig.state is State.IDLE, 60)
    assert in_doubt(rig.lane) == ""


def test_attempts_have_a_budget() -> None:
    rig = Rig()
    rig.acts("spot", *times(200, "none"))
    rig.acts("perp", *times(200, "reject"))
    for _ in range(100):
        rig.wish("open")
        rig.run(0.2)
    assert rig.lane.state.attempt == 20
    assert "it was begun too often lately" in rig.notes[-1]
    rig.run(60)
    rig.wish("open")
    rig.run(0.2)
    assert rig.lane.state.attempt == 21
