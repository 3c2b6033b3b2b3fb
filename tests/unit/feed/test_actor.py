"""The feed from the first event on, with a scripted venue and a clock that moves when told to."""

from __future__ import annotations

import math
from typing import Any

import pytest
from msgspec.structs import replace

from libs.common import subjects
from libs.common.messages import Book, ClockState, Funding, InstrumentInfo, LegFigures, Opportunity, Want
from libs.common.messages import FundingHistory as History
from libs.common.subjects import Kind
from libs.exchange.port import BookSeen, FundingSeen, GapSeen, QuoteSeen
from tests.helpers.fake_market import down
from tests.unit.feed.rig import PERP, SPOT, START_MS, Rig, clock_at, config_of, market_of

HOUR = 3_600_000


async def started(*venues: str, streams: tuple[str, ...] = (), **changes: Any) -> Rig:
    clock = clock_at()
    rig = Rig(
        config_of(*venues, **changes), [market_of(venue, clock, streams=streams) for venue in venues], clock
    )
    await rig.start()
    await rig.run(11)
    return rig


def opportunity(*, passes: bool, venue: str = "bybit") -> Opportunity:
    def leg(instrument: str, kind: Kind, side: Any) -> LegFigures:
        return LegFigures(venue=venue, instrument=instrument, kind=kind, side=side)

    return Opportunity(
        pair=f"INJ-USDT_{venue}-spot_{venue}-perp",
        symbol="INJ/USDT",
        direction="forward",
        long=leg(SPOT, Kind.SPOT, "long"),
        short=leg(PERP, Kind.PERP, "short"),
        notional_usd=1_000.0,
        hold_days=30.0,
        forecast="flat",
        passes=passes,
        refusals=() if passes else ("daily_low",),
        market_ms=START_MS,
        eval_us=0,
    )


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


async def test_only_what_the_pairs_need_is_asked_for() -> None:
    clock = clock_at()
    market = market_of("bybit", clock, symbols=("INJ/USDT", "DOGE/USDT"))
    rig = Rig(config_of("bybit"), [market], clock)
    await rig.start()
    await rig.run(20)
    assert {slug for name, slugs in market.calls if name == "fetch_quotes" for slug in slugs} == {SPOT, PERP}
    assert {slugs for name, slugs in market.calls if name == "fetch_funding"} == {(PERP,)}


async def test_a_settlement_is_fetched_at_once_and_said_once() -> None:
    rig = await started("bybit")
    rig.forget()
    await rig.run(50)
    assert rig.settled(PERP) == [(START_MS + 60_000, 0.000112, 8.0)]
    assert rig.history(PERP).prints[-1].settled_ms == START_MS + 60_000
    rolled = next(one for one in rig.current(PERP) if one.next_ms == START_MS + 60_000 + 8 * HOUR)
    assert rolled.ts_ms - (START_MS + 60_000) <= 250
    assert all(one.settled_ms is None for one in rig.current(PERP))


async def test_a_late_print_is_looked_for_until_it_is_there() -> None:
    rig = await started("bybit")
    market = rig.markets["bybit"]
    market.listed[PERP].late_ms = 20_000
    await rig.run(48)
    asked = market.count("fetch_settled")
    await rig.run(20)
    assert market.count("fetch_settled") - asked == 5  # at once, after 1, 2, 4, 8 s: patient, not stubborn
    assert rig.settled(PERP) == []
    await rig.run(15)
    assert rig.settled(PERP) == [(START_MS + 60_000, 0.000112, 8.0)]


async def test_a_stream_that_rolls_over_first_does_not_hide_the_settlement() -> None:
    rig = await started("bybit", streams=("mark",))
    await rig.run(48.75)
    rig.clock.advance(ms=260)  # past the settlement, the next beat not yet handled
    rolled = rig.markets["bybit"].funding(PERP)
    assert rolled.next_ms == START_MS + 60_000 + 8 * HOUR
    await rig.see(rolled)
    await rig.run(1)
    assert [at for at, _, _ in rig.settled(PERP)] == [START_MS + 60_000]


