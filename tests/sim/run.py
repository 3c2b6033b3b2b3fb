"""One seed from start to end: `python -m tests.sim.run SEEDS SEED_START`."""

from __future__ import annotations

import logging
import sys
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from functools import partial

from libs.common.command_memory import recent_ids
from libs.common.instant import US_PER_SEC
from libs.common.messages import Intent
from libs.common.store import StoreUnavailable
from libs.common.subjects import intent
from services.executor.model import State
from tests.sim.adviser import Adviser
from tests.sim.ending import Ending
from tests.sim.guardian import Guardian
from tests.sim.invariants import Violated
from tests.sim.node import Node
from tests.sim.plan import BUILD, Misfortune, Plan, SimPair, of_seed
from tests.sim.process import Process
from tests.sim.timeline import run
from tests.sim.venue import SimVenue
from tests.sim.world import World

RESETS = 3
LIVELY_US = 500_000
"""The longest pause between two wishes of a lively seed."""

SENSIBLE = 0.85
"""This share of its wishes fits the state of the pair; the rest is nonsense, as after a lost message."""

COMPARED_US_MAX = 120 * US_PER_SEC
"""So long after all is at rest every venue's books must have been compared."""


logging.getLogger("libs.common.intake").setLevel(logging.ERROR)  # what the operator means to be nonsense


