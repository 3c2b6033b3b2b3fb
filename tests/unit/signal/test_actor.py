from __future__ import annotations

from collections.abc import Iterable

import pytest

from libs.common.config.schema import Monitor, Thresholds
from libs.common.effects import (
    Draining,
    Effect,
    Forget,
    Health,
    Measure,
    Publish,
    Received,
    Reply,
    SetTimer,
)
from libs.common.messages import Command, Intent, Want, decode, encode
from libs.common.messages import Opportunity as Wire
from services.signal.selection import LoadSelection
from tests.unit.signal.world import BTC, CROSS, ETH, World, config, evaluation, of, opportunities, ready


def wants(effects: Iterable[Effect]) -> list[Want]:
    return [e.message for e in of(Publish, effects) if isinstance(e.message, Want)]


def test_at_the_start_it_asks_for_slow_state_and_for_what_was_held() -> None:
    effects = World().start()
    assert len(of(LoadSelection, effects)) == 1
    assert [w.service for w in wants(effects)] == ["signal"]
    assert {timer.name for timer in of(SetTimer, effects)} == {"round", "sweep"}


def test_it_asks_again_while_something_is_missing_and_then_stops() -> None:
    world = World()
    world.start()
    world.clock.advance(sec=4)
    assert wants(world.sweep()) == []
    world.clock.advance(sec=1)
    assert len(wants(world.sweep())) == 1
    world.everything()
    world.clock.advance(sec=9)
    assert wants(world.sweep()) == []


def test_a_tick_evaluates_its_pairs_once_each_and_names_its_own_stamp() -> None:
    world = ready()
    quote = world.quote("BTC-USDT-PERP", 100.1)
    found = opportunities(world.say(quote))
    assert set(found) == {BTC, CROSS}
    assert found[BTC].tick_us == quote.recv_us
    assert found[BTC].eval_us == world.now.wall_us


def test_a_tick_that_says_nothing_new_is_not_published() -> None:
    world = ready()
    assert opportunities(world.say(world.quote("BTC-USDT-PERP"))) == {}
    assert set(opportunities(world.say(world.quote("BTC-USDT-PERP", 100.02)))) == {BTC, CROSS}


def test_an_unchanged_pair_is_said_again_after_an_interval() -> None:
    world = ready()
    polled = [world.quote("BTC-USDT-PERP", venue=venue, source="poll") for venue in ("binance", "bybit")]
    for quote in polled:
        world.say(quote)
    world.clock.advance(sec=29)
    assert opportunities(world.say(polled[1])) == {}
    world.clock.advance(sec=1)
    assert set(opportunities(world.say(polled[1]))) == {CROSS}
    assert opportunities(world.say(polled[1])) == {}


def test_a_new_rate_is_measured_and_published() -> None:
    world = ready()
    effects = world.say(world.funding("BTC-USDT-PERP", 0.0006))
    daily = {
        m.labels["symbol"]: m.value for m in of(Measure, effects) if m.metric == "fundarb_funding_rate_daily"
    }
    assert daily == {"BTC-USDT-PERP": pytest.approx(0.0018)}
    assert opportunities(effects)[BTC].daily == pytest.approx(0.0018)
    net = {
        m.labels["pair"]: m.value
        for m in of(Measure, effects)
        if m.metric == "fundarb_opportunity_net_daily_usd"
    }
    assert net[BTC] == pytest.approx(opportunities(effects)[BTC].net_daily_usd)


def test_unknown_net_is_no_number_on_the_dashboard() -> None:
    world = World()
    world.start()
    effects = world.say(world.info("BTC-USDT"))
    assert opportunities(effects)[BTC].net_daily_usd is None
    assert [f.labels for f in of(Forget, effects)] == [{"pair": BTC}]


def test_a_round_publishes_every_pair_and_counts_refusals() -> None:
    world = ready()
    effects = world.round()
    assert set(opportunities(effects)) == {BTC, ETH, CROSS}
    found = evaluation(effects)
    assert found.selected == (BTC, ETH)
    refused = {
        m.labels["reason"]: m.value for m in of(Measure, effects) if m.metric == "fundarb_refusals_total"
    }
    assert refused == {reason: float(count) for reason, count in found.refusals.items()}
    assert [t.after_us for t in of(SetTimer, effects)] == [30_000_000]


