"""The blueprint's two examples are accepted as they stand, comments included."""

from __future__ import annotations

from pathlib import Path

import pytest

from libs.common.config.legs import aliases, pair_specs
from libs.common.config.load import load_with_report
from libs.common.config.schema import Config, Mode

EXAMPLES = Path(__file__).parents[2] / "data" / "blueprint"
ROOT = Path(__file__).parents[3]


def test_the_binance_example() -> None:
    loaded = load_with_report([EXAMPLES / "binance.json"], {})
    config = loaded.config
    assert loaded.warnings == ()
    assert config.mode is Mode.OBSERVER
    assert config.symbols == ("BTC/USDT",)
    assert config.exchanges["perp"].type == "future"
    assert (config.position.notional_usd, config.position.futures_margin_leverage) == (50_000, 3)
    assert (config.position.delta_target, config.position.rebalance_threshold) == (0, 0.002)
    assert (config.thresholds.daily_funding_min, config.thresholds.flip_exit) == (0.0002, True)
    assert config.thresholds.flip_tolerance_hours == 2
    assert (config.costs.taker, config.costs.maker) == (0.0005, 0.0002)
    assert (config.costs.borrow_daily, config.costs.transfer_usd) == (0.0001, 5)
    assert (config.monitor.interval_sec, config.monitor.snapshot_every_min) == (30, 5)
    (pair,) = pair_specs(config)
    assert pair.id == "BTC-USDT_binance-spot_binance-perp"
    assert aliases((pair,)) == {"BTC-USDT_spot_perp": pair.id}


def test_the_bitget_example() -> None:
    loaded = load_with_report([EXAMPLES / "bitget.json"], {})
    config = loaded.config
    assert loaded.warnings == ()
    assert (config.costs.taker, config.costs.maker, config.costs.slippage_bps) == (0.0005, 0.0002, 5)
    assert config.costs.borrow_daily == 0.001
    assert (config.timeouts.open_timeout_sec, config.timeouts.poll_interval_sec) == (10, 0.5)
    (pair,) = pair_specs(config)
    assert pair.id == "BTC-USDT_bitget-spot_bitget-perp"


@pytest.mark.parametrize("name", ["binance", "bitget"])
def test_placeholders_count_as_unset(name: str) -> None:
    for exchange in load_with_report([EXAMPLES / f"{name}.json"], {}).config.exchanges.values():
        assert (exchange.api_key, exchange.secret, exchange.password) == ("", "", "")


def test_the_shipped_example_is_ready_to_run_as_observer() -> None:
    loaded = load_with_report([ROOT / "config" / "example.json"], {})
    config = loaded.config
    assert loaded.warnings == ()
    assert config.mode is Mode.OBSERVER
    assert (config.thresholds.flip_policy, config.thresholds.forecast) == ("cost_aware", "expected")
    assert {exchange.id for exchange in config.exchanges.values()} == {"binance", "bitget"}
    assert len(pair_specs(config)) == 3 * len(config.symbols) == 18


def test_no_config_at_all_is_an_observer_that_watches_nothing() -> None:
    loaded = load_with_report([], {})
    assert loaded.config == Config()
    assert ["no pair to watch" in str(warning) for warning in loaded.warnings] == [True]
