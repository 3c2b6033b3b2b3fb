from __future__ import annotations

import msgspec

from libs.carry.holding import opened
from libs.common.config.schema import Limits, Thresholds
from libs.common.instant import ManualClock
from services.signal.decide import Held, Round, decide
from services.signal.view import MarketView
from tests.unit.signal.world import BTC, CROSS, ETH, HOUR_MS, World, config

ROUND_TRIP = 0.004


def held(world: World, *, direction: str = "forward", since_hours: float = 10.0) -> Held:
    since_ms = world.now.market_ms - int(since_hours * HOUR_MS)
    return Held(
        direction="forward" if direction == "forward" else "reverse",
        notional_usd=1_000.0,
        round_trip=ROUND_TRIP,
        holding=msgspec.structs.replace(
            opened(since_ms), long_paid_ms=world.now.market_ms, short_paid_ms=world.now.market_ms
        ),
    )


def run(world: World, view: MarketView, known: dict[str, Held] | None) -> Round:
    return decide(view, world.config, world.now, known)


def test_a_round_ranks_selects_and_counts() -> None:
    world = World()
    found = run(world, world.view(), {})
    assert [(item.pair, item.rank) for item in found.opportunities] == [(ETH, 1), (BTC, 2), (CROSS, None)]
    assert found.evaluation.pairs == 3
    assert found.evaluation.passing == 2
    assert found.evaluation.selected == (BTC, ETH)
    assert found.evaluation.evaluations_total == 3
    assert "funding_below_min" in found.evaluation.refusals
    assert set(found.opened) == {BTC, ETH}
    assert "rank 1" in found.opened[ETH]
    assert [item.allocated_usd for item in found.opportunities] == [1_000.0, 1_000.0, 0.0]


def test_nothing_is_selected_while_it_is_not_known_what_is_held() -> None:
    world = World()
    found = run(world, world.view(), None)
    assert found.evaluation.passing == 2
    assert found.held == {}
    assert found.opened == {}
    assert all(item.allocated_usd == 0.0 for item in found.opportunities)


def test_limits_leave_the_rest_out_with_a_reason() -> None:
    world = World(config(limits=Limits(max_pairs=1)))
    found = run(world, world.view(), {})
    assert set(found.held) == {ETH}
    by_pair = {item.pair: item for item in found.opportunities}
    assert "max_pairs 1" in by_pair[BTC].reasons["not_selected"]
    assert by_pair[BTC].passes
    assert by_pair[BTC].refusals == ()


def test_what_is_held_stays_in_its_direction_and_is_told() -> None:
    world = World()
    view = world.view()
    found = run(world, view, {BTC: held(world)})
    assert found.held[BTC].direction == "forward"
    assert "forward for 10.0 h" in {item.pair: item for item in found.opportunities}[BTC].reasons["held"]
    assert found.closed == {}


def test_a_flip_is_followed_watched_and_closed_by_the_running_loss() -> None:
    world = World()
    view = world.view()
    known = {BTC: held(world)}
    view.apply(world.funding("BTC-USDT-PERP", -0.0003))
    first = run(world, view, known)
    assert first.held[BTC].holding.wrong_since_ms == world.now.market_ms
    world.clock.advance(sec=3 * 3600)
    again = run(world, view, first.held)
    assert again.closed == {}
    assert "wrong sign for 3.0 h" in {item.pair: item for item in again.opportunities}[BTC].reasons["watch"]
    world.clock.advance(sec=5 * 3600)
    view.apply(world.settled("BTC-USDT-PERP", -0.0041, world.now.market_ms))
    view.apply(world.funding("BTC-USDT-PERP", -0.0041))
    last = run(world, view, again.held)
    assert "1 x the round trip" in last.closed[BTC]
    assert BTC not in last.held
    by_pair = {item.pair: item for item in last.opportunities}
    assert by_pair[BTC].reasons["would_close"] == last.closed[BTC]


def test_a_closed_pair_does_not_come_back_in_the_same_round_unless_reversals_are_wanted() -> None:
    for reverse in (False, True):
        thresholds = Thresholds(flip_policy="tolerance", flip_reverse=reverse)
        world = World(config(thresholds=thresholds))
        view = MarketView(world.config, world.view().specs.values())
        for message in world.all_messages(btc=-0.0005):
            view.apply(message)
        wrong = held(world)
        since = world.now.market_ms - 3 * HOUR_MS
        wrong = msgspec.structs.replace(
            wrong, holding=msgspec.structs.replace(wrong.holding, wrong_since_ms=since)
        )
        found = run(world, view, {BTC: wrong})
        assert BTC in found.closed
        assert (BTC in found.held) == reverse
        if reverse:
            assert found.held[BTC].direction == "reverse"


def test_a_settled_payment_is_earned_once() -> None:
    world = World()
    view = world.view()
    known = run(world, view, {}).held
    world.clock.advance(sec=7 * 3600)
    view.apply(world.settled("BTC-USDT-PERP", 0.0003, world.now.market_ms + 250))
    once = run(world, view, known)
    assert once.held[BTC].holding.earned == 0.0003
    view.apply(world.settled("BTC-USDT-PERP", 0.0003, world.now.market_ms + 900))
    twice = run(world, view, once.held)
    assert twice.held[BTC].holding.earned == 0.0003


def test_lost_data_moves_no_clock_and_closes_nothing() -> None:
    world = World()
    view = MarketView(world.config, world.view().specs.values())
    known = {BTC: held(world)}
    found = run(world, view, known)
    assert found.held == known
    assert found.closed == {}


def test_a_pair_that_left_the_config_is_let_go() -> None:
    world = World()
    found = run(world, world.view(), {"GONE": held(world)})
    assert found.closed == {"GONE": "no longer configured"}


def test_a_rotation_closes_the_old_and_opens_the_new() -> None:
    world = World(config(limits=Limits(max_pairs=1)))
    view = MarketView(world.config, world.view().specs.values())
    for message in world.all_messages(btc=0.0003, eth=0.004):
        view.apply(message)
    found = run(world, view, {BTC: held(world)})
    assert set(found.held) == {ETH}
    assert f"{ETH} earns" in found.closed[BTC]
    assert set(found.opened) == {ETH}


def test_equal_inputs_give_equal_rounds() -> None:
    world = World()
    view = world.view()
    assert isinstance(world.clock, ManualClock)
    assert run(world, view, {}) == run(world, view, {})