async def test_nobody_hears_a_print_twice_after_a_restart() -> None:
    rig = await started("bybit")
    await rig.run(60)
    assert len(rig.settled(PERP)) == 1
    again = Rig(config_of("bybit"), rig.markets.values(), rig.clock, store=rig.store)
    rig.clock.advance(sec=8 * 3_600)  # one settlement while the feed was down
    await again.start()
    await again.run(10)
    assert [at for at, _, _ in again.settled(PERP)] == [START_MS + 60_000 + 8 * HOUR]
    third = Rig(config_of("bybit"), rig.markets.values(), rig.clock, store=rig.store)
    await third.start()
    await third.run(10)
    assert third.settled(PERP) == []
    assert third.history(PERP).prints[-1].settled_ms == START_MS + 60_000 + 8 * HOUR


async def test_prints_wait_for_the_store_and_quotes_do_not() -> None:
    rig = await started("bybit", interval_sec=1.0)
    rig.store.broken = True
    await rig.run(60)
    rig.forget()
    await rig.run(5)
    assert rig.settled(PERP) == []
    assert len(rig.quotes(PERP)) == 5
    rig.store.broken = False
    await rig.run(5)
    assert [at for at, _, _ in rig.settled(PERP)] == [START_MS + 60_000]


async def test_jittered_stamps_are_one_settlement() -> None:
    rig = await started("bybit")
    rig.markets["bybit"].listed[PERP].jitter_ms = 999
    await rig.run(700)  # one settlement, and the recheck of the last day
    assert [at for at, _, _ in rig.settled(PERP)] == [START_MS + 60_000]
    assert rig.health("bybit").gaps == 0


async def test_a_late_correction_is_said_again() -> None:
    rig = await started("bybit")
    await rig.run(60)
    rows = rig.markets["bybit"].listed[PERP].rows
    rows[120] = (rows[120][0], 0.0009)
    await rig.run(610)
    assert [rate for _, rate, _ in rig.settled(PERP)] == [0.000112, 0.0009]
    assert rig.history(PERP).prints[-1].rate == 0.0009


async def test_a_missing_settlement_stays_missing_and_is_counted() -> None:
    clock = clock_at()
    market = market_of("bybit", clock)
    gone = market.listed[PERP].rows.pop(100)
    rig = Rig(config_of("bybit"), [market], clock)
    await rig.start()
    await rig.run(3)
    assert gone[0] not in {one.settled_ms for one in rig.history(PERP).prints}
    assert {one.interval_hours for one in rig.history(PERP).prints} == {8.0}
    assert rig.health("bybit").gaps == 1


# INJUSDT on Bybit around 2026-02-19 16:00 UTC, as recorded: 8 h until 16:00, hourly from 17:00 on.
INJ = [
    (1_771_459_200_000, -3.238e-05),
    (1_771_488_000_000, -0.00867588),
    (1_771_516_800_000, -0.01),
    (1_771_520_400_000, -0.00368432),
    (1_771_524_000_000, -0.00311877),
    (1_771_527_600_000, -0.00511665),
    (1_771_531_200_000, -0.00186219),
]


async def test_injs_interval_change_is_seen_at_once_and_said_right() -> None:
    clock = clock_at()
    market = market_of("bybit", clock)
    one = market.listed[PERP]
    one.rows = list(INJ)
    one.interval_hours = None  # from the rows: what the venue says changes with them
    rig = Rig(config_of("bybit"), [market], clock)
    await rig.start()
    await rig.run(62)
    change = next(funding for funding in rig.current(PERP) if funding.interval_hours == 1.0)
    assert change.ts_ms - INJ[2][0] <= 250
    assert (change.rate, change.next_ms) == INJ[3][::-1]
    assert rig.notes().count("the funding interval changed") == 1
    await rig.run(3 * 3_600, step_ms=1_000)
    hours = {one.settled_ms: one.interval_hours for one in rig.history(PERP).prints}
    assert [hours[at] for at, _ in INJ[:6]] == [8.0, 8.0, 8.0, 1.0, 1.0, 1.0]
    assert rig.settled(PERP) == [(at, rate, hours[at]) for at, rate in INJ[2:6]]
    assert rig.quarantined("bybit") == {}


