from __future__ import annotations

from typing import Any

import msgspec
import pytest

from libs.carry.allocation import advantage_usd, allocate, hurdle_usd
from libs.carry.ranking import ranked
from libs.common.config.schema import Limits, Position, Thresholds
from libs.common.messages import Opportunity
from tests.unit.carry.build import config, evaluated, perp, series, settled, spot


def pair(name: str, rate: float, venue: str = "binance", **changes: Any) -> Opportunity:
    """A pair of its own asset that earns `rate` each 8 h."""
    first = spot(venue=venue, instrument=f"{name}-USDT", base=name)
    second = perp(venue=venue, instrument=f"{name}-USDT-PERP", base=name, rate=rate)
    seen = evaluated(first, second, settled(None, series(rate)), pair=name)
    return msgspec.structs.replace(seen, **changes)


def run(opportunities: list[Opportunity], held: list[Opportunity] | None = None, **limits: Any) -> Any:
    return allocate(
        ranked([*opportunities, *(held or [])]),
        {item.pair: item for item in held or []},
        Limits(**limits),
        rotation_hurdle=2.0,
        horizon_days=7.0,
    )


def test_ranking_is_by_score_and_those_that_pass_come_first() -> None:
    low, high, refused = pair("A", 0.0003), pair("B", 0.0005), pair("C", 0.0009, passes=False)
    order = ranked([refused, low, high])
    assert [(item.pair, item.rank) for item in order] == [("B", 1), ("A", 2), ("C", None)]


def test_equal_scores_are_ranked_by_id() -> None:
    assert [item.pair for item in ranked([pair("B", 0.0003), pair("A", 0.0003)])] == ["A", "B"]


def test_capital_goes_down_the_ranking_until_a_limit_ends_it() -> None:
    pairs = [pair("A", 0.0003), pair("B", 0.0005), pair("C", 0.0004)]
    two = run(pairs, max_pairs=2)
    assert two.opened == ("B", "C")
    assert "max_pairs 2" in two.skipped["A"]
    usd = run(pairs, max_notional_usd=2_500)
    assert usd.selected == {"B": 1_000.0, "C": 1_000.0}
    assert "max_notional_usd 2,500" in usd.skipped["A"]


def test_a_venue_limit_counts_both_legs_and_lets_other_venues_go_on() -> None:
    pairs = [pair("A", 0.0006), pair("B", 0.0005), pair("C", 0.0004, "bybit")]
    found = run(pairs, max_notional_per_venue_usd=3_000)
    assert found.opened == ("A", "C")
    assert "on binance (4,000)" in found.skipped["B"]


@pytest.mark.parametrize(
    ("long", "short", "weight"),
    [
        ("binance", "binance", 2),
        ("binance", "binance-sub1", 2),
        ("hyperliquid", "hyperliquid-xyz", 2),
        ("binance", "bybit", 1),
    ],
)
@pytest.mark.parametrize("spare", [0.0, -1.0])
def test_gate_and_allocation_count_an_exchange_alike(
    long: str, short: str, weight: int, spare: float
) -> None:
    """Sub-accounts and own markets of one exchange are one counterparty, for one pair and for all."""
    limits = Limits(max_notional_per_venue_usd=weight * 1_000 + spare)
    first = spot(venue=long, instrument="A-USDT", base="A")
    second = perp(venue=short, instrument="A-USDT-PERP", base="A", rate=0.0005)
    seen = evaluated(first, second, settled(None, series(0.0005)), cfg=config(limits=limits), pair="A")
    assert ("capital" in seen.refusals) is (spare < 0)
    found = run(
        [msgspec.structs.replace(seen, passes=True)], max_notional_per_venue_usd=weight * 1_000 + spare
    )
    assert bool(found.opened) is (spare == 0)
    exchange = long.split("-", maxsplit=1)[0]
    if spare < 0:
        assert f"{weight * 1_000:,} USD on {exchange} " in seen.reasons["capital"]
        assert f"on {exchange} ({weight * 1_000:,})" in found.skipped["A"]


def test_sub_accounts_share_the_limit_of_their_exchange() -> None:
    pairs = [pair("A", 0.0006), pair("B", 0.0005, "binance-sub1"), pair("C", 0.0004, "bybit")]
    found = run(pairs, max_notional_per_venue_usd=3_000)
    assert found.opened == ("A", "C")
    assert "on binance (4,000)" in found.skipped["B"]


def test_what_does_not_pass_gets_nothing() -> None:
    found = run([pair("A", 0.0005, passes=False)])
    assert found.selected == {}
    assert found.skipped == {}


def test_nothing_worth_doing_is_a_normal_answer() -> None:
    assert run([]).selected == {}


def test_a_held_pair_stays_though_it_would_not_be_opened_again() -> None:
    held = pair("H", 0.0003, passes=False)
    assert run([], [held]).selected == {"H": 1_000.0}


