from __future__ import annotations

import pytest
from msgspec.structs import replace

from libs.common.config.legs import pair_specs
from libs.common.config.schema import Exchange, Monitor
from libs.common.instant import US_PER_SEC
from libs.common.messages import Book, Quarantine
from services.signal.view import MarketView
from tests.unit.signal.world import BTC, CROSS, ETH, HOUR_MS, World, config

LEG = ("binance", "BTC-USDT-PERP")


def age_of(world: World, view: MarketView, instrument: str = "BTC-USDT-PERP") -> float | None:
    return view.leg_input(view.legs["binance", instrument].leg, world.now).quote_age_sec


def test_a_message_names_the_pairs_that_it_concerns() -> None:
    world = World()
    view = MarketView(world.config, pair_specs(world.config))
    assert set(view.apply(world.quote("BTC-USDT-PERP"))) == {BTC, CROSS}
    assert view.apply(world.quote("ETH-USDT")) == (ETH,)
    assert view.apply(world.quote("BTC-USDT-PERP", venue="bybit")) == (CROSS,)
    assert view.apply(world.quote("DOGE-USDT")) == ()


def test_what_is_missing_is_named_until_it_comes() -> None:
    world = World()
    view = MarketView(world.config, pair_specs(world.config))
    assert view.missing() == {"instruments"}
    for venue, instrument in view.legs:
        view.apply(world.info(instrument, venue=venue))
    assert view.missing() == {"history"}
    for venue, instrument in view.legs:
        if instrument.endswith("PERP"):
            view.apply(world.history(instrument, 0.0001, venue=venue, days=0))
    assert view.missing() == frozenset()


def test_an_instrument_that_does_not_exist_is_not_waited_for() -> None:
    world = World()
    view = world.view()
    view.apply(world.info("BTC-USDT-PERP", refused="not_listed"))
    view.legs[LEG].told = False
    assert view.missing() == frozenset()


def test_a_settled_print_is_used_once_however_often_it_is_told() -> None:
    world = World()
    view = world.view()
    before = view.settled(BTC)
    assert before is not None
    last_ms = world.now.market_ms // (8 * HOUR_MS) * 8 * HOUR_MS
    assert view.apply(world.settled("BTC-USDT-PERP", 0.0003, last_ms)) == ()
    assert view.apply(world.settled("BTC-USDT-PERP", 0.0003, last_ms + 8 * HOUR_MS + 999)) != ()
    view.apply(world.settled("BTC-USDT-PERP", 0.0003, last_ms + 8 * HOUR_MS))
    view.apply(world.history("BTC-USDT-PERP", 0.0003))
    after = view.settled(BTC)
    assert after is not None
    assert after.positive_run == before.positive_run + 1 - 1  # the oldest has left the 31 days
    assert len(view.legs[LEG].prints) == 93


def test_settled_carry_is_worked_out_when_a_print_comes_and_not_before() -> None:
    world = World()
    view = world.view()
    first = view.settled(BTC)
    view.apply(world.quote("BTC-USDT-PERP"))
    assert view.settled(BTC) is first
    view.apply(world.settled("BTC-USDT-PERP", -0.0001, world.now.market_ms))
    assert view.settled(BTC) is not first


def test_an_interval_that_changes_while_watched_prices_at_once() -> None:
    world = World()
    view = world.view()
    leg = view.legs[LEG].leg
    assert view.leg_input(leg, world.now).interval_hours == 8.0
    view.apply(world.funding("BTC-USDT-PERP", 0.0003, hours=1.0))
    seen = view.leg_input(leg, world.now)
    assert (seen.rate, seen.interval_hours) == (0.0003, 1.0)


def test_ages_grow_with_the_wall_clock_and_not_with_market_time() -> None:
    world = World(speed=2_880.0)
    view = world.view()
    world.clock.advance(sec=1.5)
    assert age_of(world, view) == pytest.approx(1.5)
    assert view.leg_input(view.legs[LEG].leg, world.now).funding_age_sec == pytest.approx(1.5)


def test_a_quiet_symbol_of_a_living_stream_is_not_stale() -> None:
    world = World()
    view = world.view()
    world.clock.advance(sec=20)
    assert age_of(world, view) == pytest.approx(20)
    view.apply(world.health(ages_sec={"quote": 0.2}))
    assert age_of(world, view) == pytest.approx(0.2)
    world.clock.advance(sec=1)
    assert age_of(world, view) == pytest.approx(1.2)


def test_a_dead_venue_confirms_nothing() -> None:
    world = World()
    view = world.view()
    world.clock.advance(sec=20)
    view.apply(world.health(connected=False))
    assert age_of(world, view) == pytest.approx(20)


def test_health_confirms_no_longer_than_the_feed_may_go_without_polling() -> None:
    world = World()
    view = world.view()
    world.clock.advance(sec=77)
    view.apply(world.health(ages_sec={"quote": 0.2}))
    assert age_of(world, view) == pytest.approx(77)


