"""As of when a pair of an archive is judged: sources end on different days, and so do their series."""

from __future__ import annotations

import pytest

from libs.carry.evaluate import LegInput
from libs.common.config.schema import Config
from libs.common.instant import MS_PER_HOUR
from libs.common.messages import Opportunity, Settlement
from libs.common.subjects import Kind
from libs.exchange.scan import pairs_of
from libs.exchange.scan_archive import AFTER_MS, Series31, judge

END_MS = 1_754_006_400_000
STALE = {"stale_funding", "stale_history"}
# (venue, base): hours between its settlements, hours from its last one to END_MS
Lags = dict[tuple[str, str], tuple[int, int]]


def series_of(lags: Lags) -> Series31:
    legs: list[LegInput] = []
    prints = {}
    last_ms: dict[str, int] = {}
    for (venue, base), (hours, lag) in lags.items():
        last = END_MS - lag * MS_PER_HOUR
        last_ms[venue] = max(last_ms.get(venue, 0), last)
        for kind, tail in ((Kind.SPOT, ""), (Kind.PERP, "-PERP")):
            name = f"{base}-USDT{tail}"
            legs.append(
                LegInput(
                    venue=venue,
                    instrument=name,
                    kind=kind,
                    bid=1.0,
                    ask=1.0,
                    base=base,
                    quote="USDT",
                    settle="USDT",
                )
            )
        step = hours * MS_PER_HOUR
        prints[(venue, f"{base}-USDT-PERP")] = tuple(
            Settlement(settled_ms=last - n * step, rate=0.001, interval_hours=hours)
            for n in reversed(range(30 * 24 // hours))
        )
    return Series31(legs=tuple(legs), prints=prints, last_ms=last_ms, unread=())


def judged(lags: Lags) -> dict[str, Opportunity]:
    series = series_of(lags)
    found = [judge(Config(), series, first, second, eval_us=1) for first, second in pairs_of(series.legs)]
    return {item.pair: item for item in found}


def as_of_lag(item: Opportunity) -> float:
    return (END_MS + AFTER_MS - item.market_ms) / MS_PER_HOUR


@pytest.mark.parametrize("lag", [1, 16, 24, 60])
def test_a_series_that_lags_behind_its_venues_newest_is_judged_as_of_its_own_last(lag: int) -> None:
    found = judged({("bybit", "BTC"): (1, 0), ("bybit", "TRX"): (8, lag)})["TRX-USDT_bybit-spot_bybit-perp"]
    assert as_of_lag(found) == lag
    assert not STALE & set(found.refusals)
    assert found.passes


def test_a_pair_is_judged_as_of_the_earlier_of_its_two_series() -> None:
    lags: Lags = {
        ("binance", "BTC"): (8, 0),
        ("binance", "TRX"): (8, 4),
        ("bybit", "BTC"): (1, 0),
        ("bybit", "TRX"): (8, 24),
    }
    found = judged(lags)
    across = found["TRX-USDT_binance-perp_bybit-perp"]
    assert as_of_lag(across) == 24
    assert not STALE & set(across.refusals)
    assert as_of_lag(found["TRX-USDT_binance-spot_binance-perp"]) == 4
    assert as_of_lag(found["BTC-USDT_binance-perp_bybit-perp"]) == 0
    # nothing that settled afterwards was known then
    assert across.history_days == pytest.approx(29, abs=1)


@pytest.mark.parametrize("lag", [5 * 24, 60 * 24])
def test_a_series_that_stopped_days_before_its_venue_did_has_ended(lag: int) -> None:
    found = judged({("bybit", "BTC"): (8, 0), ("bybit", "OLD"): (8, lag), ("binance", "OLD"): (8, 4)})
    old = found["OLD-USDT_bybit-spot_bybit-perp"]
    assert as_of_lag(old) == 0
    assert STALE & set(old.refusals)
    across = found["OLD-USDT_bybit-perp_binance-perp"]
    assert as_of_lag(across) == 4
    assert STALE & set(across.refusals)
    assert not STALE & set(found["OLD-USDT_binance-spot_binance-perp"].refusals)


def test_a_venue_whose_source_ended_long_ago_is_judged_as_of_then() -> None:
    found = judged({("okx", "BTC"): (8, 400 * 24), ("bybit", "BTC"): (8, 0), ("bybit", "ETH"): (8, 0)})
    assert as_of_lag(found["BTC-USDT_okx-spot_okx-perp"]) == 400 * 24
    assert not STALE & set(found["BTC-USDT_okx-spot_okx-perp"].refusals)
    assert as_of_lag(found["BTC-USDT_okx-perp_bybit-perp"]) == 400 * 24
