"""When signal asks for an open, and what it says when it does not."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from libs.common.config.schema import Limits, Mode, Position
from libs.common.effects import Alert
from libs.common.messages_exec import Breaker, Level
from tests.unit.signal.trader import PAIRS, Trader, actions, intents, trading
from tests.unit.signal.world import BTC, CROSS, ETH, evaluation, of, opportunities


def test_what_passes_is_asked_for_with_words_and_an_expiry() -> None:
    trader = trading()
    effects = trader.round()
    found = intents(effects)
    assert set(found) == {BTC, ETH}
    wish = found[ETH]
    assert (wish.action, wish.direction, wish.notional_usd) == ("open", "forward", "1000")
    assert wish.expires_us == trader.now.wall_us + 5_000_000
    assert "0.1500 % a day" in wish.reason
    assert {alert.key for alert in of(Alert, effects)} == {f"signal:{BTC}", f"signal:{ETH}"}
    assert opportunities(effects)[ETH].reasons["opening"] == f"asked to open {wish.reason}"


def test_a_wish_names_the_newest_quote_behind_it() -> None:
    """The executor measures from it to the order: a wish without it is never measured."""
    trader = trading()
    trader.passes(0.2)
    newest = trader.quote("BTC-USDT-PERP")
    trader.say(newest)
    trader.passes(0.3)
    found = intents(trader.round())
    assert found[BTC].tick_us == newest.recv_us == trader.now.wall_us - 300_000
    assert found[ETH].tick_us == trader.now.wall_us - 500_000


@pytest.mark.parametrize("mode", [Mode.PAPER, Mode.LIVE, Mode.DEMO, Mode.OBSERVER])
def test_only_an_observer_asks_for_nothing(mode: Mode) -> None:
    trader = trading(Trader(mode=mode))
    assert bool(intents(trader.round())) is (mode is not Mode.OBSERVER)


def test_an_amount_is_told_to_the_digit() -> None:
    trader = trading(Trader(position=Position(notional_usd=1234.56)))
    assert intents(trader.round())[BTC].notional_usd == "1234.56"


def test_a_wish_is_repeated_until_the_state_follows_and_told_once() -> None:
    trader = trading()
    first = trader.round()
    trader.later(1)
    again = trader.round()
    assert actions(again) == actions(first)
    assert intents(again)[BTC].expires_us == intents(first)[BTC].expires_us + 1_000_000
    assert of(Alert, again) == []
    trader.executor(BTC, "opening")
    assert actions(trader.round()) == {ETH: "open"}
    trader.executor(BTC, "active")
    trader.executor(ETH, "active")
    effects = trader.round()
    assert actions(effects) == {}
    assert evaluation(effects).selected == (BTC, ETH)


@pytest.mark.parametrize("state", ["opening", "closing", "unwinding", "stuck"])
def test_a_pair_on_its_way_is_left_alone_and_takes_its_place(state: str) -> None:
    trader = trading(Trader(limits=Limits(max_pairs=1)))
    trader.executor(BTC, state, reason="because")
    effects = trader.round()
    assert actions(effects) == {}
    assert evaluation(effects).selected == (BTC,)
    assert f"it is {state}: because" in opportunities(effects)[BTC].reasons["held"]
    assert "max_pairs 1" in opportunities(effects)[ETH].reasons["not_selected"]


def test_a_wish_under_way_keeps_its_place_from_a_newcomer() -> None:
    trader = trading(Trader(limits=Limits(max_pairs=1)))
    assert actions(trader.round()) == {ETH: "open"}
    trader.later(1)
    trader.say(trader.funding("ETH-USDT-PERP", 0.00001))  # no longer worth it: not repeated
    assert actions(trader.round()) == {}
    trader.later(9)
    assert actions(trader.round()) == {}
    trader.later(2)
    assert actions(trader.round()) == {BTC: "open"}


def test_limits_count_what_is_really_held() -> None:
    trader = trading(Trader(limits=Limits(max_notional_usd=2_500)))
    assert set(actions(trader.round())) == {BTC, ETH}
    trader = trading(Trader(limits=Limits(max_notional_usd=2_500)))
    legs = [msgspec.structs.replace(leg, mid=160.0) for leg in trader.status(ETH, "active").legs]
    trader.executor(ETH, "active", legs=(legs[0], legs[1]))  # worth 1,600 a leg by now
    effects = trader.round()
    assert actions(effects) == {}
    assert "2,600" in opportunities(effects)[BTC].reasons["not_selected"]
    assert opportunities(effects)[ETH].allocated_usd == 1_000.0  # as it was decided


# --- permits and breakers -------------------------------------------------------------------------


def test_nothing_is_opened_before_the_first_permit_nor_without_a_fresh_one() -> None:
    trader = Trader()
    trader.start()
    trader.everything()
    for pair in PAIRS:
        trader.executor(pair)
    effects = trader.round()
    assert actions(effects) == {}
    assert "no permit has been received yet" in opportunities(effects)[BTC].reasons["no_permit"]
    assert evaluation(effects).refusals["no_permit"] == 2
    assert "no permit" in trader.ask_status()["nothing_because"]
    trader.permit()
    assert set(actions(trader.round())) == {BTC, ETH}
    trader.clock.advance(sec=1.1)
    trader.refresh()
    effects = trader.round()
    assert actions(effects) == {}
    assert "1.1 s ago" in opportunities(effects)[BTC].reasons["no_permit"]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"build": "other"}, "build other"),
        ({"age_us": 1_500_000}, "1.5 s old"),
        ({"age_us": -300_000}, "from the future"),
        ({"revision": 0}, ""),
    ],
)
def test_a_permit_that_does_not_count_opens_nothing(changes: dict[str, Any], why: str) -> None:
    trader = trading()
    trader.clock.advance(sec=2)
    trader.refresh()
    wall_us = trader.now.wall_us - changes.pop("age_us", 0)
    trader.permit(wall_us=wall_us, **changes)
    effects = trader.round()
    assert actions(effects) == {}
    assert why in opportunities(effects)[BTC].reasons["no_permit"]


@pytest.mark.parametrize("level", [Level.NO_OPENS, Level.REDUCE_ONLY, Level.FLATTEN])
@pytest.mark.parametrize(
    ("scope", "left"),
    [
        ("global", set()),
        ("venue:binance", set()),
        ("venue:bybit", {BTC, ETH}),
        ("symbol:binance-ETH-USDT", {BTC}),
        ("symbol:binance-ETH-USDT-PERP", {BTC}),
        (f"pair:{BTC}", {ETH}),
    ],
)
def test_a_breaker_on_any_scope_of_a_pair_stops_its_opens(scope: str, left: set[str], level: Level) -> None:
    trader = trading()
    trader.permit(Breaker(scope=scope, level=level, reason="price jump"))
    effects = trader.round()
    assert set(actions(effects)) == left
    for pair in {BTC, ETH} - left:
        assert opportunities(effects)[pair].reasons["breaker"] == f"{scope} is {level}: price jump"
        assert trader.ask_status()["waiting"][pair].keys() == {"breaker"}


def test_a_pair_that_may_not_keep_its_size_is_not_opened() -> None:
    trader = trading()
    trader.permit(max_ratio={BTC: 0.75})
    effects = trader.round()
    assert actions(effects) == {ETH: "open"}
    assert "75%" in opportunities(effects)[BTC].reasons["breaker"]


# --- the executor ---------------------------------------------------------------------------------


def test_nothing_is_opened_while_it_is_not_known_what_is_held() -> None:
    trader = Trader()
    trader.start()
    trader.everything()
    trader.permit()
    assert "no executor" in opportunities(trader.round())[BTC].reasons["no_executor"]
    trader.executor(BTC)
    trader.executor(ETH)
    effects = trader.round()
    assert actions(effects) == {}  # what CROSS takes is not known, and limits are for all
    assert CROSS in opportunities(effects)[BTC].reasons["no_executor"]
    trader.executor(CROSS)
    assert set(actions(trader.round())) == {BTC, ETH}


def test_who_does_not_lead_a_pair_has_no_word_on_it() -> None:
    trader = trading()
    trader.executor(BTC, "active")
    trader.executor(BTC, "idle", owner="")
    assert actions(trader.round()) == {ETH: "open"}


def test_an_older_word_does_not_replace_a_newer_one() -> None:
    trader = trading()
    trader.executor(BTC, "active")
    trader.executor(BTC, "idle", wall_us=trader.now.wall_us - 1)
    assert actions(trader.round()) == {ETH: "open"}


def test_a_silent_executor_is_asked_for_nothing() -> None:
    trader = trading()
    trader.later(16)
    trader.executor(ETH)
    effects = trader.round()
    assert actions(effects) == {ETH: "open"}
    assert "silent for 16 s" in opportunities(effects)[BTC].reasons["no_executor"]


def test_a_quarantined_pair_is_not_opened_until_its_time_is_over() -> None:
    trader = trading()
    trader.executor(BTC, quarantined_until_ms=trader.now.market_ms + 3_600_000)
    effects = trader.round()
    assert actions(effects) == {ETH: "open"}
    assert "1.0 h are left" in opportunities(effects)[BTC].reasons["pair_quarantined"]
    trader.executor(BTC, quarantined_until_ms=trader.now.market_ms)
    assert BTC in actions(trader.round())


def test_an_executor_that_never_begins_makes_room_for_others() -> None:
    trader = trading(Trader(limits=Limits(max_pairs=1)))
    asked: list[tuple[int, set[str]]] = []
    for sec in range(0, 92, 4):
        for pair in PAIRS:
            trader.executor(pair, reason="the venue lends none")
        effects = trader.round()
        asked.append((sec, set(actions(effects))))
        if sec == 28:
            why = opportunities(effects)[ETH].reasons["not_followed"]
            assert why == "asked 5 times, and its executor has not begun: the venue lends none"
        trader.later(4)
    assert {sec for sec, pairs in asked if pairs == {ETH}} == {0, 4, 8, 12, 16, 76, 80, 84, 88}
    assert {sec for sec, pairs in asked if pairs == {BTC}} == {28, 32, 36, 40, 44}
    assert all(len(pairs) <= 1 for _, pairs in asked)


def test_a_pair_near_its_settlement_is_not_opened_nor_asked_for_into_it() -> None:
    trader = trading()
    to_settlement_sec = 7 * 3600
    trader.passes(to_settlement_sec - 63)
    for again in trader.all_messages():
        trader.say(again)
    trader.permit()
    for pair in PAIRS:
        trader.executor(pair)
    found = intents(trader.round())
    assert found[BTC].expires_us == trader.now.wall_us + 3_000_000
    trader.later(3)
    assert actions(trader.round()) == {}
