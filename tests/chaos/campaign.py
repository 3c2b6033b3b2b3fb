"""Cycles of faults in one world: trade, strike, recover, compare. Figures by kind.

A cycle: pairs are opened and closed without end, one fault strikes and is undone, the trading stops, all
pairs come to rest, and the oracle compares venue, store and audit. Everything has a limit in time; what does
not end within it is a violation, never a hang.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec

from libs.common.bus import BusUnavailable
from libs.common.clock import mono_us, wall_us
from libs.common.store import StoreUnavailable
from tests.chaos import oracle
from tests.chaos.faults import FULL_DISK, KINDS, services_of
from tests.chaos.trader import Trader
from tests.chaos.world import BASES, World, pairs_of, running_world

BEFORE_SEC: Final = 4.0
AFTER_SEC: Final = 1.0
REST_SEC: Final = 150.0
"""I4's bound: open timeout, ladder, and W of what is unknown."""

STILL_SEC: Final = 30.0
BOOKED_SEC: Final = 45.0
"""What a user stream has lost is found by the next round of records, at most a minute apart."""

START_SEC: Final = 150.0
SHUT_SEC: Final = 40.0
"""Breakers that hold longer (a silent executor's minute, the 5 min of a slow venue) end a world."""

CYCLE_SEC_MAX: Final = 360.0
Told = Mapping[str, Any]


class Cycle(msgspec.Struct, kw_only=True):
    """What one cycle came to. `naked_usd_sec` by the venue's own trades, `recovery_sec` from the fault's end
    until every pair rests, led and with a fresh permit.
    """

    kind: str
    seed: int
    what: str = ""
    orders: int = 0
    increases: int = 0
    naked_usd_sec: float = 0.0
    recovery_sec: float = 0.0
    resets: int = 0
    stuck: int = 0
    violations: list[str] = []


