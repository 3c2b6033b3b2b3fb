"""Rows about markets, data and clocks: over their bounds, and back through their hysteresis."""

from __future__ import annotations

import pytest

from libs.common.instant import MarketClock
from tests.unit.risk.rig import Rig
from tests.unit.risk.world import BTC, CONFIG, ETH, replace

PERP = ("binance", "BTC-USDT-PERP")
PERP_SCOPE = "symbol:binance-BTC-USDT-PERP"
SPOT_SCOPE = "symbol:binance-BTC-USDT"


async def test_a_quote_that_gets_old_shuts_its_symbol_until_it_was_fresh_for_30_s() -> None:
    rig = await Rig.started(replace(CONFIG, monitor=replace(CONFIG.monitor, interval_sec=4.0)))
    rig.world.quiet.add("md.quote.binance.BTC-USDT-PERP")
    await rig.run(10.0)
    assert rig.shut() == {}, "the venue's quotes flow: a quiet symbol is not a stale one"
    await rig.run(2.0)
    assert rig.shut() == {PERP_SCOPE: ("no_opens", ("data_age",))}, "the feed must have polled it by now"
    rig.world.quiet.clear()
    await rig.run(29.0)
    assert PERP_SCOPE in rig.shut()
    await rig.run(2.0)
    assert rig.shut() == {}


async def test_a_venue_whose_quotes_do_not_flow_is_stale_after_two_seconds() -> None:
    rig = await Rig.started()
    rig.world.quiet |= {f"md.quote.{venue}.{name}" for venue, name in rig.world.keys}
    for venue in ("binance", "bitget"):
        rig.world.venue(venue, ages_sec={"quote": 5.0})
    await rig.run(3.0)
    assert {scope for scope in rig.shut() if scope.startswith("symbol:")} == {
        f"symbol:{venue}-{name}" for venue, name in rig.world.keys
    }


async def test_a_held_pairs_polled_quote_must_be_young() -> None:
    rig = await Rig.started()
    rig.world.hold(BTC, "0.02")
    await rig.run(1.0)
    rig.world.quiet.add("md.quote.binance.BTC-USDT-PERP")
    polled = replace(rig.world.quote(PERP, rig.clock.now()), source="poll")
    await rig.hear("md.quote.binance.BTC-USDT-PERP", polled)
    await rig.run(2.25)
    assert rig.shut() == {}
    await rig.run(1.0)
    assert rig.shut() == {PERP_SCOPE: ("no_opens", ("data_age",))}


@pytest.mark.parametrize(("kind", "limit_sec"), [("funding", 120.0), ("mark", 75.0)])
async def test_funding_and_marks_get_old_too(kind: str, limit_sec: float) -> None:
    rig = await Rig.started()
    plain = replace(rig.world.funding(PERP, rig.clock.now()), mark=None)
    rig.world.quiet.add("md.funding.binance.BTC-USDT-PERP")
    if kind == "funding":
        await rig.hear("md.funding.binance.BTC-USDT-PERP", plain)
    else:  # rates go on by poll, without a mark: a stream's 5 s become a poll's 75 s then
        rig.world.marks = False
        rig.world.quiet.clear()
    await rig.run(limit_sec + 2.0, step_sec=1.0)
    breaker = rig.breaker(PERP_SCOPE)
    assert breaker is not None
    assert breaker.controls == ("data_age",)


async def test_what_risk_is_blind_for_opens_nothing_and_is_named() -> None:
    rig = await Rig.started()
    rig.world.quiet.add("md.health.bitget")
    await rig.run(6.0)
    assert rig.shut() == {"venue:bitget": ("no_opens", ("data_age",))}
    assert "blind: no md.health of bitget" in rig.permit.breakers[0].reason
    assert "bitget" in rig.problems()["blind"]
    rig.world.quiet.clear()
    await rig.run(32.0)
    assert rig.shut() == {}
    assert rig.problems() == {}
    assert rig.alerts("data_age") == [
        ("warning", "risk:data_age:venue:bitget"),
        ("info", "risk:data_age:venue:bitget"),
    ]