def test_a_polled_quote_is_as_old_as_its_poll() -> None:
    world = World()
    view = world.view()
    view.apply(world.quote("BTC-USDT-PERP", source="poll"))
    world.clock.advance(sec=20)
    view.apply(world.health(ages_sec={"quote": 0.2}))
    seen = view.leg_input(view.legs[LEG].leg, world.now)
    assert seen.quote_age_sec == pytest.approx(20)
    assert seen.quote_age_max_sec == 75.0
    assert view.leg_input(view.legs[LEG].leg, world.now, hot=True).quote_age_max_sec == 2.5


def test_a_mark_that_streams_must_be_five_seconds_young() -> None:
    world = World()
    view = world.view()
    view.apply(world.funding("BTC-USDT-PERP", 0.0003, mark=100.0))
    leg = view.legs[LEG].leg
    world.clock.advance(sec=3)
    view.apply(world.funding("BTC-USDT-PERP", 0.0003, mark=100.0))
    assert view.leg_input(leg, world.now).mark_age_max_sec == 75.0  # two polls close together are no stream
    view.apply(replace(world.funding("BTC-USDT-PERP", 0.0003, mark=100.0), source="stream"))
    assert view.leg_input(leg, world.now).mark_age_max_sec == 5.0
    view.apply(world.funding("BTC-USDT-PERP", 0.0003, mark=100.0))
    assert view.leg_input(leg, world.now).mark_age_max_sec == 5.0  # a poll in between does not make it lax
    world.clock.advance(sec=76)
    assert view.leg_input(leg, world.now).mark_age_max_sec == 75.0


def test_a_mark_of_an_earlier_answer_is_as_old_as_that_answer() -> None:
    world = World()
    view = world.view()
    said = world.funding("BTC-USDT-PERP", 0.0003, mark=100.0)
    view.apply(replace(said, mark_us=said.recv_us - 7 * US_PER_SEC))
    assert view.leg_input(view.legs[LEG].leg, world.now).mark_age_sec == pytest.approx(7.0)


def test_quarantine_shuts_out_an_instrument_or_a_venue_and_ends() -> None:
    world = World()
    view = world.view()
    leg, spot = view.legs[LEG].leg, view.legs["binance", "BTC-USDT"].leg
    one = Quarantine(instrument="BTC-USDT-PERP", reason="rate_null", text="no rate", since_ms=0)
    assert set(view.apply(world.health("binance", one))) == {BTC, ETH, CROSS}
    assert view.leg_input(leg, world.now).quarantine == "rate_null: no rate"
    assert view.leg_input(spot, world.now).quarantine is None
    whole = Quarantine(instrument=None, reason="venue_network", text="down", since_ms=0)
    view.apply(world.health("binance", whole))
    assert view.leg_input(spot, world.now).quarantine == "venue_network: down"
    view.apply(world.health("bybit"))
    assert view.leg_input(spot, world.now).quarantine == "venue_network: down"
    view.apply(world.health("binance"))
    assert view.leg_input(spot, world.now).quarantine is None
    assert view.leg_input(leg, world.now).quarantine is None


def test_a_book_gives_depth_until_it_is_old() -> None:
    world = World(config(monitor=Monitor(book_interval_sec=20)))
    view = world.view()
    levels = ((99.9, 10.0),), ((100.1, 10.0),)
    view.apply(
        Book(
            venue="binance",
            instrument="BTC-USDT-PERP",
            bids=levels[0],
            asks=levels[1],
            ts_ms=0,
            recv_us=world.now.wall_us,
        )
    )
    leg = view.legs[LEG].leg
    depth = view.leg_input(leg, world.now).depth
    assert depth is not None
    assert depth.depth_usd == pytest.approx(999.0)
    world.clock.advance(sec=60)
    assert view.leg_input(leg, world.now).depth is not None
    world.clock.advance(us=US_PER_SEC)
    assert view.leg_input(leg, world.now).depth is None


def test_the_next_settlement_follows_from_the_last_when_the_venue_is_silent() -> None:
    world = World()
    view = world.view()
    leg = view.legs[LEG].leg
    view.apply(world.funding("BTC-USDT-PERP", 0.0003, next_ms=None))
    assert view.leg_input(leg, world.now).next_ms == world.now.market_ms + 7 * HOUR_MS


def test_the_same_facts_again_are_no_news() -> None:
    world = World()
    view = world.view()
    world.clock.advance(sec=30)
    assert view.apply(world.info("BTC-USDT-PERP")) == ()
    assert set(view.apply(world.info("BTC-USDT-PERP", quantity_min="0.001"))) == {BTC, CROSS}
    assert view.leg_input(view.legs[LEG].leg, world.now).quantity_min == 0.001


def test_a_sub_account_has_data_of_its_own_name() -> None:
    exchanges = {
        "spot": Exchange(id="binance", type="spot"),
        "perp": Exchange(id="binance", type="swap", account="sub1"),
    }
    world = World(config(exchanges=exchanges, pairs=(), symbols=("BTC/USDT",)))
    view = MarketView(world.config, pair_specs(world.config))
    assert ("binance-sub1", "BTC-USDT-PERP") in view.legs
    assert len(view.apply(world.quote("BTC-USDT-PERP", venue="binance-sub1"))) == 1
