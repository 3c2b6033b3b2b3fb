"""kill -9 of the executor at each step of a send, and two executors of one deployment.

After each kill: no id has reached a venue twice, positions are what the pair says, every pair is somewhere.
"""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Final

from redis.asyncio import Redis

from libs.common.instant import US_PER_SEC
from libs.common.subjects import Kind
from services.executor.failpoints import ENV, POINTS
from services.executor.leases import RETRY_US, TTL_MS
from tests.helpers.executor import BINANCE, Lab, Service, lab

SOMEWHERE = ("active", "idle", "stuck")
SYMBOLS = ("BTC", "ETH", "SOL", "BNB", "XRP", "LTC")
SETTLED_SEC = 90.0
DEATH_SEC = 150.0
LOADED_SEC = 5.0
"""Of a machine with twice as many test workers as cores: to get the lease, to read the pair and to say whose
it is. A quiet one takes 0.05 to 0.3 s from the lapse to the first word of the new owner.
"""

MINIMUM_USD = 5.0  # of an order at the venue: what is worth less is dust


def pair_of(base: str) -> str:
    return f"{base}-USDT_binance-spot_binance-perp"


async def dies_at(made: Lab, point: str, base: str, action: str) -> None:
    """Start an executor of one pair with a failpoint, and ask until it is dead."""
    executor = await made.start("executor", {f"{base}/USDT": BINANCE}, **{ENV: point})
    until = asyncio.create_task(made.ask(action, pair_of(base), until="never", sec=DEATH_SEC))
    dead = asyncio.create_task(executor.process.wait())
    await asyncio.wait({until, dead}, return_when=asyncio.FIRST_COMPLETED)
    until.cancel()
    await asyncio.gather(until, return_exceptions=True)
    assert executor.process.returncode == -9, f"{point}: {executor.text[-2_000:]}"


async def comes_back(made: Lab, base: str) -> Service:
    """Start an executor without a failpoint, and wait until its pair is somewhere and nothing is open."""
    pair = pair_of(base)
    known = len(made.owners.get(pair, []))
    executor = await made.start("executor", {f"{base}/USDT": BINANCE})

    def settled() -> bool:
        status = made.pairs.get(pair)
        fresh = len(made.owners.get(pair, [])) > known
        return fresh and status is not None and status.state in SOMEWHERE and not status.orders_open

    await made.until(settled, sec=SETTLED_SEC)
    return executor


async def assert_agrees(made: Lab, base: str) -> None:
    """What the pair says that it owns is what the venue shows; coins beside it are too few to be sold."""
    for leg in made.pairs[pair_of(base)].legs:
        shown = await made.shown(leg.venue, leg.instrument)
        dust = Decimal(MINIMUM_USD / (leg.mid or 1.0))
        slack = dust if leg.kind is Kind.SPOT else Decimal("1e-12")
        assert abs(shown - leg.quantity) <= slack, (base, leg, shown)


async def one_life(made: Lab, point: str, base: str) -> str:
    """Killed while it opens, back, and closed if it had opened; the state in which it came back."""
    pair = pair_of(base)
    await dies_at(made, point, base, "open")
    executor = await comes_back(made, base)
    state = made.state(pair)
    assert state in ("active", "idle"), (point, made.pairs[pair])
    await assert_agrees(made, base)
    if state == "active":
        await made.ask("close", pair, until="idle")
        await assert_agrees(made, base)
    assert await executor.stop() == 0  # all of them share one account's request budget
    return state


async def eases(made: Lab) -> None:
    """Deaths leave orders of unknown fate, and three of them halt everything: somebody resets that here."""
    while True:
        made.bus.publish("cmd.reset", b'{"scope": "global", "confirm": true, "reason": "a rehearsal"}')
        await asyncio.sleep(1)


