"""Mode paper as processes: the simulated venue gives market data and nothing else, the account is ours.

What was told outlives a kill -9, at whatever step of a send it comes, and nothing ever reaches the venue.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

import pytest

from libs.common.clock import SystemClock
from libs.common.config.schema import Costs
from libs.common.redis_store import RedisStore
from libs.common.subjects import Kind
from libs.exchange.paper.keeping import recall
from services.executor.failpoints import ENV
from tests.helpers.executor import BINANCE, BITGET, CROSS, NOTIONAL, Lab, Service, lab

PAIRS = {"BTC/USDT": BINANCE, "ETH/USDT": BITGET, "SOL/USDT": CROSS}
IDS = (
    "BTC-USDT_binance-spot_binance-perp",
    "ETH-USDT_bitget-spot_bitget-perp",
    "SOL-USDT_binance-perp_bitget-perp",
)
ON_PAPER = {
    "FUNDARB_MODE": "",
    "FUNDARB__MODE": "paper",
    "FUNDARB__PAPER__BALANCES__BINANCE__SPOT__USDT": "7000",
    "FUNDARB__PAPER__BALANCES__BINANCE__FUTURES__USDT": "7000",
}
DEATH_SEC = 60.0


class Paper:
    """Executors on paper, and the accounts as the store has them."""

    def __init__(self, made: Lab, store: RedisStore) -> None:
        self.made = made
        self.store = store

    async def executor(self, pairs: dict[str, tuple[str, str]] = PAIRS, **env: str) -> Service:
        return await self.made.start("executor", pairs, **ON_PAPER, **env)

    async def shown(self, venue: str, instrument: str) -> Decimal:
        """What the written account holds: a position, or coins over all wallets."""
        found = await recall(self.store, venue, costs=Costs())
        assert found is not None
        paper, now = found[0], SystemClock().now()
        if instrument.endswith("-PERP"):
            held = [one.quantity for one in paper.positions(now) if one.instrument == instrument]
        else:
            coin = instrument.split("-", maxsplit=1)[0]
            held = [one.total for one in paper.balances(now) if one.asset == coin]
        return sum(held, Decimal(0))

    async def assert_agrees(self, pair: str) -> None:
        """The account holds what the pair says that it owns."""
        for leg in self.made.pairs[pair].legs:
            shown = await self.shown(leg.venue, leg.instrument)
            slack = Decimal("0.00001") if leg.kind is Kind.SPOT else Decimal("1e-12")
            assert abs(shown - leg.quantity) < slack, (leg, shown)

    async def assert_untouched(self) -> None:
        """The simulated venue has never got an order, and holds nothing for anybody."""
        told = await self.made.oracle()
        assert told
        for house in told.values():
            assert house["sent"] == {}
            assert not [one for account in house["accounts"].values() for one in account["positions"]]


@asynccontextmanager
async def on_paper(folder: Path, pairs: dict[str, tuple[str, str]] = PAIRS) -> AsyncIterator[Paper]:
    async with lab(folder, pairs) as made:
        store = RedisStore(made.env["FUNDARB_REDIS_URL"], deployment="lab")
        await store.connect()
        try:
            yield Paper(made, store)
        finally:
            await store.close()


async def test_pairs_open_on_paper_outlive_a_kill_and_close(tmp_path: Path) -> None:
    async with on_paper(tmp_path) as paper:
        made, first = paper.made, await paper.executor()
        await asyncio.gather(*(made.ask("open", pair, until="active") for pair in IDS))
        for pair in IDS:
            status = made.pairs[pair]
            one, other = status.legs
            assert one.quantity > 0 > other.quantity
            assert float(one.quantity) * (one.mid or 0.0) <= NOTIONAL * 1.01, "less where the book was thin"
            assert status.naked_usd < NOTIONAL * 0.01
            await paper.assert_agrees(pair)
        before = {pair: [leg.quantity for leg in made.pairs[pair].legs] for pair in IDS}
        await first.kill()
        known = {pair: len(made.owners[pair]) for pair in IDS}
        second = await paper.executor()
        await made.until(
            lambda: all(len(made.owners[pair]) > known[pair] and made.state(pair) == "active" for pair in IDS)
        )
        for pair in IDS:
            assert [leg.quantity for leg in made.pairs[pair].legs] == before[pair]
            await paper.assert_agrees(pair)
        await asyncio.gather(*(made.ask("close", pair, until="idle") for pair in IDS))
        for pair in IDS:
            for leg in made.pairs[pair].legs:
                assert abs(await paper.shown(leg.venue, leg.instrument)) < Decimal("0.001"), leg
        await paper.assert_untouched()
        assert made.orders
        assert not [one for one in made.alerts if "halted" in one.text]
        assert await second.stop() == 0


@pytest.mark.parametrize(("point", "state"), [("after_release", ("idle",)), ("before_answer", ("active",))])
async def test_a_kill_inside_a_send_leaves_account_and_pair_of_one_mind(
    tmp_path: Path, point: str, state: tuple[str, ...]
) -> None:
    """Before it is written an order was never accepted; once its outcome could be told it is written."""
    pair, pairs = IDS[0], {"BTC/USDT": BINANCE}
    async with on_paper(tmp_path, pairs) as paper:
        made, doomed = paper.made, await paper.executor(pairs, **{ENV: point})
        asking = asyncio.create_task(made.ask("open", pair, until="never", sec=DEATH_SEC))
        dead = asyncio.create_task(doomed.process.wait())
        await asyncio.wait({asking, dead}, return_when=asyncio.FIRST_COMPLETED)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        assert doomed.process.returncode == -9, doomed.text[-2_000:]
        known = len(made.owners.get(pair, []))
        back = await paper.executor(pairs)
        await made.until(
            lambda: len(made.owners.get(pair, [])) > known and made.state(pair) in ("active", "idle")
        )
        assert made.state(pair) in state
        await paper.assert_agrees(pair)
        await paper.assert_untouched()
        assert await back.stop() == 0


async def test_of_two_executors_on_paper_the_second_waits_until_the_first_is_gone(tmp_path: Path) -> None:
    pair, pairs = IDS[0], {"BTC/USDT": BINANCE}
    async with on_paper(tmp_path, pairs) as paper:
        made, first = paper.made, await paper.executor(pairs)
        await made.ask("open", pair, until="active")
        starting = asyncio.create_task(paper.executor(pairs))
        await made.until(lambda: "another executor has the paper accounts" in made.logs())
        assert not starting.done()
        assert await first.stop() == 0
        second = await starting
        await made.until(lambda: len(made.owners[pair]) == 2)
        await paper.assert_agrees(pair)
        await made.ask("close", pair, until="idle")
        assert await second.stop() == 0
