"""Trades are asked for when there is evidence of a need: not when the answer or the stream brings them."""

from __future__ import annotations

import pytest

from libs.common.effects import Event
from libs.exchange.trading_values import Done
from services.executor.events import FetchFills, FillSeen, OrderAnswered, OrderSeen
from services.executor.model import State
from services.executor.order import fills_complete
from tests.unit.executor.rig import Rig


class Terse(Rig):
    """Answers without trades, as most venues give them; the stream brings them when it is on."""

    def offer(self, event: Event) -> None:
        if isinstance(event, OrderAnswered) and isinstance(event.outcome, Done) and event.outcome.fills:
            told = event.outcome
            bare = OrderAnswered(
                pair=event.pair,
                id=event.id,
                outcome=Done(report=told.report),
                sent_mono_us=event.sent_mono_us,
            )
            super().offer(bare)
            venue = self.keys[0][0]
            if self.stream_on:
                super().offer(OrderSeen(pair=self.pair, venue=venue, report=told.report))
                for fill in told.fills:
                    super().offer(FillSeen(pair=self.pair, venue=venue, fill=fill))
                super().offer(OrderSeen(pair=self.pair, venue=venue, report=told.report))
            return
        super().offer(event)


def fetches(rig: Rig) -> int:
    return sum(isinstance(one, FetchFills) for one in rig.requests)


def whole_life(rig: Rig) -> Rig:
    rig.opened()
    rig.run(20)
    rig.wish("close")
    rig.until(lambda: rig.state is State.IDLE, 10)
    rig.run(20)
    assert len(rig.sent) == 4
    assert all(fills_complete(one) for one in rig.lane.intents.values())
    return rig


@pytest.mark.parametrize("made", [Rig, Terse])
def test_four_orders_of_which_all_is_told_fetch_nothing(made: type[Rig]) -> None:
    assert fetches(whole_life(made(base_fee="0.001"))) == 0


def test_with_a_silent_stream_each_order_is_fetched_once() -> None:
    rig = Terse(base_fee="0.001")
    rig.stream_on = False
    whole_life(rig)
    assert 1 <= fetches(rig) <= len(rig.sent)


def test_orders_of_one_instrument_are_fetched_together() -> None:
    rig = Terse(slices=4, slice_interval_sec=0.1)
    rig.stream_on = False
    rig.wish("open", "2000")
    rig.until(lambda: rig.state is State.ACTIVE, 10)
    rig.run(10)
    contracts = [one for one in rig.sent if one.leg == 1]
    asked = [one for one in rig.requests if isinstance(one, FetchFills) and "PERP" in one.instrument]
    assert len(contracts) == 4
    assert 1 <= len(asked) <= 2


def test_what_a_venue_does_not_tell_is_asked_for_again() -> None:
    rig = Terse()
    rig.stream_on = False
    kept = {key: list(trades) for key, trades in rig.venues.trades.items()}
    rig.opened()
    hidden = {key: list(trades) for key, trades in rig.venues.trades.items()}
    for key in rig.keys:
        rig.venues.trades[key][:] = kept.get(key, [])
    rig.run(12)
    few = fetches(rig)
    assert few >= 2
    for key in rig.keys:
        rig.venues.trades[key][:] = hidden[key]
    rig.run(12)
    after = fetches(rig)
    rig.run(60)
    assert fetches(rig) == after
    assert all(fills_complete(one) for one in rig.lane.intents.values())


def test_trades_that_the_pair_waits_for_are_urgent_and_those_of_the_ledger_are_not() -> None:
    rig = Terse(base_fee="0.001")
    rig.stream_on = False
    whole_life(rig)
    asked = {(one.instrument, one.urgent) for one in rig.requests if isinstance(one, FetchFills)}
    spot, perp = (name for _, name in rig.keys)
    assert (spot, True) in asked, "nothing is sent before it is known what fees took from the coins"
    assert (perp, False) in asked
    assert (perp, True) not in asked


@pytest.mark.parametrize("away_sec", [400, 700, 4_000])
def test_trades_of_an_order_that_was_long_unknown_are_fetched(away_sec: int) -> None:
    """Its venue did not answer for longer than trades come late: the time counts from the order's end."""
    rig = Terse()
    rig.stream_on = False
    rig.acts("perp", "silent")
    rig.venues.queries_fail = True
    rig.wish("open")
    rig.run(away_sec)
    rig.venues.queries_fail = False
    rig.until(lambda: rig.state is State.ACTIVE, 60)
    rig.until(lambda: all(fills_complete(one) for one in rig.lane.intents.values()), 10)
    assert not rig.told(":untold:"), "it has only just been known that they are missing"


@pytest.mark.parametrize("away_sec", [400, 700, 4_000])
def test_trades_of_a_close_whose_both_orders_were_long_unknown_are_fetched(away_sec: int) -> None:
    """The pair is idle when both are resolved: nothing but the ledger waits for their prices and fees."""
    rig = Terse().opened()
    rig.run(5)
    rig.stream_on = False
    for leg in ("perp", "spot"):
        rig.acts(leg, "silent")
    rig.venues.queries_fail = True
    rig.wish("close")
    rig.run(away_sec)
    rig.venues.queries_fail = False
    rig.until(lambda: rig.state is State.IDLE, 120)
    rig.until(lambda: all(fills_complete(one) for one in rig.lane.intents.values()), 10)
    assert not rig.told(":untold:"), "it has only just been known that they are missing"


def test_trades_that_are_not_told_are_asked_for_less_and_less_often_and_a_person_hears() -> None:
    rig = Terse().opened()
    rig.run(5)
    rig.stream_on = False
    rig.venues.fills_fail = 10**6
    rig.wish("close")
    rig.until(lambda: rig.state is State.IDLE, 5)
    counts = []
    for _ in range(4):
        before = fetches(rig)
        rig.run(600)
        counts.append(fetches(rig) - before)
    assert counts[0] > 100 > counts[1] >= counts[2] >= counts[3] >= 5
    assert len(rig.told(":untold:")) == 2, "one an order"
    rig.venues.fills_fail = 0
    rig.until(lambda: all(fills_complete(one) for one in rig.lane.intents.values()), 300)
