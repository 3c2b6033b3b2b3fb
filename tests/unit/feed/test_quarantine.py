"""Shut out at once, back after three clean observations over ten seconds."""

from __future__ import annotations

from libs.common.instant import ManualClock
from services.feed.normalize import Nonsense
from services.feed.quarantine import Ward

BAD = Nonsense(aspect="funding", reason="rate_null", text="no rate")


def test_news_is_a_new_case_or_another_reason() -> None:
    ward, clock = Ward(), ManualClock()
    assert ward.bad("A", BAD, clock.now())
    assert not ward.bad("A", BAD, clock.advance(sec=1))
    assert ward.bad("A", Nonsense(aspect="funding", reason="rate_absurd", text="9"), clock.advance(sec=1))
    (case,) = ward.listed()
    assert (case.instrument, case.reason, case.text) == ("A", "rate_absurd", "9")
    assert case.since_ms == 1_700_000_000_000  # since the first of them, in wall time


def test_three_clean_ones_over_ten_seconds_end_it() -> None:
    ward, clock = Ward(), ManualClock()
    ward.bad("A", BAD, clock.now())
    assert not ward.clean("A", "funding", clock.advance(sec=5))
    assert not ward.clean("A", "funding", clock.advance(sec=5))
    assert not ward.clean("A", "funding", clock.advance(sec=4.9))  # the third, too early
    assert ward.holds("A")
    assert ward.clean("A", "funding", clock.advance(sec=0.1))
    assert not ward.holds("A")
    assert ward.listed() == ()


def test_two_clean_ones_are_too_few_however_far_apart() -> None:
    ward, clock = Ward(), ManualClock()
    ward.bad("A", BAD, clock.now())
    assert not ward.clean("A", "funding", clock.advance(sec=60))
    assert not ward.clean("A", "funding", clock.advance(sec=60))
    assert ward.clean("A", "funding", clock.advance(sec=60))


def test_a_relapse_starts_the_count_again() -> None:
    ward, clock = Ward(), ManualClock()
    ward.bad("A", BAD, clock.now())
    ward.clean("A", "funding", clock.advance(sec=6))
    ward.clean("A", "funding", clock.advance(sec=6))
    ward.bad("A", BAD, clock.advance(sec=1))
    assert not ward.clean("A", "funding", clock.advance(sec=6))
    assert not ward.clean("A", "funding", clock.advance(sec=6))
    assert ward.clean("A", "funding", clock.advance(sec=6))


def test_good_quotes_do_not_excuse_a_bad_rate() -> None:
    ward, clock = Ward(), ManualClock()
    ward.bad("A", BAD, clock.now())
    for _ in range(10):
        assert not ward.clean("A", "quote", clock.advance(sec=5))
        assert not ward.clean("B", "funding", clock.now())
    assert ward.holds("A", "funding")
    assert not ward.holds("A", "quote")
    assert not ward.holds("B")


def test_the_venue_itself_comes_first() -> None:
    ward, clock = Ward(), ManualClock()
    ward.bad("A", BAD, clock.now())
    ward.bad(None, Nonsense(aspect="venue", reason="venue_network", text="down"), clock.now())
    assert [case.instrument for case in ward.listed()] == [None, "A"]
    assert ward.lift(None, "venue")
    assert not ward.lift(None, "venue")
