"""Risk falls silent: no INCREASE reaches the venue later than a second after its last permit; REDUCE works.

Three ways: risk is killed, stopped, or parted from the broker. Half of the pairs are being opened in many
slices (and an opening is offered each 100 ms besides), the other half is held; when the lease has run out the
held ones are closed, and now and then the venue takes a leg of one, which is then unwound. The next trial
changes sides. The last permit is seen on the executor's own link, orders by the venue's record of arrivals,
their class in the journal. A trial counts when an INCREASE arrived in the second before the lease ran out.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import msgspec

from libs.common.clock import wall_us
from libs.common.nats_bus import NatsBus
from tests.chaos import oracle
from tests.chaos.permits_bench import HALTED, NOTIONAL_USD, READY_SEC, Bench, How, Tap
from tests.chaos.world import NATS, pairs_of, running_world, until
from tests.helpers.executor import BINANCE

HOWS: Final[tuple[How, ...]] = ("killed", "stopped", "partitioned")
BASES: Final = ("XRP", "DOGE", "SUI", "NEAR", "APT", "AVAX")
LEASE_SEC: Final = 1.0
WAY_SEC: Final = 0.25
"""From the link to the executor's ear, and from its gate over the link to the venue's: both are on a loaded
machine, and neither is the executor's to shorten."""

SILENT_SEC: Final = 3.0
CLOSED_SEC: Final = 30.0
UNWIND_EVERY: Final = 5
SLICES: Final = {"collar_bps": 50, "slices": 20, "slice_interval_sec": 0.4}


class Trial(msgspec.Struct, kw_only=True):
    """`last_sec`: of the last INCREASE, seconds after the last permit; `before`: how many in the lease."""

    how: str
    what: str = ""
    before: int = 0
    last_sec: float = 0.0
    closed: int = 0
    unwound: int = 0
    violations: list[str] = []

    @property
    def counts(self) -> bool:
        """Whether anything was on its way that could have come too late."""
        return self.before > 0


async def trial(bench: Bench, how: How, *, reduce: bool = True, unwind: bool = False) -> Trial:
    """Open, silence, look, heal; then the sides change. Without `reduce` nothing is closed meanwhile, and the
    silence is so short that risk's own inputs do not become too old in it.
    """
    done = Trial(how=how, violations=[])
    async with bench.offering():
        await _flowing(bench)
        await asyncio.sleep(1.0 + bench.dice.random())
        done.what, heal = await bench.silence(how)
        try:
            silent_ns = bench.tap.last_ns
            await asyncio.sleep(LEASE_SEC + 2 * WAY_SEC)
            last_ns = max(silent_ns, bench.tap.last_ns)
            if reduce:
                try:
                    await _reduce(bench, done, unwind=unwind)
                except TimeoutError as error:
                    done.violations.append(f"what reduces does not work: {error}")
                await asyncio.sleep(max(0.0, SILENT_SEC - (time.monotonic_ns() - last_ns) / 1e9))
            if bench.tap.last_ns != last_ns:
                done.violations.append("a permit came through the silence: the trial is none")
        finally:
            epoch = bench.world.ear.permit.risk_epoch if bench.world.ear.permit else 0
            healed_us, healed_ns = wall_us(), time.monotonic_ns()
            await heal()
    await _look(bench, done, last_ns, healed_ns)
    await _return(bench, done, epoch=epoch, healed_us=healed_us)
    bench.opening, bench.held = bench.held, bench.opening
    return done


async def _flowing(bench: Bench) -> None:
    """Until pairs are being opened; those that are slow to begin are none of this trial's."""

    def opening(told: dict[str, Any]) -> bool:
        return any(told.get(pair, {}).get("state") == "opening" for pair in bench.opening)

    await bench.wait(opening, sec=READY_SEC / 2, what="a pair is being opened")


async def _reduce(bench: Bench, done: Trial, *, unwind: bool) -> None:
    """Held pairs are closed without a permit; of one the venue has taken a leg."""
    told = await bench.states()
    held = [pair for pair in bench.held if told.get(pair, {}).get("state") == "active"]
    struck = held[:1] if unwind else []
    for pair in struck:
        symbol = pair.split("_")[0].replace("-", "")
        body = {"kind": "adl", "venue": "binance", "symbol": symbol, "fraction": 1.0}
        await bench.world.control("/strike", method="POST", body=body)

    def over(told: dict[str, Any]) -> bool:
        for pair in held:
            if pair not in struck and told.get(pair, {}).get("state") == "active":
                bench.intend("close", pair)
        return all(told.get(pair, {}).get("state") == "idle" for pair in held)

    if held:
        await bench.wait(over, sec=CLOSED_SEC, what=f"{held} are closed")
    done.closed, done.unwound = len(held) - len(struck), len(struck)


