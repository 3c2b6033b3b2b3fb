"""One seed from start to end: `python -m tests.sim.run SEEDS SEED_START`."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from decimal import Decimal

from libs.common.instant import US_PER_SEC
from libs.common.messages import Intent
from libs.common.subjects import intent
from tests.sim.ending import Ending
from tests.sim.invariants import Violated
from tests.sim.node import Node
from tests.sim.plan import PAIRS, Misfortune, Plan, of_seed
from tests.sim.venue import SimVenue
from tests.sim.world import World

COMPARED_US_MAX = 120 * US_PER_SEC
"""So long after all is at rest every venue's books must have been compared."""


class Seed:
    """The world of a plan with its executors and its user."""

    def __init__(self, plan: Plan) -> None:
        self.world = World(plan)
        self.config = plan.config()
        for slug in sorted({key[0] for pair in PAIRS for key in pair.keys}):
            self.world.venues[slug] = SimVenue(slug, self.world)
        self.lives = 0
        self.world.trouble.kill = self.crash
        self.start_node()
        if Misfortune.SECOND_EXECUTOR in plan.misfortunes:
            self.world.counts[Misfortune.SECOND_EXECUTOR.value] += 1
            self.start_node()
        self.world.start()
        self.world.time.after(3 * US_PER_SEC, self.wish)
        self.world.time.after(2 * US_PER_SEC, self.harm)

    def start_node(self) -> None:
        """A new executor process."""
        self.lives += 1
        self.world.nodes.append(Node(f"executor-{self.lives}", self.world, self.config))

    def crash(self, node: Node) -> None:
        """kill -9, and a restart a little later."""
        if node in self.world.nodes:
            node.crash()
            self.world.nodes.remove(node)
            self.world.time.after(self.world.rng.randrange(100_000, 8 * US_PER_SEC), self.start_node)

    def wish(self) -> None:
        """Signal wants pairs opened and closed."""
        world = self.world
        if world.calm:
            return
        pair = world.rng.choice(PAIRS)
        action = world.rng.choice(("open", "open", "close"))
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
        world.time.after(world.rng.randrange(400_000, 2 * US_PER_SEC), self.wish)

    def harm(self) -> None:
        """Crashes, outages and venues' doings, about once a second."""
        world = self.world
        if world.calm:
            return
        world.trouble.strike()
        world.time.after(world.rng.randrange(100_000, 2 * US_PER_SEC), self.harm)

    def run(self) -> World:
        """To the end: misfortunes, then calm."""
        world = self.world
        while world.time.until(world.plan.active_us):
            pass
        world.store.down = world.store.full = False
        for node in world.nodes:
            node.fuse = None
        if not world.nodes:
            self.start_node()
        world.checker.busy_us = world.now.mono_us
        end_us = world.plan.active_us + world.plan.calm_us
        self._second_by_second(end_us, world.checker.at_rest)
        rest_us = world.now.mono_us
        self._second_by_second(rest_us + COMPARED_US_MAX, lambda: world.accounts.compared_since(rest_us))
        Ending(world).at_end()
        world.accounts.at_end(rest_us)
        return world

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
