"""The feed from the first event on, with a scripted venue and a clock that moves when told to."""

from __future__ import annotations

from msgspec.structs import replace

from libs.common import subjects
from libs.common.effects import Answered, Started, TimerFired
from libs.common.messages import Book, Funding, InstrumentInfo, Want
from libs.common.messages import FundingHistory as History
from libs.exchange.port import GapSeen
from services.feed.actor import conflation_key, lane_of
from services.feed.work import FetchSettled, LoadVenue, Observed
from tests.unit.feed.rig import (
    PERP,
    SPOT,
    START_MS,
    Rig,
    clock_at,
    config_of,
    market_of,
    opportunity,
    started,
)

HOUR = 3_600_000


async def test_the_first_seconds_give_everything_once() -> None:
    rig = await started("bybit")
    assert [info.instrument for info in rig.said(InstrumentInfo)] == [SPOT, PERP]
    assert {quote.instrument for quote in rig.quotes("")} == {SPOT, PERP}
    assert {book.instrument for book in rig.said(Book)} == {SPOT, PERP}
    assert rig.current(PERP)[-1].next_ms == START_MS + 60_000
    history = rig.history(PERP)
    assert len(history.prints) == 93  # 31 days of 8 h
    assert history.complete_since_ms == START_MS - 31 * 24 * HOUR
    health = rig.health("bybit")
    assert (health.connected, health.clock_offset_ms, health.gaps, health.errors) == (True, 12.0, 0, {})
    assert rig.settled(PERP) == []  # a backfill is state, not news


async def test_a_clock_that_is_off_is_measured_every_ten_seconds_until_it_is_right_again() -> None:
    rig = await started("bybit")
    market = rig.markets["bybit"]

    def measured() -> int:
        return sum(name == "fetch_clock_offset_ms" for name, _ in market.calls)

    market.offset_ms = -600.0
    await rig.run(61)
    assert rig.health("bybit").clock_offset_ms == -600.0
    before = measured()
    await rig.run(21)
    assert measured() == before + 2
    market.offset_ms = 12.0
    await rig.run(11)
    assert rig.health("bybit").clock_offset_ms == 12.0
    before = measured()
    await rig.run(45)
    assert measured() == before, "once a minute is enough for a clock that is right"


async def test_only_what_the_pairs_need_is_asked_for() -> None:
    clock = clock_at()
    market = market_of("bybit", clock, symbols=("INJ/USDT", "DOGE/USDT"))
    rig = Rig(config_of("bybit"), [market], clock)
    await rig.start()
    await rig.run(20)
    assert {slug for name, slugs in market.calls if name == "fetch_quotes" for slug in slugs} == {SPOT, PERP}
    assert {slugs for name, slugs in market.calls if name == "fetch_funding"} == {(PERP,)}


async def test_pairs_that_pass_are_polled_each_second() -> None:
    rig = await started("bybit", "okx", interval_sec=30.0)
    await rig.hear(subjects.opportunity("INJ-USDT_bybit-spot_bybit-perp"), opportunity(passes=True))
    rig.forget()
    await rig.run(10)
    assert len(rig.quotes(PERP, venue="bybit")) == 10
    assert len(rig.quotes(PERP, venue="okx")) <= 1
    await rig.hear(subjects.opportunity("INJ-USDT_bybit-spot_bybit-perp"), opportunity(passes=False))
    rig.forget()
    await rig.run(10)
    assert len(rig.quotes(PERP, venue="bybit")) <= 1


async def test_pairs_that_are_held_are_polled_each_second_though_they_no_longer_pass() -> None:
    rig = await started("bybit", "okx", interval_sec=30.0)
    subject = subjects.opportunity("INJ-USDT_bybit-spot_bybit-perp")
    await rig.hear(subject, opportunity(passes=False, allocated_usd=1_000.0))
    rig.forget()
    await rig.run(10)
    assert len(rig.quotes(PERP, venue="bybit")) == 10
    await rig.hear(subject, opportunity(passes=False))
    rig.forget()
    await rig.run(10)
    assert len(rig.quotes(PERP, venue="bybit")) <= 1


