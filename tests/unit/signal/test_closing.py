"""When signal asks for a close: flips by both policies, reversals, rotations; and what it leaves alone."""

from __future__ import annotations

from typing import Any

import pytest

from libs.common.config.schema import Limits, Thresholds
from libs.common.effects import Answered, Event, Received
from libs.common.messages_exec import Breaker, Level
from services.signal.selection import LoadSelection, SaveSelection, Stored, decode, encode
from tests.unit.signal.trader import PAIRS, Trader, actions, intents, trading
from tests.unit.signal.world import BTC, CROSS, ETH, HOUR_MS, of, opportunities

STAY = 1_000.0  # a rotation hurdle that nobody takes
TOLERANCE = Thresholds(flip_policy="tolerance", rotation_hurdle=STAY)
ALONE = Limits(max_pairs=1)


def wrong_for(hours: float, *, thresholds: Thresholds = TOLERANCE, **changes: Any) -> Trader:
    """BTC held forward while its carry has had the wrong sign for so long, as rounds have seen it."""
    trader = trading(Trader(thresholds=thresholds, limits=ALONE, **changes))
    trader.executor(BTC, "active")
    trader.say(trader.funding("BTC-USDT-PERP", -0.0005))
    trader.round()
    trader.passes(hours * 3600)
    again(trader, -0.0005)
    return trader


def again(trader: Trader, btc: float) -> None:
    """The same market, executor and permit, said now."""
    for message in trader.all_messages(btc=btc, eth=0.00001, other=btc):
        trader.say(message)
    trader.permit()
    opened = trader.said[BTC].opened_ms
    trader.executor(BTC, "active", opened_ms=opened)
    for pair in PAIRS[1:]:
        trader.executor(pair)


def test_tolerance_asks_for_a_close_after_its_hours_and_again_until_the_state_follows() -> None:
    trader = wrong_for(1.9)
    assert actions(trader.round()) == {}
    trader.later(0.1 * 3600)
    again(trader, -0.0005)
    found = intents(trader.round())
    assert set(found) == {BTC}
    close = found[BTC]
    assert (close.action, close.direction, close.notional_usd) == ("close", "forward", "1000")
    assert "wrong sign for 2.0 h" in close.reason
    assert opportunities(trader.effects)[BTC].reasons["closing"] == f"asked to close: {close.reason}"
    trader.later(1)
    assert actions(trader.round()) == {BTC: "close"}
    trader.executor(BTC, "closing")
    assert actions(trader.round()) == {}


def test_cost_aware_watches_until_the_settled_loss_is_the_round_trip() -> None:
    trader = wrong_for(3, thresholds=Thresholds(flip_policy="cost_aware", rotation_hurdle=STAY))
    effects = trader.round()
    assert actions(effects) == {}
    assert "leaving pays at" in opportunities(effects)[BTC].reasons["watch"]
    trader.passes(5 * 3600)
    again(trader, -0.0005)
    trader.say(trader.settled("BTC-USDT-PERP", -0.0045, trader.now.market_ms - 600_000))
    found = intents(trader.round())
    assert found[BTC].action == "close"
    assert "as much as 1 x the round trip" in found[BTC].reason


@pytest.mark.parametrize("flip_reverse", [True, False])
def test_a_reversal_opens_the_other_way_when_the_pair_is_idle_and_only_if_wanted(
    *, flip_reverse: bool
) -> None:
    thresholds = Thresholds(flip_policy="tolerance", flip_reverse=flip_reverse, rotation_hurdle=STAY)
    trader = trading(Trader(thresholds=thresholds, limits=ALONE))
    trader.executor(BTC, "active")
    trader.passes(60)
    for message in trader.all_messages(btc=-0.0005, eth=0.00001, other=-0.0005):
        trader.say(message)  # all that has settled was negative too: the other way passes every rule
    trader.permit()
    for pair in PAIRS[1:]:
        trader.executor(pair)
    trader.round()
    trader.passes(2 * 3600)
    again(trader, -0.0005)
    assert actions(trader.round()) == {BTC: "close"}
    trader.executor(BTC, "closing")
    assert actions(trader.round()) == {}
    trader.executor(BTC, "idle")
    found = trader.round()
    if flip_reverse:
        assert intents(found)[BTC].direction == "reverse"
    else:
        assert actions(found) == {}
        assert "rests for another 2.0 h" in opportunities(found)[BTC].reasons["resting"]


@pytest.mark.parametrize(
    ("state", "changes", "why"),
    [
        ("stuck", {}, "it is stuck"),
        ("closing", {}, "it is closing"),
        ("unwinding", {}, "it is unwinding"),
        ("active", {"quarantined_until_ms": 1 << 50}, "quarantined"),
    ],
)
def test_what_is_not_steady_is_not_asked_to_close(state: str, changes: dict[str, Any], why: str) -> None:
    trader = wrong_for(3)
    opened = trader.said[BTC].opened_ms
    trader.executor(BTC, state, opened_ms=opened, **changes)
    effects = trader.round()
    assert actions(effects) == {}
    assert why in opportunities(effects)[BTC].reasons["close_waits"]


def test_a_close_needs_no_permit_and_is_the_executors_own_at_flatten() -> None:
    trader = wrong_for(3)
    trader.permit(Breaker(scope="global", level=Level.REDUCE_ONLY, reason="halt"))
    assert actions(trader.round()) == {BTC: "close"}
    trader.clock.advance(sec=5)
    trader.refresh()
    assert actions(trader.round()) == {BTC: "close"}  # no permit at all
    trader.permit(Breaker(scope=f"pair:{BTC}", level=Level.FLATTEN, reason="loss"))
    effects = trader.round()
    assert actions(effects) == {}
    assert "risk flattens it" in opportunities(effects)[BTC].reasons["close_waits"]


