"""The executor as a process: intents on the bus become hedged positions at a venue, and go again."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path

from libs.common.subjects import Kind
from tests.helpers.executor import BINANCE, BITGET, CROSS, NOTIONAL, Lab, lab

PAIRS = {
    "BTC/USDT": BINANCE,
    "ETH/USDT": BITGET,
    "SOL/USDT": CROSS,
}
OF_BINANCE = "BTC-USDT_binance-spot_binance-perp"
OF_BITGET = "ETH-USDT_bitget-spot_bitget-perp"
OF_BOTH = "SOL-USDT_binance-perp_bitget-perp"
IDS = (OF_BINANCE, OF_BITGET, OF_BOTH)


async def assert_agrees(made: Lab, pair: str) -> None:
    """The venue shows what the pair says that it owns; spot wallets hold no more than dust beside it."""
    for leg in made.pairs[pair].legs:
        shown = await made.shown(leg.venue, leg.instrument)
        assert abs(shown - leg.quantity) < Decimal("0.00001" if leg.kind is Kind.SPOT else "1e-12"), leg


async def test_pairs_of_three_kinds_open_hedged_and_close(tmp_path: Path) -> None:
    async with lab(tmp_path, PAIRS) as made:
        executor = await made.start("executor", PAIRS)
        await asyncio.gather(*(made.ask("open", pair, until="active") for pair in IDS))
        for pair in IDS:
            status = made.pairs[pair]
            first, second = status.legs
            assert first.quantity > 0 > second.quantity
            worth = float(first.quantity) * (first.mid or 0.0)
            assert NOTIONAL * 0.9 < worth <= NOTIONAL * 1.01, "a leg has its notional, less a step"
            assert status.naked_usd < NOTIONAL * 0.01
            await assert_agrees(made, pair)
        await asyncio.gather(*(made.ask("close", pair, until="idle") for pair in IDS))
        for pair in IDS:
            for leg in made.pairs[pair].legs:
                assert abs(await made.shown(leg.venue, leg.instrument)) < Decimal("0.001"), leg
        sent = await made.sent()
        assert len(sent) >= 12
        assert set(sent.values()) == {1}, "an id is sent once"
        assert set(sent) == {one.id for one in made.orders}, "the bus has told of every order"
        assert await executor.stop() == 0