async def _look(bench: Bench, done: Trial, last_ns: int, healed_ns: int) -> None:
    """Which increases arrived in the silence, and when, by the venue."""
    classes = oracle.classes_of(await bench.world.stream("journal"))
    arrivals = await bench.world.control(f"/arrivals?since={last_ns - 10**9}")
    seconds = [
        (one["arrived_ns"] - last_ns) / 1e9
        for one in arrivals
        if one["arrived_ns"] < healed_ns
        and one["client_id"]
        and classes.get(one["client_id"], "increase") == "increase"
    ]
    done.before = sum(0.0 < one <= LEASE_SEC for one in seconds)
    done.last_sec = max(seconds, default=0.0)
    if done.last_sec > LEASE_SEC + WAY_SEC:
        done.violations.append(f"an increase arrived {done.last_sec:.3f} s after the last permit")
    told = await bench.world.control("/oracle")
    done.violations += oracle.sent_problems(told, classes)


async def _return(bench: Bench, done: Trial, *, epoch: int, healed_us: int) -> None:
    """Risk is back, and knows what was latched from its first word on."""
    ear = bench.world.ear

    def spoke() -> bool:
        newer = ear.permit is not None and ear.permit.wall_us > healed_us
        return newer and (done.how != "killed" or (ear.permit is not None and ear.permit.risk_epoch > epoch))

    try:
        await until(spoke, sec=READY_SEC, what="a permit of risk after its return")
    except TimeoutError as error:
        raise TimeoutError(f"{error}\n{bench.world.tails()}") from None
    missing = [one for one in ear.permits if one.wall_us > healed_us and not bench.halts(one)]
    if missing:
        done.violations.append(f"permit {missing[0].risk_epoch}/{missing[0].revision} has lost a latch")


@asynccontextmanager
async def running_bench(*, seed: int) -> AsyncIterator[Bench]:
    """A world without signal, whose words are ours, and with a pair that is halted."""
    tap, pairs = Tap(), pairs_of((*BASES, HALTED), (BINANCE,))
    services, hears = ("feed", "risk", "executor"), {("executor", NATS): tap.hear}
    config: dict[str, Any] = {
        "execution": SLICES,
        "position": {"notional_usd": NOTIONAL_USD, "hold_days": 30},
    }
    async with running_world(pairs, seed=seed, services=services, hears=hears, **config) as world:
        bus = NatsBus(world.nats.urls["signal"], name="signal", connect_timeout_sec=10.0)
        await bus.connect()
        try:
            bench = Bench(world, tap, bus, seed=seed)
            await bench.prepare()
            yield bench
        finally:
            await bus.close()


async def trials(hows: tuple[How, ...], *, count: int, seed: int, say: Callable[[str], None]) -> list[Trial]:
    """So many trials of each way that count, at most half as many again. A world that breakers keep shut for
    long is left for a new one.
    """
    found: list[Trial] = []
    wanted = [how for how in hows for _ in range(count)]
    tries_left = len(wanted) + len(wanted) // 2 + 2
    while wanted and tries_left:
        async with running_bench(seed=seed) as bench:
            if shut := await bench.ready():
                raise TimeoutError(f"pairs may not be opened: {shut}\n{bench.world.tails()}")
            while wanted and tries_left and not shut:
                tries_left -= 1
                done = await trial(bench, wanted[0], unwind=len(found) % UNWIND_EVERY == 1)
                found.append(done)
                say(line_of(done))
                if done.counts:
                    wanted.pop(0)
                shut = await bench.ready() if wanted else {}
            if shut:
                say(f"  shut in the end: {sorted(set(shut.values()))}")
    if wanted:
        found[-1].violations.append(f"{len(wanted)} trials too few count")
    return found


def line_of(one: Trial) -> str:
    """A trial in a line."""
    verdict = "" if one.counts else " (does not count)"
    text = (
        f"risk {one.what}: {one.before} increases within the lease, the last {one.last_sec:.3f} s after the "
        f"last permit; {one.closed} closed, {one.unwound} unwound{verdict}"
    )
    return "\n".join([text, *(f"  VIOLATION {each}" for each in one.violations)])


def table(found: list[Trial]) -> str:
    """Figures by way."""
    rows = [
        f"{'risk':<14}{'trials':>7}{'count':>7}{'increases':>10}{'latest s':>10}{'closed':>8}{'unwound':>8}"
    ]
    rows[0] += f"{'violations':>12}"
    for how in dict.fromkeys(one.how for one in found):
        mine = [one for one in found if one.how == how]
        latest = max((one.last_sec for one in mine), default=0.0)
        rows.append(
            f"{how:<14}{len(mine):>7}{sum(one.counts for one in mine):>7}"
            f"{sum(one.before for one in mine):>10}"
            f"{latest:>10.3f}{sum(one.closed for one in mine):>8}{sum(one.unwound for one in mine):>8}"
            f"{sum(len(one.violations) for one in mine):>12}"
        )
    return "\n".join(rows)