async def test_a_streamed_symbol_is_polled_only_when_it_is_quiet() -> None:
    rig = await started("bybit", streams=("quote",), interval_sec=5.0)
    market = rig.markets["bybit"]
    await rig.see(market.quote(SPOT, source="stream"), market.quote(PERP, source="stream"))
    rig.forget()
    market.calls.clear()
    for _ in range(20):
        await rig.see(market.quote(SPOT, source="stream"))
        await rig.run(1)
    asked = [slugs for name, slugs in market.calls if name == "fetch_quotes"]
    assert asked
    assert all(slugs == (PERP,) for slugs in asked)
    assert len(asked) in (3, 4)
    assert {quote.source for quote in rig.quotes(PERP)} == {"poll"}
    assert {quote.source for quote in rig.quotes(SPOT)} == {"stream"}
    assert rig.health("bybit").ages_sec["quote"] <= 1.0


async def test_a_broken_stream_is_counted() -> None:
    rig = await started("bybit")
    await rig.see(GapSeen(venue="bybit", instrument="", recv_us=1, text="connection reset"))
    await rig.run(1)
    assert rig.health("bybit").gaps == 1
    assert len(rig.measured("fundarb_data_gaps_total")) == 1


async def test_slow_state_comes_when_asked_for_and_every_thirty_seconds() -> None:
    rig = await started("bybit")
    rig.forget()
    await rig.hear(subjects.want("feed"), Want(service="feed", what=("history",)))
    assert [one.instrument for one in rig.said(History)] == [PERP]
    assert rig.said(InstrumentInfo) == []
    await rig.hear(subjects.want("feed"), Want(service="feed", what=("history",)))
    await rig.hear(subjects.want("feed"), Want(service="feed", what=("history", "weather")))
    assert len(rig.said(History)) == 1  # asked in a loop: once a second
    await rig.run(1)
    assert len(rig.said(History)) == 2, "who asked a moment later has perhaps subscribed only then"
    await rig.run(1)
    await rig.hear(subjects.want("feed"), Want(service="feed", what=("weather",)))
    assert len(rig.said(History)) == 2
    await rig.hear(subjects.want("feed"), Want(service="feed"))
    assert len(rig.said(InstrumentInfo)) == 2
    rig.forget()
    await rig.run(30)
    assert len(rig.said(InstrumentInfo)) == 2
    assert len(rig.said(History)) == 1


async def test_a_sub_account_has_its_parents_market_under_its_own_name() -> None:
    clock = clock_at()
    market = market_of("bybit", clock)
    rig = Rig(config_of("bybit", account="sub1"), [market], clock)
    await rig.start()
    await rig.run(3)
    assert {quote.venue for quote in rig.quotes("")} == {"bybit-sub1"}
    assert {funding.venue for funding in rig.said(Funding)} == {"bybit-sub1"}
    assert rig.history(PERP).venue == "bybit-sub1"
    assert rig.health("bybit-sub1").connected


async def test_a_stranger_on_the_stream_is_ignored() -> None:
    rig = await started("bybit")
    rig.forget()
    market = rig.markets["bybit"]
    await rig.see(
        replace(market.quote(SPOT), instrument="DOGE-USDT"), replace(market.quote(SPOT), venue="okx")
    )
    assert rig.effects == []


async def test_a_venue_whose_every_word_is_nonsense_is_still_connected() -> None:
    clock = clock_at()
    market = market_of("bybit", clock)
    for one in market.listed.values():
        one.spread, one.rows = -0.01, []
    rig = Rig(config_of("bybit", interval_sec=1.0), [market], clock)
    await rig.start()
    await rig.run(30)
    assert rig.health("bybit").connected
    assert rig.health("bybit").ages_sec["quote"] >= 29
    assert set(rig.quarantined("bybit")) == {SPOT, PERP}
    assert not rig.quotes("")


async def test_prints_have_a_lane_of_their_own() -> None:
    page = FetchSettled(venue="bybit", slug=PERP, since_ms=0, until_ms=1)
    assert lane_of(Answered(request=page, result=[])) == lane_of(TimerFired(name="retry")) == "prints"
    others = [Started(), TimerFired(name="beat"), Answered(request=LoadVenue(venue="bybit"))]
    assert {lane_of(event) for event in others} == {""}


async def test_a_full_inbox_keeps_the_newest_of_each_and_every_gap() -> None:
    market = market_of("bybit", clock_at())
    quote, rate = market.quote(PERP), market.funding(PERP)
    keys = [conflation_key(Observed(observation=seen)) for seen in (quote, market.quote(SPOT), rate)]
    assert len(set(keys)) == 3
    assert conflation_key(Observed(observation=market.quote(PERP))) == keys[0]
    gap = GapSeen(venue="bybit", instrument=PERP, recv_us=1, text="cut")
    assert conflation_key(Observed(observation=gap)) is None
    assert conflation_key(TimerFired(name="beat")) is None
