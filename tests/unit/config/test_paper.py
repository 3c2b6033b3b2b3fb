"""`paper.balances`: what an account begins with, and what is refused with its path."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from libs.common.config import venues
from libs.common.config.load import ConfigError, load_config
from libs.exchange.paper.layout import DEFAULT, LAYOUTS
from libs.exchange.paper.opening import START, start_balances
from tests.unit.config.base import write

TREE: dict[str, Any] = {
    "mode": "paper",
    "symbols": ["BTC/USDT"],
    "exchanges": {
        "spot": {"id": "binance", "type": "spot"},
        "perp": {"id": "binanceusdm", "type": "swap"},
        "sub": {"id": "binance", "type": "swap", "account": "sub1"},
        "other": {"id": "bitget", "type": "swap"},
        "usdc": {"id": "hyperliquid", "type": "swap"},
    },
    "pairs": [
        {"symbol": "BTC/USDT", "legs": ["perp", "other"]},
        {"symbol": "ETH/USDC", "legs": ["perp", "usdc"]},
    ],
}


def with_balances(balances: Any) -> dict[str, Any]:
    return {**TREE, "paper": {"balances": balances}}


def test_what_is_named_is_all_there_is(tmp_path: Path) -> None:
    named = {"binance": {"futures": {"USDT": 1234.5, "BNB": 2}}}
    config = load_config([write(tmp_path, with_balances(named))], {})
    assert start_balances(config, "binance") == {
        "spot": {},
        "margin": {},
        "futures": {"USDT": Decimal("1234.5"), "BNB": Decimal(2)},
    }


def test_without_a_word_each_trading_wallet_has_the_coins_of_its_legs(tmp_path: Path) -> None:
    config = load_config([write(tmp_path, TREE)], {})
    coins = {"USDT": START, "USDC": START}
    assert start_balances(config, "binance") == {"spot": coins, "margin": coins, "futures": coins}
    assert start_balances(config, "bitget") == {"unified": {"USDT": START}}
    assert start_balances(config, "hyperliquid") == {"spot": {"USDC": START}, "futures": {"USDC": START}}


def test_a_variable_names_sub_account_and_coin(tmp_path: Path) -> None:
    env = {"FUNDARB__PAPER__BALANCES__BINANCE_SUB1__FUTURES__USDT": "700"}
    config = load_config([write(tmp_path, TREE)], env)
    assert config.paper.balances == {"binance-sub1": {"futures": {"USDT": 700}}}


@pytest.mark.parametrize(
    ("balances", "path", "says"),
    [
        ({"binace": {"spot": {"USDT": 1}}}, "paper.balances.binace", "paper.balances.binance"),
        ({"okx": {"unified": {"USDT": 1}}}, "paper.balances.okx", "is no exchange or sub-account"),
        ({"binanceusdm": {"futures": {"USDT": 1}}}, "paper.balances.binanceusdm", "balances.binance?"),
        ({"binance": {"future": {"USDT": 1}}}, "paper.balances.binance.future", "binance.futures"),
        ({"bitget": {"spot": {"USDT": 1}}}, "paper.balances.bitget.spot", "unified, funding"),
        ({"binance": {"spot": {"usdt": 1}}}, "paper.balances.binance.spot.usdt", "spot.USDT"),
        ({"binance": {"spot": {"USDT": -1}}}, "paper.balances.binance.spot.USDT", "at least 0"),
        ({"binance": {"spot": {"USDT": "50k"}}}, "paper.balances.binance.spot.USDT", "a number is expected"),
        ({"binance": {"spot": 1}}, "paper.balances.binance.spot", "a section"),
        ({"binance": {"spot": {"US/DT": 1}}}, "paper.balances.binance.spot.US/DT", "is no name"),
        ([1], "paper.balances", "a section"),
    ],
)
def test_a_balance_that_nobody_could_have_is_refused(
    tmp_path: Path, balances: Any, path: str, says: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config([write(tmp_path, with_balances(balances))], {})
    (problem,) = caught.value.problems
    assert problem.path == path
    assert says in str(problem)


def test_the_wallets_of_the_config_are_those_of_the_accounts() -> None:
    assert {venue: layout.wallets for venue, layout in LAYOUTS.items()} == venues.WALLETS
    assert DEFAULT.wallets == venues.ONE_WALLET
