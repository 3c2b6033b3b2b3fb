from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.subjects import SLUG
from libs.exchange.port import Instrument
from libs.exchange.units import decimal_of, float_of, instrument_of, int_of
from tests.integration.loopback import perp, spot


def built(market: dict[str, Any], *, shortable: bool = True) -> Instrument | None:
    return instrument_of("okx", market, interval_hours=lambda _: None, spot_shortable=shortable)


def sure(market: dict[str, Any], *, shortable: bool = True) -> Instrument:
    item = built(market, shortable=shortable)
    assert item is not None
    return item


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1e-05, "0.00001"),
        (1e-8, "0.00000001"),
        (0.1, "0.1"),
        ("100.00", "100"),
        (1000, "1000"),
        ("1E-5", "0.00001"),
    ],
)
def test_a_decimal_has_the_digits_of_the_number(value: object, text: str) -> None:
    number = decimal_of(value)
    assert number is not None
    assert f"{number:f}" == text


@pytest.mark.parametrize(
    "value", [None, "", "NaN", "Infinity", float("nan"), float("inf"), "abc", True, [], {}]
)
def test_what_is_no_number_is_none(value: object) -> None:
    assert decimal_of(value) is None
    assert float_of(value) is None
    assert int_of(value) is None


@given(
    size=st.sampled_from(["0.0001", "0.001", "0.01", "0.1", "1", "10", "1000"]),
    step=st.sampled_from(["0.001", "0.01", "0.1", "1", "100"]),
)
def test_contracts_times_size_are_exact_in_base_units(size: str, step: str) -> None:
    market = perp("BTC", "BTC-USDT-SWAP", size=float(size))
    market["precision"]["amount"] = float(step)
    market["limits"]["amount"]["min"] = float(step)
    item = sure(market)
    assert item.quantity_step == Decimal(size) * Decimal(step)
    assert item.quantity_min == Decimal(size) * Decimal(step)


def test_a_minimum_that_is_missing_is_the_step() -> None:
    market = perp("BTC", "X", size=0.01)
    market["limits"]["amount"]["min"] = None
    assert sure(market).quantity_min == Decimal("0.01")
    market["limits"]["amount"]["min"] = 0
    assert sure(market).quantity_min == Decimal("0.01")


def test_maxima_are_in_base_units_and_none_where_the_venue_names_none() -> None:
    market = perp("BTC", "X", size=0.01)
    market["limits"]["amount"]["max"] = 5000
    market["limits"]["market"] = {"min": 1, "max": 120}
    item = sure(market)
    assert (item.quantity_max, item.market_quantity_max) == (Decimal(50), Decimal("1.2"))
    market["limits"]["amount"]["max"] = 0
    market["limits"].pop("market")
    market["info"] = {"maxMarketOrderQty": "40"}  # Bitget's; ccxt leaves it there
    item = sure(market)
    assert (item.quantity_max, item.market_quantity_max) == (None, Decimal("0.4"))
    market["info"] = {}
    assert sure(market).market_quantity_max is None


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"active": False}, "not trading"),
        ({"inverse": True, "linear": False, "settle": "BTC", "quote": "USD"}, "inverse"),
        ({"linear": False, "settle": "ETH"}, "quanto: quoted in USDT, settled in ETH"),
        ({"linear": None}, "not linear"),
        ({"contractSize": None}, "no contract size"),
        ({"contractSize": 0}, "no contract size"),
        ({"contractSize": float("nan")}, "no contract size"),
        ({"stock": True}, "a tokenised stock"),
    ],
)
def test_what_cannot_be_a_leg_is_refused_by_name(changes: dict[str, Any], reason: str) -> None:
    refused = sure(perp("BTC", "X") | changes).refused
    assert refused is not None
    assert refused.startswith(reason)


def test_linear_perpetuals_and_spot_are_taken() -> None:
    assert sure(perp("BTC", "X")).refused is None
    assert sure(spot("BTC", "X")).refused is None


def test_options_and_nameless_markets_are_no_legs() -> None:
    assert built(perp("BTC", "X") | {"option": True}) is None
    assert built(perp("BTC", "X") | {"base": None}) is None
    assert built(perp("BTC", "X") | {"swap": False}) is None
    assert built(perp("BTC", "X") | {"swap": False, "future": True, "expiry": None}) is None


def test_a_dated_future_is_named_by_its_expiry() -> None:
    item = sure(perp("BTC", "X") | {"swap": False, "future": True, "expiry": 1735286400000})
    assert (item.slug, item.expiry_ms) == ("BTC-USDT-241227", 1735286400000)


@pytest.mark.parametrize("base", ["1000SHIB", "币安人生", "xyz:AAPL", "BTC.D", "kPEPE", "A*B", "C98"])
def test_every_base_gives_a_subject_token(base: str) -> None:
    slug = sure(perp(base, "X")).slug
    assert SLUG.match(slug)
    assert slug.endswith("-USDT-PERP")


def test_spot_can_be_shorted_where_venue_and_market_both_lend() -> None:
    assert sure(spot("BTC", "X", margin=True)).shortable
    assert not sure(spot("BTC", "X", margin=False)).shortable
    assert not sure(spot("BTC", "X", margin=True), shortable=False).shortable
    assert sure(perp("BTC", "X"), shortable=False).shortable
