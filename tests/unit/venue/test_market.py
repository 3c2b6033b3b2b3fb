"""Replay: what is served is what was recorded, at its time, and nothing wraps around."""

from __future__ import annotations

import datetime as dt

import pytest

from services.venue import generator, recording
from services.venue.instruments import Protocol
from services.venue.market import DEFAULT_START_MS, MS_PER_DAY, MS_PER_HOUR, SETTLING_MS, Market


def ms(text: str) -> int:
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC).timestamp() * 1_000)


PROTOCOLS: tuple[Protocol, ...] = ("binance", "bitget")


@pytest.fixture(scope="module")
def market() -> Market:
    return Market(recording.load())


def test_the_default_start_leaves_history_before_and_months_after(market: Market) -> None:
    for protocol in ("binance", "bitget"):
        series = [s for (p, _), s in market._series.items() if p == protocol and s.base != "LAYER"]
        assert max(s.stamps_ms[0] for s in series) <= DEFAULT_START_MS - 31 * MS_PER_DAY
        assert market.span_ms(protocol)[1] >= DEFAULT_START_MS + 60 * MS_PER_DAY


def test_both_protocols_list_the_same_coins_and_at_least_fourteen(market: Market) -> None:
    coins = [
        {one.base for one in market.listed(protocol, kind, DEFAULT_START_MS)}
        for protocol in ("binance", "bitget")
        for kind in ("spot", "perp")
    ]
    assert all(these == coins[0] for these in coins)
    assert len(coins[0]) >= 14
    assert {"BTC", "ETH", "SOL", "BNB", "XRP", "DOGE", "INJ"} <= coins[0]


def test_the_current_rate_is_the_one_that_settles_next(market: Market) -> None:
    pairs: tuple[tuple[Protocol, str], ...] = (("binance", "binance"), ("bitget", "bybit"))
    for protocol, source in pairs:
        series = market.recording.series[source, "SOLUSDT"]
        for i in range(1, len(series.stamps_ms), 37):
            before = market.funding(protocol, "SOLUSDT", series.stamps_ms[i] - 1)
            assert before is not None
            assert (before.next_ms, before.rate) == (series.stamps_ms[i], series.rates[i])
            at = market.funding(protocol, "SOLUSDT", series.stamps_ms[i - 1])
            assert at is not None
            assert at.next_ms == series.stamps_ms[i], "at its stamp a settlement has happened"


def test_settled_rates_are_the_recorded_rows(market: Market) -> None:
    series = market.recording.series["binance", "BTCUSDT"]
    settled = market.settled(
        "binance", "BTCUSDT", since_ms=series.stamps_ms[10], until_ms=series.stamps_ms[20]
    )
    assert [(one.settled_ms, one.rate) for one in settled] == list(
        zip(series.stamps_ms[10:21], series.rates[10:21], strict=True)
    )
    assert [one.mark for one in settled] == list(series.marks[10:21])


def test_inj_on_bybit_changes_from_eight_hours_to_one_and_back(market: Market) -> None:
    def seen(text: str) -> tuple[float, int]:
        funding = market.funding("bitget", "INJUSDT", ms(text))
        assert funding is not None
        return funding.interval_hours, funding.next_ms

    assert seen("2026-02-19T15:59") == (8.0, ms("2026-02-19T16:00"))
    assert seen("2026-02-19T16:00") == (1.0, ms("2026-02-19T17:00"))
    assert seen("2026-02-20T12:30") == (1.0, ms("2026-02-20T13:00"))
    assert seen("2026-02-27T00:00") == (8.0, ms("2026-02-27T08:00"))


def test_layer_on_binance_changes_from_four_hours_to_one(market: Market) -> None:
    before = market.funding("binance", "LAYERUSDT", ms("2025-05-06T07:00"))
    after = market.funding("binance", "LAYERUSDT", ms("2025-05-06T08:30"))
    assert before is not None
    assert after is not None
    assert (before.interval_hours, before.next_ms) == (4.0, ms("2025-05-06T08:00"))
    assert (after.interval_hours, after.next_ms) == (1.0, ms("2025-05-06T09:00"))


