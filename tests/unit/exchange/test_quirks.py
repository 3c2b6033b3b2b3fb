from __future__ import annotations

import subprocess
import sys

import pytest

from libs.common.subjects import Kind
from libs.exchange.quirks import QUIRKS, VENUES, UnknownVenue, quirks_of
from libs.exchange.record import market_hours, rate_hours


def test_the_ten_venues_are_there() -> None:
    assert set(VENUES) == {
        "binance",
        "bitget",
        "bybit",
        "okx",
        "gate",
        "kucoin",
        "htx",
        "mexc",
        "bingx",
        "hyperliquid",
    }


@pytest.mark.parametrize("venue", VENUES)
def test_a_record_covers_every_kind_once_and_explains_what_it_denies(venue: str) -> None:
    record = QUIRKS[venue]
    kinds = [kind for client in record.clients for kind in client.kinds]
    assert sorted(kinds) == sorted(Kind)
    assert set(record.quote_calls) == set(Kind)
    assert record.spot_shortable is (record.why_not_shortable == "")
    assert record.unlisted_hours is None or record.interval_endpoint
    assert record.history.param or record.history.paging in ("window", "latest")


def test_eight_hours_are_assumed_on_binance_alone() -> None:
    assert [venue for venue, record in QUIRKS.items() if record.unlisted_hours is not None] == ["binance"]


def test_bitget_says_which_account_it_is_and_lends_nothing_unconfirmed() -> None:
    record = QUIRKS["bitget"]
    assert record.clients[0].options["uta"] is True
    assert not record.spot_shortable


@pytest.mark.parametrize(
    ("name", "venue"),
    [
        ("binance", "binance"),
        ("binanceusdm", "binance"),
        ("binance-sub1", "binance"),
        ("OKX", "okx"),
        ("gateio", "gate"),
        ("huobi", "htx"),
    ],
)
def test_slugs_lead_to_their_record(name: str, venue: str) -> None:
    assert quirks_of(name).venue == venue


@pytest.mark.parametrize(
    ("name", "near"),
    [("binanse", "binance"), ("bybti", "bybit"), ("hyperliqid", "hyperliquid"), ("zzz", "known are binance")],
)
def test_an_unknown_venue_names_the_nearest(name: str, near: str) -> None:
    with pytest.raises(UnknownVenue, match=near):
        quirks_of(name)


@pytest.mark.parametrize(
    ("venue", "info", "hours"),
    [
        ("bybit", {"fundingInterval": 240}, 4.0),
        ("bybit", {"fundingInterval": "30"}, 0.5),
        ("gate", {"funding_interval": 28800}, 8.0),
        ("kucoin", {"fundingRateGranularity": 7_200_000}, 2.0),
        ("bitget", {"fundInterval": "8"}, 8.0),
        ("bitget", {"fundInterval": ""}, None),
        ("bybit", {"fundingInterval": None}, None),
        ("bybit", {"fundingInterval": 0}, None),
        ("bybit", None, None),
        ("binance", {"fundingInterval": 240}, None),
    ],
)
def test_the_interval_of_a_markets_own_info(venue: str, info: object, hours: float | None) -> None:
    assert market_hours(QUIRKS[venue], info) == hours


def test_bybits_cached_interval_is_never_taken_for_the_rates_own() -> None:
    assert rate_hours(QUIRKS["bybit"], {"interval": "8h", "info": {}}) is None
    assert rate_hours(QUIRKS["bybit"], {"interval": "8h", "info": {"fundingIntervalHour": "1"}}) == 1.0


def test_ccxt_is_not_imported_before_a_venue_is_opened() -> None:
    code = (
        "import sys, libs.exchange.factory, libs.exchange.scan, libs.exchange.scan_archive;"
        "sys.exit('ccxt' in sys.modules or 'aiohttp' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
