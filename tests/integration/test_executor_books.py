"""The books of an executor process over the wire protocols: every asset of every account is explained."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

from libs.common import subjects
from libs.common.bus import Frame
from libs.common.messages import decode
from libs.common.messages_exec import AccountStatus, BookSummary, FillEvent, LedgerKind, LedgerLine
from libs.console.trades import BOOKED_US
from services.executor.failpoints import ENV, LOSE_FEE
from tests.helpers.executor import BINANCE, BITGET, CROSS, Lab, lab

PAIRS = {"BTC/USDT": BINANCE, "ETH/USDT": BITGET, "SOL/USDT": CROSS}
IDS = (
    "BTC-USDT_binance-spot_binance-perp",
    "ETH-USDT_bitget-spot_bitget-perp",
    "SOL-USDT_binance-perp_bitget-perp",
)


ROUNDING = Decimal("1e-6")
"""Venues tell unrealised profit with eight decimals or fewer."""
LOST_LEAST = Decimal("0.1")
"""1 bp of N: below it nobody would be told of a fee."""


class Ear:
    """What the executor says of money."""

    def __init__(self) -> None:
        self.books: list[BookSummary] = []
        self.accounts: dict[str, AccountStatus] = {}
        self.fills: list[FillEvent] = []
        self.lines: list[LedgerLine] = []

    def hear(self, frame: Frame) -> None:
        if frame.subject == subjects.BOOKS:
            self.books.append(decode(frame.payload, BookSummary))
        elif frame.subject.startswith("exec.account."):
            status = decode(frame.payload, AccountStatus)
            self.accounts[status.venue] = status
        elif frame.subject.startswith("exec.fill."):
            self.fills.append(decode(frame.payload, FillEvent))
        elif frame.subject.startswith("exec.ledger."):
            self.lines.append(decode(frame.payload, LedgerLine))


def settled(ear: Ear, fills: int) -> bool:
    """Whether the books have been compared since the last trade, and nothing is left over."""
    if len(ear.fills) < fills or not ear.books:
        return False
    last = ear.books[-1]
    if last.residual_usd is None or last.wall_us < ear.fills[-1].wall_us + BOOKED_US:
        return False
    return last.residual_usd < ROUNDING


def unaccounted(told: BookSummary) -> Decimal:
    """What the accounts have gained beyond the lines and the residual; raises while it is not known."""
    assert told.equity_usd is not None
    assert told.equity_start_usd is not None
    gained = told.equity_usd - told.equity_start_usd
    return gained - told.pnl.total - sum(told.residual_by_venue.values(), Decimal(0))


async def explained(made: Lab, ear: Ear, fills: int) -> BookSummary:
    """The books when they are settled."""
    try:
        await made.until(lambda: settled(ear, fills), sec=40)
    except TimeoutError:
        last = ear.books[-1] if ear.books else None
        raise AssertionError(f"not explained: {last}\n{made.logs()[-3000:]}") from None
    return ear.books[-1]


async def test_accounts_of_three_kinds_of_pairs_are_explained(tmp_path: Path) -> None:
    async with lab(tmp_path, PAIRS) as made:
        ear = Ear()
        await made.bus.subscribe(subjects.ALL_EXEC, ear.hear)
        executor = await made.start("executor", PAIRS)
        await made.until(lambda: bool(ear.books) and ear.books[-1].equity_usd is not None)
        await asyncio.gather(*(made.ask("open", pair, until="active") for pair in IDS))
        await made.until(lambda: ear.books[-1].pairs_opened == len(IDS))
        await made.until(lambda: all((one.margin_ratio or 0) > 0 for one in ear.accounts.values()))
        assert set(ear.accounts) == {"binance", "bitget"}
        for status in ear.accounts.values():
            assert status.trusted, status.problems
            assert status.equity_usd is not None
            assert status.margin_ratio is not None
            assert 0 < status.margin_ratio < 0.1
            assert status.fees
        await asyncio.gather(*(made.ask("close", pair, until="idle") for pair in IDS))
        closed = await explained(made, ear, 12)
        assert closed.pairs_closed == 3
        assert closed.equity_start_usd is not None
        assert closed.equity_usd is not None
        assert closed.residual_usd is not None
        assert abs(unaccounted(closed)) < ROUNDING
        assert closed.pnl.fees < 0
        assert abs(closed.pnl.basis) < Decimal(50)
        trades = {(fill.venue, fill.instrument, fill.trade) for fill in ear.fills}
        assert len(trades) == len(ear.fills), "a trade is told once"
        booked = [line.key for line in ear.lines]
        assert len(booked) == len(set(booked)), "a line is told once"
        assert sum(line.kind is LedgerKind.FILL for line in ear.lines) == len(ear.fills)
        assert await executor.stop() == 0
        assert not [alert for alert in made.alerts if alert.key.startswith("books:")]


async def test_a_fee_that_is_not_booked_is_a_residual_of_its_size_and_an_alert(tmp_path: Path) -> None:
    pairs = {"BTC/USDT": BINANCE}
    async with lab(tmp_path, pairs) as made:
        ear = Ear()
        await made.bus.subscribe(subjects.ALL_EXEC, ear.hear)
        executor = await made.start("executor", pairs, **{ENV: LOSE_FEE})
        await made.until(lambda: bool(ear.books) and ear.books[-1].equity_usd is not None)
        await made.ask("open", IDS[0], until="active")
        await made.until(lambda: (ear.books[-1].residual_usd or 0) > LOST_LEAST, sec=40)
        told = ear.books[-1]
        booked = {line.key for line in ear.lines}
        (lost,) = [
            fill for fill in ear.fills if f"{fill.venue}:fee:{fill.instrument}/{fill.trade}" not in booked
        ]
        usd = lost.fee if lost.fee_asset == "USDT" else lost.fee * lost.price
        assert told.residual_usd is not None
        assert abs(told.residual_usd - usd) < Decimal("0.005"), "a coin's price may have moved a little"
        assert told.residual_by_venue == {"binance": -told.residual_usd}
        assert abs(unaccounted(told)) < ROUNDING
        await made.until(lambda: any(one.key == "books:residual" for one in made.alerts), sec=40)
        assert await executor.stop() == 0