async def test_a_venue_not_connected_yet_opens_with_its_first_sight_and_a_lost_one_waits() -> None:
    rig = Rig()
    rig.world.venue("bitget", connected=False)
    await rig.run(6.0)
    assert rig.shut() == {"venue:bitget": ("no_opens", ("data_age",))}
    assert rig.alerts("data_age") == [], "a start is no news"
    rig.world.venue("bitget", connected=True)
    await rig.run(1.0)
    assert rig.shut() == {}
    rig.world.venue("bitget", connected=False)
    await rig.run(1.0)
    rig.world.venue("bitget", connected=True)
    await rig.run(29.0)
    assert rig.shut() == {"venue:bitget": ("no_opens", ("data_age",))}
    await rig.run(2.0)
    assert rig.shut() == {}


async def test_a_pair_that_no_executor_speaks_of_opens_nothing() -> None:
    rig = await Rig.started()
    rig.world.quiet.add(f"exec.pair.{ETH}")
    await rig.run(17.0)
    assert rig.shut() == {f"pair:{ETH}": ("no_opens", ("data_age",))}


@pytest.mark.parametrize("teller", ["venue", "account"])
async def test_a_venues_clock_warns_at_250_ms_and_shuts_at_500(teller: str) -> None:
    rig = await Rig.started()
    tell = rig.world.venue if teller == "venue" else rig.world.account
    tell("binance", clock_offset_ms=-300.0)
    await rig.run(1.0)
    assert rig.shut() == {}
    assert rig.alerts("clock_offset") == [("warning", "risk:clock_offset:venue:binance")]
    tell("binance", clock_offset_ms=-500.0)
    await rig.run(1.0)
    assert rig.shut() == {"venue:binance": ("no_opens", ("clock_offset",))}
    tell("binance", clock_offset_ms=-300.0)
    await rig.run(70.0, step_sec=1.0)
    assert "venue:binance" in rig.shut(), "in the band nothing changes"
    tell("binance", clock_offset_ms=200.0)
    await rig.run(59.0, step_sec=1.0)
    assert "venue:binance" in rig.shut()
    await rig.run(3.0)
    assert rig.shut() == {}
    assert rig.alerts("clock_offset")[-1] == ("info", "risk:clock_offset:venue:binance")


async def test_processes_whose_clocks_differ_open_nothing() -> None:
    rig = await Rig.started()
    rig.world.skew_us["executor"] = -240_000
    await rig.run(8.0)
    assert rig.shut() == {}
    rig.world.skew_us["executor"] = 260_000
    await rig.run(3.0)
    assert rig.shut() == {}, "five pulses, not one: a late message looks alike"
    await rig.run(3.0)
    assert rig.shut() == {"global": ("no_opens", ("process_clock",))}
    rig.world.skew_us.clear()
    await rig.run(9.0)
    assert "global" in rig.shut()
    await rig.run(3.0)
    assert rig.shut() == {}


async def test_a_jump_of_5_percent_stops_opens_and_10_reduces_until_ten_calm_minutes() -> None:
    rig = await Rig.started()
    rig.world.mids[PERP] *= 1.028
    await rig.run(2.0)
    assert rig.shut() == {}
    both = {PERP: rig.world.mids[PERP], ("binance", "BTC-USDT"): 50_000.0 * 1.025}
    rig.world.mids |= both
    await rig.run(70.0, step_sec=1.0)
    rig.world.mids |= {key: mid * 1.051 for key, mid in both.items()}
    await rig.run(1.0)
    expected = {PERP_SCOPE: ("no_opens", ("price_jump",)), SPOT_SCOPE: ("no_opens", ("price_jump",))}
    assert rig.shut() == expected
    await rig.run(5.0)
    rig.world.mids |= {key: mid * 1.051 * 1.052 for key, mid in both.items()}
    await rig.run(1.0)
    assert {level for level, _ in rig.shut().values()} == {"reduce_only"}
    assert ("critical", f"risk:price_jump:{PERP_SCOPE}") in rig.alerts("price_jump")
    await rig.run(655.0, step_sec=1.0)
    assert rig.shut(), "a minute until it has left the window, then ten calm ones"
    await rig.run(10.0)
    assert rig.shut() == {}


