"""The ledger of prints: jitter, intervals, holes, corrections, size."""

from __future__ import annotations

from itertools import accumulate

import msgspec
import pytest

from libs.common.messages import FundingHistory, Settlement, encode
from libs.exchange.port import SettledSeen
from services.feed.normalize import Interval
from services.feed.settled import PRINTS_MAX, Ledger, on_grid

HOUR = 3_600_000
T0 = 1_771_459_200_000  # 2026-02-19 00:00 UTC


def seen(hours: float, rate: float = 0.0001, *, jitter_ms: int = 0, recv_us: int = 1) -> SettledSeen:
    at = T0 + int(hours * HOUR) + jitter_ms
    return SettledSeen(venue="bybit", instrument="INJ-USDT-PERP", recv_us=recv_us, settled_ms=at, rate=rate)


def ledger(*hours: float) -> Ledger:
    one = Ledger(history_ms=31 * 24 * HOUR)
    for at in hours:
        one.add(seen(at))
    return one


def intervals(one: Ledger) -> list[float]:
    return [each.interval_hours for each in one.prints()]


@pytest.mark.parametrize("jitter_ms", [0, 1, 12, 999, -3])
def test_jitter_never_makes_a_second_print(jitter_ms: int) -> None:
    one = ledger(0, 8)
    assert one.add(seen(8, jitter_ms=jitter_ms, recv_us=2)) is None
    assert [each.settled_ms for each in one.prints()] == [T0, T0 + 8 * HOUR]
    assert on_grid(T0 + jitter_ms) == T0


def test_interval_is_the_step_to_the_predecessor() -> None:
    steps = [8] * 9 + [4] * 6 + [1] * 4
    assert intervals(ledger(*accumulate(steps, initial=0))) == [8, *steps]


def test_longer_intervals_come_back() -> None:
    steps = [1] * 24 + [4] * 3
    assert intervals(ledger(*accumulate(steps, initial=0))) == [1, *steps]


def test_a_longer_interval_that_the_venue_tells_counts_from_its_first_print() -> None:
    one = ledger(*range(25))
    assert one.record(T0 + 25 * HOUR, Interval(hours=1.0, source="rate")) is None
    one.record(T0 + 32 * HOUR, Interval(hours=8.0, source="rate"))
    one.add(seen(32))
    assert intervals(one)[-2:] == [1, 8]


def test_a_fresh_backfill_ends_in_the_interval_that_is_current() -> None:
    one = ledger(*range(25), 32)
    assert intervals(one)[-1] == 1.0
    one.record(T0 + 40 * HOUR, Interval(hours=8.0, source="rate"))
    assert intervals(one)[-1] == 8.0


def test_two_holes_in_a_row_do_not_become_the_interval() -> None:
    """Lighter's ETH, 2026-02-11: hourly, and twice nothing for a day."""
    one = ledger(0, 1, 2, 3, 27, 51, 52, 53, 54)
    assert intervals(one) == [1.0] * 9
    assert one.missing() == 46


def test_a_hole_is_counted_and_not_filled() -> None:
    one = ledger(0, 8, 24, 32)  # the print of 16:00 never came
    assert [each.settled_ms for each in one.prints()] == [T0, T0 + 8 * HOUR, T0 + 24 * HOUR, T0 + 32 * HOUR]
    assert intervals(one) == [8, 8, 8, 8]
    assert one.missing() == 1


def test_a_hole_between_hourly_prints_is_no_change_of_interval() -> None:
    one = ledger(0, 1, 2, 6, 7, 8)
    assert intervals(one) == [1, 1, 1, 1, 1, 1]
    assert one.missing() == 3


def test_a_hole_before_the_newest_print_is_judged_by_the_current_interval() -> None:
    one = ledger(0, 1, 2)
    one.record(T0 + 7 * HOUR, Interval(hours=1.0, source="endpoint"))
    one.add(seen(6))
    assert intervals(one)[-1] == 1.0
    assert one.missing() == 3


def test_the_recorded_interval_decides_where_there_is_one() -> None:
    one = ledger(0, 8)
    one.record(T0 + 24 * HOUR, Interval(hours=8.0, source="rate"))
    one.add(seen(24))
    assert intervals(one)[-1] == 8.0
    assert one.source_at(T0 + 24 * HOUR) == Interval(hours=8.0, source="rate")


def test_a_change_of_interval_is_told_once() -> None:
    one = ledger(0)
    assert one.record(T0 + 8 * HOUR, Interval(hours=8.0, source="rate")) is None
    assert one.record(T0 + 8 * HOUR, Interval(hours=8.0, source="rate")) is None
    assert one.record(T0 + 9 * HOUR, Interval(hours=1.0, source="rate")) == Interval(hours=8.0, source="rate")
    assert one.record(T0 + 10 * HOUR, Interval(hours=1.0, source="rate")) is None


def test_injs_way_from_8_h_to_1_h_and_back() -> None:
    """Bybit, 2026-02-19 17:00: 8 h -> 1 h; a week later back, through one step of 6 h."""
    steps = [8] * 3 + [1] * 18 + [6] + [8] * 3
    one = ledger(*accumulate(steps, initial=0))
    assert intervals(one) == [8, *steps]
    assert one.missing() == 0


def test_a_lone_print_without_interval_is_left_out_until_one_is_known() -> None:
    one = ledger(0)
    assert one.prints() == ()
    one.add(seen(8))
    assert intervals(one) == [8, 8]


def test_a_correction_replaces_and_the_latest_arrival_wins() -> None:
    one = ledger(0, 8)
    assert one.add(seen(8, 0.0003, recv_us=5)) == T0 + 8 * HOUR
    assert one.prints()[-1].rate == 0.0003
    assert one.add(seen(8, 0.0001, recv_us=2)) is None  # an older page that came late
    assert one.prints()[-1].rate == 0.0003


def test_old_prints_go() -> None:
    one = Ledger(history_ms=24 * HOUR)
    for at in (0, 8, 16, 24, 32):
        one.add(seen(at))
    one.covered(T0)
    assert one.trim(T0 + 32 * HOUR)
    assert [each.settled_ms for each in one.prints()] == [T0 + at * HOUR for at in (8, 16, 24, 32)]
    assert one.covered_since_ms == T0 + 8 * HOUR
    assert not one.trim(T0 + 32 * HOUR)


def test_the_longest_page_fits_into_one_message() -> None:
    one = Ledger(history_ms=10**12)
    for place in range(PRINTS_MAX + 700):
        one.add(seen(place * 0.25, -0.012345678901234567 - place * 1e-15))
    one.covered(T0)
    prints, since_ms = one.page()
    assert len(prints) == PRINTS_MAX
    assert since_ms == prints[0].settled_ms > T0
    said = FundingHistory(
        venue="hyperliquid-subaccount",
        instrument="XYZ_3a_AAPL-USDC-PERP",
        prints=prints,
        complete_since_ms=since_ms,
        recv_us=1_771_459_200_000_000,
    )
    assert len(encode(said)) < 64 * 1024
    assert len(msgspec.json.encode(prints[0])) <= 46


def test_a_print_is_found_by_its_instant() -> None:
    one = ledger(0, 8, 16)
    assert one.at(T0 + 8 * HOUR) == Settlement(settled_ms=T0 + 8 * HOUR, rate=0.0001, interval_hours=8.0)
    assert one.at(T0 + 9 * HOUR) is None