def test_a_newcomer_below_the_hurdle_waits() -> None:
    """Two times (exit + entry) of 20 bps each is 80 bps: over 7 days, 11.43 bps a day more."""
    held = pair("H", 0.0003)
    below = pair("N", 0.0003 + 0.00114 / 3)
    above = pair("N", 0.0003 + 0.00115 / 3)
    assert run([below], [held], max_pairs=1).selected == {"H": 1_000.0}
    rotated = run([above], [held], max_pairs=1)
    assert rotated.selected == {"N": 1_000.0}
    assert [(item.old, item.new) for item in rotated.rotations] == [("H", "N")]


def test_the_advantage_and_the_hurdle_in_dollars() -> None:
    held, new = pair("H", 0.0003), pair("N", 0.0006)
    assert advantage_usd(new, held, 7.0) == pytest.approx(0.0009 * 1_000 * 7)
    assert hurdle_usd(new, held, 2.0) == pytest.approx(2 * (0.002 + 0.002) * 1_000)


def test_the_hurdle_is_made_of_the_exit_of_the_old_and_the_entry_of_the_new_alone() -> None:
    """economics.md: the newcomer's transfer is no part of it, nor are the other halves of the round trips."""
    held = pair("H", 0.0003, entry=0.9, exit=0.001, transfer_usd=7.0)
    new = pair("N", 0.0006, entry=0.002, exit=0.9, transfer_usd=5.0)
    assert hurdle_usd(new, held, 2.0) == pytest.approx(2.0 * (0.001 + 0.002) * 1_000)


def test_holding_costs_count_in_the_advantage() -> None:
    held, new = pair("H", 0.0003), pair("N", 0.0006, holding_daily=0.0002)
    assert advantage_usd(new, held, 7.0) == pytest.approx(0.0007 * 1_000 * 7)


def test_the_expected_view_rotates_by_expected_carry() -> None:
    cfg = config(thresholds=Thresholds(forecast="expected"))
    one = evaluated(history=settled(None, series(0.0003)), cfg=cfg, pair="H")
    two = evaluated(second=perp(rate=0.003), history=settled(None, series(0.0003)), cfg=cfg, pair="N")
    gain = advantage_usd(two, one, 7.0)
    assert gain == pytest.approx(0.0)  # a spike of the current rate alone moves nothing


def test_unknown_figures_never_rotate() -> None:
    held, new = pair("H", 0.0003, daily=None), pair("N", 0.009)
    assert advantage_usd(new, held, 7.0) is None
    assert run([new], [held], max_pairs=1).selected == {"H": 1_000.0}


def test_with_room_nobody_has_to_leave() -> None:
    found = run([pair("N", 0.003)], [pair("H", 0.0003)], max_pairs=2)
    assert found.rotations == ()
    assert set(found.selected) == {"H", "N"}


def test_the_worst_of_the_held_leaves() -> None:
    held = [pair("H", 0.0006), pair("I", 0.0003), pair("J", 0.0005)]
    found = run([pair("N", 0.002)], held, max_pairs=3)
    assert [item.old for item in found.rotations] == ["I"]


def test_one_newcomer_replaces_one_and_a_newcomer_is_not_replaced_in_turn() -> None:
    held = [pair("H", 0.0003)]
    found = run([pair("M", 0.003), pair("N", 0.002)], held, max_pairs=1)
    assert found.selected == {"M": 1_000.0}
    assert "N" in found.skipped


def test_both_ways_on_one_instrument_are_refused() -> None:
    """A sells BTC-USDT-PERP on binance; B would buy it."""
    one = evaluated(pair="A", history=settled(None, series(0.0006)), second=perp(rate=0.0006))
    other = evaluated(
        perp(venue="bybit", rate=0.0015),
        perp(rate=0.0006),
        settled(series(0.0015), series(0.0006)),
        pair="B",
    )
    assert other.direction == "reverse"
    assert other.long.venue == "binance"
    found = run([one, other])
    assert len(found.opened) == 1
    assert "both ways on one instrument" in next(iter(found.skipped.values()))


def test_the_same_way_on_one_instrument_adds_up() -> None:
    one, two = pair("A", 0.0005), pair("A", 0.0004, pair="A2")
    assert set(run([one, two]).selected) == {"A", "A2"}


def test_a_pair_that_was_just_closed_is_barred() -> None:
    item = pair("A", 0.0005)
    found = allocate(
        ranked([item]), {}, Limits(), rotation_hurdle=2.0, horizon_days=7.0, barred=frozenset({"A"})
    )
    assert found.selected == {}


def test_a_limit_that_was_lowered_does_not_throw_out_what_is_held() -> None:
    held = [pair("H", 0.0003), pair("I", 0.0003)]
    found = run([pair("N", 0.0004)], held, max_pairs=1)
    assert set(found.selected) == {"H", "I"}


def test_leverage_changes_the_order() -> None:
    """A perp/perp pair ties up less than a spot/perp pair that earns the same."""
    cfg = config(position=Position(futures_margin_leverage=5))
    cash = evaluated(cfg=cfg, pair="cash")
    both = evaluated(
        perp(venue="bybit", rate=0.0),
        perp(),
        settled(series(0.0), series(0.0003)),
        cfg=cfg,
        pair="both",
    )
    assert [item.pair for item in ranked([cash, both])] == ["both", "cash"]