class Run:
    """Cycles in one world."""

    def __init__(self, world: World, *, seed: int) -> None:
        self.world = world
        self.trader = Trader(world, seed=seed)
        self._known: set[str] = set()
        self._told: set[str] = set()
        self._resets = 0

    async def ready(self, *, sec: float) -> dict[str, str]:
        """Until every pair may be opened again: venues verified, permits come, data fresh for as long as risk
        wants (30 s after they were stale). What is still shut when the time is over, and why.
        """
        begun_us = mono_us()
        while True:
            told = self._pairs(await self.trader.status())
            why = {
                pair: told[pair]["opens"] if pair in told else "nobody leads it" for pair in self.world.ids
            }
            shut = {pair: text for pair, text in why.items() if not opens(text)}
            if not shut or mono_us() - begun_us > sec * 1e6:
                return shut
            await asyncio.sleep(0.2)

    @staticmethod
    def _pairs(answers: list[dict[str, Any]]) -> dict[str, Told]:
        """Pair -> what its owner says of it."""
        return {pair: told for answer in answers for pair, told in answer["pairs"].items()}

    async def cycle(self, kind: str, seed: int) -> Cycle:
        """One of them; what could not be asked is a violation too."""
        done = Cycle(kind=kind, seed=seed, violations=[])
        dice = random.Random(seed)  # noqa: S311 - a schedule, no secret
        try:
            async with asyncio.timeout(CYCLE_SEC_MAX):
                begun_us = wall_us()
                async with self.trader.trading():
                    await asyncio.sleep(BEFORE_SEC * dice.uniform(0.5, 1.5))
                    done.what = await KINDS[kind](self.world, dice)
                    healed_us = mono_us()
                    await asyncio.sleep(AFTER_SEC)
                await self._rest(done)
                done.recovery_sec = (mono_us() - healed_us) / 1e6
                states, told = await self._still()
                await self._compare(done, states, told, begun_us=begun_us)
        except (TimeoutError, OSError, BusUnavailable, StoreUnavailable) as error:
            done.violations.append(f"not comparable: {error!r}\n{self.world.tails()}")
        return done

    # --- rest ------------------------------------------------------------------------------------------

    async def _rest(self, done: Cycle) -> None:
        """Until every pair rests, is led, and nothing is open."""
        begun_us, last = mono_us(), "nobody answers"
        while mono_us() - begun_us < REST_SEC * 1e6:
            answers = await self.trader.status()
            pairs = self._pairs(answers)
            missing = [pair for pair in self.world.ids if pair not in pairs]
            busy = [pair for pair, one in pairs.items() if one["orders_open"] or not rests(one["state"])]
            stale = [answer["permit"]["why"] for answer in answers if not answer["permit"]["fresh"]]
            if not (missing or busy or stale):
                return
            last = f"not led: {missing}, not at rest: {[(one, pairs[one]) for one in busy]}, permit: {stale}"
            await asyncio.sleep(0.2)
        done.violations.append(f"no rest within {REST_SEC:.0f} s: {last}\n{self.world.tails()}")

    async def _still(self) -> tuple[dict[str, Told], Told]:
        """Pairs as the store has them and the venue's books of one moment: signal goes on having wishes. The
        last look when they never stood still.
        """
        begun_us, states = mono_us(), await self._states()
        while True:
            told = await self.world.control("/oracle")
            before, states = states, await self._states()
            moved = states != before or not all(rests(one["state"]) for one in states.values())
            if not moved or mono_us() - begun_us > STILL_SEC * 1e6:
                return states, told

    async def _states(self) -> dict[str, Told]:
        found: dict[str, Told] = {}
        for pair in self.world.ids:
            value = await self.world.value(f"pair:{pair}")
            none: dict[str, Any] = {"state": "idle", "reason": "", "version": 0, "legs": []}
            state = none if value is None else msgspec.json.decode(value)
            keys = keys_of(pair)
            legs = [
                {"venue": venue, "instrument": instrument, "quantity": leg["quantity"]}
                for (venue, instrument), leg in zip(keys, state["legs"], strict=False)
            ]
            kept = {name: state.get(name, none[name]) for name in ("state", "reason", "version")}
            found[pair] = {**kept, "legs": legs}
        return found

    # --- comparison --------------------------------------------------------------------------------------

    async def _compare(self, done: Cycle, states: dict[str, Told], told: Told, *, begun_us: int) -> None:
        trades = oracle.trades_of(told)
        classes = oracle.classes_of(await self.world.stream("journal"))
        prices = oracle.prices_of(trades)
        new = set(oracle.sent(told)) - self._known
        self._known |= new
        done.orders = len(new)
        done.increases = sum(classes.get(name) == "increase" for name in new)
        done.naked_usd_sec = oracle.naked_usd_seconds(trades, since_us=begun_us, until_us=wall_us())
        done.stuck = sum(one["state"] == "stuck" for one in states.values())
        pages = [f"{one.key} {one.text}" for one in self.world.ear.pages()]
        done.violations += oracle.sent_problems(told, classes)
        done.violations += oracle.position_problems(told, states, prices)
        done.violations += oracle.state_problems(states, prices, pages)
        done.violations += await self._eventually(self._ledger_problems)
        done.violations += await self._eventually(self._audit_problems)
        await self.trader.tidy(tuple(pair for pair, one in states.items() if one["state"] == "stuck"))
        done.resets = self.trader.resets - self._resets
        self._resets = self.trader.resets

    async def _eventually(self, problems: Callable[[], Any]) -> list[str]:
        """What is still wrong when its time is over; nothing as soon as nothing is."""
        begun_us = mono_us()
        while found := [one for one in await problems() if one not in self._told]:
            if mono_us() - begun_us > BOOKED_SEC * 1e6:
                self._told.update(found)  # once is enough: it would be found again in each cycle
                return found
            await asyncio.sleep(0.5)
        return []

    async def _ledger_problems(self) -> list[str]:
        told = await self.world.control("/oracle")
        lines = oracle.lines_of(await self.world.stream("ledger"))
        return oracle.ledger_problems(lines, oracle.trades_of(told))

    async def _audit_problems(self) -> list[str]:
        return oracle.audit_problems(await self.world.stream("audit"), self.trader.answered)

    async def funding(self) -> tuple[list[str], dict[str, Decimal]]:
        """At the very end: what the venues paid is booked. A round of records is at most a minute away."""
        begun_us = mono_us()
        while True:
            told = await self.world.control("/oracle")
            lines = oracle.lines_of(await self.world.stream("ledger"))
            found = oracle.funding_problems(lines, told)
            if not found or mono_us() - begun_us > 2 * BOOKED_SEC * 1e6:
                return found, oracle.funding(told)
            await asyncio.sleep(2.0)