@pytest.mark.parametrize(
    ("before_sec", "asked"), [(61, True), (60, False), (1, False), (-59, False), (-60, True)]
)
def test_a_soft_close_keeps_a_minute_away_from_a_settlement(*, before_sec: int, asked: bool) -> None:
    trader = wrong_for(7 - before_sec / 3600)
    effects = trader.round()
    assert actions(effects) == ({BTC: "close"} if asked else {})
    if asked and before_sec > 0:
        assert intents(effects)[BTC].expires_us == trader.now.wall_us + 1_000_000
    if not asked:
        assert "settles" in opportunities(effects)[BTC].reasons["close_waits"]


def test_a_silent_executor_is_not_asked_to_close() -> None:
    trader = wrong_for(3)
    trader.later(16)
    effects = trader.round()
    assert actions(effects) == {}
    assert "silent for 16 s" in opportunities(effects)[BTC].reasons["held"]


def test_holding_is_folded_again_from_its_opening_by_a_process_that_knew_nothing() -> None:
    trader = trading(Trader(limits=ALONE))
    opened_ms = trader.now.market_ms - 17 * HOUR_MS  # settlements 17, 9 and 1 h ago: two after the opening
    trader.executor(BTC, "active", opened_ms=opened_ms)
    trader.round()
    held = trader.ask_status()["holds"][BTC]
    assert held["funding_usd"] == pytest.approx(2 * 0.0003 * 1_000)
    assert held["hours"] == 17.0
    assert held["state"] == "active"


def test_what_signal_alone_knows_survives_it() -> None:
    trader = wrong_for(1)
    save = of(SaveSelection, trader.effects)[0]
    trader.do(Answered(request=save, result=1))
    (save,) = of(SaveSelection, trader.round()) or (save,)
    since = decode(save.value).held[BTC].holding.wrong_since_ms
    assert since == trader.now.market_ms - HOUR_MS
    other = Trader(thresholds=TOLERANCE, limits=ALONE)
    other.passes(2 * 3600)
    other.start(Stored(value=save.value, version=2))
    for message in other.all_messages(btc=-0.0005):
        other.say(message)
    other.permit()
    assert actions(other.round()) == {}  # nothing has been said of any pair yet, and nothing is forgotten
    held = decode(save.value).held[BTC]
    other.executor(BTC, "active", opened_ms=held.holding.since_ms)
    for pair in PAIRS[1:]:
        other.executor(pair)
    assert actions(other.round()) == {BTC: "close"}


def test_another_holding_of_the_same_pair_begins_anew() -> None:
    trader = wrong_for(3)
    trader.executor(BTC, "active", opened_ms=trader.now.market_ms)
    assert actions(trader.round()) == {}


def test_nothing_is_asked_before_the_store_has_answered() -> None:
    trader = Trader()
    trader.everything()
    trader.permit()
    for pair in PAIRS:
        trader.executor(pair)
    assert actions(trader.round()) == {}
    load: Event = Answered(request=LoadSelection(), result=Stored(value=encode({}), version=1))
    trader.do(load)
    assert set(actions(trader.round())) == {BTC, ETH}


def test_pairs_that_no_config_names_are_a_problem() -> None:
    trader = trading()
    status = trader.status(BTC, "active", pair="SOL-USDT_binance-spot_binance-perp")
    trader.do(Received(subject="exec.pair.x", message=status))
    trader.round()
    assert "SOL-USDT" in trader.ask_status()["problems"]["strangers"]


# --- rotation -------------------------------------------------------------------------------------


def rotating() -> Trader:
    """BTC is held at a rate that fell; ETH would earn far more, and there is one place."""
    trader = trading(Trader(limits=ALONE))
    trader.executor(BTC, "active")
    for message in trader.all_messages(btc=0.0001, eth=0.004, other=0.0001):
        trader.say(message)
    return trader


def test_a_rotation_closes_the_old_and_opens_the_new_when_it_is_gone() -> None:
    trader = rotating()
    effects = trader.round()
    found = intents(effects)
    assert {pair: wish.action for pair, wish in found.items()} == {BTC: "close"}
    assert f"{ETH} earns" in found[BTC].reason
    assert opportunities(effects)[ETH].reasons["waits"] == f"opens when {BTC} has left"
    trader.later(1)
    assert actions(trader.round()) == {BTC: "close"}
    trader.executor(BTC, "closing")
    assert actions(trader.round()) == {}
    trader.executor(BTC, "idle")
    effects = trader.round()
    assert actions(effects) == {ETH: "open"}


def test_nothing_is_left_for_a_newcomer_that_could_not_be_opened() -> None:
    trader = rotating()
    trader.permit(Breaker(scope=f"pair:{ETH}", level=Level.NO_OPENS, reason="churn"))
    assert actions(trader.round()) == {}


def test_one_newcomer_drives_out_one_pair() -> None:
    """While the first is closing the newcomer has no room yet, and must not take that of a second."""
    trader = trading(Trader(limits=Limits(max_pairs=2)))
    trader.executor(BTC, "active")
    trader.executor(CROSS, "active")
    for message in trader.all_messages(btc=0.0001, eth=0.004, other=0.0001):
        trader.say(message)
    (old,) = actions(trader.round())
    trader.later(1)
    assert set(actions(trader.round())) == {old}
    trader.executor(old, "closing")
    for _ in range(9):
        trader.later(1)
        assert actions(trader.round()) == {}
