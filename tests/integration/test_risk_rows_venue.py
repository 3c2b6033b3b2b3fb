"""Rows of the first control set that a venue provokes: its answers, its clock, its margin, what fills cost
there; and attempts to open.

As test_risk_rows.py, in a stack of its own where market time runs as fast as ours: a price moves while an
order is under way because it is pushed, and what the owner holds by hand beside the pairs is worth the same
a minute later. The ways back of 5 minutes and more (venue errors, slippage, collateral) end by a reset.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from libs.common.messages_exec import Level
from tests.helpers.breakers import Breakers
from tests.helpers.executor import Service, lab
from tests.integration import risk_rows_venue as rows
from tests.integration.risk_rows_run import MONITOR, START_SEC, Ran, Scenario, only, only_when_asked

pytestmark = only_when_asked

CALM_SEC_MIN = 50.0


class Rows(Scenario):
    """All rows of this stack."""

    async def run(self, first: Service) -> None:
        """`first`: an executor of one pair, which the one of all pairs takes over."""
        made = self._watch.lab
        async with asyncio.TaskGroup() as group:
            attempts = group.create_task(self.row(rows.open_attempts, first=first))
            await made.start("executor", rows.PAIRS)
            await made.ask("open", rows.AVAX, until="active", sec=START_SEC)
            await self.row(rows.slippage, "slippage", "slippage_once")
            await attempts
            clock = group.create_task(self.row(rows.clock_offset))
            await self.entered("clock_offset", clock)  # the next row ends all faults
            await self.row(rows.venue_errors)
            await asyncio.gather(self.row(rows.unknown_orders), self.row(rows.margin_ratio))


async def _run(folder: Path, ran: Ran) -> None:
    loop = asyncio.get_running_loop()
    async with lab(folder, rows.PAIRS, monitor=MONITOR) as made:
        watch = Breakers(made)
        await watch.listen()
        first = await made.start("executor", {"TRX/USDT": rows.PAIRS["TRX/USDT"]})
        begun = loop.time()
        try:
            await Rows(watch, ran).run(first)
        finally:
            ran.history, ran.seconds = watch.history, loop.time() - begun


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    found = Ran()
    asyncio.run(_run(tmp_path_factory.mktemp("rows"), found))
    return found


def test_open_attempts_are_counted_whoever_makes_them(ran: Ran) -> None:
    seen = ran.seen("open_attempts")
    only(seen, f"pair:{rows.TRX}", "no_opens", "open_attempts", " within a minute")
    assert len(seen.notes["owners"]) == 2
    assert seen.left_sec is not None


def test_unknown_orders_one_shuts_the_venue_until_it_is_resolved_and_three_halt_everything(ran: Ran) -> None:
    seen = ran.seen("unknown_orders")
    only(seen, "venue:binance", "no_opens", "unknown_orders", "is unknown")
    assert seen.left_sec is not None
    halted = seen.breakers[1][0]
    assert (halted.scope, halted.level, halted.latched) == ("global", Level.REDUCE_ONLY, True)


def test_clock_offset_of_a_venue_whose_clock_is_behind(ran: Ran) -> None:
    seen = ran.seen("clock_offset")
    only(seen, "venue:bitget", "no_opens", "clock_offset", "the clock of bitget and ours")
    assert seen.left_sec is not None
    assert seen.left_sec > CALM_SEC_MIN


def test_venue_errors_shut_the_venue_before_its_equity_is_unknown(ran: Ran) -> None:
    seen = ran.seen("venue_errors")
    only(seen, "venue:binance", "no_opens", "venue_errors", "calls failed")
    assert seen.notes["equity_unknown"] is None
    assert seen.left_sec is not None


def test_margin_ratio_where_no_price_liquidates_warns_then_shrinks_the_pair_then_flattens_it(
    ran: Ran,
) -> None:
    seen = ran.seen("margin_ratio")
    scope = f"pair:{rows.AVAX}"
    only(seen, scope, "no_opens", "collateral_shrink", "the margin ratio at binance is ")
    assert seen.notes["max_ratio"] <= 0.75
    flattened = seen.breakers[1][0]
    assert (flattened.scope, flattened.level) == (scope, Level.FLATTEN)
    assert seen.left_sec is not None


def test_slippage_of_one_very_dear_fill_shuts_the_symbol_until_a_reset(ran: Ran) -> None:
    seen = ran.seen("slippage_once")
    only(seen, "symbol:binance-SUI-USDT-PERP", "no_opens", "slippage_once", "bps beyond the mid")
    assert seen.left_sec is not None


def test_slippage_of_three_dear_fills_shuts_the_symbol(ran: Ran) -> None:
    seen = ran.seen("slippage")
    only(seen, "symbol:binance-SUI-USDT-PERP", "no_opens", "slippage", "fills within an hour cost more than")
    assert seen.notes["controls"] == ("slippage",), "none of them was dear enough alone"
    assert seen.left_sec is not None