def rests(state: str) -> bool:
    """Whether a pair may be left like this."""
    return state in ("idle", "active", "stuck")


def opens(why: str) -> bool:
    """Whether a wish would be heard; accounts are set up when the first one comes."""
    return why == "ok" or "not been verified yet" in why


def keys_of(pair: str) -> list[tuple[str, str]]:
    """(venue, instrument) of both legs of a pair's id."""
    stem, *legs = pair.split("_")
    found = []
    for leg in legs:
        venue, _, kind = leg.partition("-")
        found.append((venue, f"{stem}-PERP" if kind == "perp" else stem))
    return found


async def run_kind(kind: str, *, cycles: int, seed: int, say: Callable[[str], None]) -> list[Cycle]:
    """So many cycles of a kind. A world that breakers keep shut for long is left for a new one."""
    found: list[Cycle] = []
    while len(found) < cycles:
        async with running_world(
            pairs_of(BASES), seed=seed, services=services_of(kind), small_disk=kind == FULL_DISK
        ) as world:
            run = Run(world, seed=seed)
            if shut := await run.ready(sec=START_SEC):
                raise TimeoutError(f"pairs may not be opened: {shut}\n{world.tails()}")
            while len(found) < cycles and not shut:
                found.append(await run.cycle(kind, seed * 1_000 + len(found)))
                say(line_of(found[-1]))
                shut = await run.ready(sec=SHUT_SEC) if len(found) < cycles else {}
            problems, paid = await run.funding()
            found[-1].violations += problems
            told = ", ".join(f"{venue} {amount:+.4f}" for venue, amount in paid.items())
            say(f"  funding {told}; shut in the end: {sorted(set(shut.values()))}")
            for one in problems:
                say(f"  VIOLATION {one}")
    return found


def line_of(one: Cycle) -> str:
    """A cycle in a line, and its violations."""
    text = (
        f"{one.kind} {one.seed}: {one.what}; {one.orders} orders, {one.increases} increases, "
        f"{one.naked_usd_sec:.0f} USD s naked, at rest after {one.recovery_sec:.1f} s"
    )
    more = "".join(
        f", {count} {name}" for name, count in (("resets", one.resets), ("stuck", one.stuck)) if count
    )
    return "\n".join([text + more, *(f"  VIOLATION {each}" for each in one.violations)])


def table(cycles: list[Cycle]) -> str:
    """Figures by kind."""
    head = f"{'fault':<16}{'cycles':>7}{'orders':>8}{'increases':>10}{'USD s naked':>13}{'recovery s':>18}"
    rows = [f"{head}{'resets':>8}{'stuck':>7}{'violations':>12}"]
    for kind in dict.fromkeys(one.kind for one in cycles):
        mine = [one for one in cycles if one.kind == kind]
        times = sorted(one.recovery_sec for one in mine)
        spread = f"{times[len(times) // 2]:.1f} / {times[-1]:.1f}"
        rows.append(
            f"{kind:<16}{len(mine):>7}{sum(one.orders for one in mine):>8}"
            f"{sum(one.increases for one in mine):>10}{sum(one.naked_usd_sec for one in mine):>13.0f}"
            f"{spread:>18}{sum(one.resets for one in mine):>8}{sum(one.stuck for one in mine):>7}"
            f"{sum(len(one.violations) for one in mine):>12}"
        )
    return "\n".join(rows)
