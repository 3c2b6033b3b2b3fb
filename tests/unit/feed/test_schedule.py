"""Deterministic times, and patience by the kind of error."""

from __future__ import annotations

import pytest

from services.feed.schedule import IN_FLIGHT_MAX, Schedule, retry_delay_us
from services.feed.work import FUNDING, LOAD, QUOTES, Key

SEC = 1_000_000


def test_tasks_of_a_period_are_spread_evenly() -> None:
    schedule = Schedule()
    books = [Key("book", slug) for slug in "abcd"]
    schedule.spread(books, period_us=8 * SEC, from_us=0)
    started = []
    for second in range(16):
        for key in schedule.take(second * SEC):
            schedule.done(key)
            started.append((second, key.slug))
    assert started == [(0, "a"), (2, "b"), (4, "c"), (6, "d"), (8, "a"), (10, "b"), (12, "c"), (14, "d")]


def test_a_few_calls_at_once_and_the_urgent_ones_first() -> None:
    schedule = Schedule()
    for place in range(10):
        schedule.add(Key("settled", f"s{place}"), period_us=None, due_us=0)
    schedule.add(FUNDING, period_us=SEC, due_us=5)
    schedule.add(QUOTES, period_us=SEC, due_us=9)
    started = schedule.take(10)
    assert started == [QUOTES, FUNDING, Key("settled", "s0"), Key("settled", "s1")]
    assert len(started) == IN_FLIGHT_MAX
    assert schedule.take(11) == []
    schedule.done(QUOTES)
    assert schedule.take(12) == []  # a third page of prints waits although there is a place
    schedule.done(Key("settled", "s0"))
    assert schedule.take(13) == [Key("settled", "s2")]


def test_a_task_under_way_is_not_started_twice() -> None:
    schedule = Schedule()
    schedule.add(LOAD, period_us=SEC, due_us=0)
    assert schedule.take(0) == [LOAD]
    assert schedule.take(5 * SEC) == []
    schedule.done(LOAD)
    assert schedule.take(5 * SEC) == [LOAD]


def test_asking_brings_forward_and_never_back() -> None:
    schedule = Schedule()
    schedule.add(FUNDING, period_us=30 * SEC, due_us=30 * SEC)
    schedule.ask(FUNDING, at_us=10 * SEC)
    schedule.ask(FUNDING, at_us=20 * SEC)
    assert schedule.take(10 * SEC) == [FUNDING]


@pytest.mark.parametrize(
    ("error_class", "delays"),
    [
        ("network", [1, 2, 4, 8, 16, 30, 30]),
        ("timeout", [1, 2, 4]),
        ("rate_limit", [15, 30, 60, 120, 240, 300, 300]),
        ("maintenance", [30, 60, 120]),
        ("bad_payload", [2, 4, 8, 16, 32, 60, 60]),
        ("not_supported", [3_600, 3_600]),
        ("something new", [5, 10, 20, 40, 60]),
    ],
)
def test_back_off_by_class(error_class: str, delays: list[int]) -> None:
    schedule = Schedule()
    schedule.add(FUNDING, period_us=SEC, due_us=0)
    now_us = 0
    for delay in delays:
        assert schedule.take(now_us) == [FUNDING]
        assert schedule.failed(FUNDING, error_class, now_us=now_us) == delay * SEC
        now_us += delay * SEC
        assert schedule.take(now_us - 1) == []
    assert schedule.failures_of(FUNDING) == len(delays)


@pytest.mark.parametrize(
    ("error_class", "others_go_on"), [("network", False), ("rate_limit", False), ("bad_payload", True)]
)
def test_some_errors_hold_the_whole_venue(error_class: str, others_go_on: bool) -> None:  # noqa: FBT001
    schedule = Schedule()
    schedule.add(FUNDING, period_us=SEC, due_us=0)
    schedule.take(0)
    schedule.failed(FUNDING, error_class, now_us=0)
    schedule.ask(QUOTES, at_us=0)
    assert schedule.take(SEC // 2) == ([QUOTES] if others_go_on else [])


@pytest.mark.parametrize(
    ("told_sec", "delay_sec"),
    [(None, 15), (0.0, 15), (14.0, 15), (90.5, 90.5), (7_200.0, 7_200), (10**7, 259_200)],
)
def test_a_rate_limit_is_waited_out_at_least_as_long_as_told(
    told_sec: float | None, delay_sec: float
) -> None:
    schedule = Schedule()
    schedule.add(FUNDING, period_us=SEC, due_us=0)
    schedule.take(0)
    assert schedule.failed(FUNDING, "rate_limit", now_us=0, retry_after_sec=told_sec) == delay_sec * SEC
    schedule.add(QUOTES, period_us=SEC, due_us=0)
    assert schedule.take(int(delay_sec * SEC) - 1) == []
    assert set(schedule.take(int(delay_sec * SEC))) == {FUNDING, QUOTES}


def test_asking_does_not_shorten_a_back_off() -> None:
    schedule = Schedule()
    schedule.add(FUNDING, period_us=30 * SEC, due_us=0)
    schedule.take(0)
    schedule.failed(FUNDING, "exchange", now_us=0)
    schedule.ask(FUNDING, at_us=1)
    assert schedule.take(2 * SEC - 1) == []
    assert schedule.take(2 * SEC) == [FUNDING]
    schedule.done(FUNDING)
    schedule.ask(FUNDING, at_us=3 * SEC)
    assert schedule.take(3 * SEC) == [FUNDING]


def test_success_forgives() -> None:
    schedule = Schedule()
    schedule.add(FUNDING, period_us=SEC, due_us=0)
    schedule.take(0)
    schedule.failed(FUNDING, "network", now_us=0)
    schedule.failed(FUNDING, "network", now_us=0)
    assert schedule.failures == 2
    schedule.done(FUNDING)
    assert (schedule.failures, schedule.failures_of(FUNDING)) == (0, 0)
    assert schedule.failed(FUNDING, "network", now_us=0) == SEC


def test_a_settlement_is_looked_for_again_and_again_but_ever_less() -> None:
    assert [retry_delay_us(attempt) // SEC for attempt in range(7)] == [1, 2, 4, 8, 16, 30, 30]