def nonsense() -> list[Any]:
    perp: dict[str, Any] = {"venue": "bybit", "instrument": PERP, "recv_us": 1}
    rate: dict[str, Any] = {
        **perp,
        "rate": 0.0001,
        "interval_hours": 8.0,
        "interval_source": "rate",
        "next_ms": START_MS + 8 * HOUR,
    }
    quote: dict[str, Any] = {
        **perp,
        "bid": 99.9,
        "ask": 100.1,
        "bid_size": 1.0,
        "ask_size": 1.0,
        "source": "stream",
    }
    return [
        (FundingSeen(**(rate | {"rate": None})), "rate_null"),
        (FundingSeen(**(rate | {"rate": math.nan})), "rate_not_finite"),
        (FundingSeen(**(rate | {"rate": 1.8e9})), "rate_absurd"),
        (FundingSeen(**(rate | {"interval_hours": 0.0})), "interval_implausible"),
        (FundingSeen(**(rate | {"next_ms": START_MS - 8 * HOUR})), "next_past"),
        (FundingSeen(**(rate | {"next_ms": START_MS + 9 * HOUR})), "next_far"),
        (FundingSeen(**(rate | {"mark": 0.1, "index": 100.0})), "multiplier"),
        (QuoteSeen(**(quote | {"bid": 100.2})), "quote_crossed"),
        (QuoteSeen(**(quote | {"bid": None})), "quote_empty"),
        (QuoteSeen(**(quote | {"ask": math.nan})), "quote_not_positive"),
        (QuoteSeen(**(quote | {"bid": 99_900.0, "ask": 100_100.0})), "multiplier"),
        (QuoteSeen(**(quote | {"bid": 119.9, "ask": 120.1})), "quote_off_mark"),
        (BookSeen(**perp, bids=(), asks=()), "book_empty"),
        (BookSeen(**perp, bids=((101.0, 1.0),), asks=((100.0, 1.0),)), "book_crossed"),
    ]


@pytest.mark.parametrize(
    ("seen", "reason"), nonsense(), ids=lambda value: value if isinstance(value, str) else ""
)
async def test_nonsense_shuts_out_its_instrument_and_nothing_else(seen: Any, reason: str) -> None:
    rig = await started("bybit", "okx")
    rig.forget()
    await rig.see(seen)
    assert rig.quarantined("bybit") == {PERP: reason}  # said at once, not with the next second
    assert not rig.current(PERP)
    assert not rig.quotes(PERP)
    assert not rig.said(Book, PERP)
    await rig.run(10.5)
    assert rig.quarantined("okx") == {}
    assert rig.quotes(SPOT, venue="bybit")
    assert rig.quotes(PERP, venue="okx")
    await rig.run(35)
    assert rig.quarantined("bybit") == {}  # clean polls brought it back
    assert "back from quarantine" in rig.notes()


async def test_a_thousandfold_price_against_the_spot_market() -> None:
    """1000SHIB quoted as SHIB: mark and mid of the perp agree with each other, not with spot."""
    clock = clock_at()
    market = market_of("bybit", clock)
    market.listed[PERP].price = 100_000.0
    rig = Rig(config_of("bybit"), [market], clock)
    await rig.start()
    await rig.run(12)
    assert rig.quarantined("bybit") == {PERP: "multiplier"}
    assert rig.quotes(PERP) == []
    assert rig.quotes(SPOT)


async def test_a_rate_left_out_of_the_answer_is_named() -> None:
    rig = await started("bybit")
    rig.markets["bybit"].left_out = {PERP}
    await rig.run(10.5)
    assert rig.quarantined("bybit") == {PERP: "funding_missing"}
    rig.markets["bybit"].left_out = set()
    await rig.run(60)
    assert rig.quarantined("bybit") == {}


