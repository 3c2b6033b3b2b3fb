"""Rows of the first control set, provoked at the simulated exchange or on the processes themselves.

One stack of real processes (feed, risk, executor, venue, NATS, Valkey) serves all rows, and the spec's times
are waited for as they are; what needs no others goes on beside them. Market time runs thirty times as fast,
so that ten calm minutes of it are over in twenty seconds. A row that fails fails its own test.

What lasts longer than such a run is not waited for here: the ways back of 15 minutes and more (order
failures, churn, collateral, the UTC day) end by a reset or with the test, and are gone in virtual time
(tests/unit/risk). Rows about a venue's answers, its clock and its margin, attempts to open and slippage are
in test_risk_rows_venue.py; what an operator latches in test_risk_process.py and test_commands_last.py.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import pytest

from libs.common.messages_exec import Level
from tests.helpers.breakers import Breakers
from tests.helpers.executor import lab
from tests.integration import risk_rows as rows
from tests.integration import risk_rows_calm as calm
from tests.integration.risk_rows_run import MONITOR, START_SEC, Ran, Scenario, only, only_when_asked

pytestmark = only_when_asked

VENUE: Final = {
    "speed": "30",
    "deposits": "binance.spot.USDT=5000,binance.usdm.USDT=4000,bitget.unified.USDT=8000",
}


# Less than the spec's times by what a busy machine blurs: when exactly rows leave, virtual time shows.
FRESH_SEC_MIN, CALM_SEC_MIN, JUMP_CALM_SEC_MIN, NAKED_SEC_MIN = 25.0, 50.0, 15.0, 125.0
BOOKED_SEC_MAX: Final = 25.0


class Rows(Scenario):
    """All rows of this stack."""

    async def run(self) -> None:
        """Rows that need openings first, then what shuts everything, then what flattens it."""
        made = self._watch.lab
        async with asyncio.TaskGroup() as group:
            group.create_task(self.row(calm.price_jump))
            group.create_task(self.one_by_one(calm.legs_apart, calm.data_age))
            opened = (made.ask("open", pair, until="active", sec=START_SEC) for pair in rows.HELD)
            await asyncio.gather(*opened)
            await self._watch.books_begin("binance", "bitget")
            group.create_task(self.row(rows.naked))
            await asyncio.gather(
                self.one_by_one(calm.withdrawal, calm.collateral),
                self.row(rows.reconcile, "reconcile", "stuck"),
                self.row(rows.failures_and_churn, "order_failures", "churn"),
            )
            unknown = group.create_task(self.row(calm.equity_unknown))
            await self.one_by_one(calm.limits, calm.permit_heartbeat, calm.build, calm.process_clock)
            group.create_task(self.row(calm.executor_silent))
            await self.entered("equity_unknown", unknown)
            await self.row(calm.daily_loss)


async def _run(folder: Path, ran: Ran) -> None:
    loop = asyncio.get_running_loop()
    async with lab(folder, rows.PAIRS, monitor=MONITOR, **VENUE) as made:
        watch = Breakers(made)
        await watch.listen()
        await made.start("executor", rows.PAIRS)
        begun = loop.time()
        try:
            await Rows(watch, ran).run()
        finally:
            ran.history, ran.seconds = watch.history, loop.time() - begun


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    found = Ran()
    asyncio.run(_run(tmp_path_factory.mktemp("rows"), found))
    return found


def test_permit_heartbeat_nothing_opens_while_risk_stands_still_and_ten_beats_later_it_may(ran: Ran) -> None:
    seen = ran.seen("permit_heartbeat")
    only(seen, "global", "no_opens", "permit_heartbeat", "risk paused for")
    assert seen.left_sec is not None


def test_data_age_of_a_symbol_whose_socket_is_silent(ran: Ran) -> None:
    seen = ran.seen("data_age")
    only(seen, "symbol:binance-BNB-USDT-PERP", "no_opens", "data_age", "s old")
    assert seen.left_sec is not None
    assert seen.left_sec > FRESH_SEC_MIN


def test_a_process_whose_clock_differs_shuts_everything_until_it_does_no_more(ran: Ran) -> None:
    seen = ran.seen("process_clock")
    only(seen, "global", "no_opens", "process_clock", "recorder -")
    assert seen.left_sec is not None


def test_naked_exposure_that_no_order_brings_home_halts_everything(ran: Ran) -> None:
    seen = ran.seen("naked")
    only(seen, "global", "reduce_only", "naked_exposure", f"{rows.XRP} has been naked by")
    assert seen.breakers[0][0].latched
    assert seen.notes["naked_sec"] >= NAKED_SEC_MIN


def test_a_pair_that_is_stuck_is_halted_until_it_is_reset(ran: Ran) -> None:
    seen = ran.seen("stuck")
    only(seen, f"pair:{rows.AVAX}", "reduce_only", "stuck", "differs by")
    assert seen.left_sec is not None


def test_executor_silent_while_pairs_are_held(ran: Ran) -> None:
    seen = ran.seen("executor_silent")
    only(seen, "global", "no_opens", "executor_silent", "nothing was heard of the executor for")
    assert seen.left_sec is not None
    assert seen.left_sec > CALM_SEC_MIN


def test_build_nothing_opens_while_somebody_who_obeys_runs_another(ran: Ran) -> None:
    seen = ran.seen("build")
    only(seen, "global", "no_opens", "build", "another, risk ")
    assert seen.left_sec is not None


def test_order_failures_pause_the_venue(ran: Ran) -> None:
    seen = ran.seen("order_failures")
    only(seen, "venue:bitget", "no_opens", "order_failures", "3 orders failed within 10 min")
    assert seen.left_sec is not None


def test_churn_quarantines_both_symbols_after_three_unwinds(ran: Ran) -> None:
    seen = ran.seen("churn")
    only(seen, "symbol:binance-LTC-USDT-PERP", "no_opens", "churn", "3 unwinds within an hour")
    assert seen.notes["unwinds"] == 3
    assert seen.notes["other"] is not None
    assert seen.left_sec is not None


def test_price_jump_shuts_the_symbol_for_ten_calm_minutes_and_a_larger_one_for_more(ran: Ran) -> None:
    seen = ran.seen("price_jump")
    only(seen, "symbol:bitget-LINK-USDT-PERP", "no_opens", "price_jump", "within 60 s of market time")
    assert [one.level for one, _ in seen.breakers] == [Level.NO_OPENS, Level.REDUCE_ONLY]
    assert seen.left_sec is not None
    assert seen.left_sec > JUMP_CALM_SEC_MIN


def test_price_jump_of_one_venue_alone_shuts_both_legs(ran: Ran) -> None:
    seen = ran.seen("legs_apart")
    only(seen, "symbol:binance-BNB-USDT-PERP", "no_opens", "price_jump", "away from bitget BNB-USDT-PERP")
    assert seen.notes["other"] is not None
    assert seen.left_sec is not None
    assert seen.left_sec > JUMP_CALM_SEC_MIN


def test_limits_a_leverage_raised_by_hand_shuts_the_venue_until_it_is_put_back(ran: Ran) -> None:
    seen = ran.seen("limits")
    only(seen, "venue:binance", "no_opens", "limits", "leverage of SOL-USDT-PERP 20")
    assert seen.left_sec is not None


def test_liquidation_distance_warns_then_shrinks_the_pair_then_flattens_it(ran: Ran) -> None:
    seen = ran.seen("collateral")
    scope = f"pair:{rows.ETH}"
    only(seen, scope, "no_opens", "collateral_shrink", "away")
    assert seen.notes["max_ratio"] <= 0.75
    flattened = seen.breakers[1][0]
    assert (flattened.scope, flattened.level) == (scope, Level.FLATTEN)


def test_equity_unknown_while_an_account_cannot_be_read(ran: Ran) -> None:
    seen = ran.seen("equity_unknown")
    only(seen, "global", "no_opens", "equity_unknown", "the account at bitget cannot be read")
    assert seen.left_sec is not None
    assert seen.left_sec > CALM_SEC_MIN


def test_loss_of_the_day_in_three_steps_closes_what_is_held(ran: Ran) -> None:
    seen = ran.seen("daily_loss")
    only(seen, "global", "no_opens", "daily_loss", "are lost")
    last = seen.breakers[-1][0]
    assert (last.scope, last.level) == ("global", Level.FLATTEN)
    assert "daily_loss_flatten" in last.controls


def test_reconcile_halts_the_pair_whose_position_somebody_has_closed(ran: Ran) -> None:
    seen = ran.seen("reconcile")
    only(seen, f"pair:{rows.AVAX}", "reduce_only", "reconcile", "the venue shows")
    assert seen.left_sec is not None


def test_money_taken_out_is_booked_in_time_and_no_loss(ran: Ran) -> None:
    notes = ran.seen("withdrawal").notes
    assert notes["line"].venue == "bitget"
    assert notes["line"].amount == -5_000
    assert notes["booked_sec"] < BOOKED_SEC_MAX, "before the loss rule's half minute is over"
    assert notes["shut"] == []
