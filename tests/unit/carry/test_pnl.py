"""A pair's parts by hand: bought and sold at known prices, with fees, funding and a trim."""

from __future__ import annotations

from decimal import Decimal
from functools import reduce
from typing import Any

import pytest

from libs.carry.pnl import NoPrice, PairBook, book, summed
from libs.common.messages_exec import LedgerKind, LedgerLine, ProfitAndLoss

D = Decimal
SPOT, PERP = ("binance", "BTC-USDT"), ("binance", "BTC-USDT-PERP")


def line(kind: LedgerKind, **fields: Any) -> LedgerLine:
    shown: dict[str, Any] = {
        "key": "k",
        "kind": kind,
        "venue": "binance",
        "instrument": "BTC-USDT",
        "asset": "USDT",
        "amount": fields.get("usd", D(0)),
        "usd": D(0),
        "pair": "p",
        "venue_ms": 1,
        "wall_us": 1,
        **fields,
    }
    return LedgerLine(**shown)


def fill(quantity: int, price: int, mid: int | None, purpose: str = "open", **fields: Any) -> LedgerLine:
    return line(
        LedgerKind.FILL,
        quantity=D(quantity),
        price=D(price),
        mid=None if mid is None else D(mid),
        purpose=purpose,
        **fields,
    )


def fee(usd: int, purpose: str = "open", liquidity: str = "taker") -> LedgerLine:
    return line(LedgerKind.FEE, usd=D(usd), purpose=purpose, liquidity=liquidity)


def parts(*lines: LedgerLine, **prices: int) -> ProfitAndLoss:
    at = {SPOT: D(prices.get("spot", 0)), PERP: D(prices.get("perp", 0))}
    return reduce(book, lines, PairBook()).parts({key: price for key, price in at.items() if price})


def test_an_open_pair_splits_into_slippage_and_basis() -> None:
    found = parts(
        fill(2, 101, 100), fill(-2, 102, 103, instrument="BTC-USDT-PERP"), fee(-3), spot=110, perp=111
    )
    assert found == ProfitAndLoss(slippage=D(-4), basis=D(2 * 10 - 2 * 8), fees=D(-3), total=D(-3))


def test_a_closed_leg_needs_no_price_of_now() -> None:
    found = parts(fill(2, 101, 100), fill(-2, 119, 120, "close"))
    assert (found.slippage, found.basis, found.total) == (D(-4), D(40), D(36))


def test_what_is_held_without_a_price_is_not_guessed() -> None:
    with pytest.raises(NoPrice):
        parts(fill(2, 101, 100))


@pytest.mark.parametrize("purpose", ["trim", "shrink"])
def test_fees_and_slippage_of_rebalance_trades_are_in_no_other_part(purpose: str) -> None:
    found = parts(fill(1, 102, 100, purpose), fee(-3, purpose), spot=100)
    assert found == ProfitAndLoss(rebalance=D(-5), total=D(-5))


@pytest.mark.parametrize("purpose", ["open", "close", "hedge", "unwind", "restore", "follow", "adl"])
def test_every_other_trade_is_no_rebalance(purpose: str) -> None:
    found = parts(fill(1, 102, 100, purpose), fee(-3, purpose), spot=100)
    assert found == ProfitAndLoss(slippage=D(-2), fees=D(-3), total=D(-5))


def test_a_trade_without_a_decision_has_no_slippage() -> None:
    found = parts(fill(-1, 90, None, "liquidation"), spot=100)
    assert (found.slippage, found.basis) == (D(0), D(-10))


def test_the_other_parts_are_what_their_lines_say() -> None:
    found = parts(
        line(LedgerKind.FUNDING, usd=D(7)),
        line(LedgerKind.INTEREST, usd=D(-2)),
        line(LedgerKind.TRANSFER, usd=D(-1)),
        line(LedgerKind.TRANSFER, usd=D(-100), pair=""),
        line(LedgerKind.DEPOSIT, usd=D(1000), pair=""),
        fee(1, liquidity="maker"),
    )
    assert found == ProfitAndLoss(funding=D(7), borrow=D(-2), transfer=D(-1), fees=D(1), total=D(5))
    assert summed([found, found]).total == D(10)
