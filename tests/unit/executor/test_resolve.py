from __future__ import annotations

import ccxt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.instant import US_PER_MS, US_PER_SEC
from services.executor.resolve import (
    NOT_FOUNDS_APART_US,
    PAUSE_US_MAX,
    UNKNOWN_VENUE_SEC,
    Answer,
    begin,
    on_answer,
    window_us,
)

ANSWERS: tuple[Answer, ...] = ("open", "not_found", "failed")


@settings(derandomize=True, max_examples=400, deadline=None)
@given(
    steps=st.lists(st.tuples(st.integers(1, 8_000_000), st.sampled_from(ANSWERS)), max_size=40),
    venue=st.sampled_from(["binance", "bitget", "nowhere"]),
    since_us=st.integers(0, 10**9),
)
def test_silence_is_proof_only_after_w_and_two_clean_not_founds(
    steps: list[tuple[int, Answer]], venue: str, since_us: int
) -> None:
    doubt, now_us = begin(venue=venue, since_us=since_us, poll_interval_sec=0.5), since_us
    cleans: list[int] = []  # not-founds after W since the venue last showed the order
    for wait_us, answer in steps:
        now_us += wait_us
        doubt, then = on_answer(doubt, answer, now_us)
        if answer == "open":
            cleans = []
            assert then == "cancel"
        elif answer == "not_found" and now_us - since_us > window_us(venue):
            cleans.append(now_us)
        if then == "compare":
            assert answer == "not_found"
            assert cleans[-1] - cleans[0] >= NOT_FOUNDS_APART_US
            assert cleans[0] - since_us > window_us(venue)


def test_the_shortest_way_to_proof() -> None:
    doubt = begin(venue="binance", since_us=0, poll_interval_sec=0.5)
    end_us = window_us("binance")
    doubt, then = on_answer(doubt, "not_found", end_us)
    assert (then, doubt.cleans) == ("ask", 0), "exactly W is not after W"
    doubt, then = on_answer(doubt, "not_found", end_us + 1)
    assert (then, doubt.cleans) == ("ask", 1)
    doubt, then = on_answer(doubt, "not_found", end_us + NOT_FOUNDS_APART_US)
    assert (then, doubt.cleans) == ("ask", 1), "a microsecond too close together"
    doubt, then = on_answer(doubt, "not_found", end_us + 1 + NOT_FOUNDS_APART_US)
    assert (then, doubt.cleans) == ("compare", 2)


def test_an_order_that_was_seen_open_takes_back_what_spoke_against_it() -> None:
    doubt = begin(venue="binance", since_us=0, poll_interval_sec=0.5)
    at_us = window_us("binance") + 1
    doubt, _ = on_answer(doubt, "not_found", at_us)
    doubt, then = on_answer(doubt, "open", at_us + US_PER_SEC)
    assert (then, doubt.cleans) == ("cancel", 0)
    doubt, then = on_answer(doubt, "not_found", at_us + 10 * US_PER_SEC)
    assert then == "ask"


def test_questions_grow_rarer_to_a_bound() -> None:
    doubt = begin(venue="binance", since_us=0, poll_interval_sec=0.5)
    pauses = [doubt.pause_us]
    for n in range(20):
        doubt, _ = on_answer(doubt, "failed", n)
        pauses.append(doubt.pause_us)
    assert pauses[0] == US_PER_SEC // 2
    assert pauses == sorted(pauses)
    assert pauses[-1] == PAUSE_US_MAX
    assert doubt.asks == 20


@pytest.mark.parametrize(
    ("slug", "sec"), [("binance", 18), ("binance-sub1", 18), ("bybit", 13), ("bitget", 38), ("okx", 38)]
)
def test_known_windows(slug: str, sec: int) -> None:
    assert window_us(slug) == sec * US_PER_SEC


@pytest.mark.parametrize(
    ("kind", "slug"), [(ccxt.binance, "binance"), (ccxt.binanceusdm, "binance"), (ccxt.bybit, "bybit")]
)
def test_a_window_is_longer_than_what_ccxt_lets_the_venue_wait(kind: type[ccxt.Exchange], slug: str) -> None:
    rest_us = 8 * US_PER_SEC  # processing, visibility, clock offset
    assert window_us(slug) >= kind().options["recvWindow"] * US_PER_MS + rest_us


def test_a_venue_nobody_measured_gets_the_longest_window() -> None:
    assert window_us("newcomer") == UNKNOWN_VENUE_SEC * US_PER_SEC
    assert all(window_us(one) <= window_us("newcomer") for one in ("binance", "bitget", "bybit", "okx"))
