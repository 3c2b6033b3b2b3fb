"""The shared recordings through the archive: what is known about them must be found."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from libs.carry.expected import WEIGHTS
from libs.research.archive import Archive
from libs.research.calibrate import calibrate_archive
from libs.research.importer import Options, import_files
from libs.research.intervals import derive_intervals
from libs.research.layout import Kind, SeriesKey
from libs.research.sources import ImportRefused
from libs.research.verify import SeriesFindings, verify_archive, verify_series
from tests.helpers.recordings import SHARED

HISTORY = SHARED / "history"

pytestmark = pytest.mark.data("history")

FOUR = "funding_4venues_1y_2025_2026.parquet"
FIVE = "funding_5coins_7venues_2025_2026.parquet"
NINETEEN = "funding_binance_mit_2023_2025.parquet"
WITH_HOLES = "funding_btc_eth_binance_hl_mit.parquet"
CANDLES = "candles_1h_5coins_7venues_2025_2026.parquet"
BOTH = "spot_perp_funding_8h_btc_eth_3venues_2023_2024.parquet"
MARKS = "mark_8h_binance_btc_eth_2023_2025.parquet"

HOLE_MS = 1_782_288_000_000  # 2026-06-24 08:00 UTC: the settlement of 04:00 is missing
WITH_ONE_HOLE = [f"{base}{quote}" for base in ("ORDI", "TIA", "WIF") for quote in ("USDT", "USDC")]
INJ = SeriesKey(Kind.FUNDING, "bybit", "INJUSDT")


def imported(
    folder: Path, name: str, kind: Kind = Kind.FUNDING, *, venues: frozenset[str] | None = None
) -> Archive:
    import_files(folder, [HISTORY / name], Options(kind=kind, venues=venues))
    return Archive(folder)


@pytest.fixture(scope="module")
def four(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    return imported(tmp_path_factory.mktemp("four"), FOUR)


def findings(archive: Archive) -> dict[str, SeriesFindings]:
    return {f"{found.key.venue} {found.key.symbol}": found for found in verify_archive(archive)}


def test_every_row_of_the_large_set_is_in_the_archive_as_it_was(four: Archive) -> None:
    rows = pq.read_table(HISTORY / FOUR).to_pylist()
    assert len(four.series()) == 113
    known = {(key.venue, key.symbol): iter(four.read_funding(key)) for key in four.series()}
    for row in rows:
        print_ = next(known[row["venue"], row["symbol"]])
        assert (print_.ts_ms, print_.rate, print_.mark) == (row["ts_ms"], row["rate"], row["mark_price"])
        assert row["interval_h"] in (None, print_.interval_hours)
    assert all(next(rest, None) is None for rest in known.values())


def test_importing_it_again_changes_nothing(four: Archive) -> None:
    before = four.data_hash()
    report = import_files(four.root, [HISTORY / FOUR], Options(kind=Kind.FUNDING))
    assert (report.total("added"), report.total("same"), report.total("replaced")) == (0, 303_975, 0)
    assert four.data_hash() == before


def test_inj_on_bybit_changes_to_1_h_and_back_at_the_right_settlements(four: Archive) -> None:
    found = verify_series(four, INJ)
    assert found.ok
    assert [(change.ts_ms, change.from_hours, change.to_hours) for change in found.interval_changes] == [
        (1_771_520_400_000, 8.0, 1.0),  # 2026-02-19 17:00 UTC
        (1_772_150_400_000, 1.0, 6.0),  # 2026-02-27 00:00 UTC, six hours after the last hourly one
        (1_772_179_200_000, 6.0, 8.0),
    ]


def test_derived_intervals_equal_those_of_the_source(four: Archive) -> None:
    """304,000 prints: the spacing alone gives what the source says, but for the hole that it took for 8 h."""
    differing: set[tuple[str, int, float, float]] = set()
    for key in four.series():
        prints = four.read_funding(key)
        for print_, derived in zip(prints, derive_intervals([row.ts_ms for row in prints]), strict=True):
            if print_.interval_hours != derived:
                differing.add((str(key), print_.ts_ms, print_.interval_hours, derived))
    assert differing == {(f"funding binance {symbol}", HOLE_MS, 8.0, 4.0) for symbol in WITH_ONE_HOLE}


def test_every_binance_symbol_of_4_h_lacks_the_same_settlement(four: Archive) -> None:
    """2026-06-24 04:00 UTC is missing; the source calls the step of 8 h an interval."""
    wrong = {name: found for name, found in findings(four).items() if not found.ok}
    assert set(wrong) == {f"binance {symbol}" for symbol in WITH_ONE_HOLE}
    assert {found.first_implausible[0].ts_ms for found in wrong.values()} == {HOLE_MS}


def test_the_holes_of_hyperliquid_are_reported_and_not_filled(tmp_path: Path) -> None:
    archive = imported(tmp_path, WITH_HOLES)
    found = findings(archive)
    for coin in ("BTC", "ETH"):
        holes = found[f"hyperliquid {coin}"]
        assert (holes.gaps, holes.rows) == (25, 12_192)
        assert holes.lacking_hours == 23 * 220 + 219 + 1
        assert holes.first_gaps[0].lacking_hours == 220.0
        assert archive.summary(holes.key).intervals == {1.0: 12_192}
        assert found[f"binance {coin}"].ok


def test_layer_on_binance_switches_between_4_h_and_1_h(tmp_path: Path) -> None:
    archive = imported(tmp_path, NINETEEN)
    key = SeriesKey(Kind.FUNDING, "binance", "LAYER")
    assert archive.summary(key).intervals == {1.0: 678, 4.0: 306}
    assert all(found.ok for found in verify_archive(archive))


def test_sets_that_agree_join_and_those_that_do_not_are_refused(tmp_path: Path) -> None:
    archive = imported(tmp_path, WITH_HOLES)
    imported(tmp_path, NINETEEN)
    assert archive.summary(SeriesKey(Kind.FUNDING, "binance", "BTC")).rows == 4_377
    with pytest.raises(
        ImportRefused, match=r"column rate: funding hyperliquid BTC at \d+ disagrees with the archive"
    ):
        imported(tmp_path, FIVE)  # its hyperliquid rates are not the settled ones
    imported(tmp_path, FIVE, venues=frozenset({"binance", "bybit", "okx"}))
    assert archive.summary(SeriesKey(Kind.FUNDING, "okx", "BTC")).intervals == {8.0: 283}


def test_kraken_and_lighter_lack_hours_and_stay_hourly(tmp_path: Path) -> None:
    archive = imported(tmp_path, FIVE)
    found = findings(archive)
    assert (found["kraken BTC"].gaps, found["kraken BTC"].lacking_hours) == (8, 9.0)
    assert found["lighter BTC"].gaps > 10
    for name in ("kraken BTC", "lighter BTC"):
        assert set(archive.summary(found[name].key).intervals) == {1.0}
    assert found["okx HYPE"].ok
    assert set(archive.summary(found["okx HYPE"].key).intervals) == {4.0}


def test_bars_of_both_contracts_and_their_funding(tmp_path: Path) -> None:
    imported(tmp_path, BOTH, Kind.SPOT)
    imported(tmp_path, BOTH, Kind.PERP)
    archive = imported(tmp_path, BOTH, Kind.FUNDING)
    assert len(archive.series(Kind.SPOT)) == 6
    assert len(archive.series(Kind.PERP)) == len(archive.series(Kind.FUNDING)) == 12
    assert all(found.ok for found in verify_archive(archive))
    bars = archive.read_bars(SeriesKey(Kind.SPOT, "binance", "BTC/USDT"))
    assert (len(bars), bars[0].open, bars[0].volume) == (1_642, 16_541.77, 32_048.06442)
    assert set(archive.summary(SeriesKey(Kind.FUNDING, "okx", "BTCUSDT")).intervals) == {8.0}


def test_candles_have_their_gaps_and_marks_no_volume(tmp_path: Path) -> None:
    imported(tmp_path, CANDLES, Kind.PERP)
    archive = imported(tmp_path, MARKS, Kind.MARK)
    found = findings(archive)
    assert (found["hyperliquid BTC"].gaps, found["hyperliquid BTC"].lacking_hours) == (1, 10.0)
    assert sum(one.lacking_rows for one in found.values() if one.key.kind is Kind.PERP) > 300
    marks = archive.read_bars(SeriesKey(Kind.MARK, "binance", "BTC"))
    assert (len(marks), marks[0].volume) == (2_151, None)


@pytest.mark.parametrize(
    ("venues", "series", "slopes"),
    [
        (("binance", "bybit"), 87, (0.485, 0.345, 0.241, 0.187, 0.144)),
        (("hyperliquid",), 18, (0.57, 0.38, 0.27, 0.20, 0.15)),
    ],
)
def test_calibration_agrees_with_the_weights_in_use(
    venues: tuple[str, ...], series: int, slopes: tuple[float, ...], tmp_path: Path
) -> None:
    """The published slopes are 0.43-0.53, 0.33-0.47, 0.22-0.30, 0.16-0.19 and 0.12-0.15."""
    fits = calibrate_archive(imported(tmp_path, FOUR, venues=frozenset(venues)))
    assert fits[0].series == series
    for fit, weight in zip(fits, WEIGHTS, strict=True):
        assert fit.horizon_days == weight.horizon_days
        assert abs(fit.w_now - weight.now) < 0.1
        assert abs(fit.w_mean - weight.mean) < 0.1
        assert fit.r2_both > fit.r2_alone
        assert fit.top_realised < 0.7 * fit.top_now  # a high rate does not last
    assert [fit.slope_alone for fit in fits] == pytest.approx(slopes, abs=0.006)
    assert [fit.w_now for fit in fits] == sorted((fit.w_now for fit in fits), reverse=True)
