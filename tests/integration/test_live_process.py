"""Mode live as its owner runs it: `fundarb up --live`, unmodified, at the real names of the exchanges.

In a network without a way out, where these names lead to the simulated exchange (ADR 0019).
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

from libs.common.messages import AlertLevel
from libs.common.subjects import Kind
from tests.helpers.executor import shown_of
from tests.helpers.island import islander, simulated_exchange
from tests.helpers.live_deployment import CROSS, PAIR, Live, write_config

LEVERAGE = 3
LURE = {"port": 9, "control_port": 9, "ca_path": "/dev/null", "host": "127.0.0.1", "keys": {}}
"""A simulated exchange as it would announce itself to a demo: real money does not go there."""

RIGHTS = ["read", "spot", "futures", "margin", "transfer"]
FIRST_KEY = {"venue": "binance", "user": "u1", "number": 0}


@asynccontextmanager
async def deployment(folder: Path, **config: Any) -> AsyncIterator[Live]:
    """Written and not started yet; ended whatever happens."""
    async with simulated_exchange(folder) as told:
        live = Live(folder, write_config(folder, told, **config), told)
        try:
            yield live
        finally:
            await live.end()


async def assert_hedged(live: Live, pair: str) -> None:
    """The exchange shows what the pair says that it owns, and the legs cancel out to a step."""
    told = await live.venue("GET", "/oracle")
    status = live.pairs[pair]
    for leg in status.legs:
        shown = shown_of(told[leg.venue]["accounts"], leg.instrument)
        assert abs(shown - leg.quantity) < Decimal("0.00001" if leg.kind is Kind.SPOT else "1e-12"), leg
    assert status.legs[0].quantity * status.legs[1].quantity < 0
    assert status.naked_usd < 3.0


async def assert_set_up(live: Live) -> None:
    """Whoever opens a contract has set its leverage: the exchange's own is 20."""
    told = await live.venue("GET", "/oracle")
    held = [
        one["position"]
        for house in told.values()
        for account in house["accounts"].values()
        for one in account["positions"]
    ]
    assert held
    assert {float(one["leverage"]) for one in held} == {LEVERAGE}, held


async def assert_flat(live: Live) -> None:
    """No contract is held anywhere, and no order reached an exchange twice."""
    told = await live.venue("GET", "/oracle")
    for house in told.values():
        assert not [one for account in house["accounts"].values() for one in account["positions"]]
        assert set(house["sent"].values()) == {1}


@islander
async def test_it_opens_outlives_a_kill_halts_on_a_bad_key_and_closes(tmp_path: Path) -> None:
    async with deployment(tmp_path) as live:
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "venue.json").write_text(json.dumps(LURE))
        await live.start()
        async with live.heard():
            await live.brought("open", PAIR, "active")
            await live.brought("open", CROSS, "active")
            for pair in (PAIR, CROSS):
                await assert_hedged(live, pair)
            await assert_set_up(live)
            assert "LIVE: real orders with real money" in live.log.read_text()

            # an executor that dies comes back by itself, and knows what it has
            held = {pair: [leg.quantity for leg in live.pairs[pair].legs] for pair in (PAIR, CROSS)}
            live.kill("executor")
            await live.until(
                lambda: all(len(live.owners[pair]) == 2 and live.state(pair) == "active" for pair in held),
                what="another executor leads both pairs",
            )
            for pair, quantities in held.items():
                assert [leg.quantity for leg in live.pairs[pair].legs] == quantities
                await assert_hedged(live, pair)
            await live.brought("close", CROSS, "idle")

            # a key that has become able to withdraw stops all openings, and pages
            await live.venue("POST", "/keys", {**FIRST_KEY, "permissions": [*RIGHTS, "withdraw"]})
            assert (await live.say("reload")).code == 0
            await live.until(lambda: any(one.key == "keys:binance" for one in live.alerts), what="a page")
            page = next(one for one in live.alerts if one.key == "keys:binance")
            assert page.level is AlertLevel.CRITICAL
            assert "the API key may withdraw" in page.text
            refused = await live.say("open", CROSS, "--json")
            assert refused.code == 1, f"{refused}{live.logs()}"
            assert "the API key may withdraw" in refused.out
            assert "the API key may withdraw" in (await live.say("status")).out
            await live.brought("close", PAIR, "idle")  # what reduces goes on
            await assert_flat(live)
        assert await live.stop() == 0


@islander
async def test_a_key_that_may_withdraw_starts_nothing(tmp_path: Path) -> None:
    async with deployment(tmp_path) as live:
        await live.venue("POST", "/keys", {**FIRST_KEY, "permissions": [*RIGHTS, "withdraw"]})
        await live.start()
        assert await live.ended() == 2
        said = live.log.read_text()
        last = said.strip().splitlines()[-1]
        assert last.startswith('executor: binance: the API key may withdraw: switch off "Enable Withdrawals"')
        assert "Binance > Profile > Account > API Management" in last
        assert "Traceback" not in said + live.written()
        assert all(not house["sent"] for house in (await live.venue("GET", "/oracle")).values())
