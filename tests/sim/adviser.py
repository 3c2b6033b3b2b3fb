"""The signal service under virtual time: the real actor, its notebook in the store, wishes out."""

from __future__ import annotations

from libs.common.config.schema import Config
from libs.common.core import Core
from libs.common.effects import Answered, Request, Started
from libs.common.instant import US_PER_SEC
from libs.common.messages import (
    Funding,
    FundingHistory,
    InstrumentInfo,
    Intent,
    Message,
    Quote,
    VenueHealth,
    Want,
)
from libs.common.messages_exec import AccountStatus, PairStatus, Permit
from libs.common.store import StoreConflict, StoreUnavailable
from services.signal.actor import SignalActor
from services.signal.main import SelectionStore
from services.signal.selection import TRADING_KEY, LoadSelection, SaveSelection, Stored
from tests.sim.plan import BUILD
from tests.sim.process import Process
from tests.sim.timeline import run
from tests.sim.world import World

SAID = (Intent, Want)
"""What it says that somebody here hears."""


class Adviser(Process):
    """A life of signal."""

    service = "signal"
    hears = frozenset(
        {
            *(Quote, Funding, FundingHistory, InstrumentInfo, VenueHealth),
            *(PairStatus, AccountStatus, Permit),
        }
    )

    def __init__(self, name: str, world: World, config: Config) -> None:
        super().__init__(name, world)
        self.actor = SignalActor(config, build=BUILD)
        self.core = Core(self.actor)
        self.offer(Started())
        self.later(US_PER_SEC, self.pulse)

    def _say(self, subject: str, message: Message) -> None:
        if isinstance(message, SAID):
            if isinstance(message, Intent):
                self.world.counts[f"signal {message.action}"] += 1
            super()._say(subject, message)

    def _start(self, request: Request) -> None:
        self.later(self.world.store_us(), lambda: self._keep(request))

    def _keep(self, request: Request) -> None:
        store = SelectionStore(self.world.store, TRADING_KEY)
        found: Stored | int | None = None
        error = error_class = None
        try:
            match request:
                case LoadSelection():
                    found = run(store.load(request))
                case SaveSelection():
                    found = run(store.save(request))
                case _:
                    raise AssertionError(f"the simulation does not know {type(request).__name__}")
        except (StoreUnavailable, StoreConflict) as failed:
            error, error_class = str(failed), type(failed).__name__
        answer = Answered(request=request, result=found, error=error, error_class=error_class)
        self.later(self.world.store_us(), lambda: self.offer(answer))
