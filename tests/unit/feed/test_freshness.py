"""Ages count from the last frame or confirming poll; what never came counts from the start."""

from __future__ import annotations

from libs.common.effects import Forget, Measure
from libs.common.instant import ManualClock
from services.feed.freshness import Freshness


def fresh_at(clock: ManualClock, *, interval_sec: int = 2) -> Freshness:
    fresh = Freshness("binance", interval_us=interval_sec * 1_000_000)
    fresh.expect(["quote", "funding"], clock.now())
    return fresh


def test_ages_by_kind() -> None:
    clock = ManualClock()
    fresh = fresh_at(clock)
    fresh.seen("quote", "A", clock.advance(sec=3))
    assert fresh.ages_sec(clock.advance(sec=1.5)) == {"funding": 4.5, "quote": 1.5}
    fresh.seen("book", "A", clock.now())
    assert fresh.ages_sec(clock.now())["book"] == 0.0


def test_what_was_never_seen_ages_from_the_start_whatever_is_said_later() -> None:
    clock = ManualClock()
    fresh = fresh_at(clock)
    clock.advance(sec=40)
    fresh.expect(["quote", "funding", "mark"], clock.now())
    assert fresh.ages_sec(clock.now()) == {"funding": 40.0, "mark": 40.0, "quote": 40.0}


def test_quietness_is_known_for_each_instrument() -> None:
    clock = ManualClock()
    fresh = fresh_at(clock)
    assert fresh.quiet_us("quote", "A", clock.now()) is None
    fresh.seen("quote", "A", clock.advance(sec=1))
    fresh.seen("quote", "B", clock.advance(sec=2))
    assert fresh.quiet_us("quote", "A", clock.now()) == 2_000_000
    assert fresh.quiet_us("quote", "B", clock.now()) == 0


def test_connected_until_silence_is_longer_than_the_polling_allows() -> None:
    clock = ManualClock()
    fresh = fresh_at(clock)
    assert not fresh.connected(clock.now())
    fresh.heard(clock.now())
    assert fresh.connected(clock.advance(sec=10))
    assert not fresh.connected(clock.advance(ms=1))
    slow = fresh_at(clock, interval_sec=30)
    slow.heard(clock.now())
    assert slow.connected(clock.advance(sec=75))
    assert not slow.connected(clock.advance(ms=1))


def test_health_adds_gaps_and_missing_settlements() -> None:
    clock = ManualClock()
    fresh = fresh_at(clock)
    assert [type(effect) for effect in fresh.gap()] == [Measure]
    fresh.missing("A", 3)
    fresh.missing("A", 2)  # a late print filled one: the count is a state
    fresh.missing("B", 1)
    list(fresh.error("network"))
    list(fresh.error("network"))
    list(fresh.error("rate_limit"))
    health = fresh.health((), clock.now())
    assert (health.gaps, health.errors) == (4, {"network": 2, "rate_limit": 1})


def test_an_offset_is_forgotten_when_it_can_no_longer_be_measured() -> None:
    clock = ManualClock()
    fresh = fresh_at(clock)
    assert list(fresh.lost_clock()) == []
    (measure,) = fresh.offset(-40.0)
    assert isinstance(measure, Measure)
    assert (measure.metric, measure.value) == ("fundarb_clock_offset_seconds", -0.04)
    assert fresh.health((), clock.now()).clock_offset_ms == -40.0
    (forget,) = fresh.lost_clock()
    assert isinstance(forget, Forget)
    assert fresh.health((), clock.now()).clock_offset_ms is None