def test_a_missing_settlement_stays_missing_and_is_no_change_of_interval(market: Market) -> None:
    funding = market.funding("binance", "ORDIUSDT", ms("2026-06-24T01:00"))
    assert funding is not None
    assert funding.next_ms == ms("2026-06-24T08:00"), "04:00 was not recorded"
    assert funding.interval_hours == 4.0
    day = (ms("2026-06-24T00:00"), ms("2026-06-24T12:00"))
    settled = market.settled("binance", "ORDIUSDT", since_ms=day[0], until_ms=day[1])
    assert [dt.datetime.fromtimestamp(one.settled_ms / 1_000, dt.UTC).hour for one in settled] == [0, 8, 12]


def test_the_crash_of_october_is_in_it(market: Market) -> None:
    def rate(protocol: Protocol) -> float:
        stamp = ms("2025-10-11T00:00")
        (one,) = market.settled(protocol, "SOLUSDT", since_ms=stamp, until_ms=stamp)
        return one.rate

    assert rate("bitget") == -0.005
    assert rate("binance") == -0.00302761


def test_marks_are_the_recorded_ones_and_move_between_them(market: Market) -> None:
    series = market.recording.series["binance", "ETHUSDT"]
    eth = market.find("binance", "perp", "ETHUSDT", series.stamps_ms[100])
    assert eth is not None
    first, second = series.marks[100], series.marks[101]
    assert first is not None
    assert second is not None
    assert market.mark(eth, series.stamps_ms[100]) == first
    middle = market.mark(eth, (series.stamps_ms[100] + series.stamps_ms[101]) // 2)
    assert middle == pytest.approx((first * second) ** 0.5)


def test_spot_is_the_mark_less_a_small_basis(market: Market) -> None:
    for symbol in ("BTCUSDT", "ETHUSDT", "SOLUSDT"):
        for protocol in PROTOCOLS:
            spot = market.find(protocol, "spot", symbol, DEFAULT_START_MS)
            assert spot is not None
            gaps = {
                market.mark(spot, DEFAULT_START_MS + hours * MS_PER_HOUR)
                / market.price(spot, DEFAULT_START_MS + hours * MS_PER_HOUR)
                - 1
                for hours in range(0, 240, 7)
            }
            assert len(gaps) > 20, "the basis moves"
            assert max(abs(gap) for gap in gaps) < 0.01


def test_bitcoins_own_recorded_basis_is_used_at_its_lag(market: Market) -> None:
    basis = market.recording.basis["binance", "BTC"]
    spot = market.find("binance", "spot", "BTCUSDT", DEFAULT_START_MS)
    assert spot is not None
    step = DEFAULT_START_MS // basis.step_ms
    stamp = step * basis.step_ms
    expected = basis.values[(step - 1_672_531_200_000 // basis.step_ms - 2_737) % len(basis.values)]
    assert market.mark(spot, stamp) / market.price(spot, stamp) - 1 == pytest.approx(expected, abs=1e-12)


def test_a_delisted_perpetual_settles_for_a_week_and_goes(market: Market) -> None:
    end = market.recording.series["binance", "TONUSDT"].stamps_ms[-1]
    assert market.funding("binance", "TONUSDT", end) is None
    ton = market.find("binance", "perp", "TONUSDT", end)
    assert ton is not None
    assert not market.trading(ton, end)
    assert market.find("binance", "perp", "TONUSDT", end + SETTLING_MS) is None


def test_the_market_ends_and_does_not_wrap(market: Market) -> None:
    for protocol in ("binance", "bitget"):
        _, end = market.span_ms(protocol)
        assert not market.ended(protocol, end - 1)
        assert market.ended(protocol, end)
        last = market.funding(protocol, "BTCUSDT", end - 1)
        assert last is not None
        assert last.next_ms == end
        assert market.funding(protocol, "BTCUSDT", end) is None


def test_every_recorded_rate_is_exact_in_eight_decimals(market: Market) -> None:
    assert all(
        float(f"{rate:.8f}") == rate for series in market.recording.series.values() for rate in series.rates
    )


def test_a_seeded_market_is_the_same_every_time_and_another_with_another_seed() -> None:
    def picture(seed: int) -> list[float]:
        made = Market(generator.generate(seed, begin_ms=DEFAULT_START_MS, days=10), seed=seed)
        now = DEFAULT_START_MS + 3 * MS_PER_DAY
        found = []
        for one in made.listed("bitget", "perp", now):
            funding = made.funding("bitget", one.symbol, now)
            assert funding is not None
            found += [funding.rate, made.mark(one, now), made.index(one, now)]
        return found

    assert picture(5) == picture(5)
    assert picture(5) != picture(6)
    assert len(picture(5)) >= 3 * 14
