"""What the account really pays comes before the config, and the difference is shown."""

from __future__ import annotations

import pytest

from libs.common.config.schema import Costs, VenueCosts
from libs.common.messages_exec import AccountFees
from tests.unit.signal.trader import Trader, fees, trading
from tests.unit.signal.world import BTC, CROSS, ETH, opportunities


def test_the_accounts_rates_are_used_and_the_difference_is_shown() -> None:
    trader = trading()
    effects = trader.account(fees=fees("BTC-USDT-PERP", taker=0.0004))
    found = opportunities(effects)
    assert set(found) == {BTC, CROSS}
    assert found[BTC].short.fee == 0.0004
    assert found[BTC].long.fee == 0.0005
    assert found[BTC].round_trip == pytest.approx(2 * (0.0004 + 0.0005 + 0.0005 + 0.0005))
    assert (
        found[BTC].reasons["account_rates"]
        == "binance BTC-USDT-PERP: taker 0.0400 % by the account, 0.0500 % by config"
    )
    assert found[BTC].passes
    assert "account_rates" not in opportunities(trader.round())[ETH].reasons
    assert "account_rates" in opportunities(trader.effects)[BTC].reasons


def test_the_role_decides_which_rate_and_a_rebate_comes_off_it() -> None:
    costs = Costs(role="maker", venues={"binance": VenueCosts(rebate_share=0.5)})
    trader = trading(Trader(costs=costs))
    found = opportunities(trader.account(fees=fees("BTC-USDT-PERP", taker=0.0004, maker=0.0001)))
    assert found[BTC].short.fee == pytest.approx(0.00005)
    assert "maker 0.0100 % by the account, 0.0200 % by config" in found[BTC].reasons["account_rates"]


def test_borrowing_costs_what_the_account_pays() -> None:
    trader = trading()
    trader.say(trader.funding("BTC-USDT-PERP", -0.003))
    found = opportunities(trader.account(borrow_daily={"BTC": 0.0011}))[BTC]
    assert found.direction == "reverse"
    assert found.borrow_daily == 0.0011
    assert (
        found.reasons["account_rates"]
        == "binance BTC-USDT: borrow a day 0.1100 % by the account, 0.0000 % by config"
    )


def test_rates_that_agree_are_not_mentioned() -> None:
    trader = trading()
    trader.account(fees=fees("BTC-USDT-PERP", taker=0.0005, maker=0.0002), borrow_daily={"BTC": 0.0})
    assert "account_rates" not in opportunities(trader.round())[BTC].reasons


def test_what_is_not_told_again_stays_and_what_no_account_pays_is_not_believed() -> None:
    trader = trading()
    trader.account(fees=fees("BTC-USDT-PERP", taker=0.0004))
    trader.account(trusted=False)
    assert opportunities(trader.round())[BTC].short.fee == 0.0004
    trader.account(fees=fees("BTC-USDT-PERP", taker=4.0))  # per cent, or bps
    trader.account(borrow_daily={"BTC": -0.1})
    found = opportunities(trader.round())[BTC]
    assert (found.short.fee, found.borrow_daily) == (0.0004, 0.0)


def test_accounts_and_instruments_that_no_pair_needs_change_nothing() -> None:
    trader = trading()
    other = AccountFees(instrument="SOL-USDT", maker=0.0, taker=0.0)
    assert opportunities(trader.account(fees=(other,))) == {}
    assert opportunities(trader.account("okx", fees=fees("BTC-USDT-PERP", taker=0.0001))) == {}


def test_one_accounts_rates_are_not_anothers() -> None:
    trader = trading()
    trader.account("bybit", fees=fees("BTC-USDT-PERP", taker=0.0001))
    found = opportunities(trader.round())
    assert found[BTC].short.fee == 0.0005
    assert {found[CROSS].long.fee, found[CROSS].short.fee} == {0.0005, 0.0001}
