"""What an operator asks of a real executor: flatten while a venue is down, reset of a pair that is stuck.

Over real NATS, Valkey and a simulated venue; risk is dead in both, so that the executor answers for itself.
"""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

from libs.common import subjects
from libs.common.messages import Command, CommandReply, decode, encode
from tests.helpers.executor import BINANCE, CROSS, Lab, lab

CROSS_PAIR = "SOL-USDT_binance-perp_bitget-perp"
PAIRS = {"SOL/USDT": CROSS}
SILENT_SEC = 12.0


async def command(made: Lab, verb: str, **fields: Any) -> dict[str, CommandReply]:
    """Service -> its answer, gathered for a second."""
    body = encode(Command(**fields))
    frames = await made.bus.gather(subjects.command(verb), body, timeout_sec=1.0)
    replies = [decode(frame.payload, CommandReply) for frame in frames]
    assert len(replies) == len({one.service for one in replies}), "each answers once"
    return {one.service: one for one in replies}


async def without_risk(made: Lab) -> None:
    """Risk is killed, and its last permit has lapsed."""
    await made.service("risk").kill()
    await asyncio.sleep(1.5)


def is_led(made: Lab, state: str) -> bool:
    """Whether an executor that leads the pair says that it is in this state."""
    status = made.pairs[CROSS_PAIR]
    return bool(status.owner) and status.state == state


async def legs_shown(made: Lab) -> list[Decimal]:
    """What both venues show of the pair across them."""
    return [await made.shown(venue, "SOL-USDT-PERP") for venue in ("binance", "bitget")]


async def test_flatten_waits_for_a_venue_that_is_down_and_closes_when_it_is_back(tmp_path: Path) -> None:
    async with lab(tmp_path, PAIRS) as made:
        executor = await made.start("executor", PAIRS)
        await made.ask("open", CROSS_PAIR, until="active")
        held = await legs_shown(made)
        await without_risk(made)
        await made.faults({"kind": "maintenance", "venue": "bitget"})
        answers = await command(made, "flatten", confirm=True, actor="ann", reason="fire")
        told = answers["executor"].result["pairs"][CROSS_PAIR]
        assert told["begun"] == "flatten"
        await made.until(lambda: any("waits" in one.key for one in made.alerts), sec=30)
        (page,) = [one for one in made.alerts if "waits" in one.key]
        assert "bitget does not answer" in page.text
        await asyncio.sleep(SILENT_SEC)
        assert made.state(CROSS_PAIR) == "active"
        assert await legs_shown(made) == held, "no leg is closed while the other cannot be"
        status = (await command(made, "status"))["executor"].result["pairs"][CROSS_PAIR]
        assert "bitget does not answer" in status["waits"]
        assert "flattened by hand (ann): fire" in status["flattened"]
        await executor.kill()
        executor = await made.start("executor", PAIRS)  # the demand outlives the process
        await asyncio.sleep(3)
        assert await legs_shown(made) == held, "what is demanded is in the store, and so is why it waits"
        await made.clear_faults()
        await made.until(lambda: is_led(made, "idle"), sec=90)
        assert await legs_shown(made) == [0, 0]
        refused = (await command(made, "open", pair=CROSS_PAIR, direction="forward"))["executor"]
        assert refused.error is not None
        assert refused.error.code == "not_opened"
        assert set((await made.sent()).values()) == {1}, "an id is sent once"
        assert await executor.stop() == 0


async def looked_at(made: Lab) -> CommandReply:
    """A reset's answer as soon as both venues have been looked at: who is told `no_look` asks again."""
    for _ in range(10):
        answer = (await command(made, "reset", pair=CROSS_PAIR, confirm=True, actor="ann"))["executor"]
        if answer.error is None or answer.error.code != "no_look":
            return answer
    raise AssertionError("no look has come in ten seconds")


async def test_a_stuck_pair_is_reset_after_a_clean_reconcile_only(tmp_path: Path) -> None:
    pair, pairs = "ETH-USDT_binance-spot_binance-perp", {"ETH/USDT": BINANCE, "SOL/USDT": CROSS}
    async with lab(tmp_path, pairs) as made:
        executor = await made.start("executor", pairs)
        await asyncio.gather(*(made.ask("open", one, until="active") for one in (pair, CROSS_PAIR)))
        accounts = [one for one in made.accounts if one.venue == "binance"]
        assert accounts[-1].calls > 0
        assert accounts[-1].calls_failed == 0
        assert accounts[-1].call_p99_ms is not None
        strike = {"kind": "manual_close", "venue": "bitget", "symbol": "SOLUSDT", "fraction": 0.5}
        await made.strike(strike)
        await made.until(lambda: is_led(made, "stuck"), sec=60)
        refused = (await looked_at(made)).error
        assert refused is not None
        assert refused.code == "differs"
        assert "bitget SOL-USDT-PERP shows" in refused.message
        assert is_led(made, "stuck")
        for venue in ("bitget", "binance"):  # its owner has closed the rest by hand
            await made.strike({"kind": "manual_close", "venue": venue, "symbol": "SOLUSDT"})
        answer = await looked_at(made)
        assert answer.ok, answer.error
        assert answer.result["state"] == "idle"
        await made.until(lambda: is_led(made, "idle"))
        await made.until(lambda: any("taken_over" in one.key for one in made.alerts))
        held = (await command(made, "positions"))["executor"].result
        assert list(held["pairs"]) == [pair]
        await executor.kill()
        executor = await made.start("executor", pairs)
        await made.ask("close", pair, until="idle")
        await made.until(lambda: is_led(made, "idle"))  # a reset outlives the process
        assert await executor.stop() == 0