async def test_a_kill_at_any_step_of_a_send_leaves_no_id_sent_twice_and_every_pair_somewhere(
    tmp_path: Path,
) -> None:
    pairs = {f"{base}/USDT": BINANCE for base in SYMBOLS}
    async with lab(tmp_path, pairs) as made:
        easing = asyncio.create_task(eases(made))
        lives = (one_life(made, point, base) for point, base in zip(POINTS, SYMBOLS, strict=True))
        states = dict(zip(POINTS, await asyncio.gather(*lives), strict=True))
        easing.cancel()
        for never in ("before_persist", "after_persist", "after_prepare"):
            assert states[never] == "idle", f"{never}: nothing had been sent"
        for reached in ("before_answer", "after_answer"):
            assert states[reached] == "active", f"{reached}: both legs had been filled"
        sent = await made.sent()
        assert sent
        assert set(sent.values()) == {1}, "no id is sent twice"
        assert not [one for one in made.alerts if "halted" in one.text]


CLOSES: Final = {"after_persist:2": "BTC", "after_release:2": "ETH", "before_answer:3": "SOL"}
"""The second send of a life is its close; an opening has two answers, the third is a close's first."""


async def one_close(made: Lab, point: str, base: str) -> None:
    """Opened, killed while it closes, and back: the close goes on by itself to its end."""
    pair, pairs = pair_of(base), {f"{base}/USDT": BINANCE}
    executor = await made.start("executor", pairs, **{ENV: point})
    # the others' deaths may leave risk without an executor for 5 s: it opens nothing for a minute then
    await made.ask("open", pair, until="active", sec=DEATH_SEC)
    closing = asyncio.create_task(made.ask("close", pair, until="never", sec=DEATH_SEC))
    dead = asyncio.create_task(executor.process.wait())
    await asyncio.wait({closing, dead}, return_when=asyncio.FIRST_COMPLETED)
    closing.cancel()
    await asyncio.gather(closing, return_exceptions=True)
    assert executor.process.returncode == -9, f"{point}: {executor.text[-2_000:]}"
    executor = await comes_back(made, base)
    await assert_agrees(made, base)
    if made.state(pair) == "active":
        await made.ask("close", pair, until="idle")
    assert made.state(pair) == "idle", (point, made.pairs[pair])
    await assert_agrees(made, base)
    assert await executor.stop() == 0


async def test_a_kill_during_a_close_leaves_no_id_sent_twice_and_the_close_ends(tmp_path: Path) -> None:
    pairs = {f"{base}/USDT": BINANCE for base in CLOSES.values()}
    async with lab(tmp_path, pairs) as made:
        easing = asyncio.create_task(eases(made))
        await asyncio.gather(*(one_close(made, point, base) for point, base in CLOSES.items()))
        easing.cancel()
        sent = await made.sent()
        assert len(sent) >= 4 * len(CLOSES)
        assert set(sent.values()) == {1}, "no id is sent twice"
        assert not [one for one in made.alerts if "halted" in one.text]


async def left_of_leases(url: str) -> float:
    """Seconds until the last lease in a store lapses."""
    async with Redis.from_url(url) as client:
        left_ms = [await client.pttl(key) async for key in client.scan_iter(match="*lease:*")]
    return max(left_ms) / 1_000


async def test_of_two_executors_one_owns_a_pair_and_the_other_takes_over(tmp_path: Path) -> None:
    pair, pairs = pair_of("BTC"), {"BTC/USDT": BINANCE}
    async with lab(tmp_path, pairs) as made:
        first = await made.start("executor", pairs)
        await made.ask("open", pair, until="active")
        second = await made.start("executor", pairs)
        await made.until(lambda: "executor runs" in second.text)
        for _ in range(3):  # both hear every intent, one acts
            await made.ask("close", pair, until="idle")
            await made.ask("open", pair, until="active")
        assert len(made.owners[pair]) == 1, "the first one has kept it"
        await first.kill()
        left_sec = await left_of_leases(made.env["FUNDARB_REDIS_URL"])
        assert 0 < left_sec <= TTL_MS / 1_000, "it was the first one's until now"
        took_sec = await made.until(lambda: len(made.owners[pair]) == 2)
        assert took_sec > left_sec - 0.5, "not while it may still be the first one's"
        assert took_sec < left_sec + RETRY_US / US_PER_SEC + LOADED_SEC, "with the next try"
        await made.ask("close", pair, until="idle")
        assert set((await made.sent()).values()) == {1}
        assert await second.stop() == 0
