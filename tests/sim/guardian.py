"""The risk service under virtual time: the real actor with its own entries in the store."""

from __future__ import annotations

from libs.common.config.schema import Config
from libs.common.core import Core
from libs.common.effects import Answered, Request, Started
from libs.common.instant import US_PER_SEC
from libs.common.messages import Funding, InstrumentInfo, Message, Quote, ServiceHealth, VenueHealth
from libs.common.messages_exec import AccountStatus, FillEvent, LedgerLine, OrderEvent, PairStatus, Permit
from libs.common.store import StoreConflict, StoreUnavailable
from services.risk.actor import Recall, RiskActor
from services.risk.main import RiskStore, lane_of
from tests.sim.plan import Misfortune
from tests.sim.process import Process
from tests.sim.timeline import run
from tests.sim.world import World

SKEW_US_MAX = 400_000


class Guardian(Process):
    """A life of risk. Each permit that it says is shown to the oracle."""

    service = "risk"
    hears = frozenset(
        {
            *(Quote, Funding, InstrumentInfo, VenueHealth, ServiceHealth),
            *(PairStatus, OrderEvent, FillEvent, LedgerLine, AccountStatus),
        }
    )

    def __init__(self, name: str, world: World, config: Config, *, build: str) -> None:
        super().__init__(name, world, build=build)
        if world.hits(Misfortune.CLOCK_SKEW, 0.3):
            self.skew_us = world.skew_us(SKEW_US_MAX)
        self.actor = RiskActor(config, build=build)
        self.core = Core(self.actor, lane_of=lane_of)
        self.offer(Started())
        self.later(US_PER_SEC, self.pulse)

    def obeys(self, verb: str) -> bool:
        """All commands, also those that nobody knows."""
        return True

    def _say(self, subject: str, message: Message) -> None:
        if isinstance(message, Permit):
            self.world.person.permitted(self, message)
        super()._say(subject, message)

    def _start(self, request: Request) -> None:
        match request:
            case Recall():
                self.later(self.world.store_us(), lambda: self._recall(request))
            case _:
                super()._start(request)

    def _recall(self, request: Recall) -> None:
        found, error = None, None
        try:
            found = run(RiskStore(self.world.store, self.world.time).recall(request))
        except (StoreUnavailable, StoreConflict) as failed:
            error = f"{type(failed).__name__}: {failed}"
        answer = Answered(request=request, result=found, error=error)
        self.later(self.world.store_us(), lambda: self.offer(answer))