async def test_an_instrument_that_the_venue_does_not_have() -> None:
    clock = clock_at()
    market = market_of("bybit", clock)
    del market.listed[PERP]
    rig = Rig(config_of("bybit"), [market], clock)
    await rig.start()
    await rig.run(12)
    assert {info.instrument: info.refused for info in rig.said(InstrumentInfo)} == {
        SPOT: None,
        PERP: "not_listed",
    }
    assert rig.quarantined("bybit") == {PERP: "not_listed"}
    assert rig.quotes(SPOT)
    assert market.count("fetch_funding") == 0


async def test_a_venue_that_is_down_stays_alone_with_it() -> None:
    clock = clock_at()
    markets = [market_of(venue, clock) for venue in ("bybit", "okx")]
    markets[0].fail("load", *(down("bybit") for _ in range(4)))
    rig = Rig(config_of("bybit", "okx"), markets, clock)
    await rig.start()
    await rig.run(5)
    assert rig.quarantined("bybit") == {None: "venue_network"}
    assert not rig.health("bybit").connected
    assert rig.health("bybit").errors == {"network": 3}  # at 0, 1 and 3 s
    assert rig.quotes(PERP, venue="okx")
    await rig.run(40)
    assert rig.quotes(PERP, venue="bybit")
    assert rig.quarantined("bybit") == {}
    assert rig.health("bybit").connected


async def test_a_rate_limit_silences_the_venue_for_long_enough() -> None:
    rig = await started("bybit", interval_sec=1.0)
    market = rig.markets["bybit"]
    market.fail("fetch_quotes", down("bybit", "rate_limit", "too many requests"))
    await rig.run(1)
    calls = len(market.calls)
    await rig.run(14)
    assert len(market.calls) <= calls + 1  # what was under way; then silence for 15 s
    await rig.run(3)
    assert len(market.calls) > calls + 2
    assert [one.labels["class"] for one in rig.measured("fundarb_venue_errors_total")] == ["rate_limit"]


async def test_a_bug_in_a_handler_is_a_venue_error_not_the_end() -> None:
    rig = await started("bybit", interval_sec=1.0)
    market = rig.markets["bybit"]
    market.fail("fetch_quotes", TimeoutError())
    await rig.run(2)
    assert rig.health("bybit").errors == {"timeout": 1}


async def test_three_failures_in_a_row_doubt_the_venue() -> None:
    rig = await started("bybit", interval_sec=1.0)
    market = rig.markets["bybit"]
    failing = [down("bybit", "timeout", "no answer") for _ in range(3)]
    for method in ("fetch_quotes", "fetch_funding", "fetch_book", "fetch_settled", "fetch_clock_offset_ms"):
        market.fail(method, *failing)
    await rig.run(8)
    assert rig.quarantined("bybit")[None] == "venue_timeout"
    await rig.run(120)
    assert rig.quarantined("bybit") == {}


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
    assert len(rig.said(History)) == 1  # asked in a loop: once a second
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


async def test_the_demos_clock_turns_wall_stamps_into_market_time() -> None:
    clock = clock_at(speed=2_880.0)
    market = market_of("bybit", clock)
    rig = Rig(config_of("bybit", interval_sec=1.0), [market], clock)
    demo = clock.market
    await rig.hear(
        subjects.CLOCK, ClockState(market0_ms=demo.market0_ms, wall0_ms=demo.wall0_ms, speed=demo.speed)
    )
    await rig.start()
    for _ in range(120):
        await rig.run(0.25)
        assert all(abs(quote.ts_ms - clock.now().market_ms) < 2 * HOUR for quote in rig.quotes(PERP)[-1:])
    # 30 s are a day: three settlements, each fetched within two beats
    assert [at for at, _, _ in rig.settled(PERP)] == [
        START_MS + 60_000 + place * 8 * HOUR for place in range(3)
    ]
    assert rig.quarantined("bybit") == {}


async def test_a_stranger_on_the_stream_is_ignored() -> None:
    rig = await started("bybit")
    rig.forget()
    market = rig.markets["bybit"]
    await rig.see(
        replace(market.quote(SPOT), instrument="DOGE-USDT"), replace(market.quote(SPOT), venue="okx")
    )
    assert rig.effects == []
