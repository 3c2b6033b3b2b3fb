from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.research.layout import (
    JITTER_MS_MAX,
    TS_MS_MAX,
    TS_MS_MIN,
    Kind,
    SeriesKey,
    key_of,
    path_of,
    slot_of,
    symbol_problem,
    venue_problem,
)

ROOT = Path("archive")
SYMBOLS = st.text(min_size=1, max_size=64).filter(lambda text: symbol_problem(text) is None)


@settings(max_examples=200, derandomize=True)
@given(symbol=SYMBOLS, kind=st.sampled_from(Kind))
def test_every_symbol_finds_its_way_back_from_its_file(symbol: str, kind: Kind) -> None:
    key = SeriesKey(kind, "hyperliquid-xyz", symbol)
    path = path_of(ROOT, key)
    assert len(path.relative_to(ROOT).parts) == 3
    assert key_of(ROOT, path) == key


def test_the_contract_names_the_path() -> None:
    assert path_of(ROOT, SeriesKey(Kind.FUNDING, "hyperliquid-xyz", "xyz:AAPL")) == Path(
        "archive/kind=funding/venue=hyperliquid-xyz/symbol=xyz%3AAAPL.parquet"
    )


@pytest.mark.parametrize(
    "name",
    [
        "kind=candles/venue=binance/symbol=BTC.parquet",
        "funding/venue=binance/symbol=BTC.parquet",
        "kind=funding/binance/symbol=BTC.parquet",
        "kind=funding/venue=binance/BTC.parquet",
        "kind=funding/venue=binance/symbol=.parquet",
        "kind=funding/symbol=BTC.parquet",
    ],
)
def test_other_files_are_no_series(name: str) -> None:
    assert key_of(ROOT, ROOT / name) is None


@settings(max_examples=200, derandomize=True)
@given(minute=st.integers(TS_MS_MIN // 60_000 + 1, TS_MS_MAX // 60_000 - 1), jitter=st.integers(-999, 999))
def test_jitter_does_not_change_the_settlement_that_a_stamp_means(minute: int, jitter: int) -> None:
    assert slot_of(minute * 60_000 + jitter) == minute * 60_000


def test_a_stamp_farther_from_a_minute_means_itself() -> None:
    for off in (JITTER_MS_MAX + 1, 30_000, 60_000 - JITTER_MS_MAX - 1):
        assert slot_of(1_700_006_400_000 + off) == 1_700_006_400_000 + off


@pytest.mark.parametrize("venue", ["", None, 7, "bin ance", "a/b", "a.b", "..", "venue=x", "ünö"])
def test_a_venue_is_a_slug(venue: object) -> None:
    assert venue_problem(venue) is not None


@pytest.mark.parametrize("symbol", ["", " ", None, 7, " BTC", "BTC\n", "B\x00C", "x" * 65])
def test_a_symbol_is_visible_text(symbol: object) -> None:
    assert symbol_problem(symbol) is not None


@pytest.mark.parametrize(
    "symbol", ["BTC/USDT", "..", ".", "xyz:AAPL", "BTC/USDT:USDT-261225", "1000PEPE", "a%2Fb"]
)
def test_symbols_of_venues_are_taken_as_they_are(symbol: str) -> None:
    assert symbol_problem(symbol) is None