def test_evaluations_are_counted_over_ticks_and_rounds() -> None:
    world = ready()
    before = evaluation(world.round()).evaluations_total
    world.say(world.quote("BTC-USDT-PERP"))
    effects = world.round()
    assert evaluation(effects).evaluations_total == before + 2 + 3
    (counted,) = [m.value for m in of(Measure, effects) if m.metric == "fundarb_evaluations_total"]
    assert counted == 5.0


def test_what_passes_does_not_outlive_its_data() -> None:
    world = ready()
    world.round()
    assert opportunities(world.effects)[BTC].passes
    world.clock.advance(sec=3)
    found = opportunities(world.sweep())
    assert not found[BTC].passes
    assert found[BTC].refusals == ("stale_quote",)


def test_silence_of_the_feed_is_a_problem_and_its_end_is_said() -> None:
    world = ready()
    world.clock.advance(sec=9)
    assert of(Health, world.sweep()) == []
    world.clock.advance(sec=2)
    (problem,) = of(Health, world.sweep())
    assert problem.key == "feed"
    assert "no market data for 11 s" in problem.problem
    world.say(world.health())
    (end,) = of(Health, world.sweep())
    assert (end.key, end.problem) == ("feed", "")


def test_no_intent_is_ever_published() -> None:
    world = ready()
    world.round()
    world.clock.advance(sec=30)
    world.refresh()
    world.round()
    messages = [e.message for e in of(Publish, world.effects)]
    assert opportunities(world.effects)[BTC].passes
    assert not [m for m in messages if isinstance(m, Intent)]
    assert not [e.subject for e in of(Publish, world.effects) if e.subject.startswith("signal.intent")]


def test_every_opportunity_survives_the_wire() -> None:
    world = ready()
    for effect in of(Publish, world.round()):
        if isinstance(effect.message, Wire):
            assert decode(encode(effect.message), Wire) == effect.message


# --- what would be held ---------------------------------------------------------------------------


def test_status_says_why_nothing_is_happening() -> None:
    world = ready()
    world.round()
    (reply,) = of(Reply, world.do(Received(subject="cmd.status", message=Command(), reply="_INBOX.1")))
    result = reply.reply.result
    assert reply.to == "_INBOX.1"
    assert result["passing"] == [ETH, BTC]
    assert set(result["would_hold"]) == {BTC, ETH}
    assert "below the minimum" in result["pairs"][CROSS]["reasons"]["funding_below_min"]


def test_a_command_that_is_not_ours_or_that_nobody_waits_for_is_left_alone() -> None:
    world = ready()
    assert world.do(Received(subject="cmd.reload", message=Command(), reply="_INBOX.1")) == []
    assert world.do(Received(subject="cmd.status", message=Command())) == []


def test_a_break_between_two_rounds_is_seen() -> None:
    """Wrong for 1.5 h, right for a moment, wrong again: tolerated are two hours without a break."""
    for broken in (True, False):
        world = ready(World(config(thresholds=Thresholds(flip_policy="tolerance"))))
        world.round()
        world.say(world.funding("BTC-USDT-PERP", -0.0001))
        world.clock.advance(sec=1.5 * 3600)
        if broken:
            world.say(world.funding("BTC-USDT-PERP", 0.0001))
            world.say(world.funding("BTC-USDT-PERP", -0.0001))
        world.clock.advance(sec=3600)
        assert evaluation(world.round()).selected == ((BTC, ETH) if broken else (ETH,))


def test_draining_does_nothing_more() -> None:
    assert ready().do(Draining()) == []


def test_a_polled_pair_that_passes_is_judged_by_the_second_once_the_feed_has_heard() -> None:
    world = World(config(monitor=Monitor(interval_sec=30)))
    world.start()
    world.everything()

    def polled() -> None:
        for instrument in ("ETH-USDT", "ETH-USDT-PERP"):
            world.say(world.quote(instrument, source="poll"))

    polled()
    world.clock.advance(sec=4)
    assert opportunities(world.effects)[ETH].passes
    world.sweep()
    assert opportunities(world.effects)[ETH].passes  # 4 s old: within 75 s
    world.clock.advance(sec=2)
    assert opportunities(world.sweep())[ETH].refusals == ("stale_quote",)
    polled()
    assert opportunities(world.effects)[ETH].passes
