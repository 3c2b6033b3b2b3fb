"""Deposits, withdrawals, and transfers between the accounts of one user."""

from __future__ import annotations

import pytest

from libs.exchange.engine.commands import Borrow, Deposit, OpenAccount, Reason, Transfer, Withdraw
from libs.exchange.engine.types import AccountKind, AccountSpec, EntryKind
from tests.helpers.floor import BUY, SELL, SPOT, D, Floor, limit
from tests.unit.exchange.engine.build import FREE, free_floor, hold, line, lines


@pytest.fixture
def floor() -> Floor:
    floor = free_floor()
    floor.mark(SPOT, "50000")
    floor.deposit("spot", USDT="1000")
    return floor


def transfer(source: str, target: str, amount: str, asset: str = "USDT") -> Transfer:
    return Transfer(source=source, target=target, asset=asset, amount=D(amount), ref="t1")


def withdraw(account: str, amount: str, asset: str = "USDT") -> Withdraw:
    return Withdraw(account=account, asset=asset, amount=D(amount))


def test_a_transfer_is_two_lines_at_once(floor: Floor) -> None:
    events = floor.do(transfer("spot", "futures", "400"))
    assert lines(events) == [line(EntryKind.TRANSFER, "-400"), line(EntryKind.TRANSFER, "400")]
    assert floor.balance("spot", "USDT").total == 600
    assert floor.balance("futures", "USDT").total == 400
    assert floor.engine.entries("futures")[-1].ref == "t1"


def test_only_between_different_accounts_of_one_user(floor: Floor) -> None:
    stranger = AccountSpec(account="stranger", user="u2", kind=AccountKind.SPOT, fees=FREE)
    floor.do(OpenAccount(spec=stranger))
    assert floor.refused(transfer("spot", "stranger", "1")) is Reason.NOT_ALLOWED
    assert floor.refused(transfer("spot", "spot", "1")) is Reason.NOT_ALLOWED
    assert floor.refused(transfer("spot", "nobody", "1")) is Reason.UNKNOWN_ACCOUNT
    assert floor.refused(transfer("spot", "@fees", "1")) is Reason.UNKNOWN_ACCOUNT


def test_no_more_than_is_free_leaves(floor: Floor) -> None:
    floor.do(limit("spot", SPOT, BUY, "0.01", "50000"))
    assert floor.refused(transfer("spot", "futures", "500.01")) is Reason.INSUFFICIENT_BALANCE
    floor.do(transfer("spot", "futures", "500"))
    assert floor.refused(withdraw("spot", "0.01")) is Reason.INSUFFICIENT_BALANCE
    assert floor.refused(withdraw("spot", "1", "DOGE")) is Reason.INSUFFICIENT_BALANCE


def test_margin_in_use_does_not_leave(floor: Floor) -> None:
    floor.deposit("futures", USDT="5000")
    hold(floor, "futures", SELL, "1", "50000")
    assert floor.refused(withdraw("futures", "2500.00000001")) is Reason.INSUFFICIENT_MARGIN
    floor.do(withdraw("futures", "2500"))
    assert floor.refused(transfer("futures", "spot", "0.00000001")) is Reason.INSUFFICIENT_MARGIN


def test_debts_hold_assets_back_down_to_level_two(floor: Floor) -> None:
    floor.deposit("margin", USDT="10000")
    floor.do(Borrow(account="margin", asset="BTC", amount=D("0.1")))
    # (15000 - 5000) / 5000 = 2
    assert floor.engine.max_withdraw("margin", "USDT") == 5_000
    assert floor.refused(transfer("margin", "spot", "5000.00000001")) is Reason.MARGIN_LEVEL
    floor.do(transfer("margin", "spot", "5000"))
    assert floor.engine.margin_level("margin") == 2


def test_coins_that_back_a_position_do_not_leave() -> None:
    floor = free_floor()
    floor.mark(SPOT, "50000")
    floor.deposit("unified", BTC="1")
    hold(floor, "unified", SELL, "9", "50000")  # 22500 of 45000
    assert floor.engine.max_withdraw("unified", "BTC") == D("0.5")
    assert floor.refused(withdraw("unified", "0.51", "BTC")) is Reason.INSUFFICIENT_MARGIN
    floor.do(withdraw("unified", "0.5", "BTC"))


@pytest.mark.parametrize("amount", ["0", "-1", "NaN", "-Infinity", "1e15", "1e-19"])
def test_nonsense_is_refused(floor: Floor, amount: str) -> None:
    assert floor.refused(Deposit(account="spot", asset="USDT", amount=D(amount))) is Reason.BAD_VALUE
    assert floor.refused(withdraw("spot", amount)) is Reason.BAD_VALUE
    assert floor.refused(transfer("spot", "futures", amount)) is Reason.BAD_VALUE


def test_money_from_and_to_outside_is_booked(floor: Floor) -> None:
    deposit = Deposit(account="spot", asset="BTC", amount=D("0.5"))
    assert lines(floor.do(deposit)) == [line(EntryKind.DEPOSIT, "0.5", "BTC")]
    assert lines(floor.do(withdraw("spot", "0.2", "BTC"))) == [line(EntryKind.WITHDRAWAL, "-0.2", "BTC")]
    assert floor.refused(Deposit(account="nobody", asset="BTC", amount=D(1))) is Reason.UNKNOWN_ACCOUNT