async def test_a_spike_between_two_looks_counts() -> None:
    rig = Rig()
    rig.clock.market = MarketClock(speed=1_000.0)
    await rig.run(4.0)
    subject = "md.quote.binance.BTC-USDT-PERP"
    spike = replace(rig.world.quote(PERP, rig.clock.now()), bid=56_000.0, ask=56_000.0)
    await rig.hear(subject, rig.world.quote(PERP, rig.clock.now()))
    await rig.hear(subject, spike)
    rig.clock.advance(ms=100)  # it has left the window of 60 s before anybody looks
    await rig.hear(subject, rig.world.quote(PERP, rig.clock.now()))
    await rig.run(0.25)
    assert rig.level(PERP_SCOPE) == "reduce_only"


async def test_jumps_are_measured_in_market_time() -> None:
    rig = Rig()
    rig.clock.market = MarketClock(speed=1_000.0)
    await rig.run(4.0)
    assert rig.shut() == {}
    rig.world.mids[PERP] *= 1.02
    rig.world.mids["binance", "BTC-USDT"] *= 1.02
    await rig.run(1.0)
    rig.world.mids[PERP] *= 1.04
    rig.world.mids["binance", "BTC-USDT"] *= 1.04
    await rig.run(1.0)
    assert rig.shut() == {}, "a second is a quarter of an hour of this market"


async def test_legs_three_percent_apart_stop_opens_on_both() -> None:
    rig = await Rig.started()
    rig.world.mids["bitget", "ETH-USDT-PERP"] *= 1.0301
    await rig.run(1.0)
    assert rig.shut() == {
        "symbol:binance-ETH-USDT-PERP": ("no_opens", ("price_jump",)),
        "symbol:bitget-ETH-USDT-PERP": ("no_opens", ("price_jump",)),
    }
    rig.world.mids["bitget", "ETH-USDT-PERP"] /= 1.0301
    await rig.run(598.0, step_sec=1.0)
    assert rig.shut()
    await rig.run(5.0)
    assert rig.shut() == {}


async def test_venue_errors_over_a_fifth_of_the_calls_and_slow_ones() -> None:
    rig = await Rig.started()
    rig.world.account("binance", calls=50, calls_failed=10)
    await rig.run(2.0)
    assert rig.shut() == {}
    rig.world.account("binance", calls=50, calls_failed=11)
    await rig.run(1.0)
    assert rig.shut() == {"venue:binance": ("no_opens", ("venue_errors",))}
    rig.world.account("binance", calls=50, calls_failed=4)
    await rig.run(310.0, step_sec=1.0)
    assert rig.shut(), "8 % is less than the bound, and not calm"
    rig.world.account("binance", calls=50, calls_failed=2, call_p99_ms=2_900.0)
    await rig.run(297.0, step_sec=1.0)
    assert rig.shut()
    await rig.run(5.0)
    assert rig.shut() == {}
    rig.world.account("binance", calls=50, calls_failed=0, call_p99_ms=3_001.0)
    await rig.run(1.0)
    assert rig.shut() == {"venue:binance": ("no_opens", ("venue_errors",))}
    assert "3.0 s" in rig.permit.breakers[0].reason


async def test_the_feeds_errors_count_too_and_a_restarted_feed_does_not() -> None:
    rig = await Rig.started()
    rig.world.venue("binance", errors={"network": 40})
    await rig.run(1.0)
    assert rig.shut() == {"venue:binance": ("no_opens", ("venue_errors",))}, "40 within a minute"
    rig.world.venue("binance", errors={"network": 2})
    await rig.run(305.0, step_sec=1.0)
    assert rig.shut() == {}
