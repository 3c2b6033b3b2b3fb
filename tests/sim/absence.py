"""Absences that last: for minutes a part of ours, or a venue, is not there; the whole host for up to an hour.

Meanwhile the world goes on: prices move, funding settles, interest accrues, and the venues take what the
other misfortunes of the seed let them take. All of it comes from a generator of its own. What misfortunes
and wishes still have left of their time is theirs afterwards.
"""

from __future__ import annotations

import random
from functools import partial
from typing import TYPE_CHECKING, Final

from libs.common.instant import US_PER_SEC
from services.executor.model import PairState, State
from services.executor.world import Key
from tests.sim.plan import ABSENCES, Misfortune

if TYPE_CHECKING:
    from tests.sim.process import Process
    from tests.sim.world import World

SECONDS: Final = (60, 180)
HOST_SECONDS: Final = (300, 3_600)
PACE: Final = 25
"""While the host is away nobody looks: what the world does by the second it does so much more seldom."""

MOMENTS: Final = (None, State.OPENING, State.CLOSING, State.UNWINDING, State.ACTIVE)
"""What it waits for, None: for nothing."""

RETURN_US_MAX: Final = 3 * US_PER_SEC
LIVES: Final = {
    "executor": (Misfortune.HOST_AWAY, Misfortune.EXECUTOR_AWAY),
    "risk": (Misfortune.HOST_AWAY, Misfortune.RISK_AWAY),
    "signal": (Misfortune.HOST_AWAY, Misfortune.SIGNAL_AWAY),
}
"""service -> what keeps it from being started."""


class Absences:
    """Each begins once: at its moment, or shortly before all is calm when that does not come."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.rng = random.Random(f"absence {world.plan.seed}")  # noqa: S311 - a seed is what it is for
        self._until_us: dict[Misfortune, int] = {}
        self._moments: dict[Misfortune, State] = {}
        self._venue = ""

    def start(self) -> None:
        """Draw when each of them begins."""
        active_us = self.world.plan.active_us
        for kind in sorted(self.world.plan.misfortunes & ABSENCES):
            at_us, moment = self.rng.randrange(active_us // 5, active_us), self.rng.choice(MOMENTS)
            if moment is not None:
                self._moments[kind], at_us = moment, active_us - 1
            self.world.time.after(at_us, partial(self._begin, kind))

    def on_state(self, before: PairState | None, after: PairState) -> None:
        """A pair's state has become durable."""
        if before is None or before.state is after.state:
            return
        for kind in [kind for kind, moment in self._moments.items() if moment is after.state]:
            del self._moments[kind]
            self.world.time.after(self.rng.randrange(US_PER_SEC), partial(self._begin, kind))

    # --- what is not there --------------------------------------------------------------------------

    def left_us(self, kind: Misfortune) -> int:
        """How long something stays away, 0 when it is there."""
        return max(0, self._until_us.get(kind, 0) - self.world.now.mono_us)

    def back_us(self, service: str) -> int:
        """When a service can be started at the earliest, and then not to the microsecond; 0: now."""
        left_us = max(self.left_us(kind) for kind in LIVES[service])
        return left_us + self.rng.randrange(1, RETURN_US_MAX) if left_us else 0

    def is_away(self, venue: str) -> bool:
        """Whether a venue cannot be reached: not even its user stream tells anything."""
        return venue == self._venue and self.left_us(Misfortune.VENUE_AWAY) > 0

    def is_untold(self, key: Key | None) -> bool:
        """Whether nothing is told of an instrument's market; None: of any."""
        return self.left_us(Misfortune.FEED_AWAY) > 0 or (key is not None and self.is_away(key[0]))

    def paced_us(self, us: int) -> int:
        """When something is due that happens each `us`: nobody sees it while the host is away."""
        left_us = self.left_us(Misfortune.HOST_AWAY)
        return min(us * PACE, max(us, left_us)) if left_us else us

    # --- how it goes away ---------------------------------------------------------------------------

    def _begin(self, kind: Misfortune) -> None:
        world = self.world
        if kind in self._until_us or world.calm:
            return
        seconds = self.rng.randrange(*(HOST_SECONDS if kind is Misfortune.HOST_AWAY else SECONDS))
        until_us = self._until_us[kind] = world.now.mono_us + seconds * US_PER_SEC
        world.counts[kind.value] += 1
        world.active_us += seconds * US_PER_SEC
        match kind:
            case Misfortune.HOST_AWAY:
                self._kill(world.processes())
            case Misfortune.EXECUTOR_AWAY:
                self._kill(list(world.nodes))
            case Misfortune.RISK_AWAY:
                self._kill(list(world.guardians))
            case Misfortune.SIGNAL_AWAY:
                self._kill([world.adviser] if world.adviser is not None else [])
            case Misfortune.EXECUTOR_STOPPED:
                for node in world.nodes:
                    node.stopped_until_us = until_us
            case Misfortune.STORE_AWAY:
                world.store.down = True
                world.time.after(seconds * US_PER_SEC, self._store_back)
            case Misfortune.VENUE_AWAY:
                self._venue = self.rng.choice(sorted(world.venues))
                world.venues[self._venue].down_until_us = until_us
            case _:
                pass  # `Trouble.is_parted` asks for the bus, `Market` for the feed

    def _kill(self, processes: list[Process]) -> None:
        """They are started again as after any crash, though not before they may."""
        for process in processes:
            self.world.trouble.kill(process)

    def _store_back(self) -> None:
        self.world.store.down = False
