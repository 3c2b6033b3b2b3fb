from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.instant import MS_PER_HOUR
from libs.exchange.intervals import IntervalBook, hours_from_settlements, hours_of, next_after


@pytest.mark.parametrize(
    ("value", "hours"),
    [
        ("8h", 8.0),
        ("1h", 1.0),
        ("24h", 24.0),
        ("7200000", 2.0),  # Gate, KuCoin, HTX: unmapped milliseconds
        ("28800000", 8.0),
        (14400000, 4.0),
        ("8", 8.0),
        (4, 4.0),
        ("30m", 0.5),
        ("1d", 24.0),
        ("0h", None),
        ("-8h", None),
        ("25h", None),
        ("NaNh", None),
        ("NaN", None),
        ("Noneh", None),
        ("8w", None),
        ("", None),
        (None, None),
        (True, None),
        ([8], None),
        ("999999999999", None),
    ],
)
def test_intervals_are_read_as_venues_write_them(value: object, hours: float | None) -> None:
    assert hours_of(value) == hours


@given(
    hours=st.sampled_from([1, 2, 4, 8, 24]),
    jitters=st.lists(st.integers(0, 999), min_size=2, max_size=6),
    start=st.integers(400_000, 480_000),
)
def test_jitter_never_changes_an_interval(hours: int, jitters: list[int], start: int) -> None:
    stamps = [(start + n * hours) * MS_PER_HOUR + jitter for n, jitter in enumerate(jitters)]
    assert hours_from_settlements(reversed(stamps)) == hours


@pytest.mark.parametrize(
    "stamps", [[], [5], [5, 5], [0, 1_800_000], [0, 25 * MS_PER_HOUR], [0, MS_PER_HOUR + 90_000]]
)
def test_what_is_no_interval_is_none(stamps: list[int]) -> None:
    assert hours_from_settlements(stamps) is None


@given(
    last=st.integers(1_700_000_000_000, 1_800_000_000_000),
    hours=st.sampled_from([1.0, 2.0, 4.0, 8.0]),
    later=st.integers(0, 100 * MS_PER_HOUR),
)
def test_the_next_settlement_is_the_first_on_the_grid_after_now(last: int, hours: float, later: int) -> None:
    last = last // MS_PER_HOUR * MS_PER_HOUR
    found = next_after(last + 999, hours, last + later)
    step = hours * MS_PER_HOUR
    assert last + later < found <= last + later + step
    assert (found - last) % step == 0


def test_an_endpoint_is_asked_again_when_a_settlement_moves_or_time_has_passed() -> None:
    book = IntervalBook(ttl_us=60_000_000)
    nexts = [("BTC", 1_000), ("ETH", 2_000)]
    assert book.stale(nexts, mono_us=0)
    book.read({"BTC": 8.0}, nexts, mono_us=0)
    assert not book.stale(nexts, mono_us=59_999_999)
    assert book.stale(nexts, mono_us=60_000_000)
    assert book.stale([("BTC", 1_001)], mono_us=1)
    assert book.stale([("SOL", 1_000)], mono_us=1)  # never seen before
    assert not book.stale([("SOL", None)], mono_us=1)
    assert book.hours("BTC") == 8.0
    assert book.hours("ETH") is None


def test_what_a_new_answer_leaves_out_is_no_longer_known() -> None:
    book = IntervalBook()
    book.read({"BTC": 4.0}, [("BTC", 1)], mono_us=0)
    book.read({}, [("BTC", 2)], mono_us=1)
    assert book.hours("BTC") is None
    assert book.next_ms("BTC") == 2


def test_a_refresh_that_failed_leaves_the_book_stale() -> None:
    book = IntervalBook()
    book.read({"BTC": 8.0}, [("BTC", 1)], mono_us=0)
    assert book.stale([("BTC", 2)], mono_us=1)
    assert book.stale([("BTC", 2)], mono_us=1)