class Seed:
    """The world of a plan with its executors and its user."""

    def __init__(self, plan: Plan) -> None:
        self.world = World(plan)
        self.config = plan.config()
        for slug in sorted({key[0] for key in self.world.keys}):
            self.world.venues[slug] = SimVenue(slug, self.world)
        self.lives = 0
        self.world.trouble.kill = self.crash
        self.world.trouble.start_risk = self.start_risk
        self.start_risk()
        self.start_node()
        if Misfortune.SECOND_EXECUTOR in plan.misfortunes:
            self.world.counts[Misfortune.SECOND_EXECUTOR.value] += 1
            self.start_node()
        if plan.signals:
            self.start_signal()
        self.world.start()
        if plan.wishes:
            self.world.time.after(3 * US_PER_SEC, self.wish)
        self.world.time.after(2 * US_PER_SEC, self.harm)

    def start_node(self) -> None:
        """A new executor process: it reads first which commands were taken, and does not start without."""
        world = self.world
        if back_us := world.absences.back_us("executor"):
            world.time.after(back_us, self.start_node)
            return
        try:
            taken = run(recent_ids(world.store, "executor", wall_us=world.now.wall_us))
        except StoreUnavailable:
            world.time.after(US_PER_SEC, self.start_node)
            return
        self.lives += 1
        world.nodes.append(Node(f"executor-{self.lives}", world, self.config, taken))

    def start_risk(self) -> None:
        """A new risk process, now and then of another build; what hangs still is ended a while later."""
        world, build = self.world, BUILD
        if back_us := world.absences.back_us("risk"):
            world.time.after(back_us, self.start_risk)
            return
        if world.hits(Misfortune.RISK_BUILD, 0.2):
            build = "another"
        self.lives += 1
        new = Guardian(f"risk-{self.lives}", world, self.config, build=build)
        for old in world.guardians:
            world.time.after(world.rng.randrange(5, 30) * US_PER_SEC, partial(self.end, old))
        if build != BUILD:
            world.time.after(world.rng.randrange(3, 15) * US_PER_SEC, partial(self.crash, new))
        world.guardians.append(new)

    def start_signal(self) -> None:
        """A new signal process."""
        if back_us := self.world.absences.back_us("signal"):
            self.world.time.after(back_us, self.start_signal)
        elif not self.world.calm:
            self.lives += 1
            self.world.adviser = Adviser(f"signal-{self.lives}", self.world, self.config)

    def end(self, process: Process) -> None:
        """kill -9."""
        process.crash()
        world = self.world
        world.journal.at_crash()
        world.nodes[:] = [one for one in world.nodes if one is not process]
        world.guardians[:] = [one for one in world.guardians if one is not process]
        if world.adviser is process:
            world.adviser = None

    def crash(self, process: Process) -> None:
        """kill -9, and a restart a little later."""
        if not process.alive:
            return
        self.end(process)
        world = self.world
        if isinstance(process, Guardian):
            if not world.guardians:
                world.time.after(world.trouble.risk_away_us, self.start_risk)
        else:
            again = self.start_node if isinstance(process, Node) else self.start_signal
            long = 0.1 if world.plan.lively else 0.3
            away_us = 8 * US_PER_SEC if world.rng.random() < long else 2 * US_PER_SEC
            world.time.after(world.rng.randrange(100_000, away_us), again)

    def wish(self) -> None:
        """Signal wants pairs opened and closed."""
        world = self.world
        if world.calm:
            return
        pair = world.rng.choice(world.pairs)
        action = self._action(pair)
        wanted = Intent(
            pair=pair.id,
            action=action,  # type: ignore[arg-type]
            direction=world.lending.direction(pair)
            if pair.kinds[0].value == "spot"
            else world.rng.choice(("forward", "reverse")),
            notional_usd=str(Decimal(world.rng.randrange(200, 2_500))),
            reason=f"seed {world.plan.seed}",
            expires_us=world.now.wall_us + 5 * US_PER_SEC,
        )
        world.publish([(intent(pair.id), wanted)])
        pause_us = LIVELY_US if world.plan.lively else 2 * US_PER_SEC
        pause_us = world.rng.randrange(pause_us // 5, pause_us)
        world.time.after(world.absences.paced_us(pause_us), self.wish)

    def _action(self, pair: SimPair) -> str:
        """Open or close: by chance, or mostly what the pair's state lets it do."""
        world = self.world
        if world.plan.lively and world.rng.random() < SENSIBLE:
            state = world.checker.states.get(pair.id)
            held = state is not None and state.state is State.ACTIVE
            return "close" if held else "open"
        return world.rng.choice(("open", "open", "close"))

    def harm(self) -> None:
        """Crashes, outages and venues' doings, about once a second."""
        world = self.world
        if world.calm:
            return
        world.trouble.strike()
        pause_us = world.rng.randrange(100_000, 2 * US_PER_SEC)
        world.time.after(world.absences.paced_us(pause_us), self.harm)

    def run(self) -> World:
        """To the end: misfortunes, then calm."""
        world = self.world
        while world.time.until(world.active_us):
            pass
        world.store.down = world.store.full = False
        self._calm_down()
        world.checker.busy_us = world.now.mono_us
        end_us = world.active_us + world.plan.calm_us
        self._second_by_second(end_us, world.checker.at_rest)
        if world.plan.seed % 2 and world.checker.stuck():
            self._wake_up()
        rest_us = world.now.mono_us
        self._second_by_second(rest_us + COMPARED_US_MAX, partial(self._compared, rest_us))
        if not world.checker.at_rest():  # risk has flattened something meanwhile
            self._second_by_second(world.now.mono_us + world.plan.calm_us, world.checker.at_rest)
        Ending(world).at_end()
        world.accounts.at_end(rest_us)
        world.person.at_end()
        return world

    def _calm_down(self) -> None:
        """Everybody runs, of one build, and nobody wishes anything any more."""
        world = self.world
        for process in world.processes():
            process.fuse = None
        if not world.nodes:
            self.start_node()
        if world.adviser is not None:
            self.end(world.adviser)
        for one in [one for one in world.guardians if one.build != BUILD]:
            self.end(one)
        if not world.guardians:
            self.start_risk()

    def _wake_up(self) -> None:
        """The operator finds what is stuck, looks, and asks again while no look has come."""
        world = self.world
        for _ in range(RESETS):
            for pair in world.checker.stuck():
                world.person.say("reset", {"scope": f"pair:{pair}", "confirm": True})
            self._second_by_second(world.now.mono_us + 5 * US_PER_SEC, lambda: False)
        world.checker.busy_us = world.now.mono_us
        self._second_by_second(world.now.mono_us + world.plan.calm_us, world.checker.at_rest)

    def _compared(self, since_us: int) -> bool:
        self.world.checker.at_rest()  # remembers when anything was under way
        return self.world.accounts.compared_since(since_us)

    def _second_by_second(self, end_us: int, done: Callable[[], bool]) -> None:
        world = self.world
        while world.now.mono_us < end_us and not done():
            second_us = world.now.mono_us + US_PER_SEC
            while world.time.until(second_us):
                pass


def main() -> int:
    """Run seeds and say what they were."""
    seeds, start = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    total: Counter[str] = Counter()
    moves: Counter[str] = Counter()
    for seed in range(start, start + seeds):
        done = Seed(of_seed(seed))
        try:
            world = done.run()
        except Violated as violated:
            print(seed, violated)
            world = done.world
        total += world.counts
        moves += world.checker.transitions
    print(dict(total))
    print(dict(moves))
    return 0


if __name__ == "__main__":
    sys.exit(main())
