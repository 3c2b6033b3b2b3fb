"""Settlements: fetched at once, said once in a deployment's life, with the interval they were paid for."""

from __future__ import annotations

from msgspec.structs import replace

from libs.common import subjects
from libs.common.messages import ClockState
from tests.unit.feed.rig import PERP, START_MS, Rig, clock_at, config_of, market_of, started

HOUR = 3_600_000


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


async def test_a_rate_whose_settlement_has_passed_is_no_longer_current() -> None:
    rig = await started("bybit")
    before = rig.markets["bybit"].funding(PERP)
    await rig.run(55)
    rig.forget()
    await rig.see(before)  # the venue is slow to roll over
    assert rig.current(PERP) == []
    await rig.run(1)
    assert rig.quarantined("bybit") == {}


async def test_a_perpetual_that_trades_later_gets_its_history_then() -> None:
    clock = clock_at()
    market = market_of("bybit", clock)
    listed = market.listed[PERP]
    trading = listed.instrument
    listed.instrument = replace(trading, refused="not trading")
    rig = Rig(config_of("bybit"), [market], clock)
    await rig.start()
    await rig.run(5)
    assert market.count("fetch_settled") == 0
    listed.instrument = trading
    await rig.run(3_700, step_ms=5_000)  # the markets are read again each hour
    assert market.count("fetch_settled") > 0
    assert len(rig.history(PERP).prints) > 80
