"""Costs by venue, sub-account and product: from the file to the fee that a pair is charged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from libs.common.config.load import ConfigError, load_config, load_with_report
from libs.common.config.schema import Config
from libs.common.effects import Publish
from libs.common.messages import Opportunity
from tests.unit.config.base import write
from tests.unit.signal.world import World

TREE: dict[str, Any] = {
    "symbols": ["BTC/USDT"],
    "exchanges": {
        "spot": {"id": "binance", "type": "spot"},
        "perp": {"id": "binanceusdm", "type": "swap"},
        "sub": {"id": "binance", "type": "swap", "account": "sub1"},
        "dated": {"id": "bitget", "type": "future"},
    },
    "pairs": [
        {"symbol": "BTC/USDT", "legs": ["spot", "perp"]},
        {"symbol": "BTC/USDT", "legs": ["spot", "sub"]},
        {"symbol": "BTC/USDT:USDT-261225", "legs": ["spot", "dated"]},
    ],
}
GENERAL = 0.0009


def config(folder: Path, venues: dict[str, Any], env: dict[str, str] | None = None) -> Config:
    tree = {**TREE, "costs": {"taker": GENERAL, "venues": venues}}
    return load_with_report([write(folder, tree)], env or {}).config


def fees(known: Config) -> dict[str, float]:
    """`binance-perp` -> the fee of that leg, as signal publishes it."""
    world = World(known)
    world.start()
    told = [
        effect.message
        for effect in world.round()
        if isinstance(effect, Publish) and isinstance(effect.message, Opportunity)
    ]
    assert len(told) == 3
    return {f"{leg.venue}-{leg.kind.value}": leg.fee for one in told for leg in (one.long, one.short)}


def test_each_leg_pays_the_fee_of_its_own_venue_and_product(tmp_path: Path) -> None:
    known = config(
        tmp_path,
        {
            "binance-spot": {"taker": 0.001},
            "binance-perp": {"taker_bps": 4},
            "binance-sub1-perp": {"taker": 0.0003},
            "bitget": {"taker": 0.0006},
            "bitget-future": {"taker": 0.0002},
        },
    )
    assert fees(known) == {
        "binance-spot": 0.001,
        "binance-perp": 0.0004,
        "binance-sub1-perp": 0.0003,
        "bitget-future": 0.0002,
    }


def test_a_sub_account_has_fees_of_its_own_else_those_of_its_venue(tmp_path: Path) -> None:
    known = config(tmp_path, {"binance-sub1": {"taker": 0.0002}})
    assert fees(known)["binance-sub1-perp"] == 0.0002
    assert fees(known)["binance-perp"] == GENERAL
    known = config(tmp_path, {"binance-perp": {"taker": 0.0004}})
    assert fees(known)["binance-sub1-perp"] == 0.0004
    assert fees(known)["binance-spot"] == GENERAL


def test_a_variable_names_a_product_with_an_underscore(tmp_path: Path) -> None:
    env = {"FUNDARB__COSTS__VENUES__BINANCE_PERP__TAKER": "0.0004"}
    assert fees(config(tmp_path, {}, env))["binance-perp"] == 0.0004


@pytest.mark.parametrize(
    ("venue", "nearest"),
    [
        ("binance-swap", "binance-perp"),
        ("binance-sub2-perp", "binance-sub1-perp"),
        ("binance-sub2", "binance-sub1"),
        ("binance-pepr", "binance-perp"),
        ("okx-perp", ""),
        ("binanceusdm", "binance"),
        ("binanceusdm-perp", "binance-perp"),
    ],
)
def test_a_key_that_no_leg_looks_for_is_refused(tmp_path: Path, venue: str, nearest: str) -> None:
    path = write(tmp_path, {**TREE, "costs": {"venues": {venue: {"taker": 0.0004}}}})
    with pytest.raises(ConfigError) as caught:
        load_config([path], {})
    (problem,) = caught.value.problems
    assert problem.path == f"costs.venues.{venue}"
    assert "-spot" in problem.remedy
    assert "-perp" in problem.remedy
    if nearest:
        assert problem.nearest == f"costs.venues.{nearest}"


def test_an_exchange_that_is_not_configured_may_have_its_costs_ready(tmp_path: Path) -> None:
    assert config(tmp_path, {"okx": {"taker": 0.0005}}).costs.venues["okx"].taker == 0.0005
